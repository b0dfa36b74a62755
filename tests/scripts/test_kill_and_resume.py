"""Killed runs of both stages end with the weights of unbroken ones."""

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "scripts" / "kill_and_resume.py"


@pytest.mark.slow
def test_runs_killed_at_random_moments_end_with_the_same_weights():
    result = subprocess.run([sys.executable, SCRIPT, "--kills", "2"], capture_output=True, text=True, check=False)
    assert result.stdout.splitlines()[-1:] == ["2 resumes, 0 differences"], result.stdout + result.stderr
