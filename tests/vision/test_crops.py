import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from pose_rft.body import load_body
from pose_rft.vision.crops import CROP_SIDE, MARGIN, Circle, crop

BLACK = Image.new("RGB", (300, 200))
circles = st.builds(
    Circle,
    st.tuples(st.floats(-50, 350), st.floats(-50, 250)),
    st.floats(5, 400),
    st.floats(-math.pi, math.pi),
)


def test_the_crop_holds_the_circle_and_a_margin() -> None:
    cut = crop(BLACK, Circle((100.0, 80.0), 64.0))
    assert cut.pixels.shape == (CROP_SIDE, CROP_SIDE, 3)
    assert cut.pixels.dtype == np.uint8
    np.testing.assert_allclose(cut.to_picture(np.array([128.0, 128.0])), [100, 80])  # the circle's centre
    half = MARGIN * 64  # 80 picture pixels from the centre to the edge
    np.testing.assert_allclose(cut.to_picture(np.array([[0.0, 0.0], [256.0, 256.0]])), [[20, 0], [180, 160]])
    assert half == 80


def test_a_head_to_the_right_is_turned_up() -> None:
    circle = Circle.through(np.array([150.0, 100.0]), np.array([230.0, 100.0]))
    assert (circle.radius, circle.rotation) == pytest.approx((80.0, math.pi / 2))
    picture = BLACK.copy()
    picture.paste((255, 0, 0), (200, 90, 220, 110))  # where the head is: 60 pixels from the hips
    cut = crop(picture, circle)
    y, x = np.argwhere(cut.pixels[..., 0] > 128).mean(0)
    assert x == pytest.approx(127.5, abs=1)  # above the middle
    assert y == pytest.approx(127.5 - 60 * CROP_SIDE / (2 * MARGIN * 80), abs=1)


@given(circles, st.floats(20, 236), st.floats(20, 236))
@settings(max_examples=40, deadline=None)
def test_the_transform_leads_from_the_crop_to_the_same_colours(circle: Circle, x: float, y: float) -> None:
    columns, rows = np.meshgrid(np.arange(300), np.arange(200))
    ramp = np.stack([columns * 0.8, rows * 1.2, 0 * rows], axis=-1).round().astype(np.uint8)
    cut = crop(Image.fromarray(ramp), circle)
    column, row = cut.to_picture(np.array([math.floor(x) + 0.5, math.floor(y) + 0.5]))
    margin = 2 + 2 * MARGIN * circle.radius / CROP_SIDE
    if margin < column < 300 - margin and margin < row < 200 - margin:
        colour = cut.pixels[math.floor(y), math.floor(x)].astype(float)
        np.testing.assert_allclose(colour[:2], [(column - 0.5) * 0.8, (row - 0.5) * 1.2], atol=2.5)


def test_beyond_the_picture_it_is_black() -> None:
    white = Image.new("RGB", (300, 200), "white")
    assert crop(white, Circle((-500.0, -500.0), 50.0)).pixels.max() == 0
    cut = crop(white, Circle((0.0, 100.0), 80.0)).pixels  # the left half lies outside
    assert cut[128, 40].tolist() == [0, 0, 0]
    assert cut[128, 200].tolist() == [255, 255, 255]


def test_a_large_circle_is_averaged_and_not_sampled() -> None:
    stripes = np.zeros((2048, 2048, 3), np.uint8)
    stripes[:, ::2] = 255
    cut = crop(Image.fromarray(stripes), Circle((1024.0, 1024.0), 800.0))  # 7.8 picture pixels per crop pixel
    assert abs(cut.pixels[20:236, 20:236].astype(int) - 127).max() <= 20


def test_turn_brings_a_pose_read_off_the_crop_back_to_the_picture() -> None:
    # Somebody lies with the head to the right of the picture (clockwise by 90 degrees). In the crop they stand: the
    # head is up (+y); turned back it points to +x, and what was the picture's right in the crop points down.
    cut = crop(BLACK, Circle((100.0, 100.0), 50.0, math.pi / 2))
    np.testing.assert_allclose(cut.turn @ [0, 1, 0], [1, 0, 0], atol=1e-12)
    np.testing.assert_allclose(cut.turn @ [1, 0, 0], [0, -1, 0], atol=1e-12)
    np.testing.assert_allclose(cut.turn @ [0, 0, 1], [0, 0, 1], atol=1e-12)


@given(circles)
@settings(max_examples=20, deadline=None)
def test_turn_and_transform_agree(circle: Circle) -> None:
    cut = crop(BLACK, circle)
    up_in_picture = cut.to_picture(np.array([0.0, -1.0])) - cut.to_picture(np.array([0.0, 0.0]))  # y down
    scale = 2 * MARGIN * circle.radius / CROP_SIDE
    np.testing.assert_allclose(up_in_picture * [1, -1] / scale, (cut.turn @ [0, 1, 0])[:2], atol=1e-9)
    assert np.linalg.det(cut.turn) == pytest.approx(1)


def test_turn_on_global_orient_turns_all_joints() -> None:
    import roma

    body, pose = load_body(), torch.zeros(22, 3)
    cut = crop(BLACK, Circle((100.0, 100.0), 50.0, 0.7))
    turned = pose.clone()
    turned[0] = roma.rotmat_to_rotvec(torch.from_numpy(cut.turn).float() @ roma.rotvec_to_rotmat(pose[0]))
    expected = body.joints(pose) @ torch.from_numpy(cut.turn).float().T
    torch.testing.assert_close(body.joints(turned), expected, atol=1e-5, rtol=0)
