"""Looking through one's own data: what is counted, what is named, what is drawn."""

import json

import numpy as np
import pytest
import torch
from PIL import Image

from pose_rft.body import load_body
from pose_rft.data.captioned_pairs import write_captioned_pairs
from pose_rft.data.findings import look_through, sheet
from pose_rft.data.mocap.clips import facing_forward
from pose_rft.data.photographs import TWO_PEOPLE
from pose_rft.data.readers.own_data import open_own_data
from pose_rft.errors import UserError
from pose_rft.posescript.checks import measure, satisfied

REST = np.zeros((22, 3)).tolist()


@pytest.fixture
def pairs(tmp_path):
    (tmp_path / "broken.jpg").write_bytes(TWO_PEOPLE.read_bytes()[:3000])
    Image.new("RGB", (99, 99), "white").save(tmp_path / "white.png")
    lines = [
        {"prompt": "stand still", "pose": REST, "checks": ["angle(left_knee) > 160"], "split": "train", "id": 1},
        {"prompt": "bend it", "pose": REST, "checks": ["angle(left_knee) < 90"], "split": "test", "id": 2},
        {"prompt": "hello there", "answer": "Hello."},
        {"prompt": "words alone", "checks": ["lean() < 9"]},
        {"prompt": "this man", "image": str(TWO_PEOPLE), "pose": REST},
        {"prompt": "nobody", "image": "white.png", "answer": "No."},
        {"prompt": "half a file", "image": "broken.jpg", "pose": REST},
        {"prompt": "no pose", "pose": []},
        {"promt": "a"},
    ]
    path = tmp_path / "pairs.jsonl"
    path.write_text("\n".join(map(json.dumps, lines)))
    return path


def test_everything_is_counted_and_every_broken_line_named(pairs):
    found = look_through(pairs)
    assert found.lines == 9
    assert found.nobody == [f"{pairs}, line 6"]
    assert dict(found.tasks) == {
        ("text_to_pose", "train"): 1, ("text_to_pose", "test"): 1, ("chat", "none"): 1, ("text_to_pose", "none"): 1,
        ("image_to_pose", "none"): 1, ("image_question", "none"): 1,
    }  # fmt: skip
    assert (found.posed, found.pictured, found.unanswered) == (3, 2, 1)
    assert found.words == {"prompt": [2, 2, 2, 2, 2, 1], "answer": [8, 8, 1, 8, 1]}
    assert found.unread == {"id": 2}
    assert found.unmet == [f"{pairs}, line 2"]
    places = [line.removeprefix(f"{pairs}, ").split(": ")[:2] for line in found.broken]
    assert places == [["line 7", "image"], ["line 8", "pose"], ["line 9", "prompt"]]
    assert "broken.jpg" in found.broken[0]


def test_samples_of_every_kind_are_drawn(pairs):
    samples = look_through(pairs).shown
    picture = np.asarray(sheet(samples))
    assert picture.shape[2] == 3
    cells = [picture[:240, column * 484 : column * 484 + 480] for column in range(3)]
    assert all(cell.std() > 5 for cell in cells)
    photograph = np.asarray(sheet(samples[-2:-1]))[:240, :240]
    assert photograph.std() > 30
    assert (photograph[0] == 255).all()  # it is wider than high


# ---- pairs made of poses ----


@pytest.fixture
def recording(tmp_path):
    poses = np.random.default_rng(0).normal(0, 0.25, (6, 22, 3)).astype(np.float32)
    poses[:, 0] = (0, 1.2, 0)
    sequence = np.array(["014_01"] * 3 + ["002_01"] * 3)  # CMU's subject 2 is held out
    np.savez(tmp_path / "clips.npz", pose=poses, sequence=sequence)
    return tmp_path / "clips.npz", poses


def test_captions_of_poses_are_true_face_forward_and_keep_subjects_apart(recording, tmp_path):
    path, poses = recording
    assert write_captioned_pairs(path, tmp_path / "pairs.jsonl", captions=4, seed=1) == 24
    found = look_through(tmp_path / "pairs.jsonl")
    assert (found.broken, found.unmet) == ([], [])
    assert dict(found.tasks) == {("text_to_pose", "train"): 12, ("text_to_pose", "test"): 12}
    data = open_own_data(tmp_path / "pairs.jsonl", "train")
    samples = [data.sample(row) for row in range(4)]
    assert len({sample.prompt for sample in samples}) > 1
    forward = facing_forward(torch.from_numpy(poses)).numpy()
    np.testing.assert_allclose(samples[0].pose, forward[0], atol=1e-4)
    points = load_body().points(torch.from_numpy(np.stack([sample.pose for sample in samples])))
    assert measure("turn()", points).abs().max() < 0.5
    assert all(satisfied(sample.checks, points[row : row + 1]).all() for row, sample in enumerate(samples))


def test_the_seed_decides_the_captions(recording, tmp_path):
    texts = []
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        write_captioned_pairs(recording[0], tmp_path / name, captions=2, seed=seed)
        texts.append((tmp_path / name).read_text())
    assert texts[0] == texts[1] != texts[2]
    assert texts[0].startswith('{"prompt": ')


def test_mistakes_leave_an_earlier_file(recording, tmp_path):
    out = tmp_path / "pairs.jsonl"
    out.write_text("earlier")
    with pytest.raises(UserError, match="captions must be at least 1"):
        write_captioned_pairs(recording[0], out, captions=0)
    with pytest.raises(UserError, match="no such file"):
        write_captioned_pairs(tmp_path / "none.npz", out)
    assert out.read_text() == "earlier"


def test_a_picture_in_the_data_itself_is_looked_at(tmp_path):
    import datasets

    features = datasets.Features({"prompt": datasets.Value("string"), "image": datasets.Image()})
    pictures = [
        {"prompt": "a", "image": Image.new("RGB", (40, 40))},
        {"prompt": "b", "image": Image.new("RGB", (9, 9))},
    ]
    datasets.Dataset.from_list(pictures, features=features).save_to_disk(tmp_path / "saved")
    found = look_through(tmp_path / "saved")
    assert found.pictured == 1
    assert len(found.broken) == 1
    assert "row 1: image: the image: 9 x 9 pixels is too small" in found.broken[0]
