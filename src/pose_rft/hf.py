"""Loading models of Hugging Face: from a directory, the cache or the hub."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from huggingface_hub import snapshot_download
from transformers.utils import logging

from pose_rft.errors import UserError, reason_of


@contextlib.contextmanager
def loading(source: str, refusal: str) -> Iterator[None]:
    """Load what ``source`` names inside the block.

    No bar of transformers for a directory: that takes seconds, and would litter what a script reads.

    Raises:
        UserError: the ``refusal`` and the reason, for whatever transformers raises at what it cannot load.
    """
    shown = logging.is_progress_bar_enabled() and Path(source).is_dir()
    if shown:
        logging.disable_progress_bar()
    try:
        yield
    except UserError:
        raise
    except (OSError, ValueError, KeyError) as error:
        raise UserError(f"{refusal} ({reason_of(error)})") from error
    finally:
        if shown:
            logging.enable_progress_bar()


def downloaded(name: str, patterns: list[str]) -> Path | None:
    """The local copy of files of a Hugging Face id, or None if there is nothing of that name."""
    try:
        return Path(snapshot_download(name, allow_patterns=patterns))
    except (OSError, ValueError):  # the hub's errors are one or the other
        return None
