"""Which pose-aware encoder: the bundled one, or a vision transformer."""

from pose_rft.vision.blazepose import BlazePose
from pose_rft.vision.encoder import PoseEncoder
from pose_rft.vision.vit import load_vit


def load_encoder(name: str = "blazepose") -> PoseEncoder:
    """A frozen encoder on the CPU in float32.

    Args:
        name: ``"blazepose"`` (bundled), or a directory or Hugging Face id of a ViTPose model or backbone.

    Raises:
        UserError: nothing of that name can be loaded, or it is no ViTPose.
    """
    return BlazePose() if name == "blazepose" else load_vit(name)
