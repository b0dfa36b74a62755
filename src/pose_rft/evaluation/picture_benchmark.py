"""The benchmark renders: pictures of poses kept out of training, from cameras that no training saw."""

import numpy as np
from rich.console import Console
from rich.progress import track
from torch import Tensor

from pose_rft.data.rendering.camera import in_camera_frame
from pose_rft.data.rendering.renders import RenderSpec
from pose_rft.data.sample import Sample
from pose_rft.evaluation.caption_benchmark import spread
from pose_rft.policy.training_pictures import crop_of

PROMPTS = 500
SEED = 8_000_009  # of cameras, clothes, lights: training draws from other seeds
QUESTION = "What is the SMPL pose of this person?"


def pictured_poses(
    poses: Tensor, source: str, limit: int = PROMPTS, seed: int = SEED, weights: np.ndarray | None = None
) -> list[Sample]:
    """One picture for each of ``limit`` poses, cut out around the person.

    The person's place in the picture is given, as benchmarks of photographs give it: finding people is not judged here.

    Args:
        poses: (N, 22, 3) axis-angle, in the order of recording.
        source: where they come from.
        weights: (N,) how densely the chosen ones lie in them, see ``spread``.

    Returns:
        Samples whose ``image`` is a ``Crop`` and whose ``pose`` is in its frame.
    """
    chosen = spread(len(poses), limit, weights)
    samples = []
    bar = track(chosen, description="Drawing pictures", console=Console(stderr=True), disable=len(chosen) < 20)
    for index, row in enumerate(bar):
        spec = RenderSpec(poses[row].numpy(), seed, index)
        cut = crop_of(spec)
        pose = in_camera_frame(cut.turn.T, spec.camera_pose()[0])
        samples.append(Sample(QUESTION, "", pose, image=cut, task="image_to_pose", source=source))
    return samples
