"""NaN and infinity stop a run before they reach weights or checkpoints; the advice in the message works."""

import shutil

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from pose_rft.data.sample import Sample
from pose_rft.errors import UserError
from pose_rft.policy import HeadConfig, LoraSettings, PolicyConfig
from pose_rft.runs.sft import SftConfig, run_sft
from pose_rft.sft.losses import LossWeights
from pose_rft.sft.trainer import HeadTrainer, LoopConfig, PhaseConfig
from pose_rft.trainer import NonFiniteError

ANSWER = "Here: <POSE>."


def samples(n=12):
    poses = np.random.default_rng(0).normal(0, 0.3, (n, 22, 3)).astype(np.float32)
    return [Sample(f"pose {i}", ANSWER, poses[i], source=f"clip {i}") for i in range(n)]


@pytest.fixture
def make_config(tiny_backbone, tmp_path):
    def make(**changes):
        head = HeadConfig(width=32, depth=1, heads=4, rank=2)
        settings = {
            "policy": PolicyConfig(tiny_backbone, 2, head, LoraSettings(rank=2)),
            "output_dir": str(tmp_path / "run"),
            "head": PhaseConfig(samples=12, steps=6, batch_size=4),
            "joint": PhaseConfig(samples=12, steps=0, batch_size=4),
            "loop": LoopConfig(save_steps=1, keep_checkpoints=1, logging_steps=1, row_tokens=128),
            "pose_timeline": SftConfig().pose_timeline.__class__(every=50),
            "device": "cpu",
        }
        return SftConfig(**(settings | changes))

    return make


def break_at(monkeypatch, step, what):
    """Make the gradients of a phase's head, or its weights, or its loss, infinite or NaN from a step on."""
    original = HeadTrainer.compute_loss

    def compute_loss(self, model, inputs, *args, **kwargs):
        loss = original(self, model, inputs, *args, **kwargs)
        if self.state.global_step >= step and self.args.learning_rate > 1e-3:
            return what(self, loss)
        return loss

    monkeypatch.setattr(HeadTrainer, "compute_loss", compute_loss)


def no_covariance(trainer, loss):
    torch.linalg.cholesky(-torch.eye(2))
    return loss


class InfiniteGradient(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x.clone()

    @staticmethod
    def backward(ctx, gradient):
        return gradient * float("inf")


@pytest.mark.parametrize(
    ("what", "cause"),
    [
        (lambda trainer, loss: loss * float("nan"), "the loss is nan"),
        (lambda trainer, loss: InfiniteGradient.apply(loss), "the norm of the gradients is "),
        (no_covariance, "linalg"),
    ],
    ids=["loss", "gradients", "covariance"],
)
def test_the_last_good_checkpoint_stays_and_the_advice_works(make_config, tmp_path, monkeypatch, what, cause):
    break_at(monkeypatch, 3, what)
    config = make_config(head=PhaseConfig(samples=12, steps=6, batch_size=4, learning_rate=0.01), **untimed())
    with pytest.raises(NonFiniteError) as caught:
        run_sft(config, samples=samples())
    message = str(caught.value)
    assert "\n" not in message
    assert cause in message
    assert "step 4" in message
    assert "the last good one is checkpoint-2; lower head.learning_rate (now 0.01) and go on with --resume" in message
    folder = tmp_path / "run" / "head"
    assert sorted(path.name for path in folder.iterdir()) == ["checkpoint-2", "diverged-3"]
    assert all(value.isfinite().all() for value in load_file(folder / "checkpoint-2" / "head.safetensors").values())
    lower = make_config(head=PhaseConfig(samples=12, steps=6, batch_size=4, learning_rate=1e-4), **untimed())
    policy = run_sft(lower, resume=True, samples=samples())
    assert all(weight.isfinite().all() for weight in policy.parameters())


def untimed():
    """Nothing is drawn where no phase trains words."""
    return {"joint": PhaseConfig(samples=12, steps=1, batch_size=4)}


def test_a_rate_that_breaks_the_weights_breaks_no_checkpoint(make_config, tmp_path):
    config = make_config(head=PhaseConfig(samples=12, steps=6, batch_size=4, learning_rate=1e38), **untimed())
    with pytest.raises(NonFiniteError, match=r"lower head.learning_rate \(now 1e\+38\)"):
        run_sft(config, samples=samples())
    folder = tmp_path / "run" / "head"
    for checkpoint in folder.glob("checkpoint-*"):
        assert all(value.isfinite().all() for value in load_file(checkpoint / "head.safetensors").values())
    lower = make_config(head=PhaseConfig(samples=12, steps=6, batch_size=4), **untimed())
    assert run_sft(lower, resume=True, samples=samples()).device.type == "cpu"


def test_one_sample_that_breaks_the_loss_is_named_and_its_checkpoint_stays(make_config, tmp_path, monkeypatch):
    original = HeadTrainer.compute_loss

    def compute_loss(self, model, inputs, *args, **kwargs):
        loss = original(self, model, inputs, *args, **kwargs)
        bad = self.state.global_step >= 2 and any(self.samples[row].source == "clip 7" for row in inputs["rows"])
        return loss * float("inf") if bad else loss

    monkeypatch.setattr(HeadTrainer, "compute_loss", compute_loss)
    with pytest.raises(NonFiniteError, match=r"for prompt 'pose 7' from clip 7; mend that sample or leave it out"):
        run_sft(make_config(**untimed()), samples=samples())
    assert not list((tmp_path / "run" / "head").glob("diverged-*"))


def test_the_term_of_the_loss_that_is_not_finite_is_named(make_config, monkeypatch):
    from pose_rft.sft import trainer

    original = trainer.pose_losses
    monkeypatch.setattr(trainer, "pose_losses", lambda *args: original(*args) | {"joints": torch.tensor(float("nan"))})
    with pytest.raises(NonFiniteError, match=r"the loss is nan \(loss/joints\), before anything was learned"):
        run_sft(make_config(**untimed()), samples=samples())


def test_an_infinite_loss_by_its_weights_names_them_as_a_cause(make_config):
    with pytest.raises(NonFiniteError, match="lower the weights of the loss"):
        run_sft(make_config(loss=LossWeights(joints=1e39), **untimed()), samples=samples())


@pytest.mark.parametrize(
    ("pose", "wrong"),
    [
        (np.full((22, 3), np.nan, np.float32), "holds NaN or infinity"),
        (np.full((22, 3), np.inf, np.float32), "holds NaN or infinity"),
        (np.zeros((24, 3), np.float32), r"has shape \(24, 3\)"),
    ],
)
def test_a_pose_that_cannot_be_learned_is_named_before_the_run(make_config, tmp_path, pose, wrong):
    data = [*samples(), Sample("a broken one", ANSWER, pose, source="clip 99")]
    with pytest.raises(UserError, match=rf"the pose of prompt 'a broken one' from clip 99 {wrong}"):
        run_sft(make_config(**untimed()), samples=data)
    assert not (tmp_path / "run" / "head").exists()
    shutil.rmtree(tmp_path / "run")
