"""How a policy reads poses that are given with a prompt, and answers with another one: the pose branch.

A given pose is read twice. The language model gets a few embeddings of it, which stand where the prompt says
``<input_pose>``. And a pose head of its own, whose query for a joint begins with that joint of the first given pose,
predicts by how much each joint turns in its own frame: an edit is mostly "the same pose, but", what is not asked for
stays as it is without being learned, and a knee bends by the same turn wherever its thigh is. What is learned here
leaves poses of texts and of pictures as they are.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from pose_rft.body import load_body
from pose_rft.body.skeleton import NUM_JOINTS
from pose_rft.config import PositiveInt, validate
from pose_rft.data.sample import INPUT_POSE
from pose_rft.errors import UserError
from pose_rft.policy.distribution import JOINT_DIMS
from pose_rft.policy.mixture import PoseDistribution
from pose_rft.policy.pose_head import HeadConfig, PoseHead, rotation_6d

MOST_POSES = 8  # that one prompt can be about
READ_BY_NOBODY = "poses: this policy reads no poses; train one with a pose_branch (configs/edits_sft.yaml)"


@dataclass(frozen=True)
class PoseBranchConfig:
    """How poses in prompts are read.

    Attributes:
        tokens: embeddings that one pose becomes for the language model.
        depth: layers of the encoders.
        head: shape of the pose head of prompts with poses; None takes that of the policy's ``head``. Of kind "query"
            and of the covariance and the space of that head.
    """

    tokens: PositiveInt = 8
    depth: PositiveInt = 2
    head: HeadConfig | None = None

    def __post_init__(self) -> None:
        validate(self)


@dataclass(frozen=True)
class GivenPoses:
    """Poses that are given with N prompts, at most P with one.

    Attributes:
        pose: (N, P, 22, 3) axis-angle radians; zeros where there is none.
        real: (N, P) bool, where there is one; those of a prompt come first.
    """

    pose: Tensor
    real: Tensor

    @classmethod
    def of_prompts(cls, poses: Sequence[Tensor | None]) -> "GivenPoses | None":
        """Those of N prompts, (P, 22, 3) or None each; None if no prompt has any."""
        most = max((len(each) for each in poses if each is not None), default=0)
        if not most:
            return None
        pose, real = torch.zeros(len(poses), most, NUM_JOINTS, 3), torch.zeros(len(poses), most, dtype=torch.bool)
        for number, each in enumerate(poses):
            if each is not None:
                pose[number, : len(each)], real[number, : len(each)] = each, True
        return cls(pose, real)

    @property
    def has_any(self) -> Tensor:
        """(N,) bool"""
        return self.real.any(dim=1)

    def rows(self, which: Tensor) -> "GivenPoses":
        return GivenPoses(self.pose[which], self.real[which])

    def to(self, device: torch.device | str) -> "GivenPoses":
        return GivenPoses(self.pose.to(device), self.real.to(device))


def check_placeholders(prompt: str, poses: int) -> None:
    """See that a prompt has a place for each of the poses that are given with it.

    Raises:
        UserError: it has fewer or more, or there are too many.
    """
    places = prompt.count(INPUT_POSE)
    if poses and places != poses:
        where = f"{poses} for {places} {INPUT_POSE} in {prompt[:80]!r}"
        raise UserError(f"poses: {where}; write it once for each pose, where it belongs")
    if poses > MOST_POSES:
        raise UserError(f"poses: {poses} for one prompt; at most {MOST_POSES} can be read")


class PoseEncoder(nn.Module):
    """Poses (N, 22, 3) axis-angle -> (N, 22, W), a vector for each joint: its 6D rotation, and where it is.

    Positions are metres from the pelvis, so that where a body stands does not matter; which way it faces does.
    """

    def __init__(self, width: int, heads: int, depth: int) -> None:
        super().__init__()
        self.enter = nn.Sequential(nn.Linear(JOINT_DIMS + 3, width), nn.GELU(), nn.Linear(width, width))
        self.joint = nn.Parameter(torch.randn(NUM_JOINTS, width) * 0.02)
        layer = nn.TransformerEncoderLayer(width, heads, 2 * width, 0.0, "gelu", batch_first=True, norm_first=True)
        self.layers = nn.TransformerEncoder(layer, depth, nn.LayerNorm(width), enable_nested_tensor=False)

    def forward(self, poses: Tensor) -> Tensor:
        joints = load_body().joints(poses)
        numbers = torch.cat([rotation_6d(poses), joints - joints[:, :1]], dim=-1)
        return self.layers(self.enter(numbers) + self.joint)


class PoseProjector(nn.Module):
    """Poses (N, 22, 3) -> (N, K, H), embeddings for the language model as small as those of words."""

    def __init__(self, hidden_size: int, width: int, heads: int, config: PoseBranchConfig) -> None:
        super().__init__()
        self.encoder = PoseEncoder(width, heads, config.depth)
        self.queries = nn.Parameter(torch.randn(config.tokens, width) * 0.5)
        self.attention = nn.MultiheadAttention(width, heads, batch_first=True)
        self.leave = nn.Sequential(
            nn.LayerNorm(width),
            nn.Linear(width, hidden_size),
            nn.GELU(),
            nn.Linear(hidden_size, hidden_size),
            nn.LayerNorm(hidden_size, elementwise_affine=False),
        )
        self.scale = nn.Parameter(torch.tensor(0.0))  # untrained, it says nothing: what is read is the words alone

    def forward(self, poses: Tensor) -> Tensor:
        features = self.encoder(poses)
        queries = self.queries.expand(len(poses), -1, -1)
        read, _ = self.attention(queries, features, features, need_weights=False)
        return self.scale * self.leave(queries + read)

    @property
    def says_nothing(self) -> bool:
        """Whether embeddings of all poses are zero, as before any training."""
        return not bool(self.scale)


class PoseBranch(nn.Module):
    """What is trained to read given poses.

    Args:
        hidden_size: H, of the language model.
        config: its shape.
        head: of its pose head.

    Attributes:
        head: of prompts with poses; predicts the difference from the first of them. Its action space is that of the
            policy's other heads.
        head_encoder: given poses for that head.
        text_projector: given poses for the language model; shares nothing with the head, whose training leaves what
            the language model reads as it is.
    """

    def __init__(self, hidden_size: int, config: PoseBranchConfig, head: HeadConfig) -> None:
        super().__init__()
        self.tokens = config.tokens
        self.head = PoseHead(hidden_size, head)
        self.head.start_near_zero()
        self.head_encoder = PoseEncoder(head.width, head.heads, config.depth)
        self.order = nn.Parameter(torch.randn(MOST_POSES, head.width) * 0.02)
        self.text_projector = PoseProjector(hidden_size, head.width, head.heads, config)

    def forward(self, memory: Tensor, memory_mask: Tensor, state: Tensor, given: GivenPoses) -> PoseDistribution:
        """Answers to N prompts, each with a pose or several; the rest as for ``PoseHead``."""
        count, most = given.real.shape
        features = self.head_encoder(given.pose.flatten(0, 1)).unflatten(0, (count, most))  # (N, P, 22, W)
        features = features + self.order[:most, None]
        first, real = features[:, 0], given.real
        by_joint = self.head.config.groups == NUM_JOINTS  # each joint's query is told how that joint is turned
        if by_joint:
            features, real = features[:, 1:], real[:, 1:]
        context = features.flatten(1, 2) if features.shape[1] else None
        mask = real.repeat_interleave(NUM_JOINTS, dim=1) if features.shape[1] else None
        return self.head(memory, memory_mask, state, context, mask, first if by_joint else None, given.pose[:, 0])

    def start_from(self, head: PoseHead) -> None:
        """Take over the action space of another head, and of how it reads words all that has the same shape."""
        own = self.head.state_dict()
        same = {name: value for name, value in head.state_dict().items() if name in own}
        self.head.load_state_dict({name: v for name, v in same.items() if v.shape == own[name].shape}, strict=False)
        self.head.take_action_space(head.action_mean, head.action_std)
        self.head.start_near_zero()

    def project_to_embeddings(self, poses: Tensor) -> Tensor:
        """Embeddings (N, ``tokens``, H) of poses (N, 22, 3) for the language model."""
        return self.text_projector(poses)
