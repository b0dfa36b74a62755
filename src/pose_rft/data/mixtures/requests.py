"""Requests that ask for more than a pose, for less, or for what no pose tells; requests.yaml holds words and facts.

Four kinds, about evenly: a pose and a fact ("show me a squat and tell me which muscles it uses"), words and no pose
("describe a squat, no pose please"), a question about the pose that was shown before (``follow_ups``), and one about
what cannot be known ("is she smiling?").
"""

from collections.abc import Callable, Mapping
from itertools import count
from typing import Any

import numpy as np

from pose_rft.data.concepts.concept import Concept
from pose_rft.data.concepts.pools import ConceptPools
from pose_rft.data.mixtures.follow_ups import LIMBS, TABLE, about_shown, part_of_outline, question_about
from pose_rft.data.phrases import pick, typed
from pose_rft.data.sample import OUTLINED_ANSWER, Sample
from pose_rft.data.verbs import with_verb
from pose_rft.posescript.captions import Caption

FACTS: dict[str, dict[str, Any]] = TABLE["facts"]
# Kinds of facts that are as true of somebody "standing in tree pose" as of "tree pose"; the others are about the name.
OF_THE_BODY = {"muscles", "stretches", "mistake"}
TRIES = 20  # of one kind, before another is drawn
POSE_ALONE_RATE, FACT_ALONE_RATE = 0.1, 0.15  # of the requests for a pose and a fact; of those for words
FACT_FIRST_RATE = 0.3  # of the requests for both, that ask for the fact first
LIMBS_RATE = 0.25  # of the descriptions, that want to hear of the arms or the legs alone


def draw_request(pools: ConceptPools, rng: np.random.Generator) -> Sample:
    """One request; its source is request:<kind>:<concept>, or request:unseen."""
    first = int(rng.integers(len(KINDS)))
    for attempt in count():
        sample = KINDS[first if attempt < TRIES else int(rng.integers(len(KINDS)))](pools, rng)
        if sample is not None:
            return sample
    raise AssertionError


def _talk(prompt: str, answer: str, source: str) -> Sample:
    return Sample(prompt, answer, task="chat", source=source)


def _told(
    pools: ConceptPools, rng: np.random.Generator, among: Callable[[Concept], bool] = lambda _: True
) -> tuple[Concept, Caption] | None:
    """A concept and what its poses have in common; None where there is no such concept or they have nothing."""
    weights = pools.weights * [among(concept) for concept in pools.concepts]
    if not weights.any():
        return None
    concept = pools.concepts[int(rng.choice(len(weights), p=weights / weights.sum()))]
    said = pools.outline(concept)
    return None if said is None else (concept, said)


# ---- a pose and a fact ----


def facts_of(concept: Concept) -> Mapping[str, str]:
    """Kind -> what is true of a concept; a mirrored twin shares what does not hang on the name."""
    entry = FACTS.get(concept.original, {})
    facts = {kind: fact for kind, fact in entry.items() if kind != "called"}
    return facts if concept.id in FACTS else {kind: facts[kind] for kind in facts if kind in OF_THE_BODY}


def draw_mixed(pools: ConceptPools, rng: np.random.Generator) -> Sample | None:
    """A wish for a pose and for a fact: the answer shows the pose first."""
    drawn = _told(pools, rng, lambda concept: bool(facts_of(concept)))
    if drawn is None:
        return None
    concept, said = drawn
    if not (concept.doing or concept.name or concept.id in FACTS):
        return None  # a twin that descriptions alone speak of
    facts = facts_of(concept)
    kind = pick(rng, list(facts))
    answer = OUTLINED_ANSWER.format(said.text)
    wish, it = _wish(concept, kind, rng)
    named = pick(rng, FACTS[concept.id]["called"]) if concept.id in FACTS else ""
    if rng.random() < POSE_ALONE_RATE:
        prompt = pick(rng, TABLE["pose_alone"]).format(wish=wish)
    elif named and rng.random() < FACT_FIRST_RATE:
        prompt = _by_name("mixed_fact_first", kind, named, rng)
        answer = f"{answer} {facts[kind]}"
    else:
        ask = pick(rng, TABLE["kinds"][kind]["ask"]).format(it=it)
        prompt = pick(rng, TABLE["mixed"]).format(wish=wish, ask=ask)
        answer = f"{answer} {facts[kind]}"
    poses = pools.poses(concept)
    pose, checks = poses[rng.integers(len(poses))], pools.checks(concept, prompt)
    return Sample(typed(prompt, rng), answer, pose, checks=checks, source=f"request:mixed:{concept.id}")


def _wish(concept: Concept, kind: str, rng: np.random.Generator) -> tuple[str, str]:
    """A wish for the pose, and what it is called after that: "show me a squat", it; "show someone squatting", that."""
    called = FACTS[concept.id]["called"] if concept.id in FACTS else ()
    if concept.doing and kind in OF_THE_BODY and (not called or rng.random() < 0.4):
        return pick(rng, TABLE["wishes"]["doing"]).format(g=pick(rng, concept.doing)), "that"
    return pick(rng, TABLE["wishes"]["name"]).format(n=pick(rng, called or concept.name)), "it"


def _by_name(frames: str, kind: str, name: str, rng: np.random.Generator) -> str:
    """A prompt that asks for a fact with the name of the pose in the question."""
    article, _, rest = name.partition(" ")
    bare = rest if article in ("a", "an", "the") else name
    asked = TABLE["kinds"][kind]
    question, indirect = (pick(rng, asked[form]).format(n=name, b=bare) for form in ("question", "named"))
    one, show = ("one", "show me one") if article in ("a", "an") else ("it", "show it to me")
    words = {"question": _capital(question), "named": indirect, "one": one, "show": show, "Show": _capital(show)}
    return pick(rng, TABLE[frames]).format(**words)


def _capital(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}"


# ---- words and no pose ----


def draw_words(pools: ConceptPools, rng: np.random.Generator) -> Sample | None:
    """A wish for words alone: what the body does, what the arms or the legs do, or a fact."""
    if rng.random() < FACT_ALONE_RATE:
        return _fact_alone(pools, rng)
    drawn = _told(pools, rng)
    if drawn is None:
        return None
    concept, said, frames, limbs = *drawn, TABLE["words"], ""
    if rng.random() < LIMBS_RATE:
        frames, limbs = TABLE["limbs"], pick(rng, list(LIMBS))
        part = part_of_outline(said, limbs)
        if part is None:
            return None
        said = part
    kinds = {"name": concept.name, "doing": concept.doing, "who": concept.who, "with": concept.with_}
    kinds = {kind: phrases for kind, phrases in kinds.items() if phrases and kind in frames}
    if not kinds:
        return None
    kind, phrase = pick(rng, [(kind, phrase) for kind, phrases in kinds.items() for phrase in phrases])
    prompt = pick(rng, frames[kind]).format(limbs=limbs, **_forms(kind, phrase))
    return _talk(typed(prompt, rng), f"{said.text}.", f"request:words:{concept.id}")


def _forms(kind: str, phrase: str) -> dict[str, str]:
    if kind == "doing":
        return {"g": phrase, "i": with_verb(phrase), "t": with_verb(phrase, third=True)}
    return {{"name": "n", "who": "w", "with": "x"}[kind]: phrase}


def _fact_alone(pools: ConceptPools, rng: np.random.Generator) -> Sample | None:
    known = [concept.id for concept in pools.concepts if concept.id in FACTS]
    if not known:
        return None
    name = pick(rng, known)
    kind = pick(rng, [kind for kind in FACTS[name] if kind != "called"])
    prompt = _by_name("fact_alone", kind, pick(rng, FACTS[name]["called"]), rng)
    return _talk(typed(prompt, rng), FACTS[name][kind], f"request:words:{name}")


# ---- about the pose that was shown ----


def draw_about_shown(pools: ConceptPools, rng: np.random.Generator) -> Sample | None:
    """A question about the pose that was shown before; its answer is in what was said of it, or nowhere."""
    drawn = _told(pools, rng)
    found = None if drawn is None else question_about(drawn[1], rng)
    if drawn is None or found is None:
        return None
    (concept, said), (question, answer) = drawn, found
    return _talk(about_shown(said.text, typed(question, rng)), answer, f"request:shown:{concept.id}")


# ---- what no pose tells ----


def draw_unseen(pools: ConceptPools, rng: np.random.Generator) -> Sample | None:
    """A question about what cannot be known of anybody of whom there is only a pose."""
    drawn = _told(pools, rng)
    answer, source, chance = pick(rng, TABLE["unseen"]), "request:unseen", rng.random()
    if drawn is not None and chance < 0.3 and drawn[0].doing:
        question = _unknown("doing", f"the person {pick(rng, drawn[0].doing)}", rng)
    elif drawn is not None and chance < 0.7:
        kind = pick(rng, ("person", "pronoun", "pronoun", "scene"))
        question = about_shown(drawn[1].text, typed(_unknown(kind, _somebody(kind, rng), rng), rng))
        return _talk(question, answer, source)
    else:
        kind = pick(rng, ("person", "person", "pronoun", "scene"))
        question = _unknown(kind, _somebody(kind, rng), rng)
    return _talk(typed(question, rng), answer, source)


def _unknown(kind: str, somebody: str, rng: np.random.Generator) -> str:
    return pick(rng, TABLE["unknown"][kind]).format(s=somebody)


def _somebody(kind: str, rng: np.random.Generator) -> str:
    return pick(rng, TABLE["pronouns" if kind == "pronoun" else "people"])


KINDS: tuple[Callable[[ConceptPools, np.random.Generator], Sample | None], ...] = (
    draw_mixed,
    draw_words,
    draw_about_shown,
    draw_unseen,
)
