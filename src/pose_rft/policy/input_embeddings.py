"""The one place that writes the features of images and poses into a language model's input embeddings.

Three kinds of features stand among a prompt's words: what the model's own vision tower makes of an image, what a
pose-aware encoder gives, projected, and given poses, projected. Sampling reads prompts one by one, training packed.
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
from pose_rft.policy.pose_branch import GivenPoses, PoseBranch
from pose_rft.policy.prompt_encoder import EncodedPrompt
from pose_rft.vision.encoded_images import EncodedImages


@dataclass(frozen=True)
class Insertion:
    """Embeddings (S, H) that stand at places (S,) in place of those of the tokens there."""

    at: Tensor
    embeddings: Tensor


@dataclass(frozen=True)
class PackedPrompts(PackedGroups):
    """The shared-prefix layout of prompts with images and poses. Places point into the flattened (R * L) tokens.

    Attributes:
        encoded: features of the M prompts that have an image, or None if none has.
        encoded_of: (N,) which of them each answer is about; -1 for none.
        projected_at: (Q, S) where copies of a prompt hold the pose-aware encoder's tokens.
        projected_of: (Q,) which of the M each copy is of.
        vision_at: (S,) where embeddings of the language model's own vision stand.
        vision: (S, H) those embeddings.
        deepstack: (D, S, H) what the first D layers add there, or None.
        given: poses of the B prompts, or None if none has any.
        given_at: (S,) where copies of prompts hold their tokens, copy after copy.
    """

    encoded: EncodedImages | None
    encoded_of: Tensor
    projected_at: Tensor
    projected_of: Tensor
    vision_at: Tensor
    vision: Tensor | None
    deepstack: Tensor | None
    given: GivenPoses | None
    given_at: Tensor

    def what_answers_are_about(self, rows: Tensor) -> tuple[EncodedImages | None, Tensor, GivenPoses | None]:
        """Pictures, which of them each of these answers is about, and the poses that were given for it."""
        given = None if self.given is None else self.given.rows(self.group[rows])
        return self.encoded, self.encoded_of[rows], given


def pack_prompts(
    prompts: Sequence[EncodedPrompt],
    answers: Sequence[Sequence[Sequence[int]]],
    action_token: int,
    row_tokens: int,
    share_prompts: bool = True,
) -> PackedPrompts:
    """``pack_groups`` of prompts that may be about images and poses."""
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
    projected_at, projected_of, vision_at, vision, deepstack, given_at = [], [], [], [], [], []
    for start, index in zip(packed.starts.tolist(), packed.prompt_of.tolist(), strict=True):
        prompt = prompts[index]
        if prompt.num_projected and prompt.tokens.insert_at is not None:
            projected_at.append(start + prompt.tokens.insert_at + torch.arange(prompt.num_projected))
            projected_of.append(int(number[index]))
        if prompt.tokens.vision_at is not None:
            vision_at.append(start + prompt.tokens.vision_at)
            vision.append(prompt.tokens.vision)
            deepstack.append(prompt.tokens.deepstack)
        if prompt.tokens.poses_at is not None:
            given_at.append(start + prompt.tokens.poses_at)
    return PackedPrompts(
        **{field.name: getattr(packed, field.name) for field in fields(packed)} | {"memory_mask": memory_mask},
        encoded=gather_images([prompt.encoded for prompt in prompts]),
        encoded_of=number[packed.group],
        projected_at=torch.stack(projected_at) if projected_at else torch.zeros(0, 0, dtype=torch.long),
        projected_of=torch.tensor(projected_of, dtype=torch.long),
        vision_at=_all_places(vision_at),
        vision=_joined(vision, dim=0),
        deepstack=_joined(deepstack, dim=1),
        given=GivenPoses.of_prompts([prompt.poses for prompt in prompts]),
        given_at=_all_places(given_at),
    )


def decoder_arguments(
    decoder: PreTrainedModel, packed: PackedGroups, inserted: Sequence[Insertion] = ()
) -> dict[str, Any]:
    """Tokens of a layout, or their embeddings where some stand for others, and what the first layers add to those.

    Args:
        inserted: as ``packed_insertions`` gives them.
    """
    if not isinstance(packed, PackedPrompts) or (packed.vision is None and not inserted):
        return {"input_ids": packed.input_ids}
    table = decoder.get_input_embeddings()(packed.input_ids)  # (R, L, H)
    flat = _write(table.flatten(0, 1), packed.vision_at, packed.vision)
    for each in inserted:
        flat = _write(flat, each.at, each.embeddings)
    return {"inputs_embeds": flat.view_as(table)} | deepstack_arguments(
        (table.shape[0], table.shape[1]), packed.vision_at, packed.deepstack
    )


def decoder_input(
    decoder: PreTrainedModel, prompt: EncodedPrompt, branch: ImageBranch | None, pose_branch: PoseBranch | None
) -> DecoderInput:
    """What a decoder reads of one prompt, whose image and poses the branches project."""
    tokens = prompt.tokens
    if prompt.is_plain_text:
        return DecoderInput(tokens.ids)
    embedded = decoder.get_input_embeddings()(torch.tensor([tokens.ids], device=decoder.device))[0]
    embedded = _write(embedded, tokens.vision_at, tokens.vision)
    if prompt.num_projected and prompt.encoded is not None and branch is not None and tokens.insert_at is not None:
        projected = branch.project_to_embeddings(prompt.encoded)[0]
        embedded = _write(embedded, tokens.insert_at + torch.arange(len(projected)), projected)
    if prompt.poses is not None and pose_branch is not None:
        embedded = _write(embedded, tokens.poses_at, pose_branch.project_to_embeddings(prompt.poses).flatten(0, 1))
    return DecoderInput(tokens.ids, embedded, tokens.positions, tokens.attend_until, tokens.vision_at, tokens.deepstack)


def _write(embeddings: Tensor, places: Tensor | None, features: Tensor | None) -> Tensor:
    """Embeddings (L, H) with features (S, H) at places (S,)."""
    if places is None or features is None:
        return embeddings
    return embeddings.index_copy(0, places.to(embeddings.device), features.to(embeddings))


def _all_places(parts: Sequence[Tensor]) -> Tensor:
    return torch.cat(list(parts)) if parts else torch.zeros(0, dtype=torch.long)


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


def packed_insertions(
    packed: PackedGroups, branch: ImageBranch | None, pose_branch: PoseBranch | None
) -> list[Insertion]:
    """Embeddings of images' features and of given poses, for the copies of prompts that have places for them."""
    inserted: list[Insertion] = []
    if not isinstance(packed, PackedPrompts):
        return inserted
    if packed.encoded is not None and len(packed.projected_at):
        assert branch is not None
        projected = branch.project_to_embeddings(packed.encoded)[packed.projected_of]  # (Q, S, H)
        inserted.append(Insertion(packed.projected_at.flatten(), projected.flatten(0, 1)))
    if packed.given is not None and len(packed.given_at):
        assert pose_branch is not None
        given = packed.given.rows(packed.prompt_of)  # of each copy
        inserted.append(
            Insertion(packed.given_at, pose_branch.project_to_embeddings(given.pose[given.real]).flatten(0, 1))
        )
    return inserted
