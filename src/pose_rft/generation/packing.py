"""The shared-prefix layout: answers of one prompt packed behind a single copy of it.

A group is laid out as ``[prompt | answer_1 | ... | answer_G]`` and several groups share a row. A block mask lets every
answer see its prompt and itself only, and position ids restart after the prompt, so each answer is read exactly as if
it stood alone behind the prompt, while the prompt is computed once. With one answer per prompt this is ordinary
sequence packing, which the supervised stage uses: next to nothing is spent on padding in either.

Language models that cannot read this layout (state space models, positions that are counted along the row) get the
padded one: each answer behind its own copy of the prompt, in a row of its own. Everything that follows is the same.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Self

import torch
from torch import Tensor


@dataclass(frozen=True)
class PackedGroups:
    """N answers to B prompts in R rows of L tokens. Indices point into the flattened (R * L) tokens.

    Attributes:
        input_ids: (R, L) tokens.
        position_ids: (R, L) position of each token as if its answer stood alone behind its prompt; (P, R, L) for models
            whose tokens have P positions.
        attention: (R, 1, L, L) bool, true where a token (row) may attend to another (column); None where rows are plain
            causal sequences, padded on the right.
        targets: (N, T) the answers' tokens, zero-padded.
        target_mask: (N, T) true on tokens of the answers.
        predictors: (N, T) where each target is predicted: the token before it.
        memory: (N, S) where the prompt and the answer up to the action token stand.
        memory_mask: (N, S).
        action: (N,) where the action token stands; 0 where there is none.
        has_action: (N,) bool.
        group: (N,) index of each answer's prompt.
        starts: (C,) where each copy of a prompt begins, as ``prompt_of`` names them.
        prompt_of: (C,) index of the prompt of each copy: once per prompt, or per answer where prompts are not shared.
    """

    input_ids: Tensor
    position_ids: Tensor
    attention: Tensor | None
    targets: Tensor
    target_mask: Tensor
    predictors: Tensor
    memory: Tensor
    memory_mask: Tensor
    action: Tensor
    has_action: Tensor
    group: Tensor
    starts: Tensor
    prompt_of: Tensor

    def to(self, device: torch.device | str) -> Self:
        parts = {f.name: getattr(self, f.name) for f in fields(self)}
        return replace(self, **{name: value.to(device) for name, value in parts.items() if value is not None})


def pack_groups(
    prompts: Sequence[Sequence[int]],
    answers: Sequence[Sequence[Sequence[int]]],
    action_token: int,
    row_tokens: int = 1024,
    pad_token: int = 0,
    share_prompts: bool = True,
    positions: Sequence[Tensor | None] | None = None,
    attend_until: Sequence[Tensor | None] | None = None,
) -> PackedGroups:
    """Lay groups out in as few rows as first-fit-decreasing finds.

    Args:
        prompts: B token lists.
        answers: B lists of token lists; groups may differ in size. Answers include their end-of-turn token.
        action_token: the id of ``<POSE>``. Only the first one of an answer counts.
        row_tokens: budget of a row; a group longer than this gets a row of its own length.
        pad_token: fills rows up; padding attends to itself only and is read by nobody.
        share_prompts: False gives the padded layout, a row for every answer; ``row_tokens`` says nothing then.
        positions: of each prompt's tokens, (P, length) for the P kinds of position that a model knows (images are read
            in rows and columns), or None where they are counted. An answer goes on behind the largest.
        attend_until: of each prompt's tokens, (length,) the last one that it attends to, for models whose tokens of an
            image attend to each other both ways; None where each is the last that it attends to itself.

    Returns:
        The layout; answers in the order given, group after group.

    Raises:
        ValueError: an empty prompt, or a group without answers.
    """
    if len(prompts) != len(answers):
        raise ValueError(f"{len(prompts)} prompts but {len(answers)} groups of answers")
    for index, (prompt, group) in enumerate(zip(prompts, answers, strict=True)):
        if not prompt or not group:
            raise ValueError(f"group {index} has an empty prompt or no answer")
    group_of_answer = [g for g, group in enumerate(answers) for _ in group]
    nothing: list[Tensor | None] = [None] * len(prompts)
    places_of, attend_until_of = list(positions or nothing), list(attend_until or nothing)
    prompt_of = list(range(len(prompts)))
    if not share_prompts:
        prompt_of = group_of_answer
        prompts, places_of = [prompts[g] for g in group_of_answer], [places_of[g] for g in group_of_answer]
        attend_until_of = [attend_until_of[g] for g in group_of_answer]
        answers = [[answer] for group in answers for answer in group]
    sizes = [len(prompt) + sum(map(len, group)) for prompt, group in zip(prompts, answers, strict=True)]
    rows = _first_fit(sizes, max(row_tokens, max(sizes))) if share_prompts else [[g] for g in range(len(sizes))]
    length = max(sum(sizes[g] for g in row) for row in rows)

    causal = not share_prompts and all(ahead is None for ahead in attend_until_of)
    input_ids = torch.full((len(rows), length), pad_token)
    kinds = next((len(places) for places in places_of if places is not None), 1)
    position_ids = torch.zeros((kinds, len(rows), length), dtype=torch.long)
    starts = torch.zeros(len(prompts), dtype=torch.long)
    # Tokens of prompts are of part 0 of their group, answers of parts 1, 2, ...; -1 is padding.
    group_of = torch.full((len(rows), length), -1)
    part_of = torch.full((len(rows), length), -1)
    attended = torch.arange(length).repeat(len(rows), 1)
    placed: dict[tuple[int, int], tuple[list[int], list[int], list[int]]] = {}
    for r, row in enumerate(rows):
        start = 0
        for g in row:
            base, prompt = r * length, prompts[g]
            prompt_places = list(range(base + start, base + start + len(prompt)))
            counted = prompt_positions(len(prompt), places_of[g])
            starts[g] = base + start
            ahead = attend_until_of[g]
            if ahead is not None:
                attended[r, start : start + len(prompt)] = start + ahead
            _write(input_ids, position_ids, group_of, part_of, r, start, prompt, counted, g, 0)
            start += len(prompt)
            for i, answer in enumerate(answers[g]):
                answer_positions = counted.max() + 1 + torch.arange(len(answer))
                _write(input_ids, position_ids, group_of, part_of, r, start, answer, answer_positions, g, i + 1)
                places = list(range(base + start, base + start + len(answer)))
                before = [prompt_places[-1], *places[:-1]][: len(places)]
                memory_length = answer.index(action_token) + 1 if action_token in answer else 0
                placed[g, i] = (places, before, prompt_places + places[:memory_length] if memory_length else [])
                start += len(answer)

    order = sorted(placed)
    targets, target_mask = _ragged([answers[g][i] for g, i in order])
    predictors, _ = _ragged([placed[key][1] for key in order])
    memory, memory_mask = _ragged([placed[key][2] for key in order])
    has_action = memory_mask.any(dim=1)
    last = (memory_mask.sum(dim=1) - 1).clamp(min=0)
    return PackedGroups(
        input_ids=input_ids,
        position_ids=position_ids if kinds > 1 else position_ids[0],
        attention=_block_mask(group_of, part_of, attended) if not causal else None,
        targets=targets,
        target_mask=target_mask,
        predictors=predictors,
        memory=memory,
        memory_mask=memory_mask,
        action=memory.gather(1, last[:, None])[:, 0],
        has_action=has_action,
        group=torch.tensor(group_of_answer),
        starts=starts,
        prompt_of=torch.tensor(prompt_of),
    )


def prompt_positions(length: int, positions: Tensor | None) -> Tensor:
    """(P, length) as given, or (1, length) counted from 0."""
    return torch.arange(length)[None] if positions is None else positions


def deepstack_arguments(shape: tuple[int, int], positions: Tensor, deepstack: Tensor | None) -> dict[str, Any]:
    """The arguments with which transformers' decoders add to hidden states behind their first layers (DeepStack).

    Args:
        shape: (R, L) of the tokens.
        positions: (S,) in the flattened (R * L) tokens.
        deepstack: (D, S, H) what the first D layers add there, or None.
    """
    if deepstack is None:
        return {}
    mask = torch.zeros(shape, dtype=torch.bool, device=positions.device)
    mask.view(-1)[positions] = True
    return {"visual_pos_masks": mask, "deepstack_visual_embeds": list(deepstack[:, positions.argsort()])}


def additive_mask(allowed: Tensor, dtype: torch.dtype) -> Tensor:
    """Boolean attention mask -> what transformers adds to attention scores."""
    return torch.zeros(allowed.shape, dtype=dtype, device=allowed.device).masked_fill(~allowed, torch.finfo(dtype).min)


def _first_fit(sizes: list[int], budget: int) -> list[list[int]]:
    """Indices of items, by bin; biggest first, each into the first bin with room."""
    bins: list[list[int]] = []
    room: list[int] = []
    for item in sorted(range(len(sizes)), key=lambda k: (-sizes[k], k)):
        for b, left in enumerate(room):
            if sizes[item] <= left:
                bins[b].append(item)
                room[b] -= sizes[item]
                break
        else:
            bins.append([item])
            room.append(budget - sizes[item])
    return bins


def _write(
    ids: Tensor,
    positions: Tensor,
    groups: Tensor,
    parts: Tensor,
    row: int,
    start: int,
    tokens: Sequence[int],
    counted: Tensor,
    group: int,
    part: int,
) -> None:
    columns = slice(start, start + len(tokens))
    ids[row, columns] = torch.as_tensor(tokens, dtype=torch.long)
    positions[:, row, columns] = counted
    groups[row, columns] = group
    parts[row, columns] = part


def _block_mask(group: Tensor, part: Tensor, attended: Tensor) -> Tensor:
    """(R, L) each -> (R, 1, L, L): within the group, to the prompt or the same part, no further than ``attended``."""
    length = group.shape[1]
    backwards = torch.arange(length) <= attended[:, :, None]
    same_group = group[:, :, None] == group[:, None, :]
    own_or_prompt = (part[:, :, None] == part[:, None, :]) | (part[:, None, :] == 0)
    itself = torch.eye(length, dtype=torch.bool)
    real = (group >= 0)[:, :, None]
    return ((backwards & same_group & own_or_prompt & real) | itself)[:, None]


def _ragged(lists: Sequence[Sequence[int]]) -> tuple[Tensor, Tensor]:
    """Lists of different lengths -> (N, longest) padded with 0, and the mask of what is real."""
    longest = max((len(items) for items in lists), default=0)
    table = torch.zeros(len(lists), max(longest, 1), dtype=torch.long)
    mask = torch.zeros_like(table, dtype=torch.bool)
    for row, items in enumerate(lists):
        table[row, : len(items)] = torch.as_tensor(items, dtype=torch.long)
        mask[row, : len(items)] = True
    return table, mask
