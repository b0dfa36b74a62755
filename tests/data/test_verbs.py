import re

import pytest

from pose_rft.data.concepts.concept import load_concepts
from pose_rft.data.verbs import base_form, with_verb
from pose_rft.posescript.wording import third_person

# Spellings checked by hand: doubled letters, silent e, -ie, and verbs that look like either.
BASES = {
    "standing": "stand", "sitting": "sit", "putting": "put", "lying": "lie", "making": "make", "doing": "do",
    "bending": "bend", "raising": "raise", "kicking": "kick", "kneeling": "kneel", "squatting": "squat",
    "crossing": "cross", "balancing": "balance", "lunging": "lunge", "swinging": "swing", "hanging": "hang",
    "hinging": "hinge", "waving": "wave", "tying": "tie", "typing": "type", "dodging": "dodge", "charging": "charge",
    "juggling": "juggle", "bowling": "bowl", "crawling": "crawl", "curling": "curl", "falling": "fall",
    "pulling": "pull", "rolling": "roll", "stepping": "step", "opening": "open", "covering": "cover",
    "lowering": "lower", "meditating": "meditate", "exercising": "exercise", "reclining": "recline",
    "preparing": "prepare", "saluting": "salute", "leaning": "lean", "supporting": "support", "using": "use",
    "squaring": "square", "squeezing": "squeeze", "breathing": "breathe", "tiptoeing": "tiptoe", "skiing": "ski",
    "throwing": "throw", "boxing": "box", "playing": "play", "carrying": "carry", "resting": "rest",
    "changing": "change", "welcoming": "welcome", "side-stepping": "side-step", "high-fiving": "high-five",
}  # fmt: skip


@pytest.mark.parametrize(("gerund", "base"), BASES.items())
def test_the_base_of_a_verb_is_spelled_right(gerund: str, base: str) -> None:
    assert base_form(gerund) == base


def gerunds_of(base: str) -> set[str]:
    """The spellings in -ing that a base form can have."""
    stems = {base, base + base[-1], base + "k"} | ({base[:-1]} if base[-1] == "e" else set())
    return {f"{stem}ing" for stem in stems} | ({f"{base[:-2]}ying"} if base.endswith("ie") else set())


def test_every_verb_of_the_concept_bank_leads_back_to_itself() -> None:
    verbs = {match[0] for c in load_concepts(twins=False) for d in c.doing if (match := re.search(r"[A-Za-z-]+ing", d))}
    assert len(verbs) > 10
    wrong = {verb: base_form(verb) for verb in verbs if verb not in gerunds_of(base_form(verb))}
    assert wrong == {}


@pytest.mark.parametrize(
    ("base", "third"),
    [("sit", "sits"), ("stretch", "stretches"), ("carry", "carries"), ("play", "plays"), ("do", "does"),
     ("cross", "crosses"), ("tiptoe", "tiptoes")],
)  # fmt: skip
def test_the_third_person_is_spelled_right(base: str, third: str) -> None:
    assert third_person(base) == third


@pytest.mark.parametrize(
    ("doing", "imperative", "third"),
    [
        ("sitting down and crossing the legs", "sit down and cross the legs", "sits down and crosses the legs"),
        ("slowly walking ahead", "slowly walk ahead", "slowly walks ahead"),
        ("standing while holding a cup and drinking", "stand while holding a cup and drinking", None),
        ("standing with the arms hanging and swinging", "stand with the arms hanging and swinging", None),
        ("reaching up with one arm and bending the other", "reach up with one arm and bend the other", None),
        ("kneeling, leaning back and looking up", "kneel, leaning back and looking up", None),
        ("looking at the wall and ceiling", "look at the wall and ceiling", None),
    ],
)
def test_only_verbs_of_the_subject_change(doing: str, imperative: str, third: str | None) -> None:
    assert with_verb(doing) == imperative
    if third:
        assert with_verb(doing, third=True) == third
