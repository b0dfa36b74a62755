"""Encoders of the text-pose retrieval models: two of texts and two of poses, small and self-contained.

The reward model reads words by convolutions and poses as rotations; the judge reads words by a recurrent network and
poses as positions of joints.
"""

from collections.abc import Sequence

import roma
import torch
from torch import Tensor, nn
from torch.nn.functional import gelu

from pose_rft.body.skeleton import NUM_JOINTS, PARENTS, forward_kinematics
from pose_rft.retrieval.words import WordEmbedding

DILATIONS = (1, 2, 4)  # of the convolutions: a word reads seven on either side
PARENT = [max(parent, 0) for parent in PARENTS]  # the pelvis counts as its own


class ConvolutionalText(nn.Module):
    """N texts -> (N, D) by three convolutions, which bind neighbours ("left", "knee", "bent"), and attention pooling.

    The words of all texts stand in one row, so that no work goes into padding. A transformer in the convolutions' place
    learned no faster by step and took three to six times as long a step on one core.
    """

    def __init__(self, words: WordEmbedding, heads: int) -> None:
        super().__init__()
        width = words.width
        self.words = words
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in DILATIONS)
        self.convolutions = nn.ModuleList(nn.Conv1d(width, width, 3, padding=d, dilation=d) for d in DILATIONS)
        self.pooling = AttentionPooling(width, heads)
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


class RecurrentText(nn.Module):
    """N texts -> (N, D) by a bidirectional GRU and the maximum over the words.

    Source: Conneau et al., "Supervised learning of universal sentence representations" (EMNLP 2017), with a GRU (Cho et
    al., EMNLP 2014) as in PoseScript.
    """

    def __init__(self, words: WordEmbedding) -> None:
        super().__init__()
        width = words.width
        self.words = words
        self.gru = BidirectionalGru(width)
        self.project = nn.Sequential(
            nn.LayerNorm(2 * width), nn.Linear(2 * width, 2 * width), nn.GELU(), nn.Dropout(0.1),
            nn.Linear(2 * width, width),
        )  # fmt: skip

    def forward(self, texts: Sequence[str], forget: float = 0.0) -> Tensor:
        x, owner = self.words(texts, forget)  # (L, D), (L,)
        return self.project(self.gru(x, torch.bincount(owner, minlength=len(texts))))


class BidirectionalGru(nn.Module):
    """The largest states of a GRU that reads words forwards and of one that reads them backwards.

    torch's GRU over packed sequences fills a gradient of all words anew for every step; a step of training took four
    times as long with it. Both directions advance together here, and texts drop out when they end.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.enter = nn.Parameter(
            torch.randn(2, width, 3 * width) / width**0.5
        )  # reset, update, new; of both directions
        self.enter_bias = nn.Parameter(torch.zeros(2, 1, 3 * width))
        self.recur = nn.Parameter(torch.randn(2, width, 3 * width) / width**0.5)
        self.bias = nn.Parameter(torch.zeros(2, 1, width))

    def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
        """Words x (L, D) of N texts one after the other, lengths (N,) of at least 1 -> (N, 2D)."""
        width = x.shape[1]
        starts = lengths.cumsum(0) - lengths
        order = lengths.argsort(descending=True, stable=True)
        starts, lengths = starts[order], lengths[order]  # the longest first
        alive = (lengths > torch.arange(int(lengths[0]), device=x.device)[:, None]).sum(1).tolist()  # texts at step t
        forwards = torch.cat([starts[:n] + t for t, n in enumerate(alive)])  # (L,) rows of x, step by step
        backwards = torch.cat([(starts + lengths)[:n] - 1 - t for t, n in enumerate(alive)])
        words = torch.stack([x.index_select(0, forwards), x.index_select(0, backwards)])  # (2, L, D)
        words = words @ self.enter + self.enter_bias  # (2, L, 3D)
        state = x.new_zeros(2, len(order), width)
        largest, ended = torch.full_like(state, -torch.inf), []
        for word in words.split(alive, dim=1):  # (2, n, 3D)
            n = word.shape[1]
            ended.append(largest[:, n:])
            state, largest = state[:, :n], largest[:, :n]
            past = state @ self.recur
            reset, update = (word[..., : 2 * width] + past[..., : 2 * width]).sigmoid().chunk(2, dim=-1)
            new = (word[..., 2 * width :] + reset * (past[..., 2 * width :] + self.bias)).tanh()
            state = new + update * (state - new)
            largest = torch.maximum(largest, state)
        every = torch.cat([largest, *reversed(ended)], dim=1)  # (2, N, D), the longest first
        return every[:, order.argsort()].transpose(0, 1).flatten(1)


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


class PoseEncoder(nn.Module):
    """(N, 22, 3) axis-angle radians -> (N, D). Carries the bone offsets it was trained with, (22, 3) metres."""

    offsets: Tensor

    def __init__(self, offsets: Tensor) -> None:
        super().__init__()
        self.register_buffer("offsets", offsets.clone())

    def rotations_and_joints(self, axis_angle: Tensor) -> tuple[Tensor, Tensor]:
        """Rotations (N, 22, 3, 3), and joints (N, 22, 3) relative to the pelvis, in half metres."""
        rotations = roma.rotvec_to_rotmat(axis_angle)
        joints, _ = forward_kinematics(rotations, self.offsets)
        return rotations, 2 * (joints - joints[:, :1])  # about as large as the rotations' entries


class RotationMlp(PoseEncoder):
    """6D rotations (Zhou et al., CVPR 2019) and joint positions through a residual MLP of `blocks` blocks."""

    def __init__(self, offsets: Tensor, width: int, blocks: int, out: int) -> None:
        super().__init__(offsets)
        self.enter = nn.Linear(NUM_JOINTS * (6 + 3), width)
        self.blocks = nn.Sequential(*(ResidualBlock(width, 1) for _ in range(blocks)))
        self.leave = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, out))

    def forward(self, axis_angle: Tensor) -> Tensor:
        rotations, joints = self.rotations_and_joints(axis_angle)
        features = torch.cat([rotations[..., :2].flatten(1), joints.flatten(1)], dim=1)  # (N, 198)
        return self.leave(self.blocks(self.enter(features)))


class JointTransformer(PoseEncoder):
    """A token for each joint, made of positions alone, through a transformer of `blocks` layers.

    A token holds the joint's place relative to pelvis, parent and the body's lowest joint. What a caption states is a
    function of these places; rotations are not read.
    """

    def __init__(self, offsets: Tensor, width: int, blocks: int, out: int, heads: int) -> None:
        super().__init__(offsets)
        self.enter = nn.Linear(3 + 3 + 1, width)
        self.joint = nn.Parameter(torch.randn(NUM_JOINTS, width) * 0.5)
        layers = [(JointAttention(width, heads), ResidualBlock(width, 2)) for _ in range(blocks)]
        self.blocks = nn.Sequential(*(part for layer in layers for part in layer))
        self.leave = nn.Sequential(nn.LayerNorm(width), nn.Flatten(), nn.Linear(NUM_JOINTS * width, out))

    def forward(self, axis_angle: Tensor) -> Tensor:
        _, joints = self.rotations_and_joints(axis_angle)
        bones = 3 * (joints - joints[:, PARENT])  # shorter than the way to the pelvis
        height = joints[..., 1:2] - joints[..., 1:2].amin(1, keepdim=True)
        tokens = self.enter(torch.cat([joints, bones, height], dim=-1)) + self.joint  # (N, 22, W)
        return self.leave(self.blocks(tokens))


class JointAttention(nn.Module):
    """x + attention(norm(x)) over 22 joints, (N, 22, W). Fused attention is slower on a CPU at this size."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm = nn.LayerNorm(width)
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = self.qkv(self.norm(x)).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)  # (N, H, 22, W/H)
        weight = (q @ k.transpose(-1, -2) / q.shape[-1] ** 0.5).softmax(-1)
        return x + self.out((weight @ v).transpose(1, 2).flatten(2))


class ResidualBlock(nn.Module):
    """x + MLP(norm(x)); the MLP is `wider` times as wide inside."""

    def __init__(self, width: int, wider: int) -> None:
        super().__init__()
        self.mlp = nn.Sequential(
            nn.LayerNorm(width), nn.Linear(width, wider * width), nn.GELU(), nn.Dropout(0.1),
            nn.Linear(wider * width, width),
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        return x + self.mlp(x)
