"""The grades that rewards give to one half of an action, and their sum.

The rule of the sum. For every item (an answer, or a pose): grade = sum of weight x grade over the rewards that graded
it. A reward that has no grade for an item leaves that item to the others; one that has none for a whole group adds
nothing to that group. An item that no reward graded is ungraded.
"""

from dataclasses import dataclass, replace

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True)
class Grades:
    """What R rewards say of B prompts x G answers, or of the K poses of each answer.

    Attributes:
        values: (R, B, G) or (R, B, G, K), unweighted; NaN where a reward has no grade.
        weights: (R,)
    """

    values: Tensor
    weights: Tensor

    @classmethod
    def of_one(cls, values: Tensor) -> "Grades":
        """Of one reward of weight 1, (B, G) or (B, G, K)."""
        return cls(values[None], torch.ones(1, device=values.device))

    @property
    def graded(self) -> Tensor:
        """(B, ...) bool, at least one reward graded the item."""
        return ~self.values.isnan().all(dim=0)

    @property
    def total(self) -> Tensor:
        """(B, ...) the weighted sum; 0 where ungraded."""
        weights = self.weights.reshape(-1, *(1 for _ in self.values.shape[1:]))
        return (weights * self.values.masked_fill(self.values.isnan(), 0.0)).sum(dim=0)

    def to(self, device: torch.device | str) -> "Grades":
        return Grades(self.values.to(device), self.weights.to(device))

    def where(self, kept: Tensor) -> "Grades":
        """The same without grades where ``kept``, which broadcasts to an item's shape, is false."""
        return replace(self, values=self.values.masked_fill(~kept, torch.nan))

    def of_answers(self) -> "Grades":
        """Grades of poses as grades of their answers: the mean over the graded poses of each."""
        return replace(self, values=self.values.nanmean(dim=-1))

    def beside(self, other: "Grades") -> "Grades":
        """Of these rewards and of others."""
        return Grades(torch.cat([self.values, other.values]), torch.cat([self.weights, other.weights]))
