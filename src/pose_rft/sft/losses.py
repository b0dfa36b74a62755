"""The supervised loss: words, likelihood of the pose, positions of its joints, and what the words say of it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import roma
import torch
from torch import Tensor
from torch.nn.functional import one_hot

from pose_rft.body.distances import pa_mpjpe
from pose_rft.body.landmarks import LANDMARKS, POINT_INDEX
from pose_rft.body.skeleton import JOINT_INDEX, NUM_JOINTS
from pose_rft.config import NonNegativeFloat, validate
from pose_rft.policy.mixture import PoseDistribution
from pose_rft.policy.pose_head import PoseHead
from pose_rft.posescript.checks import Check, compile_check
from pose_rft.posescript.measurements import Measurements

HEAD = JOINT_INDEX["head"]
OF_THE_HEAD = [HEAD, *(POINT_INDEX[name] for name, (joint, _) in LANDMARKS.items() if joint == "head")]
LITTLE_TURN = 0.3  # distance of matrices, 12 degrees: edits below that count for less
BLUNT = 0.02
TO_SPARE = 0.3  # of the checks' units, 6 degrees or 3 centimetres: what is met by that much costs nothing


@dataclass(frozen=True)
class LossWeights:
    """Weights of the supervised loss.

    Attributes:
        text: cross-entropy per token.
        likelihood: Gaussian negative log-likelihood per number of the pose.
        joints: distance of the mean pose's joints from the target's, per metre; of a mixture, the mean of the component
            that most probably made the target.
        aligned: the same after the best rotation, translation and scale (PA-MPJPE); 0 leaves it out.
        turns: how far the mean pose's joints are turned from the target's, as a share of how far those are turned from
            the given pose's, so that a little edit counts as a large one; of prompts with poses.
        checks: by how much the mean pose fails what the words say (``check_loss``); 0 leaves it out.
        sampled_checks: the same of a sampled pose, through its reparameterisation: narrows the Gaussian where the words
            leave no choice; 0 leaves it out.
    """

    text: NonNegativeFloat = 1.0
    likelihood: NonNegativeFloat = 1.0
    joints: NonNegativeFloat = 5.0
    aligned: NonNegativeFloat = 0.0
    turns: NonNegativeFloat = 0.0
    checks: NonNegativeFloat = 0.0
    sampled_checks: NonNegativeFloat = 0.0

    def __post_init__(self) -> None:
        validate(self)


def cross_entropy(logp: Tensor, mask: Tensor) -> Tensor:
    """Mean of ``-logp`` over the masked (N, T) tokens of the batch."""
    return -(logp * mask).sum() / mask.sum().clamp(min=1)


def pose_losses(
    head: PoseHead,
    rotations_to_points: Callable[[Tensor], Tensor],
    predicted: PoseDistribution,
    poses: Tensor,
    checks: Sequence[Sequence[str]] | None = None,
    sampled: bool = True,
    aligned: bool = False,
    given: Tensor | None = None,
) -> dict[str, Tensor]:
    """The pose losses of M predictions.

    Args:
        head: the head that made them (its action space).
        rotations_to_points: maps (M, 22, 3, 3) rotations to (M, 32, 3) joints and landmarks in metres.
        poses: (M, 22, 3) axis-angle targets.
        checks: M lists of what the words say, or None to leave that out.
        sampled: with checks, those of a sampled pose too; False draws none.
        aligned: with the distance after alignment.
        given: (M, 22, 3) axis-angle of the first given poses, numbers that are not finite where there is none; None
            leaves their loss out.

    Returns:
        ``likelihood``: negative log-likelihood per number or token (mean squared error of the action for a
        deterministic head); ``joints``: mean distance of joints in metres; ``aligned``: the same after alignment;
        ``turns``: mean of ``relative_turns``;
        ``checks``, ``sampled_checks``: ``check_loss`` of the mean pose and, unless the head is deterministic, of a
        sampled one.
    """
    target = head.to_action(poses)  # (M, J, 6)
    mean = predicted.mean_near(target.flatten(1)).unflatten(-1, target.shape[-2:])
    if head.is_deterministic:
        likelihood = (mean - target).square().mean()
    else:
        likelihood = -predicted.log_prob(target[:, None]).sum(dim=-1).mean() / target[0].numel()
    rotations = head.to_rotations(mean)
    points = rotations_to_points(rotations)
    reached = points[:, :NUM_JOINTS]
    wanted = rotations_to_points(roma.rotvec_to_rotmat(poses))[:, :NUM_JOINTS]  # which a code may not reach
    losses = {"likelihood": likelihood, "joints": torch.linalg.vector_norm(reached - wanted, dim=-1).mean()}
    if aligned:
        losses["aligned"] = pa_mpjpe(reached, wanted).mean()
    if given is not None and bool((posed := given.isfinite().all(dim=(1, 2))).any()):
        wanted_turns, before = (roma.rotvec_to_rotmat(each[posed]) for each in (poses, given))
        losses["turns"] = relative_turns(rotations[posed], wanted_turns, before).mean()
    if checks is not None:
        judged = [points]
        if sampled and not head.is_deterministic:
            judged.append(rotations_to_points(head.to_rotations(predicted.sample(1)[:, 0])))
        losses |= zip(("checks", "sampled_checks"), check_loss(checks, torch.stack(judged)), strict=False)
    return losses


def relative_turns(reached: Tensor, wanted: Tensor, before: Tensor) -> Tensor:
    """How far joints are from where they should have turned, as a share of how far that is: 1 where nothing was done.

    Distances are those of rotation matrices, summed over joints: what should turn and what should not weigh alike.

    Args:
        reached, wanted, before: (M, 22, 3, 3) rotations, each joint relative to its parent.

    Returns:
        (M,)
    """
    missed, asked = ((wanted - each).flatten(-2).square().sum(dim=-1) for each in (reached, before))
    smooth = (missed + BLUNT**2).sqrt() - BLUNT  # no kink where a joint is right
    return smooth.sum(dim=-1) / (asked.sqrt().sum(dim=-1) + LITTLE_TURN)


def check_loss(checks: Sequence[Sequence[str]], points: Tensor) -> Tensor:
    """Hinge loss of geometric statements: how far each is from being met with something to spare.

    A recorded pose is one of many that fit its words. The statements say which of its details matter, and as functions
    of the pose they can be descended directly, where a reward has to try. The head's place is held still: the rest of
    the body has to do what is said. How the head is turned is free. Where the words leave the side open, the statements
    count of which side less is missing, each for itself: what of it is not met yet is descended together.

    Args:
        checks: M lists of statements in the language of ``pose_rft.posescript.checks``; lists may be empty.
        points: (M, 32, 3) joints and landmarks in metres, or (P, M, 32, 3) of P poses to each. 22 joints will do for
            statements that need no landmarks.

    Returns:
        Mean over the samples that have checks of the mean over their statements; 0 if none has any. () or (P,).
    """
    # The head stays where likelihood and joints put it: bowing it is the cheap way to get it below the hands. Face and
    # crown move around it alone, so that statements of where it looks turn it.
    still = points.clone()
    of_the_head = OF_THE_HEAD if points.shape[-2] > NUM_JOINTS else [HEAD]
    held = points[..., HEAD : HEAD + 1, :]
    still[..., of_the_head, :] = points[..., of_the_head, :] - held + held.detach()
    measurements = Measurements(still.flatten(0, -3))
    statements, stated = _statements(checks)
    if not statements:
        return points.new_zeros(points.shape[:-3])
    columns, rows, counts, sides = torch.tensor(stated, device=points.device).unbind(dim=1)
    # Every statement is evaluated on the whole batch: statements share their quantities, which cost next to nothing.
    margins = torch.stack([statement.margin(measurements) for statement in statements], dim=-1)  # (P * M, C)
    missing = (TO_SPARE - margins.unflatten(0, points.shape[:-2])[..., rows, columns]).clamp(min=0) / counts
    by_side = missing @ one_hot(sides).to(missing)  # (..., sides): column 0 where the words leave no choice
    better = torch.minimum(by_side[..., 1::2], by_side[..., 2::2]).sum(dim=-1)
    return (by_side[..., 0] + better) / sum(map(bool, checks))


def _statements(checks: Sequence[Sequence[str]]) -> tuple[list[Check], list[tuple[int, int, int, int]]]:
    """The C different statements that samples make, and where they stand.

    Returns:
        The statements. For each time that one is made its number, the sample's, how many that sample makes, and the
        side that it belongs to: 0, or 1 and 2 of the first check of either side, 3 and 4 of the next and so on.
    """
    number: dict[str, int] = {}
    statements: list[Check] = []
    stated: list[tuple[int, int, int, int]] = []
    last_side = 0
    for row, texts in enumerate(checks):
        compiled = [compile_check(text) for text in texts]
        count = sum(check.size for check in compiled)
        for check in compiled:
            for offset, side in enumerate(check.sides or [(check,)]):
                for statement in side:
                    if statement.text not in number:
                        number[statement.text] = len(statements)
                        statements.append(statement)
                    place = last_side + 1 + offset if check.sides else 0
                    stated.append((number[statement.text], row, count, place))
            last_side += len(check.sides)
    return statements, stated
