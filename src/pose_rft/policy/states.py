"""Hidden states that the pose head reads, computed once and kept.

Where the language model does not change, neither do its states of a prompt and its answer: whatever trains the head
alone, supervised or by reward, runs the language model once over its samples and then never again.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from rich.console import Console
from rich.progress import track
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from pose_rft.data.sample import Sample
from pose_rft.errors import UserError
from pose_rft.policy.backbone import PromptTokens
from pose_rft.policy.distribution import PoseGaussian
from pose_rft.policy.policy import PosePolicy
from pose_rft.policy.prompts import PackedPrompts, gather, numbered, pack_prompts
from pose_rft.policy.sight import Seen
from pose_rft.storage import atomic_file


@dataclass
class CachedStates:
    """Hidden states of N samples, end to end.

    Attributes:
        states: (total tokens, H) of prompts and answers up to ``<POSE>``.
        starts: (N + 1,) where each sample begins; the last entry is the end.
        seen: features of the M pictures that samples are about, or None.
        seen_of: (N,) which of them each sample is about, -1 for none.
    """

    states: Tensor
    starts: Tensor
    seen: Seen | None
    seen_of: Tensor

    def __len__(self) -> int:
        return len(self.starts) - 1

    @property
    def lengths(self) -> Tensor:
        return self.starts[1:] - self.starts[:-1]

    def batch(self, rows: Tensor) -> tuple[Tensor, Tensor, Tensor, Seen | None, Tensor]:
        """What ``PosePolicy.predict`` takes for N samples: memory, its mask, states at ``<POSE>``, pictures, which."""
        lengths = self.lengths[rows]
        places = torch.arange(int(lengths.max()))
        mask = places < lengths[:, None]
        where = torch.where(mask, self.starts[rows][:, None] + places, 0).to(self.states.device)
        memory = self.states[where]
        last = (lengths - 1).to(memory.device)
        state = memory[torch.arange(len(rows), device=memory.device), last]
        there = self.seen_of[rows]
        pictures = there[there >= 0]
        number = numbered(there >= 0).to(memory.device)
        seen = None if self.seen is None or not len(pictures) else self.seen.rows(pictures).to(memory.device)
        return memory, mask.to(memory.device), state, seen, number


class OnStates(nn.Module):
    """A module that trains the pose head of a policy on cached states; a checkpoint of it is one of the policy."""

    def __init__(self, policy: PosePolicy, cache: CachedStates) -> None:
        super().__init__()
        self.policy, self.cache = policy, cache

    def save_pretrained(self, directory: str | Path) -> None:
        self.policy.save_pretrained(directory)

    def load_weights(self, directory: Path) -> None:
        self.policy.load_weights(directory)


class HeadOnStates(OnStates):
    """Rows of the cache -> their Gaussians."""

    def forward(self, rows: Tensor) -> PoseGaussian:
        return self.policy.predict(*self.cache.batch(rows))


def cache_states(
    policy: PosePolicy,
    samples: Sequence[Sample],
    row_tokens: int = 256,
    batch: int = 128,
    file: Path | None = None,
    progress: bool = True,
) -> CachedStates:
    """Run the language model once over samples whose answers hold a pose.

    Args:
        row_tokens: tokens in a row of the packed layout.
        batch: samples in one pass.
        file: safetensors with the states of these samples: read if it is there, else written, so that an interrupted
            run need not compute them again.

    Raises:
        UserError: ``file`` holds the states of other samples.
    """
    if file is not None and file.is_file():
        found = load_file(file)
        if len(found["starts"]) != len(samples) + 1:
            raise UserError(f"{file}: holds hidden states of other samples; delete it to compute them again")
    else:
        found = _run_language_model(policy, samples, row_tokens, batch, progress)
        if file is not None:
            with atomic_file(file) as part:
                save_file(found, part)
    seen = Seen(found["tokens"], found["points"]) if "tokens" in found else None
    return CachedStates(found["states"].to(policy.device), found["starts"], seen, found["seen_of"])


@torch.no_grad()
def _run_language_model(
    policy: PosePolicy, samples: Sequence[Sample], row_tokens: int, batch: int, progress: bool
) -> dict[str, Tensor]:
    """The fields of ``CachedStates``, by name."""
    pieces, lengths, pictures, has_picture = [], [], [], []
    batches = range(0, len(samples), batch)
    bar = track(batches, description="Hidden states, computed once", console=Console(stderr=True), disable=not progress)
    with policy.merged_adapters():
        for start in bar:
            packed = _pack_what_the_head_sees(policy, samples[start : start + batch], row_tokens).to(policy.device)
            read = policy.hidden_states(packed)
            pieces.append(read[packed.memory[packed.memory_mask]])
            lengths.append(packed.memory_mask.sum(dim=1))
            has_picture.append(packed.seen_of.cpu() >= 0)
            if packed.seen is not None:
                pictures.append(Seen(packed.seen.tokens.to(read.dtype), packed.seen.points).to("cpu"))
    ends = torch.cat(lengths).cumsum(dim=0).cpu()
    found = {
        "states": torch.cat(pieces),
        "starts": torch.cat([ends.new_zeros(1), ends]),
        "seen_of": numbered(torch.cat(has_picture)),
    }
    seen = gather(pictures)
    return found if seen is None else found | {"tokens": seen.tokens, "points": seen.points}


def _pack_what_the_head_sees(policy: PosePolicy, samples: Sequence[Sample], row_tokens: int) -> PackedPrompts:
    """As ``pack_samples``, without the tokens behind what the head may look at: of a picture, most of them."""
    backbone, readings, answers = policy.backbone, [], []
    for sample in samples:
        reading, answer = policy.read(sample), backbone.answer_ids(sample.answer)
        if reading.memory_end is not None and backbone.processor is None:
            ids = reading.tokens.ids[: reading.memory_end]
            reading, answer = replace(reading, tokens=PromptTokens(ids)), [backbone.pose_token]
        readings.append(reading)
        answers.append([answer])
    return pack_prompts(readings, answers, backbone.pose_token, row_tokens, policy.shares_prompts)


def pack_samples(policy: PosePolicy, samples: Sequence[Sample], row_tokens: int) -> PackedPrompts:
    """The packed layout of samples, each prompt with its one answer."""
    answers = [[policy.backbone.answer_ids(sample.answer)] for sample in samples]
    readings = [policy.read(sample) for sample in samples]
    return pack_prompts(readings, answers, policy.backbone.pose_token, row_tokens, policy.shares_prompts)
