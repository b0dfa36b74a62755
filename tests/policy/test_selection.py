"""Best of K: the policy's own samples, chosen by what the words say."""

import numpy as np
import pytest
import torch

from pose_rft.body import load_body
from pose_rft.data.stated import said
from pose_rft.errors import UserError
from pose_rft.policy.prompt_encoder import PromptInput
from pose_rft.policy.selection import candidate_temperatures, choose_poses, score_candidates
from pose_rft.posescript.checks import satisfied


def raised(degrees: float, side: str = "left") -> torch.Tensor:
    """Standing, one arm lifted sideways from hanging."""
    pose = torch.zeros(22, 3)
    pose[16, 2], pose[17, 2] = np.radians(-80), np.radians(80)
    pose[16 if side == "left" else 17, 2] += np.radians(degrees if side == "left" else -degrees)
    return pose


def test_what_the_words_state_decides():
    poses = torch.stack([raised(0), raised(150), raised(0), raised(150, "right")])[None]
    words = "The left arm is raised above the head."
    assert choose_poses(words, poses).tolist() == [1]
    assert satisfied(["y(left_wrist) > y(head)"], load_body().joints(poses[0])).flatten().tolist()[1]


def test_what_an_answer_itself_says_decides_where_the_prompt_does_not():
    poses = torch.stack([raised(0), raised(150), raised(150, "right")])[None].expand(2, 3, 22, 3)
    said = ["The left arm is stretched straight up: <POSE>.", "The right arm is stretched straight up: <POSE>."]
    assert choose_poses("qwerty", poses, said).tolist() == [1, 2]


def test_answers_to_one_prompt_differ_from_each_other():
    best, other = raised(170), raised(120)
    poses = torch.stack([best, other, raised(0)]).expand(2, 3, 22, 3)
    chosen = choose_poses("The left arm is raised above the head.", poses).tolist()
    assert len(set(chosen)) == 2


def test_what_looks_wrong_is_avoided_where_words_leave_it_open():
    bowed = raised(0)
    bowed[12, 0] = bowed[15, 0] = np.radians(40)
    pose = torch.stack([bowed, raised(0)])
    assert score_candidates("qwerty", pose, load_body().points(pose)).argmax() == 1


def test_candidates_go_from_the_mean_pose_to_what_the_temperature_allows(tiny_policy):
    assert candidate_temperatures(0.8, 1).tolist() == pytest.approx([0.8])
    several = candidate_temperatures(0.5, 5)
    assert several[0] == 0
    assert (several.diff() > 0).all()
    assert several[-1] <= 0.5
    asked = [PromptInput("wave")]
    wide, mean, each = (
        tiny_policy.rollout(asked, 1, 3, pose_temperatures=torch.tensor(temperatures)).action[0, 0]
        for temperatures in ([1.0, 1.0, 1.0], [0.0, 0.0, 0.0], [0.0, 0.5, 1.0])
    )
    share = torch.tensor([0.0, 0.5, 1.0])[:, None, None]
    torch.testing.assert_close(each, mean + share * (wide - mean))


def test_generate_takes_more_candidates_to_better_answers(tiny_policy):
    first = tiny_policy.generate(["raise the left arm"], seed=3, best_of=1)
    again = tiny_policy.generate(["raise the left arm"], seed=3, best_of=1)
    chosen = tiny_policy.generate(["raise the left arm"], seed=3, best_of=16)
    assert first[0][0].text == again[0][0].text == chosen[0][0].text
    if first[0][0].valid:
        assert np.array_equal(first[0][0].pose.axis_angle(), again[0][0].pose.axis_angle())


def test_temperature_zero_never_chooses(tiny_policy, monkeypatch):
    monkeypatch.setattr("pose_rft.policy.selection.choose_poses", lambda *_: pytest.fail("chosen"))
    tiny_policy.generate(["sit down"], temperature=0.0, best_of=8)
    tiny_policy.generate(["sit down"], temperature=1.0, best_of=1)


def test_best_of_nothing_is_refused(tiny_policy):
    with pytest.raises(UserError, match="best_of"):
        tiny_policy.generate(["sit down"], best_of=0)


def test_a_chosen_pose_is_settled_and_its_action_is_what_was_sampled(tiny_policy):
    prompts = ["wave", "sit down", "kneel", "a squat", "run", "jump"]
    sampled, settled = (
        tiny_policy.generate(prompts, seed=5, best_of=1, words=False, settle=how) for how in (False, True)
    )
    before, after = (np.stack([group[0].pose.axis_angle() for group in answers]) for answers in (sampled, settled))
    assert [group[0].logp_pose for group in sampled] == [group[0].logp_pose for group in settled]
    pairs = zip(prompts, torch.from_numpy(before), strict=True)
    expected = load_body().joints(torch.stack([said(prompt).settle(pose) for prompt, pose in pairs]))
    torch.testing.assert_close(load_body().joints(torch.from_numpy(after)), expected, atol=1e-4, rtol=0)
    assert np.abs(after - before).max() > 0.01
