"""Where training samples come from: one function for each source of the mixture."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch

from pose_rft.body import load_body
from pose_rft.data.concepts.compositions import STANDING, Composer
from pose_rft.data.concepts.concept import Concept, has_side
from pose_rft.data.concepts.pose_language import swap_sides
from pose_rft.data.mixtures.chat import chat_pair
from pose_rft.data.mixtures.drawing import Drawing, drawn_frames, mixed_concept_poses
from pose_rft.data.mixtures.pose_tasks import (
    draw_comparisons,
    draw_completions,
    draw_corrections,
    draw_descriptions,
    draw_edits,
)
from pose_rft.data.mixtures.requests import draw_request
from pose_rft.data.mixtures.wordings.drawing import draw_wording, poses_of
from pose_rft.data.mixtures.wordings.long import told_at_length
from pose_rft.data.mixtures.wordings.viewer import from_the_viewer
from pose_rft.data.phrases import pick, say_doing, say_name, say_told, say_who, say_with, typed
from pose_rft.data.sample import Sample
from pose_rft.posescript.captions import caption
from pose_rft.posescript.outline import outline_of_facts

CAPTION_BATCH = 2_000
PER_COMPOSITION = 24  # samples of one composition or wording, where many are drawn
VIEWER_RATE = 0.08  # of captions and phrases that say a side, that say it as a viewer would
TYPED_CAPTION_RATE = 0.5  # of the captions, that get slips and capitals
LONG_RATE = 0.15  # of the wordings, that are told at length
LONG_PHRASE_RATE = 0.4  # of these, that are a concept's phrase


def captions_of(drawing: Drawing, poses: np.ndarray, names: list[str]) -> list[Sample]:
    """One caption sample for each of the poses (N, 22, 3); `names` (N,) are their sources."""
    samples = []
    for start in range(0, len(poses), CAPTION_BATCH):
        part = poses[start : start + CAPTION_BATCH]
        said = caption(load_body().points(torch.from_numpy(part)), seed=int(drawing.rng.integers(2**31)))
        rows = zip(said, part, names[start : start + CAPTION_BATCH], strict=True)
        samples += [
            drawing.sample(
                _typed_sometimes(_seen(one.text, drawing.rng), drawing.rng),
                pose,
                one.checks,
                name,
                outline_of_facts(one.posecodes) if drawing.outlined else None,
            )
            for one, pose, name in rows
        ]
    return samples


def _seen(text: str, rng: np.random.Generator) -> str:
    """A text, sometimes from the viewer's side."""
    return from_the_viewer(text, rng) if rng.random() < VIEWER_RATE and has_side(text) else text


def _typed_sometimes(text: str, rng: np.random.Generator) -> str:
    return typed(text, rng) if rng.random() < TYPED_CAPTION_RATE else text


def draw_captions_procedural(drawing: Drawing, count: int) -> list[Sample]:
    """Rule-made captions of mixed and perturbed concept poses."""
    return captions_of(drawing, mixed_concept_poses(drawing, count), ["caption:procedural"] * count)


def draw_captions_mocap(drawing: Drawing, count: int) -> list[Sample]:
    """Rule-made captions of recorded poses."""
    clips = drawing.recordings
    assert clips is not None
    rows, poses, _ = drawn_frames(drawing, clips, count)
    return captions_of(drawing, poses, [f"caption:{name}" for name in clips.sequence[rows]])


def draw_clips(drawing: Drawing, count: int) -> list[Sample]:
    """What people call a clip, with one of its frames; a frame shows any moment, so nothing is checked."""
    clips, rng = drawing.recordings, drawing.rng
    assert clips is not None
    clips = clips.where(np.isin(clips.description, list(drawing.words)))
    samples = []
    for row, pose, turned in zip(*drawn_frames(drawing, clips, count), strict=True):
        phrase = pick(rng, drawing.words[clips.description[row]])
        prompt = typed(say_doing(swap_sides(phrase) if turned else phrase, rng), rng)
        samples.append(drawing.sample(prompt, pose, (), f"clip:{clips.sequence[row]}"))
    return samples


def say(concept: Concept, rng: np.random.Generator) -> tuple[str, str]:
    """A prompt for one concept, and the phrase it is made of."""
    at = int(rng.integers(len(concept.phrases)))
    phrase = concept.phrases[at]
    if phrase in concept.doing:
        return say_doing(phrase, rng), phrase
    if phrase in concept.name:
        return say_name(phrase, rng), phrase
    if phrase in concept.who:
        return say_who(phrase, rng), phrase
    if phrase in concept.told:
        return say_told(phrase, rng), phrase
    return say_with(phrase, concept.spec.base in STANDING and concept.part != "body", rng), phrase


def draw_phrases(drawing: Drawing, count: int) -> list[Sample]:
    """Everyday phrases with a pose of the concept."""
    pools, rng = drawing.pools, drawing.rng
    samples: list[Sample] = []
    while len(samples) < count:
        for index in rng.choice(len(pools.concepts), size=count - len(samples), p=pools.weights):
            concept = pools.concepts[index]
            if not len(poses := pools.poses(concept)):
                continue
            prompt, phrase = say(concept, rng)
            checks, pose = pools.checks(concept, phrase), poses[rng.integers(len(poses))]
            said = pools.outline(concept) if drawing.outlined else None
            samples.append(drawing.sample(typed(_seen(prompt, rng), rng), pose, checks, f"phrase:{concept.id}", said))
    return samples


def draw_compositions(drawing: Drawing, count: int) -> list[Sample]:
    """Several concepts in one sentence."""
    rng, composer = drawing.rng, Composer(drawing.pools)
    size = min(PER_COMPOSITION, max(4, count // 40))
    samples: list[Sample] = []
    while len(samples) < count:
        composition = composer.draw(min(size, count - len(samples)), rng)
        if composition is None:
            return samples + draw_phrases(drawing, count - len(samples))
        said = drawing.shared(composition.poses)
        for pose in composition.poses:
            prompt, checks = composer.say(composition, rng)
            samples.append(drawing.sample(typed(prompt, rng), pose, checks, f"composition:{composition.name}", said))
    return samples


def draw_wordings(drawing: Drawing, count: int) -> list[Sample]:
    """Words that decide: contrasts, negations, numbers, degrees, and one sentence that matters in a long prompt."""
    rng = drawing.rng
    size = min(PER_COMPOSITION, max(4, count // 40))
    phrases = draw_phrases(drawing, int(rng.binomial(count, LONG_RATE * LONG_PHRASE_RATE)))
    samples = [replace(each, prompt=told_at_length(each.prompt, rng), source="wording:long") for each in phrases]
    told = LONG_RATE * (1 - LONG_PHRASE_RATE)
    while len(samples) < count:
        wording = draw_wording(rng)
        poses = poses_of(wording, min(size, count - len(samples)), rng, drawing.pools.settled)
        said = drawing.shared(poses)
        for pose in poses:
            prompt, checks = wording.say(rng)
            at_length = rng.random() < told
            prompt = typed(prompt, rng)
            prompt = told_at_length(prompt, rng) if at_length else prompt
            kind = "long" if at_length else wording.kind
            samples.append(drawing.sample(prompt, pose, checks, f"wording:{kind}", said))
    return samples


def draw_chat(drawing: Drawing, count: int) -> list[Sample]:
    """Questions that want words and no pose."""
    return [Sample(*chat_pair(drawing.rng), task="chat", source="chat") for _ in range(count)]


def draw_requests(drawing: Drawing, count: int) -> list[Sample]:
    """Requests for more than a pose, for words alone, about the pose shown before, and for what no pose tells."""
    return [draw_request(drawing.pools, drawing.rng) for _ in range(count)]


SOURCES: dict[str, Callable[[Drawing, int], list[Sample]]] = {
    "captions_procedural": draw_captions_procedural,
    "captions_mocap": draw_captions_mocap,
    "phrases": draw_phrases,
    "compositions": draw_compositions,
    "wordings": draw_wordings,
    "clips": draw_clips,
    "requests": draw_requests,
    "edits": draw_edits,
    "completions": draw_completions,
    "descriptions": draw_descriptions,
    "comparisons": draw_comparisons,
    "corrections": draw_corrections,
    "chat": draw_chat,  # the last takes what the others leave: a source before it with weight 0 changes no mixture
}
