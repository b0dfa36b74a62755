"""The training mixture for text to pose: captions, everyday phrases, compositions, clips and plain talk, by weight.

A mixture is a function of its number, seed and config alone. It is drawn in shards, each with a seed of its own, so
that any number of processes draws the same samples.
"""

from dataclasses import dataclass, field, fields, replace
from functools import lru_cache, partial

import numpy as np
import torch

from pose_rft.config import Fraction, NonNegativeFloat, PositiveFloat, PositiveInt, refuse_unread, validate
from pose_rft.data.canonical import is_canonical_prompt
from pose_rft.data.concepts.pools import concept_pools
from pose_rft.data.everyday import is_everyday_prompt
from pose_rft.data.mixtures.drawing import Drawing
from pose_rft.data.mixtures.sources import SOURCES
from pose_rft.data.mocap.clips import MocapClips, concatenated, facing_forward, read_mocap, train_test_split
from pose_rft.data.readers.amass import read_amass
from pose_rft.data.readers.registry import reader_of
from pose_rft.data.sample import Sample
from pose_rft.data.speculative import is_speculative_prompt
from pose_rft.data.splits import Part, in_part
from pose_rft.data.talk import is_general_prompt, is_request_prompt
from pose_rft.data.wordings import is_wording_prompt
from pose_rft.errors import UserError
from pose_rft.parallel import ordered_map

BUILT_IN = "builtin"  # the source that is the mixture itself
SHARD = 5_000  # samples drawn with one seed
PART_SEED: dict[Part, tuple[int, ...]] = {"all": (), "reward": (1,), "judge": (2,)}


@dataclass(frozen=True)
class SourceConfig:
    """A source of ``MixtureConfig.sources``: one's own data, a published data set, or the mixture of the other fields.

    Attributes:
        path: JSON Lines, Parquet, a folder with a data set or a Hugging Face id; with a name, the folder that the
            published data set of this name was unpacked to.
        name: a published data set (docs/readers.md), or "builtin" in place of a path.
        weight: relative; its share of what is drawn.
    """

    path: str | None = None
    name: str | None = None
    weight: PositiveFloat = 1.0

    def __post_init__(self) -> None:
        validate(self)
        if self.name is not None and self.name != BUILT_IN:
            reader_of(self.name)
        if (self.path is None) != (self.name == BUILT_IN):
            raise UserError("path: every source but builtin has one, such as pairs.jsonl or a data set's folder")


@dataclass(frozen=True)
class MixtureConfig:
    """What the training samples are made of. The weights are relative; a source with weight 0 is left out.

    Attributes:
        sources: a list of {path: pairs.jsonl, weight: 1.0} for one's own data, {name: posescript, path: FOLDER} for
            published data sets (docs/readers.md), and {name: builtin} for what the fields below say; empty for that
            alone.
        captions_procedural: captions made by rule, of mixed and perturbed poses of the concepts.
        captions_mocap: captions made by rule, of motion capture; left out without ``mocap`` and ``amass``.
        phrases: what people call poses, with the concept's poses and checks.
        compositions: several concepts in one sentence.
        wordings: words that decide: contrasts, negations, numbers, degrees, one sentence of a long prompt.
        clips: what people would call a motion capture clip, with its frames; left out where no clip has words.
        chat: questions that want words and no pose.
        requests: a pose and a fact in one prompt, words and no pose, questions about the pose that was shown before,
            and questions that no pose answers.
        edits: a given pose and an order that changes it; this and the next four are for policies that read poses.
        completions: a given pose of which some parts are known, and the whole.
        descriptions: a given pose, described in words.
        comparisons: two given poses, and what changes from one to the other.
        corrections: a given pose of an exercise done wrong, and how it is done right; left out without UI-PRMD.
        outlined: share of the answers that say what the body does before they show the pose ("The left hand is on the
            hip, both legs are straight: <POSE>."), where the words leave no doubt.
        mocap: a file of recordings, a folder of them or a pattern such as *_poses.npz; held-out clips are never used.
        amass: a directory of AMASS .npz files; its held-out files are never used.
        concept_poses: poses drawn for each concept; samples choose among them.
        settled: poses of concepts, compositions and wordings come to the floor as answers do; some milliseconds each.
        exclude_concepts: ids (their mirrored twins go too) that no sample is made of.
        part: "reward" or "judge" draws from one half of the recordings and from concept poses of its own, so that two
            models trained on the two parts share no pose; "all" draws from everything.
    """

    sources: list[SourceConfig] = field(default_factory=list)
    captions_procedural: NonNegativeFloat = 0.25
    captions_mocap: NonNegativeFloat = 0.22
    phrases: NonNegativeFloat = 0.27
    compositions: NonNegativeFloat = 0.20
    wordings: NonNegativeFloat = 0.15
    clips: NonNegativeFloat = 0.02
    chat: NonNegativeFloat = 0.04
    requests: NonNegativeFloat = 0.0
    edits: NonNegativeFloat = 0.0
    completions: NonNegativeFloat = 0.0
    descriptions: NonNegativeFloat = 0.0
    comparisons: NonNegativeFloat = 0.0
    corrections: NonNegativeFloat = 0.0
    outlined: Fraction = 0.0
    mocap: str | None = None
    amass: str | None = None
    concept_poses: PositiveInt = 128
    settled: bool = False
    exclude_concepts: list[str] = field(default_factory=list)
    part: Part = "all"

    def __post_init__(self) -> None:
        validate(self)
        built_in = [source for source in self.sources if source.name == BUILT_IN]
        if len(built_in) > 1:
            raise UserError("sources: names builtin more than once; add their weights up")
        if self.sources and not built_in:
            # Of these, retrieval training and smoke runs set values of their own.
            elsewhere = ("sources", "chat", "concept_poses")
            others = [each.name for each in fields(self) if each.name not in elsewhere]
            refuse_unread(self, others, "sources does not name builtin")
        if not any(getattr(self, name) for name in SOURCES):
            raise UserError(f"{', '.join(SOURCES)}: all weights are zero; give one of them a positive one")
        recorded = ("captions_mocap", "clips", "edits", "completions", "descriptions", "comparisons", "corrections")
        if not any(getattr(self, name) for name in recorded):
            refuse_unread(self, ["mocap", "amass"], f"{', '.join(recorded)} are 0")


def text_to_pose_mixture(n: int, seed: int, config: MixtureConfig | None = None, processes: int = 1) -> list[Sample]:
    """Draw training samples.

    Args:
        n: how many.
        seed: the same seed and config give the same samples, whatever ``processes``.
        config: what they are made of.
        processes: how many processes draw shards of 5,000 samples (spawned, so the caller's script needs the usual
            ``if __name__ == "__main__"``); the first shard of a process takes longer: it solves the concepts' poses.

    Returns:
        n samples in random order, less those that ask what a benchmark of typed prompts asks (about 1 in 4,000).
        Every prompt's checks are met by its pose. ``source`` says where a sample is from:
        "caption:procedural", "caption:<clip>", "phrase:<concept>", "composition:<concept>+<concept>", "clip:<clip>",
        "wording:<contrast, negation, number, degree or long>", "chat", "request:<mixed, words or shown>:<concept>",
        "request:unseen", "edit:<everyday or instruction>", "complete", "describe", "compare", "correct:<clip>".

    Raises:
        UserError: an unreadable file, an unknown concept, or nothing to draw from.
    """
    config = config or MixtureConfig()
    if n < 0 or processes < 1:
        raise UserError(f"a mixture needs n >= 0 and processes >= 1, not {n} and {processes}")
    _recordings(config.mocap, config.amass, config.part)  # a wrong path fails here, before any process starts
    sizes = [min(SHARD, n - start) for start in range(0, n, SHARD)]
    shards = ordered_map(partial(_shard, seed=seed, config=config), list(enumerate(sizes)), processes, "samples")
    return [sample for shard in shards for sample in shard if not _is_asked(sample.prompt)]


def _is_asked(prompt: str) -> bool:
    """Whether a benchmark asks the same."""
    benchmarks = (
        is_everyday_prompt,
        is_canonical_prompt,
        is_wording_prompt,
        is_speculative_prompt,
        is_request_prompt,
        is_general_prompt,
    )
    return any(asks(prompt) for asks in benchmarks)


def _shard(job: tuple[int, int], seed: int, config: MixtureConfig) -> list[Sample]:
    """Samples of one shard, job = (index, size)."""
    index, size = job
    rng = np.random.default_rng([abs(seed), int(seed < 0), index, *PART_SEED[config.part]])
    pools = concept_pools(config.concept_poses, seed, tuple(config.exclude_concepts), config.part, config.settled)
    drawing = Drawing(pools, _recordings(config.mocap, config.amass, config.part), rng, config.outlined)
    weights = {name: getattr(config, name) for name in SOURCES if drawing.can_draw(name)}
    total = sum(weights.values())
    if not total:
        raise UserError("data: no source can be drawn from; captions_mocap and clips need data.mocap or data.amass")
    counts = rng.multinomial(size, [weight / total for weight in weights.values()])
    samples: list[Sample] = []
    for name, count in zip(weights, counts.tolist(), strict=True):
        if count:
            samples += SOURCES[name](drawing, count)
    return [samples[i] for i in rng.permutation(len(samples))]


@lru_cache(maxsize=2)
def _recordings(mocap: str | None, amass: str | None, part: Part) -> MocapClips | None:
    """The training split of all recordings, or a part of it."""
    found = [read_mocap(mocap)] if mocap else []
    found += [read_amass(amass)] if amass else []
    if not found:
        return None
    train, _ = train_test_split(concatenated(found))
    train = train.where(np.isin(train.sequence, [name for name in train.names if in_part(name, part)]))
    if not len(train):
        return None
    return replace(train, pose=facing_forward(torch.from_numpy(train.pose)).numpy())
