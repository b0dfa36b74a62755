"""Format reward: does the answer keep to the template? (Pose-RFT: 1 if it does, else 0.)"""

import re

from pose_rft.data.sample import POSE_TOKEN
from pose_rft.rewards.batch import PoseBatch

MIN_WORDS = 3  # "The pose: <POSE>." is too terse to be an answer, "Here it is: <POSE>." is not

# What tokenizers write at the end of an answer: <|im_end|>, </s>, <eos>, <end_of_turn>, <pad> ... but never <POSE>.
_CLOSING_TOKENS = re.compile(r"(?:\s*<(?!POSE>)[^<>\s]+>)+\s*$")
_SPECIAL_TOKEN = re.compile(r"<\|[^<>\s]*\|>|</?s>|<(?:bos|eos|pad|unk|start_of_turn|end_of_turn)>")
_SENTENCE_END = re.compile(r"[.!?…。][\"'”’)\]]*$")
_WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)*")


def plain_text(completion: str) -> str:
    """The answer without the special tokens that close it and without white space around it."""
    return _CLOSING_TOKENS.sub("", completion).strip()


def keeps_format(completion: str, wants_pose: bool) -> bool:
    """Whether an answer is a finished sentence with exactly one `<POSE>` in it, or with none where none is asked for.

    "The SMPL pose of this person is <POSE>.", or any wording of at least three words around the token. An answer that
    was cut off ends in the middle of a sentence and fails; so does one with other special tokens inside.
    """
    text = plain_text(completion)
    if text.count(POSE_TOKEN) != int(wants_pose) or _SPECIAL_TOKEN.search(text) or not _SENTENCE_END.search(text):
        return False
    words = _WORD.findall(text.replace(POSE_TOKEN, " "))
    return len(words) >= (MIN_WORDS if wants_pose else 1)


def format_reward(
    prompts: list[str], completions: list[str], poses: PoseBatch, *, wants_pose: list[bool], **columns: object
) -> list[float | None]:
    """1 for an answer in the right form, 0 for any other; see `keeps_format`.

    Args:
        prompts, poses: not looked at.
        completions: decoded answers with their special tokens.
        wants_pose: whether the prompt asks for a pose.
    """
    return [float(keeps_format(text, wanted)) for text, wanted in zip(completions, wants_pose, strict=True)]
