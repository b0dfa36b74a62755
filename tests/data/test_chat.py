import re

import numpy as np
import pytest

from pose_rft.data.mixtures import chat
from pose_rft.rewards.format import keeps_format


def test_there_are_enough_written_prompts_and_none_twice() -> None:
    prompts = [prompt.lower() for prompt, _ in chat.written_pairs()]
    assert len(prompts) >= 250
    assert len(set(prompts)) == len(prompts)


def test_answers_are_short_finished_sentences_without_a_pose() -> None:
    for _, answer in chat.written_pairs():
        assert keeps_format(answer, wants_pose=False)
        assert len(answer) < 160


def test_drawn_talk_has_no_pose_and_is_mostly_written() -> None:
    rng = np.random.default_rng(0)
    drawn = [chat.chat_pair(rng) for _ in range(400)]
    assert all(keeps_format(answer, wants_pose=False) and "<POSE>" not in prompt for prompt, answer in drawn)
    answers = {answer for _, answer in chat.written_pairs()}
    assert np.mean([answer in answers for _, answer in drawn]) == pytest.approx(chat.WRITTEN_SHARE, abs=0.1)


def test_sums_are_right() -> None:
    rng = np.random.default_rng(0)
    operations = {"plus": lambda a, b: a + b, "minus": lambda a, b: a - b, "times": lambda a, b: a * b}
    for _ in range(200):
        prompt, answer = chat.sum_of_two(rng)
        a, word, b, result = re.fullmatch(r"(\d+) (plus|minus|times) (\d+) is (\d+)\.", answer).groups()  # type: ignore[union-attr]
        assert operations[word](int(a), int(b)) == int(result)
        assert a in prompt
        assert b in prompt


def test_days_words_and_numbers_are_right() -> None:
    rng = np.random.default_rng(0)
    days = {chat.next_day(rng)[1] for _ in range(200)}
    assert "The day after Sunday is Monday." in days
    assert "The day before Monday is Sunday." in days
    assert "It is spelled K-N-E-E." in {chat.spelling(rng)[1] for _ in range(400)}
    assert "The word elbow has 5 letters." in {chat.length_of_word(rng)[1] for _ in range(400)}
    for _ in range(100):
        larger, smaller = map(int, re.findall(r"\d+", chat.comparison(rng)[1]))
        assert larger > smaller
        prompt, answer = chat.counting(rng)
        first, last = re.findall(r"\d+", prompt)
        assert answer.startswith(f"Here you go: {first}, ")
        assert answer.endswith(f", {last}.")
