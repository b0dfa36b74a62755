"""What is asked for beside a pose, asked of policies whose answers are known."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
import torch
from rich.console import Console

from pose_rft.data.talk import TalkPrompt
from pose_rft.evaluation.benchmarks import evaluate, results_table, save_result
from pose_rft.evaluation.talk_benchmark import (
    evaluate_talk,
    grade_talk,
    holds,
    refuses,
    right_words,
    written_losses,
)
from pose_rft.policy import PosePolicy


@dataclass(frozen=True)
class RestPose:
    def axis_angle(self) -> Any:
        return torch.zeros(22, 3).numpy()


@dataclass(frozen=True)
class Said:
    """An answer with the rest pose where its text holds one <POSE>."""

    text: str

    @property
    def valid(self) -> bool:
        return self.text.count("<POSE>") == 1

    @property
    def pose(self) -> RestPose | None:
        return RestPose() if self.valid else None


class Speaker:
    """A policy that says `answer(prompt, temperature)`."""

    def __init__(self, answer: Callable[[str, float], str]):
        self.answer = answer

    def generate(
        self,
        prompts: Sequence[str],
        images: Any = None,
        num_samples: int = 1,
        temperature: float = 1.0,
        seed: int = 0,
        best_of: int | None = None,
    ) -> list[list[Said]]:
        return [[Said(self.answer(prompt, temperature))] * num_samples for prompt in prompts]


BOTH = TalkPrompt(
    "an arm out, and which muscle lifts it?",
    "both",
    wants_pose=True,
    checks=("angle(left_shoulder) > 60",),
    content=(("deltoid", "shoulder"),),
)
WORDS = TalkPrompt("is the knee bent?", "words", content=(("no", "straight"),), never=("yes",))
UNKNOWN = TalkPrompt("what is her name?", "unknown", refuses=True)


@pytest.mark.parametrize(
    ("text", "pattern", "found"),
    [
        ("It trains the Thighs.", "thigh", True),  # any case, plural
        ("Squeeze both glutes", "glute", True),
        ("An underarm throw", "arm", False),  # whole words
        ("quadriceps", r"quad\w*", True),
        ("I don\u2019t", "don't", True),  # typographic apostrophe
        ("Here: <POSE>.", "pose", False),  # a pose is no word
        ("3, 5, and 8", r"3\W+(?:and )?5\W+(?:and )?8", True),
    ],
)
def test_an_alternative_is_found_as_a_whole_word(text: str, pattern: str, found: bool) -> None:
    assert holds(text, (pattern,)) is found


@pytest.mark.parametrize(
    "text",
    [
        "I cannot see that.",
        "I can't tell you that.",
        "I do not know her name.",
        "That is not something a pose shows, so it is unknown.",
        "A pose does not say what he wears.",
        "The figure has no hair.",
        "I am not able to determine that.",
        "There is no way to know.",
        "It's impossible to say.",
        "I don't have any information about that.",
    ],
)
def test_refusals_are_recognised(text: str) -> None:
    assert refuses(text)


@pytest.mark.parametrize(
    "text", ["No, it is straight.", "I do not need to eat.", "Her hair is brown.", "You can see the sea from here."]
)
def test_other_answers_are_no_refusals(text: str) -> None:
    assert not refuses(text)


def test_all_groups_must_occur_and_nothing_that_must_not() -> None:
    prompt = TalkPrompt("?", "", content=(("arm", "hand"), ("up",)), never=("down",))
    assert right_words(prompt, "Both hands are up.")
    assert not right_words(prompt, "Both hands are here.")
    assert not right_words(prompt, "One hand is up, one is down.")
    assert not right_words(prompt, "I do not know which hand is up.")


def test_an_answer_is_as_asked_if_pose_checks_and_words_are() -> None:
    # The rest pose holds both arms out, as BOTH asks.
    texts = ["The deltoid: <POSE>.", "The deltoid.", "The ear: <POSE>.", "The deltoid: <POSE> <POSE>."]
    (row,) = grade_talk([BOTH], [[Said(text) for text in texts]])
    assert row == {"as_asked": 0.25, "pose_as_wanted": 0.5, "kept": 0.5, "right_words": 0.75, "refused": 0}


def test_a_pose_that_was_not_asked_for_is_wrong() -> None:
    (row,) = grade_talk([WORDS], [[Said("No, it is straight."), Said("No, it is straight: <POSE>.")]])
    assert row == {"as_asked": 0.5, "pose_as_wanted": 0.5, "kept": None, "right_words": 1, "refused": 0}


def test_what_nobody_can_know_wants_a_refusal() -> None:
    (row,) = grade_talk([UNKNOWN], [[Said("Her name is Ann."), Said("I cannot tell.")]])
    assert row["as_asked"] == row["right_words"] == row["refused"] == 0.5


def test_answers_at_temperature_0_and_sampled_ones_are_graded_apart_and_by_category() -> None:
    policy = Speaker(lambda prompt, temperature: "No." if temperature == 0 else "I do not know.")
    result = evaluate_talk([WORDS, UNKNOWN], policy, num_samples=2)
    assert result["mean_pose"]["as_asked"]["mean"] == 0.5
    assert result["categories"]["words"]["as_asked"]["mean_pose"]["mean"] == 1
    assert result["categories"]["words"]["as_asked"]["sampled"]["mean"] == 0
    assert result["categories"]["unknown"]["refused"]["sampled"]["mean"] == 1
    assert result["rows"][0]["answers"] == {"mean_pose": ["No."], "sampled": ["I do not know."] * 2}
    assert result["references"] == result["differences"] == {}


def test_requests_come_with_what_was_asked_first(tmp_path: Path) -> None:
    result = evaluate("requests", Speaker(lambda *_: "<POSE>"), num_samples=1)
    assert (result["benchmark"], result["split"], result["prompts"]) == ("requests", "test", 60)
    table = results_table(result)
    assert [str(cell) for cell in table.columns[0].cells][:2] == ["as_asked", "  pose and fact"]
    console = Console(file=StringIO(), width=160)
    console.print(table)
    assert isinstance(console.file, StringIO)
    assert "0.0 % (0.0 to 0.0)" in console.file.getvalue()
    save_result(result, tmp_path / "result.json")
    assert json.loads((tmp_path / "result.json").read_text())["rows"][0]["answers"]["mean_pose"] == ["<POSE>"]


def test_a_limit_asks_the_first_prompts() -> None:
    assert evaluate("general", Speaker(lambda *_: "Hello."), split="dev", limit=3, num_samples=1)["prompts"] == 3


def test_a_policy_stands_beside_its_bare_backbone(tiny_policy: PosePolicy) -> None:
    prompts = [TalkPrompt("hi", "talk", content=(("hello",),), answer="hello"), WORDS]
    untrained = evaluate_talk(prompts, tiny_policy, num_samples=1)
    assert untrained["differences"]["bare backbone"]["written_loss"]["mean"] == pytest.approx(0, abs=1e-6)
    before = evaluate_talk(prompts, tiny_policy, num_samples=1)["references"]
    for name, parameter in tiny_policy.language_model.adapted.named_parameters():
        if "lora_B" in name:
            torch.nn.init.constant_(parameter, 0.1)
    after = evaluate_talk(prompts, tiny_policy, num_samples=1)
    assert after["references"] == before  # the adapters are left out
    assert after["mean_pose"]["written_loss"]["mean"] != pytest.approx(before["bare backbone"]["written_loss"]["mean"])
    rows = after["rows"]
    assert rows[0]["answers"]["bare backbone"] == untrained["rows"][0]["answers"]["mean_pose"]
    assert rows[1]["mean_pose"]["written_loss"] is None


def test_the_loss_of_a_written_answer_is_its_mean_over_tokens(tiny_policy: PosePolicy) -> None:
    prompts = [TalkPrompt("hi", "talk", answer="hello"), WORDS, TalkPrompt("a longer one", "talk", answer="yes")]
    first, none, last = written_losses(tiny_policy, prompts)
    assert none is None
    # Alone, token by token: a byte a token, and the end of the turn.
    ids = tiny_policy.encode("hi").tokens.ids
    answer = tiny_policy.backbone.answer_ids("hello")
    with torch.no_grad():
        logits = tiny_policy.backbone.model(torch.tensor([ids + answer])).logits[0, len(ids) - 1 : -1]
    expected = torch.nn.functional.cross_entropy(logits.float(), torch.tensor(answer))
    assert first == pytest.approx(expected.item(), rel=1e-4)
    assert last == pytest.approx(written_losses(tiny_policy, prompts[2:])[0], rel=1e-4)
