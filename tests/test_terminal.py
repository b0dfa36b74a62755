"""What is waited for stands on a terminal's standard error, and nowhere else."""

import io
import os
import pty
import subprocess
import sys
import time

import pytest
from rich.console import Console

from pose_rft import terminal

WAIT = "import time\nfrom pose_rft.terminal import status\nwith status('Loading [it] ...'):\n    time.sleep(0.3)"


def test_a_terminal_is_told_what_is_waited_for_and_what_a_script_reads_is_not():
    ours, theirs = pty.openpty()
    done = subprocess.run([sys.executable, "-c", WAIT], stdout=subprocess.PIPE, stderr=theirs, check=True)
    os.close(theirs)
    shown = b""
    with open(ours, "rb", buffering=0) as reader:
        try:
            while part := reader.read(4096):
                shown += part
        except OSError:  # how Linux says that a terminal has been closed
            pass
    assert b"Loading [it] ..." in shown
    assert done.stdout == b""


@pytest.mark.parametrize("variable", ["FORCE_COLOR", "TTY_COMPATIBLE"])
def test_a_pipe_is_told_nothing_whatever_the_environment_says_of_colours(variable):
    environment = os.environ | {variable: "1"}
    done = subprocess.run([sys.executable, "-c", WAIT], capture_output=True, env=environment, check=True)
    assert (done.stdout, done.stderr) == (b"", b"")


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_a_line_within_a_line_is_shown_as_well(monkeypatch):
    monkeypatch.setattr(terminal, "errors", Console(file=Terminal(), force_terminal=True))
    with terminal.status("Loading the policy ..."), terminal.status("Converting ..."):
        time.sleep(0.5)  # lines are drawn some ten times a second
    assert "Converting ..." in terminal.errors.file.getvalue()


@pytest.mark.parametrize(
    "arguments", [("generate", "wave", "--out", "out"), ("evaluate", "everyday-prompts", "--limit", "1")]
)
def test_commands_that_load_a_policy_say_so_on_standard_error(arguments, monkeypatch, tmp_path):
    from pose_rft import cli
    from pose_rft.errors import UserError
    from pose_rft.policy import PosePolicy

    def load(*_):
        raise UserError("as far as it goes")

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(PosePolicy, "from_pretrained", load)
    monkeypatch.setattr(terminal, "errors", Console(file=Terminal(), force_terminal=True))
    monkeypatch.setattr(sys, "argv", ["pose-rft", *arguments])
    with pytest.raises(SystemExit):
        cli.main()
    assert "Loading the policy ..." in terminal.errors.file.getvalue()
