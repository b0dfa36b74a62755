"""Which of the statements in a request are wanted: nearly all, so only what is known to doubt a statement does.

A request is read with more trust than a caption (``assertion``): who mentions a state of a body while asking for a pose
wants it, whatever the words around it are. Not wanted are questions, conditions, alternatives, comparisons, what is yet
to come, and limbs of somebody else; what is denied becomes its contrary (``denial``).
"""

from pose_rft.posescript.agreement import of_both, of_side, reconciled, without_exceptions
from pose_rft.posescript.amounts import DEGREES, ONES, TENS
from pose_rft.posescript.assertion import ENDS
from pose_rft.posescript.denial import contraries, of_the_other_side
from pose_rft.posescript.lexicon import reading_table
from pose_rft.posescript.mentions import (
    COPULAS,
    PAST,
    SIDES,
    STOPS,
    Mention,
    body_words,
    find_mentions,
    holds_together,
    people,
    with_shared_subjects,
    with_states_apart,
)
from pose_rft.posescript.rewording import Reworded, request_table
from pose_rft.posescript.spelling import taught_words

DENIED, VOID, VAGUE, IF, RETRACT = "DENIED", "VOID", "VAGUE", "IF", "RETRACT"
ONLY, UNLIKE, LIKEWISE = "ONLY", "UNLIKE", "LIKEWISE"
TURNS = {"but", "while", "whereas", "because", "then", ":"}  # no denial and no doubt reaches beyond them
YES_OR_NO = {"is", "are", "was", "were", "do", "does", "did"}
OPEN = {"which", "what", "why", "how", "when", "where", "who", "whose"}
OFFERS = {("how", "about"), ("what", "about"), ("is", "it"), ("is", "there"), ("do", "you"), ("are", "you")}
STATES_KEPT = {"keep", "hold", "let", "leave", "have"}  # "don't slouch and keep the back straight" denies the first
WISHES = {"want", "wants", "need", "needs", "like", "love", "have", "him", "her", "them", "me", "you"}
NEAR = 3  # words between "or" and the statements that it makes alternatives
AFTER = 4  # words behind a statement that may change it


def requested(request: Reworded) -> list[Mention]:
    """The statements that a request makes, in their order; what it denies is stated as its contrary."""
    return _Reader(request).read()


class _Reader:
    """Goes through a request once.

    Attributes:
        scope: DENIED, VOID or IF, which reaches the next statement, or "".
        alternative: the place up to which a statement is the other of two.
        supposes: whether the sentence is said under a condition.
        contrast: UNLIKE or LIKEWISE, and the side, for the next statement.
        wanted: what is stated so far.
        denied: what of it is the contrary of what is said.
    """

    def __init__(self, request: Reworded) -> None:
        self.tokens, self.marks = request
        self.table = request_table()
        found = with_shared_subjects(self.tokens, find_mentions(self.tokens))
        found = with_states_apart(self.tokens, found, taught_words())
        self.mentions = {one.start: one for one in found}
        self.wanted: list[Mention] = []
        self.denied: set[Mention] = set()
        self.scope, self.alternative, self.supposes = "", 0, False
        self.contrast: tuple[str, str] | None = None

    def read(self) -> list[Mention]:
        start = 0
        for end, token in enumerate(self.tokens):
            if token in ENDS:
                if not self._asks(start, end):
                    self._read_sentence(start, end)
                start = end + 1
        present = {"now", "today"} & set(self.tokens)
        wanted = [one for one in self.wanted if not (present and PAST & set(self.tokens[one.start : one.end]))]
        return reconciled(without_exceptions(self.tokens, wanted), self.denied)

    def _asks(self, start: int, end: int) -> bool:
        """Whether a sentence wants to know something instead of a pose."""
        opening = [token for token in self.tokens[start:end] if token not in {"and", "but", "so", "then", ","}][:2]
        if not opening or tuple(opening) in OFFERS or self.marks[start] & {VOID, VAGUE}:
            return False
        return opening[0] in YES_OR_NO or (opening[0] in OPEN and self.tokens[end] == "?")

    def _read_sentence(self, start: int, end: int) -> None:
        self.scope, self.contrast, self.supposes = "", None, False
        clause, before = start, len(self.wanted)
        at = start
        while at < end:
            self._heed(self.marks[at])
            one = self.mentions.get(at)
            if one:
                self._meet(one, before)
                at = one.end
                if self.scope == DENIED and self.tokens[at] not in {"or", "and", ","}:
                    self.scope = ""
                continue
            if {UNLIKE, LIKEWISE} & self.marks[at]:
                self._compare(UNLIKE if UNLIKE in self.marks[at] else LIKEWISE, self.tokens[at], before)
            elif self._parts_clauses(at):
                self._close(clause, at, before)
                clause = at + 1
            self._pass(at, end)
            at += 1
        self._close(clause, end, before)
        if self.supposes or IF in self.marks[end]:
            del self.wanted[before:]
        if RETRACT in self.marks[end]:
            self.wanted.clear()

    def _heed(self, marks: frozenset[str]) -> None:
        if RETRACT in marks:
            self.wanted.clear()
        if marks & {VOID, VAGUE, IF}:
            self.scope = IF if IF in marks else VOID
        elif DENIED in marks and self.scope not in {VOID, IF}:
            self.scope = "" if self.scope == DENIED else DENIED

    def _parts_clauses(self, at: int) -> bool:
        return self.tokens[at] in TURNS | {",", "and", "with"}

    def _pass(self, at: int, end: int) -> None:
        """A word that belongs to no statement: how far do denial and doubt reach?"""
        token = self.tokens[at]
        if token == "or":
            self._part_alternatives(at)
        elif token in TURNS or (token == "with" and self.scope in {VOID, IF}):
            self.scope = ""
        elif token == ",":
            self.scope = self.scope if self.scope == DENIED and self._lists_on(at, end) else ""
        elif token == "and" and self.scope == DENIED:
            self.scope = self._denial_after_and(at + 1)
        elif self.scope == DENIED and token not in self.table["thin"] and token not in COPULAS | people():
            self.scope = VOID

    def _lists_on(self, at: int, end: int) -> bool:
        """Whether the commas part a list that ends in "or": no bending, lifting or turning."""
        after = at + 1
        while after < end and self.tokens[after] not in TURNS and DENIED not in self.marks[after]:
            one = self.mentions.get(after)
            after = one.end if one else after + 1
            if one and self.tokens[after] == "or":
                return True
            if one and self.tokens[after] != ",":
                return False
        return False

    def _denial_after_and(self, at: int) -> str:
        """What a denial makes of the statement after "and"."""
        one = self.mentions.get(at)
        if one and one.deed and self.tokens[at].endswith("ing"):
            return DENIED
        return "" if not one or not one.deed or self.tokens[at] in STATES_KEPT else VOID

    def _part_alternatives(self, at: int) -> None:
        if self.scope != DENIED:
            self.alternative = at + NEAR
            if self.wanted and self.wanted[-1].end + NEAR > at:
                self.wanted.pop()

    def _meet(self, one: Mention, before: int) -> None:
        """A statement: it counts, or its contrary does, unless something doubts it."""
        if self.scope == IF:
            self.supposes = True
            return
        inner = set().union(*self.marks[one.start + 1 : one.end])
        denied = (self.scope == DENIED) != (DENIED in inner)
        if VAGUE in inner or self.scope == VOID or self._is_doubtful(one):
            return
        if one.start <= self.alternative and not denied:
            return
        if denied:
            if one.limb.startswith("one ") or not (facts := contraries(one.facts)):
                return
            one = one._replace(facts=facts)
            self.denied.add(one)
        self.wanted.append(one)
        if ONLY in inner | self.marks[one.start]:
            self._compare(UNLIKE, "other", before)
        if self.contrast:
            self._compare(*self.contrast, before)

    def _compare(self, how: str, side: str, before: int) -> None:
        """The side that is named does what was said of the other, or does not; before that is said, it waits."""
        told = self.wanted[-1] if len(self.wanted) > before else None
        if told and side in SIDES and of_both(told.facts):
            self._except(told, how, side)
            return
        own = set(self.tokens[told.start : told.end]) & set(SIDES) if told else set()
        if told is None or (not told.limb and (len(own) != 1 or side in own)):
            self.contrast = (how, side)
            return
        facts = of_the_other_side(told.facts)
        limb = told.limb.replace("one ", "other ") if told.limb else ""
        self._add(how, told._replace(facts=facts, limb=limb))

    def _except(self, told: Mention, how: str, side: str) -> None:
        """Both arms are up, but not the left."""
        own = of_side(told.facts, side)
        if how == UNLIKE:
            self.wanted[-1] = told._replace(facts=tuple(fact for fact in told.facts if fact not in own))
            self._add(how, told._replace(facts=own))

    def _add(self, how: str, one: Mention) -> None:
        """What is said of the other side."""
        self.contrast = None
        one = one._replace(facts=contraries(one.facts) if how == UNLIKE else one.facts)
        if one.facts:
            self.wanted.append(one)
            self.denied |= {one} if how == UNLIKE else set()

    def _close(self, start: int, end: int, before: int) -> None:
        """A clause is over: one such as "the right one not", "but only slightly" speaks of the statement before it."""
        if start >= end or any(at in self.mentions for at in range(start, end)) or not self.wanted:
            return
        words = {token for token in self.tokens[start:end] if not holds_together(token)}
        marks = set().union(*self.marks[start : end + 1])
        sides = words & {*SIDES, "other"}
        if DENIED in marks and len(sides) == 1 and words <= sides | body_words() | COPULAS | self.table["thin"]:
            self._compare(UNLIKE, sides.pop(), before)
            return
        reading = reading_table()
        if (
            words
            and words <= reading["hedges"] | reading["ellipses"]
            and words & (reading["hedges"] | reading["degrees"])
        ):
            self.wanted.pop()

    def _is_doubtful(self, one: Mention) -> bool:
        before = self.tokens[one.start - 1]
        if before in self.table["hedges"] or before in self.table["undoing"]:
            return True
        if before == "of" and self.tokens[one.start - 2] in body_words():
            return True  # the palm of the left hand
        return self._is_cut_short(one) or self._is_of_others(one) or (one.person and self._is_no_order(one))

    def _is_cut_short(self, one: Mention) -> bool:
        """Whether words follow that may change what is said: "raise the arm to hip height" raises it to the hip."""
        for at in range(one.end, min(one.end + AFTER, len(self.tokens))):
            token = self.tokens[at]
            if token in STOPS | TURNS | self.table["boundaries"] or at in self.mentions or self.marks[at]:
                return False
            if token in self.table["places"] and not self._is_of_a_body(at + 1):
                return False
            if token == "of" or _modifies(token):
                return True
        return False

    def _is_of_a_body(self, at: int) -> bool:
        """Whether the first word of a place that says anything is one that wordings know: "behind the head"."""
        while self.tokens[at] in self.table["places"] | self.table["thin"] | self.table["attributes"]:
            at += 1
        return self.tokens[at] in taught_words() or not self.tokens[at].isalpha()

    def _is_of_others(self, one: Mention) -> bool:
        """Whether somebody else does it: the dog lifts, my teacher's left arm."""
        for at in range(one.start - 1, max(0, one.start - 1 - NEAR), -1):
            token, before = self.tokens[at], self.tokens[at - 1]
            if token.removesuffix("'s") in self.table["others"] or (token in people() and before == "other"):
                return True
            whose = {"who", "whose"} & set(self.tokens[at : at + 2])
            if token in people() or (token in STOPS | self.table["boundaries"] and not whose):
                return False
        return False

    def _is_no_order(self, one: Mention) -> bool:
        """Whether a posture is told and not asked for: a purpose, a past, what a crowd does, what I do now."""
        before, earlier = self.tokens[one.start - 1], self.tokens[one.start - 2]
        if (earlier if before in COPULAS else before) in body_words():
            return True  # "the left leg upright" does not say that the person is
        if before in PAST or before.endswith("'m") or (before == "am" and earlier == "i"):
            return one.end - one.start < NEAR
        if before == "to":
            clause = self.tokens[max(0, one.start - 8) : one.start - 1]
            return earlier not in WISHES | people() and not WISHES & set(clause)
        plural = before.endswith("s") and not holds_together(before) and before not in people() | {"always"}
        return plural and not self.tokens[one.start].endswith(("s", "ing"))


def _modifies(token: str) -> bool:
    """Whether a word behind a statement may change it: a number, a place, a direction or a degree."""
    if token.isdigit() or token in TENS or token in DEGREES or (token in ONES and token != "one"):
        return True
    return token in taught_words() and token not in request_table()["plain"] and not holds_together(token)
