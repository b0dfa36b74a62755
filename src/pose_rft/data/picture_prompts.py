"""What people ask who want the pose of the one person in a picture."""

from pose_rft.storage import package_table

ASK_POSE: list[str] = package_table(__package__, "picture_prompts.yaml")
