"""The view of a training run in a terminal: how far, how long still, and how the numbers that matter move."""

from typing import Any

from rich.columns import Columns
from rich.console import Console, Group
from rich.live import Live
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.text import Text
from transformers import TrainerCallback

SHORT_NAMES = {
    "loss/text": "words", "loss/likelihood": "nll", "loss/joints": "joints m", "loss/aligned": "aligned m",
    "loss/attributes": "attributes", "loss/checks": "checks off", "loss/sampled_checks": "sampled",
    "valid_share": "valid", "text/kl": "KL words", "pose/kl": "KL pose", "text/clip_share": "clip words",
    "pose/clip_share": "clip pose",
}  # fmt: skip
SPEED_OVER = 3_600  # seconds: the time left is estimated from the steps of the last hour, however long one takes


class LiveProgress(TrainerCallback):
    """Shows a progress bar over the last logged metrics; where there is no terminal, a line every ``every`` entries.

    A context manager around the training: a terminal is left as it was found, also where training fails.
    """

    def __init__(self, title: str, every: int = 10, console: Console | None = None) -> None:
        self.console = console or Console()
        self.title, self.every, self.entries = title, every, 0
        self.first: dict[str, float] = {}
        self.last: dict[str, float] = {}
        self.progress = Progress(
            TextColumn("[bold]{task.description}"),
            BarColumn(bar_width=20),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            speed_estimate_period=SPEED_OVER,
        )
        self.task = TaskID(0)
        self.live = Live(get_renderable=self.view, console=self.console, refresh_per_second=2)

    def view(self) -> Group:
        """The bar, and below it the metrics in as many columns as there is room for; rewards from first to last."""
        items = [Text.assemble((f"{name} ", "dim"), text) for name, text in shown_metrics(self.last, self.first)]
        return Group(self.progress, Columns(items, padding=(0, 3)))

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self.task = self.progress.add_task(self.title, total=state.max_steps, completed=state.global_step)
        if state.is_world_process_zero and self.console.is_terminal:
            self.live.start()

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self.progress.update(self.task, completed=state.global_step)

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, float] | None = None, **_: Any) -> None:
        shown = shown_metrics(logs or {})
        if not shown:  # the summary at the end
            return
        self.last = logs or {}
        self.first = self.last | self.first
        if state.is_world_process_zero and not self.console.is_terminal and self.entries % self.every == 0:
            left = TimeRemainingColumn().render(self.progress.tasks[self.task])
            words = [f"{self.title} {state.global_step}/{state.max_steps}", f"left {left}"]
            words += [f"{name} {text}" for name, text in shown]
            self.console.print("  ".join(words), highlight=False, markup=False, soft_wrap=True)
        self.entries += 1

    def __enter__(self) -> "LiveProgress":
        return self

    def __exit__(self, *_: object) -> None:
        self.live.stop()  # nothing where it never began


def shown_metrics(logs: dict[str, float], first: dict[str, float] | None = None) -> list[tuple[str, str]]:
    """The metrics that a person watches, as (short name, text): the rewards' means before all else.

    Args:
        first: what was logged first, for "0.48 → 0.65"; None shows the last value alone.
    """
    rewards = [
        (name.split("/")[1].rpartition(".")[2], _since(f"{value:.3f}", f"{first[name]:.3f}" if first else None))
        for name, value in logs.items()
        if name.startswith("rewards/") and name.endswith("/mean")
    ]
    others = []
    for name, short in SHORT_NAMES.items():
        if name in logs and name.startswith("loss/"):
            others.append((short, _since(f"{logs[name]:.3g}", f"{first[name]:.3g}" if first else None)))
        elif name in logs:
            others.append((short, f"{logs[name]:.1%}" if name.endswith("share") else f"{logs[name]:.3g}"))
    return rewards + others


def _since(text: str, first: str | None) -> str:
    return f"{first} → {text}" if first else text
