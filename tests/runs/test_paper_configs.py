"""The recipes of full scale, end to end on models of the same family small enough for a test, and looked at first."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from transformers import BertConfig, BertModel, VitPoseBackbone, VitPoseBackboneConfig

from pose_rft.config import read_config
from pose_rft.runs.dry_run import dry_run
from pose_rft.runs.estimate import Rates
from pose_rft.runs.rft import RftConfig, run_rft
from pose_rft.runs.sft import SftConfig, run_sft
from pose_rft.runs.smoke import smoke_sized
from tests.policy.image_text_models import llava, qwen

PAPER = Path(__file__).parents[2] / "configs" / "paper"
FAMILIES = {"llava": llava, "qwen": qwen}
SOURCES = ("posescript", "h36m", "mpi-inf-3dhp", "coco", "llava-instruct")


def test_every_recipe_is_of_a_family_below():
    assert {path.stem for path in PAPER.glob("*.yaml")} == {
        f"{name}_{stage}" for name in FAMILIES for stage in ("sft", "rft")
    }


def write_data(folder: Path) -> None:
    """Lines of each kind: text and pose, photograph and pose, and a question about a picture in which nobody is."""
    rng = np.random.default_rng(0)
    folder.mkdir()
    for name in ("person", "room"):
        Image.fromarray(rng.integers(0, 255, (64, 48, 3), dtype=np.uint8)).save(folder / f"{name}.png")

    def line(source: str, n: int) -> dict:
        pose = rng.normal(0, 0.3, (22, 3)).round(4).tolist()
        if source == "posescript":
            return {"prompt": f"pose {n}", "pose": pose}
        if source == "llava-instruct":
            said = [("human", "<image>\nWhat is it?"), ("gpt", "Noise.")]
            return {"conversations": [{"from": who, "value": text} for who, text in said], "image": "room.png"}
        return {"prompt": "What is the pose?", "pose": pose, "image": "person.png", "box": [4, 4, 40, 60]}

    for source in SOURCES:
        (folder / f"{source}.jsonl").write_text("\n".join(json.dumps(line(source, n)) for n in range(6)))


@pytest.fixture(params=FAMILIES)
def family(request, tmp_path, monkeypatch, byte_tokenizer) -> str:
    """Data, encoder, embedder and a small model of the family in the working directory."""
    monkeypatch.chdir(tmp_path)
    write_data(tmp_path / "paper")
    torch.manual_seed(0)
    sizes = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "out_indices": [1]}
    VitPoseBackbone(VitPoseBackboneConfig(image_size=[64, 48], patch_size=[16, 16], **sizes)).save_pretrained("hmr2")
    byte_tokenizer(tmp_path / "embedder")
    tiny = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1, "intermediate_size": 8}
    BertModel(BertConfig(vocab_size=258, **tiny)).save_pretrained("embedder")

    def load(name, dtype=torch.float32):
        backbone = FAMILIES[request.param](tmp_path / "model", byte_tokenizer)
        backbone.name = name
        look = backbone.model.base_model.get_image_features

        def looked(*arguments, **options):
            Path("looked").touch()
            return look(*arguments, **options)

        backbone.model.base_model.get_image_features = looked
        backbone.model.config.save_pretrained(tmp_path / "model")
        return backbone

    load("")  # writes the config that a dry run reads
    # Qwen's processor cannot be loaded without a package for videos, so the model is handed over as it is made.
    monkeypatch.setattr("pose_rft.policy.policy.load_backbone", load)
    return request.param


def test_a_recipe_runs_from_its_data_to_a_policy_through_both_stages(family, tmp_path):
    supervised = read_config(SftConfig, PAPER / f"{family}_sft.yaml", ["--policy.backbone", "model", "--device", "cpu"])
    seen = dry_run(supervised, measure=lambda device: Rates(1e12, 1e11))
    assert seen.wrong == []
    assert len(seen.data) == 5
    assert "posescript.jsonl: 6 lines for training, 29% of the draws" in seen.data[0]
    assert seen.data[0].endswith("of 6 that were read 100% have a pose, 0% a picture")
    assert not (tmp_path / "runs").exists()
    trained = run_sft(smoke_sized(supervised))
    assert Path("looked").exists()  # the model's own vision tower, beside the encoder
    model = sum(each.numel() for each in trained.language_model.parameters() if each.requires_grad)
    assert seen.parts["adapters"] == model
    assert seen.parts["pose head"] == sum(each.numel() for each in trained.head.parameters())
    assert seen.parts["image branch"] == sum(
        each.numel() for each in trained.image_branch.parameters() if each.requires_grad
    )

    overrides = ["--device", "cpu", "--rewards", json.dumps(rewards(family))]
    reinforced = read_config(RftConfig, PAPER / f"{family}_rft.yaml", overrides)
    seen = dry_run(reinforced, measure=lambda device: Rates(1e12, 1e11))
    assert (seen.wrong, list(seen.phases)) == ([], ["hygrpo"])
    assert seen.phases["hygrpo"]["steps"] == 1000
    _, history = run_rft(smoke_sized(reinforced))
    logged = {name for entry in history for name in entry}
    graded = {f"rewards/{name}/graded" for name in ("format", "spatial", "semantic", "text_similarity")}
    assert graded <= logged
    assert all(np.isfinite(entry["loss"]) for entry in history if "loss" in entry)


def rewards(family: str) -> list:
    """The recipe's, with a small sentence embedder in place of BGE-M3."""
    config = read_config(RftConfig, PAPER / f"{family}_rft.yaml")
    of_words = {"text_similarity": {"embedder": "embedder"}}
    return [
        each if isinstance(each, str) or each["name"] not in of_words else each | {"options": of_words[each["name"]]}
        for each in config.rewards
    ]
