"""Checkpoints of a policy: a folder of JSON and safetensors, written whole or not at all.

``policy.json`` says what the policy is made of; ``adapter_model.safetensors`` (peft's format), ``head.safetensors``,
``image_branch.safetensors`` and ``pose_branch.safetensors`` hold what is trained; ``draft_answers.json`` and
``attributes.json`` what training learned about answers and pictures.
"""

import copy
import dataclasses
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from peft import get_peft_model_state_dict, set_peft_model_state_dict
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from pose_rft.config import from_mapping
from pose_rft.data.questions.attributes import Attribute
from pose_rft.errors import UserError
from pose_rft.hf import downloaded
from pose_rft.policy.backbone import PRESETS, Backbone
from pose_rft.policy.config import PolicyConfig
from pose_rft.policy.image_branch import ImageBranch
from pose_rft.policy.language_model import LanguageModel, layers_below
from pose_rft.policy.pose_branch import PoseBranch, PoseBranchConfig
from pose_rft.policy.pose_head import HeadConfig, PoseHead
from pose_rft.storage import atomic_directory, read_json

DEFAULT_CHECKPOINT = Path(__file__).parent / "data" / "default"
POLICY_FILE, HEAD_FILE, ADAPTER_FILE = "policy.json", "head.safetensors", "adapter_model.safetensors"
IMAGE_BRANCH_FILE, ATTRIBUTES_FILE, DRAFTS_FILE = "image_branch.safetensors", "attributes.json", "draft_answers.json"
POSE_BRANCH_FILE = "pose_branch.safetensors"
YOUNGER = ("pose_branch",)  # fields of a policy that older descriptions lack
ACTION_SPACE = ("action_mean", "action_std")  # of a pose head
DAMAGED = "not a policy checkpoint, or a damaged one; choose another"
FILES = [POLICY_FILE, HEAD_FILE, ADAPTER_FILE, IMAGE_BRANCH_FILE, POSE_BRANCH_FILE, ATTRIBUTES_FILE, DRAFTS_FILE]


def find_checkpoint(name: str | Path) -> Path | None:
    """The folder of a trained policy by its name, or None if the name is that of a backbone.

    Args:
        name: "default", a directory, or a Hugging Face id.

    Raises:
        UserError: "default" is missing, or a path at which there is nothing.
    """
    directory = DEFAULT_CHECKPOINT if str(name) == "default" else Path(name)
    if str(name) == "default" and not directory.is_dir():
        raise UserError(f"the default policy is missing from this installation ({directory}); reinstall pose-rft")
    if not directory.is_dir() and str(name) not in PRESETS:
        if _is_path(str(name)):
            raise UserError(f"checkpoint {name}: no such directory; training writes one to output_dir/policy")
        directory = downloaded(str(name), FILES) or directory
    return directory if (directory / POLICY_FILE).is_file() else None


def _is_path(name: str) -> bool:
    """Whether a name is meant as a place on this disk and not as a Hugging Face id, owner/name."""
    return name.count("/") > 1 or name.startswith((".", "/", "~")) or Path(name).parent.is_dir()


def read_policy_config(directory: Path) -> PolicyConfig:
    """What the policy in a checkpoint is made of.

    Raises:
        UserError: its ``policy.json`` is missing, broken or of something else.
    """
    document = _read_description(directory)
    made_of = {name: value for name, value in document.items() if name not in ("fingerprint", "format")}
    names = [field.name for field in dataclasses.fields(PolicyConfig) if field.name not in YOUNGER]
    if missing := [name for name in names if name not in made_of]:
        raise UserError(f"{directory / POLICY_FILE}: not a policy description ({missing[0]} is missing)")
    return from_mapping(PolicyConfig, made_of, source=str(directory / POLICY_FILE))


def with_other_parts(
    config: PolicyConfig,
    encoder: str | None = None,
    image_head: HeadConfig | None = None,
    text_head: HeadConfig | None = None,
    adapters_from: int | None = None,
    pose_branch: PoseBranchConfig | None = None,
) -> PolicyConfig:
    """What a policy is made of that starts from another one's checkpoint; arguments as for ``from_pretrained``.

    Raises:
        UserError: fewer layers with adapters than the checkpoint has.
    """
    if text_head is not None:
        of_pictures = None if config.encoder is None else config.effective_image_head
        config = dataclasses.replace(config, head=text_head, image_head=of_pictures)
    reshaped = image_head is not None and image_head != config.effective_image_head
    if (encoder is not None and config.encoder is None) or reshaped:
        config = dataclasses.replace(
            config, encoder=config.encoder or encoder, image_head=image_head or config.image_head
        )
    if pose_branch is not None:
        config = dataclasses.replace(config, pose_branch=pose_branch)
    if adapters_from is None:
        return config
    if adapters_from > config.lora.from_layer:
        raise UserError(
            f"adapters_from {adapters_from}: the checkpoint has adapters from layer {config.lora.from_layer} on; "
            "take that layer or a lower one"
        )
    return dataclasses.replace(config, lora=dataclasses.replace(config.lora, from_layer=adapters_from))


def read_attributes(directory: Path) -> list[Attribute]:
    """The attributes of pictures that a checkpoint's policy says; empty without any.

    Raises:
        UserError: the file is broken.
    """
    file = directory / ATTRIBUTES_FILE
    if not file.is_file():
        return []
    entries = read_json(file, DAMAGED)
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise UserError(f"{file}: not a list of attributes; take the checkpoint from where it came again")
    return [from_mapping(Attribute, entry, source=str(file)) for entry in entries]


def save_checkpoint(
    directory: Path,
    config: PolicyConfig,
    language_model: LanguageModel,
    head: PoseHead,
    branch: ImageBranch | None,
    pose_branch: PoseBranch | None,
    dtype: torch.dtype | None,
) -> None:
    """Write a policy; ``dtype`` as for ``PosePolicy.save_pretrained``."""
    adapter = get_peft_model_state_dict(language_model.adapted, save_embedding_layers=False)
    parts: dict[str, Mapping[str, Tensor]] = {HEAD_FILE: head.state_dict(), ADAPTER_FILE: adapter}
    learned: dict[str, Any] = {}
    if language_model.draft_answers:
        learned[DRAFTS_FILE] = language_model.draft_answers
    if branch is not None:
        parts[IMAGE_BRANCH_FILE] = branch.trained_weights()
        if branch.attributes:
            learned[ATTRIBUTES_FILE] = [dataclasses.asdict(attribute) for attribute in branch.attributes]
    if pose_branch is not None:
        parts[POSE_BRANCH_FILE] = pose_branch.state_dict()
    with atomic_directory(directory) as part:
        document = config.to_dict() | {"fingerprint": _fingerprint(language_model.backbone), "format": 2}
        for file, value in {POLICY_FILE: document, **learned}.items():
            (part / file).write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
        for file, weights in parts.items():
            save_file({name: _stored(value, dtype) for name, value in weights.items()}, part / file)
        adapters = copy.copy(language_model.adapted.peft_config["default"])
        adapters.base_model_name_or_path = config.backbone  # not the place of a preset on this machine
        if isinstance(adapters.target_modules, set):
            adapters.target_modules = sorted(adapters.target_modules)  # a set is written in an order of its own
        adapters.save_pretrained(str(part))


def load_checkpoint(
    directory: Path,
    language_model: LanguageModel,
    head: PoseHead,
    branch: ImageBranch | None,
    pose_branch: PoseBranch | None,
    untrained_branch: bool = False,
    untrained_head: bool = False,
    untrained_adapters: bool = False,
    untrained_pose_branch: bool = False,
) -> None:
    """Take over the weights that ``save_checkpoint`` wrote, and what training learned beside them.

    Args:
        untrained_branch: leave what is made of pictures as it is. Poses of pictures start from those of texts where
            both heads have the same shape.
        untrained_head: take over the action space of the pose head of texts alone.
        untrained_adapters: leave adapters below the first layer that the checkpoint adapts as they are.
        untrained_pose_branch: leave what is made of given poses as it is, but for what ``PoseBranch.start_from`` takes.

    Raises:
        UserError: files missing or broken, or made for another backbone or another head.
    """
    if not (directory / POLICY_FILE).is_file():
        raise UserError(f"{directory}: no {POLICY_FILE}; not a policy checkpoint")
    made_for, here = _read_description(directory).get("fingerprint"), _fingerprint(language_model.backbone)
    if made_for != here:
        raise UserError(
            f"{directory}: made for another backbone ({made_for}) than {language_model.backbone.name} ({here})"
        )
    try:
        head_weights, adapter = _read_weights(directory / HEAD_FILE), _read_weights(directory / ADAPTER_FILE)
        if untrained_head:
            head.take_action_space(*(head_weights[name] for name in ACTION_SPACE))
        else:
            head.load_state_dict(head_weights)
        if branch is not None and not untrained_branch:
            branch.load_trained_weights(_read_weights(directory / IMAGE_BRANCH_FILE))
        elif branch is not None and branch.head is not None:
            if branch.head.config == head.config:
                branch.head.load_state_dict(head.state_dict())
            else:
                branch.head.take_action_space(head.action_mean, head.action_std)
        if pose_branch is not None and untrained_pose_branch:
            pose_branch.start_from(head)
        elif pose_branch is not None:
            pose_branch.load_state_dict(_read_weights(directory / POSE_BRANCH_FILE))
        result = set_peft_model_state_dict(language_model.adapted, adapter)
        wanted = get_peft_model_state_dict(language_model.adapted, save_embedding_layers=False)
        missing = wanted.keys() - adapter.keys()
        if untrained_adapters and (below := layers_below(read_policy_config(directory).lora.from_layer)):
            missing = {name for name in missing if not re.fullmatch(below, name)}
        if missing:
            raise ValueError(f"{ADAPTER_FILE} lacks {min(missing)}")
    except (OSError, SafetensorError, RuntimeError, ValueError, KeyError) as error:
        raise UserError(f"{directory}: cannot be read as a policy checkpoint ({_brief(error)})") from error
    if result.unexpected_keys:
        raise UserError(f"{directory}: its adapter has other modules ({result.unexpected_keys[0]}, ...)")
    file = directory / DRAFTS_FILE
    drafts = read_json(file, DAMAGED) if file.is_file() else []
    if not isinstance(drafts, list) or not all(isinstance(answer, str) for answer in drafts):
        raise UserError(f"{file}: not a list of answers; write it anew, or delete it: answers only come more slowly")
    language_model.set_draft_answers(drafts)


def _fingerprint(backbone: Backbone) -> dict[str, Any]:
    text = backbone.model.config.get_text_config()
    return {
        "model_type": text.model_type,
        "hidden_size": text.hidden_size,
        "layers": text.num_hidden_layers,
        "pose_token": backbone.pose_token,
    }


def _read_description(directory: Path) -> dict[str, Any]:
    document = read_json(directory / POLICY_FILE, DAMAGED)
    if not isinstance(document, dict):
        raise UserError(f"{directory / POLICY_FILE}: not a policy description ({type(document).__name__}, no mapping)")
    return document


def _read_weights(file: Path) -> dict[str, Tensor]:
    """The tensors of a file in float32.

    Raises:
        ValueError: some are not finite.
    """
    weights = {name: value.float() for name, value in load_file(file).items()}
    if broken := [name for name, value in weights.items() if not value.isfinite().all()]:
        raise ValueError(f"{broken[0]} in {file.name} is not finite")
    return weights


def _stored(tensor: Tensor, dtype: torch.dtype | None) -> Tensor:
    tensor = tensor.detach().cpu().contiguous()
    return tensor.to(dtype) if dtype is not None else tensor.clone()


def _brief(error: Exception) -> str:
    """One line of an error; torch's heading of a list of mismatches says less than its first entry."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
    return lines[1] if len(lines) > 1 and lines[0].endswith(":") else lines[0]
