"""Named benchmarks: which prompts, which real poses, and how a policy is asked."""

import json
import time
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from rich.table import Table
from torch import Tensor

from pose_rft.body.pose_files import Up, read_poses
from pose_rft.body.skeleton import NUM_JOINTS
from pose_rft.data.canonical import canonical_prompts
from pose_rft.data.everyday import Split, everyday_prompts
from pose_rft.data.foreign import RECORDINGS, foreign_captions
from pose_rft.data.mocap.clips import drawing_weights, facing_forward
from pose_rft.data.mocap.recordings import find_recordings
from pose_rft.data.sample import Sample
from pose_rft.data.speculative import speculative_prompts
from pose_rft.data.stated import said
from pose_rft.data.wordings import wording_prompts
from pose_rft.errors import UserError
from pose_rft.evaluation.asking import Answering, ask
from pose_rft.evaluation.baselines import concept_baselines, training_baselines
from pose_rft.evaluation.caption_benchmark import (
    PROMPTS,
    REFERENCE_SEED,
    captioned_poses,
    procedural_poses,
    recorded_poses,
)
from pose_rft.evaluation.edit_benchmark import EDITS, edits_table, evaluate_edits
from pose_rft.evaluation.grading import (
    MEASURES,
    WAYS,
    Row,
    answered_poses,
    by_category,
    grade_poses,
    interval_text,
    summarise,
    table_title,
    words_held,
)
from pose_rft.evaluation.picture_benchmark import PROMPTS as PICTURES
from pose_rft.evaluation.picture_benchmark import pictured_poses
from pose_rft.evaluation.protocol_bodies import ProtocolBodies
from pose_rft.evaluation.reasoning_benchmark import REASONED, people_baselines, reasoned_poses
from pose_rft.evaluation.retrieval_judge import DISTANCES, SHOWN, judge_answers, judge_scores
from pose_rft.evaluation.talk_benchmark import TALK, evaluate_talk, talk_table
from pose_rft.evaluation.word_benchmarks import COMPARE, DESCRIBE, evaluate_words, words_table
from pose_rft.policy.selection import CANDIDATES
from pose_rft.retrieval.model import RetrievalModel
from pose_rft.storage import atomic_file, package_table

RANDOM, RECORDED = "random real poses", "recorded poses"  # rows of a result beside the policy's
RANDOM_POSES = 64  # real poses drawn for the reference row
GALLERIES = 8  # at most so many samples of a prompt stand in a gallery of the judge
TYPED = {  # prompts without recorded poses
    "everyday-prompts": everyday_prompts,
    "canonical": canonical_prompts,
    "wordings": wording_prompts,
    "speculative-poses": speculative_prompts,
}
BY_CATEGORY = ("canonical", "wordings")  # the table of results begins with what is kept in each category
FOREIGN = "foreign-captions"
WITHOUT_POLICY = (DESCRIBE, COMPARE)
BY_PROMPT = ("satisfaction", "kept", "heading_mpjpe_mm")  # measures that are given for each category
JUDGE = "judge"  # the bundled retrieval model that grades answers


def list_benchmarks() -> list[dict[str, str]]:
    """``name``, ``description`` and ``needs`` of every benchmark."""
    return package_table(__package__, "benchmarks.yaml")


def evaluate(
    benchmark: str,
    policy: Answering | None,
    *,
    poses: Path | None = None,
    up: Up | None = None,
    split: Split = "test",
    limit: int | None = None,
    num_samples: int = 8,
    temperature: float = 1.0,
    seed: int = 0,
    best_of: int = CANDIDATES,
    settle: bool = True,
    show_progress: bool = False,
) -> dict[str, Any]:
    """Judge a policy on a named benchmark.

    Args:
        benchmark: a name of ``list_benchmarks()``.
        policy: see ``Answering``; None for ``WITHOUT_POLICY``.
        poses: real poses, see ``needs`` of the benchmark.
        up: the axis that points up in them; see ``read_poses``.
        split: of written prompts: "test" is what gets reported, "dev" is for choosing settings.
        limit: ask only so many prompts.
        num_samples: sampled answers per prompt, beside the one at temperature 0.
        temperature: of the sampled answers.
        seed: of sampling; the same seed gives the same result.
        best_of: poses sampled for the answers to texts that are chosen from many; 1 leaves these answers out.
        settle: whether answers, and the poses that are found without a policy, are put on the floor (``settle``).
        show_progress: draw a progress bar with the time left.

    Returns:
        The result of ``evaluate_samples``, of ``evaluate_talk`` where words are judged, of ``evaluate_edits``, or of
        ``evaluate_words``, with the benchmark's name.

    Raises:
        UserError: an unknown benchmark, or poses that cannot be read.
    """
    if benchmark in WITHOUT_POLICY:
        check_limit(limit)
        told = evaluate_words(benchmark, RetrievalModel.load(JUDGE), poses, up, limit, seed, show_progress)
        return {"benchmark": benchmark, "poses": str(poses) if poses else None, **told}
    if policy is None:
        raise UserError(f"{benchmark}: asks a policy; give one")
    if benchmark in TALK:
        check_limit(limit)
        prompts = TALK[benchmark](split)[:limit]
        said = evaluate_talk(prompts, policy, num_samples, temperature, seed, show_progress)
        return {"benchmark": benchmark, "split": split, "poses": None, **said}
    if benchmark == EDITS:
        check_limit(limit)
        return {"benchmark": benchmark, "split": split, **evaluate_edits(policy, split, limit, show_progress)}
    samples, reference = load_benchmark(benchmark, poses=poses, up=up, split=split, limit=limit)
    baselines = {}
    if benchmark in TYPED:
        baselines = concept_baselines([sample.prompt for sample in samples], show_progress)
    elif benchmark == FOREIGN:
        _, training = recorded_poses(poses or Path(RECORDINGS), up)
        baselines = training_baselines([sample.prompt for sample in samples], training)
    elif benchmark == REASONED:
        baselines = people_baselines(split, limit)
    if settle:
        baselines = {name: _settled_as_answers(some, samples) for name, some in baselines.items()}
    result = evaluate_samples(
        samples,
        policy,
        reference=reference,
        baselines=baselines,
        num_samples=num_samples,
        temperature=temperature,
        seed=seed,
        best_of=best_of,
        settle=settle,
        show_progress=show_progress,
        retrieval=RetrievalModel.load(JUDGE),
    )
    return {"benchmark": benchmark, "split": split, "poses": str(poses) if poses else None, **result}


def _settled_as_answers(poses: Tensor, samples: Sequence[Sample]) -> Tensor:
    """Poses (N, K, 22, 3) that answer prompts without a policy, with all that ``generate`` does to its answers.

    Those about pictures stay: in a camera's frame there is no floor.
    """
    return torch.stack(
        [
            said(sample.prompt).settle(some) if sample.image is None else some
            for sample, some in zip(samples, poses, strict=True)
        ]
    )


def load_benchmark(
    benchmark: str,
    *,
    poses: Path | None = None,
    up: Up | None = None,
    split: Split = "test",
    limit: int | None = None,
) -> tuple[list[Sample], Tensor | None]:
    """The prompts of a benchmark that judges poses, and real poses (M, 22, 3) axis-angle to compare with, or None.

    Where recorded poses are asked for, those of training recordings are compared with, so that a recorded pose has a
    distance to real ones too.

    Raises:
        UserError: an unknown benchmark, poses that cannot be read, or a limit below 1.
    """
    check_limit(limit)
    if benchmark in TYPED:
        return TYPED[benchmark](split)[:limit], real_poses(poses, up)
    if benchmark == REASONED:
        return reasoned_poses(split, limit), real_poses(poses, up)
    if benchmark == FOREIGN:
        poses = poses or Path(RECORDINGS)
        samples = foreign_captions(poses, split, up)[:limit]
        return samples, facing_forward(torch.from_numpy(recorded_poses(poses, up)[1].pose))
    if benchmark in ("captions", "renders"):
        make, count = (captioned_poses, PROMPTS) if benchmark == "captions" else (pictured_poses, PICTURES)
        count = count if limit is None else limit
        if poses is None:
            return make(procedural_poses(), "procedural", count), procedural_poses(REFERENCE_SEED)
        held_out, training = recorded_poses(poses, up)
        samples = make(torch.from_numpy(held_out.pose), str(poses), count, weights=drawing_weights(held_out))
        return samples, facing_forward(torch.from_numpy(training.pose)) if len(training) else None
    names = ", ".join(known["name"] for known in list_benchmarks())
    raise UserError(f"no benchmark is called {benchmark!r}; there are: {names}")


def real_poses(poses: Path | None, up: Up | None = None) -> Tensor | None:
    """Poses (M, 22, 3) of files to compare answers with, facing +z; None of None."""
    files = [] if poses is None else find_recordings(poses)
    real = [facing_forward(torch.from_numpy(read_poses(file, up).pose)) for file in files]
    return torch.cat(real) if real else None


def check_limit(limit: int | None) -> None:
    """Refuse a limit below 1."""
    if limit is not None and limit < 1:
        raise UserError(f"limit: ask at least 1 prompt, not {limit}")


def evaluate_samples(
    samples: Sequence[Sample],
    policy: Answering,
    *,
    reference: Tensor | None = None,
    baselines: Mapping[str, Tensor] | None = None,
    num_samples: int = 8,
    temperature: float = 1.0,
    seed: int = 0,
    best_of: int = 1,
    settle: bool = True,
    batch_size: int = 32,
    show_progress: bool = False,
    retrieval: RetrievalModel | None = None,
    protocol: ProtocolBodies | None = None,
) -> dict[str, Any]:
    """Ask a policy every prompt and grade: at temperature 0 (the mean pose), ``num_samples`` times, and best of many.

    Args:
        samples: prompts with checks and perhaps recorded poses.
        reference: (M, 22, 3) real poses, axis-angle; None leaves out what needs them.
        baselines: names, and poses (N, K, 22, 3) that answer the prompts without a policy: rows of ``references``.
        batch_size: prompts per call of ``policy.generate``.
        retrieval: a model with the role of judge; None leaves out what needs it.
        protocol: how distances to recorded poses are measured; None takes the bundled body's 22 joints.
        others: see ``evaluate``.

    Returns:
        What ``json.dumps`` takes: ``WAYS`` of asking (each measure as mean, low, high, n), ``references``
        (the same for poses that are no answers), ``categories`` (of each ``prompts``, and ``BY_PROMPT`` measures of
        every way and reference), ``rows``, one per prompt, and with a retrieval model ``judge``: for each way and
        reference the figures of the whole set (``judge_answers``).

    Raises:
        UserError: the retrieval model's role is not judge: what rewards must not grade.
    """
    if retrieval is not None and retrieval.settings.role != "judge":
        raise UserError(
            "evaluation: a retrieval model of role 'reward' must not grade answers; give one of role 'judge'"
        )
    started = time.monotonic()
    prompts, images = [sample.prompt for sample in samples], [sample.image for sample in samples]
    boxes = [sample.box for sample in samples] if any(sample.box for sample in samples) else None
    sampling = (num_samples, temperature, seed, best_of, settle, batch_size)
    answers = ask(policy, prompts, images, *sampling, show_progress, boxes)
    answered = {way: answered_poses(given) for way, given in answers.items()}  # (N, K, 22, 3)
    references = reference_poses(samples, reference, seed) | dict(baselines or {})
    rivals = None
    if retrieval is not None and RANDOM in references:
        rivals = judge_scores(retrieval, prompts, references[RANDOM])
    how = (retrieval, rivals, protocol)
    graded = {way: grade_poses(samples, poses, reference, *how) for way, poses in answered.items()}
    for way, given in answers.items():
        for row, share in zip(graded[way], words_held(given, answered[way]), strict=True):
            row["words_held"] = share
    graded_references = _grade_references(samples, references, reference, *how)
    rows = [
        {
            "prompt": sample.prompt,
            "category": sample.category or None,
            "checks": list(sample.checks),
            "answer": answers["mean_pose"][n][0].text,
            **{way: rows[n] for way, rows in graded.items()},
        }
        for n, sample in enumerate(samples)
    ]
    return {
        "version": version("pose-rft"),
        "settings": {
            "num_samples": num_samples,
            "temperature": temperature,
            "seed": seed,
            "best_of": best_of,
            "settle": settle,
        },
        "prompts": len(samples),
        "seconds": round(time.monotonic() - started, 1),
        **{way: summarise(graded[way]) for way in graded},
        "references": {name: summarise(graded_references[name]) for name in graded_references},
        "categories": by_category([sample.category for sample in samples], graded | graded_references, BY_PROMPT),
        **({} if retrieval is None else {"judge": _judge_figures(retrieval, samples, answered | references)}),
        "rows": rows,
    }


def reference_poses(samples: Sequence[Sample], reference: Tensor | None, seed: int = 0) -> dict[str, Tensor]:
    """Poses (N, K, 22, 3) to compare with: the rest pose, random ones of the real poses, and the recorded ones.

    Those that know nothing of the prompt are what a policy has to beat. Without real poses there are no random ones,
    and where a prompt has no recorded pose no recorded ones.
    """
    poses = {"rest pose": torch.zeros(len(samples), 1, NUM_JOINTS, 3)}
    if reference is not None:
        generator = torch.Generator().manual_seed(seed)
        drawn = torch.randint(len(reference), (len(samples), RANDOM_POSES), generator=generator)
        poses[RANDOM] = reference[drawn]
    if all(sample.pose is not None for sample in samples):
        poses[RECORDED] = torch.stack([torch.as_tensor(sample.pose) for sample in samples]).unsqueeze(1)
    return poses


def _grade_references(
    samples: Sequence[Sample],
    poses: dict[str, Tensor],
    reference: Tensor | None,
    retrieval: RetrievalModel | None,
    rivals: Tensor | None,
    protocol: ProtocolBodies | None,
) -> dict[str, list[Row]]:
    """Random real poses are neither measured by their distance to themselves nor preferred to themselves."""
    return {
        name: grade_poses(
            samples, some, *((None, retrieval, None) if name == RANDOM else (reference, retrieval, rivals)), protocol
        )
        for name, some in poses.items()
    }


def _judge_figures(retrieval: RetrievalModel, samples: Sequence[Sample], poses: dict[str, Tensor]) -> dict[str, Any]:
    prompts = [sample.prompt for sample in samples]
    recorded = poses[RECORDED][:, 0] if RECORDED in poses else None  # (N, 22, 3)
    return {name: judge_answers(retrieval, prompts, some[:, :GALLERIES], recorded) for name, some in poses.items()}


def results_table(result: dict[str, Any]) -> Table:
    """The figures of ``evaluate`` for a terminal: one line per measure, intervals in brackets."""
    if result.get("benchmark") in TALK:
        return talk_table(result)
    if result.get("benchmark") == EDITS:
        return edits_table(result)
    if result.get("benchmark") in WITHOUT_POLICY:
        return words_table(result)
    columns = {way: result[way] for way in WAYS if way in result} | result["references"]
    judged = result.get("judge", {})
    columns |= {name: {} for name in judged if name not in columns}
    table = Table("measure", *(name.replace("_", " ") for name in columns), title=table_title(result))
    if result.get("benchmark") in BY_CATEGORY:
        for category, found in result["categories"].items():
            kept = (found["kept"].get(name) for name in columns)
            table.add_row(f"kept: {category}", *(_text("kept", value) for value in kept))
    for measure in MEASURES:
        if any(measure in summary for summary in columns.values()):
            table.add_row(measure, *(_text(measure, summary.get(measure)) for summary in columns.values()))
    for measure in (*SHOWN, *DISTANCES):
        found = [judged.get(name, {}).get(measure) for name in columns]
        if any(value is not None for value in found):
            label = measure if measure in DISTANCES else f"judge: {measure}"
            table.add_row(label, *(_text(measure, value) for value in found))
    return table


def _text(measure: str, value: dict[str, float] | float | None) -> str:
    if isinstance(value, float):
        return f"{value:.3g}"
    return interval_text(measure, value)


def save_result(result: dict[str, Any], path: Path) -> None:
    """Write a result as JSON; an earlier file stays whole if that fails.

    Raises:
        UserError: the place cannot be written.
    """
    with atomic_file(path) as part:
        part.write_text(json.dumps(result, indent=1, ensure_ascii=False, allow_nan=False) + "\n", encoding="utf-8")
