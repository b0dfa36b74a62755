"""transformers' Trainer with checkpoints that are atomic, exact and free of pickle.

A checkpoint folder appears complete or not at all. It holds the policy as ``save_pretrained`` writes it, the optimiser
as safetensors, and scheduler, random states and progress as JSON. A run killed at any point goes on from the last one
to the same weights, bit for bit on one machine.
"""

import json
import os
import random
import shutil
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate.utils import gather_object
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import nn
from torch.distributed.tensor import DTensor
from torch.nn.parallel import DistributedDataParallel
from transformers import Trainer, TrainerState, TrainingArguments
from transformers.integrations.integration_utils import INTEGRATION_TO_CALLBACK
from transformers.trainer import TRAINER_STATE_NAME
from transformers.trainer_callback import PrinterCallback

from pose_rft.errors import UserError, reason_of
from pose_rft.storage import read_json

OPTIMIZER_FILE, OPTIMIZER_GROUPS, SCHEDULER_FILE, RANDOM_FILE = (
    "optimizer.safetensors",
    "optimizer.json",
    "scheduler.json",
    "random_{rank}.json",
)
UNFINISHED = ".unfinished"
BROKEN = "delete this checkpoint to resume from another"


class NonFiniteError(RuntimeError):
    """The loss is NaN or infinite: training stops where it arises instead of writing broken weights."""


class CheckpointTrainer(Trainer):
    """Trainer for modules with ``save_pretrained(dir)`` and ``load_weights(dir)``.

    On several processes (torchrun, accelerate launch) a batch is divided among them, and the update is that of one
    process with the whole batch.
    """

    def train(self, resume_from_checkpoint: str | None = None, **kwargs: Any) -> Any:
        if resume_from_checkpoint is not None:
            read_json(Path(resume_from_checkpoint) / TRAINER_STATE_NAME, BROKEN)
            state = TrainerState.load_from_json(str(Path(resume_from_checkpoint) / TRAINER_STATE_NAME))
            if state.global_step >= self.args.max_steps:  # Trainer would take one step more
                self._load_from_checkpoint(resume_from_checkpoint)
                self.state = state
                return None
        return super().train(resume_from_checkpoint=resume_from_checkpoint, **kwargs)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._metrics: dict[str, list[torch.Tensor]] = defaultdict(list)
        super().__init__(*args, **kwargs)
        self.remove_callback(PrinterCallback)  # how a run is shown is for its callbacks to say

    def training_step(self, model: nn.Module, inputs: Any, num_items_in_batch: Any = None) -> torch.Tensor:
        loss = super().training_step(model, inputs, num_items_in_batch)
        if not torch.isfinite(loss):
            raise NonFiniteError(
                f"the loss became {loss.item()} at step {self.state.global_step}; the last checkpoint in "
                f"{self.args.output_dir} is good: lower the learning rate and resume"
            )
        return loss

    # ---- several processes ----

    def _wrap_model(self, model: nn.Module, *args: Any, **kwargs: Any) -> nn.Module:
        """Weights that every process holds whole are trained as they are without shards."""
        shards = [name for name, weight in model.named_parameters() if isinstance(weight, DTensor)]
        if not shards or isinstance(model, DistributedDataParallel):
            return super()._wrap_model(model, *args, **kwargs)
        DistributedDataParallel._set_params_and_buffers_to_ignore_for_model(model, shards)
        devices = [self.args.device] if self.args.device.type == "cuda" else None
        return DistributedDataParallel(model, device_ids=devices, find_unused_parameters=True)

    def rank_slice(self, batch: list[int]) -> list[int]:
        """This process's part of a batch."""
        size = len(batch) // self.args.world_size
        return batch[self.args.process_index * size : (self.args.process_index + 1) * size]

    def rank_loss_weight(self, count: int | torch.Tensor) -> float:
        """Weight that turns the mean of the processes' means over ``count`` things each into the mean over all."""
        if self.args.world_size == 1:
            return 1.0
        own = torch.as_tensor(count, dtype=torch.float64, device=self.args.device)
        total = self.accelerator.reduce(own, "sum")
        return float(own * self.args.world_size / total.clamp(min=1))

    # ---- logging ----

    def record(self, metrics: Mapping[str, torch.Tensor | float]) -> None:
        """Keep values for the next line of the log, which shows their means; NaN is "nothing to say"."""
        for name, value in metrics.items():
            tensor = value.detach() if isinstance(value, torch.Tensor) else torch.tensor(value, dtype=torch.float64)
            self._metrics[name].append(tensor)

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        means = {name: torch.stack(values).nanmean().item() for name, values in self._metrics.items()}
        self._metrics.clear()
        if self.args.world_size > 1:  # the means of all processes, of which some may have nothing to say
            gathered = gather_object([means])
            names = dict.fromkeys(name for each in gathered for name in each)
            table = torch.tensor([[each.get(name, float("nan")) for name in names] for each in gathered])
            means = dict(zip(names, table.nanmean(dim=0).tolist(), strict=True))
        super().log(logs | {name: mean for name, mean in means.items() if mean == mean}, start_time)

    # ---- saving ----

    def _save_checkpoint(self, model: nn.Module, trial: Any) -> None:
        final = Path(self.args.output_dir)
        part = final / UNFINISHED
        if self.args.should_save:
            shutil.rmtree(part, ignore_errors=True)
            part.mkdir(parents=True)
        self.args.output_dir, limit = str(part), self.args.save_total_limit
        self.args.save_total_limit = None
        try:
            super()._save_checkpoint(model, trial)
        finally:
            self.args.output_dir, self.args.save_total_limit = str(final), limit
        self.accelerator.wait_for_everyone()
        if not self.args.should_save:
            return
        for folder in part.iterdir():
            target = final / folder.name
            shutil.rmtree(target, ignore_errors=True)
            os.replace(folder, target)
        part.rmdir()
        if limit is not None:
            for old in sorted(final.glob("checkpoint-*"), key=_step_of)[:-limit]:
                shutil.rmtree(old)

    def _save(self, output_dir: str | None = None, state_dict: dict | None = None) -> None:
        if self.args.should_save:
            self.accelerator.unwrap_model(self.model).save_pretrained(output_dir or self.args.output_dir)

    def _save_optimizer_and_scheduler(self, output_dir: str) -> None:
        if not self.args.should_save:
            return
        state = self.optimizer.state_dict()
        tensors, numbers = {}, {}
        for index, entries in state["state"].items():
            for key, value in entries.items():
                if isinstance(value, torch.Tensor):
                    tensors[f"{index}.{key}"] = value.detach().cpu().contiguous()
                else:
                    numbers[f"{index}.{key}"] = value
        folder = Path(output_dir)
        save_file(tensors, folder / OPTIMIZER_FILE)
        (folder / OPTIMIZER_GROUPS).write_text(json.dumps({"groups": state["param_groups"], "numbers": numbers}))
        (folder / SCHEDULER_FILE).write_text(json.dumps(self.lr_scheduler.state_dict(), default=lambda _: None))

    def _save_rng_state(self, output_dir: str) -> None:
        self.accelerator.wait_for_everyone()  # the main process puts a whole folder there first
        python, numpy_state = random.getstate(), np.random.get_state()  # noqa: NPY002
        assert isinstance(numpy_state, tuple)  # MT19937 gives (name, keys, position, has_gauss, gauss)
        states: dict[str, Any] = {
            "python": [python[0], list(python[1]), python[2]],
            "numpy": [numpy_state[0], numpy_state[1].tolist(), *numpy_state[2:]],
            "torch": torch.random.get_rng_state().tolist(),
        }
        if torch.cuda.is_available():
            states["cuda"] = torch.cuda.get_rng_state().tolist()
        Path(output_dir).mkdir(parents=True, exist_ok=True)
        (Path(output_dir) / RANDOM_FILE.format(rank=self.args.process_index)).write_text(json.dumps(states))

    # ---- resuming ----

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: nn.Module | None = None) -> None:
        self.accelerator.unwrap_model(model or self.model).load_weights(Path(resume_from_checkpoint))

    def _load_optimizer_and_scheduler(self, checkpoint: str | None) -> None:
        if checkpoint is None:
            return
        folder = Path(checkpoint)
        document, schedule = (read_json(folder / name, BROKEN) for name in (OPTIMIZER_GROUPS, SCHEDULER_FILE))
        try:
            tensors = load_file(folder / OPTIMIZER_FILE)
        except (OSError, SafetensorError) as error:
            raise UserError(f"{folder / OPTIMIZER_FILE}: cannot be read ({reason_of(error)}); {BROKEN}") from error
        state: dict[int, dict[str, Any]] = {}
        for name, value in {**tensors, **document["numbers"]}.items():
            index, key = name.split(".", 1)
            state.setdefault(int(index), {})[key] = value
        self.optimizer.load_state_dict({"state": state, "param_groups": document["groups"]})
        self.lr_scheduler.load_state_dict(
            {k: v for k, v in schedule.items() if k != "lr_lambdas"}
            | {"lr_lambdas": [None] * len(self.optimizer.param_groups)}
        )

    def _load_rng_state(self, checkpoint: str | None) -> None:
        if checkpoint is None:
            return
        path = Path(checkpoint) / RANDOM_FILE.format(rank=self.args.process_index)
        if not path.is_file():
            raise UserError(f"{checkpoint}: written by a run of fewer processes; resume with as many as it had")
        states = read_json(path, BROKEN)
        version, words, gauss = states["python"]
        random.setstate((version, tuple(words), gauss))
        np.random.set_state(tuple(states["numpy"]))  # noqa: NPY002
        torch.random.set_rng_state(torch.tensor(states["torch"], dtype=torch.uint8))
        if torch.cuda.is_available() and "cuda" in states:
            torch.cuda.set_rng_state(torch.tensor(states["cuda"], dtype=torch.uint8))


def _step_of(folder: Path) -> int:
    return int(folder.name.rpartition("-")[2])


def training_arguments(output_dir: str, device: str, **settings: Any) -> TrainingArguments:
    """transformers' settings: ``settings``, and what every run of ours has."""
    return TrainingArguments(
        output_dir=output_dir,
        use_cpu=device == "cpu",
        remove_unused_columns=False,
        dataloader_pin_memory=False,
        disable_tqdm=True,
        **settings,
    )


def check_tracker(name: str) -> None:
    """Find out before a run, not at its first step, whether what it reports to is there.

    Raises:
        UserError: transformers has no integration of that name, or its package is missing.
    """
    if name == "none":
        return
    if name not in INTEGRATION_TO_CALLBACK:
        raise UserError(
            f"report_to: {name!r} is unknown; choose none, tensorboard, wandb or trackio (transformers also has "
            f"{', '.join(sorted(INTEGRATION_TO_CALLBACK.keys() - {'tensorboard', 'wandb', 'trackio'}))})"
        )
    try:
        INTEGRATION_TO_CALLBACK[name]()
    except (RuntimeError, ImportError) as error:
        raise UserError(f"report_to: {name} is not installed; pip install {name}, or set report_to: none") from error
