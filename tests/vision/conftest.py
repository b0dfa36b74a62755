"""A made-up photograph: the bundled body, drawn."""

import numpy as np
import pytest
from PIL import Image

from pose_rft.body.render import render


def one_leg_up() -> np.ndarray:
    """Arms hanging, the left knee raised: (22, 3)."""
    pose = np.zeros((22, 3), np.float32)
    pose[16, 2], pose[17, 2] = -1.1, 1.1  # shoulders
    pose[1, 0], pose[4, 0] = -1.2, 1.5  # left hip, left knee
    return pose


@pytest.fixture(scope="session")
def people_picture() -> Image.Image:
    """720 x 480: on the left somebody in a T-pose, on the right somebody with a raised left knee, both facing us."""
    pictures = render(np.stack([np.zeros((22, 3), np.float32), one_leg_up()]), (480, 360), view="front")
    return Image.fromarray(np.concatenate(list(pictures), axis=1))


@pytest.fixture(scope="session")
def one_person(people_picture: Image.Image) -> Image.Image:
    """360 x 480: the right half of `people_picture`."""
    return people_picture.crop((360, 0, 720, 480))
