"""What becomes of our files in Blender itself. Without it these tests are skipped: pip install bpy (350 MB)."""

import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from pose_rft.body import load_body
from pose_rft.body.bvh import write_bvh
from pose_rft.body.glb import write_glb
from pose_rft.body.skeleton import JOINT_NAMES

pytestmark = [
    pytest.mark.skipif(importlib.util.find_spec("bpy") is None, reason="Blender is missing: pip install bpy"),
    pytest.mark.slow,
]
POSE = np.random.default_rng(0).normal(0, 0.3, (22, 3)).astype(np.float32)
SCRIPT = """
import json, sys
import bpy

path, result = sys.argv[1:]
bpy.ops.wm.read_factory_settings(use_empty=True)
bpy.ops.import_anim.bvh(filepath=path) if path.endswith("bvh") else bpy.ops.import_scene.gltf(filepath=path)
bpy.context.scene.frame_set(1)
armature = next(thing for thing in bpy.data.objects if thing.type == "ARMATURE")
body = next((thing for thing in bpy.data.objects if thing.type == "MESH" and thing.parent == armature), None)
found = {}
for position in ("POSE", "REST"):
    armature.data.pose_position = position
    bpy.context.view_layer.update()
    found[position] = {bone.name: list(armature.matrix_world @ bone.head) for bone in armature.pose.bones}
    if body is not None:
        drawn = body.evaluated_get(bpy.context.evaluated_depsgraph_get())
        found[position + " skin"] = [list(drawn.matrix_world @ vertex.co) for vertex in drawn.to_mesh().vertices]
json.dump(found, open(result, "w"))
"""


def in_blender(path: Path) -> dict[str, Any]:
    """What Blender has after it imported a file: joints and skin in the pose and at rest, turned back to y-up."""
    subprocess.run([sys.executable, "-c", SCRIPT, str(path), str(path.with_suffix(".json"))], check=True)
    found = json.loads(path.with_suffix(".json").read_text())
    return {
        key: y_up(value if key.endswith("skin") else [value[name] for name in JOINT_NAMES])
        for key, value in found.items()
    }


def y_up(points: list[list[float]]) -> np.ndarray:
    x, y, z = np.array(points).T
    return np.stack([x, z, -y], axis=1)


def joints(pose: np.ndarray) -> np.ndarray:
    return load_body().joints(torch.from_numpy(pose)).numpy()


def height(pose: np.ndarray) -> float:
    """Of the pelvis above the floor, where the lowest vertex is."""
    return -float(load_body().vertices(torch.from_numpy(pose))[:, 1].min())


def test_a_glb_is_the_answer_in_pose_position_and_a_t_pose_at_rest_both_on_the_floor(tmp_path: Path) -> None:
    write_glb(tmp_path / "a.glb", POSE)
    found = in_blender(tmp_path / "a.glb")
    for position, pose in (("POSE", POSE), ("REST", np.zeros((22, 3), np.float32))):
        expected = joints(pose) + np.array([0, height(pose), 0])
        np.testing.assert_allclose(found[position], expected, atol=1e-4)
        assert abs(found[f"{position} skin"][:, 1].min()) < 1e-3


def test_a_bvh_is_as_large_as_its_body_without_a_scale(tmp_path: Path) -> None:
    write_bvh(tmp_path / "a.bvh", POSE[None])
    found = in_blender(tmp_path / "a.bvh")
    np.testing.assert_allclose(found["POSE"], joints(POSE) + np.array([0, height(POSE), 0]), atol=1e-4)
    np.testing.assert_allclose(found["REST"], joints(np.zeros((22, 3), np.float32)), atol=1e-4)
