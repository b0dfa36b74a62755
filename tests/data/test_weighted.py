"""Draws from several sources: shares by weight, nothing twice before all else once, the same by seed, read late."""

import json
from collections import Counter

import numpy as np
import pytest

from pose_rft.config import from_mapping
from pose_rft.data.mixtures.text_to_pose import MixtureConfig, SourceConfig, text_to_pose_mixture
from pose_rft.data.mixtures.training import fingerprint_of, training_samples
from pose_rft.data.mixtures.weighted import draw
from pose_rft.data.sample import Sample
from pose_rft.errors import UserError


class Counted:
    """Samples made when they are asked for, which is counted."""

    def __init__(self, name, size):
        self.name, self.size, self.asked = name, size, 0
        self.fingerprint = f"{name} {size}"

    def __len__(self):
        return self.size

    def sample(self, index, turn=0):
        self.asked += 1
        return Sample(f"{self.name} {index}", f"turn {turn}", source=self.name)


def unchanged(sample):
    return sample


def drawn(n=6_000, seed=0, weights=(3, 1), sizes=(1_000_000, 50)):
    sources = [Counted("large", sizes[0]), Counted("small", sizes[1])]
    return draw(sources, weights, n, seed, unchanged), sources


def test_each_source_has_its_share_of_the_draws():
    mixture, _ = drawn()
    found = Counter(sample.source for sample in mixture)
    assert found["small"] / 6_000 == pytest.approx(0.25, abs=3 * (0.25 * 0.75 / 6_000) ** 0.5)
    assert found.total() == 6_000


def test_a_source_begins_anew_when_all_of_it_came():
    mixture, _ = drawn()
    found = Counter(sample.prompt for sample in mixture)
    large = [count for prompt, count in found.items() if prompt.startswith("large")]
    small = [count for prompt, count in found.items() if prompt.startswith("small")]
    assert set(large) == {1}
    assert len(small) == 50
    assert max(small) - min(small) <= 1
    first, second = (
        [each.prompt for each in mixture if each.source == "small"][start : start + 50] for start in (0, 50)
    )
    assert sorted(first) == sorted(second)
    assert first != second


def test_nothing_is_read_that_is_not_asked_for():
    mixture, sources = drawn(n=100_000)
    part = mixture[10:20][2:5]
    assert [source.asked for source in sources] == [0, 0]
    assert [sample.prompt for sample in part] == [mixture.read(index).prompt for index in (12, 13, 14)]
    assert sum(source.asked for source in sources) == 6
    arrays = (mixture.source, mixture.line, mixture.turn)
    assert sum(array.nbytes for array in arrays) == 14 * 100_000


def test_the_seed_decides_and_the_fingerprint_says_which_draws_they_are():
    one, again, other = drawn()[0], drawn()[0], drawn(seed=1)[0]
    assert [each.prompt for each in one] == [each.prompt for each in again]
    assert [each.answer for each in one] == [each.answer for each in again]
    assert [each.prompt for each in one] != [each.prompt for each in other]
    assert one.fingerprint == again.fingerprint
    others = [other, drawn(n=5_000)[0], drawn(weights=(2, 1))[0], drawn(sizes=(1_000_000, 51))[0], one[:100]]
    assert len({each.fingerprint for each in [one, *others]}) == 6


def test_what_cannot_be_prepared_is_named_by_its_place():
    def refuse(sample):
        raise UserError("image: nobody is in it")

    with pytest.raises(UserError, match=r"^large: image: nobody is in it$"):
        draw([Counted("large", 3)], [1], 2, 0, refuse)[1]


# ---- what a config says ----


@pytest.fixture
def pairs(tmp_path):
    """``pairs(name, count)`` writes a file of pairs and gives its path."""

    def write(name, count, **fields):
        path = tmp_path / name
        pose = np.zeros((22, 3)).tolist()
        lines = [json.dumps({"prompt": f"{name} {n}", "pose": pose} | fields) for n in range(count)]
        path.write_text("\n".join(lines))
        return str(path)

    return write


def config(*sources, **fields):
    return MixtureConfig(sources=[SourceConfig(**source) for source in sources], **fields)


PHRASES = {"captions_procedural": 0, "captions_mocap": 0, "compositions": 0, "wordings": 0, "clips": 0, "chat": 0}


def test_without_sources_a_run_has_the_samples_of_the_mixture():
    built_in = MixtureConfig(**PHRASES, concept_poses=2)
    samples = training_samples(20, 0, built_in)
    assert isinstance(samples, list)
    assert fingerprint_of(samples) == fingerprint_of(text_to_pose_mixture(20, 0, built_in))


def test_own_data_alone_is_drawn_once_and_not_more_often(pairs):
    one, two = pairs("one.jsonl", 30), pairs("two.jsonl", 10)
    assert sorted(each.prompt for each in training_samples(500, 0, config({"path": one}))) == sorted(
        f"one.jsonl {n}" for n in range(30)
    )
    both = training_samples(500, 0, config({"path": one}, {"path": two}))
    assert len(both) == 60  # the smaller one came about three times, for it has as large a share
    assert len(training_samples(7, 0, config({"path": one}))) == 7


def test_the_built_in_mixture_is_a_source_like_another(pairs):
    mixed = config({"path": pairs("one.jsonl", 30)}, {"name": "builtin", "weight": 3}, **PHRASES, concept_poses=2)
    drawn = training_samples(120, 0, mixed)
    samples = list(drawn)
    built_in = [each for each in samples if each.source.startswith("phrase:")]
    assert len(samples) == 120
    assert len(built_in) / 120 == pytest.approx(0.75, abs=0.12)
    assert {each.source.rpartition("/")[2].partition(",")[0] for each in samples if each not in built_in} == {
        "one.jsonl"
    }
    assert fingerprint_of(drawn) == fingerprint_of(training_samples(120, 0, mixed))


def test_another_content_is_noticed(pairs):
    before = fingerprint_of(training_samples(20, 0, config({"path": pairs("one.jsonl", 30)})))
    after = fingerprint_of(training_samples(20, 0, config({"path": pairs("one.jsonl", 30, answer="Here: <POSE>.")})))
    assert before != after


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"sources": [{}]}, "path: every source but builtin has one"),
        ({"sources": [{"path": "a", "name": "builtin"}]}, "path: every source but builtin has one"),
        ({"sources": [{"name": "own"}]}, "name: no data set is called 'own'; there are posescript, "),
        ({"sources": [{"name": "posescript"}]}, "path: every source but builtin has one"),
        ({"sources": [{"path": "a", "weight": 0}]}, "weight must be above 0"),
        ({"sources": [{"file": "a"}]}, "unknown field sources\\[0\\].file"),
        ({"sources": [{"name": "builtin"}] * 2}, "names builtin more than once"),
        ({"sources": [{"path": "a"}], "mocap": "*.npz"}, "mocap is set, but sources does not name builtin"),
        ({"sources": "a.jsonl"}, "sources must be list"),
    ],
)
def test_sources_that_make_no_sense_are_refused(fields, message):
    with pytest.raises(UserError, match=message):
        from_mapping(MixtureConfig, fields, "run.yaml")
