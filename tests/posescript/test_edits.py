"""Edit instructions: true of the pose they lead to, not of the one they start from; what they say is what is graded."""

import json
import re

import numpy as np
import pytest
import torch

from pose_rft.body import load_body
from pose_rft.body.skeleton import JOINT_INDEX as J
from pose_rft.errors import UserError
from pose_rft.posescript.checks import mirrored, satisfied
from pose_rft.posescript.edits.changes import edits_table
from pose_rft.posescript.edits.comparisons import compare, read_comparison
from pose_rft.posescript.edits.instructions import edit_file, edit_instructions, edit_satisfaction
from pose_rft.posescript.posecodes import exchange_sides, load_posecodes
from tests.posescript.stick_figure import mirror, moved, posed, random_joints, t_pose, turned

CHECKS = {code.id: code.check for code in load_posecodes()}
SIZE = 500


def pairs(seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Axis-angle poses (N, 22, 3) before and after: every joint of half of the pairs moves, of the others a third."""
    generator = torch.Generator().manual_seed(seed)
    poses = 0.45 * torch.randn(2, SIZE, 22, 3, generator=generator)
    poses[:, :, 0] *= 0.6
    kept = torch.rand(SIZE, 22, 1, generator=generator) < 0.67
    kept[: SIZE // 2] = False
    return poses[0], torch.where(kept, poses[0], poses[1])


POSES_FROM, POSES_TO = pairs(4)
FROM, TO = posed(POSES_FROM), posed(POSES_TO)


@pytest.fixture(scope="module")
def instructions():
    """(row, instruction) in three styles; only those that state anything."""
    made = [edit_instructions(FROM, TO, seed=k, style=style) for k, style in enumerate(("short", "medium", "full"))]
    return [(row, one) for several in made for row, one in enumerate(several) if one.checks or one.changes]


# --- the reader's eye -------------------------------------------------------------------------------------------------


def test_the_pose_it_leads_to_does_all_and_the_pose_it_starts_from_nothing(instructions):
    assert len(instructions) > 0.97 * 3 * SIZE
    for row, one in instructions[::4]:
        both = torch.stack([TO[row], FROM[row]])
        assert edit_satisfaction(one, FROM[row], both).tolist() == [1, 0], one.text


def test_another_pose_does_far_less(instructions):
    """A statement about a random pose is a coin toss at best: it is raised or lowered, nearer or further."""
    shares = [
        float(edit_satisfaction(one, FROM[row], TO[(row + 1) % SIZE : (row + 1) % SIZE + 1]))
        for row, one in instructions[::5]
    ]
    assert np.mean(shares) < 0.4


def test_the_nearer_one_comes_the_more_is_done(instructions):
    shares = []
    for part in (0.25, 0.5, 0.75):
        between = posed(POSES_FROM + part * (POSES_TO - POSES_FROM))
        done = [float(edit_satisfaction(one, FROM[row], between[row : row + 1])) for row, one in instructions[::6]]
        shares.append(np.mean(done))
    assert 0.1 < shares[0] < shares[1] - 0.1 < shares[2] - 0.2 < 0.8


# --- geometry written a second time, in numpy, from the words alone -------------------------------------------------


def place(pose: np.ndarray, name: str) -> np.ndarray:
    return pose[J[name]] - pose[J["pelvis"]]


def bend(pose: np.ndarray, side: str, part: str) -> float:
    """Angle at a knee or elbow by the law of cosines, degrees."""
    above, middle, below = {"knee": ("hip", "knee", "ankle"), "elbow": ("shoulder", "elbow", "wrist")}[part]
    a, b, c = (pose[J[f"{side}_{joint}"]] for joint in (above, middle, below))
    x, y, z = np.linalg.norm(a - b), np.linalg.norm(b - c), np.linalg.norm(a - c)
    return float(np.degrees(np.arccos(np.clip((x * x + y * y - z * z) / (2 * x * y), -1, 1))))


def gap(pose: np.ndarray, part: str) -> float:
    joint = {"hands": "wrist", "feet": "ankle", "knees": "knee"}[part]
    return float(np.linalg.norm(pose[J[f"left_{joint}"]] - pose[J[f"right_{joint}"]]))


ENDS = {"hand": "wrist", "foot": "ankle", "elbow": "elbow", "knee": "knee"}


def rise(pose: np.ndarray, side: str, part: str) -> float:
    """Height above the pelvis."""
    return float(place(pose, f"{side}_{ENDS[part]}")[1])


WHOSE = r"(?:the|your)"
MUCH = r"(?:(?:a|little|lot|bit|slightly|much|further|wide|far) )*"
READ = {  # words -> what must have grown from the first pose to the second
    rf"\b(?:raise|lift) {WHOSE} (left|right) (hand|elbow|knee)\b(?! and)": lambda p, s, e: rise(p, s, e),
    rf"\b(?:lower|drop) {WHOSE} (left|right) (hand|elbow|knee)\b(?! and)": lambda p, s, e: -rise(p, s, e),
    rf"\bbend {WHOSE} (left|right) (knee|elbow) (?:\w+ )?(?:\w+ )?more": lambda p, s, e: -bend(p, s, e),
    rf"\b(?:bend|flex) {WHOSE} (left|right) (knee|elbow)[.,]": lambda p, s, e: -bend(p, s, e),
    rf"\bstraighten {WHOSE} (left|right) (knee|elbow)\b(?! and)": lambda p, s, e: bend(p, s, e),
    rf"\b(?:spread|move) {WHOSE} (hands|feet|knees) {MUCH}apart": lambda p, e: gap(p, e),
    rf"\b(?:bring|put) {WHOSE} (hands|feet|knees) {MUCH}(?:close |closer )?together": lambda p, e: -gap(p, e),
    rf"\b(?:come up\b(?! until| into)|(?:raise|bring) {WHOSE} hips)": lambda p: p[J["pelvis"], 1] - p[:, 1].min(),
    rf"\bmove {WHOSE} (hands|feet) {MUCH}closer": lambda p, e: -gap(p, e),
}  # fmt: skip


def test_the_words_are_true_by_a_second_geometry(instructions):
    before, after, read = FROM.numpy(), TO.numpy(), dict.fromkeys(READ, 0)
    for row, one in instructions:
        for pattern, grown in READ.items():
            for match in re.finditer(pattern, one.text, re.I):
                words = [word.lower() for word in match.groups()]
                assert grown(after[row], *words) > grown(before[row], *words), f"{match[0]}: {one.text}"
                read[pattern] += 1
    assert sum(read.values()) > 400
    assert sum(count > 5 for count in read.values()) >= len(READ) - 1, read


def bent_forward() -> torch.Tensor:
    """The T-pose, its torso leaning by 0.5 radians."""
    pose = torch.zeros(1, 22, 3)
    pose[0, J["spine1"], 0] = 0.5
    return posed(pose)


@pytest.mark.parametrize(
    ("after", "words", "never"),
    [
        (moved(left_elbow=(0.2, 1.7, 0), left_wrist=(0.2, 1.95, 0)), "left (.* )?(arm|forearm|hand|elbow)", "foot|leg"),
        (moved(left_ankle=(0.1, 0.5, -0.4), left_foot=(0.1, 0.4, -0.4)), "left|right|feet", "hand|arm|elbow|lean"),
        (turned(t_pose(), (0.0, 1.0, 0.0), 90), "left", "right|hand|arm|foot|leg|knee"),
        (bent_forward(), "forward", "left|right|knee|elbow|foot"),
    ],
)  # fmt: skip
def test_what_moved_is_what_is_asked_for(after, words, never):
    for one in edit_instructions(t_pose().expand(40, 22, 3), after.expand(40, 22, 3), seed=0, style="short"):
        assert re.search(words, one.text), one.text
        assert not re.search(rf"\b({never})s?\b", one.text), one.text


def test_posecodes_and_comparisons_are_both_used(instructions):
    checks, changes = (
        sum(len(field) for field in fields)
        for fields in zip(*((one.checks, one.changes) for _, one in instructions), strict=True)
    )
    assert 0.25 < checks / (checks + changes) < 0.75


def test_statements_are_those_that_are_graded(instructions):
    for row, one in instructions[::7]:
        assert one.checks == tuple(CHECKS[name] for name in one.posecodes)
        assert len({*one.checks, *one.changes}) == len(one.checks) + len(one.changes)
        assert satisfied(one.checks, TO[row]).all()
        assert compare(one.changes, FROM[row], TO[row]).all()


def test_nothing_changed_is_no_task(instructions):
    made = edit_instructions(FROM[:40], FROM[:40] + 0.3, seed=1)  # elsewhere, but the same pose
    assert {one.text for one in made} == set(edits_table()["stay"])
    assert not any(one.checks or one.changes or one.posecodes for one in made)
    with pytest.raises(UserError, match="states nothing"):
        edit_satisfaction(made[0], FROM[:1], FROM[:1])


def test_hardly_a_change_is_said_to_be_one():
    after = FROM[:1].clone()
    after[0, J["head"]] += torch.tensor([0.02, 0.0, 0.0])
    assert re.search("almost|next to nothing|[Hh]ardly", edit_instructions(FROM[:1], after, seed=0)[0].text)


def test_longer_styles_ask_for_more():
    short, medium, full = (
        np.mean([len(one.checks) + len(one.changes) for one in edit_instructions(FROM[:300], TO[:300], 0, style)])
        for style in ("short", "medium", "full")
    )
    assert 1 <= short < medium < full


def test_texts_are_clean_imperatives(instructions):
    for _, one in instructions:
        assert not re.search(r"[{}\[\]|_]|  |\.\.|,,| ,| \.|None", one.text), one.text
        assert re.fullmatch(r"[A-Z].*\.", one.text), one.text
        assert not re.search(r"\b(\w+) \1\b", one.text), one.text
        assert not re.search(r"\b(keep|stay)\b", one.text, re.I), one.text
    texts = [one.text for _, one in instructions]
    assert len(set(texts)) > 0.95 * len(texts)


def test_what_is_asked_of_one_side_names_it(instructions):
    for _, one in instructions:
        statements = {*one.posecodes, *one.changes}
        for told in statements:
            sides = {side for side in ("left", "right") if f"{side}_" in told}
            twin = exchange_sides(told) if told in one.posecodes else str(read_comparison(told).mirrored())
            if len(sides) == 1 and twin not in statements:
                assert sides.pop() in one.text.lower(), f"{told}: {one.text}"


def test_the_same_seed_gives_the_same_instructions_and_another_seed_others():
    first, again, other = (edit_instructions(FROM[:200], TO[:200], seed=seed) for seed in (7, 7, 8))
    assert first == again
    assert sum(a.text != b.text for a, b in zip(first, other, strict=True)) > 180
    assert edit_instructions(FROM[:20].numpy(), TO[:20].numpy(), seed=7) == edit_instructions(
        FROM[:20], TO[:20], seed=7
    )


def test_many_candidates_are_graded_at_once(instructions):
    row, one = instructions[-1]
    many = edit_satisfaction(one, FROM[row], TO[:30])
    each = [float(edit_satisfaction(one, FROM[row], TO[k])) for k in range(30)]
    assert many.tolist() == pytest.approx(each)


def test_what_cannot_be_compared_is_refused():
    with pytest.raises(UserError, match="short, medium, full"):
        edit_instructions(FROM[:1], TO[:1], seed=0, style="long")  # type: ignore[arg-type]
    with pytest.raises(UserError, match="3 poses to start from and 2"):
        edit_instructions(FROM[:3], TO[:2], seed=0)
    with pytest.raises(UserError, match="finite"):
        edit_instructions(t_pose(), moved(head=(float("nan"), 0.0, 0.0)), seed=0)
    assert edit_instructions(FROM[:0], TO[:0], seed=0) == []


def test_two_files_become_a_file_of_instructions(tmp_path):
    for name, poses in (("a", POSES_FROM), ("b", POSES_TO)):
        np.savez(tmp_path / f"{name}.npz", pose=poses[:4].numpy())
    assert edit_file(tmp_path / "a.npz", tmp_path / "b.npz", tmp_path / "out.jsonl", captions=2, seed=3) == 8
    lines = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert [line["pose"] for line in lines] == [0, 0, 1, 1, 2, 2, 3, 3]
    before, after = (load_body().joints(poses[:4]) for poses in (POSES_FROM, POSES_TO))
    for line in lines:
        assert set(line) == {"pose", "text", "checks", "posecodes", "changes"}
        assert compare(line["changes"], before[line["pose"]], after[line["pose"]]).all()
        assert satisfied(line["checks"], after[line["pose"]]).all()


def test_mirrored_poses_get_what_is_true_of_them():
    """No word is tied to one side: exchanging sides in text and poses keeps an instruction true."""
    before, after = random_joints(60, seed=1), random_joints(60, seed=2)
    for row, one in enumerate(edit_instructions(before, after, seed=0)):
        changes = [str(read_comparison(text).mirrored()) for text in one.changes]
        assert compare(changes, mirror(before[row : row + 1]), mirror(after[row : row + 1])).all()
        assert satisfied([mirrored(check) for check in one.checks], mirror(after[row : row + 1])).all()
        assert exchange_sides(exchange_sides(one.text)) == one.text
