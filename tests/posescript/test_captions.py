"""Captions: never false, deterministic, well formed, the words match the checks."""

import json
import re
from random import Random

import numpy as np
import pytest
import torch

from pose_rft.body.skeleton import JOINT_INDEX as J
from pose_rft.errors import UserError
from pose_rft.posescript.captions import caption, caption_file, say
from pose_rft.posescript.checks import satisfied
from pose_rft.posescript.posecodes import exchange_sides, load_posecodes, load_statistics, posecode_index
from pose_rft.posescript.selection import Statement
from pose_rft.posescript.wording import one_and_both, participle, third_person
from tests.posescript.stick_figure import moved, random_joints, t_pose

CODES = {code.id: code for code in load_posecodes()}
POSES = random_joints(2000, seed=5)
STYLES = ("short", "medium", "full")


@pytest.fixture(scope="module")
def captions():
    """(pose index, caption): three captions for each of 2,000 poses."""
    return [(i, c) for k, style in enumerate(STYLES) for i, c in enumerate(caption(POSES, seed=k, style=style))]


# --- geometry written a second time, in numpy, from the words alone -------------------------------------------------


def bend(p: np.ndarray, a: str, b: str, c: str) -> float:
    """Interior angle at b by the law of cosines, degrees."""
    x, y, z = (np.linalg.norm(p[J[m]] - p[J[n]]) for m, n in ((a, b), (b, c), (a, c)))
    return float(np.degrees(np.arccos(np.clip((x * x + y * y - z * z) / (2 * x * y), -1, 1))))


def knee(p: np.ndarray, side: str) -> float:
    return bend(p, f"{side}_hip", f"{side}_knee", f"{side}_ankle")


def elbow(p: np.ndarray, side: str) -> float:
    return bend(p, f"{side}_shoulder", f"{side}_elbow", f"{side}_wrist")


def steepness(p: np.ndarray, a: str, b: str) -> float:
    """Elevation of the segment a -> b above the horizon, degrees."""
    d = p[J[b]] - p[J[a]]
    return float(np.degrees(np.arcsin(d[1] / np.linalg.norm(d))))


def gap(p: np.ndarray, a: str, b: str) -> float:
    return float(np.sqrt(((p[J[a]] - p[J[b]]) ** 2).sum()))


def above(p: np.ndarray, a: str, b: str) -> float:
    return float(p[J[a], 1] - p[J[b], 1])


def forwards(p: np.ndarray, a: str, b: str) -> float:
    """How far a is in front of b in the chest's direction: the normal of the plane of the torso."""
    trunk = p[J["neck"]] - p[J["pelvis"]]
    sideways = [p[J[f"left_{n}"]] - p[J[f"right_{n}"]] for n in ("hip", "shoulder")]
    sideways = sum(v / np.linalg.norm(v) for v in sideways)
    normal = np.cross(sideways, trunk)
    return float((p[J[a]] - p[J[b]]) @ normal / np.linalg.norm(normal))


def ahead(p: np.ndarray, a: str, b: str) -> float:
    """How far a is ahead of b: stand the whole figure up by the shortest rotation, then look where the hips face."""
    trunk = p[J["neck"]] - p[J["pelvis"]]
    trunk = trunk / np.linalg.norm(trunk)
    hips = p[J["left_hip"]] - p[J["right_hip"]]
    axis = np.cross(trunk, [0, 1, 0])
    sine, cosine = np.linalg.norm(axis), trunk[1]
    axis = axis / sine
    hips = hips * cosine + np.cross(axis, hips) * sine + axis * (axis @ hips) * (1 - cosine)  # Rodrigues
    facing = np.array([-hips[2], hips[0]]) / np.hypot(hips[0], hips[2])
    return float((p[J[a]] - p[J[b]])[[0, 2]] @ facing)


TRUTH = {
    r"(left|right)_knee\.straight": lambda p, s: knee(p, s) > 155,
    r"(left|right)_knee\.slightly_bent": lambda p, s: 120 < knee(p, s) < 158,
    r"(left|right)_knee\.bent": lambda p, s: knee(p, s) < 135,
    r"(left|right)_knee\.square": lambda p, s: abs(knee(p, s) - 90) < 17,
    r"(left|right)_knee\.fully_bent": lambda p, s: knee(p, s) < 65,
    r"(left|right)_elbow\.straight": lambda p, s: elbow(p, s) > 150,
    r"(left|right)_elbow\.bent": lambda p, s: elbow(p, s) < 128,
    r"(left|right)_elbow\.square": lambda p, s: abs(elbow(p, s) - 90) < 17,
    r"(left|right)_elbow\.fully_bent": lambda p, s: elbow(p, s) < 68,
    r"(left|right)_hand\.above_head": lambda p, s: above(p, f"{s}_wrist", "head") > 0.05,
    r"(left|right)_arm\.overhead": lambda p, s: above(p, f"{s}_wrist", "head") > 0.05,
    r"(left|right)_hand\.above_shoulder": lambda p, s: above(p, f"{s}_wrist", f"{s}_shoulder") > 0.06,
    r"(left|right)_hand\.shoulder_height": lambda p, s: abs(above(p, f"{s}_wrist", f"{s}_shoulder")) < 0.11,
    r"(left|right)_hand\.below_hip": lambda p, s: above(p, f"{s}_wrist", f"{s}_hip") < -0.08,
    r"(left|right)_hand\.near_head": lambda p, s: gap(p, f"{s}_wrist", "head") < 0.25,
    r"(left|right)_hand\.near_knee": lambda p, s: gap(p, f"{s}_wrist", f"{s}_knee") < 0.22,
    r"(left|right)_hand\.front": lambda p, s: forwards(p, f"{s}_wrist", "pelvis") > 0.27,
    r"(left|right)_hand\.behind": lambda p, s: forwards(p, f"{s}_wrist", "pelvis") < -0.08,
    r"(left|right)_foot\.ahead": lambda p, s: ahead(p, f"{s}_ankle", f"{exchange_sides(s)}_ankle") > 0.22,
    r"(left|right)_knee\.ahead": lambda p, s: ahead(p, f"{s}_knee", f"{exchange_sides(s)}_knee") > 0.18,
    r"(left|right)_foot\.front_of_body": lambda p, s: ahead(p, f"{s}_ankle", "pelvis") > 0.3,
    r"(left|right)_foot\.behind_body": lambda p, s: ahead(p, f"{s}_ankle", "pelvis") < -0.3,
    r"(left|right)_thigh\.level": lambda p, s: abs(steepness(p, f"{s}_hip", f"{s}_knee")) < 22,
    r"(left|right)_thigh\.vertical": lambda p, s: steepness(p, f"{s}_hip", f"{s}_knee") < -68,
    r"(left|right)_forearm\.up": lambda p, s: steepness(p, f"{s}_elbow", f"{s}_wrist") > 60,
    r"(left|right)_arm\.hanging": lambda p, s: steepness(p, f"{s}_shoulder", f"{s}_wrist") < -62,
    r"(left|right)_hand\.above_other": lambda p, s: above(p, f"{s}_wrist", f"{exchange_sides(s)}_wrist") > 0.2,
    r"(hands)\.together": lambda p, s: gap(p, "left_wrist", "right_wrist") < 0.2,
    r"(hands)\.far_apart": lambda p, s: gap(p, "left_wrist", "right_wrist") > 0.8,
    r"(feet)\.together": lambda p, s: gap(p, "left_ankle", "right_ankle") < 0.18,
    r"(feet)\.wide": lambda p, s: gap(p, "left_ankle", "right_ankle") > 0.6,
    r"(torso)\.upright": lambda p, s: steepness(p, "pelvis", "neck") > 77,
    r"(torso)\.(?:forward|backward|left|right)": lambda p, s: steepness(p, "pelvis", "neck") < 80,
    r"(body)\.upside_down": lambda p, s: steepness(p, "pelvis", "neck") < -30,
    r"(body)\.lying_on_\w+": lambda p, s: abs(steepness(p, "pelvis", "neck")) < 36,
    r"(head)\.below_hips": lambda p, s: above(p, "head", "pelvis") < -0.05,
}


def test_no_stated_posecode_is_false_by_a_second_geometry(captions):
    poses, tested, families = POSES.numpy(), 0, set()
    for row, made in captions:
        for name in made.posecodes:
            for pattern, truth in TRUTH.items():
                if match := re.fullmatch(pattern, name):
                    assert truth(poses[row], match[1]), f"{name}: {made.text}"
                    tested += 1
                    families.add(pattern)
    assert tested > 5000
    assert len(families) >= len(TRUTH) - 1


def test_every_stated_check_holds(captions):
    for start in range(0, len(captions), 50):
        for row, made in captions[start : start + 50 : 10]:
            assert satisfied(made.checks, POSES[row : row + 1]).all(), made.text


def test_checks_are_those_of_the_posecodes(captions):
    for _, made in captions:
        assert made.checks == tuple(CODES[name].check for name in made.posecodes)
        assert len(set(made.posecodes)) == len(made.posecodes)


def test_styles_differ_in_how_much_they_say(captions):
    size = len(POSES)
    short, medium, full = (
        np.mean([len(made.posecodes) for _, made in captions[k * size : (k + 1) * size]]) for k in range(3)
    )
    assert 1 <= short < medium < full


def test_nothing_stated_is_implied_or_a_rival(captions):
    statistics, index = load_statistics(), posecode_index()
    for _, made in captions[::5]:
        columns = {index[name] for name in made.posecodes}
        for name in made.posecodes:
            code = CODES[name]
            assert not {f"{code.subject}.{rival}" for rival in code.rivals} & set(made.posecodes), made.text
            beside = columns - {index[name], index.get(code.partner or "", -1)}
            paired = code.partner in made.posecodes
            assert paired or not any(index[name] in statistics.implied[other] for other in beside), made.text


def test_texts_are_clean_and_hardly_ever_repeated(captions):
    texts = [made.text for _, made in captions]
    for text in texts:
        assert not re.search(r"[{}\[\]|_]|  |\.\.|,,| ,| \.|None", text), text
        assert text.strip() == text
        assert not re.search(r"\b(\w+) \1\b", text), text  # no word twice in a row
    assert len(set(texts[len(POSES) :])) > 0.98 * len(texts[len(POSES) :])  # medium and full


def test_the_same_seed_gives_the_same_captions_and_another_seed_others():
    first, again, other = (caption(POSES[:200], seed=seed) for seed in (7, 7, 8))
    assert first == again
    assert sum(a.text != b.text for a, b in zip(first, other, strict=True)) > 180


def test_an_array_gives_what_a_tensor_gives():
    assert caption(POSES[:20].numpy(), seed=1) == caption(POSES[:20], seed=1)


def test_no_poses_have_no_captions():
    assert caption(torch.zeros(0, 22, 3), seed=0) == []


def test_a_pose_of_which_nothing_can_be_said_gets_a_caption_without_checks():
    made = caption(torch.zeros(1, 22, 3) + torch.tensor([[[0.0, 1.0, 0.0]]]), seed=0)[0]
    assert satisfied(made.checks, torch.ones(1, 22, 3)).all() if made.checks else made.text


@pytest.mark.parametrize("name", sorted(CODES))
def test_words_name_the_side_they_mean(name):
    code = CODES[name]
    for seed in range(25):
        one = say([Statement(code, False)], Random(seed))
        if code.partner is None:
            continue
        side = code.subject.split("_")[0]
        assert re.search(rf"\b{side}\b", one, re.I), one
        assert exchange_sides(one.lower()) == say([Statement(CODES[code.partner], False)], Random(seed)).lower()
        both = say([Statement(code, True)], Random(seed))
        assert "  " not in both
        assert not re.search(rf"\b{side} (?!angle|side)", both.lower().replace("right next", "")), both


def test_the_example_of_the_project_is_a_text_that_is_made():
    """Both arms are raised above the head and the left knee is bent."""
    statements = [Statement(CODES["left_arm.overhead"], True), Statement(CODES["left_knee.bent"], False)]
    texts = {say(statements, Random(seed)) for seed in range(4000)}
    assert "Both arms are raised above the head and the left knee is bent." in texts
    assert len(texts) > 1500


@pytest.mark.parametrize(
    ("words", "one", "both"),
    [
        ("bent", "bent", "bent"),
        ("at [a right angle|right angles]", "at a right angle", "at right angles"),
        ("by the left knee|by the [knee|knees]", "by the left knee", "by the knees"),
        ("left foot|feet", "left foot", "feet"),
    ],
)
def test_one_side_and_both_sides(words, one, both):
    assert one_and_both(words) == (one, both)


@pytest.mark.parametrize(
    ("base", "third", "ing"),
    [
        ("bend {np}", "bends {np}", "bending {np}"),
        ("stretch out", "stretches out", "stretching out"),
        ("raise {np}", "raises {np}", "raising {np}"),
        ("sit", "sits", "sitting"),
        ("lie face up", "lies face up", "lying face up"),
        ("go down", "goes down", "going down"),
        ("carry it", "carries it", "carrying it"),
        ("be still", "is still", "still"),
        ("cross {np}", "crosses {np}", "crossing {np}"),
    ],
)
def test_verbs_are_inflected(base, third, ing):
    assert (third_person(base), participle(base)) == (third, ing)


@pytest.mark.parametrize("bad", ["long", ""])
def test_an_unknown_style_is_refused(bad):
    with pytest.raises(UserError, match="short, medium, full"):
        caption(t_pose(), seed=0, style=bad)


def test_joints_that_are_not_finite_are_refused():
    with pytest.raises(UserError, match="finite"):
        caption(moved(head=(float("nan"), 0.0, 0.0)), seed=0)


def test_a_file_of_poses_becomes_a_file_of_captions(tmp_path):
    rng = np.random.default_rng(0)
    pose = 0.3 * rng.standard_normal((5, 22, 3)).astype(np.float32)
    np.savez(tmp_path / "poses.npz", pose=pose)
    assert caption_file(tmp_path / "poses.npz", tmp_path / "out.jsonl", captions=2, seed=3) == 10
    lines = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert [line["pose"] for line in lines] == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4]
    assert all(set(line) == {"pose", "text", "checks", "posecodes"} for line in lines)
    assert lines[0]["text"] != lines[1]["text"]


def test_wrong_wishes_for_a_caption_file_leave_it_alone(tmp_path):
    (tmp_path / "out.jsonl").write_text("kept")
    with pytest.raises(UserError, match="at least 1"):
        caption_file(tmp_path / "poses.npz", tmp_path / "out.jsonl", captions=0)
    with pytest.raises(UserError, match="no such file"):
        caption_file(tmp_path / "poses.npz", tmp_path / "out.jsonl")
    assert (tmp_path / "out.jsonl").read_text() == "kept"
