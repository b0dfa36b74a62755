"""The reinforcement stage: a policy, prompts, rewards and HyGRPO, from one config."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

from transformers import TrainerCallback

from pose_rft.config import NonNegativeInt, PositiveFloat, PositiveInt, refuse_unread, validate
from pose_rft.data.sample import Sample
from pose_rft.errors import UserError
from pose_rft.hygrpo import HyGRPOConfig, HyGRPOTrainer
from pose_rft.policy import PosePolicy
from pose_rft.policy.checkpoint import find_checkpoint, read_attributes, read_policy_config
from pose_rft.policy.pose_only import CachedPrompt, PoseOnlyPolicy, PoseOnlyRollout
from pose_rft.rewards import Graded, OnError, RolloutRewarder, resolve, reward_specs
from pose_rft.runs.phase import Phase
from pose_rft.runs.run import AT_THE_START, RunConfig, open_run

POSE_PHASE = "pose_phase"  # the folder of its checkpoints
LAST_STEPS = 5  # of a run whose valid answers are counted at its end


@dataclass(frozen=True)
class PosePhaseConfig:
    """A first phase in which the words stay fixed and only the pose head learns, on hidden states computed once.

    What it does not say is as in ``HyGRPOConfig`` of the run.

    Attributes:
        steps: rollouts; 0 leaves the phase out.
        prompts_per_step: prompts in one rollout; ten times as many as with the language model take no longer.
        learning_rate: peak.
    """

    steps: NonNegativeInt = 0
    prompts_per_step: PositiveInt = 128
    learning_rate: PositiveFloat = 2e-4

    def __post_init__(self) -> None:
        validate(self)
        if not self.steps:
            refuse_unread(self, ["prompts_per_step", "learning_rate"], f"the steps of {POSE_PHASE} are 0")


@dataclass(frozen=True, kw_only=True)
class RftConfig(RunConfig):
    """A reinforcement run.

    Attributes:
        policy: where it starts: "default", a checkpoint directory or id.
        reference: what the KL terms pull towards, a checkpoint like ``policy``: the supervised policy, of a run that
            goes on from a reinforced one. None is where it starts.
        adapters_from: the first layer of the language model with adapters, of which those that ``policy`` lacks do
            nothing at first. Below the layer that the pose head reads, words and poses share them. None keeps the
            policy's own.
        prompts: how many training prompts to draw from the mixture, with ``hygrpo.seed``.
        rewards: names, or mappings with name, weight, warm_up, tasks, credits, options (docs/rewards.md).
        as_answered: poses of texts are graded as users get them, settled by what prompt and answer say, not as they
            were sampled: the head learns what settling does not mend. Takes a few milliseconds a pose.
        on_reward_error: "raise" stops at a reward that fails and names the sample; "skip" leaves the sample ungraded.
        pose_phase: an opening phase for the pose head alone.
        hygrpo: the algorithm and its training loop.
    """

    FIXED: ClassVar[tuple[str, ...]] = (
        *RunConfig.FIXED, "policy", "reference", "adapters_from", "prompts", "pose_phase.prompts_per_step",
        "hygrpo.prompts_per_step", "hygrpo.updates_per_rollout", "hygrpo.seed",
    )  # fmt: skip

    policy: str = "default"
    reference: str | None = None
    adapters_from: NonNegativeInt | None = None
    output_dir: str = "runs/rft"
    prompts: PositiveInt = 4_000
    rewards: Sequence[Any] = ("format", "posecodes")
    as_answered: bool = False
    on_reward_error: OnError = "raise"
    pose_phase: PosePhaseConfig = field(default_factory=PosePhaseConfig)
    hygrpo: HyGRPOConfig = field(default_factory=HyGRPOConfig)

    def __post_init__(self) -> None:
        super().__post_init__()
        if not reward_specs(self.rewards):
            raise UserError("rewards: name at least one")
        if not self.pose_phase.steps and not self.hygrpo.steps:
            raise UserError("hygrpo.steps and pose_phase.steps are both 0; there is nothing to train")
        if self.pose_phase.steps and not self.hygrpo.pose_coefficient:
            raise UserError("pose_phase.steps: with hygrpo.pose_coefficient 0 the pose learns nothing; set one of them")
        if not self.hygrpo.beta_text and not self.hygrpo.beta_pose:
            refuse_unread(self, ["reference"], "hygrpo.beta_text and hygrpo.beta_pose are 0")
        if self.reference is not None and self.pose_phase.steps:  # its hidden states are those of the start
            raise UserError("reference: the opening phase pulls towards its start; set pose_phase.steps to 0")
        if self.reference is not None and self.adapters_from is not None:
            raise UserError("reference: has no more adapters than policy; leave adapters_from out")


def run_rft(
    config: RftConfig,
    resume: bool = False,
    samples: Sequence[Sample] | None = None,
    callbacks: Sequence[TrainerCallback] = (),
    states: Path | None = None,
) -> tuple[PosePolicy, list[dict[str, float]]]:
    """Train, save the policy in ``output_dir/policy``, and return it with the log of all steps.

    ``output_dir/report.html`` shows the log, ``pose_timeline.png`` the poses on the way.

    Args:
        resume: go on from the newest checkpoint in ``output_dir``.
        samples: training prompts; None draws them from ``config.data``.
        callbacks: beside those that show the run.
        states: as for ``open_run``.

    Raises:
        UserError: as ``open_run``, ``from_pretrained`` and the rewards do.
    """
    rewards = [resolve(spec) for spec in reward_specs(config.rewards)]  # what is missed is missed before the run
    pose_phase = Phase("pose_phase", POSE_PHASE, config.pose_phase.steps)
    main_phase = Phase("hygrpo", "", config.hygrpo.steps, config.hygrpo.updates_per_rollout)
    make_policy = partial(starting_policy, config)
    with open_run(config, "A run of HyGRPO", [pose_phase, main_phase], make_policy, resume, states) as run:
        samples = run.samples(config.prompts, config.hygrpo.seed, samples)
        run.measure_phrases(AT_THE_START)
        rewarder = RolloutRewarder(run.policy, rewards, config.on_reward_error, run.body, config.as_answered)
        rewarder.try_out(samples)
        if run.is_due(pose_phase):
            posed = [each for each in samples if each.pose is not None and (each.checks or each.image is not None)]
            if not posed:
                raise UserError("pose_phase: no training prompt has a pose and checks or an image; set its steps to 0")
            fixed = PoseOnlyPolicy(run.policy, posed, run.hidden_states(posed, config.hygrpo.row_tokens))

            def reward_cached(step: int, prompts: Sequence[CachedPrompt], rollout: PoseOnlyRollout) -> Graded:
                return rewarder(step, [prompt.sample for prompt in prompts], rollout)

            make = partial(HyGRPOTrainer, fixed, pose_phase_config(config), fixed.prompts, reward_cached)
            run.train(pose_phase, "HyGRPO, pose head", make, callbacks)
        if run.is_due(main_phase):
            make = partial(HyGRPOTrainer, run.policy, config.hygrpo, samples, rewarder)
            run.train(main_phase, "HyGRPO", make, callbacks)
    return run.policy, run.history()


def no_valid_answer(config: RftConfig, history: Sequence[Mapping[str, float]]) -> str | None:
    """A warning about a run at whose end no answer held a pose, though it was to learn poses; None of any other."""
    shares = [entry["valid_share"] for entry in history if "valid_share" in entry]
    last = shares[-max(LAST_STEPS, len(shares) // 10) :]
    if not config.hygrpo.pose_coefficient or not last or any(last):
        return None
    return (
        f"no answer of the last {len(last)} steps held a valid <POSE>, so that no pose was learned; begin with a "
        "policy that answers with poses (pose-rft sft), or reward them (rewards: format)"
    )


def starting_policy(config: RftConfig, device: str) -> PosePolicy:
    """The policy that a run starts from, with the reference frozen that its KL terms pull towards.

    Raises:
        UserError: as ``from_pretrained``; a reference that does not fit, or a pose head without a likelihood.
    """
    policy = PosePolicy.from_pretrained(
        config.reference or config.policy, device, shard=config.shard, adapters_from=config.adapters_from
    )
    policy.freeze_reference()
    if config.reference is not None:
        policy.load_weights(_alike(config.policy, config.reference))
    if policy.head.is_deterministic and config.hygrpo.pose_coefficient:
        raise UserError(f"policy {config.policy}: its pose head is deterministic and has no likelihood to reinforce")
    if policy.head.config.space == "latent" and config.hygrpo.pose_ratio == "per_joint":
        raise UserError(
            f"hygrpo.pose_ratio: per_joint: the actions of policy {config.policy} are codes of whole poses; take joint"
        )
    return policy


def _alike(policy: str, reference: str) -> Path:
    """The checkpoint of a policy whose weights fit in the places of the reference's."""
    start, origin = find_checkpoint(policy), find_checkpoint(reference)
    if start is None or origin is None:
        raise UserError(f"reference {reference}: it and policy {policy} must both be checkpoints of trained policies")
    if read_policy_config(start) != read_policy_config(origin) or read_attributes(start) != read_attributes(origin):
        raise UserError(
            f"reference {reference}: is made of other parts than policy {policy}; take the checkpoint that it came from"
        )
    return start


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
        epsilon=HyGRPOConfig.epsilon,  # of no effect in one update
        text_coefficient=0.0,
        text_ratio=HyGRPOConfig.text_ratio,
        text_sees_pose_rewards=False,
        beta_text=0.0,
        unbiased_kl=False,
    )
