"""Rewards are named in a config, and mistakes in it are named too."""

import importlib

import pytest

from pose_rft.errors import UserError
from pose_rft.rewards import BUILT_IN, RewardSpec, resolve, reward_specs
from pose_rft.rewards.format import format_reward


def test_every_built_in_name_resolves_to_a_reward_with_the_part_that_it_credits(monkeypatch):
    monkeypatch.setattr("pose_rft.rewards.text_similarity.prepare", lambda: None)  # its embedder is optional
    parts = {name: resolve(RewardSpec(name)).credits for name in BUILT_IN}
    assert parts == {
        "format": "text",
        "posecodes": "pose",
        "words_agree": "pose",
        "edit": "pose",
        "kept": "pose",
        "plausible": "pose",
        "spatial": "pose",
        "spatial_bounded": "pose",
        "spatial_aligned": "pose",
        "semantic": "pose",
        "right_answer": "text",
        "text_similarity": "text",
    }


def test_a_name_and_a_dotted_path_find_the_function():
    assert resolve(RewardSpec("format")).function is format_reward
    assert (
        resolve(RewardSpec("user_rewards.length", credits="text")).function
        is importlib.import_module("user_rewards").length
    )


def test_a_module_in_the_working_directory_is_found(tmp_path, monkeypatch):
    (tmp_path / "rewards_of_mine.py").write_text(
        "def always(prompts, completions, poses, **columns):\n    return [1.0]\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.path", ["/nowhere"])
    assert resolve(RewardSpec("rewards_of_mine.always", credits="text")).function([], [], []) == [1.0]


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        (RewardSpec("formt"), "unknown reward 'formt': built in are format, posecodes"),
        (RewardSpec("no_such_module.reward"), "no module 'no_such_module'"),
        (RewardSpec("user_rewards.lenght"), "module 'user_rewards' has no function 'lenght'"),
        (RewardSpec("user_rewards.no_function"), "has no function 'no_function'"),
        (RewardSpec("user_rewards.length"), "say what it credits; set `credits: text`"),
        (RewardSpec("spatial_bounded", options={"scal": 1}), "'spatial_bounded' has no option 'scal'"),
    ],
)
def test_a_reward_that_cannot_be_used_is_named(spec, message):
    with pytest.raises(UserError, match=message):
        resolve(spec)


def test_the_config_says_what_a_function_of_one_s_own_credits():
    assert resolve(RewardSpec("user_rewards.length", credits="pose")).credits == "pose"


def test_a_module_that_lacks_a_dependency_is_not_taken_for_a_missing_module(tmp_path, monkeypatch):
    (tmp_path / "rewards_with_needs.py").write_text("import absent_library\n")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match="needs 'absent_library', which is not installed"):
        resolve(RewardSpec("rewards_with_needs.reward"))


def test_weights_are_constant_or_rise_linearly():
    assert [RewardSpec("format", 0.5).weight_at(step) for step in (0, 7, 1000)] == [0.5, 0.5, 0.5]
    rising = RewardSpec("format", 2.0, warm_up=(10, 20))
    assert [rising.weight_at(step) for step in (0, 10, 15, 20, 99)] == [0.0, 0.0, 1.0, 2.0, 2.0]


def test_a_config_lists_names_or_mappings():
    specs = reward_specs(
        ["format", {"name": "spatial_bounded", "weight": 2, "warm_up": [0, 50], "options": {"scale": 1}}]
    )
    assert specs[0] == RewardSpec("format")
    assert specs[1] == RewardSpec("spatial_bounded", 2.0, (0, 50), options={"scale": 1})


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ([{"name": "format", "wieght": 1}], "unknown field wieght; known here: name, weight"),
        ([{"weight": 1}], "field name is missing"),
        ([{"name": "format", "weight": "much"}], "weight must be a number"),
        ([{"name": "format", "weight": float("nan")}], "format: weight must be a finite number, not nan"),
        ([{"name": "format", "warm_up": [20, 10]}], "two rising steps"),
        ([{"name": "format", "warm_up": [0, 10, 20]}], "two rising steps"),
        ([{"name": "format", "warm_up": ["a", "b"]}], "two rising steps"),
        ([{"name": "format", "warm_up": 20}], "format: warm_up must be a list"),
        ([{"name": "format", "credits": "text"}], "format: credits is set, but a built-in reward has its own"),
        ([{"name": "format", "weight": 0, "warm_up": [0, 9]}], "format: warm_up is set, but weight is 0"),
        ([{"name": "mine.reward", "credits": "both"}], "mine.reward: credits is 'both'; choose one of text, pose"),
        ([{"name": "format", "options": 3}], "options must be Mapping"),
        (["format", "format"], "format is listed twice"),
        ([3], "3 is no reward"),
        ("format", "must be a list"),
    ],
)
def test_a_config_with_a_mistake_is_refused_in_one_line(config, message):
    with pytest.raises(UserError, match=message) as raised:
        reward_specs(config)
    assert "\n" not in str(raised.value)


def test_a_reward_of_one_task_leaves_the_others_ungraded():
    reward = resolve(RewardSpec("format", tasks=("image_to_pose",)))
    columns = {"task": ["text_to_pose", "image_to_pose"], "wants_pose": [True, True]}
    answers = ["The pose of this person is <POSE>."] * 2
    assert reward(["a", "b"], answers, None, columns) == [None, 1.0]
    assert resolve(RewardSpec("format"))(["a", "b"], answers, None, columns) == [1.0, 1.0]


def test_an_unknown_task_is_named():
    with pytest.raises(UserError, match="rewards: format: tasks: 'image' is no task; there are text_to_pose"):
        reward_specs([{"name": "format", "tasks": ["image"]}])
