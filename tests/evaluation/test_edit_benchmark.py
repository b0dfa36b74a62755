"""The benchmark edits."""

from dataclasses import replace

import pytest
import torch

from pose_rft.body.skeleton import JOINT_INDEX
from pose_rft.data.edit_prompts import EditPrompt, edit_prompts, edit_starts
from pose_rft.evaluation.edit_benchmark import evaluate_edits, grade_edits, nothing, summary
from pose_rft.policy import PoseBranchConfig, PosePolicy
from pose_rft.posescript.checks import compile_check
from pose_rft.posescript.edits.comparisons import read_comparison

ELBOW, KNEE = JOINT_INDEX["right_elbow"], JOINT_INDEX["left_knee"]
T_POSE = {"T-pose": torch.zeros(22, 3)}
BEND = EditPrompt(
    "bend the right elbow 30 degrees",
    given="angle(right_elbow) > 90",
    direction=("change(angle(right_elbow)) < -10",),
    amount=("-35 < change(angle(right_elbow)) < -25",),
    stays=tuple(joint for joint in range(22) if joint not in (17, 19, 21)),
    turns=False,
    tilts_soles=False,
)


def bent(**degrees):
    pose = torch.zeros(22, 3)
    for joint, angle in degrees.items():
        pose[JOINT_INDEX[joint], 1 if joint.endswith("elbow") else 0] = torch.deg2rad(torch.tensor(angle))
    return lambda start, instructions: [(pose, True) for _ in instructions]


def test_orders_and_starts_are_as_many_as_the_docs_say():
    assert (len(edit_prompts("dev")), len(edit_prompts("test")), len(edit_starts())) == (25, 27, 25)


def test_every_statement_of_the_orders_is_of_the_language():
    for prompt in edit_prompts("all"):
        compile_check(prompt.given)
        for text in (*prompt.direction, *prompt.amount):
            (read_comparison if "change(" in text else compile_check)(text)


def test_doing_nothing_follows_no_order_and_moves_nothing():
    (row,) = grade_edits([BEND], T_POSE, nothing)
    assert (row["starts"], row["direction"], row["amount"], row["others_mm"]) == (1, 0, 0, 0)
    assert row["failed"] == ["T-pose"]


@pytest.mark.parametrize(("degrees", "amount"), [(30.0, 1), (60.0, 0)])
def test_too_far_has_the_direction_and_not_the_amount(degrees, amount):
    (row,) = grade_edits([BEND], T_POSE, bent(right_elbow=degrees))
    assert (row["direction"], row["amount"], row["others_mm"]) == (1, amount, 0)


def test_what_else_moves_is_measured():
    (row,) = grade_edits([BEND], T_POSE, bent(right_elbow=30.0, left_knee=90.0))
    assert row["others_mm"] > 20  # an ankle and a foot by half a metre, among 19 joints
    assert summary([row])["pairs"] == 1


def test_an_order_is_given_to_the_starts_that_it_makes_sense_for():
    (row,) = grade_edits([BEND], {"bent": bent(right_elbow=120.0)(None, [""])[0][0]}, nothing)
    assert row["starts"] == 0


def test_what_a_policy_that_reads_poses_has_learned_stands_beside_the_exact_way(tiny_policy):
    policy = PosePolicy.create(replace(tiny_policy.config, pose_branch=PoseBranchConfig(2, 1)), dtype=torch.float32)
    ways = evaluate_edits(policy, "dev", limit=1)["ways"]
    assert list(ways) == ["nothing", "caption in the prompt", "exact", "learned", "both"]
    assert ways["both"] == ways["exact"] | {"understood": 1.0}  # what an untrained policy proposes is not taken
    assert ways["learned"]["direction"] < ways["exact"]["direction"]
    assert "learned" not in evaluate_edits(tiny_policy, "dev", limit=1)["ways"]
