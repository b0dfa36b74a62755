"""The concept bank: what people call poses, how the poses look, and how to see that a pose is right.

A concept is a few phrases, a pose in the pose language (pose_language.py) and checks in the check language. The files
are bank/*.yaml; docs/data.md tells how to write one. `python -m pose_rft.data.concepts` validates them all. What people
who do not know a pose's name say of it stands in descriptions/*.yaml.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from pose_rft.data.concepts.pose_language import PoseSpec, expanded, mirrored, parse_pose, swap_sides
from pose_rft.errors import UserError, reason_of
from pose_rft.posescript.checks import compile_check, either_side
from pose_rft.posescript.checks import mirrored as mirrored_check
from pose_rft.storage import SAFE_LOADER

MIRRORED = "~mirrored"  # ends the id of a twin
CONCEPT_DIR = Path(__file__).parent / "bank"
DESCRIPTION_DIR = Path(__file__).parent / "descriptions"
PART_KEYS = {
    "body": None,  # anything
    "legs": {"base", "vary", "off_balance", "root", "legs", "left_leg", "right_leg", "feet", "left_foot", "right_foot"},
    "arms": {"base", "vary", "head", "arms", "hands", "palms", "wrists", "shoulders"}
    | {f"{side}_{end}" for side in ("left", "right") for end in ("arm", "hand", "palm", "wrist", "shoulder")},
    "trunk": {"base", "vary", "off_balance", "trunk", "root"},
    "head": {"base", "vary", "head"},
}
PHRASE_KEYS = ("doing", "name", "who", "with")
KEYS = {"id", "part", "pose", "checks", *PHRASE_KEYS}
_SIDE_WORD = re.compile(r"(?<![A-Za-z])(left|right)(?![a-z]|[ -]angle)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Concept:
    """One pose that people have words for.

    Attributes:
        id: unique name; the mirrored twin's ends in "~mirrored".
        part: what it says something about: body, legs, arms, trunk or head; all but "body" can be combined.
        doing: gerund phrases ("standing in tree pose").
        name: noun phrases that name the pose ("tree pose", "a handstand").
        who: noun phrases that name the person in it ("a boxer throwing a left jab").
        with_: phrases that may follow "with" ("the left arm raised", "hands on hips").
        told: descriptions that stand by themselves ("on one leg, the sole of the other foot against its thigh").
        pose: the pose as written (YAML), `spec` the same parsed.
        checks: statements that every pose of this concept meets.
        one_sided: whether the mirrored pose is another one.
        file: where it was read.
    """

    id: str
    part: str
    doing: tuple[str, ...]
    name: tuple[str, ...]
    who: tuple[str, ...]
    with_: tuple[str, ...]
    told: tuple[str, ...]
    pose: Mapping[str, Any]
    spec: PoseSpec
    checks: tuple[str, ...]
    one_sided: bool
    file: str

    @property
    def original(self) -> str:
        """The id of the concept whose mirrored twin this is, or its own."""
        return self.id.removesuffix(MIRRORED)

    @property
    def is_twin(self) -> bool:
        """Whether this is the mirrored twin of another concept."""
        return self.id != self.original

    @property
    def phrases(self) -> tuple[str, ...]:
        """All phrases of all kinds."""
        return self.doing + self.name + self.who + self.with_ + self.told

    def checks_for(self, phrase: str) -> tuple[str, ...]:
        """The checks that `phrase` states: of a one-sided pose, a phrase without a side word allows either side."""
        if not self.one_sided or not self.checks or has_side(phrase):
            return self.checks
        return (either_side(self.checks),)

    def twin(self) -> "Concept":
        """The mirrored concept: only phrases that say left or right, with the sides exchanged."""
        pose = mirrored(self.pose)
        return replace(
            self,
            id=f"{self.id}{MIRRORED}",
            doing=_swapped(self.doing),
            name=_swapped(self.name),
            who=_swapped(self.who),
            with_=_swapped(self.with_),
            told=_swapped(self.told),
            pose=pose,
            spec=parse_pose(pose),
            checks=tuple(mirrored_check(check) for check in self.checks),
        )


def _swapped(phrases: Sequence[str]) -> tuple[str, ...]:
    """Those that say left or right, with the sides exchanged."""
    return tuple(swap_sides(phrase) for phrase in phrases if has_side(phrase))


def has_side(phrase: str) -> bool:
    """Whether a phrase says left or right (but not "right angle")."""
    return _SIDE_WORD.search(phrase) is not None


def load_concepts(
    files: Sequence[Path] | None = None, twins: bool = True, descriptions: Sequence[Path] = ()
) -> list[Concept]:
    """Read concept files.

    Args:
        files: YAML files; None reads all of bank/, with their descriptions.
        twins: add the mirrored twin of every one-sided concept that has phrases with a side.
        descriptions: YAML files of descriptions, where ``files`` are given.

    Raises:
        UserError: with file and concept id, on any mistake.
    """
    concepts: list[Concept] = []
    ids: dict[str, str] = {}
    owners: dict[str, str] = {}
    told = load_descriptions(sorted(DESCRIPTION_DIR.glob("*.yaml")) if files is None else descriptions)
    for file in sorted(CONCEPT_DIR.glob("*.yaml")) if files is None else files:
        for concept in _read_file(Path(file)):
            place = f"{concept.file}: {concept.id}"
            concept = replace(concept, told=told.pop(concept.id, ()))
            if not concept.one_sided and (sided := next(filter(has_side, concept.phrases), None)):
                raise UserError(f"{place}: {sided!r} says a side, but the pose is the same on both sides")
            if concept.id in ids:
                raise UserError(f"{place}: the id is already used in {ids[concept.id]}; choose another")
            ids[concept.id] = concept.file
            mirrored_phrases = _swapped(concept.phrases) if concept.one_sided else ()
            for phrase in (*concept.phrases, *mirrored_phrases):
                owner = owners.setdefault(phrase.lower(), concept.id)
                if owner != concept.id:
                    raise UserError(f"{place}: {phrase!r} is already said by {owner}; one phrase means one pose")
            concepts.append(concept)
            if twins and mirrored_phrases:
                concepts.append(concept.twin())
    if told:
        raise UserError(f"descriptions: no concept is called {next(iter(told))!r}; ids stand in bank/*.yaml")
    return concepts


def load_descriptions(files: Sequence[Path]) -> dict[str, tuple[str, ...]]:
    """Concept id -> descriptions of its pose that do without its name."""
    found: dict[str, tuple[str, ...]] = {}
    for file in files:
        table = _read_yaml(file)
        if not isinstance(table, Mapping):
            raise UserError(f"{file}: a file of descriptions maps concept ids to lists of texts")
        for name in table:
            if name in found:
                raise UserError(f"{file.name}: {name} is described in another file too")
            try:
                found[name] = _texts(table, name)
            except UserError as error:
                raise UserError(f"{file.name}: {error}") from None
    return found


def _read_yaml(path: Path) -> Any:
    try:
        return yaml.load(path.read_text(encoding="utf-8"), Loader=SAFE_LOADER)
    except OSError as error:
        raise UserError(f"cannot read {path}: {reason_of(error)}") from None
    except Exception as error:  # a YAMLError, or what Python says of dates, numbers and nesting that cannot be
        raise UserError(f"{path} is not YAML: {' '.join(str(error).split())}") from None


def _read_file(path: Path) -> list[Concept]:
    entries = _read_yaml(path)
    if not isinstance(entries, list):
        raise UserError(f"{path}: a concept file is a list of concepts")
    concepts = []
    for number, entry in enumerate(entries, 1):
        label = entry.get("id", f"concept {number}") if isinstance(entry, Mapping) else f"concept {number}"
        try:
            concepts.append(_parse_concept(entry, path.name))
        except UserError as error:
            raise UserError(f"{path.name}: {label}: {error}") from None
    return concepts


def _parse_concept(entry: object, file: str) -> Concept:
    if not isinstance(entry, Mapping):
        raise UserError("a concept is a mapping with id, part, phrases, pose and checks")
    unknown = sorted(set(map(str, entry)) - KEYS)
    if unknown:
        raise UserError(f"unknown key {unknown[0]!r}; keys are {', '.join(sorted(KEYS))}")
    for key in ("id", "part", "pose", "checks"):
        if key not in entry:
            raise UserError(f"{key} is missing")
    if not re.fullmatch(r"[a-z0-9_]+", str(entry["id"])):
        raise UserError("id is lower case letters, digits and _")
    part = entry["part"]
    if not isinstance(part, str) or part not in PART_KEYS:
        raise UserError(f"part is one of {', '.join(PART_KEYS)}, not {part!r}")
    phrases = {key: _texts(entry, key) for key in PHRASE_KEYS}
    if not any(phrases.values()):
        raise UserError(f"no phrases: give at least one of {', '.join(PHRASE_KEYS)}")
    for phrase in phrases["doing"]:
        if not re.match(r"([a-z]+ly )?[A-Za-z-]+ing\b", phrase):
            raise UserError(f"doing: {phrase!r} does not begin with a verb in -ing")
    for key, texts in phrases.items():
        if key != "doing" and (bad := next((t for t in texts if t.startswith("with ")), None)):
            raise UserError(f"{key}: leave out the leading 'with' of {bad!r}")
    pose = entry["pose"]
    spec = parse_pose(pose)
    allowed = PART_KEYS[part]
    if allowed is not None and (extra := sorted(set(pose) - allowed)):
        raise UserError(
            f"part {part} cannot set {extra[0]!r}; it can set {', '.join(sorted(allowed))}, or choose part: body"
        )
    checks = _texts(entry, "checks")
    if not checks and part != "head":
        raise UserError("checks: give at least one")
    for check in checks:
        compile_check(check)
    own = expanded(pose)
    one_sided = expanded(mirrored(pose)) != own
    return Concept(
        id=str(entry["id"]),
        part=part,
        doing=phrases["doing"],
        name=phrases["name"],
        who=phrases["who"],
        with_=phrases["with"],
        told=(),
        pose=pose,
        spec=spec,
        checks=checks,
        one_sided=one_sided,
        file=file,
    )


def _texts(entry: Mapping[str, Any], key: str) -> tuple[str, ...]:
    value = entry.get(key, [])
    if not isinstance(value, list) or not all(isinstance(text, str) and text.strip() for text in value):
        raise UserError(f"{key} is a list of texts (quote texts that YAML reads otherwise)")
    texts = tuple(text.strip() for text in value)
    if len({text.lower() for text in texts}) < len(texts):
        raise UserError(f"{key}: the same text stands twice")
    return texts
