"""The chat page and the HTTP API; what they need is installed by ``pip install 'pose-rft[serve]'``."""

from importlib.util import find_spec

from pose_rft.errors import UserError

NEEDED = ("fastapi", "fastapi_offline", "gradio", "uvicorn")


def require_packages() -> None:
    """See that the packages of the extra ``serve`` are there.

    Raises:
        UserError: some are not.
    """
    missing = [name for name in NEEDED if find_spec(name) is None]
    if missing:
        raise UserError(f"serve needs {', '.join(missing)}, not installed here; run: pip install 'pose-rft[serve]'")
