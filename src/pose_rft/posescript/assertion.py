"""Which of the statements in a text the text makes: no denial, question or condition, and nobody else's limb.

A statement counts only where all other words of its clause are known to leave it as it is (``reading.yaml``), so a word
that nobody thought of makes it doubtful instead of wrong. Doubt reaches over "and" and commas as the grammar does:
"refuses to bend the knee and raise the arm" refuses both; "dances, the left knee is bent" says the second.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from pose_rft.posescript.lexicon import reading_table
from pose_rft.posescript.mentions import COPULAS, PAST, SIDES, Mention, body_words, holds_together, people

ENDS = set(".;!?")
TURNS = {"but", "while", "whereas"}  # doubt does not reach beyond them
JOINTS = {",", "and"}
ADDITIONS = {"with", "because"}  # what follows leaves the statement before as it is
CONTRASTS = {("instead", "of"), ("rather", "than"), ("so", "that")}  # the same, and what follows is not stated
REQUESTS = {"could", "can", "would", "will"}
ASKING = {(verb, who) for verb in REQUESTS for who in ("you", "we")}  # "could you", and not "can you see whether"
KNOWING = {"see", "tell", "say", "believe", "know", "guess", "imagine"}
WISHES = {
    ("i", "want"),
    ("i", "need"),
    ("i'd", "like"),
    ("would", "like"),
    ("we", "need"),
    ("we", "want"),
    ("to", "see"),
}
ARTICLES = {"a", "an", "the"}
OWNERS_BY_SEX = {"male": {"his"}, "female": {"her"}}
Word = tuple[str, str]  # a token, and the article or possessive before it that is no token, or ""


@dataclass
class _Clause:
    """What is known on the way through a clause.

    Attributes:
        began: place of its first word.
        joint: the word or comma before it.
        inherited: the doubt of the clause before, "", "unknown" or "denial", until something frees of it.
        governs: a statement, or "that", has come under this doubt; what is joined to it comes under it too.
        doubt: that of the words of the clause itself.
        person: the person has been named as its subject.
        said: its statements that count so far.
    """

    began: int
    joint: str = ""
    inherited: str = ""
    governs: bool = False
    doubt: str = ""
    person: bool = False
    said: list[Mention] = field(default_factory=list)


class _Reader:
    """Goes through a text once, and remembers whom it is about."""

    def __init__(self, words: Sequence[Word], mentions: Sequence[Mention]) -> None:
        self.words, self.tokens = words, [token for token, _ in words]
        self.mentions = {one.start: one for one in mentions}
        self.table = reading_table()
        self.other_sex = self._other_sex()
        self.named = ""  # the noun or pronoun that the person was named by first
        self.somebody_else = False  # has somebody else been named since?
        self.unreal = False  # does the sentence ask, suppose or report?
        self.stated: list[Mention] = []

    def _other_sex(self) -> frozenset[str]:
        """Words for people of the sex that the text does not begin with."""
        sexes = {sex: self.table["people"][sex] | OWNERS_BY_SEX[sex] for sex in OWNERS_BY_SEX}
        for token, owner in self.words:
            for sex, other in (("male", "female"), ("female", "male")):
                if {token.removesuffix("'s"), owner} & sexes[sex]:
                    return frozenset(sexes[other])
        return frozenset()

    def read(self) -> list[Mention]:
        start = 0
        for end, token in enumerate(self.tokens):
            if token in ENDS:
                if not self._mentioned(start, end) and self._free(start, end) & self.table["retractions"]:
                    return []
                self._read_sentence(start, end)
                start = end + 1
        present = {"is", "are", "now", "today"} & set(self.tokens)
        return [one for one in self.stated if not (present and PAST & set(self.tokens[one.start : one.end]))]

    def _mentioned(self, start: int, end: int) -> bool:
        return any(at in self.mentions for at in range(start, end))

    def _free(self, start: int, end: int) -> set[str]:
        """The words that belong to no statement."""
        return {self.tokens[at] for at in self._free_places(start, end)}

    def _free_places(self, at: int, end: int) -> Iterator[int]:
        while at < end:
            if at not in self.mentions:
                yield at
            at = self.mentions[at].end if at in self.mentions else at + 1

    def _is_unreal(self, start: int, end: int) -> bool:
        """Whether a sentence asks, supposes or reports, by its first and its doubtful words."""
        opening = [token for token in self.tokens[start:end] if token not in {"and", "but", "so", "then", ","}]
        if (
            len(opening) > 1
            and opening[0] in REQUESTS
            and opening[1] in {"you", "we"}
            and not KNOWING & set(opening[2:4])
        ):
            return bool(self._free(start, end) & self.table["doubtful"])
        asks = self.tokens[end] == "?" or bool(opening and opening[0] in self.table["questions"])
        asks |= opening[:1] == ["have"] and bool({*opening[1:2]} & (people() | {"you"}))
        places = list(self._free_places(start, end))
        return asks or any(self.tokens[at] in self.table["doubtful"] and not self._wishes(at) for at in places)

    def _wishes(self, at: int) -> bool:
        """Whether a word asks for the pose: "I want", "I'd like to see"."""
        return tuple(self.tokens[at - 1 : at + 1]) in WISHES or tuple(self.tokens[at : at + 2]) in WISHES

    def _read_sentence(self, start: int, end: int) -> None:
        before, self.unreal = len(self.stated), self._is_unreal(start, end)
        clause = _Clause(start, person=not self._begins_with_something_else(start, end))
        self.somebody_else |= not clause.person
        at = start
        while at < end:
            token, one = self.tokens[at], self.mentions.get(at)
            if one:
                self._meet(one, clause)
            elif token in TURNS or self._joins(token) or (clause.said and self._adds(at)):
                clause = self._next_clause(clause, at, frame=self.tokens[start] in self.table["frames"])
            else:
                self._weigh(at, clause)
            at = one.end if one else at + 1
        self._close(clause, end)
        if self.unreal:
            del self.stated[before:]

    def _begins_with_something_else(self, start: int, end: int) -> bool:
        """Whether a sentence is about what is no person and no part of one: "A zebra bends its left knee"."""
        articles = self.words[start][1] == "the" or self.tokens[start] in ARTICLES
        if not articles:
            return False
        for at in range(start, end):
            token = self.tokens[at]
            if at in self.mentions or token in body_words() | set(SIDES):
                return False
            if not self._is_plain(token):
                return not self._is_called(at)
            if token.removesuffix("'s") in people():
                return False
        return False

    def _next_clause(self, clause: _Clause, at: int, frame: bool) -> _Clause:
        """At a comma, "and", "but" or "with"."""
        self._close(clause, at)
        token, doubt = self.tokens[at], clause.doubt or clause.inherited
        if token in TURNS or token in ADDITIONS:
            return _Clause(at + 1, token)
        if token not in {*JOINTS, ":"}:
            return _Clause(at + 1, token, doubt="unknown")
        token = "," if token == ":" else token
        if clause.joint == "," and clause.began == at:
            token = ","  # ", and" parts as a comma does
        governs = clause.governs or bool(doubt and frame and token == ",")
        return _Clause(at + 1, token, doubt, governs, person=clause.person)

    def _joins(self, token: str) -> bool:
        return token in JOINTS or (token == ":" and not self.somebody_else)

    def _adds(self, at: int) -> bool:
        return self.tokens[at] in ADDITIONS | {"without"} or tuple(self.tokens[at : at + 2]) in CONTRASTS

    def _close(self, clause: _Clause, end: int) -> None:
        """A clause is over: count what it says; one like "but only slightly" takes back what is said before it."""
        self.stated += clause.said
        words = {word for word in self._free(clause.began, end) if not holds_together(word)}
        if self._mentioned(clause.began, end) or words & (body_words() | {*SIDES, "one", "other"}):
            return
        if len(words) == 1 and next(iter(words)).endswith("ly") and not self._is_plain(next(iter(words))):
            self.unreal = True  # supposedly, the knee is bent
        denied = {word for word in words if self._denies(word)}
        elliptic = words <= self.table["hedges"] | self.table["ellipses"] | denied
        hedged = words & self.table["hedges"] and not denied
        if self.stated and (hedged or (elliptic and words & (self.table["degrees"] | denied))):
            last = self.stated.pop()
            while self.stated and self.tokens[last.start - 1] == "and" and self.stated[-1].end == last.start - 1:
                last = self.stated.pop()

    def _denies(self, token: str) -> bool:
        return token in self.table["denials"] or token.endswith("n't")

    def _is_plain(self, token: str) -> bool:
        """Whether a word leaves the statements beside it as they are."""
        return holds_together(token) or token in self.table["harmless"] or token in self.table["adverbs"]

    def _weigh(self, at: int, clause: _Clause) -> None:
        """A word that belongs to no statement."""
        token = self.tokens[at]
        if self._is_somebody_else(at):
            self.somebody_else, clause.doubt = True, clause.doubt or "unknown"
        elif token.removesuffix("'s") in people() or self._is_called(at):
            self._name_person(token.removesuffix("'s"), clause)
        elif token == "that" and self.tokens[at - 1] not in people():
            clause.doubt, clause.governs = "unknown", True
        elif (
            (token == "only" and at + 1 in self.mentions)
            or self._wishes(at)
            or (token in REQUESTS and self.tokens[at + 1] in {"you", "we"})
        ):
            pass
        elif self._denies(token):
            clause.doubt = "denial"
        elif not self._is_plain(token):
            clause.doubt = clause.doubt or "unknown"
        if clause.doubt:
            clause.said.clear()

    def _name_person(self, noun: str, clause: _Clause) -> None:
        self.named = self.named if self.named in self._nouns() else noun
        if clause.doubt or (clause.governs and clause.inherited != "denial"):
            return
        clause.inherited, clause.governs, clause.person, self.somebody_else = "", False, True, False

    def _is_somebody_else(self, at: int) -> bool:
        """Whether a word names somebody who is not the person described."""
        token, owner = self.words[at]
        stem = token.removesuffix("'s")
        if {token, stem} & self.table["others"] or {stem, owner} & self.other_sex:
            return True
        if stem not in people():
            return False
        first = at
        while self.tokens[first - 1] in self.table["harmless"]:
            first -= 1
        new = first < at or self.tokens[first - 1] in ARTICLES or token in {"someone", "somebody"}  # the old man; a man
        new |= {stem, self.named} <= self._nouns() and stem != self.named  # the man and the boy
        return self.tokens[first - 1] == "other" or (new and bool(self.named) and self.tokens[first - 2] not in COPULAS)

    def _is_called(self, at: int) -> bool:
        """Whether an unknown word is what the person is called at first: "A pirate with", "The judge raises his"."""
        after = self.mentions.get(at + 1)
        his = {self.words[place][1] for place in range(after.start, after.end)} if after else set()
        begins = self.words[at][1] == "the" or self.tokens[at - 1] in ARTICLES
        person = self.tokens[at + 1] in {"with", "who", "whose", ","} or his & {"his", "her", "their"}
        excluded = (
            self._is_plain(self.tokens[at]) or self._denies(self.tokens[at]) or self.tokens[at] in self.table["others"]
        )
        return bool(begins and person and not self.named and not excluded)

    def _nouns(self) -> frozenset[str]:
        """Nouns that tell two people of one sex apart."""
        people = self.table["people"]
        return (people["male"] | people["female"]) - {"he", "himself", "he's", "she", "herself", "she's"}

    def _meet(self, one: Mention, clause: _Clause) -> None:
        """A statement: it counts unless doubt reaches it."""
        owner = self.words[one.start][1]
        if owner in self.other_sex:
            self.somebody_else = True
        elif owner in {"his", "her"} and not clause.doubt:
            self.somebody_else = False
        if clause.inherited and not clause.doubt and self._stands_alone(one, clause):
            clause.inherited, clause.governs = "", False
        if clause.doubt or clause.inherited or self.somebody_else:
            clause.governs = clause.governs or bool(clause.doubt or clause.inherited)
        elif not self._has_another_subject(one):
            clause.said.append(one)

    def _stands_alone(self, one: Mention, clause: _Clause) -> bool:
        """Whether a statement after a comma or "and" is free of the doubt before it."""
        tokens = self.tokens[one.start : one.end]
        has_subject = not one.deed and bool(COPULAS & set(tokens))
        if clause.governs or clause.inherited == "denial":
            return has_subject and clause.inherited == "denial"
        finite = one.deed and clause.person and tokens[0].endswith("s") and not tokens[0].endswith("ss")
        if clause.joint == ",":
            return has_subject or not one.deed or clause.person
        return has_subject or finite

    def _has_another_subject(self, one: Mention) -> bool:
        """The left arm bends forward: that does not say that the person does."""
        before = one.start - 1
        before -= self.tokens[before] in COPULAS
        return one.person and self.tokens[before] in body_words()


def asserted(words: Sequence[Word], mentions: Sequence[Mention]) -> list[Mention]:
    """The statements that a text makes of the person whom it describes.

    Args:
        words: the tokens of the text, a stop first and last, each with the article or possessive before it.
        mentions: the statements in it, in their order.

    Returns:
        Those that the text makes, in their order.
    """
    return _Reader(words, mentions).read()
