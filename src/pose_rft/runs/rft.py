"""The reinforcement stage: a policy, prompts, rewards and HyGRPO, from one config."""

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import roma
import torch
from torch import Tensor

from pose_rft.body import load_body
from pose_rft.data.mixtures.text_to_pose import MixtureConfig, text_to_pose_mixture
from pose_rft.data.sample import Sample
from pose_rft.devices import pick_device
from pose_rft.errors import UserError
from pose_rft.evaluation.run_report import write_run_report
from pose_rft.hygrpo import HyGRPOConfig, HyGRPOTrainer
from pose_rft.policy import PosePolicy, Rollout
from pose_rft.policy.hidden_state_cache import cache_hidden_states
from pose_rft.policy.pose_only import CachedPrompt, PoseOnlyPolicy, PoseOnlyRollout
from pose_rft.policy.training_pictures import PicturesConfig, with_pictures
from pose_rft.progress import LiveProgress
from pose_rft.rewards import Graded, RewardSpec, grade, resolve, reward_specs
from pose_rft.runs.pose_timeline import TIMELINE_FILE, PoseTimelineConfig, strips
from pose_rft.trainer import (
    IMAGES_FOLDER,
    PICTURES_FOLDER,
    STATES_FILE,
    clear_up,
    join_processes,
    newest_checkpoint,
    open_output,
    read_history,
)

POSE_PHASE = "pose_phase"  # the folder of its checkpoints


@dataclass
class PosePhaseConfig:
    """A first phase in which the words stay fixed and only the pose head learns, on hidden states computed once.

    What it does not say is as in ``HyGRPOConfig`` of the run.

    Attributes:
        steps: rollouts; 0 leaves the phase out.
        prompts_per_step: prompts in one rollout; ten times as many as with the language model take no longer.
        learning_rate: peak.
    """

    steps: int = 0
    prompts_per_step: int = 128
    learning_rate: float = 2e-4

    def __post_init__(self) -> None:
        if self.steps < 0 or self.prompts_per_step < 1:
            raise UserError("pose_phase: steps must be at least 0 and prompts_per_step at least 1")


@dataclass
class RftConfig:
    """A reinforcement run.

    Attributes:
        policy: where it starts and what it is regularised towards: "default", a checkpoint directory or id.
        output_dir: checkpoints, and the trained policy in ``policy/``.
        prompts: how many training prompts to draw from the mixture.
        data: which prompts, by weight.
        pictures: drawn of the prompts' poses, beside their texts.
        processes: that draw prompts.
        rewards: names, or mappings with name, weight, warm_up, credits, options (docs/rewards.md).
        on_reward_error: "raise" stops at a reward that fails and names the sample; "skip" leaves the sample ungraded.
        pose_phase: an opening phase for the pose head alone.
        hygrpo: the algorithm and its training loop.
        strip: pictures while it trains.
        device: "auto", "cpu", "cuda", ...
        shard: share the language model's layers out among the processes, if it is too large for one device.
    """

    policy: str = "default"
    output_dir: str = "runs/rft"
    prompts: int = 4_000
    data: MixtureConfig = field(default_factory=MixtureConfig)
    pictures: PicturesConfig = field(default_factory=PicturesConfig)
    processes: int = 1
    rewards: list[Any] = field(default_factory=lambda: ["format", "posecodes"])
    on_reward_error: str = "raise"
    pose_phase: PosePhaseConfig = field(default_factory=PosePhaseConfig)
    hygrpo: HyGRPOConfig = field(default_factory=HyGRPOConfig)
    strip: PoseTimelineConfig = field(default_factory=PoseTimelineConfig)
    device: str = "auto"
    shard: bool = False

    def __post_init__(self) -> None:
        if self.on_reward_error not in ("raise", "skip"):
            raise UserError(f"on_reward_error is {self.on_reward_error!r}; choose raise or skip")
        if not self.rewards:
            raise UserError("rewards: name at least one")
        if not self.pose_phase.steps and not self.hygrpo.steps:
            raise UserError("hygrpo.steps and pose_phase.steps are both 0; there is nothing to train")


def run_rft(
    config: RftConfig, resume: bool = False, samples: Sequence[Sample] | None = None, callbacks: Sequence[Any] = ()
) -> tuple[PosePolicy, list[dict[str, float]]]:
    """Train, save the policy in ``output_dir/policy``, and return it with the log of all steps.

    ``output_dir/report.html`` shows the log, ``strip.png`` the poses on the way.

    Args:
        resume: go on from the newest checkpoint in ``output_dir``.
        samples: training prompts; None draws them from ``config.data``.
        callbacks: transformers callbacks beside the live progress.

    Raises:
        UserError: as ``read_config``, ``from_pretrained`` and the rewards do; an output directory that holds a run
            already, when not resuming, or that cannot be written to.
    """
    specs = reward_specs(config.rewards)
    for spec in specs:
        resolve(spec)  # an unknown reward ends the run here, not at its first step
    output = Path(config.output_dir)
    opening, states = output / POSE_PHASE, output / STATES_FILE
    device = pick_device(config.device)
    processes = join_processes(device)
    with processes.main_process_first():
        open_output(output, [opening, output], resume)
    policy = PosePolicy.from_pretrained(config.policy, device, shard=config.shard)
    if policy.head.is_deterministic and config.hygrpo.pose_coefficient:
        raise UserError(f"policy {config.policy}: its pose head is deterministic and has no likelihood to reinforce")
    policy.freeze_reference()
    policy.set_feature_cache(output / IMAGES_FOLDER)
    if samples is None:
        samples = text_to_pose_mixture(config.prompts, config.hygrpo.seed, config.data, config.processes)
        with processes.main_process_first():
            folder = output / PICTURES_FOLDER
            samples = with_pictures(policy, samples, config.hygrpo.seed, config.pictures, folder)
    grader = RolloutRewarder(policy, specs, config.on_reward_error)
    history = read_history(opening)
    if config.pose_phase.steps and not newest_checkpoint(output):
        told = [sample for sample in samples if sample.pose is not None and (sample.checks or sample.image is not None)]
        if not told:
            raise UserError("pose_phase: no training prompt has a pose and checks or an image; set its steps to 0")
        with contextlib.nullcontext() if config.shard else processes.main_process_first():
            cache = cache_hidden_states(policy, told, config.hygrpo.row_tokens, file=states)
        fixed = PoseOnlyPolicy(policy, told, cache)
        live = [LiveProgress("HyGRPO, pose head"), *strips(policy, config.strip, output), *callbacks]
        trainer = HyGRPOTrainer(
            fixed, pose_phase_config(config), fixed.prompts, grader.of_cached_prompts, str(opening), live
        )
        trainer.train(resume_from_checkpoint=newest_checkpoint(opening))
        history = list(trainer.state.log_history)
    if config.hygrpo.steps:
        pictures = strips(policy, config.strip, output, config.pose_phase.steps, config.hygrpo.updates_per_rollout)
        live = [LiveProgress("HyGRPO"), *pictures, *callbacks]
        trainer = HyGRPOTrainer(policy, config.hygrpo, samples, grader, str(output), live)
        trainer.train(resume_from_checkpoint=newest_checkpoint(output))
        history += [entry | {"step": entry["step"] + config.pose_phase.steps} for entry in trainer.state.log_history]
    policy.eval()
    policy.set_feature_cache(None)
    if processes.is_main_process:
        policy.save_pretrained(output / "policy")
        write_run_report(output, "A run of HyGRPO", history, config, output / TIMELINE_FILE)
        clear_up(output)
    processes.wait_for_everyone()
    return policy, history


def pose_phase_config(config: RftConfig) -> HyGRPOConfig:
    """What HyGRPO runs with in the opening phase of a run."""
    phase = config.pose_phase
    return replace(
        config.hygrpo,
        steps=phase.steps,
        prompts_per_step=phase.prompts_per_step,
        learning_rate=phase.learning_rate,
        answers_per_prompt=1,
        updates_per_rollout=1,
        text_coefficient=0.0,
        beta_text=0.0,
    )


class RolloutRewarder:
    """Turns a rollout's actions into poses and asks the rewards."""

    def __init__(self, policy: PosePolicy, rewards: Sequence[RewardSpec], on_error: str) -> None:
        self.policy, self.rewards, self.on_error = policy, rewards, on_error
        self.body = load_body()

    def of_cached_prompts(self, step: int, prompts: Sequence[CachedPrompt], rollout: PoseOnlyRollout) -> Graded:
        """The same of prompts whose hidden states are cached."""
        return self(step, [prompt.sample for prompt in prompts], rollout)

    @torch.no_grad()
    def __call__(self, step: int, samples: Sequence[Sample], rollout: Rollout | PoseOnlyRollout) -> Graded:
        rotations = self.policy.head.to_rotations(rollout.action)  # (B, G, K, 22, 3, 3)
        joints: Tensor = self.body.joints_from_rotations(rotations)
        columns: dict[str, list[Any]] = {
            "checks": [list(sample.checks) for sample in samples],
            "wants_pose": [sample.pose is not None or sample.task == "text_to_pose" for sample in samples],
            "answer": [sample.answer for sample in samples],
            "pose": [sample.pose if sample.person is None else sample.person.pose for sample in samples],
            "up": [sample.person and sample.person.up for sample in samples],
            "person": [sample.person and sample.person.index for sample in samples],
            "topic": [sample.question and sample.question.topic for sample in samples],
            "truth": [sample.question and sample.question.truth for sample in samples],
        }
        return grade(
            self.rewards,
            step,
            [sample.prompt for sample in samples],
            rollout.texts,
            joints,
            roma.rotmat_to_rotvec(rotations),
            rollout.valid,
            columns,
            self.on_error,  # type: ignore[arg-type]
        )
