"""Phrase fit and posture: how well a policy does what its own training phrases say, and how its bodies hold themselves.

    POSE_RFT_MOCAP=FOLDER python -m benchmarks.phrase_fit --checkpoint default

Phrases of the concept bank, word for word, answered with the mean pose: the share of the concept's checks, all of them
met, and the distance to the nearest of the concept's poses (of either side where the phrase names none). Then the nod
of the head and the soles of those who stand, of recordings for training, of captions of held-out recordings, and of
the prompts of canonical (dev).
"""

import argparse

import numpy as np
import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor

from benchmarks.command_line import add_recordings
from pose_rft.body import load_body
from pose_rft.data.canonical import canonical_prompts
from pose_rft.data.concepts.concept import Concept, has_side
from pose_rft.data.concepts.pools import ConceptPools
from pose_rft.data.mocap.clips import drawing_weights
from pose_rft.data.sample import SHORT_ANSWER, Sample
from pose_rft.evaluation.caption_benchmark import captioned_poses, recorded_poses
from pose_rft.evaluation.grading import answered_poses
from pose_rft.evaluation.phrase_fit import TaughtPhrase, phrase_fit
from pose_rft.policy import PosePolicy
from pose_rft.posescript.measurements import Measurements
from pose_rft.posescript.plausibility import FLAT_SOLE, supporting_soles

POSES = 16  # targets of a concept
SEED = 20_260


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--checkpoint", default="default")
    parser.add_argument("--phrases", type=int, default=400, help="how many (default: %(default)s)")
    add_recordings(parser)
    arguments = parser.parse_args()
    rng = np.random.default_rng(SEED)
    held_out, training = recorded_poses(arguments.poses)
    policy = PosePolicy.from_pretrained(arguments.checkpoint)
    console = Console(soft_wrap=True)
    console.print(fit_table(policy, arguments.phrases, rng))
    captions = captioned_poses(torch.from_numpy(held_out.pose), "held out", weights=drawing_weights(held_out))
    real = training.pose[rng.choice(len(training), size=2000, p=drawing_weights(training))]
    table = Table("bodies", "head's nod, median", f"supporting soles tilted over {FLAT_SOLE:.0f} degrees")
    for name, poses in (
        ("recordings for training", torch.from_numpy(real)),
        ("mean poses, captions of held-out recordings", mean_poses(policy, [each.prompt for each in captions])),
        ("mean poses, canonical (dev)", mean_poses(policy, [each.prompt for each in canonical_prompts("dev")])),
    ):
        table.add_row(name, *posture(poses))
    console.print(table)


def fit_table(policy: PosePolicy, count: int, rng: np.random.Generator) -> Table:
    """How well ``count`` phrases of the bank are done."""
    pools = ConceptPools(POSES, SEED)
    every = [(concept, phrase) for concept in pools.concepts for phrase in concept.phrases]
    asked = [every[row] for row in rng.permutation(len(every))[:count]]
    samples = [Sample(pair[1], SHORT_ANSWER, checks=pools.checks(*pair)) for pair in asked]
    phrases = [TaughtPhrase(sample, targets(pools, *pair)) for sample, pair in zip(samples, asked, strict=True)]
    fit = phrase_fit(phrases, mean_poses(policy, [sample.prompt for sample in samples]))
    shares, kept, distance = fit.satisfaction, fit.kept, fit.nearest_mm
    table = Table("training phrases", "checks met", "kept", "to the nearest target")
    table.add_row(
        str(fit.phrases),
        f"{shares.mean:.1%} ({shares.low:.1%} to {shares.high:.1%})",
        f"{kept.mean:.1%} ({kept.low:.1%} to {kept.high:.1%})",
        f"{distance.mean:.0f} mm ({distance.low:.0f} to {distance.high:.0f})",
    )
    return table


def mean_poses(policy: PosePolicy, prompts: list[str]) -> Tensor:
    """(N, 22, 3) of the answers at temperature 0; answers without a pose are left standing at rest."""
    return answered_poses(policy.generate(prompts, temperature=0.0))[:, 0].nan_to_num(0.0)


def targets(pools: ConceptPools, concept: Concept, phrase: str) -> np.ndarray:
    """(M, 22, 3) poses that a phrase was learned with; of both sides where it names none."""
    name = concept.id.removesuffix("~mirrored")
    mates = [concept] if has_side(phrase) else [c for c in pools.concepts if c.id.removesuffix("~mirrored") == name]
    return np.concatenate([pools.poses(mate) for mate in mates])


def posture(poses: Tensor) -> tuple[str, str]:
    """Median nod, and share of supporting soles that are tilted, of poses (N, 22, 3)."""
    points = load_body().points(poses)
    nod = Measurements(points).measure("nod", ()).median()
    tilt, supporting = supporting_soles(points)
    return f"{nod:.0f} degrees", f"{(tilt > FLAT_SOLE)[supporting].float().mean():.1%} of {int(supporting.sum())}"


if __name__ == "__main__":
    main()
