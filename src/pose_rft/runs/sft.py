"""The supervised stage from one config."""

import contextlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch
from transformers import TrainerCallback

from pose_rft.data.mixtures.text_to_pose import MixtureConfig, text_to_pose_mixture
from pose_rft.data.questions.statements import statements
from pose_rft.data.sample import Sample
from pose_rft.devices import pick_device
from pose_rft.errors import UserError
from pose_rft.evaluation.run_report import write_run_report
from pose_rft.policy import HeadConfig, PolicyConfig, PosePolicy
from pose_rft.policy.hidden_state_cache import cache_hidden_states
from pose_rft.policy.image_branch import ImageMode
from pose_rft.policy.training_pictures import PicturesConfig, with_pictures
from pose_rft.progress import LiveProgress
from pose_rft.runs.pose_timeline import TIMELINE_FILE, PoseTimelineConfig, strips
from pose_rft.sft.attributes import AttributeTrainer
from pose_rft.sft.losses import LossWeights
from pose_rft.sft.trainer import HeadTrainer, LoopConfig, PhaseConfig, PolicyTrainer, poses_of
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
from pose_rft.vision.encoded_images import EncodedImages

DRAFT_ANSWERS = 64  # answers of its training that a policy guesses


@dataclass
class SftConfig:
    """A supervised run.

    Attributes:
        policy: what to build.
        start: a trained policy to go on from, instead of building one.
        output_dir: checkpoints of all phases, and the trained policy in ``policy/``.
        data: the training mixture.
        data_seed: of the mixture.
        encoder: gives a ``start`` that has none a pose-aware image encoder, e.g. "blazepose".
        image_head: gives a ``start`` an untrained pose head of this shape for pictures, in place of its own.
        pictures: drawn of the mixture's poses, beside its texts.
        processes: that draw training samples.
        head: phase 1, the pose head on cached hidden states. Its samples and those of phase 3 are texts; pictures are
            shared out in the same proportion.
        attributes: phase 2, of policies that see: which statements hold of a picture, learned from the pictures among its
            samples and told to the language model from then on, in words, in place of what the encoder sees.
        joint: phase 3, adapters and head together; the words alone where the adapters lie above the head's layer.
        loss: weights.
        loop: of all phases.
        strip: pictures while it trains, from when the policy has words: in the joint phase, and in the head's where
            there is a ``start``.
        device: "auto", "cpu", "cuda", ...
        shard: share the language model's layers out among the processes, if it is too large for one device.
    """

    policy: PolicyConfig = field(default_factory=PolicyConfig)
    start: str | None = None
    output_dir: str = "runs/sft"
    data: MixtureConfig = field(default_factory=MixtureConfig)
    data_seed: int = 0
    encoder: str | None = None
    image_head: HeadConfig | None = None
    pictures: PicturesConfig = field(default_factory=PicturesConfig)
    processes: int = 1
    head: PhaseConfig = field(default_factory=lambda: PhaseConfig(samples=20_000, steps=1_500, batch_size=128))
    attributes: PhaseConfig = field(default_factory=lambda: PhaseConfig(steps=0, batch_size=256, learning_rate=1e-3))
    joint: PhaseConfig = field(default_factory=lambda: PhaseConfig(steps=300, batch_size=64, learning_rate=2e-4))
    loss: LossWeights = field(default_factory=LossWeights)
    loop: LoopConfig = field(default_factory=LoopConfig)
    strip: PoseTimelineConfig = field(default_factory=PoseTimelineConfig)
    device: str = "auto"
    shard: bool = False


def run_sft(config: SftConfig, resume: bool = False, samples: Sequence[Sample] | None = None) -> PosePolicy:
    """Train, save the policy in ``output_dir/policy`` and return it; ``output_dir/report.html`` shows how it went.

    Args:
        resume: go on from the newest checkpoint of the phase that was interrupted.
        samples: the training samples; None draws them from ``config.data``.

    Raises:
        UserError: as ``read_config`` and ``from_pretrained`` do; an output directory that holds a run already
            or cannot be written to.
    """
    output = Path(config.output_dir)
    phases = [output / "head", output / "attributes", output / "joint"]
    device = pick_device(config.device)
    processes = join_processes(device)
    with processes.main_process_first():
        open_output(output, phases, resume)
    states = output / STATES_FILE
    torch.manual_seed(config.loop.seed)
    if config.start:
        policy = PosePolicy.from_pretrained(
            config.start, device, encoder=config.encoder, shard=config.shard, image_head=config.image_head
        )
    else:
        policy = PosePolicy.create(config.policy, device, shard=config.shard)
    policy.set_feature_cache(output / IMAGES_FOLDER)
    in_order = (config.head, config.attributes, config.joint)
    largest = max(phase.samples if phase.steps else 0 for phase in in_order)
    if samples is None:
        samples = text_to_pose_mixture(largest, config.data_seed, config.data, processes=config.processes)
        with processes.main_process_first():
            samples = with_pictures(policy, samples, config.data_seed, config.pictures, output / PICTURES_FOLDER)
    in_head = samples[: phase_sample_count(len(samples), config.head.samples, largest)]
    known = [sample for sample in in_head if sample.pose is not None]
    if not known and (config.head.steps or not config.start):
        raise UserError("sft: no training sample has a pose")
    if not config.start:
        policy.fit_action_space(poses_of(known).to(device))

    if config.head.steps and not any(newest_checkpoint(later) for later in phases[1:]):
        with contextlib.nullcontext() if config.shard else processes.main_process_first():
            cache = cache_hidden_states(policy, known, config.loop.row_tokens, file=states)
        live: list[TrainerCallback] = [LiveProgress("Head")]
        live += strips(policy, config.strip, output) if config.start else []
        trainer = HeadTrainer(policy, known, cache, config.head, config.loop, config.loss, str(phases[0]), live)
        trainer.train(resume_from_checkpoint=newest_checkpoint(phases[0]))
        del cache, trainer
    if config.attributes.steps:
        if policy.image_branch is None or policy.image_branch.attributes != list(statements()):
            policy.enable_attributes(statements())
        found_in = samples[: phase_sample_count(len(samples), config.attributes.samples, largest)]
        pictures = [sample for sample in found_in if isinstance(sample.image, EncodedImages)]
        if not pictures:
            raise UserError("sft: attributes are learned from pictures; set pictures.samples")
        if not newest_checkpoint(phases[2]):
            begun = newest_checkpoint(phases[1])
            if begun:
                policy.load_weights(Path(begun))  # attributes are read off the head that the phase began with
            policy.eval()
            live = [LiveProgress("AttributeClassifier")]
            attributes = AttributeTrainer(policy, pictures, config.attributes, config.loop, str(phases[1]), live)
            attributes.train(resume_from_checkpoint=begun)
            del attributes
        del pictures, found_in
    if config.joint.steps:
        joint = samples[: phase_sample_count(len(samples), config.joint.samples, largest)]
        policy.head.requires_grad_(policy.adapters_reach_head)  # else it has nothing new to learn from
        if policy.image_mode is ImageMode.ATTRIBUTES:
            assert policy.image_branch is not None
            policy.image_branch.requires_grad_(False)  # what is found is read off a head that must stand still for it
        title = "Words and poses" if policy.adapters_reach_head else "Words"
        live = [LiveProgress(title), *strips(policy, config.strip, output, config.head.steps + config.attributes.steps)]
        trainer = PolicyTrainer(policy, joint, config.joint, config.loop, config.loss, str(phases[2]), live)
        trainer.train(resume_from_checkpoint=newest_checkpoint(phases[2]))
        policy.head.requires_grad_(True)
        if policy.image_branch is not None:
            policy.image_branch.requires_grad_(True)
    policy.eval()
    commonest = Counter(sample.answer for sample in samples).most_common(DRAFT_ANSWERS)
    policy.set_draft_answers(answer for answer, _ in commonest)
    policy.set_feature_cache(None)
    if processes.is_main_process:
        policy.save_pretrained(output / "policy")
        history, before = [], 0
        for folder, phase in zip(phases, in_order, strict=True):
            history += [entry | {"step": entry["step"] + before} for entry in read_history(folder)]
            before += phase.steps
        write_run_report(output, "A supervised run", history, config, output / TIMELINE_FILE)
        clear_up(output)
    processes.wait_for_everyone()
    return policy


def phase_sample_count(samples: int, asked: int, largest: int) -> int:
    """How many of the samples a phase gets that asked for fewer than the ``largest`` did."""
    return samples if not largest else round(samples * min(1.0, asked / largest))
