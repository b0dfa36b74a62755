"""Text-pose retrieval: how well do a text and a pose agree?

Two encoders into one space, compared by cosine and trained contrastively (retrieval_training.py), as in PoseScript
(Delmas et al., ECCV 2022) and CLIP (Radford et al., ICML 2021). Both are small and self-contained. Text: words and
pieces of words, three convolutions, which bind neighbours ("left", "knee", "bent"), and attention pooling. A
transformer in their place learned no faster by step and took three to six times as long a step on one core. Pose: 6D
rotations (Zhou et al., CVPR 2019) and joint positions through a residual MLP.
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

DILATIONS = (1, 2, 4)  # of the text encoder's convolutions: a word sees seven on either side
BUNDLED = Path(__file__).parent / "data"
Role = Literal["reward", "judge"]


@dataclass(frozen=True, slots=True)
class RetrievalSettings:
    """Shape and purpose of a model.

    Attributes:
        role: "reward", or "judge" for a model that only evaluates and is refused as a reward.
        width: of words and of the common space (D).
        heads: of the attention that pools a text's words.
        pose_width, pose_blocks: of the pose encoder.
        vocabulary_size, buckets: at most so many whole words; so many n-gram vectors.
        max_words: of a text; the rest is not read.
    """

    role: Role = "reward"
    width: int = 128
    heads: int = 8
    pose_width: int = 256
    pose_blocks: int = 3
    vocabulary_size: int = 2500
    buckets: int = 1024
    max_words: int = 128

    def __post_init__(self) -> None:
        if self.width % self.heads:
            raise UserError(f"retrieval model: width {self.width} must be a multiple of heads {self.heads}")


class TextEncoder(nn.Module):
    """N texts -> (N, D). The words of all texts stand in one row, so that no work goes into padding."""

    def __init__(self, settings: RetrievalSettings, vocabulary: Sequence[str]) -> None:
        super().__init__()
        width = settings.width
        self.words = WordEmbedding(vocabulary, settings.buckets, width, settings.max_words)
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in DILATIONS)
        self.convolutions = nn.ModuleList(nn.Conv1d(width, width, 3, padding=d, dilation=d) for d in DILATIONS)
        self.pooling = AttentionPooling(width, settings.heads)
        self.mlp = nn.Sequential(
            nn.LayerNorm(width), nn.Linear(width, 2 * width), nn.GELU(), nn.Dropout(0.1), nn.Linear(2 * width, width)
        )
        self.project = nn.Linear(width, width)

    def forward(self, texts: Sequence[str], forget: float = 0.0) -> Tensor:
        x, owner = self.words(texts, forget)  # (L, D), (L,)
        gap = max(DILATIONS)  # between texts, so that no convolution reaches across
        place = torch.arange(len(x), device=x.device) + gap * owner
        for norm, convolution in zip(self.norms, self.convolutions, strict=True):
            row = x.new_zeros(len(x) + gap * len(texts), x.shape[1]).index_copy(0, place, norm(x))
            x = x + gelu(convolution(row.T.unsqueeze(0)).squeeze(0).T[place])
        pooled = self.pooling(x, owner, len(texts))
        return self.project(pooled + self.mlp(pooled))


class AttentionPooling(nn.Module):
    """Weighted means of each text's words, one per head; the weights are a softmax over the words of the text."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm = nn.LayerNorm(width)
        self.score = nn.Linear(width, heads)
        self.value = nn.Linear(width, width)

    def forward(self, x: Tensor, owner: Tensor, texts: int) -> Tensor:
        """x (L, D), the text (L,) that each row belongs to, N texts -> (N, D)."""
        x = self.norm(x)
        score = self.score(x)  # (L, H)
        highest = score.new_full((texts, self.heads), -torch.inf)
        highest = highest.scatter_reduce(0, owner.unsqueeze(1).expand_as(score), score.detach(), "amax")
        weight = (score - highest[owner]).exp()  # (L, H)
        value = self.value(x).unflatten(1, (self.heads, -1)) * weight.unsqueeze(-1)  # (L, H, D/H)
        total = weight.new_zeros(texts, self.heads).index_add(0, owner, weight)
        mean = value.new_zeros(texts, *value.shape[1:]).index_add(0, owner, value) / total.unsqueeze(-1)
        return mean.flatten(1)


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
