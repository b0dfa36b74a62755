"""Posecodes: hand-made poses, consistency of the table, statistics."""

import pytest
import torch

from pose_rft.posescript.checks import satisfied, tightened
from pose_rft.posescript.posecodes import (
    classify,
    exchange_sides,
    load_posecodes,
    load_statistics,
    posecode_index,
    posecode_statistics,
)
from tests.posescript.stick_figure import mirror, moved, random_joints, t_pose, turned

CODES = load_posecodes()
POSES = random_joints(600, seed=3)
ARMS_DOWN = {
    "left_elbow": (0.21, 1.2, 0.0),
    "left_wrist": (0.21, 0.95, 0.0),
    "right_elbow": (-0.21, 1.2, 0.0),
    "right_wrist": (-0.21, 0.95, 0.0),
}
SEATED = ARMS_DOWN | {
    "left_knee": (0.1, 0.95, 0.45),
    "left_ankle": (0.1, 0.55, 0.45),
    "left_foot": (0.1, 0.45, 0.55),
    "right_knee": (-0.1, 0.95, 0.45),
    "right_ankle": (-0.1, 0.55, 0.45),
    "right_foot": (-0.1, 0.45, 0.55),
}


def named(joints: torch.Tensor) -> set[str]:
    return {CODES[column].id for column in classify(joints, clearly=True)[0].nonzero()[:, 0].tolist()}


@pytest.mark.parametrize(
    ("joints", "holds", "does_not"),
    [
        (t_pose(), ["arms.t_pose", "left_arm.out", "right_arm.level", "torso.upright", "body.standing_straight"],
         ["left_arm.hanging", "left_elbow.bent", "body.sitting", "hands.together"]),
        (moved(**ARMS_DOWN), ["left_arm.hanging", "right_arm.hanging", "hands.level"], ["arms.t_pose", "left_arm.out"]),
        (moved(**SEATED), ["body.sitting", "left_knee.square", "right_thigh.level", "left_shin.vertical"],
         ["body.standing_straight", "left_knee.straight", "body.kneeling"]),
        (moved(left_elbow=(0.25, 1.7, 0.0), left_wrist=(0.25, 1.95, 0.0)),
         ["left_arm.overhead", "left_hand.above_head", "left_arm.straight_up", "left_hand.above_other"],
         ["right_arm.overhead", "right_hand.above_other"]),
        (moved(left_wrist=(0.15, 0.55, 0.05)), ["left_hand.near_knee"], ["left_hand.near_other_foot"]),
        (moved(**SEATED | {"left_elbow": (0.15, 1.15, 0.1), "left_wrist": (0.1, 1.05, 0.3)}), ["left_hand.on_thigh"],
         ["left_hand.on_other_thigh", "left_hand.on_shin", "hands.touching"]),
        (moved(**{f"{side}_{joint}": (sign * x, 1.2, z) for side, sign in (("left", 1), ("right", -1))
                  for joint, x, z in (("elbow", 0.25, 0.2), ("wrist", 0.03, 0.4))}), ["hands.touching"],
         ["left_hand.on_chest", "left_hand.on_other_arm", "knees.touching"]),
        (moved(**ARMS_DOWN | {"left_wrist": (0.2, 0.75, 0.0)}), ["left_hand.below_hip"], ["left_hand.on_thigh"]),
        (turned(t_pose(), (1.0, 0.0, 0.0), -90), ["body.lying_on_back"], ["body.lying_on_front", "torso.upright"]),
        (turned(t_pose(), (1.0, 0.0, 0.0), 90), ["body.lying_on_front"], ["body.lying_on_back"]),
        (turned(moved(**ARMS_DOWN), (0.0, 0.0, -1.0), 90), ["body.lying_on_left_side"], ["body.lying_on_right_side"]),
        (turned(t_pose(), (1.0, 0.0, 0.0), 180), ["body.upside_down", "head.below_hips"], ["torso.upright"]),
        (turned(t_pose(), (1.0, 0.0, 0.0), 30), ["torso.forward"], ["torso.backward", "torso.upright"]),
        (turned(t_pose(), (0.0, 1.0, 0.0), 90), ["body.facing_left"], ["body.facing_right", "body.facing_front"]),
    ],
)  # fmt: skip
def test_a_pose_made_by_hand_is_called_what_it_is(joints, holds, does_not):
    found = named(joints)
    assert found >= set(holds)
    assert not found & set(does_not)


def test_ids_are_unique_and_every_name_in_the_table_exists():
    index = posecode_index()
    assert len(index) == len(CODES) >= 150
    for code in CODES:
        assert code.partner is None or code.partner in index
        assert all(f"{code.subject}.{rival}" in index for rival in code.rivals)
        assert all(name in index for name in code.implies)
        assert (code.be and (code.do or code.act)) or code.act, f"{code.id} lacks words"


def test_what_clearly_holds_holds():
    assert not (classify(POSES, clearly=True) & ~classify(POSES)).any()


def test_a_margin_is_asked_of_every_comparison():
    joints = moved(left_wrist=(0.0, 1.64, 0.0))  # 4 cm above the head
    assert satisfied(["y(left_wrist) > y(head)", tightened("y(left_wrist) > y(head)")], joints).tolist() == [[True] * 2]
    close = moved(left_wrist=(0.0, 1.62, 0.0))  # 2 cm, less than the 3 cm of the margin
    assert satisfied(["y(left_wrist) > y(head)", tightened("y(left_wrist) > y(head)")], close).tolist() == [
        [True, False]
    ]
    assert tightened("80 < lean() < 100 or y(head) < 1") == (
        "80 + 5.0 < lean() and lean() + 5.0 < 100 or y(head) + 0.03 < 1"
    )


def test_the_mirrored_pose_has_the_mirrored_posecodes():
    index = posecode_index()
    swap = [index[code.partner] if code.partner else index.get(_other_side(code.id), i) for i, code in enumerate(CODES)]
    assert torch.equal(classify(POSES)[:, swap], classify(mirror(POSES)))


def _other_side(name: str) -> str:
    """body.lunge_left <-> body.lunge_right, torso.left <-> torso.right"""
    return exchange_sides(name)


def test_right_angles_keep_their_name_on_the_left():
    assert exchange_sides("the left knee at a right angle") == "the right knee at a right angle"
    assert exchange_sides("left_knee, right_hip, upright") == "right_knee, left_hip, upright"


def test_statistics_are_frequencies_and_implications():
    table = posecode_statistics(POSES, POSES)
    clear = classify(POSES, clearly=True).float().mean(dim=0)
    index = posecode_index()
    both = (clear[index["left_knee.bent"]] + clear[index["right_knee.bent"]]) / 2
    assert table["frequency"]["left_knee.bent"] == pytest.approx(float(both), abs=1e-4)
    assert table["frequency"]["left_knee.bent"] == table["frequency"]["right_knee.bent"]
    assert "left_knee.bent" in table["implied"]["left_knee.square"]  # 73..107 degrees lie below 135
    assert "left_knee.square" not in table["implied"].get("left_knee.bent", [])


def test_the_shipped_statistics_cover_the_table():
    statistics = load_statistics()
    assert statistics.frequency.shape == (len(CODES),)
    assert ((statistics.frequency >= 0) & (statistics.frequency < 1)).all()
    index = posecode_index()
    assert index["left_hand.above_head"] in statistics.implied[index["left_arm.overhead"]]
