"""Words that decide: poses do what is said, what is excluded is false in them, and numbers hold."""

import re
from collections import Counter
from functools import cache
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from pose_rft.body import load_body
from pose_rft.data.mixtures.sources import SOURCES, Drawing
from pose_rft.data.mixtures.wordings import amounts, negation
from pose_rft.data.mixtures.wordings.contrast import FORMS, say
from pose_rft.data.mixtures.wordings.drawing import KINDS, draw_wording, poses_of
from pose_rft.data.mixtures.wordings.long import told_at_length
from pose_rft.data.mixtures.wordings.numerals import angle_words, degree_words, metre_words, number_words
from pose_rft.data.mixtures.wordings.quantities import POSES, between
from pose_rft.data.mixtures.wordings.scenes import Scene, Wording, draw_scene
from pose_rft.data.mixtures.wordings.statements import Statement, stances, states
from pose_rft.data.mixtures.wordings.templates import noun_phrase, other_phrase, spun
from pose_rft.posescript.checks import compile_check, satisfied


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


@cache
def drawn(kind: str, count: int = 60) -> tuple[tuple[Wording, np.ndarray], ...]:
    """Wordings of a kind with their poses."""
    generator = rng(7)
    wordings = [draw_wording(generator, kind) for _ in range(count)]
    return tuple((wording, poses_of(wording, 8, generator)) for wording in wordings)


def points(poses: np.ndarray) -> torch.Tensor:
    return load_body().points(torch.from_numpy(poses))


@pytest.mark.parametrize("kind", KINDS)
def test_every_pose_meets_all_that_its_prompts_state(kind: str) -> None:
    generator = rng(3)
    for wording, poses in drawn(kind):
        if len(poses):
            assert satisfied(wording.checks, points(poses)).all()
            for _ in range(6):
                prompt, checks = wording.say(generator)
                assert satisfied(checks, points(poses)).all() if checks else prompt


@pytest.mark.parametrize("kind", KINDS)
def test_nearly_all_wordings_can_be_shown(kind: str) -> None:
    assert np.mean([len(poses) > 0 for _, poses in drawn(kind)]) > 0.9


@pytest.mark.parametrize("kind", KINDS)
def test_no_prompt_has_an_unfilled_place_or_is_said_twice_often(kind: str) -> None:
    generator = rng(5)
    said = [wording.say(generator)[0] for wording, _ in drawn(kind) for _ in range(10)]
    assert not [text for text in said if re.search(r"[{}()|\[\]]|  | [,.]|\bthe the\b|\bnot not\b", text)]
    assert len(set(said)) > 0.97 * len(said)


def test_of_two_sides_each_does_its_own() -> None:
    """Contrast by the states themselves: in no pose does the second limb do what only the first is said to do."""
    told = 0
    for seed in range(60):
        scene = draw_scene(rng(seed))
        first, second = scene.statements[:2]
        if second.state.name != "hang" or first.state.limb != "arm" or first.state.name in ("right_angle",):
            continue
        poses = poses_of(Wording("contrast", scene.pose(rng(seed)), scene.checks, lambda r: ("", ())), 8, rng(seed))
        wrong_side = Statement(first.state, second.side).checks
        assert len(poses)
        assert not satisfied(wrong_side, points(poses)).all(dim=1).any()
        told += 1
    assert told > 8


def test_what_is_excluded_is_false_and_what_is_done_is_true() -> None:
    poses = {}
    for wording, found in drawn("negation", 200):
        for check in wording.checks:
            poses.setdefault(check, []).extend(found)
    arms_down = "up(left_wrist, left_shoulder) < -0.1"  # of "raising the arms overhead", what fails
    joints = points(np.stack(poses[arms_down]))
    assert (joints[:, 20, 1] < joints[:, 16, 1]).float().mean() > 0.99  # left wrist below left shoulder
    knees = "min(angle(left_knee), angle(right_knee)) > 150"
    assert satisfied([knees], points(np.stack(poses[knees]))).all()


def test_every_excluded_thing_can_be_shown_not_to_be_done() -> None:
    used = {name for activity in negation.activities() for name in activity.excluded}
    assert used <= states("arm").keys() | negation.excluded().keys()
    assert negation.excluded().keys() <= used
    for state in (*negation.excluded().values(), *states("arm").values()):
        for check in state.fails:
            compile_check(check)


def test_negations_say_no() -> None:
    generator = rng(1)
    no = re.compile(r"\b(not|n't|without|no|never|neither|nobody|instead|rather|only|keep\w*|leav\w*|dont)\b|n't", re.I)
    said = [wording.say(generator)[0] for wording, _ in drawn("negation") for _ in range(5)]
    assert not [text for text in said if not no.search(text)]


@pytest.mark.parametrize("quantity", [q for q in amounts.quantities() if q.numbers], ids=lambda q: q.name)
def test_a_number_is_kept_by_the_pose(quantity: amounts.Quantity) -> None:
    """Of poses for a number drawn at random most are within 8 degrees or 6 cm of it, by the check itself."""
    kept = 0
    for seed in range(4):
        state = quantity.at_number(rng(seed))
        scene = Scene(stances()[quantity.stances[0]], (Statement(state, quantity.sides[0]),))
        wording = Wording(
            "number", scene.pose(rng(seed)) | {"vary": 0.5}, scene.statements[0].checks, lambda r: ("", ())
        )
        kept += len(poses_of(wording, 8, rng(seed))) > 0
    assert kept >= 3


def test_an_elbow_at_a_number_is_bent_to_it() -> None:
    """The interior angle, by the joints' positions."""
    elbow = next(q for q in amounts.quantities() if q.name == "elbow")
    for seed in range(8):
        state = elbow.at_number(rng(seed))
        low, high = map(float, re.findall(r"[\d.]+(?= <)|(?<=< )[\d.]+", state.checks[0]))
        scene = Scene(stances()["stand"], (Statement(state, "left"),))
        poses = poses_of(Wording("number", scene.pose(rng(seed)), state.checks, lambda r: ("", ())), 4, rng(seed))
        shoulder, bend, wrist = (points(poses)[:, index] for index in (16, 18, 20))
        upper, lower = shoulder - bend, wrist - bend
        angle = torch.rad2deg(torch.arccos((upper * lower).sum(-1) / upper.norm(dim=-1) / lower.norm(dim=-1)))
        assert ((angle - (low + high) / 2).abs() <= 8).all()


def test_every_quantity_has_a_pose() -> None:
    assert {quantity.name for quantity in amounts.quantities()} == POSES.keys()


def test_numbers_are_written_in_figures_and_words() -> None:
    assert [number_words(n) for n in (5, 15, 45, 90, 100, 120)] == [
        "five", "fifteen", "forty-five", "ninety", "a hundred", "a hundred and twenty",
    ]  # fmt: skip
    degrees = {spun(degree_words(45), rng(seed)) for seed in range(300)}
    assert {"45 degrees", "45°", "45 deg", "forty-five degrees", "about 45 degrees"} <= degrees
    angles = {spun(angle_words(80), rng(seed)) for seed in range(200)}
    assert {"an 80 degree angle", "an angle of 80 degrees", "an eighty degree angle"} <= angles
    assert "a right angle" in {spun(angle_words(90), rng(seed)) for seed in range(50)}
    lengths = {spun(metre_words(50), rng(seed)) for seed in range(300)}
    assert {"50 cm", "50cm", "half a metre", "0.5 m", "fifty centimetres", "50 centimeters"} <= lengths


def test_directions_between_two_words() -> None:
    assert between("down", "out", 0) == "1.000 down + 0.000 out"
    assert between("down", "out", 90) == "0.000 down + 1.000 out"
    assert between("down", "out", 120) == "0.500 up + 0.866 out"


def test_templates_choose_and_count() -> None:
    assert {spun("(a|b (c|d)) e", rng(seed)) for seed in range(50)} == {"a e", "b c e", "b d e"}
    assert spun("on the [hip|hips]", rng(), plural=True) == "on the hips"
    assert noun_phrase("foot", "both", rng(), article=False) in ("both feet", "feet")
    said = {other_phrase("arm", "left", True, rng(seed)) for seed in range(100)}
    assert said == {"the left arm", "the other arm", "the left one", "the left", "the other one", "the other"}


def test_every_form_of_contrast_is_used() -> None:
    used = Counter()
    for seed in range(300):
        scene = draw_scene(rng(seed))
        scene = Scene(scene.stance, scene.statements[: 1 if seed % 4 == 0 else None])
        for form, _ in FORMS:
            used[form.__name__] += form(scene, rng(seed)) is not None
    assert min(used[form.__name__] for form, _ in FORMS) > 20


def test_one_and_the_other_accepts_both_sides() -> None:
    generator = rng(2)
    said = [say(draw_scene(generator), generator) for _ in range(400)]
    one = [(text, checks) for text, checks in said if re.search(r"\bone (arm|hand)\b(?!, the)", text)]
    assert one
    assert all(any(check.startswith("either_side(") for check in checks) for _, checks in one)


def test_a_long_prompt_holds_its_sentence_among_others() -> None:
    said = [told_at_length("raise the left arm", rng(seed)) for seed in range(200)]
    assert np.mean(["aise the left arm" in text for text in said]) > 0.85  # some have a slip
    assert np.median([len(text.split()) for text in said]) > 25


class Nothing:
    """A drawing without concepts."""

    def __init__(self, seed: int) -> None:
        self.rng, self.pools, self.outlined = rng(seed), SimpleNamespace(settled=False), 0.0

    sample, answer, shared = Drawing.sample, Drawing.answer, Drawing.shared


def test_the_same_seed_gives_the_same_samples(monkeypatch) -> None:
    monkeypatch.setattr("pose_rft.data.mixtures.sources.LONG_PHRASE_RATE", 0.0)
    once, again, other = (SOURCES["wordings"](Nothing(seed), 40) for seed in (1, 1, 2))  # type: ignore[arg-type]
    assert [s.prompt for s in once] == [s.prompt for s in again] != [s.prompt for s in other]
    assert np.array_equal(np.stack([s.pose for s in once]), np.stack([s.pose for s in again]))
    assert {s.source.split(":")[0] for s in once} == {"wording"}
    for sample in once:
        assert satisfied(sample.checks, load_body().points(torch.from_numpy(sample.pose[None]))).all()
