"""What ablations are made of, against numbers worked by hand."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pose_rft.ablation.matched_temperature import matched_temperature
from pose_rft.ablation.results import (
    COLUMNS,
    TEST,
    WAYS,
    Measure,
    difference,
    difference_table,
    read_runs,
    table,
    values,
    write_run,
)
from pose_rft.ablation.shared_samples import Shared, SharedSamples
from pose_rft.ablation.study import Study, bundled_studies, merged, read_study, stage_config, updates_per_step
from pose_rft.ablation.training_time import Duration, computed_per_step, read_times, steps_within, total
from pose_rft.config import from_mapping, read_config
from pose_rft.errors import UserError
from pose_rft.rewards import reward_specs
from pose_rft.runs.rft import RftConfig
from pose_rft.runs.sft import SftConfig

CONTROLS = read_study("controls")
SMALL_DATA = {  # phrases only: their poses are solved in a second
    **dict.fromkeys(["captions_procedural", "captions_mocap", "compositions", "wordings", "requests", "clips"], 0),
    "mocap": None, "concept_poses": 2,
}  # fmt: skip
TRAINED = [name for name, variant in CONTROLS.variants.items() if variant.trained]


def config(variant: str, study: Study = CONTROLS) -> RftConfig | SftConfig:
    return stage_config(study, variant, seed=7, steps=30, start="somewhere", output_dir="there")


@pytest.mark.parametrize(("study", "variant"), [
    (study, name)
    for study in map(read_study, bundled_studies())
    for name, variant in study.variants.items()
    if variant.trained
])  # fmt: skip
def test_every_run_has_the_start_the_data_the_seed_and_the_steps_of_the_study(study, variant):
    made = config(variant, study)
    assert made.data == config("sft").data
    assert made.output_dir == "there"
    if isinstance(made, SftConfig):
        start, seeds, steps = made.start, {made.data_seed, made.loop.seed}, made.head.steps + made.joint.steps
    else:
        start, seeds, steps = made.policy, {made.hygrpo.seed}, made.hygrpo.steps + made.pose_phase.steps
    assert (start, seeds, steps) == ("somewhere", {7}, 30)


def test_variants_differ_from_the_study_in_what_they_say_alone():
    ours, tokens = config("ours"), config("tokens")
    assert tokens == replace(ours, hygrpo=replace(ours.hygrpo, pose_coefficient=0.0))
    paper = {
        "poses_per_answer": 1, "pose_group": "prompt", "text_ratio": "answer", "std_floor": 0.0,
        "text_sees_pose_rewards": False,
    }  # fmt: skip
    assert config("paper") == replace(ours, hygrpo=replace(ours.hygrpo, **paper))
    plain, checked = config("sft"), config("sft-checks")
    assert checked == replace(plain, loss=replace(plain.loss, checks=0.5, sampled_checks=0.5))


def test_the_pose_phase_is_that_of_the_default_policy():
    made = config("pose-phase")
    default = read_config(RftConfig, Path(__file__).parents[2] / "configs" / "default_text_rft.yaml")
    assert made.pose_phase == replace(default.pose_phase, steps=30)
    assert (made.rewards, made.adapters_from) == (default.rewards, default.adapters_from)
    assert (made.hygrpo.poses_per_answer, made.hygrpo.beta_pose) == (
        default.hygrpo.poses_per_answer, default.hygrpo.beta_pose,
    )  # fmt: skip


def test_a_reward_that_a_variant_leaves_out_is_logged_and_does_not_count():
    study = read_study("rewards")
    every, without = (
        {spec.name: spec.weight for spec in reward_specs(config(name, study).rewards)}
        for name in ("all", "without-kept")
    )
    assert without == every | {"kept": 0}
    assert every["kept"] == 0.5


def test_a_study_takes_the_settings_of_its_base_and_overrides_of_the_command_line(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text(
        "{about: a, base: controls, compared: [one], variants: {one: {about: o, sft: {}}}, sft: {head: {samples: 7}}}"
    )
    study = read_study(str(path), ["--minutes", "3", "--data.chat", "0.5"])
    assert (study.minutes, study.start, list(study.variants)) == (3, CONTROLS.start, ["one"])
    made = config("one", study)
    assert isinstance(made, SftConfig)
    assert (made.head.samples, made.head.batch_size, made.data.chat) == (7, 96, 0.5)


@pytest.mark.parametrize(("variants", "said"), [
    ("{one: {about: a, sft: {}, rft: {}}}", "variants.one.sft and rft are both given"),
    ("{one: {about: a, sft: {hed: {}}}}", "variants.one.sft: unknown field hed"),
    ("{one: {about: a, like: two}, two: {about: b}}", "variants.one: two is no variant above it"),
    ("{two: {about: b}, one: {about: a, sft: {}, after: two}}", "variants.one.after: two is not trained"),
    ("{one: {about: a, rft: {}, without: luck}}", "variants.one.without: luck is none of its rewards"),
    ("{two: {about: b}}", "compared: one is no variant; there are two"),
])  # fmt: skip
def test_a_study_that_cannot_be_run_is_refused_as_it_is_read(variants, said, tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text(f"{{about: a, base: controls, compared: [one], variants: {variants}}}")
    with pytest.raises(UserError, match=said):
        read_study(str(path))


def test_a_study_that_is_not_there_is_told_with_those_that_are():
    with pytest.raises(UserError, match=r"contrls: is neither a YAML file nor one of the studies controls, "):
        read_study("contrls")


def test_nested_settings_are_merged_and_lists_replaced():
    assert merged({"a": {"b": 1, "c": [1, 2]}, "d": 1}, {"a": {"c": [3]}, "e": None}) == {
        "a": {"b": 1, "c": [3]}, "d": 1, "e": None,
    }  # fmt: skip


def test_a_step_of_words_and_poses_has_two_updates_and_one_of_the_head_alone_has_one():
    assert {name: updates_per_step(config(name)) for name in TRAINED} == {
        "sft": 1, "sft-checks": 1, "tokens": 2, "paper": 2, "ours": 2, "pose-phase": 1,
    }  # fmt: skip


def test_steps_fill_the_time_by_the_median_of_whole_steps_after_the_first():
    updates = [9.0, 1.0, 4.0, 2.0, 5.0, 3.0, 30.0, 10.0, 9.0]  # steps of 10, 6, 8 and 40 s, and half of one
    times = {update: Duration(2 * seconds, seconds) for update, seconds in enumerate(updates, start=1)}
    assert computed_per_step(times, updates=2) == 8
    assert steps_within(20, 8) == 150
    assert steps_within(0.01, 8) == 1


def test_an_update_that_was_made_again_counts_once(tmp_path):
    noted = [(1, 2.0), (2, 3.0), (3, 4.0), (2, 3.5), (3, 4.5)]  # killed after the third, resumed after the first
    lines = [json.dumps({"update": update, "wall": seconds, "computed": seconds - 1}) for update, seconds in noted]
    path = tmp_path / "times.jsonl"
    path.write_text("\n".join(lines))
    assert read_times(path) == {1: Duration(2.0, 1.0), 2: Duration(3.5, 2.5), 3: Duration(4.5, 3.5)}
    assert total(read_times(path)) == (10, 7)


@pytest.mark.parametrize("target", [12.0, 84.0, 120.0, 200.0])
def test_the_temperature_of_a_spread_is_found_on_either_side_of_1(target):
    """Of a toy whose samples spread by 120 mm at temperature 1, and in proportion to it."""
    asked: list[float] = []

    def spread(temperature: float) -> float:
        asked.append(temperature)
        return 120 * temperature

    assert matched_temperature(spread, target) == pytest.approx(target / 120, abs=1 / 120)
    assert len(asked) <= 9


def test_a_spread_that_no_temperature_has_is_refused():
    with pytest.raises(UserError, match=r"spread by 500.0 mm; at 1.99.* they miss it by 26"):
        matched_temperature(lambda temperature: 120 * temperature, 500)


def finished(variant: str, seed: int, kept: list[float], **others: Any) -> dict[str, Any]:
    """A run of which every measure of a prompt is that of ``kept``; in mm a hundred times as much."""
    measured: dict[str, dict[str, list[float | None]]] = {}
    for measures in COLUMNS.values():
        for each in measures:
            scale = 100 if each.measure.endswith("_mm") else 1
            measured.setdefault(each.part, {})[f"{each.way}/{each.measure}"] = [scale * value for value in kept]
    return {
        "variant": variant, "seed": seed, "temperature": 1.0, "seconds": 1200.0, "wall_seconds": 1300.0, "clip": {},
        "start": "s", "prompts": "p", "minutes": 20, "per_prompt": measured,
        "figures": {TEST: {way: {"satisfaction": sum(kept) / len(kept)} for way in WAYS}},
    } | others  # fmt: skip


RUNS = [
    finished("start", 0, [0.0, 0.5], seconds=0.0, wall_seconds=0.0),
    finished("start-like-ours", 0, [0.25, 0.5], seconds=0.0, temperature=0.7),
    finished("ours", 0, [0.5, 1.0], clip={"text": 0.012, "pose": 0.2}),
    finished("ours", 1, [0.5, 0.5], clip={"text": 0.028, "pose": 0.1}),
]


def test_the_table_is_made_of_what_runs_left(tmp_path):
    for run in RUNS:
        write_run(run, tmp_path)
    lines = table(CONTROLS, read_runs(tmp_path, CONTROLS.variants)).splitlines()
    assert [line.split(" | ")[0] for line in lines[2:5]] == [
        "| start",
        "| ours",
        "| start-like-ours (temperature 0.70)",
    ]
    # Means of 0.5, 1, 0.5 and 0.5; of 0 and 0.5.
    assert lines[3] == (
        "| ours | 2 | 62.5 / 62.5 / 62.5 | 62.5 / 62.5 | 0.625 / 0.625 | 62.5 / 62.5 | 62.5 / 62.5 | 62.5 | "
        "62.5 / 62.5 / 62.5 | 2.0 / 15.0 | 1200 / 1300 |"
    )
    assert "| 25.0 / 25.0 / 25.0 |" in lines[2]
    assert lines[2].endswith("| - / - | 0 / 0 |")


def test_differences_are_paired_by_prompt_over_the_seeds_that_both_have():
    kept = Measure("kept", "canonical test", "mean_pose", "kept", 100)
    found = difference(RUNS, "ours", "start", kept)
    assert found is not None
    assert (found.mean, found.low, found.high, found.n) == (50, 50, 50, 2)  # of both prompts, of seed 0
    assert difference(RUNS, "ours", "sft", kept) is None
    lines = difference_table(CONTROLS, RUNS, "ours").splitlines()
    assert lines[0] == "| ours less | start | start-like-ours |"
    # Over the start at 0.7 it gains 25 and 50 points: two prompts are drawn, 25 to 50 is what they can give.
    assert lines[2] == "| kept, mean pose, points | **+50.0 (+50.0 to +50.0)** | **+37.5 (+25.0 to +50.0)** |"
    assert lines[-3] == "| seeds | 1 | 1 |"


def test_runs_of_another_start_are_not_mixed_in(tmp_path):
    for run in (*RUNS, finished("sft", 0, [0.0, 1.0], start="another")):
        write_run(run, tmp_path)
    with pytest.raises(UserError, match=r"sft-0.json: has other start than .*start-0.json; move one of them"):
        read_runs(tmp_path, CONTROLS.variants)
    with pytest.raises(UserError, match="holds no finished run"):
        read_runs(tmp_path / "none", CONTROLS.variants)


def test_a_prompt_without_a_value_is_no_number_of_the_run():
    run = finished("ours", 0, [1.0, 0.0])
    run["per_prompt"]["captions"]["sampled/mpjpe_mm"][1] = None
    found = values(run, Measure("", "captions", "sampled", "mpjpe_mm"))
    assert found[0] == 100
    assert found[1] != found[1]


def test_every_variant_is_described_where_results_are_read():
    page = (Path(__file__).parents[2] / "docs" / "results" / "hygrpo.md").read_text()
    assert [name for name in CONTROLS.variants if f"`{name}`" not in page] == []


def test_runs_of_a_seed_share_their_samples_and_the_states_of_the_start(tmp_path):
    shared, data = SharedSamples(tmp_path), {"data": SMALL_DATA, "prompts": 6}

    def of(seed: int, from_start: bool = True, **others: Any) -> Shared:
        config = from_mapping(RftConfig, data | {"hygrpo": {"steps": 1, "seed": seed}} | others, source="test")
        return shared.of(config, from_start)

    first, again, trained, other_seed = of(0), of(0, rewards=["format"]), of(0, from_start=False), of(1)
    assert first.samples is again.samples is trained.samples
    assert first.states == again.states
    assert trained.states is None
    assert first.states != other_seed.states
    assert first.samples is not other_seed.samples
    assert of(0, pictures={"samples": 2}) == Shared()
    first.states.touch()
    shared.clear()
    assert not list(tmp_path.iterdir())
