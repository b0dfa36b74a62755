"""Words of the retrieval model: a vocabulary from its training captions, and pieces of words for all others.

A word is the sum of its own vector, if it was common in training, and the mean vector of its character n-grams, hashed
into a fixed number of buckets (Bojanowski et al., "Enriching word vectors with subword information", TACL 2017), so
that "kneeling", met in training, says something about "kneels".
"""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import lru_cache
from zlib import crc32

import torch
from torch import Tensor, nn

_WORD = re.compile(r"[^\W\d_]+|\d+|[.,;:!?]")  # "person's" -> person, s
_NGRAM_LENGTHS = (3, 4, 5)
FUNCTION_WORDS = frozenset({  # they say nothing of a pose by themselves
    "a", "about", "all", "also", "an", "and", "another", "any", "are", "as", "at", "be", "been", "being", "both", "but",
    "by", "can", "could", "do", "does", "each", "every", "for", "from", "had", "has", "have", "he", "her", "hers",
    "herself", "him", "himself", "his", "how", "i", "if", "in", "into", "is", "it", "its", "itself", "just", "me",
    "more", "most", "my", "myself", "no", "not", "now", "of", "on", "one", "only", "or", "other", "our", "own", "s",
    "so", "some", "such", "t", "than", "that", "the", "their", "them", "themselves", "then", "there", "these", "they",
    "this", "those", "to", "too", "very", "was", "we", "were", "what", "when", "where", "which", "while", "who",
    "whose", "why", "will", "with", "would", "you", "your", "yourself",
})  # fmt: skip
START = 0  # row of the token that begins every text, so that no text is empty
UNKNOWN = 1  # row of a word that has no vector of its own


def words(text: str) -> list[str]:
    """Lower-case words, numbers and punctuation marks."""
    return _WORD.findall(text.lower())


def build_vocabulary(texts: Iterable[str], size: int) -> list[str]:
    """The `size` most common words that occur at least twice, most common first (alphabetically where equal)."""
    counts = Counter(word for text in texts for word in words(text))
    common = sorted((word for word, count in counts.items() if count > 1), key=lambda word: (-counts[word], word))
    return common[:size]


@lru_cache(maxsize=65_536)
def ngram_buckets(word: str, buckets: int) -> tuple[int, ...]:
    """Hash buckets of the n-grams of `<word>`; a stable hash, so that they mean the same in every process."""
    marked = f"<{word}>"
    return tuple(
        crc32(marked[start : start + length].encode()) % buckets
        for length in _NGRAM_LENGTHS
        for start in range(max(1, len(marked) - length + 1))
    )


class WordEmbedding(nn.Module):
    """Texts -> vectors of their words, one row after the other.

    Args:
        vocabulary: words with a vector of their own.
        buckets: number of n-gram vectors.
        width: D.
        max_words: words of a text beyond it are not read.
    """

    def __init__(self, vocabulary: Sequence[str], buckets: int, width: int, max_words: int) -> None:
        super().__init__()
        self.row = {word: index + 2 for index, word in enumerate(vocabulary)}
        self.buckets, self.width = buckets, width
        self.max_words = max_words
        self.word = nn.Embedding(len(vocabulary) + 2, width)
        self.ngram = nn.EmbeddingBag(buckets, width, mode="mean")
        nn.init.normal_(self.word.weight, std=0.5)
        nn.init.normal_(self.ngram.weight, std=0.5)

    def forward(self, texts: Sequence[str], forget: float = 0.0) -> tuple[Tensor, Tensor]:
        """Vectors (L, D) of all words, each text led by a start token, and the text (L,) that each belongs to.

        Args:
            texts: N texts.
            forget: share of the words treated as unknown, which trains the n-grams.
        """
        device = self.word.weight.device
        split = [["", *words(text)[: self.max_words]] for text in texts]  # "" is the start token
        distinct = ["", *sorted({word for text in split for word in text[1:]})]
        index = {word: number for number, word in enumerate(distinct)}
        rows = torch.tensor([index[word] for text in split for word in text], dtype=torch.long, device=device)  # (L,)
        owner = torch.tensor([n for n, text in enumerate(split) for _ in text], dtype=torch.long, device=device)

        buckets = [ngram_buckets(word, self.buckets) for word in distinct]
        first = torch.tensor([0] + [len(pieces) for pieces in buckets[:-1]], device=device).cumsum(0)
        flat = torch.tensor([bucket for pieces in buckets for bucket in pieces], device=device)
        pieces = self.ngram(flat, first)  # (distinct, D)

        own = torch.tensor([START] + [self.row.get(word, UNKNOWN) for word in distinct[1:]], device=device)[rows]
        forgotten = (torch.rand(own.shape, device=device) < forget) & (own != START)
        return self.word(own.masked_fill(forgotten, UNKNOWN)) + pieces.index_select(0, rows), owner
