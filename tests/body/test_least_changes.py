"""The least changes of many poses at once."""

import roma
import torch

from pose_rft.body import load_body
from pose_rft.body.landmarks import NUM_POINTS, POINT_INDEX
from pose_rft.body.least_change import Freedom, least_change
from pose_rft.body.least_changes import least_changes
from pose_rft.body.skeleton import JOINT_INDEX

SHOULDER, WRIST = JOINT_INDEX["left_shoulder"], POINT_INDEX["left_wrist"]
HEIGHTS = torch.tensor([0.2, 0.5, 0.7])  # metres above the pelvis


def starts() -> torch.Tensor:
    poses = torch.zeros(3, 22, 3)
    poses[:, SHOULDER, 2] = torch.tensor([-0.4, 0.1, -0.9])
    return poses


def missed(points: torch.Tensor) -> torch.Tensor:
    return (points[:, WRIST, 1] - points[:, 0, 1] - HEIGHTS)[:, None].abs() / 0.1


def test_each_pose_nearly_meets_its_own_goal_and_what_is_not_free_stays_to_the_bit():
    found = least_changes(starts(), starts(), missed, {"left_shoulder": 1.0}, torch.zeros(3, NUM_POINTS, 3))
    assert missed(load_body().points(found)).max() < 0.3
    others = [joint for joint in range(22) if joint != SHOULDER]
    assert torch.equal(found[:, others], starts()[:, others])


def test_they_turn_hardly_further_than_the_least_change_of_each():
    found = least_changes(starts(), starts(), missed, {"left_shoulder": 1.0}, torch.zeros(3, NUM_POINTS, 3))
    for row, height in enumerate(HEIGHTS):
        alone = least_change(
            starts()[row],
            lambda points, h=height: (points[:, WRIST, 1] - points[:, 0, 1] - h).abs() / 0.1,
            Freedom({"left_shoulder": 1.0}),
        ).pose
        before, after, least = (roma.rotvec_to_rotmat(each[SHOULDER]) for each in (starts()[row], found[row], alone))
        assert roma.rotmat_geodesic_distance(before, after) < 1.3 * roma.rotmat_geodesic_distance(before, least) + 0.05


def test_points_that_are_held_stay_where_they_are():
    held = torch.zeros(1, NUM_POINTS, 3)
    held[:, POINT_INDEX["left_ankle"]] = held[:, POINT_INDEX["right_ankle"]] = 1.0
    start = torch.zeros(1, 22, 3)

    def sunk(points: torch.Tensor) -> torch.Tensor:
        ankles = points[:, [POINT_INDEX["left_ankle"], POINT_INDEX["right_ankle"]], 1].amin(dim=1)
        return (points[:, 0, 1] - ankles - 0.7)[:, None].abs() / 0.1  # of 0.8 metres

    legs = {f"{side}_{joint}": 1.0 for side in ("left", "right") for joint in ("hip", "knee", "ankle")}
    before, after = (load_body().points(pose)[0] for pose in (start, least_changes(start, start, sunk, legs, held)))
    ankles = [POINT_INDEX["left_ankle"], POINT_INDEX["right_ankle"]]
    apart = [(points[ankles[0]] - points[ankles[1]]) for points in (before, after)]
    assert (apart[0] - apart[1]).norm() < 0.02
    assert float(sunk(after[None])) < 0.3
