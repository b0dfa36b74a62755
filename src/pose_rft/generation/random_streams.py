"""The random numbers of a rollout: a stream of its own for every prompt.

What is drawn for a prompt depends on its seed alone, not on the other prompts of the batch. So neither the size of a
batch nor the number of processes that share it changes what a policy does.
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

WORDS, ACTIONS = 0, 1  # streams of one prompt


def prompt_seeds(seed: int, step: int, prompts: Sequence[int] | range) -> list[int]:
    """Seeds of the numbered prompts of one step; all different for all practical purposes."""
    return [
        int(np.random.SeedSequence([seed, step, prompt]).generate_state(1, np.uint64)[0] >> 1) for prompt in prompts
    ]


def one_per_prompt(seeds: Sequence[int] | int, count: int) -> Sequence[int]:
    """The seeds as given, or those of ``count`` prompts made from one."""
    return prompt_seeds(seeds, 0, range(count)) if isinstance(seeds, int) else seeds


def generation_seeds(seed: int | Sequence[int], count: int) -> list[int]:
    """Seeds of ``count`` prompts from one; or, from one for each, those that each prompt would have alone."""
    if isinstance(seed, int):
        return prompt_seeds(seed, 0, range(count))
    return [prompt_seeds(own, 0, [0])[0] for own in seed]


def uniform(seeds: Sequence[int], *shape: int) -> Tensor:
    """Numbers in [0, 1) for the choice of words, (len(seeds), *shape)."""
    return torch.stack([torch.rand(shape, generator=_stream(seed, WORDS)) for seed in seeds])


def normal(seeds: Sequence[int], *shape: int) -> Tensor:
    """Standard normal numbers for the actions, (len(seeds), *shape)."""
    return torch.stack([torch.randn(shape, generator=_stream(seed, ACTIONS)) for seed in seeds])


def _stream(seed: int, stream: int) -> torch.Generator:
    return torch.Generator().manual_seed((seed ^ (stream << 60)) & (2**63 - 1))
