import numpy as np
import pytest
import roma
import torch

from pose_rft.body import load_body
from pose_rft.body.reduced import load_reduced_body, normals_of, posed, turned


@pytest.fixture(scope="module")
def bodies() -> list[tuple[np.ndarray, np.ndarray]]:
    rng = np.random.default_rng(0)
    return [(rng.normal(0, 0.4, (22, 3)).astype(np.float32), rng.normal(size=10).astype(np.float32)) for _ in range(4)]


def test_joints_are_those_of_the_full_body_model(bodies: list[tuple[np.ndarray, np.ndarray]]) -> None:
    light = load_reduced_body()
    for pose, betas in bodies:
        _, joints = posed(light, pose, betas, np.zeros(len(light.skin)))
        expected = load_body().joints(torch.from_numpy(pose), torch.from_numpy(betas))
        np.testing.assert_allclose(joints, expected.numpy(), atol=1e-5)  # float32 against double


def test_every_vertex_is_one_of_the_full_skin(bodies: list[tuple[np.ndarray, np.ndarray]]) -> None:
    light = load_reduced_body()
    for pose, betas in bodies:
        skin, _ = posed(light, pose, betas, np.zeros(len(light.skin)))
        full = load_body().vertices(torch.from_numpy(pose), torch.from_numpy(betas))
        nearest = torch.cdist(torch.from_numpy(skin).float()[::20], full).amin(dim=1)
        assert float(nearest.max()) < 1e-3  # cdist itself is exact to about 0.3 mm in float32


def test_the_silhouette_is_that_of_the_full_skin() -> None:
    # Extents along the axes: simplification moves no part of the T-pose's outline by more than 1 cm.
    light = load_reduced_body()
    skin, _ = posed(light, np.zeros((22, 3)), np.zeros(10), np.zeros(len(light.skin)))
    full = load_body().vertices(torch.zeros(22, 3)).numpy()
    np.testing.assert_allclose(skin.min(0), full.min(0), atol=0.01)
    np.testing.assert_allclose(skin.max(0), full.max(0), atol=0.01)
    assert len(light.faces) < 7_500


def test_thickness_moves_the_skin_outward() -> None:
    light = load_reduced_body()
    still = np.zeros((22, 3)), np.zeros(10)
    thin, _ = posed(light, *still, np.zeros(len(light.skin)))
    thick, _ = posed(light, *still, np.full(len(light.skin), 0.01))
    moved = ((thick - thin) * normals_of(thin, light.faces)).sum(1)
    assert np.median(moved) == pytest.approx(0.01, abs=5e-4)


def test_limb_scales_count_joints_down_the_limb() -> None:
    light = load_reduced_body()
    tips = light.skin[:, 0].argmax(), light.skin[:, 0].argmin()  # the fingers of the A-pose
    assert min(light.arm[tip] for tip in tips) > 2.5
    assert light.leg[light.skin[:, 1].argmin()] > 2.5
    assert light.arm[light.skin[:, 1].argmax()] == -0.5
    assert light.head[light.skin[:, 1].argmax()] > 0.9


def test_normals_of_a_single_triangle_point_where_its_corners_turn_counter_clockwise() -> None:
    corners = np.array([[0.0, 0, 0], [1, 0, 0], [0, 1, 0]])
    np.testing.assert_allclose(normals_of(corners, np.array([[0, 1, 2]])), [[0, 0, 1]] * 3, atol=1e-9)


def test_a_rotation_told_in_other_axes_is_their_product() -> None:
    rng = np.random.default_rng(1)
    vectors = [*rng.normal(0, 1.5, (50, 3)), np.zeros(3), np.array([np.pi, 0, 0]), np.array([0, 0, 3.1])]
    axes = roma.random_rotmat(len(vectors), dtype=torch.float64)
    axes[0] = torch.eye(3)
    for axis, vector in zip(axes, vectors, strict=True):
        product = axis @ roma.rotvec_to_rotmat(torch.from_numpy(vector))
        told = roma.rotvec_to_rotmat(torch.from_numpy(turned(axis.numpy(), vector)))
        np.testing.assert_allclose(told.numpy(), product.numpy(), atol=1e-9)
    np.testing.assert_allclose(turned(np.eye(3), np.zeros(3)), np.zeros(3), atol=1e-12)
