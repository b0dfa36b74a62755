"""The samples of a run: today's mixture, one's own data, or both by weight."""

import hashlib
import math
from collections.abc import Sequence

from pose_rft.data.mixtures.text_to_pose import MixtureConfig, SourceConfig, text_to_pose_mixture
from pose_rft.data.mixtures.weighted import Prepare, WeightedMixture, draw, shares
from pose_rft.data.readers.own_data import OwnData, Use, open_own_data
from pose_rft.data.sample import Sample
from pose_rft.errors import UserError

SPARE = 8  # samples drawn beyond those needed, as some may ask what a benchmark asks and are left out


class Drawn:
    """Samples that are held in memory, as a source."""

    def __init__(self, samples: Sequence[Sample]) -> None:
        self.samples, self.fingerprint = samples, fingerprint_of(samples)

    def __len__(self) -> int:
        return len(self.samples)

    def sample(self, index: int, turn: int = 0) -> Sample:
        return self.samples[index]


def fingerprint_of(samples: Sequence[Sample]) -> str:
    """A digest of the words, checks and poses of samples; of draws that are not read, of what says which they are."""
    if isinstance(samples, WeightedMixture):
        return samples.fingerprint
    digest = hashlib.sha256()
    for sample in samples:
        digest.update(repr((sample.prompt, sample.answer, sample.checks)).encode("utf-8", "backslashreplace"))
        digest.update(b"" if sample.pose is None else sample.pose.tobytes())
    return digest.hexdigest()


def open_source(source: SourceConfig, use: Use = "train") -> OwnData:
    """The samples behind a source that is not the built-in mixture; errors as for ``open_own_data``."""
    assert source.path is not None
    return open_own_data(source.path, use, source.name)


def without_image(sample: Sample) -> Sample:
    """A sample of one's own data as those take it who learn from texts and poses alone.

    Raises:
        UserError: it is about an image.
    """
    if sample.image is not None:
        raise UserError("image: retrieval learns from texts and poses; leave lines with an image out")
    return sample


def training_samples(
    n: int,
    seed: int,
    config: MixtureConfig,
    processes: int = 1,
    prepare: Prepare = lambda sample: sample,
    use: Use = "train",
) -> list[Sample] | WeightedMixture:
    """Draw the samples that a config's ``data`` asks for.

    Args:
        n: how many; of one's own data alone at most so many that each source was gone through once.
        processes: that draw those of the built-in mixture.
        prepare: what is done to those of ``data.sources`` when they are read.
        use: which lines of one's own data.

    Returns:
        Without ``data.sources`` what ``text_to_pose_mixture`` draws, else draws that are read when they are asked for.

    Raises:
        UserError: a source that cannot be read or is empty, or as ``text_to_pose_mixture``.
    """
    if not config.sources:
        return text_to_pose_mixture(n, seed, config, processes)
    weights = [source.weight for source in config.sources]
    own = {number: open_source(source, use) for number, source in enumerate(config.sources) if source.path}
    if len(own) == len(config.sources):
        n = min(n, max(math.ceil(len(data) * sum(weights) / weights[number]) for number, data in own.items()))
    built_in = [number for number in range(len(weights)) if number not in own]
    sources: dict[int, OwnData | Drawn] = dict(own)
    for number in built_in:
        count = int((shares(weights, n, seed) == number).sum())
        sources[number] = Drawn(text_to_pose_mixture(count + SPARE, seed, config, processes))
    return draw([sources[number] for number in range(len(weights))], weights, n, seed, prepare)
