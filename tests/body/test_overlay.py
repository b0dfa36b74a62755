"""The body over a photograph lies where its joints are seen."""

import numpy as np
import torch
from PIL import Image

from pose_rft.body import load_body
from pose_rft.body.overlay import PictureCamera, draw_over, fit_camera

POSE = np.random.default_rng(0).normal(scale=0.3, size=(22, 3)).astype(np.float32)


def joints() -> np.ndarray:
    found = load_body().joints(torch.from_numpy(POSE)).numpy()
    return found - found[0]


def test_a_camera_is_found_again_from_its_points():
    camera = PictureCamera(140.0, (200.0, 180.0))
    weights = np.linspace(0.1, 1, 22)
    found = fit_camera(joints(), camera.project(joints()), weights)
    np.testing.assert_allclose([found.scale, *found.shift], [140.0, 200.0, 180.0], rtol=1e-5)


def test_points_without_weight_are_not_looked_at():
    camera = PictureCamera(90.0, (50.0, 60.0))
    points, weights = camera.project(joints()), np.ones(22)
    points[3], weights[3] = [1e4, -1e4], 0.0
    found = fit_camera(joints(), points, weights)
    np.testing.assert_allclose([found.scale, *found.shift], [90.0, 50.0, 60.0], rtol=1e-4)


def test_the_body_covers_its_joints_and_leaves_the_rest_of_the_picture():
    picture = Image.new("RGB", (400, 360), (255, 255, 255))
    camera = PictureCamera(150.0, (200.0, 180.0))
    drawn = np.asarray(draw_over(picture, POSE, camera))
    for x, y in camera.project(joints()).round().astype(int)[[0, 3, 6, 9]]:  # pelvis and spine lie deep inside
        assert (drawn[y, x] < 250).any()
    assert (drawn[:5] == 255).all()
    assert drawn.shape == (360, 400, 3)


def test_huge_pictures_come_back_smaller_and_a_body_outside_is_no_error():
    picture = Image.new("RGB", (3200, 800))
    assert draw_over(picture, POSE, PictureCamera(300.0, (1600.0, 400.0))).size == (1600, 400)
    beside = draw_over(picture, POSE, PictureCamera(300.0, (-9000.0, 400.0)))
    assert not np.asarray(beside).any()
