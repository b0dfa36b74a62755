"""Skinned GLB (glTF 2.0) files: the body, its 22-joint skeleton and the pose, ready to be animated further.

The mesh lies in the file in the T-pose and is bound to the skeleton there, as every program expects: that is the rest
pose to which a rig goes back. The joints' nodes carry the answer, each with its SMPL name, its rotation relative to its
parent and its bone's offset. The body stands on the floor in both poses.
"""

from pathlib import Path
from typing import Any

import numpy as np
import roma
import torch
import trimesh
from trimesh.exchange.gltf import export_glb

from pose_rft.body.load import load_body
from pose_rft.body.mesh import on_the_floor, vertex_normals
from pose_rft.body.model import Cc0Body
from pose_rft.body.render import limb_colours
from pose_rft.body.skeleton import JOINT_NAMES, NUM_JOINTS, PARENTS, forward_kinematics
from pose_rft.storage import atomic_file

FLOAT = 5126  # glTF's code for float32
VERTICES, TRIANGLES = 34962, 34963  # its codes for what a buffer is for


def write_glb(
    path: str | Path,
    pose: np.ndarray,
    betas: np.ndarray | None = None,
    trans: np.ndarray | None = None,
    baked: bool = False,
) -> None:
    """Write one pose (22, 3) of the bundled body as a GLB, y-up, metres.

    Args:
        path: the file.
        pose: (22, 3) axis-angle, radians.
        betas: (10,) shape; the mean body if None.
        trans: (3,) where the pelvis is, metres; above the origin, the body standing on the floor y = 0, if None.
        baked: the posed mesh alone, without a skeleton: for programs that do not know skins.

    Raises:
        UserError: the path cannot be written; what stood there stays.
    """
    body = load_body()
    assert isinstance(body, Cc0Body)
    shape = None if betas is None else torch.as_tensor(betas, dtype=torch.float32)
    rotations = torch.as_tensor(pose, dtype=torch.float32)
    place = on_the_floor(body, rotations, shape) if trans is None else torch.as_tensor(trans, dtype=torch.float32)
    if baked:
        mesh = _mesh(body, body.vertices(rotations, shape, place).numpy())
        content = export_glb(mesh, include_normals=True, tree_postprocessor=_name_targets)
    else:
        content = _skinned(body, rotations, shape, place)
    with atomic_file(Path(path)) as part:
        part.write_bytes(content)


def _skinned(body: Cc0Body, pose: torch.Tensor, shape: torch.Tensor | None, place: torch.Tensor) -> bytes:
    """The T-pose on the floor, bound to the skeleton; the joints' nodes carry the pose (22, 3) and its place (3,)."""
    rest = torch.zeros_like(pose)
    rest_place = on_the_floor(body, rest, shape)
    mesh = _mesh(body, body.vertices(rest, shape, rest_place).numpy())
    weights = body.skin_weights.numpy()
    mesh.vertex_attributes["_JOINTS_0"] = np.where(weights > 0, body.skin_joints.numpy(), 0).astype(np.uint8)
    mesh.vertex_attributes["_WEIGHTS_0"] = weights
    offsets = (body.offsets if shape is None else body.rest_offsets(shape)).clone()
    inverse_bind = _inverse_bind(offsets, rest_place)
    offsets[0] = place

    def add_skeleton(buffers: Any, tree: dict[str, Any]) -> None:
        """Called by trimesh with the mesh laid out: adds the joints, and makes the mesh hang on them."""
        buffers["inverse_bind"] = inverse_bind.astype("<f4").tobytes()
        view, accessor = len(buffers) - 1, len(tree["accessors"])
        matrices = {"bufferView": view, "byteOffset": 0, "componentType": FLOAT, "type": "MAT4", "count": NUM_JOINTS}
        tree["accessors"]["inverse_bind"] = matrices
        attributes = tree["meshes"][0]["primitives"][0]["attributes"]
        for name in ("JOINTS_0", "WEIGHTS_0"):
            attributes[name] = attributes.pop("_" + name)
        mesh_node = {"name": "body", "mesh": 0, "skin": 0}
        tree["nodes"] = [*_joint_nodes(pose, offsets), mesh_node]
        tree["scenes"][0]["nodes"] = [0, NUM_JOINTS]
        tree["skins"] = [{"joints": list(range(NUM_JOINTS)), "skeleton": 0, "inverseBindMatrices": accessor}]

    return export_glb(mesh, include_normals=True, buffer_postprocessor=add_skeleton, tree_postprocessor=_name_targets)


def _name_targets(tree: dict[str, Any]) -> None:
    """Say of the mesh's buffers what they are for, which trimesh leaves out and viewers use to upload them."""
    primitive = tree["meshes"][0]["primitives"][0]
    accessors = list(tree["accessors"].values()) if isinstance(tree["accessors"], dict) else tree["accessors"]
    for accessor in primitive["attributes"].values():
        tree["bufferViews"][accessors[accessor]["bufferView"]]["target"] = VERTICES
    tree["bufferViews"][accessors[primitive["indices"]]["bufferView"]]["target"] = TRIANGLES


def _mesh(body: Cc0Body, vertices: np.ndarray) -> trimesh.Trimesh:
    material = trimesh.visual.material.PBRMaterial(
        name="clay", baseColorFactor=[255, 255, 255, 255], metallicFactor=0.0, roughnessFactor=0.65
    )
    visual = trimesh.visual.TextureVisuals(material=material)
    tint = np.column_stack([255 * limb_colours(body), np.full(len(vertices), 255)])
    visual.vertex_attributes["color"] = tint.round().astype(np.uint8)
    faces = body.faces.numpy()
    return trimesh.Trimesh(
        vertices, faces, vertex_normals=vertex_normals(vertices, faces), visual=visual, process=False
    )


def _joint_nodes(pose: torch.Tensor, offsets: torch.Tensor) -> list[dict[str, Any]]:
    quaternions = roma.rotvec_to_unitquat(pose)  # (22, 4) xyzw, glTF's order
    nodes: list[dict[str, Any]] = []
    for joint, name in enumerate(JOINT_NAMES):
        node = {"name": name, "translation": offsets[joint].tolist(), "rotation": quaternions[joint].tolist()}
        children = [child for child in range(NUM_JOINTS) if PARENTS[child] == joint]
        nodes.append({**node, "children": children} if children else node)
    return nodes


def _inverse_bind(offsets: torch.Tensor, place: torch.Tensor) -> np.ndarray:
    """Matrices (22, 4, 4), column-major as glTF wants them: from the T-pose's skin to each joint's own frame."""
    upright = torch.eye(3).expand(NUM_JOINTS, 3, 3)
    matrices = np.tile(np.eye(4), (NUM_JOINTS, 1, 1))
    matrices[:, 3, :3] = -(forward_kinematics(upright, offsets)[0] + place).numpy()  # the pelvis' offset is zero
    return matrices
