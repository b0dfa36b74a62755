"""The language model of a policy: frozen weights, adapters, and the passes over prompts and answers."""

import contextlib
import functools
import logging
import math
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from peft.tuners.lora import LoraLayer
from peft.tuners.trainable_tokens.layer import TrainableTokensLayer
from peft.tuners.tuners_utils import BaseTunerLayer
from torch import Tensor, nn
from transformers import DynamicCache, PreTrainedModel

from pose_rft.errors import UserError, reason_of
from pose_rft.generation.cuda_graph import GraphRecorder
from pose_rft.generation.decoders import DecoderInput
from pose_rft.generation.drafts import DraftTable
from pose_rft.generation.packing import PackedGroups, additive_mask, pack_groups
from pose_rft.generation.sampling import SampledAnswers, sample_answers
from pose_rft.policy.backbone import Backbone, output_logits
from pose_rft.policy.config import LoraSettings
from pose_rft.policy.input_embeddings import Insertion, decoder_arguments
from pose_rft.policy.kernels.fused_lora import inputs_uncast, merged_weight
from pose_rft.policy.kernels.install import install_kernels
from pose_rft.policy.kernels.sliced_linear import is_plain_linear
from pose_rft.policy.sharding import any_rank, shard_layers

SAME_STATES = 0.1  # relative difference: bfloat16 rounds far below, an answer that attends to another is far above
logger = logging.getLogger(__name__)


class LanguageModel(nn.Module):
    """A frozen language model with LoRA adapters and a trained ``<POSE>`` embedding.

    Args:
        backbone: the model and its tokenizer.
        lora: the adapters.
        layer: index of the hidden states that the pose head reads.

    Attributes:
        is_sharded: all processes of a run hold a part of it and run it together.
        draft_answers: answers that are guessed before they are sampled, the commonest first. They change how fast
            answers come, not which.
    """

    def __init__(self, backbone: Backbone, lora: LoraSettings, layer: int) -> None:
        super().__init__()
        self.backbone, self.layer = backbone, layer
        self.is_sharded = False
        self.recorder = GraphRecorder()
        self._warned_of_window = False
        self.adapted: PeftModel = _with_adapters(backbone, lora)
        install_kernels(self.adapted, self.decoder)
        if lora.rank == 0:
            for name, parameter in self.adapted.named_parameters():
                if "lora_" in name:
                    parameter.requires_grad_(False)
        self.set_draft_answers([])

    @property
    def decoder(self) -> PreTrainedModel:
        return self.backbone.decoder

    @property
    def device(self) -> torch.device:
        return self.backbone.model.device

    def logits(self, hidden: Tensor) -> Tensor:
        """(..., H) last hidden states -> (..., V) float32."""
        return output_logits(self.backbone.model, hidden)

    def set_draft_answers(self, answers: Iterable[str]) -> None:
        """Guess these answers from now on, the commonest first: sampling one of them takes a few passes."""
        self.draft_answers = list(answers)
        self.drafts = DraftTable(self.backbone.answer_ids(answer)[:-1] for answer in self.draft_answers)

    def shard(self, device: str | torch.device) -> None:
        """Share the frozen layers out among all processes of the run; errors as for ``shard_layers``."""
        shard_layers(self.decoder, device)
        self.is_sharded = True

    # ---- adapters ----

    @torch.no_grad()
    def adapters_do_nothing(self) -> bool:
        """Whether the language model with its adapters is the one without, as at the start of a run."""
        weights = dict(self.adapted.named_parameters())
        rows = [layer for layer in self.adapted.modules() if isinstance(layer, TrainableTokensLayer)]
        return not any(value.any() for name, value in weights.items() if "lora_B" in name) and all(
            torch.equal(row.trainable_tokens_delta["default"], row.trainable_tokens_original["default"]) for row in rows
        )

    @contextlib.contextmanager
    def without_adapters(self) -> Iterator[None]:
        """Be the language model without adapters inside the block."""
        trained = [(parameter, parameter.requires_grad) for parameter in self.adapted.parameters()]

        def enable(enabled: bool) -> None:
            for layer in self.adapted.modules():
                if isinstance(layer, BaseTunerLayer):
                    layer.enable_adapters(enabled)
            for parameter, flag in trained:  # which peft changes on the way
                parameter.requires_grad_(flag)

        enable(False)
        try:
            yield
        finally:
            enable(True)

    @contextlib.contextmanager
    def merged_adapters(self) -> Iterator[None]:
        """Fold the adapters into the language model's weights inside the block, for passes that need no gradient.

        An unmerged adapter costs two small products and a copy for every layer and token. The merged weights are
        copies, so that what comes back afterwards is exactly what was there; they need the model's size once more.
        Where processes share the weights out, no process has them to fold into, and adapters stay as they are.
        Inside ``without_adapters`` there is nothing to fold.
        """
        lora = [m for m in self.adapted.modules() if isinstance(m, LoraLayer)]
        layers = [layer for layer in lora if not layer.merged and not layer.disable_adapters]
        layers = [m for m in layers if is_plain_linear(m.get_base_layer()) and not self.is_sharded]
        originals = {layer: layer.get_base_layer().weight.data for layer in layers}
        try:
            for layer, weight in originals.items():
                layer.get_base_layer().weight.data = merged_weight(layer, weight)
                layer.merged_adapters.append("default")
            yield
        finally:
            for layer, weight in originals.items():
                layer.get_base_layer().weight.data = weight
                layer.merged_adapters.clear()

    # ---- sampling ----

    def sample(
        self,
        prompts: Sequence[DecoderInput],
        num_answers: int,
        max_new_tokens: int,
        temperature: float,
        uniform: Tensor | None,
        before_pass: Callable[[], None] | None = None,
    ) -> SampledAnswers:
        """Sample answers to prompts; ``uniform`` and ``before_pass`` as for ``sample_answers``."""
        with self.merged_adapters():
            return sample_answers(
                self.decoder,
                self.logits,
                prompts,
                num_answers,
                self.backbone.end_tokens,
                self.layer,
                max_new_tokens,
                temperature,
                uniform,
                self.shares_prefixes([len(prompt) + max_new_tokens for prompt in prompts]),
                functools.partial(any_rank, device=self.device) if self.is_sharded else bool,
                self.drafts,
                self.recorder if self._can_record() else None,
                self.backbone.pose_token,
                before_pass,
            )

    def _can_record(self) -> bool:
        """Whether one GPU has all of the language model."""
        if self.device.type != "cuda" or self.is_sharded:
            return False
        return all(weight.device == self.device for weight in self.decoder.parameters())

    # ---- what the model can do ----

    def check_lengths(self, prompts: Sequence[str], max_new_tokens: int) -> None:
        """See that the model has positions for prompts and their answers.

        Raises:
            UserError: a prompt is too long.
        """
        positions = getattr(self.decoder.config, "max_position_embeddings", None)  # not every family has such a limit
        if positions is None:
            return
        most = positions - max_new_tokens - self.backbone.count_template_tokens()
        for prompt in prompts:
            if (count := self.backbone.count_tokens(prompt)) > most:
                raise UserError(f"prompts: a prompt has {count} tokens; at most {most} fit, so say it in fewer words")

    def shares_prefixes(self, lengths: Sequence[int]) -> bool:
        """Whether prompts of answers with so many tokens in all are shared: none may exceed a layer's window."""
        if self.supports_prefix_sharing and max(lengths) > self.window:
            if not self._warned_of_window:
                self._warned_of_window = True
                logger.warning(
                    "%s has layers that look %s tokens back, fewer than a prompt and an answer have: every answer to "
                    "it gets a copy of its prompt, which is right but slower",
                    self.backbone.name,
                    self.window,
                )
            return False
        return self.supports_prefix_sharing

    @functools.cached_property
    def window(self) -> float:
        """How many tokens back every layer of the language model looks."""
        layers = DynamicCache(config=self.decoder.config).layers
        return min((layer.sliding_window for layer in layers if layer.is_sliding), default=math.inf)

    @functools.cached_property
    def supports_prefix_sharing(self) -> bool:
        """Whether the language model reads several answers behind one prompt as it reads each alone (found by trying).

        Most do, with a block mask and explicit positions. Those that do not get padded batches, and a warning.
        """
        answers = [[[3, 4, 5], [6, 7]]]
        with torch.no_grad():
            alone = self(pack_groups([[1, 2]], answers, -1, share_prompts=False).to(self.device))[0]
            try:
                shared = self(pack_groups([[1, 2]], answers, -1).to(self.device))[0]
            except Exception as error:  # whatever a foreign model raises at a mask it does not know
                difference, reason = math.inf, reason_of(error)
            else:
                first, second = alone[[2, 3, 4]], alone[[7, 8]]  # rows [1 2 3 4 5] and [1 2 6 7 .]
                expected, got = torch.cat([first, second]).float(), shared[2:].float()
                difference = float((got - expected).norm() / expected.norm())
                reason = f"the answers' states differ by {difference:.0%}"
        if difference < SAME_STATES:
            return True
        logger.warning(
            "%s cannot read several answers behind one prompt (%s): every answer gets a copy of its prompt, which is "
            "right but slower",
            self.backbone.name,
            reason,
        )
        return False

    # ---- the packed pass ----

    def forward(self, packed: PackedGroups, inserted: Sequence[Insertion] = ()) -> tuple[Tensor, Tensor]:
        """Hidden states of a packed layout's tokens.

        Args:
            inserted: embeddings of what is no word, for a layout that has places for them.

        Returns:
            The last hidden states and those that the pose head reads, both (R * L, H).
        """
        dtype = self.backbone.model.dtype
        # The adapters are kept in float32 and multiplied in the language model's precision.
        mixed = dtype != torch.float32 and torch.is_grad_enabled()
        with (
            torch.autocast(self.device.type, dtype if mixed else None, enabled=mixed),
            inputs_uncast(self.adapted) if mixed else contextlib.nullcontext(),
        ):
            states = self.decoder(
                **decoder_arguments(self.decoder, packed, inserted),
                attention_mask=additive_mask(packed.attention, dtype) if packed.attention is not None else None,
                position_ids=packed.position_ids,
                use_cache=False,
                output_hidden_states=True,
            )
        return states.last_hidden_state.flatten(0, 1), states.hidden_states[self.layer].flatten(0, 1)

    def read_states(self, packed: PackedGroups, inserted: Sequence[Insertion] = ()) -> Tensor:
        """(R * L, H) the states that the pose head reads; layers above them are not run."""
        with _first_layers(self.decoder, self.layer + 1):
            return self(packed, inserted)[1]


def _with_adapters(backbone: Backbone, lora: LoraSettings) -> PeftModel:
    """The language model in peft's wrapping."""
    config = LoraConfig(
        r=max(lora.rank, 1),
        lora_alpha=lora.alpha,
        lora_dropout=lora.dropout,
        target_modules=_targets(backbone, lora),
        exclude_modules=layers_below(lora.from_layer),
        trainable_token_indices=[backbone.pose_token],
        task_type="CAUSAL_LM",
    )
    with warnings.catch_warnings():  # peft reads what transformers deprecates
        warnings.filterwarnings("ignore", "`is_gradient_checkpointing` is deprecated")
        try:
            return get_peft_model(backbone.model, config)
        except ValueError as error:  # peft knows which modules of which family it cannot adapt
            raise UserError(f"lora.targets {lora.targets!r}: {reason_of(error)}") from error


def _targets(backbone: Backbone, lora: LoraSettings) -> str | list[str]:
    """The adapted modules. Of an image-text model those of its language model: its vision stays as it is."""
    if not backbone.has_vision or lora.targets != "all-linear":
        return lora.targets
    prefix = next(name for name, module in backbone.model.named_modules() if module is backbone.decoder)
    inside = backbone.decoder.named_modules()
    return [f"{prefix}.{name}" for name, module in inside if isinstance(module, nn.Linear)]


def layers_below(layer: int) -> str | None:
    """The names of modules in layers below one, as a pattern for peft: the first number in a name is its layer."""
    return rf"\D*\.({'|'.join(map(str, range(layer)))})\..*" if layer else None


@contextlib.contextmanager
def _first_layers(decoder: nn.Module, count: int) -> Iterator[None]:
    """Run only the first ``count`` layers inside the block, where the decoder keeps them in ``layers`` (most do)."""
    layers = decoder._modules.get("layers")
    if not isinstance(layers, nn.ModuleList):
        yield
        return
    decoder._modules["layers"] = layers[:count]
    try:
        yield
    finally:
        decoder._modules["layers"] = layers
