"""Which pose head answers for which prompt, and what it attends to."""

from collections.abc import Callable, Sequence
from typing import Protocol

import torch
from torch import Tensor, nn

from pose_rft.generation.sampling import SampledAnswers
from pose_rft.policy.image_branch import ImageBranch
from pose_rft.policy.input_embeddings import gather_images, image_numbers, numbered
from pose_rft.policy.mixture import PoseDistribution, interleave
from pose_rft.policy.pose_branch import GivenPoses, PoseBranch
from pose_rft.policy.pose_head import PoseHead
from pose_rft.policy.pose_tokens import PoseTokens
from pose_rft.policy.prompt_encoder import EncodedPrompt
from pose_rft.vision.encoded_images import EncodedImages


class Heads(Protocol):
    """The pose heads of a ``PosePolicy``."""

    @property
    def head(self) -> PoseHead: ...

    @property
    def image_branch(self) -> ImageBranch | None: ...

    @property
    def pose_branch(self) -> PoseBranch | None: ...


def predict_poses(
    heads: Heads,
    memory: Tensor,
    mask: Tensor,
    state: Tensor,
    images: EncodedImages | None = None,
    image_of: Tensor | None = None,
    given: GivenPoses | None = None,
) -> PoseDistribution:
    """Distributions of N poses, each by one head.

    Of prompts about pictures the image branch's answers if it has one, of others about given poses the pose branch's,
    and of all others that of texts.

    Args:
        memory, mask, state: of the N prompts and answers, as for ``PoseHead``.
        images: features of M pictures, or None.
        image_of: (N,) which of them each memory is about, -1 for none.
        given: poses that the N prompts are about, or None if none is about any.
    """
    rows, none = torch.arange(len(memory), device=memory.device), mask.new_zeros(len(memory))
    branch, pose_branch = heads.image_branch, heads.pose_branch
    has_head = branch is not None and branch.has_head and images is not None and image_of is not None
    pictured = image_of >= 0 if has_head and image_of is not None else none
    posed = given.has_any if given is not None else none

    def of_texts(rows: Tensor) -> PoseDistribution:
        every = len(rows) == len(memory)  # a copy of all states is worth avoiding
        return heads.head(memory, mask, state) if every else heads.head(memory[rows], mask[rows], state[rows])

    def of_given(rows: Tensor) -> PoseDistribution:
        assert pose_branch is not None
        assert given is not None
        return pose_branch(memory[rows], mask[rows], state[rows], given.rows(rows))

    def of_images(rows: Tensor) -> PoseDistribution:
        assert branch is not None
        assert images is not None
        assert image_of is not None
        return branch(memory[rows], mask[rows], state[rows], images.rows(image_of[rows]))

    def of_words(rows: Tensor) -> PoseDistribution:
        return _by_one_of(posed, rows, of_texts, of_given)

    return _by_one_of(pictured, rows, of_words, of_images)


def _by_one_of(
    which: Tensor,
    rows: Tensor,
    first: Callable[[Tensor], PoseDistribution],
    second: Callable[[Tensor], PoseDistribution],
) -> PoseDistribution:
    """Of ``rows`` (R,) those by ``second`` for which ``which`` (N,) bool is true, the others by ``first``."""
    own = which[rows]
    if own.all():
        return second(rows)
    if not own.any():
        return first(rows)
    return interleave(own, first(rows[~own]), second(rows[own]))


def poses_of_answers(
    heads: Heads, prompts: Sequence[EncodedPrompt], sampled: SampledAnswers, pose_token: int
) -> PoseDistribution:
    """The B * G distributions of sampled answers; means of flipped pictures too where prompts have them."""
    memory = [
        hidden[: _memory_length(prompt, answer, pose_token)]
        for prompt, group, states in zip(prompts, sampled.ids, sampled.hidden, strict=True)
        for answer, hidden in zip(group, states, strict=True)
    ]
    padded = nn.utils.rnn.pad_sequence(memory, batch_first=True)  # (N, S, H)
    device, group_size = padded.device, len(sampled.ids[0])
    lengths = torch.tensor([len(each) for each in memory], device=device)
    mask = torch.arange(padded.shape[1], device=device) < lengths[:, None]
    state = padded[torch.arange(len(memory), device=device), lengths - 1]
    images = gather_images([prompt.encoded for prompt in prompts])
    image_of = image_numbers(prompts).repeat_interleave(group_size).to(device)
    given = GivenPoses.of_prompts([prompt.poses for prompt in prompts for _ in range(group_size)])
    given = None if given is None else given.to(device)
    predicted = predict_poses(heads, padded, mask, state, images, image_of, given)
    flipped = gather_images([prompt.flipped for prompt in prompts])
    if flipped is None:
        return predicted
    has = torch.tensor([prompt.flipped is not None for prompt in prompts])
    number, rows = numbered(has).repeat_interleave(group_size), has.repeat_interleave(group_size).to(device)
    flipped_of = number[number >= 0].to(device)
    other = predict_poses(heads, padded[rows], mask[rows], state[rows], flipped, flipped_of)
    assert not isinstance(predicted, PoseTokens), "tokens answer texts alone"
    assert not isinstance(other, PoseTokens)
    return predicted.with_mean(rows, (predicted.mean[rows] + heads.head.mirrored(other.mean)) / 2)


def _memory_length(prompt: EncodedPrompt, answer: list[int], pose_token: int) -> int:
    """How many tokens of prompt and answer the pose head attends to; one without a ``<POSE>``, as in training."""
    if prompt.memory_end is not None:
        return prompt.memory_end
    return len(prompt.tokens.ids) + answer.index(pose_token) + 1 if pose_token in answer else 1
