"""Which pose head answers for which prompt, and what it attends to."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from pose_rft.generation.sampling import SampledAnswers
from pose_rft.policy.image_branch import ImageBranch
from pose_rft.policy.input_embeddings import gather_images, image_numbers, numbered
from pose_rft.policy.mixture import PoseDistribution, interleave
from pose_rft.policy.pose_head import PoseHead
from pose_rft.policy.prompt_encoder import EncodedPrompt
from pose_rft.vision.encoded_images import EncodedImages


def predict_poses(
    head: PoseHead,
    branch: ImageBranch | None,
    memory: Tensor,
    mask: Tensor,
    state: Tensor,
    images: EncodedImages | None,
    image_of: Tensor | None,
) -> PoseDistribution:
    """Distributions of N poses: of prompts about pictures by the branch's head if it has one, of others by ``head``.

    Args:
        memory, mask, state: of the N prompts and answers, as for ``PoseHead``.
        images: features of M pictures, or None.
        image_of: (N,) which of them each memory is about, -1 for none.
    """
    if branch is None or not branch.has_head or images is None or image_of is None:
        return head(memory, mask, state)
    pictured = image_of >= 0
    if not pictured.any():
        return head(memory, mask, state)
    of_images = branch(memory[pictured], mask[pictured], state[pictured], images.rows(image_of[pictured]))
    if pictured.all():
        return of_images
    of_texts = head(memory[~pictured], mask[~pictured], state[~pictured])
    return interleave(pictured, of_texts, of_images)


def poses_of_answers(
    head: PoseHead,
    branch: ImageBranch | None,
    prompts: Sequence[EncodedPrompt],
    sampled: SampledAnswers,
    pose_token: int,
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
    image_of = image_numbers(prompts).repeat_interleave(group_size)
    predicted = predict_poses(head, branch, padded, mask, state, images, image_of)
    flipped = gather_images([prompt.flipped for prompt in prompts])
    if flipped is None:
        return predicted
    has = torch.tensor([prompt.flipped is not None for prompt in prompts])
    number, rows = numbered(has).repeat_interleave(group_size), has.repeat_interleave(group_size).to(device)
    flipped_of = number[number >= 0].to(device)
    other = predict_poses(head, branch, padded[rows], mask[rows], state[rows], flipped, flipped_of)
    return predicted.with_mean(rows, (predicted.mean[rows] + head.mirrored(other.mean)) / 2)


def _memory_length(prompt: EncodedPrompt, answer: list[int], pose_token: int) -> int:
    """How many tokens of prompt and answer the pose head attends to; one without a ``<POSE>``, as in training."""
    if prompt.memory_end is not None:
        return prompt.memory_end
    return len(prompt.tokens.ids) + answer.index(pose_token) + 1 if pose_token in answer else 1
