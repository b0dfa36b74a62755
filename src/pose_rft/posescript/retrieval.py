"""Text-pose retrieval: how well do a text and a pose agree?

Two encoders into one space, compared by cosine and trained contrastively (retrieval_training.py), as in PoseScript
(Delmas et al., ECCV 2022) and CLIP (Radford et al., ICML 2021). Both are small and self-contained: words and pieces of
words through two convolutions and a two-layer transformer; 6D rotations (Zhou et al., CVPR 2019) and joint positions
through a residual MLP. The convolutions bind neighbours ("left", "knee", "bent") from the first steps on; without
them the transformer takes several times as many steps to tell which word belongs to which joint.
A model is one safetensors file whose metadata hold its settings and vocabulary as JSON.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

import roma
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn.functional import gelu, normalize

from pose_rft.body import load_body
from pose_rft.body.skeleton import NUM_JOINTS, forward_kinematics
from pose_rft.errors import UserError
from pose_rft.posescript.retrieval_words import WordEmbedding
from pose_rft.storage import atomic_file

BUNDLED = Path(__file__).parent / "data"
Role = Literal["reward", "judge"]


@dataclass(frozen=True, slots=True)
class RetrievalSettings:
    """Shape and purpose of a model.

    Attributes:
        role: "reward", or "judge" for a model that only evaluates and is refused as a reward.
        width: of words and of the common space (D).
        layers, heads: of the text transformer.
        pose_width, pose_blocks: of the pose encoder.
        vocabulary_size, buckets: at most so many whole words; so many n-gram vectors.
        max_words: of a text; the rest is not read.
    """

    role: Role = "reward"
    width: int = 128
    layers: int = 2
    heads: int = 4
    pose_width: int = 256
    pose_blocks: int = 3
    vocabulary_size: int = 2500
    buckets: int = 1024
    max_words: int = 128


class WordConvolution(nn.Module):
    """x + GELU(convolution over five words of norm(x)); x (N, T, D), padding (N, T)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.convolution = nn.Conv1d(width, width, kernel_size=5, padding=2)

    def forward(self, x: Tensor, padding: Tensor) -> Tensor:
        normed = self.norm(x).masked_fill(padding.unsqueeze(-1), 0.0)  # padding says nothing to its neighbours
        return x + gelu(self.convolution(normed.transpose(1, 2))).transpose(1, 2)


class TextEncoder(nn.Module):
    """N texts -> (N, D)."""

    def __init__(self, settings: RetrievalSettings, vocabulary: Sequence[str]) -> None:
        super().__init__()
        width = settings.width
        self.words = WordEmbedding(vocabulary, settings.buckets, width, settings.max_words)
        self.convolutions = nn.ModuleList(WordConvolution(width) for _ in range(2))
        self.position = nn.Parameter(torch.randn(settings.max_words, width) * 0.1)
        layer = nn.TransformerEncoderLayer(
            width, settings.heads, 3 * width, dropout=0.1, activation="gelu", batch_first=True, norm_first=True
        )
        self.transformer = nn.TransformerEncoder(layer, settings.layers, enable_nested_tensor=False)
        self.norm = nn.LayerNorm(width)
        self.project = nn.Linear(width, width)

    def forward(self, texts: Sequence[str], forget: float = 0.0) -> Tensor:
        vectors, padding = self.words(texts, forget)  # (N, T, D), (N, T)
        for convolution in self.convolutions:
            vectors = convolution(vectors, padding)
        hidden = self.transformer(vectors + self.position[: vectors.shape[1]], src_key_padding_mask=padding)
        present = (~padding).unsqueeze(-1).to(hidden)
        mean = (self.norm(hidden) * present).sum(1) / present.sum(1)
        return self.project(mean)


class ResidualBlock(nn.Module):
    """x + MLP(norm(x))."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.mlp = nn.Sequential(
            nn.LayerNorm(width), nn.Linear(width, width), nn.GELU(), nn.Dropout(0.1), nn.Linear(width, width)
        )

    def forward(self, x: Tensor) -> Tensor:
        return x + self.mlp(x)


class PoseEncoder(nn.Module):
    """(N, 22, 3) axis-angle radians -> (N, D). Carries the bone offsets it was trained with, (22, 3) metres."""

    offsets: Tensor

    def __init__(self, settings: RetrievalSettings, offsets: Tensor) -> None:
        super().__init__()
        self.register_buffer("offsets", offsets.clone())
        width = settings.pose_width
        self.enter = nn.Linear(NUM_JOINTS * (6 + 3), width)
        self.blocks = nn.Sequential(*(ResidualBlock(width) for _ in range(settings.pose_blocks)))
        self.leave = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, settings.width))

    def features(self, axis_angle: Tensor) -> Tensor:
        """(N, 198): the first two columns of every rotation, and every joint relative to the pelvis in metres x 2."""
        rotations = roma.rotvec_to_rotmat(axis_angle)  # (N, 22, 3, 3)
        joints, _ = forward_kinematics(rotations, self.offsets)  # (N, 22, 3)
        joints = 2 * (joints - joints[:, :1])  # about as large as the rotations' entries
        return torch.cat([rotations[..., :2].flatten(1), joints.flatten(1)], dim=1)

    def forward(self, axis_angle: Tensor) -> Tensor:
        return self.leave(self.blocks(self.enter(self.features(axis_angle))))


class RetrievalModel(nn.Module):
    """A text encoder and a pose encoder with a common space of D dimensions.

    Args:
        settings: shape and role.
        vocabulary: words with vectors of their own; see `retrieval_words.build_vocabulary`.
        offsets: (22, 3) bone offsets, metres; those of the bundled body unless given.
    """

    def __init__(self, settings: RetrievalSettings, vocabulary: Sequence[str], offsets: Tensor | None = None) -> None:
        super().__init__()
        self.settings = settings
        self.vocabulary = list(vocabulary)
        self.text = TextEncoder(settings, vocabulary)
        self.pose = PoseEncoder(settings, load_body().offsets if offsets is None else offsets)
        self.log_scale = nn.Parameter(torch.tensor(2.66))  # learned temperature; exp(2.66) = 1 / 0.07, CLIP's start

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
        except (SafetensorError, KeyError, TypeError, ValueError, RuntimeError) as error:
            raise UserError(f"{path} is not a retrieval model; train one by `pose-rft retrieval train`") from error
        return model.eval()
