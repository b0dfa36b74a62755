"""A study: what an ablation asks, and the variants of one run that answer it.

A study is a YAML file. It has the settings of both stages of training that its variants share, its own or those of the
study that it names as ``base``, and each variant says what it has other than these.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pose_rft.config import PositiveFloat, PositiveInt, from_mapping, read_document, refuse_unread, set_fields, validate
from pose_rft.errors import UserError
from pose_rft.rewards import reward_specs
from pose_rft.runs.rft import RftConfig
from pose_rft.runs.sft import SftConfig

StageConfig = RftConfig | SftConfig

STUDIES = Path(__file__).parent / "studies"
SETTINGS = ("start", "minutes", "seeds", "data", "processes", "device", "sft", "rft")  # what a study has of its base
CHECKPOINTS = 10  # of a run, twice as many where a step has two updates


@dataclass(frozen=True, kw_only=True)
class Variant:
    """A line of the tables. One that names neither stage is not trained.

    Attributes:
        about: what it is, in a line.
        sft: supervised: what differs from the study's ``sft``. Its time goes to the phase ``joint`` where that is
            named here, otherwise to the head's.
        rft: reinforced: what differs from the study's ``rft``. Its time goes to ``pose_phase`` where that is named
            here, otherwise to ``hygrpo``.
        without: a reward among the study's that a reinforced variant logs, and does not use.
        after: an earlier variant whose policy, of the same seed, it starts from. None starts where the study does.
        like: an earlier variant, of the same seed: samples are drawn at the temperature at which they spread like its.
    """

    about: str
    sft: dict[str, Any] | None = None
    rft: dict[str, Any] | None = None
    without: str | None = None
    after: str | None = None
    like: str | None = None

    def __post_init__(self) -> None:
        validate(self)
        if self.sft is not None and self.rft is not None:
            raise UserError("sft and rft are both given; one variant can start from the other (after)")
        if self.rft is None:
            refuse_unread(self, ["without"], "rft is not given")

    @property
    def trained(self) -> bool:
        return self.sft is not None or self.rft is not None


@dataclass(frozen=True, kw_only=True)
class Study:
    """What is compared.

    Attributes:
        about: what is asked, in a line.
        variants: by name, in the order of the tables.
        compared: variants whose differences from all others have a table.
        start: the policy that all start from: "default", a checkpoint directory or id.
        minutes: of computing that each variant trains.
        seeds: each variant is trained with.
        data: which samples, by weight (``data`` of ``pose-rft sft``).
        processes: that draw training samples.
        device: "auto", "cpu", "cuda", ...
        sft: other fields of ``pose-rft sft`` that the supervised variants share.
        rft: other fields of ``pose-rft rft`` that the reinforced variants share.
    """

    about: str
    variants: dict[str, Variant]
    compared: Sequence[str]
    start: str = "default"
    minutes: PositiveFloat = 20
    seeds: Sequence[int] = (0, 1, 2)
    data: dict[str, Any] = field(default_factory=dict)
    processes: PositiveInt = 1
    device: str = "auto"
    sft: dict[str, Any] = field(default_factory=dict)
    rft: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        validate(self)
        if not self.seeds or any(type(seed) is not int or seed < 0 for seed in self.seeds):
            raise UserError(f"seeds: give whole numbers from 0, not {list(self.seeds)}")
        earlier: list[str] = []
        for name, variant in self.variants.items():
            for origin in (variant.after, variant.like):
                if origin is not None and origin not in earlier:
                    raise UserError(f"variants.{name}: {origin} is no variant above it")
            if variant.after is not None and not self.variants[variant.after].trained:
                raise UserError(f"variants.{name}.after: {variant.after} is not trained; leave it out")
            earlier.append(name)
            if variant.trained:
                stage_config(self, name, 0, 1, self.start, "runs/ablation")
        if unknown := [name for name in self.compared if name not in self.variants]:
            raise UserError(f"compared: {unknown[0]} is no variant; there are {', '.join(self.variants)}")


def read_study(name: str, overrides: Sequence[str] = ()) -> Study:
    """A bundled study by its name, or one from a YAML file.

    Args:
        overrides: as for ``read_config``.

    Raises:
        UserError: there is no such study, or what it says is wrong.
    """
    document = study_document(name)
    set_fields(document, overrides)
    return from_mapping(Study, document, source=name)


def study_document(name: str) -> dict[str, Any]:
    """The fields of a study, with the settings of its ``base`` where it has its own beside them."""
    path = STUDIES / f"{name}.yaml"
    if not path.is_file():
        path = Path(name)
    if not path.is_file():
        raise UserError(f"{name}: is neither a YAML file nor one of the studies {', '.join(bundled_studies())}")
    document = read_document(path)
    base = document.pop("base", None)
    if base is None:
        return document
    settings = study_document(base)
    return merged({field: settings[field] for field in SETTINGS if field in settings}, document)


def bundled_studies() -> list[str]:
    """Their names."""
    return sorted(path.stem for path in STUDIES.glob("*.yaml"))


def stage_config(study: Study, name: str, seed: int, steps: int, start: str, output_dir: str) -> StageConfig:
    """The config of the run of a variant that is trained.

    Args:
        steps: of the phase that its time goes to.
        start: the checkpoint that it starts from.

    Raises:
        UserError: a field that is unknown or refused.
    """
    variant = study.variants[name]
    shared = {"data": study.data, "processes": study.processes, "device": study.device, "output_dir": output_dir}
    shared["pose_timeline"] = {"every": 0}
    filled = {"steps": steps}
    checkpoints = {"seed": seed, "save_steps": math.ceil(steps / CHECKPOINTS)}
    if variant.sft is not None:
        phase = "joint" if "joint" in variant.sft else "head"
        phases = {each: filled if each == phase else {"steps": 0} for each in ("head", "joint")}
        given = {"start": start, "data_seed": seed, "loop": checkpoints, **phases}
        own = merged(merged(merged(shared, study.sft), variant.sft), given)
        return from_mapping(SftConfig, own, source=f"variants.{name}.sft")
    assert variant.rft is not None, f"{name} is not trained"
    phase = "pose_phase" if "pose_phase" in variant.rft else "hygrpo"
    phases = {each: filled if each == phase else {"steps": 0} for each in ("pose_phase", "hygrpo")}
    given = merged({"policy": start, **phases}, {"hygrpo": checkpoints})
    own = merged(merged(merged(shared, study.rft), variant.rft), given)
    if variant.without is not None:
        specs = reward_specs(own.get("rewards", ()))
        if variant.without not in (spec.name for spec in specs):
            raise UserError(f"variants.{name}.without: {variant.without} is none of its rewards")
        own["rewards"] = [
            {"name": spec.name, "weight": 0 if spec.name == variant.without else spec.weight, "options": spec.options}
            for spec in specs
        ]
    return from_mapping(RftConfig, own, source=f"variants.{name}.rft")


def updates_per_step(config: StageConfig) -> int:
    """How often the optimiser steps in one step of a run."""
    return config.hygrpo.updates_per_rollout if isinstance(config, RftConfig) and config.hygrpo.steps else 1


def merged(base: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Two nested mappings, of which the second one's values stand where both have one; lists are values."""
    found = dict(base)
    for name, value in above.items():
        under = found.get(name)
        found[name] = merged(under, value) if isinstance(value, Mapping) and isinstance(under, Mapping) else value
    return found
