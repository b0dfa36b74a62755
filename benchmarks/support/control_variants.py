"""What HyGRPO is compared with: runs from one start, each a named override of one config.

A variant takes the common config, HyGRPO of words and poses as we run it, and gives the config of its run. Start, data,
seed and steps are the common ones.
"""

import dataclasses
import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from pose_rft.hygrpo import HyGRPOConfig
from pose_rft.runs.rft import PosePhaseConfig, RftConfig
from pose_rft.runs.sft import SftConfig
from pose_rft.sft.losses import LossWeights
from pose_rft.sft.trainer import LoopConfig, PhaseConfig

StageConfig = RftConfig | SftConfig

SAMPLES_PER_PROMPT = 5  # of supervised runs: they go through samples faster than rollouts do
CHECKPOINTS = 10  # of a run, twice as many where a step has two updates
CHECK_LOSS = LossWeights(checks=0.5, sampled_checks=0.5)


def ours(config: RftConfig) -> RftConfig:
    """HyGRPO with sampled words and many poses to each answer: the common config."""
    return config


def pose_phase(config: RftConfig) -> RftConfig:
    """HyGRPO of the pose head alone, one given answer to each prompt, as configs/default_text_rft.yaml has it."""
    given = config.hygrpo
    return replace(
        config,
        adapters_from=None,
        rewards=[
            "posecodes",
            {"name": "kept", "weight": 0.5},
            {"name": "semantic", "weight": 0.2},
            {"name": "plausible", "weight": 0.3},
        ],
        pose_phase=PosePhaseConfig(steps=given.steps, prompts_per_step=128, learning_rate=6e-5),
        hygrpo=HyGRPOConfig(
            steps=0,
            poses_per_answer=64,
            beta_pose=0.05,
            row_tokens=given.row_tokens,
            seed=given.seed,
            save_steps=given.save_steps,
            keep_checkpoints=given.keep_checkpoints,
        ),
    )


def paper(config: RftConfig) -> RftConfig:
    """HyGRPO as published, with the head of the start: a fresh perceptron would need supervised training of its own."""
    hygrpo = replace(
        config.hygrpo,
        poses_per_answer=1,
        pose_group="prompt",
        text_ratio="answer",
        pose_ratio="joint",
        std_floor=0.0,
        text_sees_pose_rewards=False,
    )
    return replace(config, hygrpo=hygrpo)


def tokens(config: RftConfig) -> RftConfig:
    """GRPO on tokens alone: the words see every reward, and adapters below the pose head let them change the pose."""
    return replace(config, hygrpo=replace(config.hygrpo, pose_coefficient=0.0, text_sees_pose_rewards=True))


def sft(config: RftConfig) -> SftConfig:
    """Supervised training of the pose head goes on: likelihood of the poses, and joints."""
    given = config.hygrpo
    return SftConfig(
        start=config.policy,
        output_dir=config.output_dir,
        data=config.data,
        data_seed=given.seed,
        head=PhaseConfig(
            samples=SAMPLES_PER_PROMPT * config.prompts, steps=given.steps, batch_size=96, learning_rate=4e-4
        ),
        joint=PhaseConfig(steps=0),
        loop=LoopConfig(
            row_tokens=256, seed=given.seed, save_steps=given.save_steps, keep_checkpoints=given.keep_checkpoints
        ),
        pose_timeline=config.pose_timeline,
        processes=config.processes,
        device=config.device,
    )


def sft_checks(config: RftConfig) -> SftConfig:
    """The same with the check loss, on the mean pose and on a sampled one."""
    return replace(sft(config), loss=CHECK_LOSS)


TRAINED: dict[str, Callable[[RftConfig], StageConfig]] = {
    "sft": sft,
    "sft-checks": sft_checks,
    "tokens": tokens,
    "paper": paper,
    "ours": ours,
    "pose-phase": pose_phase,
}
START = "start"
MATCHED = {f"start-like-{name}": name for name in ("ours", "pose-phase")}  # sampled to spread as that run does
VARIANTS = (START, *TRAINED, *MATCHED)
HYGRPO = ("ours", "pose-phase")  # those that the others are controls of


def run_config(variant: str, common: RftConfig, seed: int, steps: int, output_dir: str) -> StageConfig:
    """The config of one run."""
    hygrpo = replace(common.hygrpo, seed=seed, steps=steps, save_steps=math.ceil(steps / CHECKPOINTS))
    return TRAINED[variant](replace(common, output_dir=output_dir, hygrpo=hygrpo))


def updates_per_step(config: StageConfig) -> int:
    """How often the optimiser steps in one step of a run."""
    return config.hygrpo.updates_per_rollout if isinstance(config, RftConfig) and config.hygrpo.steps else 1


def settings_that_differ(config: StageConfig, common: RftConfig) -> dict[str, Any]:
    """Dotted names and values that differ from the common config, or of a supervised run from the defaults."""
    others = _flat(dataclasses.asdict(common if isinstance(config, RftConfig) else SftConfig()))
    own = _flat(dataclasses.asdict(config))
    ignored = ("output_dir", "policy", "start", "data.", "data_seed", "hygrpo.seed", "loop.seed", "pose_timeline.")
    return {
        name: value
        for name, value in own.items()
        if others.get(name) != value and not name.startswith(ignored) and not name.endswith(("steps", "processes"))
    }


def _flat(settings: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in settings.items():
        found |= _flat(value, f"{prefix}{name}.") if isinstance(value, dict) else {f"{prefix}{name}": value}
    return found
