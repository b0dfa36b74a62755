"""Finding what a text mentions: "the left knee is bent", "leaning forward", "with both arms raised".

A text is cut into statements and the words between them such that as few words as possible are left over (dynamic
programming from the end). Whether the text means what is found is decided by ``assertion``.
"""

import re
from collections.abc import Iterator, Sequence
from functools import cache
from typing import NamedTuple

from pose_rft.posescript.composition import Composed, Composer
from pose_rft.posescript.facts import Facts, said_loosely
from pose_rft.posescript.lexicon import PERSON, Lexicon, load_lexicon, read, reading_table, tokens_of
from pose_rft.posescript.posecodes import Posecode, load_posecodes
from pose_rft.posescript.wording import VOICES, participle, shared_state, third_person

PAST = {"was", "were"}
COPULAS = {"is", "are"} | PAST
STOPS = set(".,;:!?")
SIDES = ("left", "right")
BEFORE_ELLIPSES = STOPS | {"and", "while", "but", "whereas", "with", "for"}
TWINS = {"left": "right", "right": "left", "one": "other", "a": "other", "an": "other"}
ARM_NOUNS = frozenset(["arm", "hand", "elbow", "forearm", "wrist", "fist", "palm"])
LEG_NOUNS = frozenset(["leg", "knee", "foot", "ankle", "heel", "thigh", "shin"])
SHARING = {",", "and", "but", "then", "which", "that"}  # between states of one limb
CLAUSE_ENDS = STOPS | {"and", "while", "but", "whereas", "with", "as", "like", "so", "for"}
BEFORE_PLACES = {
    "on", "at", "to", "by", "behind", "near", "against", "beside", "towards", "toward",
    "above", "below", "over", "under",
}  # fmt: skip
STRANGE = 3  # words that may part a state from its noun
LOOK_BACK = 30  # words in which "the other one" looks for its limb
COMPOSED, LOOSELY_COMPOSED = 3, 7
WORD_COST = 1000  # a word left over weighs more than any number of statements


class Mention(NamedTuple):
    """A statement and where it stands: tokens[start:end]."""

    start: int
    end: int
    facts: Facts
    deed: bool  # has its subject before it, or is an order: "bends the left knee"
    person: bool  # is said of the person as a whole: "leaning forward"
    limb: str = ""  # of a limb without a side, told in the words of the left: "one arm"; of its twin, "other arm"
    price: int = 0  # of equals, which mention is rather meant; 0 for what the lists of wordings know


@cache
def _connectives() -> frozenset[str]:
    kept = {form for verb in ("have", "keep", "hold") for form in (verb, third_person(verb), participle(verb))}
    voiced = {word for voice in VOICES for words in (voice.intro, voice.pronoun) for word in tokens_of(words)}
    return frozenset(STOPS | kept | voiced) | reading_table()["connectives"]


def people() -> frozenset[str]:
    """Words for the person whom a text is about."""
    return frozenset().union(*reading_table()["people"].values())


def holds_together(token: str) -> bool:
    """Whether a word holds a sentence together and says nothing by itself."""
    return token in _connectives() or (token.endswith("'s") and token.removesuffix("'s") in people())


@cache
def code_of(name: str) -> Posecode:
    """The posecode of an id."""
    return next(code for code in load_posecodes() if code.id == name)


@cache
def body_words() -> frozenset[str]:
    """Nouns of parts of the body, without sides: knee, knees, torso, ..."""
    lexicon = load_lexicon()
    return frozenset(noun.split()[-1] for noun in (*lexicon.named, *lexicon.limbs.values()))


def _limb_before(tokens: Sequence[str], at: int) -> tuple[str, str]:
    """Side ("" if it has none, or "one") and noun of the limb in the clause before, or "" twice for none or two."""
    singular = {word: limb for limb, both in load_lexicon().limbs.items() for word in (limb, both)}
    limbs = sorted(singular, key=len, reverse=True)  # lower leg before leg
    found: set[tuple[str, str]] = set()
    places: set[tuple[str, str]] = set()  # where something is: "the left hand on the hip, the other behind the head"
    for place in range(at - 2, max(0, at - LOOK_BACK), -1):
        if tokens[place] in STOPS and found:
            break
        said = " ".join(tokens[max(0, place - 1) : place + 1])
        if noun := next((limb for limb in limbs if said == limb or said.endswith(f" {limb}")), ""):
            first = place - len(noun.split())
            side = "one" if tokens[first] in {"a", "an"} else tokens[first]
            (places if side in BEFORE_PLACES else found).add((side if side in (*SIDES, "one") else "", singular[noun]))
    found = found or places
    return found.pop() if len(found) == 1 else ("", "")


def _elliptic(tokens: Sequence[str], at: int, lexicon: Lexicon) -> Iterator[tuple[tuple[str, ...], int]]:
    """The left one / the left / the other, of the limb named before: "the right knee is bent, the left straight"."""
    if not at or tokens[at] not in (*SIDES, "other") or tokens[at - 1] not in BEFORE_ELLIPSES:
        return
    side, limb = _limb_before(tokens, at)
    end = at + 1 + (tokens[at + 1] in {"one", limb})
    if tokens[at] != "other":
        side = tokens[at]
    elif side in SIDES:
        side = SIDES[1 - SIDES.index(side)]
    elif side == "one":
        side = "other"
    if side and f"left {limb}" in lexicon.named:
        yield (f"{side} {limb}",), end


def _nouns(tokens: Sequence[str], at: int, lexicon: Lexicon) -> Iterator[tuple[str, int]]:
    """One noun: left knee; left knee of the man."""
    for end, meaning in read(lexicon.nouns, tokens, at):
        name = meaning[PERSON]
        if name.startswith("other "):
            name = _twin_before(tokens, at, name.removeprefix("other "))
        if name:
            yield name, end
            if tokens[end] == "of" and tokens[end + 1] in people():
                yield name, end + 2


def _twin_before(tokens: Sequence[str], at: int, limb: str) -> str:
    """The other arm, after "the left hand" or "one elbow": of the right, or of the other side; "" after neither."""
    kind = ARM_NOUNS if limb in ARM_NOUNS else LEG_NOUNS
    for place in range(at - 1, max(0, at - LOOK_BACK), -1):
        if tokens[place] in kind:
            sides = [token for token in tokens[max(0, place - 2) : place] if token in TWINS]
            if not sides and tokens[place - 1] in BEFORE_ELLIPSES:  # "hand on hip, the other arm hanging"
                sides = ["one"]
            return f"{TWINS[sides[-1]]} {limb}" if sides else ""
    return ""


def parts_at(tokens: Sequence[str], at: int, lexicon: Lexicon) -> Iterator[tuple[tuple[str, ...], int]]:
    """Nouns that begin at a token, one or two, and where they end: left knee; both knees; left knee and right elbow."""
    yield from _elliptic(tokens, at, lexicon)
    if tokens[at] == "both":
        at += 1 + (tokens[at + 1] == "of")
    for name, end in _nouns(tokens, at, lexicon):
        yield (name,), end
        if tokens[end] == "and":
            for other, last in _nouns(tokens, end + 1, lexicon):
                yield (name, other), last
            side = tokens[at]
            if side in SIDES and f"{side} {tokens[end + 1]}" in lexicon.named:  # the left knee and elbow
                yield (name, f"{side} {tokens[end + 1]}"), end + 2


def _sideless(part: str) -> str:
    """The limb if a noun names one without a side, "one arm", or its twin, "other arm"."""
    return part if part.startswith(("one ", "other ")) else ""


def _told_of(part: str) -> str:
    """The noun in whose words something is told: one arm -> left arm, other arm -> right arm."""
    return re.sub("^one ", "left ", re.sub("^other ", "right ", part))


def _said_of(parts: tuple[str, ...], meanings: dict, lexicon: Lexicon) -> Facts | None:
    """What a phrase says of these parts, or None if it is not said of them."""
    if len(parts) == 1:
        return meanings.get((_told_of(parts[0]), False))
    if any(map(_sideless, parts)):
        return None
    found = [meanings.get((part, True)) or meanings.get((part, False)) for part in parts]
    if found[0] and not found[1] and (name := found[0][0].posecode):  # one state of two parts
        shared = next((c for c in lexicon.named.get(parts[1], ()) if shared_state(code_of(name), c)), None)
        found[1] = (said_loosely(shared),) if shared else None
    return found[0] + found[1] if found[0] and found[1] else None


def _states(tokens: Sequence[str], at: int, parts: tuple[str, ...], lexicon: Lexicon) -> Iterator[tuple[int, Facts]]:
    """One state or two of these parts: bent; bent and on the ground."""
    for end, meanings in read(lexicon.states, tokens, at):
        facts = _said_of(parts, meanings, lexicon)
        if facts is None:
            continue
        yield end, facts
        for last, others in read(lexicon.states, tokens, end + 1) if tokens[end] == "and" else ():
            if more := _said_of(parts, others, lexicon):
                yield last, facts + more


def _attributes(tokens: Sequence[str], at: int, lexicon: Lexicon) -> Iterator[tuple[tuple[str, ...], int, Facts]]:
    """A state before its noun: bent knees; slightly bent left knee."""
    for middle, meanings in read(lexicon.states, tokens, at):
        if middle > at and tokens[middle - 1].endswith(("ed", "bent", "straight")):
            for parts, end in parts_at(tokens, middle, lexicon):
                if len(parts) == 1 and (facts := _said_of(parts, meanings, lexicon)):
                    yield parts, end, facts


def mentions_at(tokens: Sequence[str], at: int, lexicon: Lexicon) -> Iterator[Mention]:
    """All statements that begin at a token."""
    for end, meanings in read(lexicon.acts, tokens, at):
        if tokens[at] == "on" and not (tokens[at - 1] in STOPS | {"and"} or tokens[at - 1] in people()):
            continue  # "hands on the back" are not "on the back"
        yield Mention(at, end, meanings[PERSON], True, True)
    for middle, follow in read(lexicon.deeds, tokens, at):
        for parts, after in parts_at(tokens, middle, lexicon):
            for end, meanings in read(follow, tokens, after):
                if facts := _said_of(parts, meanings, lexicon):
                    yield Mention(at, end, facts, True, False, _sideless(parts[0]))
    subjects = [(parts, after, ()) for parts, after in parts_at(tokens, at, lexicon)]
    for parts, after, known in [*subjects, *_attributes(tokens, at, lexicon)]:
        if known:
            yield Mention(at, after, known, False, False, _sideless(parts[0]))
        after += tokens[after] in COPULAS
        for start in (after, after + 1) if tokens[after] in reading_table()["adverbs"] else (after,):
            for end, facts in _states(tokens, start, parts, lexicon):
                yield Mention(at, end, known + facts, False, False, _sideless(parts[0]))


def _composed_mention(at: int, one: Composed) -> Mention:
    price = LOOSELY_COMPOSED if one.loose else COMPOSED
    return Mention(at, one.end, one.facts, one.deed, one.person, one.limb, price)


def find_mentions(tokens: Sequence[str]) -> list[Mention]:
    """The statements in a text that leave the fewest words over; of equals, the fewest statements.

    Args:
        tokens: of a text, in lower case and without articles; the first and the last are stops.
    """
    lexicon = load_lexicon()
    composer = Composer(tokens, lambda place: parts_at(tokens, place, lexicon))
    cost = [0] * len(tokens)  # of the text from each token on
    step: list[Mention | None] = [None] * len(tokens)
    for at in reversed(range(len(tokens) - 1)):
        cost[at] = cost[at + 1] + (0 if holds_together(tokens[at]) else WORD_COST)
        composed = (_composed_mention(at, one) for one in composer.at(at))
        for one in (*mentions_at(tokens, at, lexicon), *composed):
            # rather what captions say than plain words, and these rather than what is put together
            price = one.price or (1 if all(fact.posecode for fact in one.facts) else 2)
            if cost[one.end] + price < cost[at]:
                cost[at], step[at] = cost[one.end] + price, one
    found, at = [], 0
    while at < len(tokens):
        chosen = step[at]
        if chosen:
            found.append(chosen)
        at = chosen.end if chosen else at + 1
    return found


def with_shared_subjects(tokens: Sequence[str], found: Sequence[Mention]) -> list[Mention]:
    """Statements, and what further states follow them: "the left arm is raised, bent and close to the head"."""
    known = {one.start for one in found}
    every: list[Mention] = []
    for one in found:
        every.append(one)
        parts = _first_parts(tokens, one)
        while parts and (more := _state_after(tokens, every[-1].end, parts)) and more.start not in known:
            every.append(more)
    return every


def with_states_apart(tokens: Sequence[str], found: Sequence[Mention], known: frozenset[str]) -> list[Mention]:
    """Statements, and states that unknown words part from their nouns: "legs calm and together"."""
    lexicon, taken = load_lexicon(), {at for one in found for at in range(one.start, one.end)}
    every = list(found)
    at = 0
    while at < len(tokens) - 1:
        apart = [] if at in taken else list(_states_apart(tokens, at, lexicon, known, taken))
        if apart:
            every.append(max(apart, key=lambda one: one.end))
            at = every[-1].end
        else:
            at += 1
    return sorted(every)


def _states_apart(
    tokens: Sequence[str], at: int, lexicon: Lexicon, known: frozenset[str], taken: set[int]
) -> Iterator[Mention]:
    for parts, after in parts_at(tokens, at, lexicon):
        start, strange = after, 0
        while start < len(tokens) - 1 and strange < STRANGE and start not in taken:
            if tokens[start] in STOPS or (tokens[start] in known and tokens[start] not in SHARING | COPULAS):
                break
            strange += tokens[start] not in SHARING | COPULAS
            start += 1
            for end, facts in _states(tokens, start, parts, lexicon) if strange else ():
                if end > start and tokens[end] in CLAUSE_ENDS and not taken & {*range(start, end)}:
                    yield Mention(at, end, facts, False, False, _sideless(parts[0]))


def _first_parts(tokens: Sequence[str], one: Mention) -> tuple[str, ...]:
    """The nouns that a statement is about; none where it is about the person."""
    if one.person:
        return ()
    lexicon = load_lexicon()
    for at in range(one.start, one.end):
        if fitting := [(end, parts) for parts, end in parts_at(tokens, at, lexicon) if end <= one.end]:
            return max(fitting)[1]
    return ()


def _state_after(tokens: Sequence[str], at: int, parts: tuple[str, ...]) -> Mention | None:
    """A state without a noun after a comma, "and" or "but", up to where a clause ends."""
    start = at
    while tokens[start] in SHARING | COPULAS and start < len(tokens) - 1:
        start += 1
    if start == at or tokens[at] in COPULAS:
        return None
    found = [
        Mention(start, end, facts, False, False, _sideless(parts[0]))
        for end, facts in _states(tokens, start, parts, load_lexicon())
        if end > start and tokens[end] in CLAUSE_ENDS
    ]
    return max(found, key=lambda one: one.end, default=None)
