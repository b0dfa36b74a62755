"""The lifecycle of both stages of training: begin or go on, train phase after phase, leave a policy and a report.

What a run computes once (hidden states of its samples, its pictures, what frozen encoders made of its photographs) is
kept in the output directory until the run is over, so that an interrupted one need not compute it again.
"""

import contextlib
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import ClassVar

from accelerate import PartialState
from rich.progress import track
from transformers import TrainerCallback

from pose_rft.body import load_body
from pose_rft.config import PositiveInt, refuse_unread, validate
from pose_rft.data.mixtures.text_to_pose import MixtureConfig
from pose_rft.data.mixtures.training import training_samples
from pose_rft.data.mixtures.weighted import WeightedMixture
from pose_rft.data.sample import Sample, check_poses
from pose_rft.devices import pick_device
from pose_rft.errors import UserError
from pose_rft.evaluation.phrase_fit import PhraseFit, TaughtPhrase, phrase_fit, taught_phrases
from pose_rft.evaluation.run_report import write_run_report
from pose_rft.policy import PosePolicy
from pose_rft.policy.hidden_state_cache import HiddenStateCache, cache_hidden_states, mean_poses
from pose_rft.policy.image_branch import ImageMode
from pose_rft.policy.training_pictures import PicturesConfig, with_photograph, with_pictures
from pose_rft.progress import LiveProgress
from pose_rft.run_checkpoints import newest_checkpoint, read_state
from pose_rft.runs.phase import Phase
from pose_rft.runs.pose_timeline import TIMELINE_FILE, PoseTimeline, PoseTimelineConfig
from pose_rft.runs.record import RunRecord
from pose_rft.storage import ensure_directory
from pose_rft.terminal import errors, status
from pose_rft.trainer import CheckpointTrainer, NonFiniteError

AT_THE_START, AT_THE_END = "At the start", "At the end"  # when phrases are measured
READ_FIRST = 10_000  # draws of one's own data that are read before training, to find what is broken
STATES_FILE, PICTURES_FOLDER, IMAGES_FOLDER = "states.safetensors", "pictures", "images"


@dataclass(frozen=True, kw_only=True)
class RunConfig:
    """Settings that the runs of both stages have.

    Attributes:
        output_dir: checkpoints of all phases, and the trained policy in ``policy/``.
        data: which samples, by weight: the built-in mixture, or one's own data.
        pictures: drawn of the mixture's poses, beside its texts.
        processes: that draw training samples.
        body: on which losses and rewards are measured: "cc0", the bundled one, or the ``.npz`` of an SMPL, SMPL-H or
            SMPL-X model of your own (docs/body.md).
        pose_timeline: pictures of poses while it trains.
        device: "auto", "cpu", "cuda", ...
        shard: divide the language model's layers among the processes, if it is too large for one device.
    """

    # What a run that goes on cannot change; of a group, all.
    FIXED: ClassVar[tuple[str, ...]] = ("data", "pictures", "body")

    output_dir: str
    data: MixtureConfig = field(default_factory=MixtureConfig)
    pictures: PicturesConfig = field(default_factory=PicturesConfig)
    processes: PositiveInt = 1
    body: str = "cc0"
    pose_timeline: PoseTimelineConfig = field(default_factory=PoseTimelineConfig)
    device: str = "auto"
    shard: bool = False

    def __post_init__(self) -> None:
        validate(self)
        if not self.pictures.samples:
            refuse_unread(self, ["pictures"], "pictures.samples is 0")


class Run:
    """A run while it goes on; ``open_run`` makes it.

    Attributes:
        policy: what is trained.
        body: on which losses and rewards are measured.
        known_samples: its training samples; of one's own data, which is read as it is drawn, the first.
        phrase_fits: how well it does what phrases of its training ask, by when they were asked.
    """

    def __init__(
        self,
        config: RunConfig,
        phases: Sequence[Phase],
        policy: PosePolicy,
        processes: PartialState,
        record: RunRecord,
        states: Path | None = None,
    ) -> None:
        self.config, self.phases, self.policy, self._processes = config, phases, policy, processes
        self.body = load_body(config.body)
        self._output, self._record = Path(config.output_dir), record
        self._states = states or self._output / STATES_FILE
        self.known_samples: Sequence[Sample] = []
        self._phrases: list[TaughtPhrase] = []
        self.phrase_fits: dict[str, PhraseFit] = {}

    def samples(
        self, count: int, seed: int, given: Sequence[Sample] | None = None, imitated: bool = False
    ) -> Sequence[Sample]:
        """Training samples, with their pictures: drawn as the config says, unless they are given.

        Args:
            imitated: their answers are what is learned.

        Raises:
            UserError: a pose that is not finite, a line of one's own data that is broken or that the stage cannot
                learn from, or a run that goes on and began with other samples.
        """
        samples = given
        if samples is None:
            prepare = partial(prepared, self.policy, imitated)
            samples = training_samples(count, seed, self.config.data, self.config.processes, prepare)
        with self._processes.main_process_first():
            first = read_first(samples) if isinstance(samples, WeightedMixture) else samples
            check_poses(first)
            self._record.check_samples(samples)
            if given is None:
                folder = self._output / PICTURES_FOLDER
                samples = with_pictures(self.policy, samples, seed, self.config.pictures, folder)
        self.known_samples = first if isinstance(samples, WeightedMixture) else samples
        self._phrases = taught_phrases(self.known_samples)
        return samples

    def measure_phrases(self, when: str) -> None:
        """Note how well phrases among the training samples are done; nothing where there are none.

        A run that goes on measures the start anew: until it trains, its policy is the one that it began with.
        """
        needed = self._processes.is_main_process or self.config.shard  # all have to run a model they hold together
        if self._phrases and needed:
            poses = mean_poses(self.policy, [phrase.sample for phrase in self._phrases])
            self.phrase_fits[when] = phrase_fit(self._phrases, poses)

    def hidden_states(self, samples: Sequence[Sample], row_tokens: int) -> HiddenStateCache:
        """What the pose head reads of samples, computed once."""
        together = self.config.shard  # all processes have to run a language model that they hold together
        with contextlib.nullcontext() if together else self._processes.main_process_first():
            return cache_hidden_states(self.policy, samples, row_tokens, file=self._states)

    def newest_checkpoint(self, phase: Phase) -> str | None:
        return newest_checkpoint(self._output / phase.folder)

    def is_due(self, phase: Phase) -> bool:
        """Whether a phase is still to be trained, or to be trained on: it has steps, and no later one has begun."""
        later = self.phases[self.phases.index(phase) + 1 :]
        return phase.steps > 0 and not any(map(self.newest_checkpoint, later))

    def train(
        self,
        phase: Phase,
        title: str,
        make: Callable[[str, list[TrainerCallback]], CheckpointTrainer],
        callbacks: Sequence[TrainerCallback] = (),
    ) -> None:
        """Train a phase from its newest checkpoint on.

        Args:
            title: for the progress bar.
            make: gives the trainer, from the folder of its checkpoints and its callbacks.
            callbacks: beside those that show the run.
        """
        timeline = self.config.pose_timeline
        with LiveProgress(title) as live:
            shown: list[TrainerCallback] = [self._record, live]
            if phase.draws and timeline.every:
                path = self._output / TIMELINE_FILE
                shown.append(PoseTimeline(self.policy, timeline, path, self._steps_before(phase), phase.updates))
            trainer = make(str(self._output / phase.folder), [*shown, *callbacks])
            try:
                trainer.train(resume_from_checkpoint=self.newest_checkpoint(phase))
            except NonFiniteError as error:
                if not error.diverged:
                    raise
                begun = has_begun(self._output, [self._output / each.folder for each in self.phases])
                how = "go on with --resume" if begun else "start again"
                rate = f"{phase.group}.learning_rate (now {trainer.args.learning_rate:g})"
                raise NonFiniteError(error.cause, f"lower {rate} and {how}") from error

    def history(self) -> list[dict[str, float]]:
        """The log of all phases so far; the steps of each are counted on from those of the phases before it."""
        return [
            entry | {"step": entry["step"] + self._steps_before(phase)}
            for phase in self.phases
            for entry in read_history(self._output / phase.folder)
        ]

    def _steps_before(self, phase: Phase) -> int:
        return sum(earlier.steps for earlier in self.phases[: self.phases.index(phase)])


@contextmanager
def open_run(
    config: RunConfig,
    title: str,
    phases: Sequence[Phase],
    make_policy: Callable[[str], PosePolicy],
    resume: bool = False,
    states: Path | None = None,
) -> Iterator[Run]:
    """Begin a run, or go on with the one in the output directory; save policy and report when the block ends.

    A block that ends with an error leaves everything for the next attempt.

    Args:
        title: of the report.
        phases: in their order.
        make_policy: gives the policy to train, from a device's name.
        resume: go on from the newest checkpoint in the output directory.
        states: file of the hidden states that runs of the same samples and language model share; None keeps them in
            the output directory until the run ends.

    Raises:
        UserError: nothing to resume, a run that would be overwritten, or a place that cannot be written to.
    """
    output, device = Path(config.output_dir), pick_device(config.device)
    load_body(config.body)  # what is missed is missed before anything is written
    processes = join_processes(device)
    with processes.main_process_first():
        open_output(output, [output / phase.folder for phase in phases], resume)
        record = RunRecord(output, config, phases, resume)
    with status("Loading the policy ...") if processes.is_main_process else contextlib.nullcontext():
        policy = make_policy(device)
    policy.set_feature_cache(output / IMAGES_FOLDER)
    run = Run(config, phases, policy, processes, record, states)
    yield run
    record.settle()  # where no step was left
    policy.eval()
    policy.set_feature_cache(None)
    if processes.is_main_process:
        policy.save_pretrained(output / "policy")
    run.measure_phrases(AT_THE_END)
    if processes.is_main_process:
        for when, fit in run.phrase_fits.items():
            errors.print(f"{when}: {fit}", highlight=False, markup=False, soft_wrap=True)
        timeline = output / TIMELINE_FILE
        write_run_report(output, title, run.history(), config, timeline, record.changes, run.phrase_fits)
        clear_up(output)
    processes.wait_for_everyone()


def prepared(policy: PosePolicy, imitated: bool, sample: Sample) -> Sample:
    """A sample of one's own data as training takes it.

    Raises:
        UserError: the stage or the policy cannot learn from it; the message begins with the field.
    """
    if imitated and not sample.answer:
        raise UserError(
            "answer: there is none and no pose, so that there is nothing to imitate; add one, or use the line in rft"
        )
    if sample.image is not None and policy.image_mode is ImageMode.NONE:
        raise UserError("image: this policy answers texts only; choose one with an encoder or a vision tower")
    if sample.image is not None and sample.checks:
        raise UserError(
            "checks: are about an upright body, and photographs are learned in the frame of their crop; leave them out "
            "of lines with an image"
        )
    return with_photograph(policy, sample)


def read_first(samples: WeightedMixture) -> list[Sample]:
    """The first draws of one's own data, before training: what is broken among them is found now.

    Raises:
        UserError: as reading them does.
    """
    first: list[Sample] = []
    broken: dict[tuple[int, int], UserError] = {}
    ready: set[tuple[int, int]] = set()
    for index in track(range(min(len(samples), READ_FIRST)), "Reading samples", console=errors, transient=True):
        line = int(samples.source[index]), int(samples.line[index])
        if line in broken:
            continue
        try:
            first.append(samples.read(index))
            if line not in ready:
                samples[index]
                ready.add(line)
        except UserError as error:
            broken[line] = error
    if broken:
        one, *others = broken.values()
        more = f" (broken lines beside it: {len(others)}; pose-rft data check names them)" if others else ""
        raise UserError(f"{one}{more}")
    return first


def join_processes(device: str) -> PartialState:
    """The processes of this run, which torchrun or accelerate launch may have started; without them, one.

    Raises:
        UserError: they were started for FSDP or DeepSpeed, which wrap models in ways that ours cannot be.
    """
    for kind in ("FSDP", "DEEPSPEED"):
        if os.environ.get(f"ACCELERATE_USE_{kind}", "false").lower() == "true":
            raise UserError(
                f"accelerate launch: {kind} is not supported; start plain processes (torchrun, or accelerate launch "
                "--multi_gpu), with shard: true in the run's config if the language model is too large for one device"
            )
    return PartialState(cpu=device == "cpu")


def read_history(phase: Path) -> list[dict[str, float]]:
    """The log of a phase up to its newest checkpoint; empty where there is none."""
    newest = newest_checkpoint(phase)
    return [] if newest is None else read_state(Path(newest)).log_history


def has_begun(output: Path, phases: Sequence[Path]) -> bool:
    """Whether a run left something to go on from: a checkpoint of a phase, or what it computed once."""
    begun = [output / STATES_FILE, output / PICTURES_FOLDER, output / IMAGES_FOLDER]
    return any(newest_checkpoint(phase) for phase in phases) or any(path.exists() for path in begun)


def open_output(output: Path, phases: Sequence[Path], resume: bool) -> None:
    """Make the output directory of a run, or find in it the run to resume.

    Raises:
        UserError: nothing to resume, a run that would be overwritten, or a place that cannot be written to.
    """
    begun = has_begun(output, phases)
    if resume and not begun:
        raise UserError(f"{output}: no checkpoint to resume from; start the run without --resume")
    if begun and not resume:
        raise UserError(f"{output}: holds a run already; go on with --resume or choose another output_dir")
    ensure_directory(output)


def clear_up(output: Path) -> None:
    """Delete what a run computed once, now that it is over."""
    (output / STATES_FILE).unlink(missing_ok=True)
    for folder in (PICTURES_FOLDER, IMAGES_FOLDER):
        shutil.rmtree(output / folder, ignore_errors=True)
