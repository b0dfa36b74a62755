"""A live line for training runs: how far, how long still, and how the numbers that matter move."""

from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from transformers import TrainerCallback

SHORT_NAMES = {
    "loss/text": "words",
    "loss/likelihood": "nll",
    "loss/joints": "joints m",
    "loss/checks": "checks off",
    "loss/sampled_checks": "sampled",
    "valid_share": "valid",
    "text/kl": "KL words",
    "pose/kl": "KL pose",
    "text/clip_share": "clip words",
    "pose/clip_share": "clip pose",
}


class LiveProgress(TrainerCallback):
    """Shows a progress bar with the last logged metrics; on a plain terminal, a line every ``every`` log entries."""

    def __init__(self, title: str, every: int = 10, console: Console | None = None) -> None:
        self.console = console or Console()
        self.title, self.every, self.entries = title, every, 0
        self.progress = Progress(
            TextColumn("[bold]{task.description}"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            TextColumn("{task.fields[metrics]}"),
            console=self.console,
            disable=not self.console.is_terminal,
        )
        self.task: Any = None

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self.progress.disable |= not state.is_world_process_zero
        self.progress.start()
        self.task = self.progress.add_task(self.title, total=state.max_steps, completed=state.global_step, metrics="")

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self.progress.update(self.task, completed=state.global_step)

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, float] | None = None, **_: Any) -> None:
        text = metrics_line(logs or {})
        self.progress.update(self.task, metrics=text)
        if state.is_world_process_zero and not self.console.is_terminal and text and self.entries % self.every == 0:
            self.console.print(
                f"{self.title} {state.global_step}/{state.max_steps}  {text}", highlight=False, soft_wrap=True
            )
        self.entries += 1

    def on_train_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self.progress.stop()


def metrics_line(logs: dict[str, float]) -> str:
    """The metrics that a person watches, short: rewards' means first."""
    parts = [
        f"{name.split('/')[1]} {value:.3f}"
        for name, value in logs.items()
        if name.startswith("rewards/") and name.endswith("/mean")
    ]
    parts += [f"{short} {logs[name]:.3g}" for name, short in SHORT_NAMES.items() if name in logs]
    return "  ".join(parts)
