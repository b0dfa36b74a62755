"""Requests written by hand: every entry is complete, and its checks are of the check language."""

from pathlib import Path

import pytest
import yaml

from pose_rft.posescript.checks import compile_check

FOLDER = Path(__file__).parents[2] / "benchmarks" / "requests_by_hand"


@pytest.mark.parametrize("file", sorted(FOLDER.glob("*.yaml")), ids=lambda file: file.stem)
def test_requests_say_what_their_words_state(file):
    requests = yaml.safe_load(file.read_text(encoding="utf-8"))
    assert len({request["text"].lower() for request in requests}) == len(requests) >= 200
    for request in requests:
        assert set(request) == {"text", "category", "checks", "facts"}
        assert request["facts"] >= 1
        assert request["checks"]
        for check in request["checks"]:
            compile_check(check)
