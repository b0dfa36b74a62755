"""Which rewards there are, which of them a run uses, and how much each counts, as its config says."""

import copy
import importlib
import inspect
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pose_rft.config import from_mapping, refuse_unread, validate
from pose_rft.data.sample import TASKS
from pose_rft.errors import UserError
from pose_rft.rewards.batch import PoseBatch
from pose_rft.rewards.contract import Part, Reward


@dataclass(frozen=True, slots=True)
class BuiltIn:
    """A reward that comes with the package; dotted paths, so that it is imported where it is used.

    Attributes:
        function: the reward.
        credits: the part of an answer that it judges.
        prepare: called before a run with the reward's options; raises UserError for what the reward needs and lacks.
    """

    function: str
    credits: Part
    prepare: str | None = None


_HERE = "pose_rft.rewards"
BUILT_IN = {  # a new reward: one file, and one line here
    "format": BuiltIn(f"{_HERE}.format.format_reward", "text"),
    "posecodes": BuiltIn(f"{_HERE}.posecodes.posecode_satisfaction", "pose"),
    "words_agree": BuiltIn(f"{_HERE}.words_agree.words_agree", "pose"),
    "edit": BuiltIn(f"{_HERE}.edit.edit", "pose", f"{_HERE}.spatial.check_scale"),
    "kept": BuiltIn(f"{_HERE}.kept.kept", "pose"),
    "plausible": BuiltIn(f"{_HERE}.plausible.plausible", "pose"),
    "spatial": BuiltIn(f"{_HERE}.spatial.spatial", "pose"),
    "spatial_bounded": BuiltIn(f"{_HERE}.spatial.spatial_bounded", "pose", f"{_HERE}.spatial.check_scale"),
    "spatial_aligned": BuiltIn(f"{_HERE}.spatial.spatial_aligned", "pose", f"{_HERE}.spatial.check_scale"),
    "right_answer": BuiltIn(f"{_HERE}.right_answer.right_answer", "text"),
    "semantic": BuiltIn(f"{_HERE}.semantic.semantic_alignment", "pose", f"{_HERE}.semantic.prepare"),
    "text_similarity": BuiltIn(f"{_HERE}.text_similarity.text_similarity", "text", f"{_HERE}.text_similarity.prepare"),
}


@dataclass(frozen=True)
class RewardSpec:
    """One line of a run's `rewards`.

    Attributes:
        name: a built-in reward, or the dotted path of any function (`my_module.my_reward`). Also its name in the logs.
        weight: factor of its grades in the sum; 0 logs the reward without using it.
        warm_up: (first, last) step of a linear rise of the weight from 0 to `weight`; None keeps it constant.
        tasks: those whose prompts are graded, such as ``[image_to_pose]``; empty for all.
        credits: "text" or "pose": the part of an answer that a function of one's own judges.
        options: keyword arguments for the reward, such as `scale` of `spatial_bounded`.
    """

    name: str
    weight: float = 1.0
    warm_up: tuple[int, int] | None = None
    tasks: tuple[str, ...] = ()
    credits: Part | None = None
    options: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        validate(self)
        steps = self.warm_up
        if steps is not None and (len(steps) != 2 or any(type(s) is not int for s in steps) or steps[0] >= steps[1]):
            raise UserError(f"warm_up must be two rising steps such as [0, 100], not {steps}")
        if unknown := sorted(set(self.tasks) - set(TASKS)):
            raise UserError(f"tasks: {unknown[0]!r} is no task; there are {', '.join(TASKS)}")
        if not self.weight:
            refuse_unread(self, ["warm_up"], "weight is 0")
        if self.name in BUILT_IN:
            refuse_unread(self, ["credits"], "a built-in reward has its own")

    def weight_at(self, step: int) -> float:
        """The weight at an optimiser step."""
        if self.warm_up is None:
            return self.weight
        first, last = self.warm_up
        return self.weight * min(1.0, max(0.0, (step - first) / (last - first)))


def reward_specs(config: Sequence[str | Mapping[str, Any]]) -> list[RewardSpec]:
    """Read the `rewards` of a config: a list of names, or of mappings with RewardSpec's fields.

    Raises:
        UserError: an unknown field, a value of the wrong kind, the same reward twice.
    """
    if not isinstance(config, list | tuple):
        raise UserError(f"rewards must be a list of names or mappings, not {config!r}")
    specs = []
    for number, entry in enumerate(config, start=1):
        fields = {"name": entry} if isinstance(entry, str) else entry
        if not isinstance(fields, Mapping):
            raise UserError(f"rewards: {entry!r} is no reward; write a name, or a mapping with a name")
        where = f"rewards: {fields.get('name', f'entry {number}')}"
        specs.append(from_mapping(RewardSpec, fields, where))
    names = [spec.name for spec in specs]
    if repeated := [name for name in names if names.count(name) > 1]:
        raise UserError(f"rewards: {repeated[0]} is listed twice; give it one entry and one weight")
    return specs


@dataclass(frozen=True, slots=True)
class ResolvedReward:
    """A reward that can be called, with its options, and the part it credits."""

    spec: RewardSpec
    function: Reward
    credits: Part

    def __call__(
        self, prompts: list[str], completions: list[str], poses: PoseBatch, columns: Mapping[str, Any]
    ) -> list[float | None]:
        """Grades of M items, of which the reward gets what it asks for; an option replaces a column of its name.

        Items of other tasks than the spec's stay ungraded: their ``task`` is among the columns.

        A function with a parameter called `completions` gets all by name, as TRL's rewards do, any other the first
        three in their order. It may return any iterable, or be a generator.

        Raises:
            TypeError: it returns something else, or a grade is no number.
        """
        given = {**columns, **copy.deepcopy(dict(self.spec.options))}
        parameters = inspect.signature(self.function).parameters.values()
        if any(each.name == "completions" for each in parameters):
            first: tuple[Any, ...] = ()
            given |= {"prompts": prompts, "completions": completions, "poses": poses}
        else:
            first = (prompts, completions, poses)
        if not any(each.kind is each.VAR_KEYWORD for each in parameters):
            given = {each.name: given[each.name] for each in parameters if each.name in given}
        returned = self.function(*first, **given)
        if isinstance(returned, str | bytes | Mapping) or not isinstance(returned, Iterable):
            raise TypeError(f"it returned {type(returned).__name__}, not a list of grades")
        grades = [_grade(value) for value in returned]
        if not self.spec.tasks or len(grades) != len(prompts):
            return grades
        return [grade if task in self.spec.tasks else None for grade, task in zip(grades, columns["task"], strict=True)]


def _grade(value: Any) -> float | None:
    if isinstance(value, str | bytes):
        raise TypeError(f"{value!r} is no grade: return numbers, or None")
    return None if value is None else float(value)


def resolve(spec: RewardSpec) -> ResolvedReward:
    """Find the function that a spec names.

    A dotted path is imported, from the working directory too, as `python -m` would. That runs its code. What a built-in
    reward needs (a model) is loaded: it is missed before a run, not in it.

    Raises:
        UserError: no such reward, an option that it does not have, a missing model, or no word on what it credits.
    """
    built_in = BUILT_IN.get(spec.name)
    function = _import(spec.name, spec.name if built_in is None else built_in.function)
    part = spec.credits if built_in is None else built_in.credits
    if part is None:
        raise UserError(f"reward {spec.name!r}: say what it credits; set `credits: text` or `credits: pose`")
    try:
        parameters = inspect.signature(function).parameters
    except (TypeError, ValueError) as error:
        raise UserError(f"reward {spec.name!r}: its parameters cannot be found; write it as a function") from error
    if unknown := sorted(set(spec.options) - set(parameters)):
        raise UserError(f"reward {spec.name!r} has no option {unknown[0]!r}; it takes {', '.join(parameters)}")
    if built_in is not None and built_in.prepare is not None:
        _import(spec.name, built_in.prepare)(**spec.options)
    return ResolvedReward(spec, function, part)


def check_columns(reward: ResolvedReward, columns: Mapping[str, Any]) -> None:
    """Raise UserError if the reward needs a column that the samples do not have."""
    given = {*columns, *reward.spec.options, "prompts", "completions", "poses"}
    parameters = list(inspect.signature(reward.function).parameters.values())
    by_name = any(parameter.name == "completions" for parameter in parameters)
    for parameter in parameters if by_name else parameters[3:]:
        named = parameter.kind in (parameter.KEYWORD_ONLY, parameter.POSITIONAL_OR_KEYWORD)
        if named and parameter.default is parameter.empty and parameter.name not in given:
            there = ", ".join(sorted(columns)) or "none"
            raise UserError(
                f"reward {reward.spec.name!r} needs the column {parameter.name!r}, which the samples do not have; "
                f"they have: {there}"
            )


def _import(name: str, path: str) -> Reward:
    module_name, _, attribute = path.rpartition(".")
    choices = f"built in are {', '.join(BUILT_IN)}; or give the dotted path of a function, such as my_module.my_reward"
    if not module_name:
        raise UserError(f"unknown reward {name!r}: {choices}")
    working_directory = str(Path.cwd())
    if working_directory not in sys.path:
        sys.path.append(working_directory)
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name and module_name.startswith(error.name):
            raise UserError(f"unknown reward {name!r}: there is no module {error.name!r}; {choices}") from error
        raise UserError(f"reward {name!r}: its module needs {error.name!r}, which is not installed") from error
    except Exception as error:  # importing runs the module
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        raise UserError(f"reward {name!r}: module {module_name!r} cannot be imported ({reason})") from error
    function: Reward | None = vars(module).get(attribute)
    if not callable(function):
        raise UserError(f"unknown reward {name!r}: module {module_name!r} has no function {attribute!r}; {choices}")
    return function
