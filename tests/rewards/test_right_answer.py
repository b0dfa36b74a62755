"""Questions about a pose: right answers are paid, wrong and unclear ones are not."""

from pose_rft.rewards.right_answer import right_answer


def test_right_wrong_and_unclear_answers_are_told_apart():
    answers = ["Yes, the left arm is raised.", "No, it hangs.", "Perhaps.", "The right knee.<|im_end|>", "Hello."]
    truths = ["yes", "yes", "no", "right", None]
    assert right_answer([""] * 5, answers, None, truth=truths) == [1.0, 0.0, 0.0, 1.0, None]


def test_a_step_without_questions_is_not_graded():
    assert right_answer(["wave"], ["The pose is <POSE>."], None, truth=[None]) == [None]
    assert right_answer(["wave"], ["The pose is <POSE>."], None, checks=[()]) == [None]
