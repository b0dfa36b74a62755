from pathlib import Path

import pytest
import torch

from pose_rft.body.skeleton import mean_pose
from pose_rft.data.concepts.__main__ import main
from pose_rft.data.concepts.concept import load_concepts
from pose_rft.data.concepts.validation import problems
from pose_rft.errors import UserError
from pose_rft.posescript.checks import compile_check

GOOD = """
- id: wave
  part: arms
  doing: ["waving", "waving with the right hand"]
  pose: {right_arm: {upper: out, fore: up}}
  checks: ["y(right_wrist) > y(right_shoulder)"]
"""


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "topic.yaml"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize("concept", load_concepts(twins=False), ids=lambda c: c.id)
def test_nearly_all_samples_of_a_concept_and_their_mean_meet_its_checks(concept) -> None:
    # The samples of `python -m pose_rft.data.concepts`, so that what its author saw pass passes here.
    assert problems(concept)[0] == []


def test_a_one_sided_concept_has_a_mirrored_twin_with_the_sided_phrases_only(tmp_path: Path) -> None:
    concept, twin = load_concepts([written(tmp_path, GOOD)])
    assert concept.one_sided
    assert twin.doing == ("waving with the left hand",)
    assert twin.checks == ("y(left_wrist) > y(left_shoulder)",)
    assert twin.pose == {"left_arm": {"upper": "out", "fore": "up"}}


def test_a_phrase_without_a_side_accepts_either_side(tmp_path: Path) -> None:
    concept = load_concepts([written(tmp_path, GOOD)])[0]
    assert concept.checks_for("waving with the right hand") == concept.checks
    (either,) = concept.checks_for("waving")
    assert either == "either_side(y(right_wrist) > y(right_shoulder))"
    compile_check(either)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("part: arms", "part: arm", "wave: part is one of"),
        ("  part: arms\n", "", "wave: part is missing"),
        ('"waving",', '"hello",', "does not begin with a verb in -ing"),
        ("right_arm: {upper: out, fore: up}", "left_leg: down", "part arms cannot set 'left_leg'"),
        ("right_arm", "arms", "'waving with the right hand' says a side"),
        ("y(right_wrist) >", "y(right_wrst) >", "wave: check"),
        ("doing:", "says:", "wave: unknown key 'says'"),
        ("fore: up", "fore: upp", "wave: right_arm: cannot read 'upp'"),
        ('["waving",', '["waving", "Waving",', "the same text stands twice"),
    ],
)
def test_a_mistake_names_file_and_concept(tmp_path: Path, old: str, new: str, message: str) -> None:
    with pytest.raises(UserError) as caught:
        load_concepts([written(tmp_path, GOOD.replace(old, new))])
    assert str(caught.value).startswith("topic.yaml: ")
    assert message in str(caught.value)


def test_one_phrase_cannot_belong_to_two_concepts(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="'waving' is already said by wave"):
        load_concepts([written(tmp_path, GOOD + GOOD.replace("id: wave", "id: other"))])


def test_the_validator_reports_checks_that_the_poses_do_not_meet(tmp_path: Path, capsys) -> None:
    path = written(tmp_path, GOOD.replace("y(right_wrist) >", "y(right_wrist) <"))
    sheet = tmp_path / "sheet.png"
    assert main([str(path), "--sheet", str(sheet)]) == 1
    assert "topic.yaml: wave: only 0% of samples meet" in capsys.readouterr().out
    assert sheet.exists()
    assert main([str(tmp_path / "absent.yaml")]) == 2


def test_the_mean_of_two_opposite_turns_is_no_turn() -> None:
    pose = torch.zeros(2, 22, 3)
    pose[0, 0, 1], pose[1, 0, 1] = 0.5, -0.5
    assert torch.allclose(mean_pose(pose), torch.zeros(22, 3), atol=1e-6)


def described(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "descriptions.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_description_is_a_phrase_of_its_concept_and_of_its_twin_if_it_says_a_side(tmp_path: Path) -> None:
    texts = 'wave: ["the right arm is out, its forearm up", "a forearm up beside the body"]'
    concept, twin = load_concepts([written(tmp_path, GOOD)], descriptions=[described(tmp_path, texts)])
    assert concept.told == ("the right arm is out, its forearm up", "a forearm up beside the body")
    assert concept.phrases[-2:] == concept.told
    assert twin.told == ("the left arm is out, its forearm up",)


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        ('nod: ["the chin goes down"]', "no concept is called 'nod'"),
        ('wave: ["waving"]\nwave_: ["waving"]', "no concept is called 'wave_'"),
        ("wave: hello", "wave is a list of texts"),
        ("[wave]", "maps concept ids to lists of texts"),
    ],
)
def test_a_mistake_in_descriptions_is_told(tmp_path: Path, texts: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        load_concepts([written(tmp_path, GOOD)], descriptions=[described(tmp_path, texts)])


def test_a_description_of_a_symmetric_pose_names_no_side(tmp_path: Path) -> None:
    both = written(tmp_path, GOOD.replace("right_arm", "arms").replace(', "waving with the right hand"', ""))
    with pytest.raises(UserError, match="says a side"):
        load_concepts([both], descriptions=[described(tmp_path, 'wave: ["the right forearm is up"]')])
