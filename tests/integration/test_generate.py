"""pose-rft generate: what it writes, what it replaces, where it refuses."""

import json
import shutil

import bvhio
import numpy as np
import pygltflib
import pytest
import torch
from PIL import Image

from pose_rft.answers import read_inputs
from pose_rft.body import load_body
from pose_rft.data.sample import SHORT_ANSWER
from pose_rft.data.stated import said
from pose_rft.policy import PoseBranchConfig, PosePolicy, PromptInput

PROMPT = "Both arms are raised."


@pytest.fixture
def generate(pose_rft, trained_policy):
    def run(out, *options, text=PROMPT):
        return pose_rft("generate", text, "--out", out, "--checkpoint", trained_policy, "--device", "cpu", *options)

    return run


def test_every_answer_is_a_line_and_every_pose_four_files_that_other_software_reads(generate, tmp_path):
    outcome = generate(tmp_path / "out", "--num-samples", 2, "--seed", 1)
    assert outcome.status == 0, outcome.err
    lines = [json.loads(line) for line in (tmp_path / "out" / "answers.jsonl").read_text().splitlines()]
    assert [(line["prompt"], line["text"], line["valid"]) for line in lines] == [(PROMPT, "Done <POSE>.", True)] * 2
    names = [name for line in lines for name in line["files"].values()]
    assert names == [f"pose_{i:02d}.{suffix}" for i in range(2) for suffix in ("npz", "glb", "bvh", "png")]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == sorted([*names, "answers.jsonl"])
    for name in ("pose_00", "pose_01"):
        path = tmp_path / "out" / name
        with np.load(path.with_suffix(".npz"), allow_pickle=False) as data:
            shapes = {key: data[key].shape for key in data.files}
            assert shapes == {
                "poses": (1, 156),
                "trans": (1, 3),
                "betas": (16,),
                "gender": (),
                "mocap_framerate": (),
                "up": (),
            }
        skin = pygltflib.GLTF2().load(str(path.with_suffix(".glb"))).skins[0]
        assert len(skin.joints) == 22
        root = bvhio.readAsHierarchy(str(path.with_suffix(".bvh")))
        assert len(root.layout()) >= 22
        with Image.open(path.with_suffix(".png")) as picture:
            assert picture.getextrema() != ((255, 255),) * 3  # not a blank page


def test_files_come_as_the_program_that_takes_them_wants_them(generate, tmp_path):
    sizes = {}
    for name, wishes in (("usual", ()), ("other", ("--npz", "smplx", "--bvh-unit", "cm", "--baked"))):
        assert generate(tmp_path / name, "--seed", 1, *wishes).status == 0
        with np.load(tmp_path / name / "pose_00.npz") as data:
            joints = data["poses"].shape[1] / 3
        skins = pygltflib.GLTF2().load(str(tmp_path / name / "pose_00.glb")).skins
        pelvis = bvhio.readAsHierarchy(str(tmp_path / name / "pose_00.bvh")).loadPose(0).PositionWorld
        sizes[name] = joints, len(skins), pelvis
    assert (sizes["usual"][:2], sizes["other"][:2]) == ((52, 1), (55, 0))
    assert sizes["other"][2][1] == pytest.approx(100 * sizes["usual"][2][1], rel=1e-4)


def test_two_samples_are_two_poses_and_the_same_seed_gives_them_again(generate, tmp_path):
    def joints(name, number):
        with np.load(tmp_path / name / f"pose_{number:02d}.npz") as data:
            return data["poses"][0, :66]

    generate(tmp_path / "a", "--num-samples", 2, "--seed", 3)
    generate(tmp_path / "b", "--num-samples", 2, "--seed", 3)
    assert not np.allclose(joints("a", 0), joints("a", 1), atol=1e-3)
    for number in (0, 1):
        np.testing.assert_array_equal(joints("a", number), joints("b", number))


def test_without_words_every_pose_comes_with_the_same_sentence(generate, tmp_path):
    generate(tmp_path, "--no-words", "--num-samples", 2)
    lines = [json.loads(line) for line in (tmp_path / "answers.jsonl").read_text().splitlines()]
    assert [line["text"] for line in lines] == [SHORT_ANSWER] * 2
    assert all(line["valid"] for line in lines)


def test_poses_are_put_on_the_floor_unless_asked_not_to(generate, tmp_path):
    def poses(name, *options):
        generate(tmp_path / name, "--num-samples", 4, "--seed", 3, *options)
        files = sorted((tmp_path / name).glob("*.npz"))
        return np.stack([np.load(file)["poses"][0, :66].reshape(22, 3) for file in files]).astype(np.float32)

    stated = said(PROMPT)
    assert stated.checks
    expected = load_body().joints(stated.settle(torch.from_numpy(poses("as sampled", "--no-settle"))))
    settled = load_body().joints(torch.from_numpy(poses("settled")))
    torch.testing.assert_close(settled, expected, atol=1e-3, rtol=0)


def test_temperature_zero_gives_the_mean_pose_whatever_the_seed(generate, tmp_path):
    files = []
    for seed in (1, 2):
        generate(tmp_path / str(seed), "--temperature", 0, "--seed", seed)
        with np.load(tmp_path / str(seed) / "pose_00.npz") as data:
            files.append(data["poses"])
    np.testing.assert_array_equal(*files)


def test_a_second_run_replaces_files_of_the_same_names_and_keeps_others(generate, tmp_path):
    generate(tmp_path, "--seed", 1)
    before = (tmp_path / "pose_00.npz").read_bytes()
    (tmp_path / "notes.txt").write_text("mine")
    assert generate(tmp_path, "--seed", 2, text="sit down").status == 0
    assert (tmp_path / "pose_00.npz").read_bytes() != before
    assert json.loads((tmp_path / "answers.jsonl").read_text())["prompt"] == "sit down"
    assert (tmp_path / "notes.txt").read_text() == "mine"


def test_a_place_that_cannot_be_written_is_one_line_and_changes_nothing(generate, tmp_path):
    (tmp_path / "file").write_text("mine")
    for place in (tmp_path / "file", tmp_path / "file" / "below", "/proc/pose-rft"):
        outcome = generate(place)
        assert outcome.status == 2
        assert len(outcome.err.splitlines()) == 1
        assert str(place) in outcome.err
    assert (tmp_path / "file").read_text() == "mine"
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_directory_in_the_way_leaves_the_earlier_answers_whole(generate, tmp_path):
    generate(tmp_path, "--seed", 1)
    (tmp_path / "pose_00.png").unlink()
    (tmp_path / "pose_00.png").mkdir()
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()}
    outcome = generate(tmp_path, "--seed", 2)
    assert outcome.status == 2
    assert "pose_00.png: is a directory" in outcome.err
    shutil.rmtree(tmp_path / "pose_00.png")
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_an_answer_in_words_alone_writes_no_pose(generate, tmp_path, monkeypatch):
    from pose_rft.policy import PosePolicy

    act = PosePolicy.rollout

    def speechless(self, *args, **kwargs):
        rollout = act(self, *args, **kwargs)
        rollout.valid[:] = False
        return rollout

    monkeypatch.setattr(PosePolicy, "rollout", speechless)
    outcome = generate(tmp_path)
    assert outcome.status == 0
    assert "no pose" in outcome.out
    assert [path.name for path in tmp_path.iterdir()] == ["answers.jsonl"]
    assert json.loads((tmp_path / "answers.jsonl").read_text())["files"] == {}


def test_the_public_names_give_the_same_pose_in_python(generate, trained_policy, tmp_path):
    from pose_rft import PosePolicy

    generate(tmp_path, "--num-samples", 2, "--seed", 5)
    answers = PosePolicy.from_pretrained(trained_policy).generate([PROMPT], num_samples=2, seed=5)[0]
    for number, answer in enumerate(answers):
        with np.load(tmp_path / f"pose_{number:02d}.npz") as data:
            np.testing.assert_array_equal(data["poses"][0, :66].reshape(22, 3), answer.pose.axis_angle())
        assert answer.pose.joints().shape == (22, 3)
        assert answer.pose.global_orient.shape == (3,)
        assert answer.pose.body_pose.shape == (21, 3)


def test_a_note_is_printed_and_written(generate, tmp_path):
    outcome = generate(tmp_path, text="two people dancing")
    assert outcome.status == 0
    assert "(I give one person's pose at a time: this is one of them.)" in outcome.out
    assert json.loads((tmp_path / "answers.jsonl").read_text())["note"].startswith("I give one person's pose")


def test_an_argument_in_latin_1_is_read(generate, tmp_path):
    outcome = generate(tmp_path, text=b"a caf\xe9 waiter".decode("utf-8", "surrogateescape"))  # as Python hands it over
    assert outcome.status == 0, outcome.err
    assert json.loads((tmp_path / "answers.jsonl").read_text(encoding="utf-8"))["prompt"] == "a caf\u00e9 waiter"


def test_a_box_or_all_people_need_a_photograph(generate, tmp_path):
    for options in (("--box", "1,2,3,4"), ("--people", "all")):
        outcome = generate(tmp_path / "out", *options)
        assert outcome.status == 2
        assert "go with a photograph" in outcome.err
    assert "give four numbers" in generate(tmp_path / "out", "--image", tmp_path / "a.jpg", "--box", "1,2").err
    assert not (tmp_path / "out").exists()


def answers_in(out):
    return [json.loads(line) for line in (out / "answers.jsonl").read_text(encoding="utf-8").splitlines()]


def test_a_file_of_prompts_is_answered_line_by_line_as_each_would_be_alone(
    generate, pose_rft, trained_policy, tmp_path
):
    (tmp_path / "prompts.txt").write_text("\ufeffsit down\n\n  wave – now \n", encoding="utf-8")
    out, options = (
        tmp_path / "all",
        ("--checkpoint", trained_policy, "--device", "cpu", "--num-samples", 2, "--seed", 4),
    )
    outcome = pose_rft("generate", "--prompts", tmp_path / "prompts.txt", "--out", out, *options)
    assert outcome.status == 0, outcome.err
    lines = answers_in(out)
    assert [line["prompt"] for line in lines] == ["sit down"] * 2 + ["wave – now"] * 2
    assert [line["files"]["npz"] for line in lines] == [f"pose_{number:02d}.npz" for number in range(4)]
    generate(tmp_path / "alone", "--num-samples", 2, "--seed", 4, text="wave – now")
    for together, alone in (("pose_02", "pose_00"), ("pose_03", "pose_01")):
        with np.load(out / f"{together}.npz") as one, np.load(tmp_path / "alone" / f"{alone}.npz") as other:
            np.testing.assert_allclose(one["poses"], other["poses"], atol=1e-5)


def test_photographs_need_no_text_and_a_folder_gives_all_of_its_pictures(tmp_path):
    for name in ("b.JPG", "a.png", "c.heic", "notes.txt"):
        (tmp_path / name).touch()
    single = tmp_path / "b.JPG"
    asked = read_inputs(None, None, [tmp_path, single])
    assert [question.image.name for question in asked] == ["a.png", "b.JPG", "c.heic", "b.JPG"]
    assert {question.prompt for question in asked} == {"What is the SMPL pose of this person?"}
    assert read_inputs("Is he sitting?", None, [single]) == [PromptInput("Is he sitting?", single)]


def test_every_prompt_of_a_file_is_asked_about_every_photograph(tmp_path):
    (tmp_path / "prompts").write_text("one\ntwo\n")
    for name in ("a.png", "b.png"):
        (tmp_path / name).touch()
    asked = read_inputs(None, tmp_path / "prompts", [tmp_path])
    assert [(question.prompt, question.image.stem) for question in asked] == [
        ("one", "a"), ("two", "a"), ("one", "b"), ("two", "b"),
    ]  # fmt: skip


def test_input_pose_in_a_text_is_the_pose_of_a_file(pose_rft, trained_policy, tmp_path):
    reading = PosePolicy.from_pretrained(trained_policy, dtype=torch.float32, pose_branch=PoseBranchConfig(2, 1))
    reading.save_pretrained(tmp_path / "policy")
    pose = torch.randn(2, 22, 3, generator=torch.Generator().manual_seed(0)).numpy() * 0.2
    np.savez(tmp_path / "poses.npz", pose=pose)
    options = ("--checkpoint", tmp_path / "policy", "--temperature", 0, "--no-words", "--device", "cpu")
    asked = ("generate", "Bend <input_pose>.", "--out", tmp_path / "out", *options)
    outcome = pose_rft(*asked, "--pose", f"{tmp_path}/poses.npz#1")
    assert outcome.status == 0, outcome.err
    with np.load(tmp_path / "out" / "pose_00.npz") as data:  # an untrained branch gives it back
        np.testing.assert_allclose(data["poses"][0, :66].reshape(22, 3), pose[1], atol=0.05)
    twice = pose_rft(*asked, "--pose", tmp_path / "poses.npz", "--pose", tmp_path / "poses.npz")
    assert (twice.status, twice.err.count("\n")) == (2, 1)
    assert "2 for 1 <input_pose>" in twice.err


def test_questions_that_cannot_be_asked_are_one_line(pose_rft, tmp_path):
    (tmp_path / "empty.txt").write_text("\n \n")
    (tmp_path / "latin.txt").write_bytes(b"caf\xe9\n")
    (tmp_path / "folder").mkdir()
    (picture := tmp_path / "a.png").touch()
    for arguments, told in (
        ((), "nothing to answer; give a text, --prompts FILE or --image FILE"),
        (("sit", "--prompts", tmp_path / "empty.txt"), "not both"),
        (("--prompts", tmp_path / "empty.txt"), "holds no prompt"),
        (("--prompts", tmp_path / "latin.txt"), "give UTF-8 text"),
        (("--prompts", tmp_path / "missing.txt"), "cannot be read (No such file or directory)"),
        (("--image", tmp_path / "folder"), "a folder without pictures"),
        (("--image", tmp_path / "missing.png"), "missing.png: no such file"),
        (("--image", picture, "--image", picture, "--box", "1,2,3,4"), "--box: goes with one photograph"),
    ):
        outcome = pose_rft("generate", *arguments, "--out", tmp_path / "out")
        assert (outcome.status, len(outcome.err.splitlines())) == (2, 1), outcome.err
        assert told in outcome.err
