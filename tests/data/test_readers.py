"""Published data sets: read from files in the owners' format; damaged ones are named with file and field."""

import json
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import roma
import torch

from pose_rft.body import load_body
from pose_rft.body.skeleton import JOINT_INDEX
from pose_rft.config import from_mapping
from pose_rft.data.mixtures.text_to_pose import MixtureConfig
from pose_rft.data.mixtures.training import training_samples
from pose_rft.data.mocap.clips import read_mocap, train_test_split
from pose_rft.data.readers.json_items import json_items, read_item
from pose_rft.data.readers.motion_files import write_clips
from pose_rft.data.readers.own_data import OwnData
from pose_rft.data.readers.pairs import SPLITS
from pose_rft.data.readers.registry import READERS, open_published
from pose_rft.data.sample import POSE_TOKEN
from pose_rft.errors import UserError
from pose_rft.posescript.checks import measure, satisfied
from tests.data.published_sets import SETS, SmallSet, save_npz

BY_NAME = {each.name: each for each in SETS}
ARRAYS = [(each, path, name) for each in SETS for path, names in each.arrays.items() for name in names]
FILES = [(each, path) for each in SETS for path in (*each.arrays, *each.files)]


def samples(name: str, folder: Path) -> list:
    data = OwnData(open_published(name, folder), "all")
    return [data.sample(row) for row in range(len(data))]


def written(small: SmallSet, folder: Path) -> Path:
    small.write(folder)
    return folder


def one_line(error: pytest.ExceptionInfo, path: Path) -> str:
    message = str(error.value)
    assert path.name in message
    assert "\n" not in message
    return message


def everything(name: str, folder: Path) -> None:
    """Open a folder and read all of its rows."""
    samples(name, folder)


# ---- what all have in common ----


def test_every_reader_has_a_small_copy() -> None:
    assert set(READERS) == set(BY_NAME)


@pytest.mark.parametrize("small", SETS, ids=lambda small: small.name)
def test_every_row_of_every_set_becomes_a_sample(small: SmallSet, tmp_path: Path) -> None:
    records = open_published(small.name, written(small, tmp_path))
    counts = [int((records.splits == code).sum()) for code in range(len(SPLITS))]
    assert (*counts, int((records.splits < 0).sum())) == small.splits
    read = samples(small.name, tmp_path)
    assert len(read) == small.rows
    assert read[0].task == small.task
    for sample in read:
        assert sample.prompt
        assert sample.source.startswith(f"{tmp_path}, ")
        assert (sample.pose is not None) == (POSE_TOKEN in sample.answer)
        if sample.image is not None and sample.pose is not None:
            assert sample.box is not None


def test_the_fingerprint_is_of_the_content_and_not_of_the_place(tmp_path: Path) -> None:
    small = BY_NAME["posescript"]
    before = open_published(small.name, written(small, tmp_path / "one")).fingerprint
    assert open_published(small.name, written(small, tmp_path / "two")).fingerprint == before
    captions = tmp_path / "one" / small.files[-1]
    captions.write_text(captions.read_text().replace("left", "lean"))
    assert open_published(small.name, tmp_path / "one").fingerprint != before


@pytest.mark.parametrize(("small", "path", "name"), ARRAYS, ids=lambda part: getattr(part, "name", str(part)))
def test_a_missing_array_and_one_of_another_shape_are_named(
    small: SmallSet, path: str, name: str, tmp_path: Path
) -> None:
    file = written(small, tmp_path) / path
    with np.load(file) as archive:
        arrays = dict(archive)
    save_npz(file, **{key: value for key, value in arrays.items() if key != name})
    with pytest.raises(UserError, match=f"has no array '{name}'") as error:
        everything(small.name, tmp_path)
    one_line(error, file)
    save_npz(file, **(arrays | {name: arrays[name][None]}))
    with pytest.raises(UserError, match=f"'{name}' has shape") as error:
        everything(small.name, tmp_path)
    one_line(error, file)
    save_npz(file, **(arrays | {name: np.array([{"a": 1}] * len(arrays[name]), dtype=object)}))
    with pytest.raises(UserError, match=f"'{name}' holds Python objects") as error:
        everything(small.name, tmp_path)
    one_line(error, file)


@pytest.mark.parametrize(("small", "path"), FILES, ids=lambda part: getattr(part, "name", str(part)))
@pytest.mark.parametrize("damage", ["half", "words", "empty"])
def test_half_a_file_and_one_of_another_kind_are_named(small: SmallSet, path: str, damage: str, tmp_path: Path) -> None:
    file = written(small, tmp_path) / path
    content = file.read_bytes()
    file.write_bytes({"half": content[: len(content) // 2], "words": b"<html>log in</html>", "empty": b""}[damage])
    with pytest.raises(UserError) as error:
        everything(small.name, tmp_path)
    one_line(error, file)


@pytest.mark.parametrize("small", SETS, ids=lambda small: small.name)
def test_what_is_missing_is_named_with_where_to_get_it(small: SmallSet, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such folder"):
        open_published(small.name, tmp_path / "absent")
    with pytest.raises(UserError, match="holds no") as error:
        open_published(small.name, tmp_path)
    assert READERS[small.name].home in one_line(error, tmp_path)


def test_an_unknown_name_lists_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no data set is called 'posescrpt'; there are posescript"):
        open_published("posescrpt", tmp_path)


def test_a_set_is_a_source_of_training_beside_others(tmp_path: Path) -> None:
    folders = {name: str(written(BY_NAME[name], tmp_path / name)) for name in ("posescript", "llava")}
    config = from_mapping(
        MixtureConfig, {"sources": [{"name": name, "path": path} for name, path in folders.items()]}, ""
    )
    drawn = training_samples(100, 0, config)
    assert {drawn.read(row).task for row in range(len(drawn))} == {"text_to_pose", "image_question", "chat"}
    assert "Stands." not in {drawn.read(row).prompt for row in range(len(drawn))}  # its pose is of another split


def test_free_recordings_become_clips_for_the_built_in_mixture(tmp_path: Path) -> None:
    written_clips = write_clips(READERS["cmu"], written(BY_NAME["cmu"], tmp_path), tmp_path / "cmu.npz")
    clips = read_mocap(tmp_path / "cmu.npz")
    assert clips.names == written_clips.names == ["002_01", "007_01"]
    train, test = train_test_split(clips)
    assert (train.names, test.names) == (["007_01"], ["002_01"])
    assert upright(clips.pose[0])[0] > 0.4
    with pytest.raises(UserError, match="is no motion in text files"):
        write_clips(READERS["h36m"], written(BY_NAME["h36m"], tmp_path / "h36m"), tmp_path / "no.npz")


# ---- pickles ----


PICKLED = [small for small in SETS if small.pickles]


@pytest.mark.parametrize("small", PICKLED, ids=lambda small: small.name)
def test_the_command_that_is_printed_for_pickles_makes_what_is_read(small: SmallSet, tmp_path: Path) -> None:
    owners, converted = tmp_path / "owners", tmp_path / "converted"
    small.pickles(owners)
    small.write(converted)
    with pytest.raises(UserError, match="pickles are not read, as they can run code") as error:
        open_published(small.name, owners)
    program, option, code = shlex.split(one_line(error, owners).partition("convert them once: ")[2])
    assert (program, option) == ("python", "-c")
    subprocess.run([sys.executable, "-c", code], check=True)
    for picture in (path for path in converted.rglob("*") if path.suffix in (".jpg", ".txt")):
        copy = owners / picture.relative_to(converted)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(picture.read_bytes())
    for made, meant in zip(samples(small.name, owners), samples(small.name, converted), strict=True):
        np.testing.assert_array_equal(made.pose, meant.pose)
        np.testing.assert_array_equal(made.betas, meant.betas)
        assert (made.prompt, made.box, made.gender) == (meant.prompt, meant.box, meant.gender)


# ---- pictures ----

PICTURED = [small for small in SETS if small.task == "image_to_pose"]


@pytest.mark.parametrize("small", PICTURED, ids=lambda small: small.name)
def test_poses_in_pictures_are_in_the_pictures_frame_with_a_box_around_the_person(
    small: SmallSet, tmp_path: Path
) -> None:
    """Everybody stands upright and looks into the camera: no rotation from x right, y up, z towards the viewer."""
    for sample in samples(small.name, written(small, tmp_path)):
        np.testing.assert_allclose(sample.pose[0], 0, atol=1e-6)
        left, top, right, bottom = sample.box
        assert (left + right, top + bottom) == pytest.approx((200, 300))
        assert bottom - top == pytest.approx(120)
        assert sample.image.is_file()


def test_frames_without_a_camera_or_a_person_are_left_out(tmp_path: Path) -> None:
    places = [sample.image.name for sample in samples("3dpw", written(BY_NAME["3dpw"], tmp_path))[:7]]
    assert places == [f"image_{frame:05d}.jpg" for frame in (0, 3, 4, 0, 2, 3, 4)]  # of one person and of the other


def test_recorded_bodies_have_their_shape_and_gender(tmp_path: Path) -> None:
    shape = np.linspace(-1, 1, 300)[:10]
    people = samples("3dpw", written(BY_NAME["3dpw"], tmp_path / "3dpw"))[:7]  # three frames of a man, four of a woman
    assert [sample.gender for sample in people] == ["male"] * 3 + ["female"] * 4
    for sample, added in zip(people, [0, 0, 0, 1, 1, 1, 1], strict=True):
        np.testing.assert_allclose(sample.betas, shape + added, rtol=1e-6)
    for sample in samples("emdb", written(BY_NAME["emdb"], tmp_path / "emdb")):
        assert sample.gender == "male"
        np.testing.assert_allclose(sample.betas, np.linspace(-1, 1, 10), rtol=1e-6)
    told, *_, untold = samples("h36m", written(BY_NAME["h36m"], tmp_path / "h36m"))
    assert (told.betas.tolist(), told.gender) == ([1] * 10, "")
    assert untold.betas is None


def test_emdb_1_is_what_is_tested_on(tmp_path: Path) -> None:
    data = OwnData(open_published("emdb", written(BY_NAME["emdb"], tmp_path)), "test")
    assert {data.sample(row).image.parent.parent.name for row in range(len(data))} == {"00_walk"}


def test_a_picture_that_is_missing_is_named(tmp_path: Path) -> None:
    folder = written(BY_NAME["h36m"], tmp_path)
    (folder / "images" / "S1_Walking.54138969_000006.jpg").unlink()
    with pytest.raises(UserError, match=r"h36m_mosh_train.npz, row 1: image: no such file .*000006.jpg"):
        everything("h36m", folder)


# ---- motion ----


@pytest.mark.parametrize("name", ["cmu", "bvh", "aist++"])
def test_recordings_are_thinned_to_ten_a_second_and_described_truly(name: str, tmp_path: Path) -> None:
    for sample in samples(name, written(BY_NAME[name], tmp_path)):
        assert satisfied(sample.checks, load_body().points(torch.from_numpy(sample.pose)[None])).all()
        height, turn = upright(sample.pose)
        assert height > 0.4
        assert abs(turn) < 1


def test_a_knee_of_cmu_is_bent_as_its_file_says(tmp_path: Path) -> None:
    sample = samples("cmu", written(BY_NAME["cmu"], tmp_path))[0]
    assert np.degrees(np.linalg.norm(sample.pose[4])) == pytest.approx(90, abs=0.1)
    assert np.abs(sample.pose[5]).max() < 1e-6


def test_what_was_written_as_bvh_is_read_again(tmp_path: Path) -> None:
    read = samples("bvh", written(BY_NAME["bvh"], tmp_path))
    np.testing.assert_allclose([sample.pose[4, 0] for sample in read], [0.1, 0.3, 0.5], atol=1e-5)  # every second frame


# ---- talk ----


def test_a_conversation_of_llava_keeps_its_letters_and_its_turns(tmp_path: Path) -> None:
    data = OwnData(open_published("llava", written(BY_NAME["llava"], tmp_path)), "train")
    first, second = data.sample(0, turn=0), data.sample(0, turn=1)
    assert (first.prompt, first.answer) == ("What colour is the bus?", "White and red.")
    assert second.prompt.endswith("User: Is it café-sized?")
    assert data.sample(1).image is None


def test_items_are_found_wherever_a_block_ends(tmp_path: Path) -> None:
    values = [{"a": ["é", 'say "}]"', 1.5e3]}, [], "x,y", 12345, None, {"b": {"c": [1, 2]}}]
    (tmp_path / "list.json").write_text(json.dumps(values, indent=1, ensure_ascii=False), encoding="utf-8")
    keyed = {f"é{number}": value for number, value in enumerate(values)}
    (tmp_path / "object.json").write_text(json.dumps(keyed), encoding="utf-8")
    for block in (1, 2, 7, 1 << 20):
        for name, kind in (("list.json", list), ("object.json", dict)):
            items = list(json_items(tmp_path / name, kind, block))
            assert [read_item(tmp_path / name, item.start, item.end) for item in items] == values


# ---- AMASS, PoseScript, PoseFix ----


def upright(pose: np.ndarray) -> tuple[float, float]:
    """How high the head is above the pelvis, metres, and which way the body faces, degrees from +z."""
    joints = load_body().joints(torch.from_numpy(pose)[None])
    return float(joints[0, JOINT_INDEX["head"], 1]), float(measure("turn()", joints)[0])


@pytest.mark.parametrize("name", ["amass", "posescript", "posescript_auto"])
def test_poses_of_amass_stand_and_face_forward(name: str, tmp_path: Path) -> None:
    for sample in samples(name, written(BY_NAME[name], tmp_path)):
        height, turn = upright(sample.pose)
        assert height > 0.4
        assert abs(turn) < 1


def test_recordings_of_amass_are_thinned_and_described_truly(tmp_path: Path) -> None:
    read = samples("amass", written(BY_NAME["amass"], tmp_path))
    assert [round(float(sample.pose[4, 0]), 3) for sample in read] == [0.0, 0.2, 0.0, 0.2]  # 20 frames a second
    for sample in read:
        assert satisfied(sample.checks, load_body().points(torch.from_numpy(sample.pose)[None])).all()


def test_captions_of_posescript_are_of_their_poses(tmp_path: Path) -> None:
    read = samples("posescript", written(BY_NAME["posescript"], tmp_path))
    assert [sample.prompt for sample in read] == ["Né à genoux.", "The left knee is bent.", "Stands."]
    np.testing.assert_allclose([sample.pose[4, 0] for sample in read], [0.3, 0.3, 0.1], atol=1e-6)


def test_a_change_of_posefix_begins_with_the_first_pose_and_leads_to_the_second(tmp_path: Path) -> None:
    read = samples("posefix", written(BY_NAME["posefix"], tmp_path))
    changes = ["Bend the left knee.", "Straighten it a bit.", "Flex your left knee.", "Bend it."]
    assert [sample.prompt[-len(end) :] for sample, end in zip(read, changes, strict=True)] == changes
    assert all(len(sample.prompt) > len(end) + 20 for sample, end in zip(read, changes, strict=True))
    np.testing.assert_allclose([sample.pose[4, 0] for sample in read], [0.3, 0.2, 0.3, 0.3], atol=1e-6)


def test_poses_of_one_sequence_keep_how_they_face_each_other(tmp_path: Path) -> None:
    folder = written(BY_NAME["posefix"], tmp_path)
    recording = folder / "AMASS" / "smplh" / "BMLrub" / "s1" / "walk_poses.npz"
    with np.load(recording) as archive:
        arrays = dict(archive)
    turned = roma.rotvec_composition([torch.tensor([0, 0, 0.5]).double(), torch.from_numpy(arrays["poses"][3, :3])])
    arrays["poses"][3, :3] = turned.numpy()
    save_npz(recording, **arrays)
    one_sequence, two = samples("posefix", folder)[:2]
    assert upright(one_sequence.pose)[1] == pytest.approx(np.degrees(0.5), abs=1)
    assert abs(upright(two.pose)[1]) < 1


def test_a_pose_that_amass_does_not_have_is_named(tmp_path: Path) -> None:
    folder = written(BY_NAME["posescript"], tmp_path)
    (folder / "AMASS" / "smplh" / "BMLrub" / "s1" / "turn_poses.npz").unlink()
    with pytest.raises(
        UserError, match=r"posescript_human_6293.json, row 2: pose: .*BMLrub/s1/turn_poses.npz: no such"
    ):
        everything("posescript", folder)
