"""BlazePose (full) as a pose-aware encoder: features and 39 landmarks of the person in a crop.

Bazarevsky et al., "BlazePose: On-device real-time body pose tracking", 2020; 3D landmarks: Grishchenko et al.,
"BlazePose GHUM holistic", 2022. Weights from MediaPipe (Apache-2.0), rebuilt by ``scripts/build_vision.py``.
"""

import torch
from torch import Tensor

from pose_rft.vision.convnet import load_convnet
from pose_rft.vision.encoder import ImageFeatures, PoseEncoder, check_pixels

NUM_LANDMARKS = 39  # 33 of the body, then hips' middle and top of the circle, then four of the hands' frames
HIPS, TOP = 33, 34  # the two landmarks that say where the person's circle is
IN_CACHE = 4  # crops that a CPU takes at once: maps of more leave its cache, which costs a third
# Landmarks that are joints of SMPL too: the twelve on which both can be compared.
COMMON_JOINTS = {
    **{"left_shoulder": 11, "right_shoulder": 12, "left_elbow": 13, "right_elbow": 14},
    **{"left_wrist": 15, "right_wrist": 16, "left_hip": 23, "right_hip": 24},
    **{"left_knee": 25, "right_knee": 26, "left_ankle": 27, "right_ankle": 28},
}


class BlazePose(PoseEncoder):
    """Tokens are the 8 x 8 map of 288 values from which the network's own heads read the pose."""

    name = "blazepose"
    width = 288
    count = 64
    num_landmarks = NUM_LANDMARKS

    def __init__(self) -> None:
        super().__init__()
        self.network = load_convnet("pose_landmarks")
        self.freeze()

    @torch.no_grad()
    def encode(self, pixels: Tensor) -> ImageFeatures:
        check_pixels(pixels)
        at_once = IN_CACHE if pixels.device.type == "cpu" else max(len(pixels), 1)
        parts = [self.network(part.permute(0, 3, 1, 2).float() / 255) for part in pixels.split(at_once)]
        outputs = {name: torch.cat([part[name] for part in parts]) for name in parts[0]}
        points = outputs["landmarks"].reshape(-1, NUM_LANDMARKS, 5)
        places = sharpened(points[..., :2], outputs["heatmaps"])
        landmarks = torch.cat([places, -points[..., 2:3], points[..., 3:].sigmoid()], dim=-1)
        # The network's world has y down and z away from the viewer.
        x, y, z = outputs["world"].reshape(-1, NUM_LANDMARKS, 3).unbind(-1)
        world = torch.stack([x, -y, -z], dim=-1)
        tokens = outputs["map_8"].flatten(2).transpose(1, 2)
        return ImageFeatures(tokens.contiguous(), landmarks, world, outputs["presence"].sigmoid().flatten())


def sharpened(places: Tensor, heatmaps: Tensor) -> Tensor:
    """Landmarks (N, 39, 2) in pixels, moved to the middle of the heat around them.

    As MediaPipe does: of the heatmap (64 x 64 cells) the 7 x 7 cells around a landmark count, and it stays where it is
    if none of them is sure.
    """
    heat = heatmaps.sigmoid()  # (N, 39, 64, 64)
    cells = torch.arange(heat.shape[-1], device=heat.device)
    size = 256 / heat.shape[-1]  # pixels a cell
    near = ((cells - (places / size).floor()[..., None]).abs() <= 3).float()  # (N, 39, 2, 64)
    heat = heat * near[:, :, 0, None, :] * near[:, :, 1, :, None]
    total = heat.sum(dim=(-1, -2))
    middle = torch.stack([(heat.sum(-2) * cells).sum(-1), (heat.sum(-1) * cells).sum(-1)], dim=-1) / total[..., None]
    is_sure = heat.amax(dim=(-1, -2)) > 0.5
    return torch.where(is_sure[..., None], size * middle, places)
