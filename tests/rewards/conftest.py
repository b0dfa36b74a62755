"""Rewards that a user wrote lie in a file of theirs: ``user_rewards.py``."""

from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def user_rewards_can_be_imported(monkeypatch) -> None:
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
