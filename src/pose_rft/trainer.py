"""transformers' Trainer with checkpoints that are atomic, exact and free of pickle.

A checkpoint folder appears complete or not at all. It holds the policy as ``save_pretrained`` writes it, the optimiser
as safetensors, and scheduler, random states and progress as JSON. A run killed at any point goes on from the last one
to the same weights, bit for bit on one machine. Settings of the optimiser and its schedule are those of the present
config, whatever the checkpoint was made with.

Nothing that is not finite is learned or saved: loss, gradients and weights are looked at before every update, and an
older checkpoint is deleted only when the step after a newer one has shown that its weights are good.
"""

import json
import math
import os
import random
import shutil
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate.utils import gather_object
from safetensors.torch import load_file, save_file
from torch import nn
from torch.distributed.tensor import DTensor
from torch.nn.parallel import DistributedDataParallel
from transformers import Trainer, TrainingArguments
from transformers.integrations.integration_utils import INTEGRATION_TO_CALLBACK
from transformers.trainer_callback import PrinterCallback
from transformers.trainer_utils import PREFIX_CHECKPOINT_DIR

from pose_rft.errors import UserError
from pose_rft.run_checkpoints import checkpoints, instead_of, read_state, reading

OPTIMIZER_FILE, OPTIMIZER_GROUPS, SCHEDULER_FILE, RANDOM_FILE = (
    "optimizer.safetensors",
    "optimizer.json",
    "scheduler.json",
    "random_{rank}.json",
)
UNFINISHED = ".unfinished"


class NonFiniteError(UserError):
    """Training stops where NaN or infinity arises, before it reaches weights or checkpoints.

    Args:
        cause: what is not finite, when, and what is left.
        remedy: what to do; None for the learning rate's.

    Attributes:
        diverged: whether a lower learning rate is the remedy.
    """

    def __init__(self, cause: str, remedy: str | None = None) -> None:
        super().__init__(f"{cause}; {remedy or 'lower the learning rate and go on from there'}")
        self.cause, self.diverged = cause, remedy is None


class CheckpointTrainer(Trainer):
    """Trainer for modules with ``save_pretrained(dir)`` and ``load_weights(dir)``.

    On several processes (torchrun, accelerate launch) a batch is divided among them, and the update is that of one
    process with the whole batch.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._metrics: dict[str, list[torch.Tensor]] = defaultdict(list)
        self._batch: Any = None  # while it is learned from
        super().__init__(*args, **kwargs)
        self.remove_callback(PrinterCallback)  # how a run is shown is for its callbacks to say

    def train(self, resume_from_checkpoint: str | None = None, **kwargs: Any) -> Any:
        """Train, from a checkpoint on where one is given.

        Raises:
            UserError: a damaged checkpoint; it and what is beside it stay.
            NonFiniteError: loss, gradients or weights are NaN or infinite.
        """
        if resume_from_checkpoint is not None:
            state = read_state(Path(resume_from_checkpoint))
            if state.global_step >= self.args.max_steps:  # Trainer would take one step more
                self._load_from_checkpoint(resume_from_checkpoint)
                self.state = state
                return None
        try:
            result = super().train(resume_from_checkpoint=resume_from_checkpoint, **kwargs)
        except (FloatingPointError, torch.linalg.LinAlgError) as error:
            raise self._diverged(str(error).splitlines()[0]) from error
        self._delete_old_checkpoints()
        return result

    def _init_training_state(self, max_steps: int, *args: Any, **kwargs: Any) -> Any:
        result = super()._init_training_state(max_steps, *args, **kwargs)
        self.state.compute_steps(self.args, max_steps)  # of this config, not of the checkpoint's
        return result

    # ---- nothing but finite numbers ----

    def training_step(self, model: nn.Module, inputs: Any, num_items_in_batch: Any = None) -> torch.Tensor:
        self._batch = inputs
        loss = super().training_step(model, inputs, num_items_in_batch)
        if not torch.isfinite(loss):
            newest = {name: values[-1] for name, values in self._metrics.items() if "reward" not in name}
            terms = [name for name, value in newest.items() if not torch.isfinite(value)]
            raise FloatingPointError(f"the loss is {loss.item()}" + (f" ({', '.join(terms)})" if terms else ""))
        return loss

    def _get_grad_norm(self, model: nn.Module, grad_norm: Any = None) -> Any:
        """The last thing before an update."""
        norm = super()._get_grad_norm(model, grad_norm)
        if not torch.isfinite(torch.as_tensor(norm)):
            raise FloatingPointError(f"the norm of the gradients is {float(norm)}")
        self._check_weights()
        self._batch = None
        self._delete_old_checkpoints()  # what the newest one holds has just been seen to work
        return norm

    def _check_weights(self) -> None:
        trained = {name: weight for name, weight in self.model.named_parameters() if weight.requires_grad}
        sums = torch.stack([weight.detach().sum() for weight in trained.values()])  # not finite if any weight is not
        if not sums.isfinite().all():
            broken = next(name for name, total in zip(trained, sums.tolist(), strict=True) if not math.isfinite(total))
            raise FloatingPointError(f"the last update made weights ({broken}) that are not finite")

    def split(self, batch: Any) -> Sequence[tuple[str, Any]]:
        """The samples of a batch one by one: what to call each, and it as a batch of its own. Nothing: not known."""
        return []

    def _diverged(self, what: str) -> NonFiniteError:
        """Whose fault it is that something is not finite: one sample's or that of the weights.

        A checkpoint of weights that lead to it is set aside, so that one goes on from the one before it.
        """
        batch, self._batch = self._batch, None
        step = self.state.global_step
        alone = self.split(batch) if batch is not None and self.args.world_size == 1 else []
        faulty = [name for name, part in alone if not self._is_learnable(part)]
        when = f"{self.args.output_dir}: step {step + 1}: {what}"
        if faulty and len(faulty) < len(alone):
            return NonFiniteError(f"{when}, for {faulty[0]}", "mend that sample or leave it out")
        if not step:
            return NonFiniteError(
                f"{when}, before anything was learned", "start from another policy, or lower the weights of the loss"
            )
        output = Path(self.args.output_dir)
        own = output / f"{PREFIX_CHECKPOINT_DIR}-{step}"
        if self.args.should_save and own.is_dir():
            aside = own.with_name(f"diverged-{step}")
            shutil.rmtree(aside, ignore_errors=True)
            os.replace(own, aside)
        good = checkpoints(output)
        return NonFiniteError(f"{when}; " + (f"the last good one is {good[-1].name}" if good else "no checkpoint yet"))

    def _is_learnable(self, batch: Any) -> bool:
        self.model.zero_grad()
        try:
            loss = self.compute_loss(self.model, batch)
            loss.backward()
        except (FloatingPointError, torch.linalg.LinAlgError):
            return False
        gradients = [weight.grad for weight in self.model.parameters() if weight.grad is not None]
        return all(bool(value.isfinite().all()) for value in [loss, *gradients])

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
        self._check_weights()
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

    def _delete_old_checkpoints(self) -> None:
        limit = self.args.save_total_limit
        if limit is not None and self.args.should_save:
            for old in checkpoints(Path(self.args.output_dir))[:-limit]:
                shutil.rmtree(old)

    def _save(self, output_dir: str | None = None, state_dict: dict | None = None) -> None:
        if self.args.should_save:
            self.accelerator.unwrap_model(self.model).save_pretrained(output_dir or self.args.output_dir)

    def _save_optimizer_and_scheduler(self, output_dir: str) -> None:
        if not self.args.should_save:
            return
        state = self.optimizer.state_dict()
        tensors = {
            f"{index}.{key}": value.detach().cpu().contiguous()
            for index, entries in state["state"].items()
            for key, value in entries.items()
        }
        if not all(tensor.isfinite().all() for tensor in tensors.values()):
            raise FloatingPointError("the optimiser's moments are not finite")
        folder = Path(output_dir)
        save_file(tensors, folder / OPTIMIZER_FILE)
        document = {"groups": state["param_groups"], "tensors": sorted(tensors)}
        (folder / OPTIMIZER_GROUPS).write_text(json.dumps(document))
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
        folder = Path(resume_from_checkpoint)
        try:
            self.accelerator.unwrap_model(model or self.model).load_weights(folder)
        except UserError as error:
            raise UserError(f"{error}; {instead_of(folder)}") from error

    def _load_optimizer_and_scheduler(self, checkpoint: str | None) -> None:
        """What was learned; rates, decay and schedule are those of the present config."""
        if checkpoint is None:
            return
        folder = Path(checkpoint)
        with reading(folder / OPTIMIZER_GROUPS) as path:
            document = json.loads(path.read_text())
            names, groups = sorted(document["tensors"]), document["groups"]
            present = self.optimizer.state_dict()["param_groups"]
            if [group["params"] for group in groups] != [group["params"] for group in present]:
                raise ValueError("it is of other weights than those that are trained")
        with reading(folder / OPTIMIZER_FILE) as path:
            tensors = load_file(path)
            if sorted(tensors) != names:
                raise ValueError("some of its tensors are missing")
            weights = [weight for group in self.optimizer.param_groups for weight in group["params"]]
            state: dict[int, dict[str, Any]] = defaultdict(dict)
            for name, value in tensors.items():
                index, key = name.split(".", 1)
                if value.ndim and value.shape != weights[int(index)].shape:
                    raise ValueError(f"{name} has shape {tuple(value.shape)}, its weight another")
                state[int(index)][key] = value
            self.optimizer.load_state_dict({"state": dict(state), "param_groups": present})
        with reading(folder / SCHEDULER_FILE) as path:
            done = json.loads(path.read_text())["last_epoch"]
            if type(done) is not int or done < 0:
                raise ValueError(f"last_epoch is {done!r}")
        schedule = self.lr_scheduler
        rates = [base * rate(done) for base, rate in zip(schedule.base_lrs, schedule.lr_lambdas, strict=True)]
        schedule.load_state_dict(
            {"last_epoch": done, "_step_count": done + 1, "_last_lr": rates, "lr_lambdas": [None] * len(rates)}
        )
        for group, rate in zip(self.optimizer.param_groups, rates, strict=True):
            group["lr"] = rate

    def _load_rng_state(self, checkpoint: str | None) -> None:
        if checkpoint is None:
            return
        path = Path(checkpoint) / RANDOM_FILE.format(rank=self.args.process_index)
        if not path.is_file() and self.args.process_index:
            raise UserError(f"{checkpoint}: written by a run of fewer processes; resume with as many as it had")
        with reading(path):
            states = json.loads(path.read_text())
            version, words, gauss = states["python"]
            random.setstate((version, tuple(words), gauss))
            np.random.set_state(tuple(states["numpy"]))  # noqa: NPY002
            torch.random.set_rng_state(torch.tensor(states["torch"], dtype=torch.uint8))
            if torch.cuda.is_available() and "cuda" in states:
                torch.cuda.set_rng_state(torch.tensor(states["cuda"], dtype=torch.uint8))


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
