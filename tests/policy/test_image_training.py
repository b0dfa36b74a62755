"""Every family of image-text models goes through both stages, saving, loading and answering; images are read once."""

import numpy as np
import pytest
import torch
from PIL import Image
from transformers import AutoProcessor

from pose_rft.data.sample import Sample
from pose_rft.errors import UserError
from pose_rft.hygrpo import HyGRPOConfig
from pose_rft.policy import HeadConfig, LoraSettings, PolicyConfig, PosePolicy
from pose_rft.policy.backbone import load_backbone
from pose_rft.runs.rft import PosePhaseConfig, RftConfig, run_rft
from pose_rft.runs.sft import SftConfig, run_sft
from pose_rft.sft.trainer import LoopConfig, PhaseConfig
from tests.policy.image_text_models import MODELS

ANSWER = "Here: <POSE>."
PICTURES = [
    Image.fromarray(np.random.default_rng(0).integers(0, 255, shape, dtype=np.uint8))
    for shape in ((60, 80, 3), (80, 60, 3))
]


def samples() -> list[Sample]:
    """Two pictures, of which one is asked about twice, and words alone."""
    poses = np.random.default_rng(0).normal(0, 0.3, (4, 22, 3)).astype(np.float32)
    asked = [("What is this pose?", PICTURES[0]), ("Who?", PICTURES[0]), ("Who?", PICTURES[1]), ("A wave.", None)]
    return [Sample(prompt, ANSWER, pose, image=image) for (prompt, image), pose in zip(asked, poses, strict=True)]


@pytest.fixture
def looks(monkeypatch, tmp_path, byte_tokenizer):
    """``looks(family)`` makes every policy one of the family and returns a list that grows with each image encoded."""

    def make(family: str) -> list[None]:
        calls: list[None] = []

        def load(name, dtype):
            backbone = MODELS[family](tmp_path, byte_tokenizer)
            encode = backbone.model.base_model.get_image_features

            def counted(*arguments, **options):
                calls.append(None)
                return encode(*arguments, **options)

            backbone.model.base_model.get_image_features = counted
            return backbone

        monkeypatch.setattr("pose_rft.policy.policy.load_backbone", load)
        return calls

    return make


@pytest.mark.parametrize("family", MODELS)
def test_a_family_is_trained_in_both_stages_and_encodes_an_image_once_a_run(looks, family, tmp_path):
    calls = looks(family)
    phase = PhaseConfig(samples=4, steps=2, batch_size=4, learning_rate=1e-3)  # each step is an epoch
    supervised = SftConfig(
        policy=PolicyConfig(family, -1, HeadConfig(width=32, depth=1, heads=4, rank=2), LoraSettings(rank=2)),
        output_dir=str(tmp_path / "sft"),
        head=phase,
        joint=phase,
        loop=LoopConfig(row_tokens=200, save_steps=100),
        device="cpu",
    )
    before = PosePolicy.create(supervised.policy, dtype=torch.float32)
    after = run_sft(supervised, samples=samples())
    assert len(calls) == 3  # images and questions about them
    assert not (tmp_path / "sft" / "images").exists()
    assert moved(before, after) >= {"lora_A", "lora_B", "trainable_tokens_delta", "mean"}

    calls.clear()
    reinforced = RftConfig(
        policy=str(tmp_path / "sft" / "policy"),
        output_dir=str(tmp_path / "rft"),
        rewards=["format", {"name": "spatial", "weight": 0.1}],
        pose_phase=PosePhaseConfig(steps=1, prompts_per_step=4),
        hygrpo=HyGRPOConfig(
            steps=2, prompts_per_step=4, answers_per_prompt=3, poses_per_answer=2, updates_per_rollout=2,
            warmup_steps=0, max_new_tokens=4, row_tokens=200, learning_rate=1e-3,
        ),
        device="cpu",
    )  # fmt: skip
    policy, history = run_rft(reinforced, samples=samples())
    assert len(calls) == 3
    assert not (tmp_path / "rft" / "images").exists()
    assert all(np.isfinite(entry["loss"]) for entry in history if "loss" in entry)
    assert "mean" in moved(after, policy)

    loaded = PosePolicy.from_pretrained(tmp_path / "rft" / "policy", dtype=policy.language_model.backbone.model.dtype)
    first, second = (p.generate(["Who?"], [PICTURES[1]], seed=1, max_new_tokens=4)[0][0] for p in (policy, loaded))
    assert (first.text, first.logp_text) == (second.text, second.logp_text)


def moved(before: PosePolicy, after: PosePolicy) -> set[str]:
    """Kinds of weights that differ."""
    old = before.trainable()
    parts = ("lora_A", "lora_B", "trainable_tokens_delta", "mean")
    changed = [name for name, value in after.trainable().items() if not torch.equal(value, old[name])]
    return {part for part in parts for name in changed if part in name}


def test_a_processor_that_needs_a_missing_package_is_one_line(tmp_path, byte_tokenizer, monkeypatch):
    MODELS["llava"](tmp_path, byte_tokenizer)

    def missing(*arguments, **options):
        raise ImportError("\nQwen2VLVideoProcessor requires the Torchvision library. Check out the instructions\nthere")

    monkeypatch.setattr(AutoProcessor, "from_pretrained", missing)
    with pytest.raises(UserError, match=r"requires the Torchvision library\); install it") as caught:
        load_backbone(str(tmp_path))
    assert "\n" not in str(caught.value)
