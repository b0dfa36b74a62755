"""A run that is looked at before it is begun: what its data hold, what its policy is made of, memory and time."""

import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from statistics import fmean
from typing import Any

import torch
from PIL import Image
from torch import nn

from pose_rft.body import load_body
from pose_rft.data.mixtures.text_to_pose import MixtureConfig
from pose_rft.data.mixtures.training import open_source
from pose_rft.data.mocap.recordings import find_recordings
from pose_rft.data.readers.own_data import is_hub_id
from pose_rft.data.sample import Sample
from pose_rft.devices import best_dtype, pick_device
from pose_rft.errors import OutOfReach, UserError
from pose_rft.hf import without_downloads
from pose_rft.policy import PolicyConfig
from pose_rft.policy.blueprint import PolicyBlueprint, blueprint_config, blueprint_of
from pose_rft.policy.checkpoint import with_other_parts
from pose_rft.rewards import resolve, reward_specs
from pose_rft.runs.estimate import Rates, Sizes, Step, memory, seconds
from pose_rft.runs.rft import RftConfig
from pose_rft.runs.sft import SftConfig

LOOKED_AT = 64  # samples of each source whose tokens are counted
LETTERS = 4  # of a token, where there is no tokenizer
BUILT_IN_TOKENS = 40  # of a prompt of the built-in mixture, about
TEMPLATE_TOKENS = 30  # around a prompt, where the template is not read
MEASURED = 0.3  # seconds that a rate of this machine is measured


@dataclass
class DryRun:
    """What was found.

    Attributes:
        data: a line for each source.
        parts: parameters by part of the policy.
        processes: that share a step out, as torchrun says in ``WORLD_SIZE``; memory and time are of one of them.
        phases: name of a phase -> its number of steps, tokens, bytes (``memory``) and seconds (``seconds``).
        device, room: where it would run, and how many bytes there are.
        unseen: what this machine lacks, so that it is not in the estimate.
        wrong: mistakes in config or data.
    """

    device: str
    room: int
    processes: int = 1
    data: list[str] = field(default_factory=list)
    parts: dict[str, int] = field(default_factory=dict)
    phases: dict[str, dict[str, Any]] = field(default_factory=dict)
    unseen: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)

    @contextmanager
    def noting(self) -> Iterator[None]:
        """Note a mistake inside the block, or what is not on this machine, in place of raising it."""
        try:
            yield
        except OutOfReach as error:
            self.unseen.append(str(error))
        except UserError as error:
            self.wrong.append(str(error))


def dry_run(config: SftConfig | RftConfig, measure: Callable[[str], Rates] | None = None) -> DryRun:
    """Look at a run without beginning it: nothing is trained, downloaded or written.

    Args:
        measure: gives the rates of a device; None measures them, for about a second.
    """
    device = pick_device(config.device)
    found = DryRun(device, _room(device), int(os.environ.get("WORLD_SIZE", 1)))
    with without_downloads():
        samples = _look_at_data(config.data, found)
        for spec in reward_specs(config.rewards) if isinstance(config, RftConfig) else ():
            with found.noting():
                resolve(spec)
        with found.noting():
            load_body(config.body)
        blueprint = None
        with found.noting():
            blueprint = blueprint_of(_made_of(config), best_dtype(device))
    if blueprint is None:
        found.unseen.append("parameters, memory and time: without the policy they cannot be estimated")
        return found
    found.unseen += blueprint.unseen
    found.parts = _parameters(blueprint)
    sizes, rates = _sizes(blueprint), (measure or measured_rates)(device)
    for name, count, step in _steps(config, blueprint, samples, found.processes):
        found.phases[name] = {
            "steps": count,
            "tokens": step.tokens,
            "memory": memory(sizes, step),
            "seconds": seconds(sizes, step, rates),
        }
    return found


def _look_at_data(config: MixtureConfig, found: DryRun) -> list[tuple[Sample, float]]:
    """Count the lines of all sources; samples of those of one's own data, and how much each counts."""
    samples: list[tuple[Sample, float]] = []
    shares = sum(source.weight for source in config.sources)
    for source in config.sources:
        share = f"{source.weight / shares:.0%} of the draws"
        if source.path is None:
            found.data.append(f"builtin: {share}, drawn from the concepts")
            continue
        named = source.path if source.name is None else f"{source.name} in {source.path}"
        with found.noting():
            if source.name is None and is_hub_id(source.path):
                raise OutOfReach(f"data.sources: {source.path} is on the Hugging Face Hub; nothing is downloaded now")
            data = open_source(source)
            read = [data.sample(row) for row in range(0, len(data), -(-len(data) // LOOKED_AT))]
            posed = fmean(each.pose is not None for each in read)
            pictured = fmean(each.image is not None for each in read)
            found.data.append(
                f"{named}: {len(data)} lines for training, {share}; of {len(read)} that were read {posed:.0%} "
                f"have a pose, {pictured:.0%} a picture"
            )
            samples += [(each, source.weight / len(read)) for each in read]
    if not config.sources:
        found.data.append("builtin: drawn from the concepts")
    for path in filter(None, (config.mocap, config.amass)):
        with found.noting():
            found.data.append(f"{path}: {len(find_recordings(path))} files of recordings")
    return samples


def _made_of(config: SftConfig | RftConfig) -> PolicyConfig:
    """What the policy is made of that a run trains.

    Raises:
        UserError: as for ``blueprint_config``; ``OutOfReach`` for a policy that an earlier stage has still to write.
    """
    if isinstance(config, SftConfig) and config.start is None:
        return config.policy
    try:
        if isinstance(config, SftConfig):
            other = config.encoder, config.image_head, config.text_head, None
            return with_other_parts(blueprint_config(str(config.start)), *other)
        return with_other_parts(blueprint_config(config.policy), None, None, None, config.adapters_from)
    except UserError as error:
        raise OutOfReach(str(error)) from error


def _parameters(blueprint: PolicyBlueprint) -> dict[str, int]:
    """By part; what is trained of the language model are adapters and the embedding of ``<POSE>``."""
    trained, frozen = _counted(blueprint.language_model)
    parts = {"language model": frozen, "adapters": trained, "pose head": sum(_counted(blueprint.head))}
    if blueprint.image_branch is not None:
        trained, frozen = _counted(blueprint.image_branch)
        parts |= {"encoder": frozen, "image branch": trained}
    return parts


def _counted(module: nn.Module) -> tuple[int, int]:
    """Numbers that are trained, and others."""
    weights = list(module.parameters())
    trained = sum(each.numel() for each in weights if each.requires_grad)
    return trained, sum(each.numel() for each in weights) - trained


def _sizes(blueprint: PolicyBlueprint) -> Sizes:
    text, model = blueprint.text_config, blueprint.language_model
    heads = text.num_attention_heads
    width = getattr(text, "head_dim", None) or text.hidden_size // heads
    inside = model.decoder.named_modules()
    products = sum(
        module.weight.numel() for name, module in inside if isinstance(module, nn.Linear) and "lora_" not in name
    )
    every = [weight for module in blueprint.modules() for weight in module.parameters()]
    item = model.backbone.model.dtype.itemsize
    return Sizes(
        layers=text.num_hidden_layers,
        hidden=text.hidden_size,
        mlp=getattr(text, "intermediate_size", None) or 4 * text.hidden_size,  # GPT-2 has no name for it
        vocabulary=text.vocab_size,
        kv=width * (getattr(text, "num_key_value_heads", None) or heads),
        product_weights=products,
        output_weights=text.vocab_size * text.hidden_size,
        frozen_bytes=sum(weight.nbytes for weight in every if not weight.requires_grad),
        trained=sum(weight.numel() for weight in every if weight.requires_grad),
        item=item,
    )


def _steps(
    config: SftConfig | RftConfig, blueprint: PolicyBlueprint, samples: Sequence[tuple[Sample, float]], processes: int
) -> list[tuple[str, int, Step]]:
    """The phases that train the language model, which are those that take memory and time, as a process has them."""
    backbone = blueprint.language_model.backbone
    counted = blueprint.tokenizer is not None and not backbone.has_vision  # processors have templates of their own
    template = backbone.count_template_tokens() if counted else TEMPLATE_TOKENS
    asked = [_words(blueprint, each.prompt) + _picture(blueprint, each) for each, _ in samples]
    told = [_words(blueprint, each.answer) for each, _ in samples]
    weights = [weight for _, weight in samples]
    prompt = template + (fmean(asked, weights) if asked else BUILT_IN_TOKENS)
    if isinstance(config, SftConfig):
        answer = fmean(told, weights) if told else BUILT_IN_TOKENS / 2
        step = Step(-(-config.joint.batch_size // processes), prompt, 1, answer, samples=False)
        return [("joint", config.joint.steps, step)] if config.joint.steps else []
    hygrpo = config.hygrpo
    prompts, answers = -(-hygrpo.prompts_per_step // processes), hygrpo.answers_per_prompt
    step = Step(prompts, prompt, answers, hygrpo.max_new_tokens, samples=True, updates=hygrpo.updates_per_rollout)
    return [("hygrpo", hygrpo.steps, step)] if hygrpo.steps else []


def _words(blueprint: PolicyBlueprint, text: str) -> int:
    if blueprint.tokenizer is None:
        return len(text) // LETTERS
    return blueprint.language_model.backbone.count_tokens(text)


def _picture(blueprint: PolicyBlueprint, sample: Sample) -> int:
    if sample.image is None:
        return 0
    if isinstance(sample.image, Image.Image):
        return blueprint.picture_tokens(*sample.image.size)
    with Image.open(sample.image) as picture:  # type: ignore[arg-type]
        return blueprint.picture_tokens(*picture.size)


def _room(device: str) -> int:
    """Bytes of memory of a device."""
    if device.startswith("cuda"):
        return torch.cuda.get_device_properties(device).total_memory
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def measured_rates(device: str) -> Rates:
    """What this machine does in a second."""
    on_gpu = device.startswith("cuda")
    side = 8192 if on_gpu else 512
    one = torch.randn(side, side, device=device).to(best_dtype(device))
    many = torch.zeros(2**30 if on_gpu else 2**26, dtype=torch.uint8, device=device)
    target = torch.empty_like(many)
    products = _calls_a_second(lambda: one @ one, device)
    return Rates(2.0 * side**3 * products, 2.0 * many.nbytes * _calls_a_second(lambda: target.copy_(many), device))


def _calls_a_second(work: Callable[[], Any], device: str) -> float:
    work()
    wait = torch.cuda.synchronize if device.startswith("cuda") else lambda: None
    wait()
    start, count = time.perf_counter(), 0
    while time.perf_counter() - start < MEASURED:
        work()
        wait()
        count += 1
    return count / (time.perf_counter() - start)
