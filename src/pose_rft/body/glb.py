"""Skinned GLB (glTF 2.0) files: the body, its 22-joint skeleton and the pose, ready to be animated further.

The mesh lies in the file as posed and is bound to the skeleton in that pose, so programs that ignore skins (trimesh,
MeshLab) show the same body as those that do not. The joints' nodes carry the pose, each with its SMPL name, its
rotation relative to its parent and its bone's offset: turning a node turns the joint, turning all back to zero gives
the T-pose. (Blender takes the pose that the mesh is bound in for its rest pose: docs/blender.md.)
"""

from pathlib import Path
from typing import Any

import numpy as np
import roma
import torch
import trimesh
from trimesh.exchange.gltf import export_glb

from pose_rft.body.load import load_body
from pose_rft.body.mesh import vertex_normals
from pose_rft.body.model import Cc0Body
from pose_rft.body.render import limb_colours
from pose_rft.body.skeleton import JOINT_NAMES, NUM_JOINTS, PARENTS, forward_kinematics
from pose_rft.storage import atomic_file

FLOAT = 5126  # glTF's code for float32


def write_glb(
    path: str | Path, pose: np.ndarray, betas: np.ndarray | None = None, trans: np.ndarray | None = None
) -> None:
    """Write one pose (22, 3) of the bundled body as a skinned GLB, y-up, metres.

    Args:
        path: the file.
        pose: (22, 3) axis-angle, radians.
        betas: (10,) shape; the mean body if None.
        trans: (3,) where the pelvis is, metres; the origin if None.

    Raises:
        UserError: the path cannot be written; what stood there stays.
    """
    body = load_body()
    assert isinstance(body, Cc0Body)
    shape = None if betas is None else torch.as_tensor(betas, dtype=torch.float32)
    place = None if trans is None else torch.as_tensor(trans, dtype=torch.float32)
    skin = body.vertices(torch.as_tensor(pose, dtype=torch.float32), shape, place)  # (V, 3)
    offsets = (body.offsets if shape is None else body.rest_offsets(shape)).double().clone()
    offsets[0] = 0.0 if place is None else place.double()
    rotations = torch.as_tensor(pose, dtype=torch.float64)  # (22, 3)
    nodes = _joint_nodes(rotations, offsets)
    inverse_bind = _inverse_bind(rotations, offsets)

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
        tree["nodes"] = [*nodes, mesh_node]
        tree["scenes"][0]["nodes"] = [0, NUM_JOINTS]
        tree["skins"] = [{"joints": list(range(NUM_JOINTS)), "skeleton": 0, "inverseBindMatrices": accessor}]

    content = export_glb(_mesh(body, skin.numpy()), include_normals=True, buffer_postprocessor=add_skeleton)
    with atomic_file(Path(path)) as part:
        part.write_bytes(content)


def _mesh(body: Cc0Body, vertices: np.ndarray) -> trimesh.Trimesh:
    material = trimesh.visual.material.PBRMaterial(
        name="clay", baseColorFactor=[255, 255, 255, 255], metallicFactor=0.0, roughnessFactor=0.65
    )
    visual = trimesh.visual.TextureVisuals(material=material)
    tint = np.column_stack([255 * limb_colours(body), np.full(len(vertices), 255)])
    visual.vertex_attributes["color"] = tint.round().astype(np.uint8)
    skinning = {"_JOINTS_0": body.skin_joints.numpy().astype(np.uint8), "_WEIGHTS_0": body.skin_weights.numpy()}
    faces = body.faces.numpy()
    return trimesh.Trimesh(
        vertices,
        faces,
        vertex_normals=vertex_normals(vertices, faces),
        visual=visual,
        vertex_attributes=skinning,
        process=False,
    )


def _joint_nodes(pose: torch.Tensor, offsets: torch.Tensor) -> list[dict[str, Any]]:
    quaternions = roma.rotvec_to_unitquat(pose)  # (22, 4) xyzw, glTF's order
    nodes: list[dict[str, Any]] = []
    for joint, name in enumerate(JOINT_NAMES):
        node = {"name": name, "translation": offsets[joint].tolist(), "rotation": quaternions[joint].tolist()}
        children = [child for child in range(NUM_JOINTS) if PARENTS[child] == joint]
        nodes.append({**node, "children": children} if children else node)
    return nodes


def _inverse_bind(pose: torch.Tensor, offsets: torch.Tensor) -> np.ndarray:
    """Matrices (22, 4, 4), column-major as glTF wants them: from the posed skin to each joint's own frame."""
    positions, orientations = forward_kinematics(roma.rotvec_to_rotmat(pose), offsets)
    back = orientations.mT  # (22, 3, 3)
    matrices = np.tile(np.eye(4), (NUM_JOINTS, 1, 1))
    matrices[:, :3, :3] = back.numpy()
    matrices[:, :3, 3] = -(back @ positions[..., None])[..., 0].numpy()
    return matrices.transpose(0, 2, 1)
