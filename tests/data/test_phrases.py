import re

import numpy as np
import pytest

from pose_rft.data.keyboard import mistyped, odd_capitals, respelt, slipped, with_slips
from pose_rft.data.phrases import owned, say_doing, say_name, say_told, say_who, say_with, typed


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
    assert all("one knee down" in text for text in many(say_told, "one knee down"))
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


def test_one_prompt_in_eight_has_a_slip() -> None:
    text = "someone standing with both hands behind the head"
    said = [with_slips(text, rng(seed)) for seed in range(2000)]
    # a binomial share of 0.12: five standard deviations at n = 2000 are 0.036; some slips change nothing
    assert np.mean([each != text for each in said]) == pytest.approx(0.12, abs=0.036)
    assert {len(each.split()) for each in said} >= {7, 8}  # words run together as well


def test_a_mistake_leaves_most_of_the_text_alone() -> None:
    text = "kneeling on the floor with the arms stretched forward"
    said = {mistyped(text, rng(seed)) for seed in range(300)}
    assert len(said) > 60
    assert all(abs(len(each) - len(text)) <= 2 for each in said)


def test_british_and_american_words_stand_for_one_another() -> None:
    said = {respelt("a push-up with the belly towards the floor", rng(seed)) for seed in range(300)}
    assert "a press-up with the tummy toward the floor" in said
    assert all(each.endswith("the floor") for each in said)


def test_odd_capitals_change_no_letter() -> None:
    text = "he's raising the left arm"
    said = {odd_capitals(text, rng(seed)) for seed in range(100)}
    assert {text.upper(), "He's Raising The Left Arm"} <= said
    assert {each.lower() for each in said} == {text}
