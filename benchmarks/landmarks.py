"""Where the named points of the skin lie on the bundled body. Prints the table of `pose_rft.body.landmarks`.

python -m benchmarks.landmarks
"""

import argparse

import torch
from torch import Tensor

from pose_rft.body import load_body
from pose_rft.body.mesh import vertex_normals
from pose_rft.body.model import BodyModel
from pose_rft.body.skeleton import JOINT_INDEX

REST = torch.zeros(22, 3)  # the T-pose: hands out with the palms down, soles on the floor
MIDLINE = 0.004  # metres to both sides
PALM = 0.4, 0.6  # of the way from the wrist to the tip of the fingers
PALM_WIDTH = 0.025  # metres to both sides of the middle finger


def measured(body: BodyModel) -> dict[str, tuple[str, Tensor]]:
    """Joint and offset (3,) in metres from it, of the left side's and the middle's landmarks at rest."""
    skin, joints = body.vertices(REST), body.joints(REST)
    mover = body.skin_joints.gather(1, body.skin_weights.argmax(dim=1, keepdim=True))[:, 0]
    down = torch.from_numpy(vertex_normals(skin.numpy(), body.faces.numpy()))[:, 1] < -0.7
    floor = skin[:, 1].min()

    def moved_by(joint: str) -> Tensor:
        return mover == JOINT_INDEX[joint]

    def offset(joint: str) -> Tensor:
        return skin[moved_by(joint)] - joints[JOINT_INDEX[joint]]

    head, ankle, foot, hand = (offset(joint) for joint in ("head", "left_ankle", "left_foot", "left_wrist"))
    nose = head[head[:, 2].argmax()]
    profile = head[(head[:, 0].abs() < MIDLINE) & (head[:, 1] > nose[1]) & (head[:, 1] < nose[1] + 0.06)]
    profile = profile[profile[:, 2] > 0.8 * nose[2]]  # not the roof of the mouth
    heel = ankle[ankle[:, 2] < 0]
    toes = foot[foot[:, 2].argmax()].clone()
    toes[1] = floor - joints[JOINT_INDEX["left_foot"], 1]
    fingers = hand[hand[:, 0].argmax()]
    along, beside = hand[:, 0] / fingers[0], (hand[:, 2] - fingers[2]).abs()
    palm = hand[(along > PALM[0]) & (along < PALM[1]) & (beside < PALM_WIDTH) & down[moved_by("left_wrist")]]
    return {
        "face": ("head", profile[profile[:, 2].argmin()] * torch.tensor([0.0, 1.0, 1.0])),
        "crown": ("head", head[head[:, 1].argmax()] * torch.tensor([0.0, 1.0, 1.0])),
        "left_heel": ("left_ankle", heel[heel[:, 1].argmin()]),
        "left_toes": ("left_foot", toes),
        "left_fingers": ("left_wrist", fingers),
        "left_palm": ("left_wrist", palm.mean(dim=0)),
    }


def main() -> None:
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    for name, (joint, offset) in measured(load_body()).items():
        print(f'"{name}": ("{joint}", ({", ".join(f"{number:.4f}" for number in offset.tolist())})),')


if __name__ == "__main__":
    main()
