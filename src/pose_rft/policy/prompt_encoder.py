"""What a policy is asked, and the layout of what it reads: words, and embeddings that stand for images."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import torch
from torch import Tensor

from pose_rft.generation.packing import PackedGroups, pack_groups
from pose_rft.policy.backbone import PromptTokens
from pose_rft.vision.encoded_images import EncodedImages
from pose_rft.vision.image_encoder import EncodedPerson


@dataclass(frozen=True)
class PromptInput:
    """What a user says, and the image that it is about: a PIL image, a path, a ``Crop``, ``EncodedImages``
    features, or None."""

    prompt: str
    image: Any = None


@dataclass(frozen=True)
class EncodedPrompt:
    """One prompt, read.

    Attributes:
        tokens: as the language model reads it.
        seen: features of its image, of N = 1, or None.
        look: of a photograph: where in it that was seen, or None.
        memory_end: how many of the tokens the pose head may look at, or None for all and the answer's. Of a picture
            that the encoder sees, it looks at what the encoder says and at the words before it: hidden states behind
            would say the same again, and change whenever the projector does.
        sight: how many of the tokens are the encoder's, to be embedded.
        mirrored: features of its image seen in a mirror, of N = 1, or None.
    """

    tokens: PromptTokens
    seen: EncodedImages | None = None
    look: EncodedPerson | None = None
    memory_end: int | None = None
    sight: int = 0
    mirrored: EncodedImages | None = None


@dataclass(frozen=True)
class PackedPrompts(PackedGroups):
    """The shared-prefix layout of prompts with images. Places point into the flattened (R * L) tokens.

    Attributes:
        seen: features of the M prompts that have an image, or None if none has.
        seen_of: (N,) which of them each answer is about; -1 for none.
        sight_at: (Q, S) where copies of a prompt hold its pose-aware tokens.
        sight_of: (Q,) which of the M each copy is of.
        image_at: (S,) where embeddings of the language model's own vision stand.
        image: (S, H) those embeddings.
        added: (D, S, H) what the first D layers add there, or None.
    """

    seen: EncodedImages | None
    seen_of: Tensor
    sight_at: Tensor
    sight_of: Tensor
    image_at: Tensor
    image: Tensor | None
    added: Tensor | None


def pack_prompts(
    readings: Sequence[EncodedPrompt],
    answers: Sequence[Sequence[Sequence[int]]],
    action_token: int,
    row_tokens: int,
    share_prompts: bool = True,
) -> PackedPrompts:
    """``pack_groups`` of prompts that may be about images."""
    tokens = [reading.tokens for reading in readings]
    packed = pack_groups(
        [each.ids for each in tokens],
        answers,
        action_token,
        row_tokens,
        share_prompts=share_prompts,
        positions=[each.positions for each in tokens],
        reach=[each.reach for each in tokens],
    )
    number = seen_numbers(readings)
    memory_mask = packed.memory_mask & (packed.memory < _memory_ends(packed, readings)[:, None])
    sight_at, sight_of, image_at, image, added = [], [], [], [], []
    for start, prompt in zip(packed.starts.tolist(), packed.prompt_of.tolist(), strict=True):
        reading = readings[prompt]
        if reading.image_branch and reading.tokens.sight_at is not None:
            sight_at.append(start + reading.tokens.sight_at + torch.arange(reading.image_branch))
            sight_of.append(int(number[prompt]))
        if reading.tokens.image_at is not None:
            image_at.append(start + reading.tokens.image_at)
            image.append(reading.tokens.image)
            added.append(reading.tokens.added)
    return PackedPrompts(
        **{field.name: getattr(packed, field.name) for field in fields(packed)} | {"memory_mask": memory_mask},
        seen=gather([reading.seen for reading in readings]),
        seen_of=number[packed.group],
        sight_at=torch.stack(sight_at) if sight_at else torch.zeros(0, 0, dtype=torch.long),
        sight_of=torch.tensor(sight_of, dtype=torch.long),
        image_at=torch.cat(image_at) if image_at else torch.zeros(0, dtype=torch.long),
        image=_joined(image, dim=0),
        added=_joined(added, dim=1),
    )


def _joined(parts: Sequence[Tensor | None], dim: int) -> Tensor | None:
    there = [part for part in parts if part is not None]
    return torch.cat(there, dim=dim) if there else None


def _memory_ends(packed: PackedGroups, readings: Sequence[EncodedPrompt]) -> Tensor:
    """(N,) the place behind the last that the pose head may look at, for each answer."""
    copied = len(packed.starts) == len(packed.group)  # the prompt, for each answer
    begins = packed.starts if copied else packed.starts[packed.group]
    everything = packed.input_ids.numel()
    reach = [everything if reading.memory_end is None else reading.memory_end for reading in readings]
    return begins + torch.tensor(reach)[packed.group]


def gather(seen: Sequence[EncodedImages | None]) -> EncodedImages | None:
    """The features of the pictures that are there, in one batch."""
    there = [each for each in seen if each is not None]
    if not there:
        return None
    return EncodedImages(torch.cat([each.tokens for each in there]), torch.cat([each.points for each in there]))


def seen_numbers(readings: Sequence[EncodedPrompt]) -> Tensor:
    """(B,) each prompt's row in ``gather``'s batch; -1 for those without an image."""
    return numbered(torch.tensor([reading.seen is not None for reading in readings]))


def numbered(has: Tensor) -> Tensor:
    """(N,) bool -> (N,) numbers 0, 1, ... of those that have; -1 of the others."""
    return torch.where(has, has.long().cumsum(dim=0) - 1, -1)
