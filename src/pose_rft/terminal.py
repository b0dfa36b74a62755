"""The line on a terminal that says what is waited for."""

import contextlib

from rich.console import Console
from rich.text import Text

console = Console(stderr=True)


def status(text: str) -> contextlib.AbstractContextManager[object]:
    """Show a line on standard error while the block runs; nothing where that is no terminal, as in a pipe."""
    return console.status(Text(text)) if console.file.isatty() else contextlib.nullcontext()
