"""``--dry-run`` of ``pose-rft sft`` and ``rft``: what a run would take, before it is begun."""

from typing import TYPE_CHECKING, Any

from rich.table import Table

from pose_rft.errors import UserError
from pose_rft.terminal import output, say, status

if TYPE_CHECKING:
    from pose_rft.runs.dry_run import DryRun

GB = 1e9
HOUR = 3600


def show_dry_run(config: Any) -> None:
    """Look at a run of a config without beginning it, and say what was found.

    Raises:
        UserError: after all that, if config or data are wrong.
    """
    with status("Looking at the run ..."):
        from pose_rft.runs.dry_run import dry_run

        found = dry_run(config)
    for line in found.data:
        say(f"data: {line}")
    if found.parts:
        output.print(_parts(found))
    for name in found.phases:
        output.print(_phase(found, name))
    for line in found.unseen:
        say(f"not seen: {line}")
    for line in found.wrong:
        say(f"wrong: {line}")
    say("Nothing was trained or written.")
    if found.wrong:
        raise UserError(f"dry run: {len(found.wrong)} things are wrong; see the lines above")


def _parts(found: "DryRun") -> Table:
    table = Table("part", "parameters")
    for name, count in found.parts.items():
        table.add_row(name, f"{count:,}")
    return table


def _phase(found: "DryRun", name: str) -> Table:
    """Memory and time of a step of a phase."""
    phase = found.phases[name]
    steps, parts, times = phase["steps"], dict(phase["memory"]), dict(phase["seconds"])
    peak, whole = parts.pop("peak"), times.pop("step")
    fits = "fits" if peak < found.room else "does NOT fit"
    each = "" if found.processes == 1 else f" in each of {found.processes} processes"
    table = Table(f"{name}: {steps} steps of {phase['tokens']:,.0f} tokens{each}", f"about, on {found.device}")
    for what, size in parts.items():
        table.add_row(what, f"{size / GB:.2f} GB")
    table.add_row("memory at most", f"{peak / GB:.1f} GB; {fits} in {found.room / GB:.0f} GB", end_section=True)
    for what, taken in times.items():
        table.add_row(what, f"{taken:.2f} s")
    table.add_row("a step", f"{whole:.2f} s")
    table.add_row("all steps", f"{whole * steps / HOUR:.1f} hours")
    return table
