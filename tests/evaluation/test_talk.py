"""The benchmarks requests and general as data."""

import re
from collections import Counter

import pytest
import torch

from pose_rft.body import load_body
from pose_rft.data.canonical import is_canonical_prompt
from pose_rft.data.everyday import is_everyday_prompt, words
from pose_rft.data.mixtures.chat import written_pairs
from pose_rft.data.talk import (
    TalkPrompt,
    general_prompts,
    is_general_prompt,
    is_request_prompt,
    request_prompts,
)
from pose_rft.data.wordings import is_wording_prompt
from pose_rft.errors import UserError
from pose_rft.evaluation.talk_benchmark import holds, right_words
from pose_rft.posescript.checks import mirrored, satisfied

REQUESTS, GENERAL = request_prompts("all"), general_prompts("all")
PROMPTS = REQUESTS + GENERAL


def categories(prompts: list[TalkPrompt]) -> dict[str, int]:
    return dict(Counter(prompt.category for prompt in prompts))


def test_a_third_of_the_requests_of_each_category_is_for_choosing_settings() -> None:
    test = {
        "pose and fact": 16,
        "words only": 10,
        "question about a pose told": 10,
        "nobody can know": 8,
        "pose": 8,
        "question": 8,
    }
    assert categories(request_prompts()) == test
    assert categories(request_prompts("dev")) == {category: count // 2 for category, count in test.items()}


def test_a_quarter_of_the_general_questions_of_each_category_is_for_choosing_settings() -> None:
    names = ["talk", "numbers", "language", "world", "advice"]
    assert categories(general_prompts()) == dict.fromkeys(names, 12)
    assert categories(general_prompts("dev")) == dict.fromkeys(names, 4)


def test_an_unknown_split_is_named() -> None:
    with pytest.raises(UserError, match="validation"):
        request_prompts("validation")  # type: ignore[arg-type]


def test_no_prompt_occurs_twice_or_in_another_benchmark() -> None:
    assert len({words(prompt.prompt) for prompt in PROMPTS}) == len(PROMPTS)
    for known in (is_everyday_prompt, is_wording_prompt, is_canonical_prompt):
        assert [prompt.prompt for prompt in PROMPTS if known(prompt.prompt)] == []


def test_no_prompt_is_a_pair_of_training() -> None:
    trained = {words(question) for question, _ in written_pairs()}
    assert [prompt.prompt for prompt in PROMPTS if words(prompt.prompt) in trained] == []


def test_a_leak_is_found_whatever_its_case_and_punctuation() -> None:
    assert all(is_request_prompt(prompt.prompt.upper() + "!") for prompt in REQUESTS)
    assert all(is_general_prompt(prompt.prompt.upper() + "!") for prompt in GENERAL)
    assert not is_request_prompt("a purple cow")


def test_poses_are_checked_exactly_where_one_is_wanted() -> None:
    for prompt in PROMPTS:
        assert bool(prompt.checks) == prompt.wants_pose, prompt.prompt
        for check in prompt.checks:
            mirrored(check)


def test_the_rest_pose_meets_few_of_the_checks() -> None:
    rest = load_body().points(torch.zeros(1, 22, 3))
    posed = [prompt for prompt in REQUESTS if prompt.wants_pose]
    assert sum(bool(satisfied(prompt.checks, rest).all()) for prompt in posed) < 0.25 * len(posed)


def test_something_is_demanded_of_the_words_of_every_prompt_but_those_for_a_pose_alone() -> None:
    for prompt in PROMPTS:
        assert prompt.asks_of_words == (prompt.category != "pose"), prompt.prompt


def test_the_answer_written_to_every_general_question_is_right() -> None:
    for prompt in GENERAL:
        assert right_words(prompt, prompt.answer), prompt.prompt


def test_neither_a_request_nor_a_short_answer_holds_the_content_that_it_asks_for() -> None:
    for prompt in REQUESTS:
        for text in (prompt.prompt, "The SMPL pose of this person is <POSE>."):
            if prompt.category in ("pose and fact", "words only"):
                assert not right_words(prompt, text), f"{text}: {prompt.content}"


def test_every_alternative_is_a_regular_expression() -> None:
    for prompt in PROMPTS:
        for alternatives in (*prompt.content, prompt.never):
            for alternative in alternatives:
                re.compile(alternative)
                assert not holds("", (alternative,)), alternative
