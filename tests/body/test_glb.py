"""The GLB is read by pygltflib and posed by glTF's own rules; trimesh reads the one without a skin."""

import json
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pygltflib
import pytest
import torch
import trimesh

from pose_rft.body import load_body
from pose_rft.body.glb import write_glb
from pose_rft.body.skeleton import JOINT_NAMES

DTYPES = {5121: np.uint8, 5125: np.uint32, 5126: np.float32}
WIDTHS = {"SCALAR": 1, "VEC3": 3, "VEC4": 4, "MAT4": 16}


def accessor(gltf: pygltflib.GLTF2, index: int) -> np.ndarray:
    entry = gltf.accessors[index]
    view = gltf.bufferViews[entry.bufferView]
    start = (view.byteOffset or 0) + (entry.byteOffset or 0)
    count = entry.count * WIDTHS[entry.type]
    return np.frombuffer(gltf.binary_blob(), DTYPES[entry.componentType], count, start).reshape(entry.count, -1)


def local_matrix(node: pygltflib.Node) -> np.ndarray:
    x, y, z, w = node.rotation
    matrix = np.eye(4)
    matrix[:3, :3] = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
        [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
        [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
    ]
    matrix[:3, 3] = node.translation
    return matrix


def world_matrices(gltf: pygltflib.GLTF2) -> np.ndarray:
    """(22, 4, 4) of the skin's joints, by walking the nodes."""
    found: dict[int, np.ndarray] = {}

    def walk(index: int, parent: np.ndarray) -> None:
        found[index] = parent @ local_matrix(gltf.nodes[index])
        for child in gltf.nodes[index].children or []:
            walk(child, found[index])

    walk(gltf.skins[0].skeleton, np.eye(4))
    return np.array([found[joint] for joint in gltf.skins[0].joints])


def skinned(gltf: pygltflib.GLTF2) -> np.ndarray:
    """The vertices (V, 3) as glTF's rule poses them."""
    attributes = gltf.meshes[0].primitives[0].attributes
    position = accessor(gltf, attributes.POSITION)
    joints, weights = accessor(gltf, attributes.JOINTS_0), accessor(gltf, attributes.WEIGHTS_0)
    inverse_bind = accessor(gltf, gltf.skins[0].inverseBindMatrices).reshape(-1, 4, 4).transpose(0, 2, 1)
    moves = world_matrices(gltf) @ inverse_bind
    blended = (weights[:, :, None, None] * moves[joints]).sum(1)
    homogeneous = np.concatenate([position, np.ones((len(position), 1))], axis=1)
    return (blended @ homogeneous[..., None])[:, :3, 0]


Case = tuple[pygltflib.GLTF2, np.ndarray, np.ndarray]


@pytest.fixture(params=["mean body", "own shape and place"])
def case(request: pytest.FixtureRequest, tmp_path: Path) -> Case:
    """A file read by pygltflib, and the joints and vertices that it should have."""
    rng = np.random.default_rng(3)
    pose = rng.normal(size=(22, 3), scale=0.4).astype(np.float32)
    own = request.param != "mean body"
    betas = rng.normal(size=10).astype(np.float32) if own else None
    trans = np.float32([0.5, 1.0, -2.0]) if own else None
    write_glb(tmp_path / "a.glb", pose, betas, trans)
    body, shape = load_body(), None if betas is None else torch.from_numpy(betas)
    joints = body.joints(torch.from_numpy(pose), shape).numpy()
    skin = body.vertices(torch.from_numpy(pose), shape).numpy()
    shift = np.float32([0, -skin[:, 1].min(), 0]) if trans is None else trans
    return pygltflib.GLTF2().load(str(tmp_path / "a.glb")), joints + shift, skin + shift


def test_another_library_finds_the_joints_by_name_where_we_put_them(case: Case) -> None:
    gltf, joints, _ = case
    assert tuple(gltf.nodes[joint].name for joint in gltf.skins[0].joints) == JOINT_NAMES
    np.testing.assert_allclose(world_matrices(gltf)[:, :3, 3], joints, atol=1e-4)


def test_skinning_the_file_by_gltf_s_rule_gives_the_posed_body(case: Case) -> None:
    gltf, _, skin = case
    off = np.linalg.norm(skinned(gltf) - skin, axis=1)  # we skin from the A-pose, a file from the T-pose
    assert off.mean() < 0.002
    assert off.max() < 0.06  # metres, in the armpits
    weights = accessor(gltf, gltf.meshes[0].primitives[0].attributes.WEIGHTS_0)
    np.testing.assert_allclose(weights.sum(1), 1, atol=1e-6)


def test_the_body_stands_on_the_floor_in_its_pose_and_at_rest(tmp_path: Path) -> None:
    pose = np.random.default_rng(4).normal(size=(22, 3), scale=0.4).astype(np.float32)
    write_glb(tmp_path / "a.glb", pose)
    gltf = pygltflib.GLTF2().load(str(tmp_path / "a.glb"))
    assert abs(skinned(gltf)[:, 1].min()) < 2e-3
    at_rest = accessor(gltf, gltf.meshes[0].primitives[0].attributes.POSITION)
    assert abs(at_rest[:, 1].min()) < 1e-6
    assert at_rest[:, 0].max() > 0.75  # the hand of a stretched arm: a T-pose


def test_joints_of_no_weight_are_0_and_buffers_say_what_they_are_for(case: Case) -> None:
    gltf, _, _ = case
    primitive = gltf.meshes[0].primitives[0]
    joints, weights = accessor(gltf, primitive.attributes.JOINTS_0), accessor(gltf, primitive.attributes.WEIGHTS_0)
    assert not joints[weights == 0].any()

    def target(index: int) -> int:
        return gltf.bufferViews[gltf.accessors[index].bufferView].target

    used = [index for index in vars(primitive.attributes).values() if isinstance(index, int)]
    assert len(used) == 5
    assert {target(index) for index in used} == {pygltflib.ARRAY_BUFFER}
    assert target(primitive.indices) == pygltflib.ELEMENT_ARRAY_BUFFER


VALIDATE = """
require('gltf-validator').validateBytes(new Uint8Array(require('fs').readFileSync(process.argv[1])), {maxIssues: 0})
  .then(report => console.log(JSON.stringify(report.issues)))
"""


@pytest.mark.parametrize("baked", [False, True])
def test_the_khronos_validator_has_nothing_to_say(tmp_path: Path, baked: bool) -> None:
    node = shutil.which("node")
    if node is None or subprocess.run([node, "-e", "require('gltf-validator')"], capture_output=True).returncode:
        pytest.skip("no gltf-validator: npm install gltf-validator, and NODE_PATH=.../node_modules")
    write_glb(tmp_path / "a.glb", np.random.default_rng(5).normal(size=(22, 3)).astype(np.float32), baked=baked)
    report = subprocess.run([node, "-e", VALIDATE, str(tmp_path / "a.glb")], capture_output=True, text=True, check=True)
    issues = json.loads(report.stdout)
    assert [issues[kind] for kind in ("numErrors", "numWarnings", "numInfos", "numHints")] == [0, 0, 0, 0], issues


def test_the_mesh_has_unit_normals_colours_and_all_faces(
    case: Case,
) -> None:
    gltf, _, _ = case
    primitive = gltf.meshes[0].primitives[0]
    np.testing.assert_allclose(np.linalg.norm(accessor(gltf, primitive.attributes.NORMAL), axis=1), 1, atol=1e-3)
    assert accessor(gltf, primitive.attributes.COLOR_0).shape == (len(load_body().skin_weights), 4)
    np.testing.assert_array_equal(accessor(gltf, primitive.indices).reshape(-1, 3), load_body().faces.numpy())
    mesh_node = next(node for node in gltf.nodes if node.mesh is not None)
    assert mesh_node.skin == 0


def test_a_baked_file_is_the_posed_body_for_every_library(tmp_path: Path) -> None:
    pose = np.random.default_rng(4).normal(size=(22, 3), scale=0.6).astype(np.float32)
    write_glb(tmp_path / "a.glb", pose, trans=np.zeros(3), baked=True)
    found = trimesh.load(tmp_path / "a.glb").to_mesh()
    np.testing.assert_allclose(found.vertices, load_body().vertices(torch.from_numpy(pose)).numpy(), atol=1e-5)
    np.testing.assert_array_equal(found.faces, load_body().faces.numpy())
    assert not pygltflib.GLTF2().load(str(tmp_path / "a.glb")).skins


def test_turning_every_joint_back_gives_the_t_pose(tmp_path: Path) -> None:
    rng = np.random.default_rng(5)
    pose, betas = rng.normal(size=(22, 3)).astype(np.float32), rng.normal(size=10).astype(np.float32)
    write_glb(tmp_path / "a.glb", pose, betas, np.zeros(3))
    gltf = pygltflib.GLTF2().load(str(tmp_path / "a.glb"))
    for joint in gltf.skins[0].joints:
        gltf.nodes[joint].rotation = [0, 0, 0, 1]
    rest = load_body().joints(torch.zeros(22, 3), torch.from_numpy(betas)).numpy()
    np.testing.assert_allclose(world_matrices(gltf)[:, :3, 3], rest, atol=1e-5)
    skin = load_body().vertices(torch.zeros(22, 3), torch.from_numpy(betas)).numpy()
    np.testing.assert_allclose(skinned(gltf), skin, atol=1e-5)
