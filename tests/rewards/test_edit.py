"""The reward of edits: what was said came true, and the rest stayed."""

import math

import numpy as np
import pytest
import torch

from pose_rft.body import load_body
from pose_rft.body.skeleton import JOINT_INDEX
from pose_rft.posescript.edits.verification import strayed
from pose_rft.rewards import PoseBatch
from pose_rft.rewards.edit import edit

ELBOW, KNEE = JOINT_INDEX["left_elbow"], JOINT_INDEX["right_knee"]
REST = np.zeros((22, 3), np.float32)
CHANGES = ["-40 < change(angle(left_elbow)) < -20"]


def turned(joint: int, axis: int, degrees: float, start: np.ndarray = REST) -> np.ndarray:
    pose = start.copy()
    pose[joint, axis] = math.radians(degrees)
    return pose


TARGET = turned(ELBOW, 1, -30)


def grades(*answers: np.ndarray, given=(REST,), target=TARGET, checks=(), changes=CHANGES, **options):
    pose = torch.from_numpy(np.stack(answers))
    batch = PoseBatch(load_body().points(pose), pose, torch.ones(len(pose), dtype=torch.bool))
    columns = {"given": given, "pose": target, "checks": checks, "changes": changes}
    return edit(
        [""] * len(pose), [""] * len(pose), batch, **{k: [v] * len(pose) for k, v in columns.items()}, **options
    )


def test_the_target_earns_1_and_the_given_pose_what_it_fulfils():
    assert grades(TARGET, REST) == [1.0, 0.0]
    assert grades(REST, checks=["angle(right_knee) > 170"]) == [0.5]


def test_the_amount_counts():
    assert grades(turned(ELBOW, 1, -60)) == [0.0]


def test_what_should_stay_and_does_not_costs_by_the_metres_that_it_moves():
    kicked = turned(KNEE, 0, 50, TARGET)
    body = load_body()
    apart = (body.joints(torch.from_numpy(kicked)) - body.joints(torch.from_numpy(TARGET))).norm(dim=-1).mean()
    stays = torch.arange(22) != ELBOW
    metres = strayed(torch.from_numpy(kicked)[None], torch.from_numpy(REST), stays)
    assert metres.item() == pytest.approx(apart.item(), rel=1e-4)
    assert grades(kicked) == [pytest.approx(math.exp(-apart / 0.05), rel=1e-4)]
    assert grades(kicked, scale=0.2) == [pytest.approx(math.exp(-apart / 0.2), rel=1e-4)]


def test_joints_that_the_target_moves_may_go_elsewhere():
    assert grades(turned(ELBOW, 1, -22)) == [1.0]


def test_a_completion_is_graded_by_what_it_keeps():
    assert grades(turned(ELBOW, 1, 80), changes=()) == [1.0]
    (kept,) = grades(turned(KNEE, 0, 80), changes=())
    assert kept < 0.5


def test_items_without_a_given_pose_or_a_target_are_left_to_other_rewards():
    assert grades(REST, given=()) == [None]
    assert grades(REST, target=None) == [None]
