"""Only a whole answer counts."""

import numpy as np
import torch

from pose_rft.body import load_body
from pose_rft.rewards import PoseBatch, RewardSpec, grade, resolve
from pose_rft.rewards.kept import kept

STRAIGHT = ("angle(left_knee) > 160", "angle(right_knee) > 160")
BENT = ("angle(left_knee) > 160", "angle(right_knee) < 120")


def batch(*poses: np.ndarray, valid: bool = True) -> PoseBatch:
    turns = torch.from_numpy(np.stack(poses)).float()
    return PoseBatch(load_body().points(turns), turns, torch.full((len(poses),), valid))


def grades(poses, *checks):
    return kept(["q"] * len(checks), ["a"] * len(checks), poses, checks=checks)


def test_a_pose_that_meets_half_of_the_checks_earns_nothing():
    rest = np.zeros((22, 3))
    assert grades(batch(rest, rest), STRAIGHT, BENT) == [1, 0]


def test_a_pose_that_meets_all_and_looks_wrong_earns_nothing():
    bowed = np.zeros((22, 3))
    bowed[12, 0] = 1.4  # the neck
    assert grades(batch(bowed), STRAIGHT) == [0]


def test_nothing_is_said_where_nothing_is_asked_or_shown():
    rest = np.zeros((22, 3))
    assert grades(batch(rest), ()) == [None]
    assert grades(batch(rest, valid=False), STRAIGHT) == [None]


def test_beside_the_share_of_checks_both_rewards_grade_as_they_do_alone():
    torch.manual_seed(0)
    turns = 0.05 * torch.randn(4, 2, 8, 22, 3)
    points = load_body().points(turns.view(-1, 22, 3)).view(4, 2, 8, -1, 3)
    columns = {"checks": [STRAIGHT, BENT, [], BENT[:1]]}
    valid = torch.tensor([[True, True], [True, False], [True, True], [False, True]])

    def grades_of(*names: str) -> torch.Tensor:
        rewards = [resolve(RewardSpec(name)) for name in names]
        return grade(rewards, 0, ["q"] * 4, [["a"] * 2] * 4, points, turns, valid, columns).pose.values

    both = grades_of("posecodes", "kept")
    apart = torch.cat([grades_of("posecodes"), grades_of("kept")])
    assert torch.equal(both.nan_to_num(-1), apart.nan_to_num(-1))
    assert both[0].nanmean() > both[1].nanmean() > 0
