"""What can be asked of a policy: numbers in range, texts, pictures in every form; all else is one line."""

import io

import numpy as np
import pytest
import torch
from PIL import Image

from pose_rft.errors import UserError
from pose_rft.hygrpo import HyGRPOConfig
from pose_rft.sft.losses import LossWeights
from pose_rft.sft.trainer import LoopConfig, PhaseConfig
from pose_rft.vision.images import read_image

NAN, INFINITY = float("nan"), float("inf")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        *[({"batch_size": value}, "batch_size must be a whole number of at least 1") for value in (-1, 0, 1.5, None)],
        *[({"num_samples": value}, "num_samples must be a whole number") for value in (-1, 0, 2.0, "2", True)],
        *[({"max_new_tokens": value}, "max_new_tokens must be a whole number") for value in (-1, 0, NAN)],
        *[
            ({"temperature": value}, "temperature must be 0, or from 1e-06 to 100")
            for value in (-1, NAN, INFINITY, -INFINITY, 1e-40, 1e30, None, "1", True)
        ],
        *[({"seed": value}, "seed: must be a whole number from 0") for value in (-1, 0.5, None, "a", [-1], [None])],
        ({"seed": np.int64(-3)}, "seed: must be a whole number from 0"),
        ({"seed": 2**63}, "seed: must be a whole number from 0"),
        ({"seed": [1, 2]}, "seed: 2 for 1 prompts"),
        ({"prompts": [None]}, "prompts: number 0 is NoneType, not a string"),
        ({"prompts": [b"wave"]}, "prompts: number 0 is bytes, not a string"),
        ({"prompts": b"wave"}, "prompts: give a list of strings, not one bytes"),
        ({"prompts": None}, "prompts: give a list of strings, not one NoneType"),
        ({"prompts": 3}, "prompts: give a list of strings, not one int"),
        ({"prompts": ["wave", 3]}, "prompts: number 1 is int"),
        ({"images": "photo.jpg"}, "images: a str for 1 prompts"),
        ({"images": 3}, "images: a int for 1 prompts"),
        ({"images": []}, "images: 0 for 1 prompts"),
    ],
)
def test_what_cannot_be_answered_is_refused_in_one_line(tiny_policy, arguments, message):
    with pytest.raises(UserError) as caught:
        tiny_policy.generate(**{"prompts": ["wave"], "max_new_tokens": 4} | arguments)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("seed", [np.int64(7), np.uint8(7), torch.tensor(7), [np.int32(7)], np.array([7])])
def test_seeds_of_numpy_and_torch_are_those_of_python(tiny_policy, seed):
    expected = tiny_policy.generate(["wave"], seed=7, max_new_tokens=6)[0][0]
    answer = tiny_policy.generate(["wave"], seed=seed, max_new_tokens=6)[0][0]
    assert (answer.text, answer.logp_text) == (expected.text, expected.logp_text)


def test_no_prompts_have_no_answers(tiny_policy):
    assert tiny_policy.generate([]) == []


@pytest.mark.parametrize(
    "arguments",
    [
        {"num_answers": 0},
        {"num_poses": 0},
        {"max_new_tokens": 0},
        {"temperature": NAN},
        {"seeds": -1},
        {"seeds": [1, 2]},
    ],
)
def test_rollouts_that_cannot_be_are_refused(tiny_policy, arguments):
    with pytest.raises(UserError):
        tiny_policy.rollout(["wave"], **arguments)


@pytest.mark.parametrize(
    ("kind", "field"),
    [
        (HyGRPOConfig, "learning_rate"), (HyGRPOConfig, "epsilon"), (HyGRPOConfig, "temperature"),
        (HyGRPOConfig, "beta_pose"), (HyGRPOConfig, "max_grad_norm"), (HyGRPOConfig, "text_coefficient"),
        (PhaseConfig, "learning_rate"), (PhaseConfig, "weight_decay"), (LoopConfig, "max_grad_norm"),
        (LossWeights, "text"), (LossWeights, "joints"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("value", [NAN, INFINITY, -0.5])
def test_numbers_without_a_range_are_refused(kind, field, value):
    changes = {"updates_per_rollout": 2} if field == "epsilon" else {}
    with pytest.raises(UserError, match=f"^{field} must be"):
        kind(**{field: value}, **changes)


@pytest.mark.parametrize(
    ("kind", "field"),
    [
        (HyGRPOConfig, "steps"), (HyGRPOConfig, "keep_checkpoints"), (HyGRPOConfig, "save_steps"),
        (HyGRPOConfig, "seed"), (HyGRPOConfig, "warmup_steps"), (HyGRPOConfig, "row_tokens"), (PhaseConfig, "steps"),
        (PhaseConfig, "batch_size"), (LoopConfig, "keep_checkpoints"), (LoopConfig, "workers"), (LoopConfig, "seed"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("value", [-1, 2.5, NAN, True])
def test_counts_that_are_no_counts_are_refused(kind, field, value):
    with pytest.raises(UserError, match=f"^{field} must be"):
        kind(**{field: value})


@pytest.mark.parametrize(
    "words",
    [
        "generate wave --out o --seed -1", "generate wave --out o --temperature nan",
        "generate wave --out o --temperature inf", "generate wave --out o --num-samples 0",
        "evaluate everyday-prompts --seed -1", "evaluate everyday-prompts --limit 0",
        "evaluate everyday-prompts --num-samples -1", "caption p.npz --out c.jsonl --seed -1",
        "caption p.npz --out c.jsonl --captions 0", "demo --steps -1", "demo --seed -1", "serve --port -1",
    ],
)  # fmt: skip
def test_options_out_of_range_are_refused_by_every_command(pose_rft, tmp_path, monkeypatch, words, trained_policy):
    monkeypatch.chdir(tmp_path)
    policy = [] if words.split()[0] in ("caption", "demo") else ["--checkpoint", trained_policy]
    outcome = pose_rft(*words.split(), *policy)
    assert outcome.status == 2
    assert "Traceback" not in outcome.err


def _picture() -> Image.Image:
    return Image.fromarray(np.random.default_rng(0).integers(0, 256, (48, 40, 3), np.uint8))


def _png(picture: Image.Image) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, format="PNG")
    return buffer.getvalue()


@pytest.mark.parametrize(
    "form",
    [
        np.asarray,
        lambda picture: np.asarray(picture).transpose(2, 0, 1),
        lambda picture: torch.from_numpy(np.asarray(picture).copy()),
        lambda picture: torch.from_numpy(np.asarray(picture).copy()).permute(2, 0, 1),
        lambda picture: torch.from_numpy(np.asarray(picture).copy()).permute(2, 0, 1).float() / 255,
        lambda picture: np.asarray(picture).astype(np.uint16) * 257,
        _png,
        lambda picture: io.BytesIO(_png(picture)),
        lambda picture: bytearray(_png(picture)),
    ],
    ids=["array", "channels first", "tensor", "tensor, channels first", "fractions", "16 bits", "bytes", "BytesIO",
         "bytearray"],
)  # fmt: skip
def test_a_picture_is_the_same_in_every_form(form):
    picture = _picture()
    assert np.array_equal(np.asarray(read_image(form(picture))), np.asarray(picture))


def test_grey_arrays_become_grey_pictures():
    grey = np.random.default_rng(0).integers(0, 256, (48, 40), np.uint8)
    for array in (grey, grey[..., None], grey[None]):
        assert np.array_equal(np.asarray(read_image(array)), np.repeat(grey[..., None], 3, axis=2))
    assert np.array_equal(np.asarray(read_image(grey > 99))[..., 0], (grey > 99) * 255)


@pytest.mark.parametrize(
    ("picture", "message"),
    [
        (np.zeros((2, 48, 40, 3), np.uint8), "shape (2, 48, 40, 3) is no picture"),
        (np.zeros((48, 40, 5), np.uint8), "shape (48, 40, 5) is no picture"),
        (np.zeros(48, np.uint8), "is no picture"),
        (np.full((48, 40, 3), 99.0), "numbers from 0 to 1"),
        (np.full((48, 40, 3), np.nan), "numbers from 0 to 1"),
        (np.zeros((48, 40, 3), np.int64), "an array of int64"),
        (np.zeros((4, 4, 3), np.uint8), "too small"),
        (np.zeros((0, 0, 3), np.uint8), "too small"),
        (b"", "not a picture"),
        (b"no picture", "not a picture"),
        (3, "int is no picture"),
        ({}, "dict is no picture"),
        (np.array([["a"]]), "is no picture"),
    ],
)
def test_what_is_no_picture_is_refused_in_one_line(picture, message):
    with pytest.raises(UserError) as caught:
        read_image(picture)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
