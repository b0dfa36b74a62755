"""The supervised stage from one config."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import ClassVar

import torch
from transformers import TrainerCallback

from pose_rft.config import Seed, refuse_unread
from pose_rft.data.mixtures.weighted import WeightedMixture
from pose_rft.data.questions.statements import statements
from pose_rft.data.sample import Sample
from pose_rft.errors import UserError
from pose_rft.policy import HeadConfig, PolicyConfig, PoseBranchConfig, PosePolicy
from pose_rft.policy.image_branch import ImageMode
from pose_rft.runs.phase import Phase
from pose_rft.runs.run import AT_THE_START, Run, RunConfig, open_run
from pose_rft.sft.attributes import AttributeTrainer
from pose_rft.sft.losses import LossWeights
from pose_rft.sft.trainer import HeadTrainer, LoopConfig, PhaseConfig, PolicyTrainer, poses_of
from pose_rft.vision.encoded_images import EncodedImages

DRAFT_ANSWERS = 64  # answers of its training that a policy guesses
NO_ATTRIBUTES = PhaseConfig(steps=0, batch_size=256, learning_rate=1e-3)


@dataclass(frozen=True, kw_only=True)
class SftConfig(RunConfig):
    """A supervised run.

    The pose timeline is drawn from when the policy has words: in the joint phase, and in the head's where there is a
    ``start``.

    Attributes:
        policy: what to build.
        start: a trained policy to go on from, instead of building one.
        data_seed: of the mixture.
        encoder: gives a ``start`` that has none a pose-aware image encoder, e.g. "blazepose".
        text_head: gives a ``start`` an untrained pose head of this shape for texts, in place of its own.
        image_head: gives a ``start`` an untrained pose head of this shape for pictures, in place of its own.
        pose_branch: gives a ``start`` an untrained reader of given poses of this shape, in place of its own if that has
            another.
        pose_branch_only: nothing but what reads given poses is trained: answers to texts and about pictures stay as
            they are.
        head: phase 1, the pose head on cached hidden states. Its samples and those of phase 3 are texts, with pictures
            in the same proportion.
        attributes: phase 2, of policies that read images: which statements hold of a picture, learned from the pictures
            among its samples. From then on the language model reads them in words, in place of the encoder's features.
        joint: phase 3, adapters and head together; the words alone where the adapters lie above the head's layer.
        loss: weights.
        loop: of all phases.
    """

    FIXED: ClassVar[tuple[str, ...]] = (
        *RunConfig.FIXED, "policy", "start", "data_seed", "encoder", "text_head", "image_head", "pose_branch",
        "pose_branch_only", "loop.seed",
        *(f"{phase}.{name}" for phase in ("head", "attributes", "joint") for name in ("samples", "batch_size")),
    )  # fmt: skip

    policy: PolicyConfig = field(default_factory=PolicyConfig)
    start: str | None = None
    output_dir: str = "runs/sft"
    data_seed: Seed = 0
    encoder: str | None = None
    text_head: HeadConfig | None = None
    image_head: HeadConfig | None = None
    pose_branch: PoseBranchConfig | None = None
    pose_branch_only: bool = False
    head: PhaseConfig = field(default_factory=lambda: PhaseConfig(samples=20_000, steps=1_500, batch_size=128))
    attributes: PhaseConfig = NO_ATTRIBUTES
    joint: PhaseConfig = field(default_factory=lambda: PhaseConfig(steps=300, batch_size=64, learning_rate=2e-4))
    loss: LossWeights = field(default_factory=LossWeights)
    loop: LoopConfig = field(default_factory=LoopConfig)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.start is None:
            not_new = ["encoder", "text_head", "image_head", "pose_branch", "pose_branch_only"]
            refuse_unread(self, not_new, "there is no start (policy says what a new one is made of)")
        else:
            refuse_unread(self, ["policy"], "the policy is that of start")
        if not self.attributes.steps:
            refuse_unread(self, ["attributes"], "attributes.steps is 0")
        if not self.head.steps and not self.joint.steps:
            refuse_unread(self, ["loss"], "head.steps and joint.steps are 0")
        if not self.joint.steps and not (self.start and self.head.steps) and self.pose_timeline.every:
            refuse_unread(self, ["pose_timeline"], "no phase trains a policy that has words already")

    @property
    def num_samples(self) -> int:
        """How many are drawn: as many as the phase asks for that asks for most."""
        phases = (self.head, self.attributes, self.joint)
        return max((phase.samples for phase in phases if phase.steps), default=0)


def run_sft(
    config: SftConfig,
    resume: bool = False,
    samples: Sequence[Sample] | None = None,
    callbacks: Sequence[TrainerCallback] = (),
    states: Path | None = None,
) -> PosePolicy:
    """Train, save the policy in ``output_dir/policy`` and return it; ``output_dir/report.html`` shows how it went.

    Args:
        resume: go on from the newest checkpoint of the phase that was interrupted.
        samples: the training samples; None draws them from ``config.data``.
        callbacks: beside those that show the run.
        states: as for ``open_run``.

    Raises:
        UserError: as ``open_run`` and ``from_pretrained`` do, or samples that a phase cannot learn from.
    """
    head = Phase("head", "head", config.head.steps, draws=config.start is not None)
    attributes = Phase("attributes", "attributes", config.attributes.steps, draws=False)
    joint = Phase("joint", "joint", config.joint.steps)
    make_policy = partial(_starting_policy, config)
    with open_run(config, "A supervised run", [head, attributes, joint], make_policy, resume, states) as run:
        largest = config.num_samples
        samples = run.samples(largest, config.data_seed, samples, imitated=True)

        def samples_of(phase: PhaseConfig) -> Sequence[Sample]:
            if isinstance(samples, WeightedMixture):
                return samples[: phase.samples]
            return samples[: phase_sample_count(len(samples), phase.samples, largest)]

        posed = [sample for sample in samples_of(config.head) if sample.pose is not None]
        if not posed and (config.head.steps or not config.start):
            raise UserError("sft: no training sample has a pose")
        if not config.start:
            run.policy.fit_action_space(poses_of(posed).to(run.policy.device))
        if config.pose_branch_only:
            _freeze_all_but_pose_branch(run.policy)
        _refuse_losses_of_tokens(run.policy, config.loss)
        run.measure_phrases(AT_THE_START)
        if run.is_due(head):
            _train_head(run, head, config, posed, callbacks)
        if config.attributes.steps:
            _train_attributes(run, attributes, config, samples_of(config.attributes), callbacks)
        if run.is_due(joint):
            _train_jointly(run, joint, config, samples_of(config.joint), callbacks)
        if config.pose_branch_only:
            return run.policy
        commonest = Counter(sample.answer for sample in run.known_samples).most_common(DRAFT_ANSWERS)
        run.policy.set_draft_answers(answer for answer, _ in commonest)
    return run.policy


def _starting_policy(config: SftConfig, device: str) -> PosePolicy:
    torch.manual_seed(config.loop.seed)
    if config.start is None:
        return PosePolicy.create(config.policy, device, shard=config.shard)
    return PosePolicy.from_pretrained(
        config.start,
        device,
        encoder=config.encoder,
        shard=config.shard,
        image_head=config.image_head,
        text_head=config.text_head,
        pose_branch=config.pose_branch,
    )


def _refuse_losses_of_tokens(policy: PosePolicy, loss: LossWeights) -> None:
    """The choice of a token has no gradient, so what is measured on the pose would teach nothing."""
    weights = asdict(loss)
    through_the_pose = [name for name in weights if name not in ("text", "likelihood") and weights[name]]
    if policy.head.config.space == "tokens" and through_the_pose:
        raise UserError(
            f"sft: loss.{through_the_pose[0]}: the pose head answers in tokens, whose choice has no gradient; "
            "set it to 0"
        )


def _freeze_all_but_pose_branch(policy: PosePolicy) -> None:
    if policy.pose_branch is None:
        raise UserError("sft: pose_branch_only: the policy reads no poses; set pose_branch, or take another start")
    policy.requires_grad_(False)
    policy.pose_branch.requires_grad_(True)


def _train_head(
    run: Run, phase: Phase, config: SftConfig, samples: Sequence[Sample], callbacks: Sequence[TrainerCallback]
) -> None:
    cache = run.hidden_states(samples, config.loop.row_tokens)
    make = partial(HeadTrainer, run.policy, samples, cache, config.head, config.loop, config.loss, body=run.body)
    run.train(phase, "Head", make, callbacks)


def _train_attributes(
    run: Run, phase: Phase, config: SftConfig, samples: Sequence[Sample], callbacks: Sequence[TrainerCallback]
) -> None:
    policy = run.policy
    if policy.image_branch is None or policy.image_branch.attributes != list(statements()):
        policy.enable_attributes(statements())
    pictures = [sample for sample in samples if isinstance(sample.image, EncodedImages) and sample.person]
    if not pictures:
        raise UserError("sft: attributes are learned from pictures with a pose; set pictures.samples")
    if not run.is_due(phase):
        return
    if begun := run.newest_checkpoint(phase):
        policy.load_weights(Path(begun))  # attributes are read off the head that the phase began with
    policy.eval()
    make = partial(AttributeTrainer, policy, pictures, config.attributes, config.loop)
    run.train(phase, "Attributes", make, callbacks)


def _train_jointly(
    run: Run, phase: Phase, config: SftConfig, samples: Sequence[Sample], callbacks: Sequence[TrainerCallback]
) -> None:
    policy = run.policy
    make = partial(PolicyTrainer, policy, samples, config.joint, config.loop, config.loss, body=run.body)
    if config.pose_branch_only:
        run.train(phase, "Poses in prompts", make, callbacks)
        return
    policy.head.requires_grad_(policy.adapters_reach_head)  # else it has nothing new to learn from
    if policy.image_branch is not None and policy.image_mode is ImageMode.ATTRIBUTES:
        policy.image_branch.requires_grad_(False)  # attributes are read off a head that must stand still for it
    title = "Words and poses" if policy.adapters_reach_head else "Words"
    run.train(phase, title, make, callbacks)
    policy.head.requires_grad_(True)
    if policy.image_branch is not None:
        policy.image_branch.requires_grad_(True)


def phase_sample_count(samples: int, asked: int, largest: int) -> int:
    """How many of the samples a phase gets that asked for fewer than the ``largest`` did."""
    return samples if not largest else round(samples * min(1.0, asked / largest))
