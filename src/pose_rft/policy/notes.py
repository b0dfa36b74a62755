"""What must be said with an answer: what was assumed, what cannot be known, what this policy cannot do.

A note is one or two plain sentences beside the policy's own words. Only where a question cannot be answered at all do
they stand in place of an answer, because "Yes" would be a guess.
"""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

from safetensors import safe_open

from pose_rft.data import concepts
from pose_rft.data.questions.attributes import AttributeVerbalizer
from pose_rft.policy.image_branch import ImageBranch
from pose_rft.policy.outputs import Answer, Rollout
from pose_rft.policy.prompt_encoder import EncodedPrompt, PromptInput
from pose_rft.retrieval.model import BUNDLED
from pose_rft.vision.detector import Box
from pose_rft.vision.image_encoder import EncodedPerson
from pose_rft.vision.people import ORDINALS, named_place


@dataclass(frozen=True)
class Note:
    """What must be said with the answers to a prompt.

    Attributes:
        text: beside them; empty for nothing.
        instead: said in their place, without a pose, where the question cannot be answered; empty otherwise.
    """

    text: str = ""
    instead: str = ""

    def on(self, answer: Answer) -> Answer:
        """The answer with this note."""
        if self.instead:
            return replace(
                answer, text=self.instead, valid=False, pose=None, logp_pose=None, camera=None, note=self.text
            )
        return replace(answer, note=self.text)


# ---- what a prompt asks for ----

PARTS = {  # what people call a part of the body -> the joint of it that must be seen
    r"(?:lower |upper )?legs?|knees?|thighs?|shins?|calf|calves": "knee",
    r"foot|feet|ankles?|toes?|heels?": "ankle",
    r"(?:upper )?arms?|elbows?|forearms?": "elbow",
    r"hands?|wrists?|fists?|fingers?|palms?": "wrist",
}
PART = re.compile(rf"\b(?:(left|right)\s+)?({'|'.join(PARTS)})\b", re.IGNORECASE)
BODY = rf"(?:{'|'.join(PARTS)}|hips?|shoulders?|torso|back|head|body)"
POSE_WORDS = re.compile(r"\b(?:pose[ds]?|postures?|smpl|3d)\b", re.IGNORECASE)
PICTURE = re.compile(
    r"\b(?:in|of|on|from) (?:the|this|that|my) (?:picture|photo|photograph|image|pic|snapshot)\b"
    r"|\bpose of (?:the|this|that) (?:person|man|woman|boy|girl)\s*[.?!]*$"
    r"|^(?:please )?describe (?:the|this|that|his|her) (?:person|man|woman|pose|posture|body|picture)\b(?! of an?\b)",
    re.IGNORECASE,
)
LEAD = r"(?:(?:yes or no|tell me|look at the \w+)\s*[:,.]\s*)?"
YES_OR_NO = re.compile(LEAD + r"(?:is|are|does|do|did|has|have|was|were|would you say)\b", re.IGNORECASE)
OPEN = re.compile(LEAD + r"(?:which|what|what's|where|how|who|whose)\b", re.IGNORECASE)
# "How should the knees be in a squat?", "Do I bend the knees?", "Is the knee a hinge joint?" want general knowledge.
GENERAL = re.compile(
    r"\b(?:should|would|could|can|to|do i|do you|do we|are you|look like|joints?|muscles?|bones?|average|first|drew|for"
    r"|when|during)\b",
    re.IGNORECASE,
)
PERSON = re.compile(
    r"\b(?:the|this|that) (?:\w+ )?(?:person|man|woman|guy|lady|girl|boy|kid|child|one)\b|\b(?:he|she|his|her|him)\b",
    re.IGNORECASE,
)
SOMEBODYS = re.compile(rf"\b(?:the|both|left|right|one)\s+(?:left |right )?{BODY}\b", re.IGNORECASE)
WHICH_PART = re.compile(rf"{LEAD}which (?:of the |one of the )?(?:two )?{BODY}\b", re.IGNORECASE)


def is_question(prompt: str) -> bool:
    """Whether a prompt is a question that wants words: "Is the left knee bent?", not "Can you show me a squat?"."""
    words = prompt.strip()
    return (YES_OR_NO.match(words) or OPEN.match(words)) is not None and POSE_WORDS.search(words) is None


def asks_about_somebody(prompt: str) -> bool:
    """Whether a prompt is a question about somebody who has to be seen: "Which hand is higher?"."""
    words = prompt.strip()
    if not is_question(words) or GENERAL.search(words):
        return False
    if PERSON.search(words) or WHICH_PART.match(words):
        return True
    return YES_OR_NO.match(words) is not None and SOMEBODYS.search(words) is not None


def asks_about_shown(prompt: str) -> bool:
    """Whether a prompt that follows a pose is a question about that pose: "And what are the arms doing?"."""
    words = re.sub(r"^\s*and\s+", "", prompt, flags=re.IGNORECASE)
    if not is_question(words) or GENERAL.search(words):
        return False
    return any(pattern.search(words) for pattern in (PERSON, SOMEBODYS, WHICH_PART))


def mentions_picture(prompt: str) -> bool:
    """Whether a prompt speaks of a picture: "the pose in this photo", "the woman on the left"."""
    asks = is_question(prompt) or POSE_WORDS.search(prompt) is not None
    return PICTURE.search(prompt) is not None or (asks and named_place(prompt) is not None)


# ---- prompts without a picture ----

MANY = (
    "people|persons|men|women|guys|girls|boys|kids|children|dancers|boxers|wrestlers|fighters|players|friends|lovers"
    "|soldiers|athletes|figures|humans|brothers|sisters"
)
ONE = "man|woman|boy|girl|person|mother|father|child|dancer|daughter|son|wife|husband"
TWO_PEOPLE = re.compile(
    rf"\b(?:two|three|four|five|several|many|2|3|4|5) (?:\w+ )?(?:{MANY})\b"
    r"|^(?:show me |give me )?(?:(?:a|the) )?(?:couple|pair|group|crowd|family|duo|trio)\b"
    rf"(?!'s| of (?!(?:\w+ )?(?:{MANY})\b))"
    rf"|\b(?:an?|the|one) (?:\w+ )?(?:{ONE}) and (?:an?|the|another|his|her) (?:\w+ )?(?:{ONE}|dog)\b"
    rf"|\b(?:another|a second) (?:{ONE}|boxer|fighter)\b"
    r"|^(?:(?!\b(?:hands|palms|fingers|forearms|arms|legs|feet|knees|elbows)\b).)*\b(?:each other|one another)\b",
    re.IGNORECASE,
)
ANIMAL = re.compile(
    r"(?:(?:show|draw|give|make|i want|i need|please)\s+(?:me\s+)?)?"
    r"(?:(?:an?|the|my|one|some|two|three)\s+(?:\w+\s+)?)?"
    r"(?:dog|puppy|cat|kitten|horse|pony|cow|pig|sheep|goat|lion|tiger|bear|wolf|fox|elephant|giraffe|zebra|monkey"
    r"|gorilla|rabbit|bunny|mouse|rat|bird|eagle|parrot|penguin|duck|chicken|fish|shark|dolphin|whale|snake|lizard"
    r"|crocodile|frog|turtle|spider|insect|dragon|dinosaur|octopus|kangaroo|camel|deer)s?\b"
    r"(?!['-]|\s+(?:poses?|posture|position|stretch|kick|style|stance|rider|riding|walker|trainer|owner|tamer|keeper"
    r"|lover|catcher|charmer|squat|lunge|plank|fold|sit|bars|and cover|roll|dance|hop|curls?|push|asana|costume"
    r"|imitat\w+|wings|ears|paws|claws|dog|dolphin|king|in the arms|crawl|walk|waddle|face|woods)\b)",
    re.IGNORECASE,
)
YOGA = re.compile(r"\b(?:pose|yoga|asana|downwards?|upwards?|up|like|as|bird dog|dead|down)\b", re.IGNORECASE)
# Function words of other languages that are no English words, nor in the names of ballet's steps.
FOREIGN = frozenset(
    re.findall(
        r"\w+",
        "ein eine einen einem einer der das und mit auf dem ist nicht im sich steht sitzt wie ich du er sie zeig une "
        "les des du est sur qui dans avec et il elle el los las una con que por esta está hombre mujer uno dos uma um "
        "com não em homem lo gli che di sono della een het van op met zijn och att som på med jest nie się bir ve "
        "lorem",
    )
)
FUNCTION_WORDS = frozenset({"a", "an", "the", "is", "are", "and", "or", "of", "in", "on", "at", "to", "with", "for"})
LATIN_ENDS = "\u0250"  # the letters before it are Latin, with or without accents
LETTERS = re.compile(r"[^\W\d_]+")
MASHED = re.compile(
    r"asdf|sdfg|dfgh|fghj|qwer|zxcv|xcvb|hjkl|uiop|^bla+h?$"
    r"|(\w)\1{3}|[bcdfghjklmnpqrstvwxz]{6}|^[^aeiouy]{4,}$"
)
CONCEPTS = Path(concepts.__file__).parent
SECTION = 5  # letters by which other forms of a known word are known: "kneels" by "kneeling"

NO_WORDS = "I do not understand this, so the answer is a guess: say in English what one person does."
ONE_PERSON = "I give one person's pose at a time: this is one of them."
ONLY_PEOPLE = "I know human bodies only: this is a person, not an animal."
NO_PICTURE = "No picture came with this: send it along, and ask about the person in it."


def note_of_words(prompt: str, has_pose: bool) -> Note:
    """What must be said with an answer to words alone.

    Args:
        has_pose: the answer holds a pose: it was taken for a description of one.
    """
    words = prompt.strip()
    if asks_about_somebody(prompt) or (mentions_picture(prompt) and not has_pose):
        return Note(NO_PICTURE, "I cannot say without a picture.")
    if mentions_picture(prompt):
        return Note(NO_PICTURE)
    if not understood(prompt, has_pose):
        return Note(NO_WORDS)
    if not has_pose:
        return Note()
    if ANIMAL.match(words) and not YOGA.search(words):
        return Note(ONLY_PEOPLE)
    return Note(ONE_PERSON) if TWO_PEOPLE.search(words) else Note()


def understood(prompt: str, has_pose: bool) -> bool:
    """Whether a prompt is English words, as far as can be told from the words that the policy met."""
    words = [word.lower() for word in LETTERS.findall(prompt)]
    letters = "".join(words)
    if sum(letter < LATIN_ENDS for letter in letters) * 2 <= len(letters):  # of another script, or no letters at all
        return False
    if sum(MASHED.search(word) is not None for word in words) * 2 >= len(words):
        return False
    known = {word for word in words if word in known_words() or word[:SECTION] in known_words()}
    foreign = len(FOREIGN & set(words))
    if foreign and len(known) * (2 if foreign > 1 else 3) <= len(words):
        return False
    telling = set(words) - FUNCTION_WORDS
    return bool(telling & known) or not has_pose or len(telling) < 2


@lru_cache(maxsize=1)
def known_words() -> frozenset[str]:
    """The words of the bundled concepts and retrieval models, and the beginnings of the longer ones."""
    words: set[str] = set()
    for file in BUNDLED.glob("*.safetensors"):
        with safe_open(str(file), framework="pt") as opened:
            words |= set(json.loads(opened.metadata()["vocabulary"]))
    for file in CONCEPTS.rglob("*.yaml"):
        words |= set(LETTERS.findall(file.read_text(encoding="utf-8").lower()))
    return frozenset(words | {word[:SECTION] for word in words})


# ---- prompts with a photograph ----

BEYOND_ATTRIBUTES = re.compile(
    r"\b(?:colou?rs?|red|green|blue|yellow|black|white|brown|orange|pink|purple|gr[ea]y|blond\w*|bald|hats?|caps?"
    r"|helmets?|(?:sun)?glasses|t-shirts?|shirts?|jackets?|coats?|dress(?:es)?|skirts?|jeans|trousers|pants|shorts|shoes?|boots?"
    r"|wear\w*|wore|cloth\w*|dressed|bags?|backpacks?|watch|balls?|phones?|umbrellas?|rackets?|gloves?|scar(?:f|ves)"
    r"|tattoos?|hair\w*|beards?|smil\w*|laugh\w*|happy|sad|angry|tired|emotion\w*|mood|expression|feel\w*|eyes?|mouth"
    r"|old|young\w*|age|male|female|gender|name|named|who is|who are|famous|weather|background|indoors|outdoors|inside"
    r"|outside|wall|floor|day|night|sunny|raining|where (?:is|was|are)|hold\w*|carry\w*|eat\w*|drink\w*|talk\w*|say\w*"
    r"|sport|music|dog|cat|horse|car|bike|bicycle|tree|water)\b",
    re.IGNORECASE,
)
ACTING = re.compile(
    r"\b(?:sit|sits|sitting|seated|lie|lies|lying|kneel\w*|walk\w*|run|runs|running|jump\w*|danc\w*|swim\w*|climb\w*"
    r"|kick\w*|throw\w*|sleep\w*|fall\w*|falling|stand(?:s|ing)?(?! on (?:one|the|his|her|their|its)\b))\b",
    re.IGNORECASE,
)
COUNTING = re.compile(r"\bhow many (?:people|persons|men|women|guys|girls|boys|kids|children|humans)\b", re.IGNORECASE)
NAMES = {"knee": ("leg", "legs"), "ankle": ("foot", "feet"), "elbow": ("arm", "arms"), "wrist": ("hand", "hands")}
FARTHER = {"knee": "ankle", "elbow": "wrist"}


def note_of_photograph(
    prompt: str, person: EncodedPerson, verbalizer: AttributeVerbalizer | None, box: Box | None = None
) -> Note:
    """What must be said with an answer about a photograph.

    Args:
        person: who in it was encoded.
        verbalizer: of a policy whose language model reads in words what holds of the person: it can answer no other
            questions.
        box: that the user gave around the person.
    """
    whom = about_whom(prompt, person, box)
    question = is_question(prompt)
    if COUNTING.search(prompt):
        count = len(person.people)
        found = "1 person was found" if count == 1 else f"{count} people were found"
        return Note("People who are small, hidden or cut off may be missed.", f"{found}.")
    if question and (hidden := unseen_parts(asked_joints(prompt) & person.unseen)):
        one_line = f"The {hidden} of this person {_is_or_are(hidden)} outside the picture."
        return Note(" ".join(filter(None, (one_line, whom))), "That cannot be seen in this picture.")
    if verbalizer is not None and question and _is_beyond_attributes(prompt, verbalizer):
        limit = "I see only how the body is held: ask about arms, legs, hands, feet or the torso."
        return Note(" ".join(filter(None, (limit, whom))), "I cannot tell that from the picture.")
    guessed = ""
    if not question and (hidden := unseen_parts(person.unseen)):
        guessed = f"The {hidden} {_is_or_are(hidden)} outside the picture: there the pose is a guess."
    limit = ""
    if verbalizer is not None and BEYOND_ATTRIBUTES.search(prompt):
        limit = "I see only how bodies are held: not colours, clothes, faces or things."
    return Note(" ".join(filter(None, (whom, guessed, limit))))


def about_whom(prompt: str, person: EncodedPerson, box: Box | None) -> str:
    """Who was found and who is meant, where that had to be assumed; else nothing."""
    count = len(person.people)
    if box is not None:
        return "" if person.box in person.people else "Nobody was found in the box: it was taken for a person."
    place = named_place(prompt)
    if count < 2:
        if place is None or not count:
            return ""
        who = f"who may not be the {place.words}"
        return f"Only one person was found, {_where(person)}: the answer is about that one, {who}."
    across = sorted(person.people, key=lambda each: each[0] + each[2])
    this = _ordinal(across.index(person.box), count)
    if place is None:
        return f"{count} people were found: the answer is about the largest, {this}."
    if place.side == "middle" and count % 2 == 0:
        return f"{count} people were found, nobody in the middle: the answer is about {this}."
    return ""


def asked_joints(prompt: str) -> frozenset[str]:
    """The joints that a question is about: "Is the left knee bent?" -> left_knee; without a side, both."""
    joints = set()
    for side, part in PART.findall(prompt.lower()):
        joint = next(joint for words, joint in PARTS.items() if re.fullmatch(words, part))
        joints |= {f"{each}_{joint}" for each in ((side,) if side else ("left", "right"))}
    return frozenset(joints)


def unseen_parts(joints: frozenset[str]) -> str:
    """Joints as parts of the body: {left_knee, right_knee, left_ankle, right_ankle} -> "legs"."""
    said = []
    for joint, (one, both) in NAMES.items():
        nearer = next((near for near, far in FARTHER.items() if far == joint), None)
        sides = [s for s in ("left", "right") if f"{s}_{joint}" in joints and f"{s}_{nearer}" not in joints]
        said += [both] if len(sides) == 2 else [f"{side} {one}" for side in sides]
    return " and ".join([", ".join(said[:-1]), said[-1]] if len(said) > 1 else said)


def _is_beyond_attributes(prompt: str, verbalizer: AttributeVerbalizer) -> bool:
    if BEYOND_ATTRIBUTES.search(prompt) or (YES_OR_NO.match(prompt.strip()) and ACTING.search(prompt)):
        return True
    return YES_OR_NO.match(prompt.strip()) is not None and not verbalizer.topics(prompt)


def _is_or_are(parts: str) -> str:
    return "is" if parts.startswith(("left ", "right ")) and " and " not in parts else "are"


def _where(person: EncodedPerson) -> str:
    assert person.picture is not None
    middle = (person.box[0] + person.box[2]) / 2 / person.picture.width
    side = "left" if middle < 0.4 else "right" if middle > 0.6 else ""
    return f"on the {side} of the picture" if side else "in the middle of the picture"


def _ordinal(rank: int, count: int) -> str:
    if rank == 0:
        return "the one on the left"
    if rank == count - 1:
        return "the one on the right"
    return f"the {ORDINALS[rank]} from the left" if rank < len(ORDINALS) else f"number {rank + 1} from the left"


def note_answers(
    groups: Sequence[Sequence[Answer]], prompts: Sequence[PromptInput], rollout: Rollout, branch: ImageBranch | None
) -> list[list[Answer]]:
    """The answers of a rollout, each with what must be said about it."""
    return [
        [_note_of(prompt, encoded, branch, answer.valid).on(answer) for answer in group]
        for prompt, encoded, group in zip(prompts, rollout.encoded_prompts, groups, strict=True)
    ]


def _note_of(prompt: PromptInput, encoded: EncodedPrompt, branch: ImageBranch | None, has_pose: bool) -> Note:
    if prompt.image is None:
        return Note() if prompt.poses else note_of_words(prompt.prompt, has_pose)
    if encoded.person is None or branch is None:
        return Note()
    return note_of_photograph(prompt.prompt, encoded.person, branch.verbalizer, prompt.box)
