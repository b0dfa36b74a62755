"""The table of edits: it names what exists, both sides are mirrors, verbs claim what they mean."""

from importlib.resources import files

import pytest
import torch
import yaml

from pose_rft.posescript.checks import satisfied
from pose_rft.posescript.edits.changes import LARGEST, load_edits, possible_edits, verb_needs
from pose_rft.posescript.edits.comparisons import PosePair, compare
from pose_rft.posescript.posecodes import exchange_sides
from tests.posescript.stick_figure import mirror, random_joints, t_pose

DOCUMENT = yaml.safe_load(files("pose_rft.posescript.edits").joinpath("edits.yaml").read_text(encoding="utf-8"))
EDITS = load_edits().edits
BEFORE, AFTER = random_joints(300, seed=11), random_joints(300, seed=12)


@pytest.fixture(scope="module")
def possible():
    return possible_edits(PosePair(BEFORE, AFTER))


def test_the_table_names_what_exists():
    from fnmatch import filter as matching

    names = [edit.id for edit in EDITS]
    assert set(DOCUMENT["posecodes"]) <= set(names)
    for entry in DOCUMENT["changes"].values():
        for pattern in entry["rivals"]:
            assert matching(names, pattern if "." in pattern else f"{pattern}.*"), pattern
    for pair in DOCUMENT["apart"]:
        assert all(matching(names, pattern) for pattern in pair), pair


def test_rivals_are_mutual():
    rivals = load_edits().choice.rivals
    for column, others in enumerate(rivals):
        assert column not in others
        assert all(column in rivals[other] for other in others)


def test_every_slot_has_words():
    for edit in EDITS:
        for wording in edit.wordings:
            for phrase in (*wording.phrases[0], *wording.phrases[1]):
                filled = phrase
                for slot in (*DOCUMENT["amounts"], "np", "the", "self"):
                    filled = filled.replace(f"{{{slot}}}", "x")
                assert "{" not in filled, phrase


def test_both_sides_are_mirrors(possible):
    seen = possible_edits(PosePair(mirror(BEFORE), mirror(AFTER)))
    index = {edit.id: column for column, edit in enumerate(EDITS)}
    central = {name for name in index if name.startswith(("body.", "torso."))}
    for name, column in index.items():
        if name in central:  # some of their twins are posecodes of their own
            continue
        twin = index.get(exchange_sides(name), column)
        differ = possible.wordings[column] != seen.wordings[twin]
        assert differ.mean() < 1e-3, name  # rounding may decide a tie


def test_what_may_be_said_holds_afterwards_and_not_before(possible):
    tried = 0
    for edit, usable in zip(EDITS, possible.wordings, strict=True):
        for wording, rows in zip(edit.wordings, usable.T, strict=True):
            text, mine = str(wording.statement), torch.from_numpy(rows)
            if edit.code is None:
                assert compare([text], BEFORE[mine], AFTER[mine]).all(), edit.id
                assert not compare([text], BEFORE[mine], BEFORE[mine]).any(), edit.id
            else:
                assert satisfied([text], AFTER[mine]).all(), edit.id
                assert not satisfied([text], BEFORE[mine]).any(), edit.id
            tried += int(rows.sum())
    assert tried > 10_000


def test_a_pose_that_stays_leaves_nothing_to_say():
    still = possible_edits(PosePair(BEFORE, BEFORE))
    assert not any(usable.any() for usable in still.wordings)
    assert still.size.max() < LARGEST


@pytest.mark.parametrize(
    ("phrase", "subject", "needed"),
    [
        ("raise {np} to shoulder height", "left_arm", "change(y(left_wrist) - y(pelvis)) > 0.03"),
        ("raise {np} to shoulder height", "left_arm", "change(height(left_wrist)) > 0.03"),
        ("lower {np}", "right_hand", "change(y(right_wrist) - y(pelvis)) < -0.03"),
        ("bend {np} slightly", "left_knee", "change(angle(left_knee)) < -5"),
        ("straighten {np} out", "left_elbow", "change(angle(left_elbow)) > 5"),
        ("step back with {np}", "left_foot", "change(ahead(left_ankle)) < -0.03"),
        ("lean slightly forward", "torso", "change(pitch()) > 5"),
        ("crouch down on both feet", "body", "change(height(pelvis)) < -0.03"),
    ],
)
def test_verbs_claim_what_they_mean(phrase, subject, needed):
    assert needed in [str(need.condition) for need in verb_needs(phrase, subject)]


@pytest.mark.parametrize(
    ("phrase", "subject"), [("bring {np} together", "hands"), ("sit", "body"), ("put {np} on the ground", "left_hand")]
)
def test_other_verbs_claim_nothing(phrase, subject):
    assert verb_needs(phrase, subject) == ()


def test_no_pairs_have_no_edits():
    empty = possible_edits(PosePair(t_pose()[:0], t_pose()[:0]))
    assert empty.size.shape == (0, len(EDITS))
