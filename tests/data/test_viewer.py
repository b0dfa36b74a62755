"""Left and right as a viewer says them."""

import numpy as np
import pytest

from pose_rft.data.concepts.pose_language import swap_sides
from pose_rft.data.mixtures.sources import _seen
from pose_rft.data.mixtures.wordings.viewer import TABLE, from_the_viewer
from pose_rft.posescript.parsing import parse

TEXTS = ["The left arm is raised above the head. The right knee is bent.", "a boxer throwing a left jab"]


@pytest.mark.parametrize("text", TEXTS)
def test_sides_are_exchanged_and_the_text_says_whose_they_are(text: str) -> None:
    rng = np.random.default_rng(0)
    told = {from_the_viewer(text, rng) for _ in range(200)}
    assert len(told) > 15
    for each in told:
        words = each.lower()
        assert any(word in words for word in ("viewer", "picture", "image", "photo", "front", "my ", "see"))
        assert not set("(){}|") & set(each)
    assert any(swap_sides(text).rstrip(".").lower() in each.lower() for each in told)


def test_a_limb_is_told_by_where_it_is_in_the_picture() -> None:
    rng = np.random.default_rng(1)
    told = [from_the_viewer("Their left arm is up.", rng).lower() for _ in range(200)]
    assert any("their arm on the right" in each for each in told)
    assert not any("left arm" in each for each in told)


def test_rules_state_nothing_of_a_viewers_sides() -> None:
    for frame in TABLE["framed"]:
        assert not parse(
            frame.replace("{p}", "the right arm is raised").replace("{P}", "The right arm is raised.")
        ).checks


def test_texts_without_a_side_stay_as_they_are_and_others_change_rarely() -> None:
    rng = np.random.default_rng(2)
    assert all(_seen("sitting cross-legged", rng) == "sitting cross-legged" for _ in range(200))
    changed = np.mean([_seen(TEXTS[0], rng) != TEXTS[0] for _ in range(1000)])
    assert 0.04 < changed < 0.13
