"""report_to: transformers' own callbacks take our runs' logs, and what is missing is said in one line before a run."""

import json
import sys
from types import ModuleType

import numpy as np
import pytest
from transformers.integrations import integration_utils

from pose_rft.data.sample import Sample
from pose_rft.errors import UserError
from pose_rft.hygrpo import HyGRPOConfig
from pose_rft.runs.pose_timeline import PoseTimelineConfig
from pose_rft.runs.rft import PosePhaseConfig, RftConfig, run_rft
from pose_rft.sft.trainer import LoopConfig


class Writer:
    """Stands in for TensorBoard's, which the tests do not install."""

    made: list["Writer"] = []  # noqa: RUF012

    def __init__(self, log_dir: str) -> None:
        self.folder, self.texts, self.values = log_dir, {}, {}
        self.made.append(self)

    def add_text(self, name, text, step=None):
        self.texts[name] = text

    def add_scalar(self, name, value, step):
        self.values[name] = value

    def flush(self):
        pass

    close = flush


def test_tensorboard_gets_both_phases_of_a_run_with_the_policy_s_config(trained_policy, tmp_path, monkeypatch):
    package = ModuleType("torch.utils.tensorboard")
    package.SummaryWriter = Writer
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", package)
    monkeypatch.setattr(integration_utils, "is_tensorboard_available", lambda: True)
    monkeypatch.setattr(Writer, "made", [])
    pose = np.zeros((22, 3), np.float32)
    config = RftConfig(
        policy=str(trained_policy),
        output_dir=str(tmp_path),
        pose_phase=PosePhaseConfig(steps=1, prompts_per_step=2),
        hygrpo=HyGRPOConfig(
            steps=1,
            prompts_per_step=2,
            answers_per_prompt=2,
            poses_per_answer=4,
            max_new_tokens=12,
            report_to="tensorboard",
        ),
        pose_timeline=PoseTimelineConfig(every=0),
        device="cpu",
    )
    samples = [Sample(f"{n}", "Done <POSE>.", pose, checks=("angle(left_knee) < 90",)) for n in range(2)]
    run_rft(config, samples=samples)
    opening, main = Writer.made
    assert opening.folder.startswith(str(tmp_path / "pose_phase"))
    assert json.loads(main.texts["model_config"])["head"]["width"] == 32
    for writer in Writer.made:
        assert {"train/rewards/posecodes/mean", "train/pose/kl", "train/valid_share"} <= writer.values.keys()


@pytest.mark.parametrize("config", [HyGRPOConfig, LoopConfig])
def test_a_tracker_that_is_missing_or_unknown_is_named_in_one_line(config, monkeypatch):
    def needs_package() -> None:
        raise RuntimeError("WandbCallback requires wandb to be installed.\nRun `pip install wandb`.")

    monkeypatch.setitem(integration_utils.INTEGRATION_TO_CALLBACK, "wandb", needs_package)
    with pytest.raises(UserError, match=r"^report_to: wandb is not installed; pip install wandb, or set") as missing:
        config(report_to="wandb")
    with pytest.raises(UserError, match=r"^report_to: 'visdom' is unknown; choose none, tensorboard, wandb") as unknown:
        config(report_to="visdom")
    assert "\n" not in str(missing.value) + str(unknown.value)
    assert config(report_to="none").report_to == "none"
