"""The recipes of full scale, end to end on models of the same family small enough for a test, and looked at first."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import BertConfig, BertModel, VitPoseBackbone, VitPoseBackboneConfig

from pose_rft.config import read_config
from pose_rft.runs.dry_run import dry_run
from pose_rft.runs.estimate import Rates
from pose_rft.runs.rft import RftConfig, run_rft
from pose_rft.runs.sft import SftConfig, run_sft
from pose_rft.runs.smoke import smoke_sized
from tests.data.published_sets import (
    write_4d_humans,
    write_4d_humans_pickles,
    write_h36m,
    write_llava,
    write_mpi_inf_3dhp,
    write_posescript,
)
from tests.policy.image_text_models import llava, qwen

PAPER = Path(__file__).parents[2] / "configs" / "paper"
FAMILIES = {"llava": llava, "qwen": qwen}
SETS = {
    "posescript": write_posescript,
    "h36m": write_h36m,
    "mpi_inf_3dhp": write_mpi_inf_3dhp,
    "4d_humans": write_4d_humans,
    "llava": write_llava,
}


def test_every_recipe_is_of_a_family_below():
    assert {path.stem for path in PAPER.glob("*.yaml")} == {
        f"{name}_{stage}" for name in FAMILIES for stage in ("sft", "rft")
    }


def write_data(folder: Path) -> None:
    """Small copies of the data sets as their owners publish them."""
    for name, write in SETS.items():
        write(folder / name)


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
    counts = [line.partition(" lines for training")[0] for line in seen.data]
    assert counts == [
        "posescript in paper/posescript: 2",
        "posescript_auto in paper/posescript: 6",
        "h36m in paper/h36m: 2",
        "mpi_inf_3dhp in paper/mpi_inf_3dhp: 2",
        "4d_humans in paper/4d_humans: 3",
        "llava in paper/llava: 2",
    ]
    assert "14% of the draws; of 2 that were read 100% have a pose, 0% a picture" in seen.data[0]
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


def test_what_a_recipe_lacks_is_named_set_by_set(family, tmp_path):
    shutil.rmtree(tmp_path / "paper" / "h36m")
    (tmp_path / "paper" / "mpi_inf_3dhp" / "mpi_inf_3dhp_train.npz").unlink()
    (tmp_path / "paper" / "4d_humans" / "labels.npz").unlink()
    write_4d_humans_pickles(tmp_path / "paper" / "4d_humans")
    shutil.rmtree(tmp_path / "paper" / "llava" / "train2017")
    config = read_config(SftConfig, PAPER / f"{family}_sft.yaml", ["--policy.backbone", "model", "--device", "cpu"])
    seen = dry_run(config, measure=lambda device: Rates(1e12, 1e11))
    assert len(seen.data) == 2  # PoseScript's
    for line, said in zip(
        seen.wrong,
        (
            "paper/h36m: no such folder; give the one that Human3.6M",
            "paper/mpi_inf_3dhp: holds no mpi_inf_3dhp_train*.npz (annotations with SPIN's fits); get it from https://",
            "paper/4d_humans: **/*.data.pyd: pickles are not read, as they can run code; if you trust these, convert",
            "paper/llava, llava_instruct_150k.json, row 0: image: no such file",
        ),
        strict=True,
    ):
        assert line.startswith(said)


def rewards(family: str) -> list:
    """The recipe's, with a small sentence embedder in place of BGE-M3."""
    config = read_config(RftConfig, PAPER / f"{family}_rft.yaml")
    of_words = {"text_similarity": {"embedder": "embedder"}}
    return [
        each if isinstance(each, str) or each["name"] not in of_words else each | {"options": of_words[each["name"]]}
        for each in config.rewards
    ]
