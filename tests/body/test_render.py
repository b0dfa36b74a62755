import numpy as np
import pytest

from pose_rft.body.raster import FAR, rasterise
from pose_rft.body.render import contact_sheet, portrait, render, render_answers
from pose_rft.body.skeleton import JOINT_INDEX
from pose_rft.errors import UserError


def pose(**degrees: tuple[float, float, float]) -> np.ndarray:
    result = np.zeros((22, 3), np.float32)
    for name, angles in degrees.items():
        result[JOINT_INDEX[name]] = np.radians(angles)
    return result


def warm(picture: np.ndarray) -> np.ndarray:
    """Pixels of left limbs: clearly more red than blue."""
    return picture[..., 0].astype(int) - picture[..., 2] > 40


def cool(picture: np.ndarray) -> np.ndarray:
    """Pixels of right limbs: clearly more blue than red."""
    return picture[..., 2].astype(int) - picture[..., 0] > 40


POSES = np.stack(
    [
        pose(),
        pose(left_shoulder=(0, 0, 80), right_shoulder=(0, 0, -80)),
        pose(pelvis=(-90, 0, 0)),
        pose(left_hip=(-120, 0, 0), right_hip=(-120, 0, 0), left_knee=(130, 0, 0), right_knee=(130, 0, 0)),
    ]
)


def test_one_triangle_covers_the_pixels_whose_centres_it_holds() -> None:
    # Corners (0, 0), (0, 4), (4, 0) in pixels, y down: centres with x + y < 4, counted 4 + 3 + 2 + 1 = 10
    # with the diagonal x + y = 4 (on the edge) included.
    points = np.float32([[0, 0, 1], [0, 4, 1], [4, 0, 1]])
    depth, face, _ = rasterise(points, np.array([[0, 1, 2]]), 4, 4)
    expected = np.add.outer(np.arange(4), np.arange(4)) <= 3
    np.testing.assert_array_equal(face >= 0, expected)
    np.testing.assert_array_equal(depth < FAR, expected)


def test_the_nearer_triangle_wins_and_backs_are_skipped() -> None:
    points = np.float32([[0, 0, 2], [0, 9, 2], [9, 0, 2], [0, 0, 1], [0, 9, 1], [9, 0, 1]])
    _, face, _ = rasterise(points, np.array([[3, 4, 5], [0, 1, 2], [3, 5, 4]]), 3, 3)
    assert (face == 0).all()


def test_pictures_have_the_size_asked_for_and_repeat_exactly() -> None:
    pictures = render(POSES[:2], size=(96, 64))
    assert pictures.shape == (2, 96, 64, 3)
    assert pictures.dtype == np.uint8
    np.testing.assert_array_equal(pictures, render(POSES[:2], size=(96, 64)))


@pytest.mark.parametrize("view", ["front", "three_quarter", "side"])
def test_the_whole_body_is_in_the_picture(view: str) -> None:
    for picture in render(POSES, size=96, view=view):
        body = warm(picture) | cool(picture)
        assert body.sum() > 100
        edges = (body[0], body[-1], body[:, 0], body[:, -1])
        assert not any(edge.any() for edge in edges)


def test_from_the_front_the_left_limbs_are_on_the_picture_s_right() -> None:
    picture = render(POSES[:1], size=128, view="front")[0]
    assert np.argwhere(warm(picture))[:, 1].mean() > 64 + 8
    assert np.argwhere(cool(picture))[:, 1].mean() < 64 - 8


def test_from_the_side_the_left_limbs_are_in_front_and_the_body_faces_the_picture_s_left() -> None:
    # A leg stretched forward (hip turned by -90 degrees about x: down becomes forward) points to the picture's left.
    kick = render(pose(left_hip=(-90, 0, 0))[None], size=128, view="side")[0]
    assert np.argwhere(warm(kick))[:, 1].min() < np.argwhere(cool(kick))[:, 1].min() - 10


def test_a_raised_arm_is_higher_in_the_picture_than_a_hanging_one() -> None:
    picture = render(pose(left_shoulder=(0, 0, 80), right_shoulder=(0, 0, 80))[None], size=128, view="front")[0]
    assert np.argwhere(warm(picture))[:, 0].min() < np.argwhere(cool(picture))[:, 0].min() - 20


def test_shape_changes_the_picture() -> None:
    heavier = np.zeros(10, np.float32)
    heavier[1] = 3
    assert (render(POSES[:1], size=64) != render(POSES[:1], size=64, betas=heavier)).any()


def test_no_poses_give_no_pictures() -> None:
    assert render(np.zeros((0, 22, 3)), size=64).shape == (0, 64, 64, 3)


def test_an_unknown_view_names_the_known_ones() -> None:
    with pytest.raises(UserError, match="front, three_quarter, side"):
        render(POSES[:1], view="top")


def test_a_portrait_shows_two_views_side_by_side() -> None:
    assert portrait(POSES[0], size=64).size == (128, 64)


def test_a_sheet_holds_every_picture_in_rows_with_room_for_captions() -> None:
    pictures = [np.full((20, 30, 3), shade, np.uint8) for shade in (10, 20, 30)]
    plain = contact_sheet(pictures, columns=2)
    assert plain.size == (64, 44)  # two columns of 30 and two rows of 20 pixels with gaps of 4
    assert [plain.getpixel(place) for place in ((5, 5), (40, 5), (5, 30))] == [(10,) * 3, (20,) * 3, (30,) * 3]
    assert plain.getpixel((40, 30)) == (255, 255, 255)
    captioned = contact_sheet(pictures, ["one", "two", "three words that wrap"], columns=2)
    assert captioned.width == plain.width
    assert captioned.height > plain.height


def test_answers_are_drawn_as_a_sheet_of_portraits() -> None:
    assert render_answers(list(POSES[:2]), size=48, columns=2).size == (2 * 96 + 4, 48)
