import re

import numpy as np
import pytest

from pose_rft.data.phrases import owned, say_doing, say_name, say_who, say_with, slipped, typed


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def many(say, *arguments, n: int = 600) -> set[str]:
    generator = rng()
    return {say(*arguments, generator) for _ in range(n)}


def test_a_gerund_phrase_is_said_bare_of_someone_as_an_order_and_as_a_request() -> None:
    said = many(say_doing, "standing in tree pose")
    assert {
        "standing in tree pose",
        "stand in tree pose",
        "a person standing in tree pose",
        "someone stands in tree pose",
    } <= said
    assert any(text.startswith("show me a ") for text in said)
    assert any(text.endswith("?") for text in said)
    assert len(said) > 200


def test_every_wording_keeps_the_words_that_matter() -> None:
    assert all("tree pose" in text for text in many(say_doing, "standing in tree pose"))
    assert all("a handstand" in text for text in many(say_name, "a handstand"))
    assert all("a boxer jabbing" in text for text in many(say_who, "a boxer jabbing"))
    assert all("arms crossed" in text for text in many(say_with, "arms crossed", True))


def test_no_wording_leaves_a_place_unfilled() -> None:
    said = (
        many(say_doing, "waving", n=2000) | many(say_name, "a plank", n=1000) | many(say_with, "arms up", False, n=1000)
    )
    assert not [text for text in said if re.search(r"[{}]|  ", text)]


def test_only_poses_are_something_to_be_in() -> None:
    assert any(" in tree pose" in text for text in many(say_name, "tree pose"))
    assert not any(" in a left jab" in text for text in many(say_name, "a left jab"))


def test_no_question_is_wrapped_around_a_phrase_with_commas() -> None:
    said = many(say_doing, "sitting, arms crossed", n=1500)
    assert not [text for text in said if text.endswith(("looks like", "look like?", "look?"))]


def test_standing_is_said_only_where_it_is_true() -> None:
    assert any("standing with arms up" in text for text in many(say_with, "arms up", True))
    assert not any("stand" in text for text in many(say_with, "arms up", False))


def test_body_parts_go_to_their_owner_and_other_things_do_not() -> None:
    said = {owned("resting the left hand on the back of the head on the floor", "her", rng(i)) for i in range(20)}
    assert said == {
        "resting the left hand on the back of the head on the floor",
        "resting her left hand on the back of her head on the floor",
    }
    assert owned("hugging yourself", "his", rng()) == "hugging himself"


def test_a_slip_changes_one_word_and_spares_the_sides() -> None:
    text = "the left hand on the right shoulder"
    for seed in range(50):
        words = slipped(text, rng(seed)).split()
        changed = [(a, b) for a, b in zip(text.split(), words, strict=True) if a != b]
        assert len(changed) <= 1
        assert not changed or changed[0][0] == "shoulder"


def test_typed_text_varies_in_capitals_and_stops_only() -> None:
    said = {typed("raise both arms", rng(seed)) for seed in range(300)}
    assert {"raise both arms", "Raise both arms", "Raise both arms."} <= said
    plain = [text for text in said if re.sub(r"[.!]", "", text).lower() == "raise both arms"]
    assert len(plain) >= 5


@pytest.mark.parametrize("say", [say_doing, say_name])
def test_the_same_seed_says_the_same(say) -> None:
    assert [say("waving", rng(3)) for _ in range(5)] == [say("waving", rng(3)) for _ in range(5)]
