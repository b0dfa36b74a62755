"""Loading models of Hugging Face: from a directory, the cache or the hub."""

import contextlib
import os
import threading
from collections.abc import Iterator
from contextvars import ContextVar
from pathlib import Path
from urllib.parse import urlsplit

from huggingface_hub import constants, get_session, snapshot_download
from transformers.utils import logging

from pose_rft.errors import OutOfReach, UserError, reason_of

PATIENCE = 1.0  # seconds that the hub may take to answer at all; HF_HUB_ETAG_TIMEOUT in the environment goes before it

_REFUSED: ContextVar[bool] = ContextVar("downloads are refused", default=False)


@contextlib.contextmanager
def without_downloads() -> Iterator[None]:
    """Take from the cache alone inside the block."""
    before = _REFUSED.set(True)
    try:
        yield
    finally:
        _REFUSED.reset(before)


@contextlib.contextmanager
def loading(source: str, refusal: str) -> Iterator[bool]:
    """Load what ``source`` names inside the block, which gets transformers' ``local_files_only``.

    Without a network only the cache can hold it: the hub would be asked again and again for minutes.
    No bar of transformers for a directory: that takes seconds, and would litter what a script reads.

    Raises:
        UserError: the ``refusal`` and the reason, for whatever transformers raises at what it cannot load;
            ``OutOfReach`` if it is not in the cache and nothing can be downloaded.
    """
    is_directory = Path(source).is_dir()
    shown = logging.is_progress_bar_enabled() and is_directory
    out_of_reach = not is_directory and not _hub_answers()
    if shown:
        logging.disable_progress_bar()
    try:
        yield is_directory or out_of_reach
    except UserError:
        raise
    except (OSError, ValueError, KeyError) as error:
        if not out_of_reach:
            raise UserError(f"{refusal} ({reason_of(error)})") from error
        why = "nothing is downloaded now" if _REFUSED.get() else f"{_hub()} is out of reach"
        raise OutOfReach(f"{refusal} ({why}, and it is not in the cache)") from error
    finally:
        if shown:
            logging.enable_progress_bar()


def downloaded(name: str, patterns: list[str]) -> Path | None:
    """The local copy of files of a Hugging Face id, or None if there is nothing of that name."""
    try:
        return Path(snapshot_download(name, allow_patterns=patterns, local_files_only=not _hub_answers()))
    except (OSError, ValueError):  # the hub's errors are one or the other
        return None


def _hub() -> str:
    """The host that models come from, or its mirror."""
    return urlsplit(constants.ENDPOINT).netloc


def _hub_answers() -> bool:
    """Whether there is a network with the hub in it that may be asked, found out in ``PATIENCE`` seconds."""
    if _REFUSED.get():
        return False
    answered = threading.Event()
    patience = float(os.environ.get("HF_HUB_ETAG_TIMEOUT", PATIENCE))

    def ask() -> None:
        with contextlib.suppress(Exception):  # whatever fails, it is out of reach
            if get_session().head(constants.ENDPOINT, timeout=patience).status_code < 500:
                answered.set()

    asking = threading.Thread(target=ask, daemon=True)  # looking up a name heeds no timeout
    asking.start()
    asking.join(patience)
    return answered.is_set()
