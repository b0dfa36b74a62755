"""Edit instructions: what somebody in one pose has to change to be in another, in the imperative.

After PoseFix (Delmas et al., ICCV 2023), described in its paper: what differs between two poses is stated by body part,
as posecodes that become true and as comparisons ("bend the left knee more"). Every statement carries its check: those
of posecodes are read on the second pose alone, comparisons on both (``pose_rft.posescript.edits.comparisons``).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Literal, NamedTuple, get_args

import numpy as np
import torch
from torch import Tensor

from pose_rft.body import load_body
from pose_rft.body.pose_files import Up, read_poses
from pose_rft.errors import UserError
from pose_rft.posescript.captions import write_texts
from pose_rft.posescript.checks import as_joints, satisfied
from pose_rft.posescript.edits.changes import Edit, edits_table, load_edits, possible_edits
from pose_rft.posescript.edits.comparisons import PosePair, compare
from pose_rft.posescript.posecodes import exchange_sides
from pose_rft.posescript.selection import choose, limbs_of, part_of

Style = Literal["short", "medium", "full", "any"]
LENGTHS = {"short": (1, 2), "medium": (2, 4), "full": (4, 7)}
CHUNK = 1000  # pairs at once
UNMOVED = 0.01  # metres that no joint may have moved by for "stay as you are"


@dataclass(frozen=True)
class EditInstruction:
    """What must change from one pose to reach another.

    Attributes:
        text: one or more sentences in the imperative.
        checks: statements about the second pose, in the language of ``pose_rft.posescript.checks``; the pose that the
            instruction leads to fulfils all of them with a margin, the one it starts from none.
        posecodes: ids of the same statements.
        changes: statements that compare the second pose with the first, in the language of
            ``pose_rft.posescript.edits.comparisons``; they hold with a margin as well.
    """

    text: str
    checks: tuple[str, ...]
    posecodes: tuple[str, ...]
    changes: tuple[str, ...]


class Request(NamedTuple):
    """One thing to ask for: an edit of one side, or with its twin of both, in one of the wordings of these numbers."""

    edit: Edit
    twin: Edit | None
    usable: tuple[int, ...]

    @property
    def both(self) -> bool:
        return self.twin is not None

    def statements(self, number: int) -> list["Stated"]:
        """What the wording of that number says."""
        edits = (self.edit, self.twin) if self.twin else (self.edit,)
        return [Stated(edit, str(edit.wordings[number].statement)) for edit in edits]


class Stated(NamedTuple):
    edit: Edit
    statement: str


class Deed(NamedTuple):
    """A request in words: a phrase with {np} and what stands there."""

    phrase: str
    noun: str
    plural: bool
    both: bool
    limb: str
    whole: bool  # about the whole body, not an arm or a leg


def _requests(chosen: Sequence[tuple[int, bool]], usable: Sequence[np.ndarray], row: int) -> list[Request]:
    """The chosen edits with the wordings that are true of this pair; both sides only where one wording fits both."""
    table = load_edits()
    requests = []
    for column, both in chosen:
        partner = table.choice.partner[column]
        if both and (common := usable[column][row] & usable[partner][row]).any():
            requests.append(Request(table.edits[column], table.edits[partner], tuple(np.flatnonzero(common))))
            continue
        for side in (column, partner) if both else (column,):
            requests.append(Request(table.edits[side], None, tuple(np.flatnonzero(usable[side][row]))))
    return requests


def _wording(request: Request, rng: Random) -> int:
    """One of the usable wordings; one that tells how much where it can be, two times in three."""
    amounts = {number: request.edit.wordings[number].amount for number in request.usable}
    graded = [number for number, amount in amounts.items() if amount]
    plain = [number for number, amount in amounts.items() if not amount]
    return rng.choice(graded if graded and (not plain or rng.random() < 0.66) else plain)


def _fill_amount(phrase: str, amount: int, rng: Random) -> str:
    for slot, words in load_edits().amounts.items():
        if f"{{{slot}}}" in phrase:
            phrase = phrase.replace(f"{{{slot}}}", rng.choice(words[amount]))
    return phrase


def _same_of_another(phrase: str, amount: int, other: Request) -> int | None:
    """A wording of a request about one part that is this phrase, or None."""
    if other.both or "{np}" not in phrase:
        return None
    words = other.edit.wordings
    return next((k for k in other.usable if words[k].amount == amount and phrase in words[k].phrases[0]), None)


def _put_in_words(requests: Sequence[Request], rng: Random) -> tuple[list[Deed], list[Stated]]:
    """Deeds, the same deed of two parts made one, and the statements that they make."""
    deeds: list[Deed] = []
    said: list[Stated] = []
    waiting = list(requests)
    while waiting:
        request = waiting.pop(0)
        edit, number, both = request.edit, _wording(request, rng), request.both
        wording = edit.wordings[number]
        which = rng.randrange(len(wording.phrases[0]))
        phrase, noun, plural = wording.phrases[both][which], rng.choice(edit.nouns[both]), both
        said += request.statements(number)
        for other in () if both else tuple(waiting):
            same, another = _same_of_another(phrase, wording.amount, other), rng.choice(other.edit.nouns[0])
            if same is None or another == noun:
                continue
            said += other.statements(same)
            waiting.remove(other)
            plural, both = True, other.edit.id == edit.partner
            if both:
                phrase, noun = wording.phrases[1][which], rng.choice(edit.nouns[1])
            else:
                noun = f"{noun} and {{the}} {another}"
            break
        limb = edit.subject.split("_")[0] + part_of(edit.subject)
        whole = not limbs_of(edit.subject)
        deeds.append(Deed(_fill_amount(phrase, wording.amount, rng), noun, plural, both, limb, whole))
    return deeds, said


def _in_order(deeds: list[Deed], rng: Random) -> list[Deed]:
    """What is asked of one arm or leg stands together; whole-body deeds come first more often than not."""
    if rng.random() < 0.85:
        places = {limb: at for at, limb in reversed(list(enumerate(deed.limb for deed in deeds)))}
        deeds = sorted(deeds, key=lambda deed: places[deed.limb])
    return sorted(deeds, key=lambda deed: not deed.whole) if rng.random() < 0.6 else deeds


def _clauses(deeds: Sequence[Deed], whose: str, rng: Random) -> list[str]:
    """Imperatives; a part just named is called "it", its counterpart "the right one"."""
    clauses = []
    before = None
    for deed in deeds:
        noun = f"{whose} {deed.noun}"
        if deed.both and deed.plural:
            noun = rng.choice((f"both {deed.noun}", f"both {deed.noun}", noun, f"both {whose} {deed.noun}"))
            noun = noun.replace("both the ", "both ")
        if before is not None and deed.noun and "{np}" in before.phrase:
            if deed.noun == before.noun and deed.both == before.both:
                noun = "them" if deed.plural or deed.noun.endswith(("s", "feet")) else "it"
            elif deed.noun == exchange_sides(before.noun) and deed.noun != before.noun and "one" not in before.phrase:
                noun = f"the {deed.noun.split()[0]} one"
        clauses.append(deed.phrase.replace("{np}", noun).replace("{the}", whose).replace("{self}", "yourself"))
        before = deed
    return clauses


def _joined(clauses: Sequence[str], rng: Random) -> str:
    """a; a and b; a, b and c; a, then b"""
    if len(clauses) == 2:
        return rng.choice((" and ", " and ", " and ", ", then ")).join(clauses)
    return ", ".join(clauses[:-1]) + " and " + clauses[-1] if len(clauses) > 1 else clauses[0]


def _say(deeds: Sequence[Deed], rng: Random) -> str:
    """Raise your left arm above your head. Then bend the right knee more and turn to the left."""
    whose = "your" if rng.random() < 0.75 else "the"
    sentences: list[str] = []
    left = list(deeds)
    while left:
        size = rng.randint(1, 3)
        text = _joined(_clauses(left[:size], whose, rng), rng)
        left = left[size:]
        opening = ""
        if not sentences and rng.random() < 0.12:
            opening = rng.choice(("you need to ", "try to ", "now ", "you have to "))
        elif sentences and rng.random() < 0.3:
            so_far = " ".join(sentences).lower()
            openings = ("then ", "also, ", "finally, ") if not left and len(sentences) > 1 else ("then ", "also, ")
            opening = rng.choice([word for word in openings if word not in so_far] or [""])
        text = opening + text
        sentences.append(text[0].upper() + text[1:] + ".")
    return " ".join(sentences)


def _stay(pair: PosePair, row: int, rng: Random) -> str:
    source, target = (m.joints[row % len(m.joints)] for m in (pair.source, pair.target))
    moved = ((target - target[0]) - (source - source[0])).norm(dim=-1).max()
    return rng.choice(edits_table()["stay" if moved < UNMOVED else "stay_almost"])


def edit_instructions(
    joints_from: Tensor | np.ndarray, joints_to: Tensor | np.ndarray, seed: int, style: Style = "any"
) -> list[EditInstruction]:
    """One instruction for each pair of poses.

    Args:
        joints_from: (N, 22, 3) metres, SMPL order, y up: the poses to start from.
        joints_to: (N, 22, 3) the poses to reach. Where they stand does not matter, which way they face does.
        seed: another seed gives other instructions; the same seed the same.
        style: about how much is said: short (1 or 2 statements), medium (2 to 4), full (4 to 7), or any of them.

    Returns:
        N instructions; where nothing changes one such as "Stay as you are." without statements.

    Raises:
        UserError: wrong shapes, different numbers of poses, joints that are not finite, or an unknown style.
    """
    if style not in get_args(Style):
        raise UserError(f"style '{style}' is unknown; there are: {', '.join(get_args(Style))}")
    pair = PosePair(as_joints(joints_from).cpu(), as_joints(joints_to).cpu())
    if not pair.finite.all():
        raise UserError("edit instructions need joints that are finite numbers; drop the poses that are not")
    table, possible = load_edits(), possible_edits(pair)
    available = np.stack([usable.any(axis=1) for usable in possible.wordings], axis=1)  # (N, E)
    noise = np.random.default_rng(seed).gumbel(size=available.shape)
    preference = np.where(available, table.choice.weight + 0.7 * np.log(possible.size) + 0.5 * noise, -np.inf)
    ranked, found = np.argsort(-preference, axis=1), available.sum(axis=1)
    instructions = []
    for row in range(pair.size):
        rng = Random(f"{seed} {row} edits")
        order = ranked[row, : found[row]].tolist()
        count = rng.randint(*LENGTHS[rng.choice(tuple(LENGTHS)) if style == "any" else style])
        chosen = choose(order, set(order), count, table.choice, rng)
        if not chosen:
            instructions.append(EditInstruction(_stay(pair, row, rng), (), (), ()))
            continue
        deeds, said = _put_in_words(_requests(chosen, possible.wordings, row), rng)
        of_target = [stated for stated in said if stated.edit.code is not None]
        instructions.append(
            EditInstruction(
                _say(_in_order(deeds, rng), rng),
                tuple(stated.statement for stated in of_target),
                tuple(stated.edit.id for stated in of_target),
                tuple(stated.statement for stated in said if stated.edit.code is None),
            )
        )
    return instructions


def edit_satisfaction(
    instruction: EditInstruction, joints_from: Tensor | np.ndarray, joints_to: Tensor | np.ndarray
) -> Tensor:
    """Share of an instruction's statements that poses fulfil, (N,) float32 in 0..1.

    Args:
        instruction: what was asked for.
        joints_from: (22, 3), or (N, 22, 3), the pose that it starts from.
        joints_to: (N, 22, 3) the candidates.

    Raises:
        UserError: the instruction states nothing, so that there is no share; or wrong shapes.
    """
    if not instruction.checks and not instruction.changes:
        raise UserError("this instruction states nothing that could be checked")
    pair = PosePair(joints_from, joints_to)
    of_target = satisfied(instruction.checks, pair.target.points).expand(pair.size, -1)
    of_both = compare(instruction.changes, joints_from, joints_to)
    return torch.cat([of_target, of_both], dim=1).float().mean(dim=1)


def edit_file(
    from_path: str | Path,
    to_path: str | Path,
    out_path: str | Path,
    captions: int = 3,
    seed: int = 0,
    up: Up | None = None,
) -> int:
    """Instructions from every pose of one file to the pose at the same place in another; one JSON object a line.

    Each line has ``pose`` (the index in both files), ``text``, ``checks``, ``posecodes`` and ``changes``.

    Args:
        from_path, to_path: pose files; see ``read_poses``.
        out_path: ``.jsonl`` to write; it appears complete or not at all.
        captions: how many instructions for each pair.
        seed: another seed gives other instructions.
        up: the axis that points up in both files.

    Returns:
        The number of lines written.

    Raises:
        UserError: unreadable poses, files of different lengths, a number below one, or a place that cannot be written.
    """
    if captions < 1:
        raise UserError(f"captions must be at least 1, not {captions}")
    source, target = (torch.from_numpy(read_poses(path, up).pose) for path in (from_path, to_path))
    if len(source) != len(target):
        raise UserError(
            f"{to_path}: has {len(target)} poses, but {from_path} has {len(source)}; pose i of one leads to pose i of "
            "the other, so give files of the same length"
        )

    def say_once(rows: slice, seed: int) -> Sequence[EditInstruction]:
        before, after = (load_body().points(pose[rows]) for pose in (source, target))
        return edit_instructions(before, after, seed)

    return write_texts(out_path, say_once, len(source), CHUNK, captions, seed)
