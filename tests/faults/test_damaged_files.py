"""Files of every kind that we read, damaged anywhere: each is read, or refused in one line."""

import io
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from pose_rft.body.pose_files import read_poses, write_amass
from pose_rft.body.smpl import SmplBody
from pose_rft.config import read_config
from pose_rft.data.concepts.concept import load_concepts
from pose_rft.data.mocap.clips import read_mocap
from pose_rft.errors import UserError
from pose_rft.retrieval.model import RetrievalModel, RetrievalSettings
from pose_rft.runs.pose_timeline import read_timeline, write_timeline
from pose_rft.runs.sft import SftConfig
from pose_rft.vision.images import read_image

TOGETHER = 3000  # damaged files in the slow run
ROOT = Path(__file__).parents[2]
POSES = np.random.default_rng(0).normal(0, 0.3, (4, 22, 3)).astype(np.float32)
PICTURE = Image.fromarray(np.random.default_rng(1).integers(0, 255, (48, 40, 3), np.uint8).repeat(2, axis=0))


def written(name: str, write: Callable[[Path], object]) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        write(Path(folder) / name)
        return (Path(folder) / name).read_bytes()


def picture(kind: str) -> bytes:
    buffer = io.BytesIO()
    PICTURE.save(buffer, kind)
    return buffer.getvalue()


def mocap(path: Path) -> None:
    names = np.array(["a", "a", "b", "b"])
    np.savez_compressed(path, pose=POSES, sequence=names, description=names)


def body_model(path: Path) -> None:
    arrays = ("v_template", "shapedirs", "posedirs", "J_regressor", "weights", "kintree_table", "f")
    np.savez_compressed(path, **{name: np.zeros((9, 9)) for name in arrays})


def retrieval_model(path: Path) -> None:
    torch.manual_seed(0)
    tiny = RetrievalSettings(width=8, pose_width=8, pose_blocks=1, heads=1, buckets=4, max_words=4)
    RetrievalModel(tiny, ["arm", "leg"]).save(path)


KINDS: dict[str, tuple[bytes, Callable[[Path], object]]] = {
    "amass.npz": (written("a.npz", lambda path: write_amass(path, POSES)), read_poses),
    "plain.npy": (written("a.npy", lambda path: np.save(path, POSES)), read_poses),
    "mocap.npz": (written("a.npz", mocap), read_mocap),
    "body.npz": (written("a.npz", body_model), SmplBody),
    "photo.png": (picture("PNG"), read_image),
    "photo.jpg": (picture("JPEG"), read_image),
    "photo.webp": (picture("WEBP"), read_image),
    "photo.gif": (picture("GIF"), read_image),
    "photo.bmp": (picture("BMP"), read_image),
    "photo.tiff": (picture("TIFF"), read_image),
    "config.yaml": ((ROOT / "configs/quick_sft.yaml").read_bytes(), lambda path: read_config(SftConfig, path)),
    "concepts.yaml": (
        (ROOT / "src/pose_rft/data/concepts/bank/combat.yaml").read_bytes()[:1500],
        lambda path: load_concepts([path]),
    ),
    "retrieval.safetensors": (written("a.safetensors", retrieval_model), RetrievalModel.load),
    "timeline.png": (
        written("a.png", lambda path: write_timeline(path, ["wave"], {})),
        lambda path: read_timeline(path, ["wave"]),
    ),
}


@st.composite
def damaged(draw: st.DrawFn, content: bytes) -> bytes:
    """The content with up to four wounds, more of them at its beginning and end, where headers and directories are."""
    data = bytearray(content)
    for _ in range(draw(st.integers(1, 4))):
        size = max(len(data), 1)
        place = draw(
            st.one_of(st.integers(0, min(size, 200)), st.integers(max(size - 200, 0), size), st.integers(0, size))
        )
        wound = draw(st.sampled_from(("cut", "flip", "zeros", "ones", "insert", "remove", "repeat")))
        length = draw(st.integers(1, 16))
        if wound == "cut":
            del data[place:]
        elif wound == "flip" and place < len(data):
            data[place] ^= draw(st.integers(1, 255))
        elif wound in ("zeros", "ones"):
            data[place : place + length] = bytes([255 * (wound == "ones")]) * len(data[place : place + length])
        elif wound == "insert":
            data[place:place] = draw(st.binary(min_size=1, max_size=16))
        elif wound == "remove":
            del data[place : place + length]
        else:
            data[place:place] = data[place : place + 40 * length]
    return bytes(data)


def is_read_or_refused(name: str, content: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("error")  # what would stand on the user's screen
        path = Path(folder) / name
        path.write_bytes(content)
        said = "refused"
        try:
            KINDS[name][1](path)
        except UserError as error:
            said = str(error)
    assert said
    assert "\n" not in said


@pytest.mark.parametrize("examples", [15, pytest.param(-(-TOGETHER // len(KINDS)), marks=pytest.mark.slow)])
@pytest.mark.parametrize("name", KINDS)
def test_a_damaged_file_is_read_or_refused_in_one_line(name: str, examples: int) -> None:
    @settings(max_examples=examples, deadline=None, database=None, derandomize=True)
    @given(damaged(KINDS[name][0]))
    def every(content: bytes) -> None:
        is_read_or_refused(name, content)

    every()


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize(
    "content", [b"", b"\0", b"PK\x03\x04", b"\x93NUMPY", b"\x80\x04.", b"<html>\n</html>", b"\xff" * 99]
)
def test_a_file_of_another_kind_is_refused_in_one_line(name: str, content: bytes) -> None:
    is_read_or_refused(name, content)


def test_a_header_that_claims_a_terabyte_is_refused(tmp_path: Path) -> None:
    whole = written("a.npy", lambda path: np.save(path, POSES))
    for claim in (b"(9999999999, 22, 3)", b"(10000, 22, 3), "):
        header = whole.replace(b"(4, 22, 3), }" + b" " * (len(claim) - 11), claim.rstrip(b", ") + b", }", 1)
        assert header != whole
        (tmp_path / "a.npy").write_bytes(header)
        with pytest.raises(UserError, match=r"a\.npy: not an \.npz of plain arrays"):
            read_poses(tmp_path / "a.npy")


DATES = (
    "steps: 2024-99-99",
    "a: !!int x",
    "? [a]\n: 1",
    "a: " + "[" * 5000,
    "a: 0b",
    "a: !!python/object:os.system {}",
)


@pytest.mark.parametrize("text", DATES)
def test_yaml_that_means_nothing_is_refused_in_one_line(tmp_path: Path, text: str) -> None:
    for reader in (lambda path: read_config(SftConfig, path), lambda path: load_concepts([path])):
        (tmp_path / "a.yaml").write_text(text)
        with pytest.raises(UserError) as caught:
            reader(tmp_path / "a.yaml")
        assert "\n" not in str(caught.value)
