"""The one place that writes the features of images into a language model's input embeddings.

Two kinds of features stand among a prompt's words: what the model's own vision tower makes of an image, and what a
pose-aware encoder gives, projected. Sampling reads prompts one by one, training reads them packed.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import torch
from torch import Tensor
from transformers import PreTrainedModel

from pose_rft.generation.decoders import DecoderInput
from pose_rft.generation.packing import PackedGroups, deepstack_arguments, pack_groups
from pose_rft.policy.image_branch import ImageBranch
from pose_rft.policy.prompt_encoder import EncodedPrompt
from pose_rft.vision.encoded_images import EncodedImages


@dataclass(frozen=True)
class PackedPrompts(PackedGroups):
    """The shared-prefix layout of prompts with images. Places point into the flattened (R * L) tokens.

    Attributes:
        encoded: features of the M prompts that have an image, or None if none has.
        encoded_of: (N,) which of them each answer is about; -1 for none.
        projected_at: (Q, S) where copies of a prompt hold the pose-aware encoder's tokens.
        projected_of: (Q,) which of the M each copy is of.
        vision_at: (S,) where embeddings of the language model's own vision stand.
        vision: (S, H) those embeddings.
        deepstack: (D, S, H) what the first D layers add there, or None.
    """

    encoded: EncodedImages | None
    encoded_of: Tensor
    projected_at: Tensor
    projected_of: Tensor
    vision_at: Tensor
    vision: Tensor | None
    deepstack: Tensor | None


def pack_prompts(
    prompts: Sequence[EncodedPrompt],
    answers: Sequence[Sequence[Sequence[int]]],
    action_token: int,
    row_tokens: int,
    share_prompts: bool = True,
) -> PackedPrompts:
    """``pack_groups`` of prompts that may be about images."""
    tokens = [prompt.tokens for prompt in prompts]
    packed = pack_groups(
        [each.ids for each in tokens],
        answers,
        action_token,
        row_tokens,
        share_prompts=share_prompts,
        positions=[each.positions for each in tokens],
        attend_until=[each.attend_until for each in tokens],
    )
    number = image_numbers(prompts)
    memory_mask = packed.memory_mask & (packed.memory < _memory_ends(packed, prompts)[:, None])
    projected_at, projected_of, vision_at, vision, deepstack = [], [], [], [], []
    for start, index in zip(packed.starts.tolist(), packed.prompt_of.tolist(), strict=True):
        prompt = prompts[index]
        if prompt.num_projected and prompt.tokens.insert_at is not None:
            projected_at.append(start + prompt.tokens.insert_at + torch.arange(prompt.num_projected))
            projected_of.append(int(number[index]))
        if prompt.tokens.vision_at is not None:
            vision_at.append(start + prompt.tokens.vision_at)
            vision.append(prompt.tokens.vision)
            deepstack.append(prompt.tokens.deepstack)
    return PackedPrompts(
        **{field.name: getattr(packed, field.name) for field in fields(packed)} | {"memory_mask": memory_mask},
        encoded=gather_images([prompt.encoded for prompt in prompts]),
        encoded_of=number[packed.group],
        projected_at=torch.stack(projected_at) if projected_at else torch.zeros(0, 0, dtype=torch.long),
        projected_of=torch.tensor(projected_of, dtype=torch.long),
        vision_at=torch.cat(vision_at) if vision_at else torch.zeros(0, dtype=torch.long),
        vision=_joined(vision, dim=0),
        deepstack=_joined(deepstack, dim=1),
    )


def decoder_arguments(decoder: PreTrainedModel, packed: PackedGroups, projected: Tensor | None) -> dict[str, Any]:
    """Tokens of a layout, or their embeddings where some stand for an image, and what the first layers add to those.

    Args:
        projected: (Q, S, H) embeddings for ``packed.projected_at``.
    """
    if not isinstance(packed, PackedPrompts) or (packed.vision is None and packed.encoded is None):
        return {"input_ids": packed.input_ids}
    table = decoder.get_input_embeddings()(packed.input_ids)  # (R, L, H)
    flat = _write(table.flatten(0, 1), packed.vision_at, packed.vision)
    if projected is not None and len(packed.projected_at):
        flat = _write(flat, packed.projected_at.flatten(), projected.flatten(0, 1))
    return {"inputs_embeds": flat.view_as(table)} | deepstack_arguments(
        (table.shape[0], table.shape[1]), packed.vision_at, packed.deepstack
    )


def decoder_input(decoder: PreTrainedModel, prompt: EncodedPrompt, projected: Tensor | None) -> DecoderInput:
    """What a decoder reads of one prompt.

    Args:
        projected: (``prompt.num_projected``, H) embeddings of the pose-aware encoder's features, or None without any.
    """
    tokens = prompt.tokens
    if tokens.vision is None and prompt.encoded is None:
        return DecoderInput(tokens.ids)
    embedded = decoder.get_input_embeddings()(torch.tensor([tokens.ids], device=decoder.device))[0]
    embedded = _write(embedded, tokens.vision_at, tokens.vision)
    if projected is not None and tokens.insert_at is not None:
        embedded = _write(embedded, tokens.insert_at + torch.arange(len(projected)), projected)
    return DecoderInput(tokens.ids, embedded, tokens.positions, tokens.attend_until, tokens.vision_at, tokens.deepstack)


def _write(embeddings: Tensor, places: Tensor | None, features: Tensor | None) -> Tensor:
    """Embeddings (L, H) with features (S, H) at places (S,)."""
    if places is None or features is None:
        return embeddings
    return embeddings.index_copy(0, places.to(embeddings.device), features.to(embeddings))


def _joined(parts: Sequence[Tensor | None], dim: int) -> Tensor | None:
    there = [part for part in parts if part is not None]
    return torch.cat(there, dim=dim) if there else None


def _memory_ends(packed: PackedGroups, prompts: Sequence[EncodedPrompt]) -> Tensor:
    """(N,) the place behind the last that the pose head may attend to, for each answer."""
    copied = len(packed.starts) == len(packed.group)  # the prompt, for each answer
    begins = packed.starts if copied else packed.starts[packed.group]
    everything = packed.input_ids.numel()
    ends = [everything if prompt.memory_end is None else prompt.memory_end for prompt in prompts]
    return begins + torch.tensor(ends)[packed.group]


def gather_images(encoded: Sequence[EncodedImages | None]) -> EncodedImages | None:
    """The features of the images that are there, in one batch."""
    there = [each for each in encoded if each is not None]
    if not there:
        return None
    return EncodedImages(torch.cat([each.tokens for each in there]), torch.cat([each.points for each in there]))


def image_numbers(prompts: Sequence[EncodedPrompt]) -> Tensor:
    """(B,) each prompt's row in the batch of ``gather_images``; -1 for those without an image."""
    return numbered(torch.tensor([prompt.encoded is not None for prompt in prompts]))


def numbered(has: Tensor) -> Tensor:
    """(N,) bool -> (N,) numbers 0, 1, ... of those that have; -1 of the others."""
    return torch.where(has, has.long().cumsum(dim=0) - 1, -1)


def packed_projections(packed: PackedGroups, branch: ImageBranch | None) -> Tensor | None:
    """(Q, S, H) embeddings of images' features, for the copies of prompts that have places for them."""
    if not isinstance(packed, PackedPrompts) or packed.encoded is None or not len(packed.projected_at):
        return None
    assert branch is not None
    return branch.project_to_embeddings(packed.encoded)[packed.projected_of]
