"""The poses that one call of a reward grades."""

from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass, field
from typing import Any, TypeVar

import torch
from torch import Tensor

from pose_rft.body import BodyModel, load_body
from pose_rft.body.landmarks import NUM_POINTS
from pose_rft.body.pose import Pose
from pose_rft.body.skeleton import NUM_JOINTS

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class PoseBatch:
    """M poses, one per graded item; a sequence of `Pose | None` that can also be read as tensors on the run's device.

    Attributes:
        points: (M, 32, 3) joints and landmarks, metres (``BodyModel.points``); what checks are asked of.
        axis_angle: (M, 22, 3) rotations, radians, SMPL order.
        valid: (M,) bool. False where the answer holds no usable `<POSE>`; the tensors mean nothing there.
        body: on which the points were measured.
    """

    points: Tensor
    axis_angle: Tensor
    valid: Tensor
    body: BodyModel = field(default_factory=load_body, repr=False, compare=False)
    _known: dict[Hashable, tuple[Tensor, Tensor, Any]] = field(default_factory=dict, repr=False, compare=False)

    def __post_init__(self) -> None:
        items = self.valid.shape[0]
        for name, tensor, rows in (("points", self.points, NUM_POINTS), ("axis_angle", self.axis_angle, NUM_JOINTS)):
            if tensor.shape != (items, rows, 3):
                shape = tuple(tensor.shape)
                raise ValueError(f"{name} must be ({items}, {rows}, 3) to go with {items} flags, not {shape}")

    @property
    def joints(self) -> Tensor:
        """(M, 22, 3) joint positions, metres."""
        return self.points[:, :NUM_JOINTS]

    def __len__(self) -> int:
        return self.valid.shape[0]

    def __getitem__(self, index: int) -> Pose | None:
        if not self.valid[index]:  # an index past the end raises IndexError here
            return None
        return Pose.from_axis_angle(self.axis_angle[index])

    def __iter__(self) -> Iterator[Pose | None]:
        return (self[index] for index in range(len(self)))

    def slice(self, start: int, stop: int) -> "PoseBatch":
        """Items `start` to `stop - 1` as a batch of their own."""
        return PoseBatch(self.points[start:stop], self.axis_angle[start:stop], self.valid[start:stop], self.body)

    def copy(self) -> "PoseBatch":
        """The same poses in tensors of its own; what is measured of one (``once``) the other need not measure again."""
        return PoseBatch(self.points.clone(), self.axis_angle.clone(), self.valid.clone(), self.body, self._known)

    def once(self, key: Hashable, measure: Callable[[], T]) -> T:
        """What ``measure`` gives of the points of the valid poses, asked once of this batch and of its copies.

        Args:
            key: says what is measured.
            measure: gives something that nobody changes.
        """
        usable = self.points[self.valid]  # a copy, so that points that are changed afterwards are measured anew
        known = self._known.get(key)
        if known is None or not torch.equal(known[0], self.valid) or not torch.equal(known[1], usable):
            known = self._known[key] = (self.valid.clone(), usable, measure())
        value: T = known[2]
        return value
