"""Statements put together: a limb with pieces before and behind it, in any order and number.

"bend your left knee a little", "left knee slightly bent", "a slight bend of the left knee" are the same limb and
the same pieces. ``phrases`` reads pieces, ``meanings`` says what they mean; here they are joined to limbs, and to
the person ("lean forward a bit").
"""

from collections.abc import Callable, Iterator, Sequence
from functools import cache
from typing import NamedTuple

from pose_rft.posescript.amounts import ARTICLES
from pose_rft.posescript.facts import Fact
from pose_rft.posescript.meanings import SWAPPED, facts_of
from pose_rft.posescript.phrases import Piece, grammar_table, limb_nouns, piece_at

PARTS = Callable[[int], Iterator[tuple[tuple[str, ...], int]]]  # nouns that begin at a token, and where they end
JOINTS = {"and", ","}
ENDS = frozenset(".;!?:")
WHERE_ONE_BENDS = {"fwd", "back", "left", "right", "side", "at_waist", "down"}
LONGEST = 14  # pieces of a chain, with those that say nothing
LARGEST_BEND = 100.0  # degrees of "a bend of"; more is the angle of the joint
BEFORE_AN_OBJECT = {"at", "in", "of", "on", "with"}
ATTRIBUTES = {
    *("soft", "gentle", "small", "big", "large", "slight", "deep", "strong", "sharp", "shallow", "low", "high", "wide"),
}  # fmt: skip
POINTING = {"that", "this"}
ROLES = {
    "front": "front", "leading": "front", "lead": "front", "forward": "front",
    "back": "back", "rear": "back", "trailing": "back", "hind": "back",
    "standing": "standing", "supporting": "standing", "support": "standing", "planted": "standing",
    "lifted": "lifted", "raised": "lifted", "free": "lifted",
}  # fmt: skip
TELLING = {
    "forward": "front", "forwards": "front", "ahead": "front", "front": "front", "back": "back", "behind": "back",
    "backward": "back", "backwards": "back", "up": "lifted", "lifted": "lifted", "raised": "lifted", "off": "lifted",
    "pulled": "lifted", "stands": "standing",
}  # fmt: skip
OPPOSED = ({"front", "back"}, {"standing", "lifted"})
NEAR = 7  # words after a limb in which its role is told
LEG = {"leg", "foot", "knee", "thigh", "shin", "heel"}
LOOK_BACK = 25  # words in which a limb without a side looks for its side
NOT_FIRST = frozenset(
    ("up", "down", "fwd", "back", "side", "left", "right", "out", "in", "apart", "together", "across", "off_floor")
)
OF_THE_PERSON = {
    "lean": "self", "bend": "self", "tilt": "self", "twist": "self", "arch": "self", "look": "look", "turn": "heading",
    "squat": "squat", "lunge": "lunge", "tiptoe": "tiptoe", "fold": "folded",
}  # fmt: skip
WHOEVER = {
    *("person", "man", "woman", "boy", "girl", "figure", "character", "model", "he", "she", "they", "i", "you", "him"),
    *("dancer", "athlete", "body", "someone", "child", "lady", "guy", "while", "but", "then"),
}  # fmt: skip
BEFORE_WHOEVER = {
    *("is", "are", "be", "has", "stand", "stands", "standing", "up", "a", "now", "all", "rise", "rises", "rising"),
    *("make", "do", "does", "go", "please", "half", "barely", "slightly", "way", "by", "sit", "sits", "to", "with"),
    "sitting",
}  # fmt: skip
OF_WHOEVER = {"heading", "tiptoe", "folded"}  # limbs and things may do that too: "hands on toes"
ARM = frozenset(("arm", "hand", "palm", "elbow", "forearm", "upper_arm", "shoulder"))
BEFORE_A_LIMB = {"left", "right", "both", "one", "each", "other"}


class Composed(NamedTuple):
    """A statement: where it ends, what it says, and how (see ``mentions.Mention``); loose: pieces hang on a comma."""

    end: int
    facts: tuple[Fact, ...]
    deed: bool
    person: bool
    limb: str
    loose: bool


class _Limb(NamedTuple):
    """What a noun names: its kind, its sides, and the noun where it has no side ("one arm", "other arm")."""

    kind: str
    sides: tuple[str, ...]
    sideless: str = ""


class _Chain(NamedTuple):
    """Pieces up to a place; carries: one of them is a deed whose object a limb may be."""

    end: int
    pieces: tuple[Piece, ...]
    carries: bool = False


@cache
def _named() -> dict[str, _Limb]:
    found = {noun: _Limb(kind, ()) for kind, nouns in grammar_table()["middle"].items() for noun in nouns}
    for one, (kind, both) in limb_nouns().items():
        found |= {f"{side} {noun}": _Limb(kind, (side,)) for side in ("left", "right") for noun in (one, both)}
        found[f"one {one}"] = _Limb(kind, ("left",), f"one {one}")
        found[f"other {one}"] = _Limb(kind, ("right",), f"other {one}")
        found.setdefault(both, _Limb(kind, ("left", "right")))
    return found


@cache
def _limb_words() -> frozenset[str]:
    return frozenset(word.split()[-1] for one, (_, both) in limb_nouns().items() for word in (one, both))


class Composer:
    """Reads the statements of one text that are put together.

    Args:
        tokens: of a text, in lower case and without articles; the first and the last are stops.
        parts: reads the nouns of limbs that begin at a token.
    """

    def __init__(self, tokens: Sequence[str], parts: PARTS) -> None:
        self.tokens = tokens
        self.parts = parts
        self._pieces: dict[int, Piece | None] = {}
        self._limbs: dict[int, list[tuple[tuple[_Limb, ...], int]]] = {}

    def at(self, at: int) -> Iterator[Composed]:
        """All statements that begin at a token."""
        for limbs, after in self._limbs_at(at):
            yield from self._of_limbs(limbs, after, (), False)
        if not self._piece_at(at):
            return
        chains = list(self._chains(at))
        if chains and self.tokens[at - 1] in JOINTS and self.tokens[at] not in SWAPPED:
            yield from self._going_on(at, chains)
        if not self._may_begin(at):
            return
        for chain in chains:
            of = chain.end + (bool(chain.pieces) and self.tokens[chain.end] in BEFORE_AN_OBJECT)
            for place in dict.fromkeys((chain.end, of)):
                for limbs, after in self._limbs_at(place):
                    yield from self._of_limbs(limbs, after, chain.pieces, chain.carries)
        yield from self._of_the_person(chains, _is_of_whoever(self.tokens, at))

    def _piece_at(self, at: int) -> Piece | None:
        if at not in self._pieces:
            self._pieces[at] = piece_at(self.tokens, at)
        return self._pieces[at]

    def _may_begin(self, at: int) -> bool:
        piece = self._piece_at(at)
        if self.tokens[at - 1] == "than":  # more than halfway
            return False
        if piece is None or not piece.names or piece.carries:
            return bool(piece and piece.carries)
        return piece.names[0] not in NOT_FIRST and ":" not in piece.names[0]

    def _limbs_at(self, at: int) -> list[tuple[tuple[_Limb, ...], int]]:
        """Limbs that begin at a token, one or two, and where they end."""
        if at not in self._limbs:
            self._limbs[at] = [] if self.tokens[at - 1] == "from" else list(self._read_limbs(at))
        return self._limbs[at]

    def _read_limbs(self, at: int) -> Iterator[tuple[tuple[_Limb, ...], int]]:
        tokens, named = self.tokens, _named()
        if tokens[at] == "back" and tokens[at - 1] in _limb_words():
            return  # "right foot back, both on the floor"
        for names, end in self.parts(at):
            if all(name in named for name in names):
                yield tuple(named[name] for name in names), end
        start = at + (tokens[at] in POINTING)
        role = tokens[start] if tokens[start] in ROLES else ""
        start += bool(role)
        for length in (2, 1):
            noun = " ".join(tokens[start : start + length])
            if noun in limb_nouns() and tokens[at - 1] not in BEFORE_A_LIMB:
                kind, _ = limb_nouns()[noun]
                if role and kind in ARM:
                    continue
                side = _side_of_role(tokens, ROLES[role]) if role else _side_before(tokens, at, kind)
                if side or not role:
                    yield (_Limb(kind, (side or "left",), "" if side else f"one {noun}"),), start + length

    def _of_limbs(
        self, limbs: tuple[_Limb, ...], after: int, before: tuple[Piece, ...], carries: bool
    ) -> Iterator[Composed]:
        """What is said of limbs by pieces before them and behind them."""
        sideless = limbs[0].sideless if len(limbs) == 1 else ""
        if len(limbs) > 1 and any(limb.sideless for limb in limbs):
            return
        if before and (facts := _meaning(limbs, before)):
            yield Composed(after, facts, carries, False, sideless, False)
        for chain in self._chains(after + (self.tokens[after] == ":")):
            if facts := _meaning(limbs, (*before, *chain.pieces)):
                yield Composed(chain.end, facts, carries, False, sideless, False)

    def _going_on(self, at: int, chains: Sequence[_Chain]) -> Iterator[Composed]:
        """More of the limb that was named last: "left arm raised, bent at the elbow"."""
        for place in range(at - 2, max(0, at - LOOK_BACK), -1):
            if self.tokens[place] in ENDS:
                return
            limbs = [limbs for limbs, end in self._limbs_at(place) if end < at]
            if not limbs and self.tokens[place] in SWAPPED and self.tokens[place - 1] != "to":
                return  # "only the right is raised, sideways"
            if limbs:
                for chain in chains if not _is_of_amounts(chains[0].pieces, limbs[-1]) else ():
                    if facts := _meaning(limbs[-1], chain.pieces):
                        sideless = limbs[-1][0].sideless if len(limbs[-1]) == 1 else ""
                        yield Composed(chain.end, facts, False, False, sideless, True)
                return

    def _of_the_person(self, chains: Sequence[_Chain], whoever: bool) -> Iterator[Composed]:
        """lean forward a bit; look over the left shoulder"""
        for chain in chains:
            names = {name for piece in chain.pieces for name in piece.names}
            kinds = {OF_THE_PERSON[name] for name in names & OF_THE_PERSON.keys()}
            if not kinds or (len(chain.pieces) == 1 and self.tokens[chain.end] == "and"):  # bow and arrow
                continue
            if "bend" in names and not WHERE_ONE_BENDS & names:
                continue
            if {"turn", "half"} == names and self.tokens[chain.end] not in ENDS | JOINTS | {"with"}:
                continue  # "turn around the pole"
            for kind in sorted(kinds - (set() if whoever else OF_WHOEVER)):
                if facts := facts_of(kind, (), _bent_by(chain.pieces)):
                    yield Composed(chain.end, facts, True, True, "", False)

    def _chains(self, at: int) -> Iterator[_Chain]:
        """Pieces from a token on, after each one."""
        pieces: list[Piece] = []
        carries = False
        for _ in range(LONGEST):
            if self.tokens[at] in BEFORE_A_LIMB and _limb_follows(self.tokens, at):
                return
            piece = self._piece_at(at)
            if piece is None:
                return
            at, carries = piece.end, carries or piece.carries
            if piece.names:
                pieces.append(piece)
            if not (self.tokens[at - 1] in ATTRIBUTES and self.tokens[at - 2] in ARTICLES and self._is_strange(at)):
                yield _Chain(at, tuple(pieces), carries)

    def _is_strange(self, at: int) -> bool:
        """Whether a word is a noun that nobody knows, of which an adjective before it tells: "in a soft light"."""
        token = self.tokens[at]
        return token.isalpha() and token not in JOINTS and not self._piece_at(at) and not self._limbs_at(at)


def _is_of_whoever(tokens: Sequence[str], at: int) -> bool:
    """Whether nothing but the person can be what does something at a place: no limb and no thing before it."""
    place = at - 1
    while place and tokens[place] in BEFORE_WHOEVER:
        place -= 1
    if tokens[at] == "rotation" or tokens[place] not in ENDS | JOINTS | WHOEVER:
        return False
    if tokens[place] not in JOINTS:
        return True
    start = max(at for at in range(place) if tokens[at] in ENDS) + 1
    return tokens[start] in BEFORE_WHOEVER or not WHOEVER.isdisjoint(tokens[start:place])


def _is_of_amounts(pieces: tuple[Piece, ...], limbs: tuple[_Limb, ...]) -> bool:
    """Whether what goes on begins with an amount, which need not be one of this limb."""
    return bool(pieces and pieces[0].value is not None and limbs[-1].kind not in {"elbow", "knee", "torso", "head"})


def _side_of_role(tokens: Sequence[str], role: str) -> str:
    """The side of "the front leg" and "the standing leg", told by "left foot forward" or "right knee up"."""
    found: set[str] = set()
    for place, token in enumerate(tokens[:-1]):
        if token not in SWAPPED or limb_nouns().get(tokens[place + 1], ("",))[0] not in LEG:
            continue
        for word in tokens[place + 2 : place + 2 + NEAR]:
            if word in ENDS or word in JOINTS or word in SWAPPED:
                break
            if word in TELLING:
                told = TELLING[word]
                if told == role:
                    found.add(token)
                elif {told, role} in OPPOSED:
                    found.add(SWAPPED[token])
    return found.pop() if len(found) == 1 else ""


def _side_before(tokens: Sequence[str], at: int, kind: str) -> str:
    """The side of the arm or leg that a text has named last, if it has named one of them only."""
    sides: set[str] = set()
    for place in range(at - 1, max(0, at - LOOK_BACK), -1):
        if tokens[place] in {".", ";"} and sides:
            break
        name = limb_nouns().get(tokens[place])
        if name and (name[0] in ARM) == (kind in ARM) and tokens[place - 1] in {"left", "right"}:
            sides.add(tokens[place - 1])
    return sides.pop() if len(sides) == 1 else ""


def _meaning(limbs: tuple[_Limb, ...], pieces: tuple[Piece, ...]) -> tuple[Fact, ...]:
    facts: list[Fact] = []
    for limb in limbs:
        found = facts_of(limb.kind, limb.sides, _bent_by(pieces))
        if not found:
            return ()
        facts += found
    return tuple(dict.fromkeys(facts))


def _bent_by(clause: tuple[Piece, ...]) -> tuple[Piece, ...]:
    """ "40 degrees of bend" and "a flexion of 40 degrees" are bends by so much, not angles."""
    noun = any(piece.names in {("flexion",), ("off_straight",)} for piece in clause)
    angle = next((place for place, piece in enumerate(clause) if piece.names == ("N",)), None)
    if angle is None:
        return tuple(piece._replace(names=("bend",)) if piece.names == ("flexion",) else piece for piece in clause)
    small = (clause[angle].value or 0) <= LARGEST_BEND
    noun |= small and any(piece.names == ("bend",) and piece.carries for piece in clause[angle + 1 :])
    kinds: dict[tuple[str, ...], tuple[str, ...]] = {
        ("N",): ("F",) if noun else ("N",),
        ("flexion",): ("bend",),
        ("off_straight",): ("bend",),
    }
    return tuple(piece._replace(names=kinds.get(piece.names, piece.names)) for piece in clause)


def _limb_follows(tokens: Sequence[str], at: int) -> bool:
    """Whether "left" and the like begin a limb: "arms up left knee bent"."""
    return (
        tokens[at + 1] in _limb_words() or tokens[at + 1] in {"lower", "upper"} or tokens[at : at + 2] == ["both", "of"]
    )
