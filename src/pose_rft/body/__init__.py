"""What a pose is: SMPL's 22-joint skeleton, body models, pose files and pictures of poses."""

from pose_rft.body.load import load_body
from pose_rft.body.model import BodyModel
from pose_rft.body.pose import Pose

__all__ = ["BodyModel", "Pose", "load_body"]
