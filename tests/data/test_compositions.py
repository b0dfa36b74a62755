from pathlib import Path

import numpy as np
import torch

from pose_rft.body import load_body
from pose_rft.data.concepts import pools as pools_module
from pose_rft.data.concepts.compositions import Composer, addition_phrases, core_phrases, listed, merged, worded
from pose_rft.data.concepts.concept import CONCEPT_DIR, load_concepts
from pose_rft.data.concepts.pools import ConceptPools
from pose_rft.posescript.checks import satisfied

EXAMPLES = CONCEPT_DIR / "examples.yaml"
CHAIR = """
- id: chair
  part: legs
  doing: ["sitting on a chair", "sitting with the hands in the lap"]
  pose: {base: sit_chair}
  checks: ["angle(left_knee) < 120", "angle(left_hip) < 120"]
"""


def composer(monkeypatch, tmp_path: Path) -> Composer:
    """Over the worked examples and one chair."""
    chair = tmp_path / "chair.yaml"
    chair.write_text(CHAIR, encoding="utf-8")
    monkeypatch.setattr(pools_module, "load_concepts", lambda: load_concepts([EXAMPLES, chair]))
    return Composer(ConceptPools(8, 0))


def test_the_poses_of_a_composition_do_everything_that_it_says(monkeypatch, tmp_path: Path) -> None:
    composing, rng = composer(monkeypatch, tmp_path), np.random.default_rng(0)
    for _ in range(12):
        composition = composing.draw(6, rng)
        assert composition is not None
        _, checks = composing.say(composition, rng)
        points = load_body().points(torch.from_numpy(composition.poses))
        assert satisfied(checks, points).all()


def test_a_chair_and_crossed_arms_are_sat_on_and_crossed(monkeypatch, tmp_path: Path) -> None:
    composing, rng = composer(monkeypatch, tmp_path), np.random.default_rng(1)
    drawn = [composing.draw(4, rng) for _ in range(40)]
    said = {
        composing.say(c, rng)[0].lower()
        for c in drawn
        if c and c.name.startswith("chair+arms_crossed")
        for _ in range(20)
    }
    assert said
    assert all("chair" in text and ("arms" in text or "crossed" in text) for text in said)


def test_a_concept_that_needs_its_arms_gets_no_others(monkeypatch, tmp_path: Path) -> None:
    composing, rng = composer(monkeypatch, tmp_path), np.random.default_rng(2)
    for _ in range(25):
        composition = composing.draw(1, rng)
        if composition and composition.core and any(a.part == "arms" for a in composition.additions):
            assert not composition.core.spec.fixed & {"left_arm", "right_arm"}


def test_phrases_that_speak_of_what_is_added_are_not_used(tmp_path: Path) -> None:
    path = tmp_path / "chair.yaml"
    path.write_text(CHAIR, encoding="utf-8")
    (chair,) = load_concepts([path])
    assert core_phrases(chair, {"arms"}) == [("doing", "sitting on a chair")]
    assert len(core_phrases(chair, {"head"})) == 2
    hips = next(c for c in load_concepts([EXAMPLES]) if c.id == "hands_on_hips")
    assert ("doing", "standing with hands on hips") not in addition_phrases(hips, False)


def test_a_target_for_the_hand_replaces_the_arm() -> None:
    core = {"base": "squat", "arms": {"upper": "forward"}, "head": {"nod": 20}}
    assert merged(core, {"base": "stand", "left_hand": "at left_hip"}) == {
        "base": "squat",
        "right_arm": {"upper": "forward"},
        "head": {"nod": 20},
        "left_hand": "at left_hip",
    }


def test_phrases_are_joined_as_people_join_them() -> None:
    rng = np.random.default_rng(0)
    rest = [("with", "arms crossed"), ("doing", "looking left")]
    said = {worded("doing", "sitting on a chair", rest, False, rng) for _ in range(600)}
    assert "sitting on a chair with arms crossed, looking left" in said
    assert "sitting on a chair, arms crossed, looking left" in said
    assert "sit on a chair with arms crossed, looking left" in said
    assert {listed(["a", "b", "c"], rng) for _ in range(40)} == {"a, b and c", "a, b, c"}
