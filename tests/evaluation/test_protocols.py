"""Named protocols against distances worked out another way: Horn's quaternions, loops, and smplx called by hand."""

import json
import shlex
import shutil
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from smplx.lbs import lbs

from pose_rft.body.distances import acceleration_error, pa_mpjpe
from pose_rft.data.sample import Sample
from pose_rft.errors import UserError
from pose_rft.evaluation.own_data import evaluate_own_data, judged_samples
from pose_rft.evaluation.protocol_bodies import ProtocolBodies, joint_distances
from pose_rft.evaluation.protocols import REGISTRY, PoseProtocol, find_protocol
from pose_rft.policy import HeadConfig, LoraSettings, PolicyConfig, PosePolicy
from tests.body.made_up_models import VERTICES, made_up_model
from tests.data.published_sets import write_3dpw, write_3dpw_pickles, write_4d_humans, write_emdb
from tests.integration.conftest import pose_rft

__all__ = ["pose_rft"]  # a fixture

RNG = np.random.default_rng(0)


def horn(predicted: np.ndarray, target: np.ndarray, scale: bool) -> float:
    """PA-MPJPE of one body (J, 3) by Horn's unit quaternions (JOSA A, 1987): no singular values."""
    a, b = predicted - predicted.mean(0), target - target.mean(0)
    (xx, xy, xz), (yx, yy, yz), (zx, zy, zz) = a.T @ b
    matrix = np.array([
        [xx + yy + zz, yz - zy, zx - xz, xy - yx],
        [yz - zy, xx - yy - zz, xy + yx, zx + xz],
        [zx - xz, xy + yx, yy - xx - zz, yz + zy],
        [xy - yx, zx + xz, yz + zy, zz - xx - yy],
    ])  # fmt: skip
    w, x, y, z = np.linalg.eigh(matrix)[1][:, -1]
    turn = np.array([
        [w * w + x * x - y * y - z * z, 2 * (x * y - w * z), 2 * (x * z + w * y)],
        [2 * (x * y + w * z), w * w - x * x + y * y - z * z, 2 * (y * z - w * x)],
        [2 * (x * z - w * y), 2 * (y * z + w * x), w * w - x * x - y * y + z * z],
    ])  # fmt: skip
    turned = a @ turn.T
    size = (turned * b).sum() / (a * a).sum() if scale else 1.0
    return float(np.linalg.norm(size * turned - b, axis=1).mean())


@pytest.mark.parametrize("scale", [True, False])
def test_pa_mpjpe_is_that_of_horns_quaternions(scale):
    predicted, target = RNG.normal(size=(2, 20, 14, 3))
    predicted[10:] = 1.7 * target[10:] * [1, 1, -1] + 0.01  # mirrored: no reflection may align it
    expected = [horn(a, b, scale) for a, b in zip(predicted, target, strict=True)]
    found = pa_mpjpe(torch.from_numpy(predicted), torch.from_numpy(target), scale)
    np.testing.assert_allclose(found.numpy(), expected, atol=1e-9)


def test_a_body_twice_as_large_is_right_with_scale_and_wrong_without():
    target = torch.from_numpy(RNG.normal(size=(14, 3)))
    spread = float((target - target.mean(0)).norm(dim=-1).mean())
    assert float(pa_mpjpe(2 * target, target)) == pytest.approx(0, abs=1e-6)
    assert float(pa_mpjpe(2 * target, target, scale=False)) == pytest.approx(spread)


def test_the_acceleration_error_is_that_of_a_loop_over_frames():
    predicted, target = RNG.normal(size=(2, 6, 5, 3))
    errors = []
    for t in range(1, 5):
        for j in range(5):
            ours = predicted[t - 1, j] - 2 * predicted[t, j] + predicted[t + 1, j]
            theirs = target[t - 1, j] - 2 * target[t, j] + target[t + 1, j]
            errors.append(np.sqrt(((ours - theirs) ** 2).sum()) * 30 * 30)
    found = acceleration_error(torch.from_numpy(predicted), torch.from_numpy(target), fps=30)
    assert float(found) == pytest.approx(np.mean(errors))
    steady = torch.arange(6.0)[:, None, None].expand(6, 5, 3)  # constant velocity accelerates nothing
    assert (
        float(acceleration_error(torch.from_numpy(target).float() + steady, torch.from_numpy(target).float(), 30)) < 0.1
    )
    with pytest.raises(ValueError, match="three frames"):
        acceleration_error(steady[:2], steady[:2], 30)


def test_each_name_stands_once_and_an_unknown_one_lists_them():
    names = [protocol.name for protocol in REGISTRY]
    assert len(set(names)) == len(names)
    with pytest.raises(UserError, match="3dpw-14, 3dpw-24"):
        find_protocol("3dpw")


def test_joints_are_chosen_after_the_root_was_laid_on_the_origin():
    protocol = find_protocol("3dpw-14")
    predicted, target = RNG.normal(size=(2, 17, 3))
    order = [6, 5, 4, 1, 2, 3, 16, 15, 14, 11, 12, 13, 8, 10]
    expected = np.mean([np.linalg.norm((predicted[j] - predicted[0]) - (target[j] - target[0])) for j in order])
    found = joint_distances(protocol, torch.from_numpy(predicted), torch.from_numpy(target))
    assert float(found["mpjpe"]) == pytest.approx(expected)
    assert float(found["pa_mpjpe"]) == pytest.approx(horn(predicted[order], target[order], True))


# ---- on SMPL models in their published format, made up ----


@pytest.fixture
def smpl(tmp_path):
    """A folder with a neutral, a male and a female model that differ, and a regressor."""
    folder = tmp_path / "smpl"
    folder.mkdir()
    for name, seed in (("SMPL_NEUTRAL", 7), ("SMPL_MALE", 8), ("basicmodel_f_lbs_10_207_0_v1.1.0", 9)):
        np.savez(folder / f"{name}.npz", **made_up_model("SMPL", seed))
    regressor = np.random.default_rng(3).random((17, VERTICES))
    np.save(folder / "J_regressor_h36m.npy", regressor / regressor.sum(1, keepdims=True))
    return folder


def by_hand(seed, pose, betas):
    """Vertices and joints of one pose by smplx's function on the arrays of a file."""
    arrays = {
        name: torch.from_numpy(np.asarray(value, np.float64)) for name, value in made_up_model("SMPL", seed).items()
    }
    full = torch.cat([torch.from_numpy(pose), torch.zeros(2, 3, dtype=torch.float64)]).reshape(1, -1)
    posedirs = arrays["posedirs"].reshape(-1, arrays["posedirs"].shape[-1]).T
    parents = arrays["kintree_table"][0].long()
    skin, joints = lbs(
        torch.from_numpy(betas)[None], full, arrays["v_template"], arrays["shapedirs"], posedirs,
        arrays["J_regressor"], parents, arrays["weights"],
    )  # fmt: skip
    return skin[0].numpy(), joints[0].numpy()


@pytest.mark.parametrize("name", ["3dpw-14", "3dpw-24"])
def test_a_recorded_body_has_its_gender_and_shape_and_an_estimate_is_neutral(smpl, name):
    pose, true, betas = RNG.normal(0, 0.4, (22, 3)), RNG.normal(0, 0.4, (22, 3)), RNG.normal(size=10)
    bodies = ProtocolBodies.load(find_protocol(name), smpl)
    sample = Sample("a", "", true.astype(np.float32), betas=betas.astype(np.float32), gender="female")
    found = bodies.distances(sample, torch.from_numpy(pose).float()[None])
    skin, joints = by_hand(7, pose, np.zeros(10))
    true_skin, true_joints = by_hand(9, true, betas)
    if name == "3dpw-14":
        regressor = np.load(smpl / "J_regressor_h36m.npy")
        joints, true_joints = regressor @ skin, regressor @ true_skin
        order, root, true_root = list(find_protocol(name).joints), joints[0], true_joints[0]
    else:
        order, root, true_root = list(range(24)), joints[1:3].mean(0), true_joints[1:3].mean(0)
    error = np.linalg.norm((joints - root) - (true_joints - true_root), axis=1)[order].mean()
    assert float(found["mpjpe"]) == pytest.approx(error, rel=1e-4)
    assert float(found["pa_mpjpe"]) == pytest.approx(horn(joints[order], true_joints[order], True), rel=1e-4)
    pve = np.linalg.norm((skin - root) - (true_skin - true_root), axis=1).mean()
    assert float(found["pve"]) == pytest.approx(pve, rel=1e-4)


class Standing:
    """Answers everything with the rest pose."""

    def generate(self, prompts, images=None, num_samples=1, temperature=1.0, seed=0, *, best_of=None, **_):
        pose = SimpleNamespace(axis_angle=lambda: np.zeros((22, 3), np.float32))
        return [[SimpleNamespace(text="<POSE>", valid=True, pose=pose)] * num_samples for _ in prompts]


def write(folder, **line):
    path = folder / "mine.jsonl"
    path.write_text(json.dumps({"prompt": "stand", "pose": np.zeros((22, 3)).tolist(), **line}))
    return path


def test_own_data_are_measured_by_a_protocol_and_the_result_says_which(smpl, tmp_path):
    path = write(tmp_path, betas=[0.0] * 10, gender="neutral")
    found = evaluate_own_data(path, Standing(), num_samples=1, best_of=1, protocol=find_protocol("3dpw-14"), smpl=smpl)
    assert found["protocol"]["name"] == "3dpw-14"
    assert found["protocol"]["joints"] == find_protocol("3dpw-14").joints
    assert found["smpl"] == str(smpl)
    assert found["mean_pose"]["mpjpe_mm"]["mean"] == pytest.approx(0, abs=1e-3)
    assert found["mean_pose"]["pve_mm"]["mean"] == pytest.approx(0, abs=1e-3)
    assert "heading_mpjpe_mm" not in found["mean_pose"]
    json.dumps(found)
    other = write(tmp_path, betas=[0.0] * 10, gender="male")  # the same pose of another body
    found = evaluate_own_data(other, Standing(), num_samples=1, best_of=1, protocol=find_protocol("3dpw-14"), smpl=smpl)
    assert found["mean_pose"]["mpjpe_mm"]["mean"] > 100
    assert found["references"]["recorded poses"]["mpjpe_mm"]["mean"] > 100


def test_a_recorded_body_without_gender_or_shape_is_refused_before_anything_is_asked(smpl, tmp_path):
    protocol = find_protocol("3dpw-24")
    with pytest.raises(UserError, match="line 1: betas: is missing"):
        evaluate_own_data(write(tmp_path), Standing(), protocol=protocol, smpl=smpl)
    with pytest.raises(UserError, match="line 1: gender: is missing"):
        evaluate_own_data(write(tmp_path, betas=[0.0] * 10), Standing(), protocol=protocol, smpl=smpl)


@pytest.mark.parametrize(
    ("name", "line", "message"),
    [
        ("3dpw-14", {"betas": [1, 2]}, "betas: must be 10 finite numbers"),
        ("3dpw-14", {"gender": "f"}, "gender: is 'f'; write male, female, neutral"),
        ("3dpw-14", {"gender": "male", "pose": None}, "gender: is of a recorded pose"),
    ],
)
def test_broken_shapes_are_named(smpl, tmp_path, name, line, message):
    with pytest.raises(UserError, match=message):
        evaluate_own_data(write(tmp_path, **line), Standing(), protocol=find_protocol(name), smpl=smpl)


def test_what_a_protocol_needs_and_lacks_is_one_line(smpl, tmp_path):
    with pytest.raises(UserError, match="give --smpl FOLDER"):
        ProtocolBodies.load(find_protocol("3dpw-14"), None)
    with pytest.raises(UserError, match="recorded joints"):
        ProtocolBodies.load(find_protocol("h36m-p2"), smpl)
    with pytest.raises(UserError, match="no such folder"):
        ProtocolBodies.load(find_protocol("3dpw-24"), tmp_path / "none")
    np.save(smpl / "J_regressor_h36m.npy", np.zeros((24, VERTICES)))
    with pytest.raises(UserError, match=r"shape \(24, 60\), not \(17, 60\)"):
        ProtocolBodies.load(find_protocol("3dpw-14"), smpl)
    (smpl / "J_regressor_h36m.npy").unlink()
    with pytest.raises(UserError, match="no such file; SPIN"):
        ProtocolBodies.load(find_protocol("3dpw-14"), smpl)
    (smpl / "SMPL_MALE.npz").unlink()
    with pytest.raises(UserError, match=r"needs one male SMPL model .* and has none"):
        ProtocolBodies.load(find_protocol("3dpw-24"), smpl)
    np.savez(smpl / "SMPL_MALE.npz", **made_up_model("SMPLH"))
    with pytest.raises(UserError, match="has 52 joints"):
        ProtocolBodies.load(find_protocol("3dpw-24"), smpl)


# ---- a published data set, from its owners' files to figures ----


def test_3dpw_is_measured_from_its_owners_files_on_its_test_split(smpl, tmp_path, tiny_backbone, pose_rft):
    folder = tmp_path / "3DPW"
    write_3dpw(folder)
    shutil.rmtree(folder / "sequenceFiles")
    write_3dpw_pickles(folder)
    policy = PolicyConfig(
        tiny_backbone, 2, HeadConfig(width=32, depth=1, heads=4, rank=2), LoraSettings(rank=2), encoder="blazepose"
    )
    PosePolicy.create(policy, dtype=torch.float32).save_pretrained(tmp_path / "policy")
    command = ["evaluate", "--data", f"3dpw:{folder}", "--protocol", "3dpw-14", "--smpl", smpl, "--num-samples", 1]
    command += ["--checkpoint", tmp_path / "policy", "--out", tmp_path / "3dpw.json"]
    refused = pose_rft(*command)
    assert refused.status == 2
    convert = " ".join(refused.err.partition("convert them once: ")[2].split())
    subprocess.run([sys.executable, *shlex.split(convert)[1:]], check=True)
    done = pose_rft(*command)
    assert done.status == 0, done.err
    found = json.loads((tmp_path / "3dpw.json").read_text())
    assert (found["benchmark"], found["prompts"], found["left_out"]) == (f"3dpw:{folder}", 7, 0)

    regressor, errors = np.load(smpl / "J_regressor_h36m.npy"), []
    rest = regressor @ by_hand(7, np.zeros((22, 3)), np.zeros(10))[0]
    for person, frame in ((0, 0), (0, 3), (0, 4), (1, 0), (1, 2), (1, 3), (1, 4)):  # a man and a woman
        pose, betas = np.zeros((22, 3)), np.linspace(-1, 1, 300)[:10] + person
        pose[4, 0] = frame / 10
        true = regressor @ by_hand(8 + person, pose, betas)[0]
        order = list(find_protocol("3dpw-14").joints)
        errors.append(np.linalg.norm((rest - rest[0]) - (true - true[0]), axis=1)[order].mean())
    assert found["references"]["rest pose"]["mpjpe_mm"]["mean"] == pytest.approx(1000 * np.mean(errors), rel=1e-4)


def test_only_sequences_of_emdb_1_are_measured(smpl, tmp_path):
    write_emdb(tmp_path / "EMDB")
    how = {"num_samples": 1, "best_of": 1, "protocol": find_protocol("emdb1-24"), "smpl": smpl}
    found = evaluate_own_data(f"emdb:{tmp_path / 'EMDB'}", Standing(), **how)
    assert (found["prompts"], len(judged_samples(f"emdb:{tmp_path / 'EMDB'}", "all")[0])) == (2, 4)
    assert found["mean_pose"]["pve_mm"]["mean"] > 100  # of the neutral mean body against the recorded one


def test_a_published_set_without_a_folder_or_without_the_split_is_one_line(tmp_path):
    with pytest.raises(UserError, match=r"^3dpw: is a published data set; say in which folder it is: 3dpw:FOLDER"):
        judged_samples("3dpw", "test")
    write_4d_humans(tmp_path)
    with pytest.raises(UserError, match="has no lines of split test; give --split all"):
        judged_samples(f"4d_humans:{tmp_path}", "test")
    assert len(judged_samples(f"4d_humans:{tmp_path}", "all")[0]) == 3


def test_a_home_folder_behind_the_colon_is_found(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    write_emdb(tmp_path / "EMDB")
    assert len(judged_samples("emdb:~/EMDB", "test")[0]) == 2


def test_protocols_of_joints_are_used_on_arrays():
    protocol = find_protocol("mpi-inf-3dhp-17")
    assert isinstance(protocol, PoseProtocol)
    joints = torch.from_numpy(RNG.normal(size=(2, 17, 3)))
    found = joint_distances(protocol, joints, joints + 1)
    assert found["mpjpe"].tolist() == pytest.approx([0, 0])
