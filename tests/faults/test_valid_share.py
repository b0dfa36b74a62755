"""A run that ends without a valid answer says so."""

from pose_rft.hygrpo import HyGRPOConfig
from pose_rft.runs.rft import RftConfig, no_valid_answer


def log(*shares):
    return [{"step": step, "valid_share": share} for step, share in enumerate(shares)] + [{"step": len(shares)}]


def test_a_run_without_a_valid_answer_at_its_end_is_warned_of():
    assert "no answer of the last 5 steps held a valid <POSE>" in no_valid_answer(RftConfig(), log(*[0.0] * 8))
    assert "no answer of the last 5 steps" in no_valid_answer(RftConfig(), log(1.0, 0.5, *[0.0] * 5))
    assert "no answer of the last 2 steps" in no_valid_answer(RftConfig(), log(0.0, 0.0))


def test_other_runs_are_not():
    assert no_valid_answer(RftConfig(), log(0.0, 0.0, 0.0, 0.1)) is None
    assert no_valid_answer(RftConfig(), []) is None
    words_alone = RftConfig(hygrpo=HyGRPOConfig(pose_coefficient=0.0, text_sees_pose_rewards=True))
    assert no_valid_answer(words_alone, log(0.0, 0.0)) is None


def test_the_warning_stands_beside_where_the_policy_is(pose_rft, write_config, rft_fields, tmp_path):
    config = write_config("rft.yaml", rft_fields | {"output_dir": str(tmp_path / "run")})
    outcome = pose_rft("rft", config, "--hygrpo.max_new_tokens", 3)  # too few to come to <POSE>
    assert outcome.status == 0, outcome.err
    assert "The policy is in" in outcome.out
    assert "warning: no answer of the last 4 steps held a valid <POSE>" in outcome.err
