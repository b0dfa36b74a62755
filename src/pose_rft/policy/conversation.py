"""A conversation that keeps its pose: what a message asks for, and the poses that were shown so far.

``turn_of`` tells an order about the pose that is shown from a wish for a new pose, from a question about the shown one
and from plain talk. ``Conversation`` holds the poses and follows orders (``pose_rft.policy.editing``); going back gives
the very pose that was shown before.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import Enum

from PIL.Image import Image

from pose_rft.body.pose import Pose
from pose_rft.data.mixtures.follow_ups import about_shown
from pose_rft.data.questions.answering import DESCRIBE
from pose_rft.data.sample import POSE_TOKEN
from pose_rft.data.stated import stated_checks
from pose_rft.errors import UserError
from pose_rft.policy.editing import answer_of, edits_of
from pose_rft.policy.notes import asks_about_shown, is_question, mentions_picture
from pose_rft.policy.outputs import Answer
from pose_rft.posescript.edits.edit import Edited, last_part
from pose_rft.posescript.edits.orders import Order, read_order


class Turn(Enum):
    """What a message wants."""

    EDIT = "edit"  # a change of the pose that is shown
    POSE = "pose"  # a new pose
    QUESTION = "question"  # something about the pose that is shown
    TALK = "talk"  # words; the pose stays as it is shown


LEAD = re.compile(
    r"\s*(?:(?:please|now|ok|okay|then|and|so|well|great|nice|cool|good|perfect|thanks|thank you|hey|hi|(?:could|can"
    r"|would|will) (?:you|we)|let's|instead|maybe|also|next|this time|(?:what|how) about)\b[\s,.!:;]*)*",
    re.IGNORECASE,
)
AMOUNTS = r"(?:tiny |little )?(?:bit|little|lot|tad|touch|smidge|hair|fraction|notch|good deal|great deal)\b"
SOMEBODY = (
    rf"(?:(?:an?|another)\s+(?!{AMOUNTS}|\d)|(?:some(?:one|body)|anyone)\b|(?:two|three|one) (?:people|person)\b)"
)
NEW_POSE = re.compile(
    rf"{SOMEBODY}"
    r"|(?:show|draw|display|generate|create|render|imagine|picture)\b"
    r"(?! (?:me )?(?:it|him|her|them|this|that|the (?:same|left|right|other)|more)\b)"
    rf"|(?:give me|make|i want|i need|i'd like|i would like|let me see|can i (?:see|have))\b(?: to see)? {SOMEBODY}"
    r"|.*\b(?:new|different|another) (?:pose|person|body|figure)\b|.*\blooks? like\b",
    re.IGNORECASE,
)
DESCRIPTION = re.compile(  # "Both arms are raised above the head." says how somebody is, not what shall change
    r"(?:the|both|his|her|their|its|one|left|right)\b[^,.;]*\b(?:is|are)\b(?! to\b)", re.IGNORECASE
)
COMPARED = (
    r"\b(?:more|less|further|farther|higher|lower|wider|closer|deeper|straighter|again|same|other|keep|even|back to"
    r"|not so|not that)\b"
)
FROM_NOW = re.compile(rf"{COMPARED}|\b(?:now|also|too|still|should)\b", re.IGNORECASE)
CHANGED = re.compile(  # sounds like a change, whether or not it is understood
    rf"{COMPARED}|\b(?:bit|little|slightly)\b|^\s*(?:show|make|turn|move|give) (?:it|this|that|him|her)\b",
    re.IGNORECASE,
)
ORDERED = re.compile(r"(?:do|have)\b[^?]*$", re.IGNORECASE)  # "do the same on the right" asks nothing
SMALL_TALK = frozenset(
    re.findall(
        r"\S+",
        "thanks thank you thx ty cheers ok okay k great cool nice perfect good awesome excellent amazing "
        "beautiful super brilliant wonderful fantastic lovely neat sweet wow hello hi hey bye goodbye yes "
        "yeah yep no nope lol haha hm hmm sorry please that's that thats it's it is this the a so very much "
        "really well done job work love like i we lot looks look looking fine right exactly welcome see later "
        "how are u your who what doing today morning evening night afternoon day have can do help me my name "
        "for all now and too as always why",
    )
)
WHY = re.compile(r"(?:why|when|who|whose)\b", re.IGNORECASE)
WORD = re.compile(r"[a-z']+")


def turn_of(message: str, shown: bool = True, part: str = "") -> Turn:
    """What a message wants.

    Args:
        message: as people type it.
        shown: whether there is a pose that it may be about.
        part: the part of the body that was ordered about last, which "it" and "the other one" mean.
    """
    words = _words(message)
    if words and set(words) <= SMALL_TALK and not read_order(message).demands:
        return Turn.TALK
    order = read_order(message, part)
    rest = message[LEAD.match(message).end() :]  # type: ignore[union-attr]
    if not shown:
        return Turn.EDIT if _is_about_before(order) else Turn.POSE
    if DESCRIBE.match(rest):
        return Turn.QUESTION
    if NEW_POSE.match(rest):
        return Turn.POSE
    if (is_question(rest) or WHY.match(rest)) and not ORDERED.match(rest):
        return Turn.QUESTION if asks_about_shown(rest) else Turn.TALK
    if DESCRIPTION.match(rest) and not FROM_NOW.search(message):
        return Turn.POSE
    return Turn.EDIT if CHANGED.search(message) or _is_followed(order, rest) else Turn.POSE


def _words(text: str) -> list[str]:
    return WORD.findall(text.lower().replace("\u2019", "'"))


def _names(order: Order) -> set[str]:
    """What an order asks for; nothing where it was not understood whole."""
    return set() if order.unknown else {meaning.name for demand in order.demands for meaning in demand.meanings}


def _is_about_before(order: Order) -> bool:
    """Whether an order says nothing but "undo", "again" and the like."""
    return bool(_names(order)) and _names(order) <= {"undo", "again", "less_again", "same", "stay"}


def _is_followed(order: Order, text: str) -> bool:
    """Whether all of an order was understood, or at least how it begins."""
    if not order.demands or not order.unknown:
        return bool(order.demands)
    return _words(text)[:1] == _words(order.demands[0].words)[:1]


def asked_about(answer: str, question: str) -> str:
    """A prompt that asks about the pose of an answer; the question alone where the answer said nothing of the pose."""
    said, _, _ = answer.partition(POSE_TOKEN)
    return about_shown(said, question) if stated_checks(said) else question


@dataclass(frozen=True, eq=False)
class Moment:
    """Poses that were shown together.

    Attributes:
        answers: with a pose each.
        words: the message that led here.
        before: what was shown before, None at the beginning.
        body: of the poses shown before, the one that was edited.
        edit: that led here from that pose; None where the poses are new.
    """

    answers: tuple[Answer, ...]
    words: str
    before: "Moment | None" = None
    body: int = 0
    edit: Edited | None = None


@dataclass(frozen=True, eq=False)
class Conversation:
    """The poses of a conversation; it never changes, what happens gives another one.

    Attributes:
        moments: all that was shown, newest last; those that were gone back from too.
        current: what is shown now, one of them.
        body: which pose of it is meant.
        photograph: the one that was sent last.
        about_photograph: whether it was spoken of after the last pose.
    """

    moments: tuple[Moment, ...] = ()
    current: Moment | None = None
    body: int = 0
    photograph: Image | None = None
    about_photograph: bool = False

    @property
    def answer(self) -> Answer | None:
        """The answer whose pose is meant."""
        return None if self.current is None else self.current.answers[self.body]

    @property
    def pose(self) -> Pose | None:
        """The pose that is meant."""
        return None if self.answer is None else self.answer.pose

    @property
    def edits(self) -> list[Edited]:
        """What has become of the pose since it was new, the last edit last."""
        found: list[Edited] = []
        moment = self.current
        while moment is not None and moment.edit is not None:
            found.insert(0, moment.edit)
            moment = moment.before
        return found

    def with_body(self, number: int) -> "Conversation":
        """With another of the poses that are shown as the one that is meant, counted from 0."""
        count = 0 if self.current is None else len(self.current.answers)
        return replace(self, body=number) if number < count else self

    def turn_of(self, message: str) -> Turn:
        """What a message wants here."""
        return turn_of(message, self.pose is not None, last_part(self.edits))

    def is_about_photograph(self, message: str) -> bool:
        """Whether a message without a picture is about the photograph that was sent before."""
        if self.photograph is None:
            return False
        return mentions_picture(message) or (self.about_photograph and is_question(message))

    def shows(self, answers: Sequence[Answer], words: str, edit: Edited | None = None) -> "Conversation":
        """After new poses; answers without one leave it as it is."""
        posed = tuple(answer for answer in answers if answer.pose is not None)
        if not posed:
            return self
        moment = Moment(posed, words, self.current, self.body, edit)
        return replace(self, moments=(*self.moments, moment), current=moment, body=0, about_photograph=False)

    def edited(self, order: str) -> tuple["Conversation", Answer]:
        """After an order about the pose that is meant, and what is said of it.

        Raises:
            UserError: there is no pose, or "undo" without an earlier one.
        """
        if self.pose is None:
            raise UserError("There is no pose to change yet; describe one first.")
        if _names(read_order(order)) == {"undo"}:
            return self.undone(), Answer("Back to the pose before.", False, None, 0.0, None)
        (edit,) = edits_of(self.pose, order, history=self.edits)
        answer = answer_of(edit, self.pose)
        changed = any(outcome.status in ("done", "partly") for outcome in edit.outcomes)
        return (self.shows([answer], order, edit) if changed else self), answer

    def undone(self) -> "Conversation":
        """What was shown before, the same to the bit.

        Raises:
            UserError: nothing was.
        """
        if self.current is None or self.current.before is None:
            raise UserError("There is no earlier pose to go back to.")
        return replace(self, current=self.current.before, body=self.current.body, about_photograph=False)

    def back_at(self, number: int) -> "Conversation":
        """With pose ``number`` of all that were shown, counted from 0, as the one that is shown and meant."""
        moment, body = self.poses[number]
        return replace(self, current=moment, body=body, about_photograph=False)

    @property
    def poses(self) -> list[tuple[Moment, int]]:
        """All poses that were shown, newest last: the moment of each, and its number there."""
        return [(moment, body) for moment in self.moments for body in range(len(moment.answers))]
