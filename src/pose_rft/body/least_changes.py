"""The least changes of many poses at once: ``least_change`` for drawing data, where nearly met will do.

What is minimised is the same, on all poses together, which takes a hundredth of the time for each: by Adam with one
scale for a pose. A scale for each of its numbers, as Adam has, would turn all axes alike. Poses that have not reached
their goal are for the caller to leave out.
"""

from collections.abc import Callable, Mapping

import roma
import torch
from torch import Tensor

from pose_rft.body.least_change import HELD, UNCOMFORTABLE, comfortable_ranges, first_bend_of, stiffness_of
from pose_rft.body.load import load_body
from pose_rft.body.skeleton import JOINT_INDEX

Goals = Callable[[Tensor], Tensor]  # points (N, 32, 3) -> (N, C) how far each condition is missed, 0 where it is met

MISSED = 60.0  # weight of what is missed, squared
STEPS = 32
RATE = 0.15  # radians that a pose turns in the first steps; they become smaller to a tenth
MOMENTUM, FORGETS = 0.8, 0.95  # of the slope, and of its square: Adam's


def least_changes(poses: Tensor, begun: Tensor, goals: Goals, joints: Mapping[str, float], held: Tensor) -> Tensor:
    """The poses nearest to these that nearly meet their goals.

    Args:
        poses: (N, 22, 3) axis-angle, radians.
        begun: (N, 22, 3) from which the change is counted; held points stay where they are in ``poses``.
        goals: differentiable; conditions in units that are about equally far for a limb (20 degrees, 10 cm).
        joints: those that may turn, and how unwilling they are.
        held: (N, 32, 3) how much each point should stay put along each axis, as a share of ``HELD``.

    Returns:
        (N, 22, 3); joints that may not turn are those of ``begun`` to the bit.
    """
    body, free = load_body(), sorted(JOINT_INDEX[name] for name in joints)
    rotations, before = roma.rotvec_to_rotmat(begun), body.points(poses)
    stiffness, turn = stiffness_of(joints)[free], first_bend_of(joints)[free].repeat(len(poses), 1, 1)
    low, high = comfortable_ranges()[free].unbind(dim=-1)
    low, high = torch.minimum(low, begun[:, free]), torch.maximum(high, begun[:, free])
    weights = HELD * held
    total = weights.sum(dim=1, keepdim=True).clamp_min(1e-6)
    turn.requires_grad_()

    def turned(turn: Tensor) -> Tensor:
        result = rotations.clone()
        result[:, free] = rotations[:, free] @ roma.rotvec_to_rotmat(turn)
        return result

    speed, scale = torch.zeros_like(turn), torch.zeros(len(poses), 1, 1)
    for step in range(STEPS):
        result = turned(turn)
        points = body.points_from_rotations(result)
        moved = points - before
        slip = moved - (weights * moved).sum(dim=1, keepdim=True) / total
        vectors = roma.rotmat_to_rotvec(result[:, free])
        beyond = (vectors - high).clamp_min(0) + (low - vectors).clamp_min(0)
        loss = (stiffness * turn.square()).sum() + (weights * slip.square()).sum()
        loss = loss + MISSED * goals(points).square().sum() + UNCOMFORTABLE * beyond.square().sum()
        (slope,) = torch.autograd.grad(loss, [turn])
        with torch.no_grad():
            speed = MOMENTUM * speed + (1 - MOMENTUM) * slope
            scale = FORGETS * scale + (1 - FORGETS) * slope.square().sum(dim=(1, 2), keepdim=True)
            size = (scale / (1 - FORGETS ** (step + 1))).sqrt().clamp_min(1e-6) * (1 - MOMENTUM ** (step + 1))
            turn -= RATE * 0.1 ** (step / STEPS) * speed / size
    result, found = turned(turn.detach()), begun.clone()
    found[:, free] = roma.rotmat_to_rotvec(result[:, free])
    return found
