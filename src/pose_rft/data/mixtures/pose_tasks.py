"""Tasks about given poses: edit one by an order, complete, describe, compare and correct it.

A task's poses come from recordings and concepts. An edit's target is the start with some limbs of another pose: what
the order says then is true of it by measurement, and all other joints are as they were, to the bit.
"""

from collections.abc import Sequence
from functools import cache

import numpy as np
import torch
from torch import Tensor

from pose_rft.body import load_body
from pose_rft.body.skeleton import JOINT_INDEX, JOINT_NAMES, mirrored_name
from pose_rft.data.mixtures.drawing import Drawing, drawn_frames, mixed_concept_poses, repetitions
from pose_rft.data.mixtures.everyday_orders import Said, everyday_orders
from pose_rft.data.mixtures.solved_edits import solved_edits
from pose_rft.data.mocap.pose_mixing import interpolated
from pose_rft.data.phrases import pick, typed
from pose_rft.data.sample import OUTLINED_ANSWER, Sample
from pose_rft.posescript.captions import caption
from pose_rft.posescript.edits.instructions import EditInstruction, edit_instructions
from pose_rft.posescript.outline import outline_of_facts
from pose_rft.storage import package_table

TABLE: dict[str, list[str]] = package_table(__package__, "pose_tasks.yaml")
BATCH = 1_000  # poses that are measured at once
SPARE = 1.3  # pairs drawn for a sample: some have no name for what changed
SOLVED_RATE = 0.9  # of the edits, whose targets are the least change; those of the others have limbs of another pose
SOLVED_SPARE = 1.5  # starts drawn for one of them: an order may make no sense for a pose
PLAIN_RATE = 0.4  # of the edits, that are the pose and the order as typed
EVERYDAY_RATE = 0.6  # of the others, that are said in everyday words; the others are edit instructions
WHOLE_RATE = 0.15  # of the targets, that are another pose altogether
PART_RATE = 0.5  # of the others, that go a part of the way
SAID_RATE = 0.4  # of the completions, that say what the whole pose is
RIGHT_RATE = 0.2  # of the corrections, that are of what is right

_LEFT = {
    "arm": ("collar", "shoulder", "elbow", "wrist"), "shoulder": ("shoulder",), "elbow": ("elbow",),
    "leg": ("hip", "knee", "ankle", "foot"), "knee": ("knee",),
}  # fmt: skip
LIMBS = {f"left_{limb}": tuple(f"left_{joint}" for joint in joints) for limb, joints in _LEFT.items()}
LIMBS |= {mirrored_name(limb): tuple(map(mirrored_name, joints)) for limb, joints in LIMBS.items()}
LIMBS |= {f"{limb}s": LIMBS[f"left_{limb}"] + LIMBS[f"right_{limb}"] for limb in ("arm", "shoulder", "elbow", "knee")}
LIMBS |= {
    "head": ("neck", "head"),
    "trunk": ("spine1", "spine2", "spine3"),
    "lower body": ("pelvis", *LIMBS["left_leg"], *LIMBS["right_leg"]),
}
CHANGED = {  # limbs that edits take from another pose, and how often
    "left_arm": 3, "right_arm": 3, "arms": 4, "left_shoulder": 1, "right_shoulder": 1, "shoulders": 1,
    "left_elbow": 1.5, "right_elbow": 1.5, "elbows": 1.5, "left_leg": 1, "right_leg": 1, "knees": 1, "head": 2,
    "trunk": 1.5, "lower body": 3,
}  # fmt: skip
GIVEN = {  # parts that completions keep -> how they are told
    ("arms",): "the arms are", ("lower body",): "the legs are", ("left_arm",): "the left arm is",
    ("right_arm",): "the right arm is", ("arms", "head"): "the arms and the head are",
    ("trunk", "head"): "the torso is", ("trunk", "head", "arms"): "the upper body is",
}  # fmt: skip


def drawn_poses(drawing: Drawing, count: int) -> np.ndarray:
    """Poses (N, 22, 3): half recorded and half mixed of concepts', or all of the latter without recordings."""
    recorded = 0 if drawing.recordings is None else count // 2
    poses = [mixed_concept_poses(drawing, count - recorded)]
    if drawing.recordings is not None:
        poses.append(drawn_frames(drawing, drawing.recordings, recorded)[1])
    return np.concatenate(poses)[drawing.rng.permutation(count)].astype(np.float32)


def draw_edits(drawing: Drawing, count: int) -> list[Sample]:
    """A pose and an order that changes it."""
    samples = _solved_edits(drawing, round(SOLVED_RATE * count))
    while len(samples) < count:
        wanted = min(BATCH, round(SPARE * (count - len(samples))) + 4)
        before = torch.from_numpy(drawn_poses(drawing, wanted))
        after = edited_poses(before, torch.from_numpy(drawn_poses(drawing, wanted)), drawing.rng)
        everyday = int(EVERYDAY_RATE * wanted)
        samples += _everyday_edits(drawing, before[:everyday], after[:everyday])
        samples += _instructed_edits(drawing, before[everyday:], after[everyday:])
    return samples[:count]


def _solved_edits(drawing: Drawing, count: int) -> list[Sample]:
    samples: list[Sample] = []
    while len(samples) < count:
        poses = torch.from_numpy(drawn_poses(drawing, round(SOLVED_SPARE * (count - len(samples))) + 4))
        last: tuple[Said, str, str] | None = None
        for said, start, end in solved_edits(poses, drawing.rng):
            if last is None or last[0] is not said:  # starts of one order share its words, which are read once
                last = said, _prompt(drawing, typed(said.clause, drawing.rng)), drawing.answer()
            samples.append(_edit(last[1], last[2], start.numpy(), end.numpy(), said.checks, said.changes, "solved"))
    return samples[:count]


def edited_poses(before: Tensor, other: Tensor, rng: np.random.Generator) -> Tensor:
    """Poses (N, 22, 3) with some limbs of others, all the way or a part of it; some are the others altogether."""
    names = list(CHANGED)
    share = np.array(list(CHANGED.values())) / sum(CHANGED.values())
    moved = torch.zeros(len(before), len(JOINT_NAMES), dtype=torch.bool)
    for row, which in enumerate(rng.choice(len(names), size=len(before), p=share)):
        moved[row, _joints(names[which])] = True
    moved[torch.from_numpy(rng.random(len(before)) < WHOLE_RATE)] = True
    far = np.where(rng.random(len(before)) < PART_RATE, rng.uniform(0.25, 1.0, len(before)), 1.0)
    on_the_way = interpolated(before, other, torch.from_numpy(far).float()[:, None, None])
    return torch.where(moved[..., None], on_the_way, before)


@cache
def _joints(limb: str) -> tuple[int, ...]:
    return tuple(JOINT_INDEX[name] for name in LIMBS[limb])


def _everyday_edits(drawing: Drawing, before: Tensor, after: Tensor) -> list[Sample]:
    orders = everyday_orders(load_body().points(before), load_body().points(after), drawing.rng)
    return [
        _edit(_prompt(drawing, order.text), drawing.answer(), start, end, order.checks, order.changes, "everyday")
        for order, start, end in zip(orders, before.numpy(), after.numpy(), strict=True)
        if order is not None
    ]


def _instructions(drawing: Drawing, before: Tensor, after: Tensor) -> list[EditInstruction]:
    body = load_body()
    return edit_instructions(body.points(before), body.points(after), seed=int(drawing.rng.integers(2**31)))


def _instructed_edits(drawing: Drawing, before: Tensor, after: Tensor) -> list[Sample]:
    return [
        _edit(
            _prompt(drawing, typed(said.text, drawing.rng)),
            drawing.answer(),
            start,
            end,
            said.checks,
            said.changes,
            "instruction",
        )
        for said, start, end in zip(_instructions(drawing, before, after), before.numpy(), after.numpy(), strict=True)
        if said.checks or said.changes
    ]


def _prompt(drawing: Drawing, order: str) -> str:
    words = {"order": f"{order[0].lower()}{order[1:]}", "Order": f"{order[0].upper()}{order[1:]}"}
    frames = TABLE["edit"]
    return (frames[0] if drawing.rng.random() < PLAIN_RATE else pick(drawing.rng, frames)).format(**words)


def _edit(
    prompt: str,
    answer: str,
    before: np.ndarray,
    after: np.ndarray,
    checks: Sequence[str],
    changes: Sequence[str],
    kind: str,
) -> Sample:
    return Sample(
        prompt, answer, after, None, "edit_pose", tuple(checks), f"edit:{kind}", poses=(before,), changes=tuple(changes)
    )


def draw_completions(drawing: Drawing, count: int) -> list[Sample]:
    """A pose of which some parts are given, all other joints at rest, and the whole pose."""
    poses, rng = drawn_poses(drawing, count), drawing.rng
    said = caption(load_body().points(torch.from_numpy(poses)), seed=int(rng.integers(2**31)))
    samples = []
    for pose, described in zip(poses, said, strict=True):
        parts = pick(rng, list(GIVEN))
        known = [joint for part in parts for joint in _joints(part)]
        given = np.zeros_like(pose)
        given[known] = pose[known]
        told = rng.random() < SAID_RATE
        frame = pick(rng, TABLE["complete_said" if told else "complete"])
        prompt = frame.format(given=GIVEN[parts], said=typed(described.text, rng))
        checks = described.checks if told else ()
        samples.append(
            Sample(prompt, drawing.answer(), pose, None, "complete_pose", checks, "complete", poses=(given,))
        )
    return samples


def draw_descriptions(drawing: Drawing, count: int) -> list[Sample]:
    """A pose, and what its body does in words that rules make of it."""
    poses, rng = drawn_poses(drawing, round(SPARE * count) + 4), drawing.rng
    said = caption(load_body().points(torch.from_numpy(poses)), seed=int(rng.integers(2**31)))
    samples = []
    for pose, described in zip(poses, said, strict=True):
        if (outline := outline_of_facts(described.posecodes)) is not None:
            prompt = pick(rng, TABLE["describe"])
            samples.append(Sample(prompt, f"{outline.text}.", task="describe_pose", source="describe", poses=(pose,)))
    return samples[:count]


def draw_comparisons(drawing: Drawing, count: int) -> list[Sample]:
    """Two poses, and what one has to change to get from the first to the second."""
    before = torch.from_numpy(drawn_poses(drawing, count))
    after = edited_poses(before, torch.from_numpy(drawn_poses(drawing, count)), drawing.rng)
    return [
        Sample(
            pick(drawing.rng, TABLE["compare"]), said.text, task="compare_poses", source="compare", poses=(start, end)
        )
        for said, start, end in zip(_instructions(drawing, before, after), before.numpy(), after.numpy(), strict=True)
    ]


def draw_corrections(drawing: Drawing, count: int) -> list[Sample]:
    """An exercise done wrong, and the same person's at the same moment of it done right; sometimes one done right."""
    assert drawing.recordings is not None
    rng, exercises = drawing.rng, repetitions(drawing.recordings)
    pose, description = drawing.recordings.pose, drawing.recordings.description
    rows, fine = [], rng.random(count) < RIGHT_RATE
    for is_fine in fine:
        right, wrong = exercises[int(rng.integers(len(exercises)))]
        moment = rng.random()
        good, bad = (rows_of[int(moment * len(rows_of))] for rows_of in (pick(rng, right), pick(rng, wrong)))
        rows.append((good if is_fine else bad, good))
    before, after = (torch.from_numpy(pose[[row[at] for row in rows]]) for at in (0, 1))
    samples = []
    for said, (start, end), is_fine in zip(_instructions(drawing, before, after), rows, fine, strict=True):
        prompt = pick(rng, TABLE["correct"]).format(exercise=description[start].partition(",")[0])
        answer = pick(rng, TABLE["nothing_wrong"]) if is_fine else said.text.rstrip(".")
        sample = Sample(
            prompt, OUTLINED_ANSWER.format(answer), pose[end], None, "correct_pose", said.checks,
            f"correct:{drawing.recordings.sequence[start]}", poses=(pose[start],), changes=said.changes,
        )  # fmt: skip
        samples.append(sample)
    return samples
