import collections

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pose_rft.body import load_body
from pose_rft.body.skeleton import JOINT_INDEX
from pose_rft.data.questions.questions import Question, ask, facing
from pose_rft.data.questions.reading import is_right, read_side, read_yes_no
from pose_rft.data.questions.side_comparisons import SIDE_COMPARISONS
from pose_rft.errors import UserError
from pose_rft.posescript.checks import satisfied


def joints_of(**degrees: tuple[float, float, float]) -> torch.Tensor:
    """Joints (1, 22, 3) of a body with arms hanging, but for the joints given."""
    pose = torch.zeros(1, 22, 3)
    for name, angles in ({"left_shoulder": (0, 0, -80), "right_shoulder": (0, 0, 80)} | degrees).items():
        pose[0, JOINT_INDEX[name]] = torch.deg2rad(torch.tensor(angles, dtype=torch.float32))
    return load_body().joints(pose)


@pytest.fixture(scope="module")
def joints() -> torch.Tensor:
    """1,200 random bodies, mostly upright: arms anywhere, knees and hips bent by up to 100 degrees."""
    generator = torch.Generator().manual_seed(0)
    pose = 0.25 * torch.randn(1200, 22, 3, generator=generator)
    for side, sign in (("left", -1), ("right", 1)):
        pose[:, JOINT_INDEX[f"{side}_shoulder"], 2] += sign * 1.2 * torch.randn(1200, generator=generator)
        pose[:, JOINT_INDEX[f"{side}_elbow"], 1] += sign * 2.2 * torch.rand(1200, generator=generator)
        bend = 1.7 * torch.rand(1200, generator=generator)
        pose[:, JOINT_INDEX[f"{side}_knee"], 0] += bend
        pose[:, JOINT_INDEX[f"{side}_hip"], 0] -= 0.6 * bend
    return load_body().joints(pose)


@pytest.fixture(scope="module")
def questions(joints: torch.Tensor) -> list[Question]:
    return ask(joints, seed=0)


def test_every_answer_answers_its_own_question_rightly_and_no_other_truth(questions: list[Question]) -> None:
    for question in questions:
        others = {"yes": ["no"], "no": ["yes"]}.get(question.truth, ["left", "right", "both", "neither"])
        if not question.truth:
            assert is_right(question.answer, "") is None
            continue
        assert is_right(question.answer, question.truth) is True
        assert not any(is_right(question.answer, other) for other in others if other != question.truth)


def test_yes_is_said_only_where_the_posecode_holds(joints: torch.Tensor, questions: list[Question]) -> None:
    said_yes = [(row, q) for row, q in enumerate(questions) if q.truth == "yes"]
    assert len(said_yes) > 200
    assert all(bool(satisfied(q.checks, joints[row]).all()) for row, q in said_yes)


def test_no_is_said_only_where_the_same_question_would_not_be_answered_yes(
    joints: torch.Tensor, questions: list[Question]
) -> None:
    checks = {q.topic: q.checks for q in questions if q.truth == "yes"}
    said_no = [(row, q) for row, q in enumerate(questions) if q.truth == "no" and q.topic in checks]
    assert len(said_no) > 200
    assert not any(bool(satisfied(checks[q.topic], joints[row]).all()) for row, q in said_no)


def test_yes_and_no_and_left_and_right_come_equally_often(questions: list[Question]) -> None:
    # Of 600 coin flips the share lies within 0.08 of a half but once in 10,000 times, of 150 within 0.16.
    counts = collections.Counter(q.truth for q in questions)
    assert abs(counts["yes"] / (counts["yes"] + counts["no"]) - 0.5) < 0.08
    assert abs(counts["left"] / (counts["left"] + counts["right"]) - 0.5) < 0.16
    assert min(counts["both"], counts[""]) > 20
    assert counts["neither"] > 0  # these bodies hardly ever have both arms or both knees straight


def test_a_question_hangs_on_its_seed_number_and_pose_alone(joints: torch.Tensor, questions: list[Question]) -> None:
    assert ask(joints[:40], seed=0) == questions[:40]
    assert ask(joints[:40], seed=1) != questions[:40]


def test_only_the_kinds_asked_for_come(joints: torch.Tensor) -> None:
    names = {comparison.name for comparison in SIDE_COMPARISONS}
    assert {q.topic for q in ask(joints[:200], 0, ["which"])} <= names | {"description"}
    assert {q.topic for q in ask(joints[:20], 0, ["describe"])} == {"description"}
    assert all(q.checks for q in ask(joints[:20], 0, ["describe"]))


@pytest.mark.parametrize(
    ("degrees", "topic", "truth"),
    [
        ({"left_shoulder": (0, 0, 80)}, "arm_raised", "left"),
        ({"right_shoulder": (0, 0, -80)}, "arm_raised", "right"),
        ({"left_shoulder": (0, 0, 80), "right_shoulder": (0, 0, -80)}, "arm_raised", "both"),
        ({}, "arm_raised", "neither"),
        ({"right_hip": (-80, 0, 0), "right_knee": (90, 0, 0)}, "knee_bent_more", "right"),
        ({"right_hip": (-80, 0, 0), "right_knee": (90, 0, 0)}, "foot_higher", "right"),
        ({"left_hip": (-30, 0, 0), "right_hip": (30, 0, 0)}, "foot_in_front", "left"),
        ({}, "foot_in_front", "both"),
        ({}, "knee_bent", "neither"),
    ],
)
def test_the_side_is_that_of_the_pose(degrees: dict, topic: str, truth: str) -> None:
    asked = {q.topic: q.truth for q in ask(joints_of(**degrees).expand(150, -1, -1), 0, ["which"])}
    assert asked[topic] == truth


def test_who_faces_the_camera_is_told_from_behind() -> None:
    front, behind, aside = (facing(joints_of(pelvis=(0, turn, 0)), 0)[0] for turn in (0, 180, 90))
    assert front is not None
    assert behind is not None
    assert (front.truth, behind.truth, aside) == ("yes", "no", None)
    assert is_right(behind.answer, "no")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("Yes.", "yes"),
        ("yes, the left arm is raised", "yes"),
        ("No, the left knee is not bent.", "no"),
        ("Nope", "no"),
        ("No, it isn't.", "no"),
        ("Yes and no.", None),
        ("Yes, it is not raised.", None),
        ("The left arm is raised.", None),
        ("Hard to say; yes perhaps", None),
        ("", None),
        ("yesterday", None),
    ],
)
def test_yes_and_no_are_read_from_the_beginning_of_an_answer(text: str, said: str | None) -> None:
    assert read_yes_no(text) == said


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("The left knee is bent more.", "left"),
        ("Right", "right"),
        ("The left knee is bent more than the right one.", "left"),
        ("The right one, not the left.", "right"),
        ("Both arms are raised.", "both"),
        ("Both the left and the right arm.", "both"),
        ("The left and the right arm.", "both"),
        ("They are about the same.", "both"),
        ("Neither arm is raised.", "neither"),
        ("Neither the left nor the right arm.", "neither"),
        ("Yes, the left arm is raised.", "left"),
        ("left right both neither", None),
        ("left or right", None),
        ("Both, but neither.", None),
        ("I cannot tell.", None),
        ("bright", None),
    ],
)
def test_sides_are_read_and_hedging_is_not(text: str, said: str | None) -> None:
    assert read_side(text) == said


@given(st.text())
def test_any_text_is_read_without_error(text: str) -> None:
    assert read_yes_no(text) in ("yes", "no", None)
    assert read_side(text) in ("left", "right", "both", "neither", None)


def test_mistakes_are_told_in_one_line(joints: torch.Tensor) -> None:
    with pytest.raises(UserError, match="yes_no, which, describe"):
        ask(joints[:1], 0, ["riddle"])
    with pytest.raises(UserError, match="not none"):
        ask(joints[:1], 0, [])
    with pytest.raises(UserError, match="finite"):
        ask(torch.full((1, 22, 3), float("nan")), 0)
    with pytest.raises(UserError, match=r"\(N, 22, 3\)"):
        ask(np.zeros((3, 5)), 0)
    with pytest.raises(UserError, match="'perhaps'"):
        is_right("yes", "perhaps")
