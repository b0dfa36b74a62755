"""Pose heads: from the language model's hidden states to a distribution over poses.

``query``: a small transformer decoder whose 22 joint queries attend to every position of the prompt and the answer.
``mlp``: the paper's, a perceptron on the hidden state at ``<POSE>`` alone.
"""

import contextlib
import math
from dataclasses import dataclass
from functools import partial
from typing import Literal

import roma
import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from pose_rft.body.skeleton import MIRROR, NUM_JOINTS
from pose_rft.config import Fraction, NonNegativeInt, PositiveFloat, PositiveInt, refuse_unread, validate
from pose_rft.errors import UserError
from pose_rft.policy.distribution import JOINT_DIMS, PoseGaussian
from pose_rft.policy.mixture import PoseDistribution, PoseMixture
from pose_rft.policy.pose_codebook import TOKENS, WORDS, PoseCodebook
from pose_rft.policy.pose_prior import CODE_GROUPS, PosePrior
from pose_rft.policy.pose_tokens import PoseTokens

HeadKind = Literal["query", "mlp"]
Space = Literal["rotations", "latent", "tokens"]
TOKEN_WIDTH = 128  # of what is known where a token is chosen
NO_TURN = [1.0, 0.0, 0.0, 1.0, 0.0, 0.0]  # 6D
SUMMARIES = 8  # vectors that a text is summed up in
Covariance = Literal["diagonal", "low_rank", "none"]


@dataclass(frozen=True)
class HeadConfig:
    """Shape of a pose head.

    Attributes:
        kind: "query" or "mlp".
        space: what an action is: "rotations", the 6D rotations of all joints; "latent", the root's rotation and a
            code of the bundled pose prior (``policy/pose_prior.py``), whose decoder gives the other joints' rotations;
            or "tokens", the same in words of a codebook (``policy/pose_codebook.py``), of texts alone.
        covariance: "diagonal", "low_rank" (diagonal plus ``rank`` shared directions), or "none": a deterministic head.
        width: of the decoder or the perceptron.
        depth: layers.
        heads: attention heads ("query" only).
        expansion: width of the decoder's feed-forward layers, in widths of the decoder ("query" only).
        sentence: width of a perceptron that reads the whole text at once and sets what the joints ask for ("query"
            only); 0 leaves it out. Its weights are used once for a pose, the decoder's for each of 22 joints.
        rank: of the low-rank part.
        components: Gaussians of a mixture over whole poses ("low_rank" only); 1 is a single Gaussian, as in the paper.
        min_std: floor of the standard deviation of every number, in units of its spread over the training poses.
            Without one, joints that hardly move make the likelihood spike.
        dropout: in the decoder.
    """

    kind: HeadKind = "query"
    space: Space = "rotations"
    covariance: Covariance = "low_rank"
    width: PositiveInt = 256
    depth: PositiveInt = 3
    heads: PositiveInt = 8
    expansion: PositiveInt = 4
    sentence: NonNegativeInt = 0
    rank: PositiveInt = 8
    components: PositiveInt = 1
    min_std: PositiveFloat = 0.05
    dropout: Fraction = 0.0

    @property
    def groups(self) -> int:
        """What an action is made of: joints, or the root and parts of a code, of six numbers each; or tokens."""
        return {"rotations": NUM_JOINTS, "latent": 1 + CODE_GROUPS, "tokens": TOKENS}[self.space]

    def __post_init__(self) -> None:
        validate(self)
        if self.space == "tokens":
            refuse_unread(self, ["covariance", "rank", "components", "min_std"], "space is tokens")
        if self.covariance != "low_rank":
            refuse_unread(self, ["rank", "components"], f"covariance is {self.covariance}")
        if self.kind != "query":
            refuse_unread(self, ["expansion", "sentence"], f"kind is {self.kind}")
        if self.width % self.heads:
            raise UserError(f"width {self.width} must be a multiple of heads {self.heads}")


class PoseHead(nn.Module):
    """Hidden states to a distribution over actions of J groups of six numbers: 22 joints, or root and code.

    The action space is ``(numbers - action_mean) / action_std`` of a pose's 6D rotations or its code, with per-number
    statistics of the training poses, so that one unit means the same for a knee that bends a lot and a collar bone that
    hardly moves.

    Attributes:
        prior: makes codes of poses and poses of codes, frozen; None where the action is the rotations.
        gives_mixtures: its distributions are mixtures, if of one component, as those of a policy's other head are.
    """

    action_mean: Tensor
    action_std: Tensor

    def __init__(self, hidden_size: int, config: HeadConfig) -> None:
        super().__init__()
        self.config = config
        self.gives_mixtures = config.components > 1
        width = config.width
        self.project = nn.Sequential(nn.LayerNorm(hidden_size), nn.Linear(hidden_size, width))
        if config.kind == "query":
            self.queries = nn.Parameter(torch.randn(config.groups, width) * 0.02)
            layer = nn.TransformerDecoderLayer(
                width, config.heads, config.expansion * width, config.dropout, activation="gelu", norm_first=True
            )
            self.decoder = nn.TransformerDecoder(layer, config.depth, norm=nn.LayerNorm(width))
            self.sentence = SentenceReader(width, config.sentence, config.groups) if config.sentence else None
        else:
            blocks: list[nn.Module] = []
            for _ in range(config.depth - 1):
                blocks += [nn.GELU(), nn.Linear(width, width)]
            self.trunk = nn.Sequential(*blocks, nn.GELU(), nn.Linear(width, config.groups * width // config.heads))
        self._make_outputs(width if config.kind == "query" else width // config.heads)
        self._start_outputs()
        self.prior = _bundled_prior(config.space)
        identity = torch.tensor([1.0, 0, 0, 0, 1.0, 0]).expand(NUM_JOINTS, JOINT_DIMS)
        if config.space == "latent":  # codes are normalised
            identity = nn.functional.pad(identity[:1], (0, 0, 0, CODE_GROUPS))
        elif config.space == "tokens":
            identity = torch.zeros(TOKENS, 1)
        self.register_buffer("action_mean", identity.clone())
        self.register_buffer("action_std", torch.ones_like(identity))

    def _make_outputs(self, features: int) -> None:
        """What makes a distribution of vectors of so many features, one for each group of an action."""
        config = self.config
        rank = config.rank if config.covariance == "low_rank" else 0
        numbers = config.components * JOINT_DIMS
        self.mean = nn.Linear(features, numbers)
        self.std = nn.Linear(features, numbers) if config.covariance != "none" else None
        self.factor = nn.Linear(features, numbers * rank) if rank else None
        self.weight = nn.Linear(features, config.components) if config.components > 1 else None

    def _start_outputs(self) -> None:
        nn.init.zeros_(self.mean.bias)
        if self.std is not None:
            nn.init.zeros_(self.std.weight)
            nn.init.zeros_(self.std.bias)
        if self.factor is not None:
            nn.init.normal_(self.factor.weight, std=0.02)
            nn.init.zeros_(self.factor.bias)

    def start_near_zero(self) -> None:
        """Predict next to nothing, whatever it reads; not nothing, or the components of a mixture stay the same."""
        self._start_outputs()
        nn.init.normal_(self.mean.weight, std=1e-3)

    def fit_action_space(self, poses: Tensor) -> None:
        """Set mean and standard deviation of the action space from training poses, (N, 22, 3) axis-angle."""
        numbers = self._numbers(rotation_6d(poses))
        self.action_mean.copy_(numbers.mean(dim=0))
        self.action_std.copy_(numbers.std(dim=0).clamp(min=0.02))

    def take_action_space(self, mean: Tensor, std: Tensor) -> None:
        """That of another head, whatever its shape; of one with another space the root's, all that they share."""
        if mean.shape[1:] != self.action_mean.shape[1:]:  # tokens have no scale
            return
        shared = self.config.groups if len(mean) == self.config.groups else 1
        self.action_mean[:shared] = mean[:shared]
        self.action_std[:shared] = std[:shared]

    def forward(
        self,
        memory: Tensor,
        memory_mask: Tensor,
        state: Tensor,
        context: Tensor | None = None,
        context_mask: Tensor | None = None,
        joints: Tensor | None = None,
        origin: Tensor | None = None,
    ) -> PoseDistribution:
        """Distribution over actions.

        Args:
            memory: (N, S, H) hidden states of the prompt and of the answer up to ``<POSE>``.
            memory_mask: (N, S) bool, true where real.
            state: (N, H) hidden state at ``<POSE>``.
            context: (N, T, width) features of a picture or of poses, to which "query" attends beside the memory.
            context_mask: (N, T) bool, true where they are real; None where all are.
            joints: (N, 22, width) what is known of each joint, for "query" in "rotations"; None without.
            origin: (N, 22, 3) poses, axis-angle radians, from which the predicted ones are counted: as turns of each
                joint in its own frame, or of codes as differences. None counts from zero.
        """
        # The layers compute in the precision of the states; the distribution itself is float32.
        with _precision_of(memory):
            if self.config.kind == "query":
                tokens = self.project(memory)
                if context is not None:
                    tokens = torch.cat([tokens, context.to(tokens)], dim=1)
                    real = memory_mask.new_ones(context.shape[:2]) if context_mask is None else context_mask
                    memory_mask = torch.cat([memory_mask, real], dim=1)
                features = self._attend(tokens, memory_mask, joints)
            else:
                features = self.trunk(self.project(state)).unflatten(-1, (self.config.groups, -1))
        predicted = self._distribution(features.float())
        if origin is None:
            return predicted
        assert not isinstance(predicted, PoseTokens), "tokens are not counted from others"
        return predicted.with_means(partial(self._counted_from, origin))

    def _counted_from(self, origin: Tensor, means: Tensor) -> Tensor:
        """Actions (N, C, D) of what is predicted (N, C, D), counted from poses (N, 22, 3)."""
        if self.prior is not None:
            return means + self.to_action(origin).flatten(1)[:, None]
        turns = from_6d(means.unflatten(-1, (-1, JOINT_DIMS)) + means.new_tensor(NO_TURN))
        rotations = roma.rotvec_to_rotmat(origin)[:, None] @ turns
        return self._action(rotations[..., :2].flatten(-2)).flatten(-2)

    def _distribution(self, features: Tensor) -> PoseDistribution:
        """Of (N, J, W) features, one vector for each group of an action."""
        if self.gives_mixtures:
            return self._mixture(features)
        mean = self.mean(features).flatten(1)
        if self.std is None:
            return PoseGaussian.diagonal(mean, torch.full_like(mean, self.config.min_std))
        std = nn.functional.softplus(self.std(features).flatten(1) + 0.5) + self.config.min_std
        if self.factor is None:
            return PoseGaussian.diagonal(mean, std)
        factor = self.factor(features).unflatten(-1, (JOINT_DIMS, -1)).flatten(1, 2)  # (N, D, R)
        return PoseGaussian.low_rank(mean, std, factor)

    def _mixture(self, features: Tensor) -> PoseMixture:
        def of_components(layer: nn.Linear, *last: int) -> Tensor:  # (N, C, D, ...)
            shaped = layer(features).unflatten(-1, (self.config.components, JOINT_DIMS, *last))
            return shaped.transpose(1, 2).flatten(2, 3)

        assert self.std is not None
        assert self.factor is not None
        std = nn.functional.softplus(of_components(self.std) + 0.5) + self.config.min_std
        weight = features.new_zeros(len(features), 1) if self.weight is None else self.weight(features.mean(dim=1))
        log_weight = weight.log_softmax(dim=-1)
        return PoseMixture(log_weight, of_components(self.mean), std, of_components(self.factor, self.config.rank))

    def _attend(self, tokens: Tensor, mask: Tensor | None, joints: Tensor | None = None) -> Tensor:
        # Tokens first and in one piece: torch projects keys and values of a transposed view ten times slower.
        queries = self.queries[:, None].expand(-1, len(tokens), -1)
        if joints is not None:
            queries = queries + joints.to(queries).transpose(0, 1)
        if self.sentence is not None:
            queries = queries + self.sentence(tokens, mask).transpose(0, 1)
        tokens = tokens.transpose(0, 1).contiguous()
        with _attention_backend(tokens.device.type):
            out = self.decoder(queries, tokens, memory_key_padding_mask=None if mask is None else ~mask)
        return out.transpose(0, 1)

    def joint_features(self, image_features: Tensor) -> Tensor:
        """(N, J, width) what "query" makes of (N, T, width) image_features alone, in their precision."""
        with _precision_of(image_features):
            return self._attend(image_features, None)

    @property
    def is_deterministic(self) -> bool:
        return self.std is None

    def to_action(self, poses: Tensor) -> Tensor:
        """(..., 22, 3) axis-angle radians -> (..., J, 6) actions."""
        return self._action(rotation_6d(poses))

    def mirrored(self, action: Tensor) -> Tensor:
        """(..., J * 6) actions -> those of the same poses mirrored: left and right exchanged."""
        rotation = self._rotation(action.unflatten(-1, (-1, JOINT_DIMS)))
        sides = rotation.new_tensor([-1.0, 1.0, 1.0])  # the matrix R of a joint becomes S R S, with S = diag(sides)
        signs = (sides[:, None] * sides[:2]).flatten()
        return self._action(rotation[..., MIRROR, :] * signs).flatten(-2)

    def to_rotations(self, action: Tensor) -> Tensor:
        """(..., J, 6) actions -> (..., 22, 3, 3) rotation matrices, by Gram-Schmidt."""
        return from_6d(self._rotation(action))

    def _action(self, rotation: Tensor) -> Tensor:
        return (self._numbers(rotation) - self.action_mean) / self.action_std

    def _numbers(self, rotation: Tensor) -> Tensor:
        """(..., 22, 6) 6D rotations -> (..., J, 6) the numbers of an action before they are normalised."""
        return rotation if self.prior is None else self.prior.encode(rotation)

    def _rotation(self, action: Tensor) -> Tensor:
        """(..., J, 6) actions -> (..., 22, 6) 6D rotations, which need not be orthonormal."""
        numbers = action * self.action_std + self.action_mean
        return numbers if self.prior is None else self.prior.decode(numbers)


class TokenHead(PoseHead):
    """Hidden states to a distribution over the words of ``PoseCodebook``: a pose as a short sentence.

    It reads what every pose head reads, in the same way; but it has one
    query for each token, and its actions are numbers of words, (TOKENS, 1).
    """

    def _make_outputs(self, features: int) -> None:
        self.prompt = nn.Linear(features, TOKEN_WIDTH)
        self.spoken = nn.Parameter(torch.empty(TOKENS, WORDS, TOKEN_WIDTH))
        self.readout = nn.Parameter(torch.empty(TOKENS, TOKEN_WIDTH, WORDS))
        self.bias = nn.Parameter(torch.empty(TOKENS, WORDS))

    def _start_outputs(self) -> None:
        nn.init.zeros_(self.bias)
        nn.init.normal_(self.spoken, std=0.1)
        nn.init.normal_(self.readout, std=0.02)

    def _distribution(self, features: Tensor) -> PoseTokens:
        # Copies: the reference policy's weights stand in their places for a moment only.
        return PoseTokens(self.prompt(features), self.spoken.clone(), self.readout.clone(), self.bias.clone())

    def fit_action_space(self, poses: Tensor) -> None:
        """Nothing: words have no scale."""

    @property
    def is_deterministic(self) -> bool:
        return False


def make_pose_head(hidden_size: int, config: HeadConfig) -> PoseHead:
    """An untrained head of the kind and space that the config says."""
    return (TokenHead if config.space == "tokens" else PoseHead)(hidden_size, config)


def _bundled_prior(space: Space) -> PosePrior | PoseCodebook | None:
    if space == "rotations":
        return None
    return PosePrior.bundled() if space == "latent" else PoseCodebook.bundled()


class SentenceReader(nn.Module):
    """A residual perceptron over a text as a whole: (N, S, W) tokens to (N, J, W), one vector for a group of an action.

    Args:
        width: W.
        inner: width of the perceptron.
        groups: J.
    """

    def __init__(self, width: int, inner: int, groups: int) -> None:
        super().__init__()
        self.groups = groups
        self.queries = nn.Parameter(torch.randn(SUMMARIES, width) * width**-0.5)
        self.keys_values = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, 2 * width))
        self.enter = nn.Linear(SUMMARIES * width, inner)
        self.blocks = nn.ModuleList(
            nn.Sequential(nn.LayerNorm(inner), nn.Linear(inner, 2 * inner), nn.GELU(), nn.Linear(2 * inner, inner))
            for _ in range(2)
        )
        self.leave = nn.Sequential(nn.LayerNorm(inner), nn.Linear(inner, groups * width))

    def forward(self, tokens: Tensor, mask: Tensor | None) -> Tensor:
        """``mask`` (N, S) bool is true where tokens are real, or None where all are."""
        keys, values = self.keys_values(tokens).chunk(2, dim=-1)
        scores = self.queries.to(keys) @ keys.mT
        if mask is not None:
            scores = scores.masked_fill(~mask[:, None], -math.inf)
        state = self.enter((scores.softmax(dim=-1) @ values).flatten(1))
        for block in self.blocks:
            state = state + block(state)
        return self.leave(state).unflatten(-1, (self.groups, -1))


def _precision_of(states: Tensor) -> torch.autocast:
    return torch.autocast(states.device.type, torch.bfloat16, enabled=states.dtype == torch.bfloat16)


def _attention_backend(device: str) -> contextlib.AbstractContextManager[None]:
    """On a CPU, 22 queries are too few for the fused kernel: plain matrix products take half the time."""
    return sdpa_kernel(SDPBackend.MATH) if device == "cpu" else contextlib.nullcontext()


def rotation_6d(poses: Tensor) -> Tensor:
    """(..., 3) rotation vectors -> (..., 6): the first two columns of the matrix, row by row."""
    return roma.rotvec_to_rotmat(poses)[..., :2].flatten(-2)


def from_6d(rotation: Tensor) -> Tensor:
    """(..., 6) 6D rotations, orthonormal or not -> (..., 3, 3) rotation matrices, by Gram-Schmidt."""
    return roma.special_gramschmidt(rotation.unflatten(-1, (3, 2)))
