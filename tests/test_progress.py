"""What a terminal of 80 columns shows of a run, and what is left of it when the run fails."""

import io
from types import SimpleNamespace

import pytest
from rich.console import Console

from pose_rft.progress import LiveProgress, shown_metrics

FIRST = {
    "loss": 0.1,
    "rewards/format/mean": 1.0,
    "rewards/posecodes/mean": 0.481,
    "rewards/my_module.head_up/mean": 0.456,
    "rewards/posecodes/std": 0.2,
    "valid_share": 0.9975,
    "text/kl": 0.00065,
    "pose/kl": 0.0,
    "text/clip_share": 0.0,
    "pose/clip_share": 0.0,
}
LATER = FIRST | {"rewards/posecodes/mean": 0.65, "pose/kl": 12.34, "pose/clip_share": 0.021}


def train(console: Console, logs: list[dict[str, float]], every: int = 1) -> LiveProgress:
    live = LiveProgress("HyGRPO, pose head", every, console)
    state = SimpleNamespace(global_step=0, max_steps=150, is_world_process_zero=True)
    live.on_train_begin(None, state, None)
    for entry in logs:
        state.global_step += 1
        live.on_step_end(None, state, None)
        live.on_log(None, state, None, entry)
    return live


def test_80_columns_hold_the_bar_and_every_metric_whole():
    live = train(Console(file=io.StringIO()), [FIRST, LATER, {"train_runtime": 3.0}])
    page = Console(width=80, file=io.StringIO())
    page.print(live.view())
    lines = page.file.getvalue().splitlines()
    assert all(len(line) <= 80 for line in lines)
    assert "HyGRPO, pose head" in lines[0]
    assert "3/150" in lines[0]
    assert "left" in lines[0]
    below = "\n".join(lines[1:])
    for item in (
        "format 1.000 → 1.000", "posecodes 0.481 → 0.650", "head_up 0.456 → 0.456", "valid 99.8%", "KL words 0.00065",
        "KL pose 12.3", "clip words 0.0%", "clip pose 2.1%",
    ):  # fmt: skip
        assert item in below
    assert len(lines) <= 5


def test_without_a_terminal_there_is_a_line_now_and_then_with_the_time_left():
    console = Console(file=io.StringIO(), width=80)
    train(console, [FIRST, LATER, LATER, {"train_runtime": 3.0}], every=2)
    lines = console.file.getvalue().splitlines()
    assert [line.split("  ")[0] for line in lines] == ["HyGRPO, pose head 1/150", "HyGRPO, pose head 3/150"]
    assert "posecodes 0.650" in lines[1]
    assert lines[1].split("  ")[1].startswith("left 0:")  # a step took no time to speak of


def test_losses_of_a_supervised_run_are_shown_from_first_to_last():
    assert shown_metrics({"loss/joints": 0.1}, {"loss/joints": 0.25}) == [("joints m", "0.25 → 0.1")]
    assert shown_metrics({"loss/joints": 0.1}) == [("joints m", "0.1")]


def test_a_run_that_fails_gives_the_terminal_back(tiny_policy, tmp_path):
    from pose_rft.data.sample import Sample
    from pose_rft.hygrpo import HyGRPOConfig, HyGRPOTrainer

    def fail(step, samples, rollout):
        raise ValueError("no grade today")

    terminal = Console(file=io.StringIO(), force_terminal=True, width=80)
    tiny_policy.freeze_reference()
    config = HyGRPOConfig(steps=1, prompts_per_step=1, answers_per_prompt=2, poses_per_answer=2, max_new_tokens=2)
    with pytest.raises(ValueError, match="no grade today"), LiveProgress("HyGRPO", console=terminal) as live:
        HyGRPOTrainer(tiny_policy, config, [Sample("wave", "")], fail, str(tmp_path), [live]).train()
    hide, show = "\x1b[?25l", "\x1b[?25h"
    assert hide in terminal.file.getvalue()
    assert terminal.file.getvalue().rindex(show) > terminal.file.getvalue().rindex(hide)
