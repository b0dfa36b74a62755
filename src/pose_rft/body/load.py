"""Which body: the bundled one, or a model of the SMPL family that you bring yourself."""

from functools import lru_cache

from pose_rft.body.model import BodyModel, Cc0Body
from pose_rft.body.smpl import SmplBody


@lru_cache(maxsize=4)
def load_body(name_or_path: str = "cc0") -> BodyModel:
    """A body model: ``"cc0"`` for the bundled one, or the path of an SMPL, SMPL-H or SMPL-X ``.npz`` of your own.

    Raises:
        UserError: no such file, a pickle, a file that is no body model, or smplx is not installed.
    """
    return Cc0Body() if name_or_path == "cc0" else SmplBody(name_or_path)
