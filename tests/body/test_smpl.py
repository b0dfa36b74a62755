"""Model files are made up here: random shapes and weights on the real joint trees, nothing of the licensed models."""

import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import smplx
import torch
from smplx.utils import Struct

from pose_rft.body import load_body
from pose_rft.body.pose_files import write_amass
from pose_rft.body.smpl import SmplBody
from pose_rft.errors import UserError
from tests.body.made_up_models import VERTICES, made_up_model


@pytest.fixture(params=["SMPL", "SMPLH", "SMPLX"])
def family(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def model_file(family: str, tmp_path: Path) -> Path:
    path = tmp_path / f"{family}_NEUTRAL.npz"
    np.savez(path, **made_up_model(family))
    return path


def smplx_s_own(family: str, path: Path, monkeypatch: pytest.MonkeyPatch) -> torch.nn.Module:
    tiny = {kind: dict.fromkeys(ids, 0) for kind, ids in smplx.body_models.VERTEX_IDS.items()}
    monkeypatch.setattr(smplx.body_models, "VERTEX_IDS", tiny)  # its landmark vertices lie beyond a tiny mesh
    if family == "SMPL":
        return smplx.SMPL(str(path), data_struct=Struct(**made_up_model(family)), batch_size=3)
    options = {"ext": "npz", "use_pca": False, "flat_hand_mean": True, "batch_size": 3}
    return getattr(smplx, family)(str(path), **options)


def test_joints_and_skin_agree_with_smplx_s_own_forward(
    family: str, model_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    generator = torch.Generator().manual_seed(0)
    pose = torch.randn(3, 22, 3, generator=generator)
    betas, trans = torch.randn(3, 10, generator=generator), torch.randn(3, 3, generator=generator)
    theirs = smplx_s_own(family, model_file, monkeypatch)
    body_pose = pose[:, 1:].flatten(1)
    if family == "SMPL":  # its body pose has two hand joints more
        body_pose = torch.cat([body_pose, torch.zeros(3, 6)], dim=1)
    with torch.no_grad():
        expected = theirs(betas=betas, global_orient=pose[:, 0], body_pose=body_pose)
    pelvis = expected.joints[:, :1]
    ours = load_body(str(model_file))
    torch.testing.assert_close(ours.joints(pose, betas), expected.joints[:, :22] - pelvis, atol=1e-5, rtol=0)
    skin = ours.vertices(pose, betas, trans)
    torch.testing.assert_close(skin, expected.vertices - pelvis + trans[:, None], atol=1e-5, rtol=0)
    np.testing.assert_array_equal(ours.faces.numpy(), made_up_model(family)["f"])


def test_smplx_poses_the_same_body_from_the_npz_that_we_write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "SMPLH_NEUTRAL.npz"
    np.savez(path, **made_up_model("SMPLH"))
    theirs = smplx_s_own("SMPLH", path, monkeypatch)
    pose = np.random.default_rng(2).normal(size=(3, 22, 3)).astype(np.float32)
    write_amass(tmp_path / "poses.npz", pose)
    with np.load(tmp_path / "poses.npz") as file:
        poses = torch.from_numpy(file["poses"])
    with torch.no_grad():  # AMASS: root, body, left hand, right hand
        hands = {"left_hand_pose": poses[:, 66:111], "right_hand_pose": poses[:, 111:156]}
        found = theirs(global_orient=poses[:, :3], body_pose=poses[:, 3:66], betas=torch.zeros(3, 10), **hands)
    expected = load_body(str(path)).joints(torch.from_numpy(pose))
    torch.testing.assert_close(found.joints[:, :22] - found.joints[:, :1], expected, atol=1e-5, rtol=0)


def test_single_poses_the_mean_shape_and_a_folder_work_too(model_file: Path) -> None:
    ours = SmplBody(model_file.parent)
    pose = torch.randn(22, 3, generator=torch.Generator().manual_seed(1))
    assert ours.vertices(pose).shape == (VERTICES, 3)
    torch.testing.assert_close(ours.joints(pose), ours.joints(pose[None], torch.zeros(1, 10))[0], atol=1e-6, rtol=0)
    torch.testing.assert_close(ours.skin_weights.shape, torch.Size([VERTICES, 4]))


def test_a_pickle_is_refused_with_the_command_that_converts_it(tmp_path: Path) -> None:
    path = tmp_path / "SMPL_NEUTRAL.pkl"
    path.write_bytes(pickle.dumps(made_up_model("SMPL")))
    with pytest.raises(UserError, match="pickles are not read") as caught:
        load_body(str(path))
    assert "\n" not in str(caught.value)
    command = str(caught.value).split("convert it once: python")[1]
    subprocess.run(f"{sys.executable}{command}", shell=True, check=True)
    assert len(load_body(str(path.with_suffix(".npz"))).skin_weights) == VERTICES


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"posedirs": None}, "lacks posedirs"),
        ({"kintree_table": np.zeros((2, 24), np.int64)}, "first 22 joints"),
        ({"f": np.array([None])}, "plain arrays"),
    ],
)
def test_a_file_of_something_else_is_one_line(tmp_path: Path, change: dict[str, np.ndarray], message: str) -> None:
    arrays = {**made_up_model("SMPL"), **change}
    np.savez(tmp_path / "a.npz", **{key: value for key, value in arrays.items() if value is not None})
    with pytest.raises(UserError, match=message) as caught:
        load_body(str(tmp_path / "a.npz"))
    assert "\n" not in str(caught.value)


def test_a_folder_without_one_neutral_model_says_what_it_has(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="has none"):
        load_body(str(tmp_path))


def test_without_smplx_the_message_says_how_to_install_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "smplx.lbs", None)
    with pytest.raises(UserError, match=r"pose-rft\[smpl\]"):
        load_body(str(tmp_path / "any.npz"))
