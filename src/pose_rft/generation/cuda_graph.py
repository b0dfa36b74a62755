"""Passes of one token for each answer on a GPU, recorded once a rollout and replayed.

A GPU reads one more token of every answer faster than Python starts the kernels for it, one after another: at 7 billion
weights by three times, at fewer by more. As a CUDA graph they start together. A graph reads and writes the memory that
it was recorded with, so that tokens, positions and mask have places of their own, keys and values a cache of a fixed
size, and every pass as many columns as there are answers to a prompt: answers that have ended leave theirs unread.
"""

import functools
import logging
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from transformers import Cache, DynamicLayer, PreTrainedModel

from pose_rft.generation.decoders import DecoderInput, SharedPrefixDecoder

Pass = Callable[[], tuple[Tensor, Tensor]]
READY = 64  # tokens of each answer that there is room for at first; more room means recording anew
logger = logging.getLogger(__name__)


class GraphRecorder:
    """Records work of a GPU, one piece at a time.

    Attributes:
        works: until something could not be recorded.
        recorded: how many pieces of work.
    """

    def __init__(self) -> None:
        self.works, self.recorded = True, 0
        self._newest: dict[torch.device, torch.cuda.CUDAGraph] = {}  # kept: the next takes over its memory

    def record(self, work: Pass, device: torch.device) -> Pass:
        """A function that repeats ``work`` of one GPU on what its inputs hold then, into the same outputs.

        ``work`` has to have run before. Where it cannot be recorded, as with a model that reads results to choose
        what to do next, it is returned as it is.
        """
        graph, now, apart = torch.cuda.CUDAGraph(), torch.cuda.current_stream(device), torch.cuda.Stream(device)
        apart.wait_stream(now)
        try:
            with torch.cuda.stream(apart):
                pool = self._newest[device].pool() if device in self._newest else None
                graph.capture_begin(pool, capture_error_mode="thread_local")
                try:
                    outputs = work()
                finally:
                    graph.capture_end()
        except RuntimeError as error:
            self.works = False
            reason = str(error).splitlines()[0]
            logger.warning("sampling starts kernels one by one: this model cannot be recorded (%s)", reason)
            return work
        now.wait_stream(apart)
        self._newest[device] = graph
        self.recorded += 1

        def replay() -> tuple[Tensor, Tensor]:
            graph.replay()
            return outputs

        return replay


class CudaGraphDecoder(SharedPrefixDecoder):
    """A ``SharedPrefixDecoder`` that records its second pass of one token for each answer and
    replays it from there on.

    Args:
        answers: G, to each prompt.
        most: tokens of an answer, at most.
        recorder: what records.
    """

    def __init__(
        self,
        decoder: PreTrainedModel,
        prompts: Sequence[DecoderInput],
        layer: int,
        answers: int,
        most: int,
        recorder: GraphRecorder,
    ) -> None:
        super().__init__(decoder, prompts, layer)
        self.answers, self.recorder = answers, recorder
        self.cache: FixedCache = FixedCache(self.owner.shape[1] + min(most, READY) * answers)
        self.inputs: dict[str, Tensor] = {}
        self.again: Pass | None = None

    def leave(self, living: list[int]) -> None:
        """Keep all rows: a recording has one shape."""

    def width(self, needed: int) -> int:
        return max(needed, self.answers)

    def pass_over(self, ids: Tensor, positions: Tensor, visible: Tensor) -> tuple[Tensor, Tensor]:
        device, (before, after) = self.decoder.device, (visible.shape[2] - visible.shape[1], visible.shape[2])
        if self.cache.make_room(after):
            self.inputs, self.again = {}, None
        inputs = {
            "ids": ids,
            "positions": positions,
            "visible": nn.functional.pad(visible, (0, self.cache.columns - after)),
            "places": torch.arange(before, after),
        }
        if ids.shape[1] > self.answers or not self.recorder.works:  # guesses, of which every pass has its own number
            return self._read(**{name: value.to(device) for name, value in inputs.items()})
        if not self.inputs:
            self.inputs = {name: value.to(device) for name, value in inputs.items()}
            return self._read(**self.inputs)
        for name, value in inputs.items():
            self.inputs[name].copy_(value)
        if self.again is None:
            self.again = self.recorder.record(functools.partial(self._read, **self.inputs), device)
        return self.again()

    def _read(self, ids: Tensor, positions: Tensor, visible: Tensor, places: Tensor) -> tuple[Tensor, Tensor]:
        self.cache.places = places
        return super().pass_over(ids, positions, visible)


class FixedCache(Cache):  # type: ignore[misc]
    """Keys and values in memory that does not move: what comes first fills it from the left, the rest goes to places.

    Args:
        columns: room for so many tokens of each row.

    Attributes:
        places: (L,) columns of the tokens that are read next, on their device.
    """

    def __init__(self, columns: int) -> None:
        super().__init__(layer_class_to_replicate=functools.partial(_FixedLayer, self))
        self.columns, self.places = columns, torch.empty(0)

    def make_room(self, columns: int) -> bool:
        """Have at least so many columns; whether that took other memory, twice as much as there was."""
        if columns <= self.columns:
            return False
        self.columns = max(2 * self.columns, columns)
        for layer in filter(lambda layer: layer.is_initialized, self.layers):
            layer.keys, layer.values = (_widened(kept, self.columns) for kept in (layer.keys, layer.values))
        return True


class _FixedLayer(DynamicLayer):  # type: ignore[misc]
    def __init__(self, cache: FixedCache, *_: Any, **__: Any) -> None:
        super().__init__()
        self.cache = cache

    def update(self, key_states: Tensor, value_states: Tensor, *_: Any, **__: Any) -> tuple[Tensor, Tensor]:
        """(R, H, L, D) each -> themselves if they are the first, else all columns: (R, H, S, D)."""
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
            self.keys, self.values = (_widened(new, self.cache.columns) for new in (key_states, value_states))
            return key_states, value_states
        self.keys.index_copy_(2, self.cache.places, key_states)
        self.values.index_copy_(2, self.cache.places, value_states)
        return self.keys, self.values


def _widened(kept: Tensor, columns: int) -> Tensor:
    """(R, H, L, D) -> (R, H, columns, D), zeros behind: what a mask hides is multiplied by 0, so it must be finite."""
    wide = kept.new_zeros(*kept.shape[:2], columns, kept.shape[3])
    wide[:, :, : kept.shape[2]] = kept
    return wide
