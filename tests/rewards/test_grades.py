"""The sum of grades, and grades of poses as grades of their answers."""

import torch

from pose_rft.rewards import Grades

NAN = float("nan")


def test_the_sum_leaves_out_what_was_not_graded():
    grades = Grades(torch.tensor([[[1.0, NAN, NAN]], [[10.0, 20.0, NAN]]]), torch.tensor([2.0, 0.5]))
    assert grades.total.tolist() == [[7.0, 10.0, 0.0]]
    assert grades.graded.tolist() == [[True, True, False]]


def test_an_answer_gets_the_mean_of_its_graded_poses():
    poses = Grades.of_one(torch.tensor([[[1.0, 3.0, NAN], [NAN, NAN, NAN]]]))
    text = Grades(torch.tensor([[[5.0, 5.0]]]), torch.tensor([2.0])).beside(poses.of_answers())
    assert text.total.tolist() == [[12.0, 10.0]]


def test_items_that_do_not_count_lose_their_grades():
    poses = Grades.of_one(torch.ones(1, 2, 3)).where(torch.tensor([[[True], [False]]]))
    assert poses.graded.tolist() == [[[True] * 3, [False] * 3]]


def test_without_rewards_nothing_is_graded():
    nothing = Grades(torch.zeros(0, 1, 2), torch.zeros(0))
    assert nothing.total.tolist() == [[0.0, 0.0]]
    assert not nothing.graded.any()


def test_infinity_is_no_missing_grade():
    assert Grades.of_one(torch.tensor([[float("inf")]])).graded.all()
    assert Grades.of_one(torch.tensor([[float("inf")]])).total.isinf().all()
