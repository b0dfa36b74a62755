import numpy as np
import pytest
import torch
from PIL import Image

from pose_rft.body import load_body
from pose_rft.body.distances import pa_mpjpe
from pose_rft.body.skeleton import JOINT_INDEX
from pose_rft.errors import UserError
from pose_rft.vision import crop, find_people, load_encoder
from pose_rft.vision.blazepose import COMMON_JOINTS, HIPS, BlazePose, sharpened


@pytest.fixture(scope="module")
def blazepose() -> BlazePose:
    encoder = load_encoder()
    assert isinstance(encoder, BlazePose)
    return encoder


@pytest.fixture(scope="module")
def pixels(people_picture: Image.Image) -> torch.Tensor:
    """Crops of the person in a T-pose and of the one with a raised left knee."""
    people = sorted(find_people(people_picture), key=lambda p: p.box[0])
    return torch.from_numpy(np.stack([crop(people_picture, p.circle).pixels for p in people]))


def test_blazepose_says_what_it_gives(blazepose: BlazePose, pixels: torch.Tensor) -> None:
    features = blazepose.encode(pixels)
    assert features.tokens.shape == (2, blazepose.count, blazepose.width)
    assert features.landmarks.shape == (2, 39, 5)
    assert features.world.shape == (2, 39, 3)
    assert (features.presence > 0.99).all()
    assert features.landmarks[..., 3:].min() >= 0
    assert features.landmarks[..., 3:].max() <= 1
    assert not any(parameter.requires_grad for parameter in blazepose.parameters())
    assert not features.tokens.requires_grad


def test_nobody_has_no_presence(blazepose: BlazePose) -> None:
    assert blazepose.encode(torch.full((1, 256, 256, 3), 128, dtype=torch.uint8)).presence < 0.1


def test_world_landmarks_are_in_our_frame(blazepose: BlazePose, pixels: torch.Tensor) -> None:
    # Somebody faces us: their left is to the picture's right (+x), the head is up, the raised knee nearer to us (+z).
    t_pose, leg_up = (
        dict(zip(COMMON_JOINTS, world[list(COMMON_JOINTS.values())], strict=True))
        for world in blazepose.encode(pixels).world
    )
    assert t_pose["left_wrist"][0] > 0.5
    assert t_pose["right_wrist"][0] < -0.5
    assert t_pose["left_shoulder"][1] > 0.3
    assert t_pose["left_ankle"][1] < -0.5
    assert leg_up["left_knee"][2] > leg_up["right_knee"][2] + 0.15
    assert leg_up["left_knee"][1] > leg_up["right_knee"][1] + 0.05


def test_landmarks_are_near_the_joints_that_were_drawn(blazepose: BlazePose, pixels: torch.Tensor) -> None:
    names, landmarks = list(COMMON_JOINTS), list(COMMON_JOINTS.values())
    drawn = load_body().joints(torch.zeros(22, 3))[[JOINT_INDEX[name] for name in names]]
    seen = blazepose.encode(pixels[:1])
    # 84 mm is the median over poses that ASSETS.md reports for this body; a T-pose from the front is an easy one.
    assert pa_mpjpe(seen.world[0, landmarks], drawn) < 0.08
    # On the picture: x and y follow the drawn joints up to one scale and shift (a camera far away, level with them).
    flat = drawn[:, :2] * torch.tensor([1.0, -1.0])
    points = seen.landmarks[0, landmarks, :2]
    flat, points = flat - flat.mean(0), points - points.mean(0)
    scale = (flat * points).sum() / (flat * flat).sum()
    assert (scale * flat - points).norm(dim=-1).max() < 10  # pixels of 256
    assert abs(seen.landmarks[0, HIPS, 0] - 128) < 5


def test_z_of_landmarks_points_towards_the_viewer(blazepose: BlazePose, pixels: torch.Tensor) -> None:
    landmarks = blazepose.encode(pixels[1:]).landmarks[0]
    assert landmarks[COMMON_JOINTS["left_knee"], 2] > landmarks[COMMON_JOINTS["right_knee"], 2] + 10


def test_a_landmark_moves_to_the_middle_of_the_heat_around_it() -> None:
    heat = torch.full((1, 3, 64, 64), -30.0)
    heat[0, 0, 12, 10:12] = 30.0  # two cells of one row, columns 10 and 11
    heat[0, 1, 40, 40] = 30.0  # too far from its landmark: more than three cells
    heat[0, 2, 12, 10] = -1.0  # not sure: 0.27
    places = torch.tensor([[[43.0, 50.0]] * 3])  # column 10, row 12
    # Cells are 4 pixels: the mean of columns 10 and 11 is 42, row 12 is 48; the others stay.
    expected = torch.tensor([[[42.0, 48.0], [43.0, 50.0], [43.0, 50.0]]])
    torch.testing.assert_close(sharpened(places, heat), expected)


def test_a_batch_equals_one_by_one(blazepose: BlazePose, pixels: torch.Tensor) -> None:
    both, second = blazepose.encode(pixels), blazepose.encode(pixels[1:])
    torch.testing.assert_close(both[1:].tokens, second.tokens, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(both[1:].world, second.world, atol=1e-5, rtol=1e-4)
    assert both[1:].landmarks.shape == (1, 39, 5)


def test_an_empty_batch_is_encoded(blazepose: BlazePose) -> None:
    assert blazepose.encode(torch.zeros(0, 256, 256, 3, dtype=torch.uint8)).tokens.shape == (0, 64, blazepose.width)


@pytest.mark.parametrize(
    "wrong", [torch.zeros(1, 256, 256, 3), torch.zeros(256, 256, 3, dtype=torch.uint8), torch.zeros(1, 3, 256, 256)]
)
def test_pixels_of_another_kind_are_refused(blazepose: BlazePose, wrong: torch.Tensor) -> None:
    with pytest.raises(ValueError, match=r"\(N, 256, 256, 3\) uint8"):
        blazepose.encode(wrong)


def test_an_unknown_encoder_is_one_line() -> None:
    with pytest.raises(UserError, match="encoder 'nowhere': not 'blazepose'") as caught:
        load_encoder("nowhere")
    assert "\n" not in str(caught.value)
