"""Hidden states that the pose head reads, computed once and kept.

Where the language model does not change, neither do its states of a prompt and its answer: whatever trains the head
alone, supervised or by reward, runs the language model once over its samples and then never again.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import takewhile
from pathlib import Path
from typing import Any, Generic, TypeVar

import numpy as np
import roma
import torch
from rich.console import Console
from rich.progress import track
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from pose_rft.data.sample import Sample
from pose_rft.devices import kept_at
from pose_rft.errors import UserError
from pose_rft.generation.packing import PackedGroups, pack_groups
from pose_rft.policy.image_branch import ImageMode
from pose_rft.policy.input_embeddings import PackedPrompts, gather_images, numbered
from pose_rft.policy.mixture import PoseDistribution
from pose_rft.policy.policy import PosePolicy
from pose_rft.policy.pose_branch import GivenPoses
from pose_rft.policy.prompt_encoder import EncodedPrompt
from pose_rft.policy.prompt_tokens import PromptTokens
from pose_rft.storage import atomic_file
from pose_rft.vision.encoded_images import EncodedImages

T = TypeVar("T")


@dataclass
class HiddenStateCache:
    """Hidden states of N samples, end to end; those that are read alike are kept once.

    Attributes:
        states: (total tokens, H) of U prompts and answers up to ``<POSE>``.
        starts: (U + 1,) where each begins; the last entry is the end.
        read_as: (N,) which of them each sample is read as.
        images: features of the M pictures that samples are about, or None.
        image_of: (N,) which of them each sample is about, -1 for none.
        given: poses that samples are about, or None if none is about any.
    """

    states: Tensor
    starts: Tensor
    read_as: Tensor
    images: EncodedImages | None
    image_of: Tensor
    given: GivenPoses | None

    def __len__(self) -> int:
        return len(self.read_as)

    @property
    def lengths(self) -> Tensor:
        """(N,) tokens of each sample."""
        return (self.starts[1:] - self.starts[:-1])[self.read_as]

    def batch(self, rows: Tensor) -> tuple[Tensor, Tensor, Tensor, EncodedImages | None, Tensor, GivenPoses | None]:
        """What ``PosePolicy.predict`` takes for N samples."""
        lengths = self.lengths[rows]
        places = torch.arange(int(lengths.max()))
        mask = places < lengths[:, None]
        begins = self.starts[self.read_as[rows]]
        index = torch.where(mask, begins[:, None] + places, 0).to(self.states.device)
        memory = self.states[index]
        last = (lengths - 1).to(memory.device)
        state = memory[torch.arange(len(rows), device=memory.device), last]
        image_of = self.image_of[rows]
        pictures = image_of[image_of >= 0]
        number = numbered(image_of >= 0).to(memory.device)
        images = None
        if self.images is not None and len(pictures):
            images = self.images.rows(pictures.to(self.images.tokens.device)).to(memory.device)
        given = None if self.given is None else self.given.rows(rows).to(memory.device)
        return memory, mask.to(memory.device), state, images, number, given


class CachedModule(nn.Module, Generic[T]):
    """A module that trains a part of a policy on what was computed once; a checkpoint of it is one of the policy."""

    def __init__(self, policy: PosePolicy, cache: T) -> None:
        super().__init__()
        self.policy, self.cache = policy, cache

    def save_pretrained(self, directory: str | Path) -> None:
        self.policy.save_pretrained(directory)

    def load_weights(self, directory: Path) -> None:
        self.policy.load_weights(directory)


class CachedHead(CachedModule[HiddenStateCache]):
    """Rows of the cache -> their distributions."""

    def forward(self, rows: Tensor) -> PoseDistribution:
        return self.policy.predict(*self.cache.batch(rows))


def cache_hidden_states(
    policy: PosePolicy,
    samples: Sequence[Sample],
    row_tokens: int = 256,
    batch: int = 128,
    file: Path | None = None,
    progress: bool = True,
) -> HiddenStateCache:
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
        if not torch.equal(found.pop("of", torch.empty(0)), _digest_of(samples)):
            raise UserError(f"{file}: holds hidden states of other samples; delete it to compute them again")
    else:
        found = _run_language_model(policy, samples, row_tokens, batch, progress)
        if file is not None:
            with atomic_file(file) as part:
                save_file(found | {"of": _digest_of(samples)}, part)
    pictures = [_image_of(policy, sample) for sample in samples]
    image_of = numbered(torch.tensor([picture is not None for picture in pictures]))
    images = gather_images(pictures)
    if images is not None:
        images = images.to(kept_at((images.tokens, images.points), policy.device))
    poses = [torch.from_numpy(np.stack(sample.poses)).float() if sample.poses else None for sample in samples]
    states = found["states"].to(policy.device)
    return HiddenStateCache(states, found["starts"], found["read_as"], images, image_of, GivenPoses.of_prompts(poses))


@torch.no_grad()
def mean_poses(policy: PosePolicy, samples: Sequence[Sample]) -> Tensor:
    """The mean poses that a policy gives to samples in its words of their own answers, (N, 22, 3) axis-angle.

    One pass of the language model where ``generate`` takes one for each token; the pose is the same where the policy
    would say the same.
    """
    cache = cache_hidden_states(policy, samples, progress=False)
    distribution = policy.predict(*cache.batch(torch.arange(len(samples))))
    action = distribution.from_noise(torch.zeros(len(samples), 1, distribution.noise_size))[:, 0]
    return roma.rotmat_to_rotvec(policy.head.to_rotations(action)).cpu()


@torch.no_grad()
def _run_language_model(
    policy: PosePolicy, samples: Sequence[Sample], row_tokens: int, batch: int, progress: bool
) -> dict[str, Tensor]:
    """The fields of ``HiddenStateCache`` that the language model makes, by name."""
    numbers: dict[Any, int] = {}
    read_as: list[int] = []
    pieces, lengths = [], []
    batches = range(0, len(samples), batch)
    bar = track(batches, description="Hidden states, computed once", console=Console(stderr=True), disable=not progress)
    with policy.merged_adapters():
        for start in bar:
            new = []
            for sample in samples[start : start + batch]:
                key = len(read_as) if _is_read_alone(policy, sample) else _text_of_states(policy, sample)
                if key not in numbers:
                    numbers[key] = len(numbers)
                    new.append(_head_input(policy, sample))
                read_as.append(numbers[key])
            if not new:
                continue
            packed = _pack_inputs(policy, new, row_tokens).to(policy.device)
            pieces.append(policy.hidden_states(packed)[packed.memory[packed.memory_mask]])
            lengths.append(packed.memory_mask.sum(dim=1))
    ends = torch.cat(lengths).cumsum(dim=0).cpu()
    starts = torch.cat([ends.new_zeros(1), ends])
    return {"states": torch.cat(pieces), "starts": starts, "read_as": torch.tensor(read_as)}


def _digest_of(samples: Sequence[Sample]) -> Tensor:
    """(32,) uint8, which differ for samples with other words."""
    digest = hashlib.sha256()
    for sample in samples:
        digest.update(repr((sample.prompt, sample.answer, sample.image is None)).encode())
        for pose in sample.poses:
            digest.update(pose.tobytes())
    return torch.tensor(list(digest.digest()), dtype=torch.uint8)


def _image_of(policy: PosePolicy, sample: Sample) -> EncodedImages | None:
    """Features of its image, on the CPU."""
    if sample.image is None or isinstance(sample.image, EncodedImages):
        return sample.image
    encoded = policy.encode(sample, with_attributes=False).encoded
    return None if encoded is None else encoded.to("cpu")


def _is_read_alone(policy: PosePolicy, sample: Sample) -> bool:
    """Whether the language model itself reads the sample's picture or poses: no other sample is read as it is.

    Of poses it reads nothing before it is trained to.
    """
    if sample.poses and policy.pose_branch is not None and not policy.pose_branch.text_projector.says_nothing:
        return True
    own_vision = policy.backbone.has_vision and not isinstance(sample.image, EncodedImages)
    return sample.image is not None and (own_vision or policy.image_mode is ImageMode.PROJECTED)


def _text_of_states(policy: PosePolicy, sample: Sample) -> tuple[str, str, bool, int]:
    """What decides how a sample is read: not the answer about a picture, if its head attends to the question alone."""
    pictured = sample.image is not None
    question_alone = pictured and policy.image_branch is not None and policy.image_branch.has_head
    return sample.prompt, "" if question_alone else sample.answer, pictured, len(sample.poses)


def _head_input(policy: PosePolicy, sample: Sample) -> tuple[EncodedPrompt, list[int]]:
    """A sample's prompt and answer without the tokens behind what the head attends to: of a picture, most of them."""
    prompt = policy.encode(sample, with_attributes=False)
    if prompt.memory_end is None or policy.backbone.has_vision:
        return prompt, policy.backbone.answer_ids(sample.answer)
    tokens = PromptTokens(prompt.tokens.ids[: prompt.memory_end], poses_at=prompt.tokens.poses_at)
    return replace(prompt, tokens=tokens), [policy.backbone.pose_token]


def _pack_inputs(
    policy: PosePolicy, inputs: Sequence[tuple[EncodedPrompt, list[int]]], row_tokens: int
) -> PackedGroups:
    """The layout of prompts with an answer each; texts share what all of them begin with (the system's message)."""
    prompts = [prompt for prompt, _ in inputs]
    if not all(prompt.is_plain_text for prompt in prompts) or not policy.language_model.supports_prefix_sharing:
        return policy.pack_answers(prompts, [[answer] for _, answer in inputs], row_tokens)
    columns = zip(*(prompt.tokens.ids for prompt in prompts), strict=False)
    shared = [column[0] for column in takewhile(lambda column: len(set(column)) == 1, columns)]
    rows: list[list[list[int]]] = [[]]
    room = row_tokens
    for prompt, answer in inputs:
        rest = prompt.tokens.ids[len(shared) :] + answer
        if len(rest) > room and rows[-1]:
            rows.append([])
        if not rows[-1]:
            room = row_tokens - len(shared)
        rows[-1].append(rest)
        room -= len(rest)
    return pack_groups([shared] * len(rows), rows, policy.backbone.pose_token, row_tokens)


def pack_samples(policy: PosePolicy, samples: Sequence[Sample], row_tokens: int) -> PackedPrompts:
    """The packed layout of samples, each prompt with its one answer."""
    answers = [[policy.backbone.answer_ids(sample.answer)] for sample in samples]
    return policy.pack_answers([policy.encode(sample) for sample in samples], answers, row_tokens)
