"""What commands say: results on standard output, errors and what is waited for on standard error."""

import contextlib

from rich.console import Console
from rich.markup import escape
from rich.text import Text

output, errors = Console(), Console(stderr=True)


def say(text: str) -> None:
    """Print a line as it is: paths in it are neither broken at the window's edge nor read as markup."""
    output.print(escape(text), highlight=False, soft_wrap=True)


def status(text: str) -> contextlib.AbstractContextManager[object]:
    """Show a line on standard error while the block runs; nothing where that is no terminal, as in a pipe."""
    return errors.status(Text(text)) if errors.file.isatty() else contextlib.nullcontext()
