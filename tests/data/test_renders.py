from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
import roma
import torch
from PIL import Image

from pose_rft.body import load_body
from pose_rft.body.skeleton import JOINT_INDEX
from pose_rft.data.rendering.camera import axes_of, draw_axes, person_pinhole, pinhole_of, project
from pose_rft.data.rendering.renders import RenderSpec, render_batches, render_pair, render_people
from pose_rft.data.rendering.shading import BOXES
from pose_rft.data.rendering.texture import noise_table
from pose_rft.data.rendering.truths import Renders, upright
from pose_rft.errors import UserError

SIZE = 96
TRUNK = [JOINT_INDEX[name] for name in ("pelvis", "spine1", "spine2", "spine3", "neck")]


def some_poses(count: int) -> np.ndarray:
    """Arms hanging, everything else bent at random."""
    rng = np.random.default_rng(0)
    poses = rng.normal(0, 0.2, (count, 22, 3))
    poses[:, JOINT_INDEX["left_shoulder"], 2] -= 1
    poses[:, JOINT_INDEX["right_shoulder"], 2] += 1
    return poses.astype(np.float32)


@pytest.fixture(scope="module")
def renders() -> Renders:
    return render_people(some_poses(150), seed=0, size=SIZE)


@pytest.fixture(scope="module")
def clear() -> Renders:
    return render_people(some_poses(60), seed=1, size=SIZE, clear=True)


def same(one: Renders, other: Renders) -> bool:
    return all(np.array_equal(getattr(one, f.name), getattr(other, f.name)) for f in fields(Renders))


def rows(renders: Renders, part: slice) -> Renders:
    return Renders(*(getattr(renders, f.name)[part] for f in fields(Renders)))


def test_shapes_and_kinds_are_those_promised(renders: Renders) -> None:
    shapes = {f.name: getattr(renders, f.name).shape[1:] for f in fields(Renders)}
    assert shapes == {
        **{"pixels": (SIZE, SIZE, 3), "mask": (SIZE, SIZE), "pose": (22, 3), "joints": (22, 3), "joints_2d": (22, 2)},
        **{"translation": (3,), "box": (4,), "focal": (), "principal": (2,), "betas": (10,), "up": (3,)},
        **{"in_picture": (22,), "covered": (22,), "visible": (22,)},
    }
    kinds = {getattr(renders, f.name).dtype.name for f in fields(Renders)}
    assert kinds == {"uint8", "bool", "float32"}
    assert len(renders) == 150


def test_the_camera_frame_pose_gives_the_joints_by_forward_kinematics(renders: Renders) -> None:
    joints = load_body().joints(torch.from_numpy(renders.pose), torch.from_numpy(renders.betas))
    np.testing.assert_allclose(joints.numpy(), renders.joints, atol=1e-5)


def test_joints_are_seen_where_the_pinhole_formula_puts_them(renders: Renders) -> None:
    x, y, z = np.moveaxis(renders.joints + renders.translation[:, None], -1, 0)
    expected_x = renders.principal[:, :1] + renders.focal[:, None] * x / -z
    expected_y = renders.principal[:, 1:] - renders.focal[:, None] * y / -z
    np.testing.assert_allclose(renders.joints_2d[..., 0], expected_x, atol=0.02)
    np.testing.assert_allclose(renders.joints_2d[..., 1], expected_y, atol=0.02)


def test_only_the_first_row_of_a_pose_is_told_anew_and_up_goes_with_it(renders: Renders) -> None:
    poses = some_poses(150)
    np.testing.assert_array_equal(renders.pose[:, 1:], poses[:, 1:])
    before = roma.rotvec_to_rotmat(torch.from_numpy(poses[:, 0]))
    after = roma.rotvec_to_rotmat(torch.from_numpy(renders.pose[:, 0]))
    turn = after @ before.transpose(1, 2)  # the camera's axes
    np.testing.assert_allclose(turn[:, :, 1].numpy(), renders.up, atol=1e-5)  # what y became


def test_upright_joints_have_the_heights_of_the_pose_given(renders: Renders) -> None:
    expected = load_body().joints(torch.from_numpy(some_poses(150)), torch.from_numpy(renders.betas)).numpy()
    np.testing.assert_allclose(renders.upright_joints()[..., 1], expected[..., 1], atol=1e-4)


def test_visible_trunk_joints_lie_on_the_person_s_pixels(renders: Renders) -> None:
    # The trunk's joints lie deep in the flesh: whatever the view, the pixel over a visible one is the person's.
    for row in range(len(renders)):
        for joint in TRUNK:
            if renders.visible[row, joint]:
                column, line = np.floor(renders.joints_2d[row, joint]).astype(int)
                assert renders.mask[row, line, column]


def test_visible_joints_lie_within_a_pixel_or_two_of_the_person(renders: Renders) -> None:
    for row in range(len(renders)):
        near = np.argwhere(renders.mask[row])
        for joint in np.flatnonzero(renders.visible[row]):
            away = np.abs(near[:, ::-1] + 0.5 - renders.joints_2d[row, joint]).max(1).min()
            assert away < 3


def test_joints_in_the_picture_are_those_whose_pixel_is_there(renders: Renders) -> None:
    inside = ((renders.joints_2d >= 0) & (renders.joints_2d < SIZE)).all(-1)
    assert not (renders.in_picture & ~inside).any()
    assert (inside & ~renders.in_picture).mean() < 0.03  # beyond the frame of the photograph
    assert 0.1 < (~renders.in_picture.all(1)).mean() < 0.5


def test_the_box_holds_mask_and_joints(renders: Renders) -> None:
    for row in range(len(renders)):
        left, top, right, bottom = renders.box[row]
        lines, columns = np.nonzero(renders.mask[row])
        assert left <= columns.min() + 1
        assert columns.max() <= right
        assert top <= lines.min() + 1
        assert lines.max() <= bottom
        low, high = renders.joints_2d[row].min(0), renders.joints_2d[row].max(0)
        assert (low >= [left - 1, top - 1]).all()
        assert (high <= [right + 1, bottom + 1]).all()


def test_covered_joints_are_in_the_picture_not_visible_and_not_on_the_person(renders: Renders) -> None:
    assert 0 < renders.covered.mean() < 0.3
    assert not (renders.covered & renders.visible).any()
    assert not (renders.covered & ~renders.in_picture).any()
    for row, joint in np.argwhere(renders.covered):
        column, line = np.floor(renders.joints_2d[row, joint]).astype(int)
        assert not renders.mask[row, line, column]


def test_a_clear_picture_shows_the_whole_person_uncovered(clear: Renders) -> None:
    assert clear.in_picture.all()
    assert not clear.covered.any()
    assert (clear.box[:, :2] >= -0.5).all()
    assert (clear.box[:, 2:] <= SIZE + 0.5).all()
    assert clear.mask.mean(axis=(1, 2)).min() > 0.01


def test_distance_view_and_shape_vary_as_documented(renders: Renders) -> None:
    distance = -renders.translation[:, 2]
    assert 1.99 < distance.min() < 2.5
    assert 6.5 < distance.max() < 8.01
    down = np.degrees(np.arcsin(renders.up[:, 2]))
    assert down.min() < -4
    assert down.max() > 25
    assert np.abs(renders.betas).max() <= 2.5
    front = np.sign(renders.joints[:, JOINT_INDEX["left_hip"], 0] - renders.joints[:, JOINT_INDEX["right_hip"], 0])
    assert 0.3 < (front > 0).mean() < 0.7  # seen from the front as often as from behind


def test_the_same_pose_is_seen_from_different_sides() -> None:
    twice = render_people(np.repeat(some_poses(1), 2, axis=0), seed=0, size=SIZE)
    assert np.abs(twice.pose[0, 0] - twice.pose[1, 0]).max() > 0.05
    np.testing.assert_array_equal(twice.pose[0, 1:], twice.pose[1, 1:])


def test_a_picture_hangs_on_its_seed_number_and_pose_alone(renders: Renders) -> None:
    poses = some_poses(150)
    assert same(render_people(poses[7:9], seed=0, size=SIZE, start=7), rows(renders, slice(7, 9)))
    assert (render_people(poses[:1], seed=1, size=SIZE).pixels != renders.pixels[:1]).any()
    assert (render_people(poses[:1], seed=0, size=SIZE, start=1).pixels != renders.pixels[:1]).any()


def test_batches_come_in_order_and_join_to_the_whole(renders: Renders) -> None:
    batches = list(render_batches(some_poses(50), 0, SIZE, batch=20))
    assert [len(batch) for batch in batches] == [20, 20, 10]
    np.testing.assert_array_equal(np.concatenate([batch.pixels for batch in batches]), renders.pixels[:50])


def test_several_processes_draw_the_same_pictures(renders: Renders) -> None:
    batches = list(render_batches(some_poses(12), 0, SIZE, batch=4, processes=2))
    np.testing.assert_array_equal(np.concatenate([batch.pixels for batch in batches]), renders.pixels[:12])


def test_size_changes_the_pixels_and_not_the_scene(renders: Renders) -> None:
    large = render_people(some_poses(3), seed=0, size=2 * SIZE)
    np.testing.assert_array_equal(large.pose, renders.pose[:3])
    np.testing.assert_allclose(large.joints_2d, 2 * renders.joints_2d[:3], atol=0.01)


def test_no_poses_give_no_pictures() -> None:
    none = render_people(np.zeros((0, 22, 3)), seed=0, size=SIZE)
    assert none.pixels.shape == (0, SIZE, SIZE, 3)
    assert none.upright_joints().shape == (0, 22, 3)


def test_of_a_pair_the_first_stands_on_the_left_and_neither_hides_the_other() -> None:
    poses = some_poses(20)
    for index in range(0, 20, 2):
        pair = render_pair(poses[index : index + 2], seed=0, index=index, size=SIZE)
        np.testing.assert_array_equal(pair.pixels[0], pair.pixels[1])
        assert pair.joints_2d[0, 0, 0] < pair.joints_2d[1, 0, 0]
        assert not (pair.mask[0] & pair.mask[1]).any()
        assert pair.covered.mean() < 0.1
        assert pair.in_picture.all()
        np.testing.assert_array_equal(pair.pose[:, 1:], poses[index : index + 2, 1:])


def test_a_spec_draws_the_picture_of_its_number_when_asked(renders: Renders) -> None:
    pose = some_poses(8)[5]
    spec = RenderSpec(pose, seed=0, index=5, size=SIZE)
    assert same(spec.renders(), rows(renders, slice(5, 6)))
    np.testing.assert_array_equal(spec.camera_pose(), renders.pose[5:6])
    image = spec.image()
    assert (image.size, image.mode) == ((SIZE, SIZE), "RGB")
    np.testing.assert_array_equal(np.asarray(image), renders.pixels[5])
    pair = RenderSpec(some_poses(2), seed=0, index=3, size=SIZE)
    np.testing.assert_array_equal(pair.camera_pose(), pair.renders().pose)


def test_photographs_of_a_folder_are_used_as_backgrounds(tmp_path: Path) -> None:
    Image.new("RGB", (300, 200), (255, 0, 255)).save(tmp_path / "magenta.png")
    pictures = render_people(some_poses(20), seed=0, size=SIZE, photos=tmp_path).pixels.astype(int)
    magenta = (pictures[..., 0] - pictures[..., 1] > 100) & (pictures[..., 2] - pictures[..., 1] > 100)
    assert 0.3 < (magenta.mean(axis=(1, 2)) > 0.2).mean() < 0.9  # about 60 % of the pictures


def test_mistakes_are_told_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"\(N, 22, 3\), not \(22, 3\)"):
        render_people(np.zeros((22, 3)), 0)
    with pytest.raises(UserError, match="finite"):
        render_people(np.full((1, 22, 3), np.nan), 0)
    with pytest.raises(UserError, match="32 to 2048"):
        render_people(some_poses(1), 0, size=5)
    with pytest.raises(UserError, match="no photographs"):
        render_people(some_poses(1), 0, photos=tmp_path)
    with pytest.raises(UserError, match="two poses"):
        render_pair(some_poses(3), 0, 0)
    with pytest.raises(UserError, match="batch >= 1"):
        render_batches(some_poses(1), 0, batch=0)
    (tmp_path / "broken.jpg").write_bytes(b"not a photograph")
    with pytest.raises(UserError, match=r"broken\.jpg: cannot be read"):
        render_people(some_poses(30), 0, photos=tmp_path)


def test_project_is_worked_by_hand() -> None:
    # 2 m ahead, 0.5 right and 0.25 up: 100 * 0.25 = 25 px right of the principal point and 12.5 px above it.
    seen = project(np.array([[0.5, 0.25, -2.0]]), 100.0, np.array([50.0, 60.0]))
    np.testing.assert_allclose(seen, [[75.0, 47.5]])


def test_a_crop_shows_its_square() -> None:
    # Corners of the square of side 0.4 around (0.1, 0.2) in the plane Z = -1 are the picture's corners.
    crop = pinhole_of(np.array([0.1, 0.2]), 0.4, 80)
    corners = np.array([[-0.1, 0.4, -1.0], [0.3, 0.0, -1.0]])
    np.testing.assert_allclose(project(corners, crop.focal, crop.principal), [[0, 0], [80, 80]], atol=1e-9)


def test_camera_axes_are_a_rotation_that_looks_where_asked() -> None:
    rng = np.random.default_rng(3)
    for _ in range(20):
        axes = draw_axes(rng)
        np.testing.assert_allclose(axes @ axes.T, np.eye(3), atol=1e-12)
        assert np.linalg.det(axes) == pytest.approx(1)
    np.testing.assert_allclose(axes_of(0, 0, 0), np.eye(3), atol=1e-12)  # in front of the person: its own axes
    from_left = axes_of(np.pi / 2, 0, 0)
    np.testing.assert_allclose(from_left @ [1, 0, 0], [0, 0, 1], atol=1e-12)  # the body's left points to the viewer
    from_above = axes_of(0, np.pi / 6, 0)
    np.testing.assert_allclose(from_above @ [0, 1, 0], [0, np.cos(np.pi / 6), 0.5], atol=1e-12)


def test_a_whole_crop_holds_everything() -> None:
    rng = np.random.default_rng(0)
    for _ in range(50):
        skin = rng.normal([0.3, 0.1, -4], 0.4, (50, 3))
        crop = person_pinhole(skin, 100, rng, whole=True)
        seen = project(skin, crop.focal, crop.principal)
        assert seen.min() >= -1e-6
        assert seen.max() <= 100 + 1e-6


def test_upright_takes_up_to_y_by_the_shortest_way() -> None:
    up = np.array([[0.0, np.cos(0.3), np.sin(0.3)]])
    np.testing.assert_allclose(upright(up[:, None], up), [[[0, 1, 0]]], atol=1e-6)
    np.testing.assert_allclose(upright(np.array([[[1.0, 0, 0]]]), up), [[[1, 0, 0]]], atol=1e-6)


def test_the_noise_repeats_without_a_seam() -> None:
    table = noise_table()
    inner = np.abs(np.diff(table, axis=1)).mean()
    seam = np.abs(table[:, 0] - table[:, -1]).mean()
    assert seam < 1.5 * inner
    assert table.min() == 0
    assert table.max() < 1
    assert BOXES > 2  # people's numbers stay below those of boxes
