"""A prompt as a language model reads it."""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class PromptTokens:
    """A prompt as a language model reads it.

    Attributes:
        ids: L tokens; those of an image are placeholders.
        insert_at: where, behind the user's words, begins what a pose-aware encoder says, or None without it.
        vision_at: (S,) places of the tokens that the model's own vision makes of the image, or None.
        vision: (S, H) their embeddings.
        positions: (P, L) for models whose tokens have P kinds of position, else None.
        attend_until: (L,) the last token that each attends to, for models whose tokens of an image attend to
            each other both ways, else None.
        deepstack: (D, S, H) what the first D layers add to the image's tokens, for models with DeepStack, else None.
        poses_at: (S,) places of the tokens that stand for given poses, pose after pose, or None without any.
    """

    ids: list[int]
    insert_at: int | None = None
    vision_at: Tensor | None = None
    vision: Tensor | None = None
    positions: Tensor | None = None
    attend_until: Tensor | None = None
    deepstack: Tensor | None = None
    poses_at: Tensor | None = None


def insert_tokens(tokens: PromptTokens, position: int, inserted: list[int]) -> PromptTokens:
    """The prompt with other tokens inserted at a position: words, or placeholders; what follows moves on."""
    assert tokens.vision_at is not None
    count = len(inserted)
    ids = [*tokens.ids[:position], *inserted, *tokens.ids[position:]]
    vision_at = tokens.vision_at + count * (tokens.vision_at >= position)
    positions = tokens.positions
    if positions is not None:
        first = int(positions[:, :position].max()) + 1
        room = torch.arange(first, first + count).expand(len(positions), -1)
        positions = torch.cat([positions[:, :position], room, positions[:, position:] + count], dim=1)
    attend_until = tokens.attend_until
    if attend_until is not None:
        moved = attend_until + count * (attend_until >= position)
        attend_until = torch.cat([moved[:position], torch.arange(position, position + count), moved[position:]])
    poses_at = tokens.poses_at
    if poses_at is not None:
        poses_at = poses_at + count * (poses_at >= position)
    return PromptTokens(ids, position, vision_at, tokens.vision, positions, attend_until, tokens.deepstack, poses_at)
