"""Which recordings are kept out of training, and which of two models learns from the others."""

import pytest

from pose_rft.data.splits import HELD_OUT_SUBJECTS, PART_OF_SUBJECT, in_part, is_held_out, subject_of


@pytest.mark.parametrize(
    ("sequence", "subject"),
    [
        ("014_23", "cmu_014"),
        ("uiprmd_s04_m01_e03i", "uiprmd_s04"),
        ("cmu_jumping_jacks", None),
        ("exp_train_jumping_2", None),
        ("deepmimic_walk", None),
        ("2014_03", None),
        ("clip 5", None),
    ],
)
def test_a_name_tells_who_was_recorded_where_it_can(sequence: str, subject: str | None) -> None:
    assert subject_of(sequence) == subject


def test_a_subject_is_in_training_or_held_out_as_a_whole() -> None:
    takes = range(1, 40)
    assert all(is_held_out(f"002_{take:02d}") and is_held_out(f"uiprmd_s09_m01_e{take:02d}") for take in takes)
    assert not any(is_held_out(f"001_{take:02d}") or is_held_out(f"uiprmd_s01_m01_e{take:02d}") for take in takes)
    assert not any(is_held_out(f"{subject:03d}_01") for subject in range(100, 200))  # subjects that nobody chose


def test_recordings_of_nobody_known_are_held_out_by_a_hash_of_their_name() -> None:
    # The first eight bytes of sha256 of "deepmimic_run" divide by 4, those of "deepmimic_kick" do not.
    assert is_held_out("deepmimic_run")
    assert not is_held_out("deepmimic_kick")


def test_a_subject_is_in_one_part_whether_it_was_chosen_or_not() -> None:
    for subject in ("001", "005", "100", "uiprmd_s10"):
        parts = {(in_part(f"{subject}_{take}", "reward"), in_part(f"{subject}_{take}", "judge")) for take in range(40)}
        assert len(parts) == 1
        assert parts < {(True, False), (False, True)}
        assert in_part(f"{subject}_1", "all")


def test_the_parts_are_of_training_subjects_and_both_have_exercises() -> None:
    assert not HELD_OUT_SUBJECTS & set(PART_OF_SUBJECT)
    for part in ("reward", "judge"):
        mine = [subject for subject, chosen in PART_OF_SUBJECT.items() if chosen == part]
        assert sum(subject.startswith("uiprmd") for subject in mine) >= 3
        assert sum(subject.startswith("cmu") for subject in mine) >= 5
