"""The main job in a few minutes on two cores: answer, fine-tune by reward, judge before and after, report."""

import io
import platform
import time
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

import torch
from PIL.Image import Image
from rich.console import Console

from pose_rft.answers import write_answers
from pose_rft.data.mixtures.text_to_pose import MixtureConfig
from pose_rft.data.photographs import TWO_PEOPLE
from pose_rft.data.sample import Sample
from pose_rft.errors import UserError
from pose_rft.evaluation.benchmarks import JUDGE, evaluate_samples, load_benchmark, save_result
from pose_rft.evaluation.report import Picture, write_report
from pose_rft.evaluation.run_report import log_curves
from pose_rft.hygrpo import HyGRPOConfig
from pose_rft.policy import Answer, PosePolicy, PromptInput
from pose_rft.retrieval.model import RetrievalModel
from pose_rft.runs.rft import PosePhaseConfig, RftConfig, run_rft
from pose_rft.terminal import status
from pose_rft.vision.images import read_image

PER_STEP = 5  # steps of the opening phase for each step of the language model
PROMPTS = (
    "Both arms are raised above the head and the left knee is bent.",
    "a boxer throwing a left jab",
    "someone sitting cross-legged on the floor with their hands on their knees",
)
QUESTIONS = ("What is the pose of the person on the left?", "What is the pose of the person on the right?")


def demo_config(output_dir: Path, steps: int, seed: int, device: str) -> RftConfig:
    """The demo's run: ``steps`` of the opening phase for each of the language model."""
    hygrpo = HyGRPOConfig(
        steps=steps,
        prompts_per_step=8,
        answers_per_prompt=2,
        poses_per_answer=64,
        learning_rate=5e-5,
        beta_pose=0.03,
        seed=seed,
        save_steps=20,
    )
    return RftConfig(
        output_dir=str(output_dir),
        prompts=1_000,
        data=MixtureConfig(clips=0.0, chat=0.0),
        rewards=["format", "posecodes", {"name": "semantic", "weight": 0.5}],
        pose_phase=PosePhaseConfig(steps=PER_STEP * steps, learning_rate=1e-4),
        hygrpo=hygrpo,
        device=device,
    )


def run_demo(out: Path, steps: int, seed: int, device: str, console: Console) -> Path:
    """Run it all into ``out`` and return the path of ``report.html``.

    Raises:
        UserError: ``out`` holds a demo already, or cannot be written.
    """
    if any((out / "rft").glob("checkpoint-*")):
        raise UserError(f"{out}: holds a demo already; delete it or choose another --out")
    started = time.monotonic()
    console.rule("1 of 4: the default policy answers three texts")
    with status("Loading the policy ..."):
        start = PosePolicy.from_pretrained("default", device)
    before_answers = _answer(start, out / "before", console)
    samples = held_out_prompts(seed)
    console.rule(f"2 of 4: judged on {len(samples)} held-out prompts")
    independent = RetrievalModel.load(JUDGE)
    before = evaluate_samples(samples, start, retrieval=independent, num_samples=4, seed=seed, show_progress=True)
    save_result(before, out / "before.json")
    _say(console, before)

    console.rule(f"3 of 4: HyGRPO, {PER_STEP * steps} steps of the pose head, {steps} of words and poses")
    config = demo_config(out / "rft", steps, seed, device)
    del start
    policy, history = run_rft(config)

    console.rule("4 of 4: judged again")
    after_answers = _answer(policy, out / "after", console)
    after = evaluate_samples(samples, policy, retrieval=independent, num_samples=4, seed=seed, show_progress=True)
    save_result(after, out / "after.json")
    _say(console, after)
    pictures = [
        (prompt, old._repr_png_() or b"", new._repr_png_() or b"", new.text)
        for prompt, old, new in zip(PROMPTS, before_answers, after_answers, strict=True)
    ]
    report = out / "report.html"
    facts = {
        "Command": f"pose-rft demo --out {out} --steps {steps} --seed {seed}",
        "Time": f"{(time.monotonic() - started) / 60:.1f} minutes on {_machine(device)}",
        "Run": f"{config.pose_phase.steps} rollouts of {config.pose_phase.prompts_per_step} prompts x "
        f"{config.hygrpo.poses_per_answer} poses for the pose head, then {steps} of {config.hygrpo.prompts_per_step} "
        f"prompts x {config.hygrpo.answers_per_prompt} answers x {config.hygrpo.poses_per_answer} poses for words and "
        "poses; rewards: format, posecodes, semantic",
        "Held-out prompts": "half typed by people (everyday-prompts), half captions of poses kept out of training",
        "Version": f"pose-rft {version('pose-rft')}, torch {torch.__version__}, Python {platform.python_version()}",
    }
    curves = log_curves(history)
    photographs = _about_photograph(policy, out / "photograph", console)
    write_report(report, "Pose-RFT demo: before and after HyGRPO", before, after, pictures, curves, facts, photographs)
    return report


def held_out_prompts(seed: int, of_each: int = 40) -> list[Sample]:
    """Prompts that no training saw: typed ones, and captions of held-out procedural poses."""
    typed, _ = load_benchmark("everyday-prompts")
    captions, _ = load_benchmark("captions", limit=of_each)
    order = torch.randperm(len(typed), generator=torch.Generator().manual_seed(seed))
    return [typed[i] for i in order[:of_each].tolist()] + list(captions)


def _answer(policy: PosePolicy, directory: Path, console: Console) -> Sequence[Answer]:
    """Answer the three prompts with the mean pose; write them all and return them."""
    answers = []
    for index, (prompt, group) in enumerate(zip(PROMPTS, policy.generate(PROMPTS, temperature=0.0), strict=True)):
        write_answers(directory / f"{index + 1}", [(PromptInput(prompt), group)])
        console.print(f"[bold]{prompt}[/]\n  {group[0].text}  [dim]{directory / str(index + 1)}[/]", highlight=False)
        answers.append(group[0])
    return answers


def _about_photograph(policy: PosePolicy, directory: Path, console: Console) -> list[Picture]:
    """Answer the questions about the bundled photograph; write the answers and return them for the report."""
    photograph = read_image(TWO_PEOPLE)
    groups = policy.generate(QUESTIONS, [photograph] * len(QUESTIONS), temperature=0.0)
    pictures = []
    for index, (question, (answer,)) in enumerate(zip(QUESTIONS, groups, strict=True)):
        write_answers(directory / f"{index + 1}", [(PromptInput(question, TWO_PEOPLE), [answer])])
        console.print(f"[bold]{question}[/]\n  {answer.text}  [dim]{directory / str(index + 1)}[/]", highlight=False)
        note = f"{answer.text} Photograph: a frame of the demonstration video of Sports2D (BSD-3-Clause)."
        pictures.append((question, _small(photograph), _small(answer.overlay() or photograph), note))
    return pictures


def _small(image: Image) -> bytes:
    """A PNG of at most 640 pixels a side."""
    small, buffer = image.copy(), io.BytesIO()
    small.thumbnail((640, 640))
    small.save(buffer, format="PNG")
    return buffer.getvalue()


def _say(console: Console, result: dict) -> None:
    means = {way: result[way]["satisfaction"]["mean"] for way in ("mean_pose", "sampled")}
    console.print(f"Checks met: mean pose {means['mean_pose']:.1%}, sampled poses {means['sampled']:.1%}")


def _machine(device: str) -> str:
    if device.startswith("cuda"):
        return torch.cuda.get_device_name(device)
    return f"{torch.get_num_threads()} CPU threads"
