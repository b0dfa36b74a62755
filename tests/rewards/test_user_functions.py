"""Rewards as people write them, or bring from TRL; mistakes in them are found before the first step."""

import importlib

import numpy as np
import pytest
import torch

from pose_rft.data.sample import Sample
from pose_rft.errors import UserError
from pose_rft.rewards import RolloutRewarder, grade, resolve, reward_specs

PROMPTS, COMPLETIONS = ["sit", "stand"], [["a", "bb"], ["ccc", "dddd"]]
LENGTHS = [[1.0, 2.0], [3.0, 4.0]]
SAMPLES = [
    Sample("sit", "Here: <POSE>.", np.zeros((22, 3)), checks=("y(head) > 0",)),
    Sample("hi", "Hello.", task="chat"),
]


@pytest.fixture
def functions(tmp_path, monkeypatch):
    """Write a module of rewards; gives its name for ``rewards:``."""

    def write(source: str, name: str = "function") -> str:
        module = f"mine_{len(list(tmp_path.iterdir()))}_{tmp_path.name}".replace("-", "_")
        (tmp_path / f"{module}.py").write_text(source)
        importlib.invalidate_caches()
        return f"{module}.{name}"

    monkeypatch.syspath_prepend(str(tmp_path))
    return write


def graded(*entries, on_error="raise", **columns):
    points, poses = torch.zeros(2, 2, 1, 32, 3), torch.zeros(2, 2, 1, 22, 3)
    valid = torch.ones(2, 2, dtype=torch.bool)
    rewards = [resolve(spec) for spec in reward_specs(list(entries))]
    return grade(rewards, 0, PROMPTS, COMPLETIONS, points, poses, valid, columns, on_error)


def rewarder(tiny_policy, *entries):
    return RolloutRewarder(tiny_policy, [resolve(spec) for spec in reward_specs(list(entries))], "skip")


@pytest.mark.parametrize(
    "source",
    [
        "def function(prompts, completions, poses, **columns):\n    for text in completions:\n        yield len(text)",
        "def function(prompts, completions, poses, **columns):\n    return (len(text) for text in completions)",
        "def function(prompts, completions, poses, **columns):\n    return tuple(map(len, completions))",
        "import torch\ndef function(prompts, completions, poses, **columns):\n"
        "    return torch.tensor([len(text) for text in completions])",
        "import numpy as np\ndef function(prompts, completions, poses, **columns):\n"
        "    return np.array([len(text) for text in completions], np.float32)",
        "def function(prompts, completions, **kwargs):\n    return [len(text) for text in completions]",
        "def function(completions, **kwargs):\n    return [len(text) for text in completions]",
        "def function(completions, answer, **kwargs):\n    return [len(text) for text in completions]",
        "def function(*, completions, **kwargs):\n    return [len(text) for text in completions]",
        "def function(prompts, completions, poses):\n    return [len(text) for text in completions]",
        "def function(asked, said, shown):\n    return [len(text) for text in said]",
        "class Length:\n    def __call__(self, completions, **kwargs):\n        return map(len, completions)\n"
        "function = Length()",
    ],
    ids=["generator", "expression", "tuple", "tensor", "array", "TRL", "TRL without prompts", "TRL with a column",
         "by name alone", "without columns", "other names", "object"],
)  # fmt: skip
def test_a_reward_may_return_any_iterable_and_take_what_it_needs(functions, source):
    reward = {"name": functions(source), "credits": "text"}
    assert graded(reward, answer=["x", "y"]).text.total.tolist() == LENGTHS


def test_none_among_the_grades_of_a_generator_leaves_items_ungraded(functions):
    source = "def function(prompts, completions, poses, **columns):\n    yield from (None, 1, None, 2)"
    result = graded({"name": functions(source), "credits": "text"})
    assert result.text.graded.tolist() == [[False, True], [False, True]]
    assert result.text.total.tolist() == [[0.0, 1.0], [0.0, 2.0]]


def test_what_a_reward_does_to_its_arguments_changes_neither_the_next_grades_nor_the_samples(functions):
    vandal = """
def function(prompts, completions, poses, **columns):
    grades = [1.0] * len(prompts)
    poses.joints.fill_(9)
    poses.valid.fill_(False)
    for pose in columns["pose"]:
        pose[:] = 9
    for checks in columns["checks"]:
        checks.clear()
    for values in (prompts, completions, *columns.values()):
        values.clear()
    return grades
"""
    pose, checks = [np.zeros((22, 3)), np.zeros((22, 3))], [["y(head) > -1"], ["y(head) > -1"]]
    others = [{"name": functions("def function(completions, **kwargs):\n    return map(len, completions)"),
               "credits": "text"}, "posecodes", "spatial_bounded"]  # fmt: skip
    alone = graded(*others, pose=pose, checks=checks)
    for part in ("text", "pose"):
        name = functions(vandal)
        after = graded({"name": name, "credits": part, "weight": 0}, *others, pose=pose, checks=checks)
        assert torch.equal(alone.text.total, after.text.total)
        assert torch.equal(alone.pose.total, after.pose.total)
    assert [each.max() for each in pose] == [0, 0]
    assert checks == [["y(head) > -1"], ["y(head) > -1"]]


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("return [1.0]", "returned 1 grades for 2 items"),
        ("return None", "it returned NoneType, not a list of grades"),
        ("return 'good'", "it returned str, not a list of grades"),
        ("return {0: 1.0, 1: 2.0}", "it returned dict, not a list of grades"),
        ("return ['good', 'bad']", "'good' is no grade"),
        ("return [[1, 2], [3, 4]]", "raised TypeError"),
        ("return [completions[0]['content']] * 2", "raised TypeError"),
        ("raise RuntimeError('no model')", "raised RuntimeError: no model"),
        ("return [float('nan')] * 2", "returned nan"),
        ("yield 1.0", "returned 1 grades for 2 items"),
    ],
)
def test_a_mistake_in_a_reward_is_found_before_the_first_step(tiny_policy, functions, body, message):
    name = functions(f"def function(prompts, completions, poses, **columns):\n    {body}")
    with pytest.raises(UserError, match="tried on samples before the first step") as caught:
        rewarder(tiny_policy, {"name": name, "credits": "text"}).try_out(SAMPLES)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("signature", "message"),
    [
        ("prompts, completions, poses, score, **columns", "needs the column 'score'"),
        ("completions, completion_ids, **kwargs", "needs the column 'completion_ids'"),
        ("texts, answers, poses, more, **columns", "needs the column 'more'"),
    ],
)
def test_a_column_that_is_not_there_is_found_before_the_first_step(tiny_policy, functions, signature, message):
    name = functions(f"def function({signature}):\n    return [1.0, 1.0]")
    with pytest.raises(UserError, match=message):
        rewarder(tiny_policy, {"name": name, "credits": "text"}).try_out(SAMPLES)


def test_a_function_of_too_few_parameters_is_found_before_the_first_step(tiny_policy, functions):
    name = functions("def function(texts):\n    return [1.0, 1.0]")
    with pytest.raises(UserError, match="raised TypeError"):
        rewarder(tiny_policy, {"name": name, "credits": "text"}).try_out(SAMPLES)


def test_good_rewards_pass_and_one_that_fails_on_a_single_sample_is_left_to_the_run(tiny_policy, functions):
    name = functions(
        "def function(prompts, completions, poses, **columns):\n"
        "    return [1 / (text != 'Hello.') for text in completions]"
    )
    rewarder(tiny_policy, "format", "posecodes", "spatial", {"name": name, "credits": "text"}).try_out(SAMPLES)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("def function(:", "cannot be imported (SyntaxError"),
        ("1 / 0", "cannot be imported (ZeroDivisionError: division by zero)"),
        ("from math import no_such_thing", "cannot be imported (ImportError"),
        ("function = 3", "has no function 'function'"),
    ],
)
def test_a_module_that_cannot_be_imported_is_one_line(functions, source, message):
    with pytest.raises(UserError) as caught:
        graded({"name": functions(source), "credits": "text"})
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("scale", [0, -1.0, float("nan"), float("inf"), "wide", None, True])
def test_a_scale_that_is_no_length_is_refused(scale):
    with pytest.raises(UserError, match="scale must be a positive number of metres"):
        graded({"name": "spatial_bounded", "options": {"scale": scale}})
