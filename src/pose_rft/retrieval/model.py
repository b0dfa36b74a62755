"""Text-pose retrieval: how well do a text and a pose agree?

Two encoders into one space (retrieval_encoders.py), compared by cosine and trained contrastively
(retrieval_training.py), as in PoseScript (Delmas et al., ECCV 2022) and CLIP (Radford et al., ICML 2021).
Two models are bundled: `reward`, which the semantic reward asks, and `judge`, which only evaluates. They share neither
architecture nor pose representation nor training poses, so that what fools one need not fool the other.
A model is one safetensors file whose metadata hold its settings and vocabulary as JSON.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from textwrap import shorten
from typing import Literal

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn.functional import normalize

from pose_rft.body import load_body
from pose_rft.body.pose_files import Up, read_poses
from pose_rft.body.skeleton import NUM_JOINTS
from pose_rft.config import NonNegativeInt, PositiveInt, validate
from pose_rft.errors import UserError
from pose_rft.retrieval.encoders import ConvolutionalText, JointTransformer, PoseEncoder, RecurrentText, RotationMlp
from pose_rft.retrieval.words import FUNCTION_WORDS, WordEmbedding, words
from pose_rft.storage import atomic_file

BUNDLED = Path(__file__).parent / "data"
Role = Literal["reward", "judge"]


@dataclass(frozen=True, slots=True)
class RetrievalSettings:
    """Shape and purpose of a model.

    Attributes:
        role: "reward", or "judge" for a model that only evaluates and is refused as a reward.
        text: "convolutions" over the words, or "recurrent": a bidirectional GRU.
        pose: "rotations" through a residual MLP, or "joints": positions through a transformer.
        width: of words and of the common space (D).
        heads: of the attention that pools a text's words, and of that between joints.
        pose_width, pose_blocks: of the pose encoder.
        vocabulary_size, buckets: at most so many whole words; so many n-gram vectors.
        max_words: of a text; the rest is not read.
    """

    role: Role = "reward"
    text: Literal["convolutions", "recurrent"] = "convolutions"
    pose: Literal["rotations", "joints"] = "rotations"
    width: PositiveInt = 128
    heads: PositiveInt = 8
    pose_width: PositiveInt = 256
    pose_blocks: PositiveInt = 3
    vocabulary_size: NonNegativeInt = 2500
    buckets: PositiveInt = 1024
    max_words: PositiveInt = 128

    def __post_init__(self) -> None:
        validate(self)
        for name, width in (("width", self.width), ("pose_width", self.pose_width)):
            if width % self.heads:
                raise UserError(f"{name} {width} must be a multiple of heads {self.heads}")


class RetrievalModel(nn.Module):
    """A text encoder and a pose encoder with a common space of D dimensions.

    Args:
        settings: shape and role.
        vocabulary: words with vectors of their own; see `words.build_vocabulary`.
        offsets: (22, 3) bone offsets, metres; those of the bundled body unless given.
    """

    def __init__(self, settings: RetrievalSettings, vocabulary: Sequence[str], offsets: Tensor | None = None) -> None:
        super().__init__()
        self.settings = settings
        self.vocabulary = list(vocabulary)
        embedding = WordEmbedding(vocabulary, settings.buckets, settings.width, settings.max_words)
        self.text: ConvolutionalText | RecurrentText = (
            ConvolutionalText(embedding, settings.heads)
            if settings.text == "convolutions"
            else RecurrentText(embedding)
        )
        offsets = load_body().offsets if offsets is None else offsets
        shape = (settings.pose_width, settings.pose_blocks, settings.width)
        self.pose: PoseEncoder = (
            RotationMlp(offsets, *shape)
            if settings.pose == "rotations"
            else JointTransformer(offsets, *shape, heads=settings.heads)
        )
        self.log_scale = nn.Parameter(torch.tensor(2.66))  # learned temperature; exp(2.66) = 1 / 0.07, CLIP's start

    def knows(self, text: str) -> bool:
        """Whether a text has a word of the vocabulary that says something: no number, article or "is"."""
        known = set(words(text)[: self.settings.max_words]) & set(self.vocabulary)
        return any(word.isalpha() for word in known - FUNCTION_WORDS)

    @torch.inference_mode()
    def embed_text(self, texts: Sequence[str], batch_size: int = 256) -> Tensor:
        """(N, D) unit vectors of N texts."""
        starts = range(0, len(texts), batch_size)
        rows = [self.text(texts[start : start + batch_size]) for start in starts]
        return normalize(torch.cat(rows), dim=-1) if rows else self.log_scale.new_zeros(0, self.settings.width)

    @torch.inference_mode()
    def embed_pose(self, axis_angle: Tensor, batch_size: int = 8192) -> Tensor:
        """(N, D) unit vectors of N poses, (N, 22, 3) axis-angle radians."""
        if axis_angle.shape[1:] != (NUM_JOINTS, 3):
            raise ValueError(f"axis_angle must be (N, 22, 3), not {tuple(axis_angle.shape)}")
        rows = [self.pose(part.to(self.log_scale)) for part in axis_angle.split(batch_size)]
        return normalize(torch.cat(rows), dim=-1)

    def score(self, texts: Sequence[str], axis_angle: Tensor) -> Tensor:
        """(N,) cosine of text i and pose i, -1 to 1."""
        return (self.embed_text(texts) * self.embed_pose(axis_angle)).sum(-1)

    def save(self, path: str | Path) -> Path:
        """Write one safetensors file in float16, whole or not at all. Returns its path.

        Raises:
            UserError: the path cannot be written.
        """
        path = Path(path)
        tensors = {
            name: value.detach().cpu().to(torch.float16 if name != "pose.offsets" else torch.float32).contiguous()
            for name, value in self.state_dict().items()
        }
        metadata = {"settings": json.dumps(asdict(self.settings)), "vocabulary": json.dumps(self.vocabulary)}
        with atomic_file(path) as part:
            save_file(tensors, part, metadata)
        return path

    @classmethod
    def load(cls, name_or_path: str | Path) -> "RetrievalModel":
        """A model ready for use (evaluation mode, CPU, float32).

        Args:
            name_or_path: name of a bundled model ("reward"), or a file written by `save`.

        Raises:
            UserError: no such model, or a file that is none.
        """
        bundled = BUNDLED / f"retrieval_{name_or_path}.safetensors"
        path = bundled if bundled.is_file() else Path(name_or_path)
        if not path.is_file():
            names = [file.stem.removeprefix("retrieval_") for file in sorted(BUNDLED.glob("retrieval_*.safetensors"))]
            raise UserError(
                f"no retrieval model {str(name_or_path)!r}: give a file made by `pose-rft retrieval train`, "
                f"or a bundled name ({', '.join(names) or 'none is bundled'})"
            )
        try:
            with safe_open(str(path), framework="pt") as file:
                metadata = file.metadata() or {}
                state = {name: file.get_tensor(name).float() for name in file.keys()}  # noqa: SIM118
            settings = RetrievalSettings(**json.loads(metadata["settings"]))
            model = cls(settings, json.loads(metadata["vocabulary"]), offsets=state["pose.offsets"])
            model.load_state_dict(state)
        except Exception as error:  # of many kinds: the file may be damaged anywhere
            raise UserError(f"{path} is not a retrieval model; train one by `pose-rft retrieval train`") from error
        return model.eval()


def score_file(text: str, poses_path: str | Path, model: str | Path = "reward", up: Up | None = None) -> list[float]:
    """How well each pose of a file agrees with a text.

    Args:
        text: one description.
        poses_path: a pose file; see ``read_poses``.
        model: see ``RetrievalModel.load``.
        up: the axis that points up in the file.

    Returns:
        N cosines, -1 to 1, in the order of the file.

    Raises:
        UserError: no such model, unreadable poses, or a text without a word that the model knows.
    """
    retrieval = RetrievalModel.load(model)
    if not retrieval.knows(text):
        said = shorten(text, 80, placeholder=" ...")
        raise UserError(f"no word of '{said}' is known to the model; say what the pose is like: 'both arms are raised'")
    poses = torch.from_numpy(read_poses(poses_path, up).pose)
    return (retrieval.embed_pose(poses) @ retrieval.embed_text([text])[0]).tolist()
