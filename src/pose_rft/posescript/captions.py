"""Captions: what a person would say of a pose, made of posecodes that clearly hold.

After PoseScript (Delmas et al., ECCV 2022): select posecodes, aggregate them (both sides, one part, one state of
several parts), put them into sentences. A caption carries the checks it states, so it can be graded on any pose.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from random import Random
from typing import Any, Literal, get_args

import numpy as np
import torch
from rich.console import Console
from rich.progress import track
from torch import Tensor

from pose_rft.body import load_body
from pose_rft.body.pose_files import Up, read_poses
from pose_rft.errors import UserError
from pose_rft.posescript.checks import as_joints
from pose_rft.posescript.posecodes import load_posecodes
from pose_rft.posescript.selection import Statement, part_of, select
from pose_rft.posescript.wording import (
    ANYBODY,
    NO_ONE,
    READER,
    VOICES,
    Voice,
    Words,
    is_plural,
    participle,
    shared_state,
    third_person,
    without_held,
    words_of,
)
from pose_rft.storage import atomic_file

Register = Callable[[Sequence["Unit"], Random], str]
Style = Literal["short", "medium", "full", "any"]
LENGTHS = {"short": (1, 3), "medium": (2, 4), "full": (4, 7)}
READING_ORDER = ("body", "torso", "head", "arm", "leg")
CHUNK = 2000  # poses captioned at once


@dataclass(frozen=True)
class Caption:
    """A description of one pose.

    Attributes:
        text: one or more sentences, an instruction or a terse list.
        checks: the statements the text makes, in the language of ``pose_rft.posescript.checks``; the pose it was made
            for fulfils all of them with a margin. Empty only if nothing nameable holds clearly.
        posecodes: ids of the same statements.
    """

    text: str
    checks: tuple[str, ...]
    posecodes: tuple[str, ...]


@dataclass(frozen=True)
class Unit:
    """Something to say of one thing: one noun phrase with one or two states, or a posture."""

    noun: str  # "left knee", "knees", "left knee and the right elbow"; "" for postures
    plural: bool
    sided: bool  # names both sides of a pair: may be called "both knees"
    words: tuple[Words, ...]


def _units(statements: Sequence[Statement], rng: Random) -> list[Unit]:
    """Aggregate statements: the same state of two parts, two states of one part."""
    units: list[tuple[Statement, Unit]] = []
    for statement in statements:
        words = words_of(statement.code)[statement.both]
        noun = rng.choice(words.nouns)
        plural = is_plural(statement.code, noun, statement.both)
        posture = statement.code.subject == "body"
        units.append((statement, Unit("" if posture else noun, plural, statement.both, (words,))))
    merged: list[Unit] = []
    while units:
        statement, unit = units.pop(0)
        code = statement.code
        for at, (other, candidate) in enumerate(units):
            same_part = other.code.subject == code.subject and other.both == statement.both and unit.words[0].be
            same_state = not (statement.both or other.both) and shared_state(code, other.code)
            names = [noun for noun in unit.words[0].nouns if noun in candidate.words[0].nouns]  # fit for both states
            if same_part and names and candidate.words[0].be and code.subject != "body" and rng.random() < 0.9:
                unit = replace(unit, noun=rng.choice(names), words=unit.words + candidate.words)
            elif same_state and rng.random() < 0.7:
                unit = Unit(f"{unit.noun} and {{the}} {candidate.noun}", True, False, (words_of(code)[1],))
            else:
                continue
            units.pop(at)
            break
        merged.append(unit)
    return merged


class _Speaker:
    """Puts units into words for one voice."""

    def __init__(self, voice: Voice, rng: Random):
        self.voice, self.rng = voice, rng
        self.whose = voice.whose if rng.random() < 0.75 else "the"
        self.named = False  # has the person been mentioned?

    def fill(self, text: str, noun: str = "") -> str:
        return text.replace("{np}", noun).replace("{the}", self.whose).replace("{self}", self.voice.self)

    def noun(self, unit: Unit) -> str:
        """the left knee / both knees / his knees"""
        if unit.sided:
            chance = self.rng.random()
            if chance < 0.55:
                return f"both {unit.noun}"
            if chance < 0.65 and self.whose != "the":
                return f"both {self.whose} {unit.noun}"
        return self.fill(f"{self.whose} {unit.noun}")

    def state(self, unit: Unit, kept: bool = False) -> str:
        """bent; raised and bent at a right angle. What is kept or held needs no "held" again."""
        states = [self.rng.choice(words.be) for words in unit.words]
        if kept:
            states = [without_held(state) for state in states]
        return self.fill(" and ".join(dict.fromkeys(states)))

    def clause(self, unit: Unit) -> str:
        """With the part as its subject: the left knee is bent. Postures have the person as theirs."""
        if not unit.noun:
            return self.person(unit)
        words = unit.words[0]
        if len(unit.words) == 1 and words.verb and (not words.be or self.rng.random() < 0.35):
            verb = self.rng.choice(words.verb)
            return self.fill(f"{self.noun(unit)} {verb if unit.plural else third_person(verb)}")
        return f"{self.noun(unit)} {'are' if unit.plural else 'is'} {self.state(unit)}"

    def deed(self, unit: Unit, form: Literal["base", "third", "ing"]) -> str:
        """What the person does: bends the left knee / bend .. / bending .."""
        words = unit.words[0]
        if len(unit.words) == 1 and (words.do or words.act):
            phrase = self.rng.choice(words.act or words.do)
        else:
            phrase = self.rng.choice(("keep", "hold")) + " {np} " + self.state(unit, kept=True)
        inflected = {"base": phrase, "third": third_person(phrase), "ing": participle(phrase)}[form]
        return self.fill(inflected, self.noun(unit) if unit.noun else "")

    def having(self, unit: Unit, kept: bool = False) -> str:
        """For after "with": the left knee bent / the arms hanging by the side."""
        words = unit.words[0]
        if len(unit.words) == 1 and words.verb and self.rng.random() < 0.35:
            return self.fill(f"{self.noun(unit)} {participle(self.rng.choice(words.verb))}")
        return f"{self.noun(unit)} {self.state(unit, kept)}"

    def person(self, unit: Unit, subject: str | None = None) -> str:
        """With the person as its subject: she bends / is bending / has the left knee bent."""
        named = subject is not None
        plural = self.voice.plural and not named
        if not subject:
            subject = self.voice.pronoun or ("they" if self.named else "the person")
            plural = plural or subject == "they"
        self.named = True
        chance = self.rng.random()
        if unit.noun and unit.words[0].be and chance < 0.35:
            keep = self.rng.random() < 0.3
            verb = "keep" if keep else "have"
            return f"{subject} {verb if plural else 'keeps' if keep else 'has'} {self.having(unit, keep)}"
        doing = self.deed(unit, "ing")
        if chance < 0.55 and not doing.startswith(("keeping", "letting", "bringing", "moving")):
            return f"{subject} {'are' if plural else 'is'} {doing}"
        return f"{subject} {self.deed(unit, 'base' if plural else 'third')}"


def _listed(parts: Sequence[str]) -> str:
    """a; a and b; a, b and c"""
    if len(parts) < 2:
        return "".join(parts)
    return ", ".join(parts[:-1]) + (" and " if len(parts) == 2 or len(parts[-1]) < 40 else ", and ") + parts[-1]


def _chunks(units: Sequence[Unit], rng: Random) -> list[list[Unit]]:
    """What goes into each sentence: two things more often than one or three."""
    left, chunks = list(units), []
    while left:
        size = rng.choice((1, 2, 2, 3))
        chunks.append(left[:size])
        left = left[size:]
    return chunks


def _sentence(text: str) -> str:
    return text[0].upper() + text[1:] + "."


def _describe(units: Sequence[Unit], rng: Random, voices: Sequence[Voice] = VOICES) -> str:
    """Declarative sentences, by turns about the person and about the parts."""
    voice = rng.choice(voices) if rng.random() < 0.7 else NO_ONE
    speaker = _Speaker(voice, rng)
    sentences, introduced = [], False
    for chunk in _chunks(units, rng):
        about_person = voice is not NO_ONE and (not introduced or rng.random() < 0.45)
        if about_person:
            subject = None if introduced else voice.intro
            introduced = True
            first, *rest = chunk
            text = speaker.person(first, subject)
            parts, postures = [unit for unit in rest if unit.noun], [unit for unit in rest if not unit.noun]
            if parts and " with " not in text and rng.random() < 0.6:
                text += rng.choice((" with ", ", with ")) + _listed([speaker.having(unit) for unit in parts])
            elif parts:
                joint = " and " if len(parts) == 1 else "; "
                text += rng.choice((joint, ", while ", joint)) + _listed([speaker.clause(unit) for unit in parts])
            text += "".join(f"; {speaker.person(unit)}" for unit in postures)
        else:
            clauses = [speaker.clause(unit) for unit in chunk]
            if len(clauses) == 2 and rng.random() < 0.4:
                text = rng.choice((", while ", "; ", ", and ")).join(clauses)
            else:
                text = _listed(clauses)
        sentences.append(_sentence(text))
    return " ".join(sentences)


def _fragment(units: Sequence[Unit], rng: Random) -> str:
    """A person with the left knee bent and both arms raised above the head."""
    voice = rng.choice([voice for voice in VOICES if voice.intro.startswith("a ")])
    speaker = _Speaker(voice, rng)
    postures = [unit for unit in units if not unit.noun]
    parts = [unit for unit in units if unit.noun]
    opening = rng.choice(("", "", "", "This is ", "A picture of ", "Imagine ", "Show ")) + voice.intro
    text = opening + (" " + _listed([speaker.deed(unit, "ing") for unit in postures]) if postures else "")
    if parts:
        joint = ", with " if " with " in text or (postures and rng.random() < 0.5) else " with "
        text += joint + _listed([speaker.having(unit) for unit in parts])
    return _sentence(text)


def _instruct(units: Sequence[Unit], rng: Random) -> str:
    """Raise your left arm. Bend both knees and lean forward."""
    speaker = _Speaker(READER if rng.random() < 0.8 else NO_ONE, rng)
    sentences = []
    for chunk in _chunks(units, rng):
        deeds = [speaker.deed(unit, "base") for unit in chunk]
        sentences.append(
            _sentence(", then ".join(deeds) if len(deeds) == 2 and rng.random() < 0.25 else _listed(deeds))
        )
    if len(sentences) > 1 and rng.random() < 0.25:
        sentences[-1] = "Also, " + sentences[-1][0].lower() + sentences[-1][1:]
    return " ".join(sentences)


def _terse(units: Sequence[Unit], rng: Random) -> str:
    """left arm up, knees bent, leaning forward"""
    speaker = _Speaker(NO_ONE, rng)
    notes = []
    for unit in units:
        if not unit.noun:
            notes.append(speaker.deed(unit, "ing"))
            continue
        noun = f"both {unit.noun}" if unit.sided and rng.random() < 0.5 else unit.noun.replace("{the} ", "")
        notes.append(f"{noun} {speaker.state(unit)}")
    text = rng.choice((", ", ", ", "; ")).join(notes)
    return text if rng.random() < 0.5 else _sentence(text)


REGISTERS: dict[Register, int] = {_describe: 62, _fragment: 12, _instruct: 14, _terse: 12}


def say(statements: Sequence[Statement], rng: Random, declarative: bool = False) -> str:
    """One text that makes exactly these statements; `declarative` ones are whole sentences and no orders."""
    if not statements:
        return rng.choice(("A person.", "Someone in a pose.", "A human figure."))
    if rng.random() < 0.5:  # limb by limb, as often as in no order
        statements = sorted(statements, key=lambda statement: READING_ORDER.index(part_of(statement.code.subject)))
    units = _units(statements, rng)
    if rng.random() < 0.5:
        units.sort(key=lambda unit: bool(unit.noun))  # postures first
    if declarative:
        return _describe(units, rng, ANYBODY)
    register = rng.choices(list(REGISTERS), list(REGISTERS.values()))[0]
    return register(units, rng)


def caption(joints: Tensor | np.ndarray, seed: int, style: Style = "any", declarative: bool = False) -> list[Caption]:
    """One caption for each pose.

    Args:
        joints: (N, 22, 3) metres, SMPL order, y up; or (N, 32, 3) with landmarks.
        seed: another seed gives other captions; the same seed the same.
        style: about how much is said: short (1 to 3 statements), medium (2 to 4), full (4 to 7), or any of them.
        declarative: whole sentences only ("The left knee is bent."), as in an answer; no orders, lists or fragments,
            and no man or woman, which a pose does not tell.

    Returns:
        N captions.

    Raises:
        UserError: wrong shape, joints that are not finite, or an unknown style.
    """
    if style not in get_args(Style):
        raise UserError(f"style '{style}' is unknown; there are: {', '.join(get_args(Style))}")
    joints = as_joints(joints)
    if not torch.isfinite(joints).all():
        raise UserError("captions need joints that are finite numbers; drop the poses that are not")
    rng = Random(f"{seed} lengths")
    styles = [rng.choice(tuple(LENGTHS)) if style == "any" else style for _ in range(len(joints))]
    counts = [rng.randint(*LENGTHS[name]) for name in styles]
    codes = load_posecodes()
    captions: list[Caption] = []
    for row, statements in enumerate(select(joints, counts, seed)):
        said = [codes[column] for statement in statements for column in statement.columns]
        text = say(statements, Random(f"{seed} {row} words"), declarative)
        captions.append(Caption(text, tuple(c.check for c in said), tuple(c.id for c in said)))
    return captions


def described_change(joints: Tensor | np.ndarray, instruction: str) -> str:
    """A prompt that describes a pose, its joints (22, 3) or with landmarks (32, 3), and then what shall change in it.

    It is for a policy that reads no poses.
    """
    return f"{caption(joints[None], seed=0, style='full')[0].text} {instruction}"


def caption_file(
    poses_path: str | Path, out_path: str | Path, captions: int = 3, seed: int = 0, up: Up | None = None
) -> int:
    """Caption every pose of a file; one JSON object a line.

    Each line has ``pose`` (its index in the file), ``text``, ``checks`` and ``posecodes``; the captions of one pose
    stand together.

    Args:
        poses_path: a pose file; see ``read_poses``.
        out_path: ``.jsonl`` to write; it appears complete or not at all.
        captions: how many for each pose.
        seed: another seed gives other captions.
        up: the axis that points up in the file.

    Returns:
        The number of lines written.

    Raises:
        UserError: unreadable poses, a number of captions below one, or a place that cannot be written.
    """
    if captions < 1:
        raise UserError(f"captions must be at least 1, not {captions}")
    pose = torch.from_numpy(read_poses(poses_path, up).pose)

    def say_once(rows: slice, seed: int) -> Sequence[Caption]:
        return caption(load_body().points(pose[rows]), seed)

    return write_texts(out_path, say_once, len(pose), CHUNK, captions, seed)


def write_texts(
    path: str | Path, say_once: Callable[[slice, int], Sequence[Any]], count: int, chunk: int, rounds: int, seed: int
) -> int:
    """Write texts about the poses of a file, one JSON object a line; those about one pose stand together.

    Args:
        say_once: one text (a dataclass) about each of some poses, from their rows and a seed. Its line begins with the
            pose's row, unless it holds the pose itself.
        count: of the poses, of which ``chunk`` are taken at once.
        rounds: texts about each pose.

    Returns:
        The number of lines written.

    Raises:
        UserError: a place that cannot be written.
    """
    lines = 0
    with atomic_file(Path(path)) as part, part.open("w", encoding="utf-8") as file:
        for start in track(range(0, count, chunk), "captions", console=Console(stderr=True), transient=True):
            rows = slice(start, start + chunk)
            said = [say_once(rows, batch_seed(seed, start, turn)) for turn in range(rounds)]
            for row, several in enumerate(zip(*said, strict=True), start):
                for line in map(asdict, several):
                    numbered = line if "pose" in line else {"pose": row} | line
                    file.write(json.dumps(numbered, ensure_ascii=False) + "\n")
                    lines += 1
    return lines


def batch_seed(seed: int, start: int, turn: int) -> int:
    """A seed of its own for every batch of a file and every caption of a pose."""
    return int(np.random.SeedSequence((abs(seed), int(seed < 0), start, turn)).generate_state(1, np.uint64)[0])
