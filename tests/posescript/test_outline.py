"""An outline says what poses have in common, in one sentence that is read back exactly."""

import pytest
import torch

from pose_rft.posescript.outline import outline, outline_of_facts, outlined
from pose_rft.posescript.parsing import parse
from pose_rft.posescript.posecodes import load_posecodes
from pose_rft.posescript.selection import Statement
from tests.posescript.test_posture import ARMS_DOWN, T, pose

RAISED = pose(left_shoulder=(0, 0, 80), right_shoulder=(0, 0, -80))


@pytest.mark.parametrize("code", load_posecodes(), ids=lambda code: code.id)
@pytest.mark.parametrize("both", [False, True])
def test_every_fact_is_read_back_as_what_it_is(code, both):
    if both and code.partner is None:
        pytest.skip("a fact about the whole body has no other side")
    expected = {code.id, code.partner} if both else {code.id}
    assert set(parse(outlined([Statement(code, both)])).posecodes) == expected


def test_what_all_poses_show_is_said_limb_by_limb():
    said = outline(T.repeat(4, 1, 1), most=2)
    assert said.text == "The person is standing upright, the arms are spread out like wings"
    assert set(parse(said.text).posecodes) == set(said.posecodes)


def test_what_only_some_poses_show_is_not_said():
    assert "both arms are stretched straight up" in outline(RAISED, most=9).text
    mixed = outline(torch.cat([RAISED, pose(**ARMS_DOWN)]), most=9)
    assert "up" not in mixed.text.split()


def test_the_same_facts_are_said_in_the_same_words():
    facts = ["left_hand.on_head", "right_knee.bent"]
    assert outline_of_facts(facts).text == "The left hand is on the head, the right knee is bent"
    assert outline_of_facts(facts[::-1]).text == outline_of_facts(facts).text


def test_no_more_is_said_than_asked_for():
    facts = ["left_hand.on_head", "right_knee.bent", "torso.bent_forward"]
    assert len(outline_of_facts(facts, most=2).posecodes) == 2
    assert outline_of_facts([]) is None


def test_who_needs_a_seat_sits_and_who_does_not_squats():
    seated = {"left_hip": (-90, 0, 0), "right_hip": (-90, 0, 0), "left_knee": (90, 0, 0), "right_knee": (90, 0, 0)}
    assert "body.sitting" in outline(pose(**seated, **ARMS_DOWN)).posecodes
    squat = pose(
        pelvis=(25, 0, 0), left_hip=(-115, 0, 0), right_hip=(-115, 0, 0), left_knee=(120, 0, 0), right_knee=(120, 0, 0),
        left_ankle=(-30, 0, 0), right_ankle=(-30, 0, 0), left_shoulder=(0, -80, 0), right_shoulder=(0, 80, 0),
    )  # fmt: skip
    assert "body.sitting" not in outline(squat).posecodes
