"""PosePolicy: a language model and a pose head that act as one policy ``pi(text, pose | prompt)``."""

import contextlib
import copy
import dataclasses
import functools
import io
import json
import logging
import math
import warnings
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import roma
import torch
from peft import LoraConfig, get_peft_model, get_peft_model_state_dict, set_peft_model_state_dict
from peft.tuners.lora import LoraLayer
from peft.tuners.trainable_tokens.layer import TrainableTokensLayer
from peft.tuners.tuners_utils import BaseTunerLayer
from PIL.Image import Image, fromarray
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from transformers import DynamicCache, PreTrainedModel

from pose_rft.body.overlay import PictureCamera, draw_over
from pose_rft.body.pose import Pose
from pose_rft.data.questions.attributes import Attribute, AttributeVerbalizer
from pose_rft.devices import best_dtype
from pose_rft.errors import UserError
from pose_rft.generation import random_streams
from pose_rft.generation.cuda_graph import GraphRecorder
from pose_rft.generation.decoders import DecoderInput
from pose_rft.generation.drafts import DraftTable
from pose_rft.generation.packing import PackedGroups, added_in_layers, additive_mask, pack_groups
from pose_rft.generation.sampling import sample_answers
from pose_rft.policy.backbone import PRESETS, Backbone, load_backbone, output_logits
from pose_rft.policy.distribution import PoseGaussian
from pose_rft.policy.image_branch import ImageBranch
from pose_rft.policy.kernels.chunked_attention import use_chunked_attention
from pose_rft.policy.kernels.fused_lora import FusedLoraLinear, TokenRows, inputs_uncast, merged_weight
from pose_rft.policy.kernels.sliced_linear import SlicedLinear, is_plain_linear
from pose_rft.policy.pose_head import HeadConfig, PoseHead
from pose_rft.policy.prompt_encoder import (
    EncodedPrompt,
    PackedPrompts,
    PromptInput,
    gather,
    numbered,
    pack_prompts,
    seen_numbers,
)
from pose_rft.policy.sharding import any_rank, shard_layers
from pose_rft.storage import atomic_directory
from pose_rft.vision.crops import Crop
from pose_rft.vision.encoded_images import EncodedImages
from pose_rft.vision.feature_cache import FeatureCache
from pose_rft.vision.image_encoder import ImageEncoder, load_image_encoder
from pose_rft.vision.image_encoder import flip_crop as in_mirror
from pose_rft.vision.images import read_image

DEFAULT_CHECKPOINT = Path(__file__).parent / "data" / "default"
SAME_STATES = 0.1  # relative difference: rounding of bfloat16 stays far below, an answer that sees another far above
logger = logging.getLogger(__name__)
POLICY_FILE, HEAD_FILE, ADAPTER_FILE = "policy.json", "head.safetensors", "adapter_model.safetensors"
IMAGE_BRANCH_FILE = "image_branch.safetensors"
SEEN = "\nSeen in the picture: "  # stands before what is found there
USUAL = 64  # answers that a policy remembers from its training


@dataclass
class LoraSettings:
    """Low-rank adapters on the language model.

    Attributes:
        rank: 0 trains no adapter (the ``<POSE>`` embedding still is).
        alpha: scale.
        dropout: on the adapters' input.
        targets: module names as peft takes them.
        from_layer: the first layer that is adapted. At the head's ``layer`` or above, what the head sees of a prompt
            stays what it was: the words are learned without unlearning the poses.
    """

    rank: int = 8
    alpha: int = 16
    dropout: float = 0.0
    targets: str | list[str] = "all-linear"
    from_layer: int = 0


@dataclass
class PolicyConfig:
    """What a policy is made of.

    Attributes:
        backbone: preset, directory or Hugging Face id of a causal language model.
        layer: which hidden states the pose head reads: 0 is the embedding, -1 the last layer.
        head: the pose head.
        lora: the adapters.
        encoder: the pose-aware image encoder: "blazepose" or a Hugging Face id of a ViTPose; None for a policy that
            sees with its language model's own vision tower, or not at all.
        image_head: shape of the pose head of pictures; None takes that of ``head``. Both are of kind "query" then,
            and of one covariance.
        attributes: statements about a person that the features of the head of pictures are searched for. The language
            model reads in words which of them hold that the prompt is about, in place of what the encoder sees.
            Training sets them (``PosePolicy.find``).
        mirror: ``generate`` looks at people in a mirror as well and takes the mean of both poses and of what is found:
            nearer to the truth, for the encoder's time once more.
        draft_answers: guesses of its answers, the commonest first; supervised training sets them. They change how fast
            it answers, not what.
    """

    backbone: str = "smollm2-135m"
    layer: int = -1
    head: HeadConfig = field(default_factory=HeadConfig)
    lora: LoraSettings = field(default_factory=LoraSettings)
    encoder: str | None = None
    image_head: HeadConfig | None = None
    attributes: list[Attribute] = field(default_factory=list)
    mirror: bool = False
    draft_answers: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        of_pictures = self.image_head
        if of_pictures is None:
            return
        if self.encoder is None:
            raise UserError("image_head: is the pose head of pictures seen by an encoder; set encoder: blazepose")
        if (self.head.kind, of_pictures.kind) != ("query", "query") or of_pictures.covariance != self.head.covariance:
            raise UserError('image_head: must be of kind "query", as head is, and of its covariance')

    @property
    def effective_image_head(self) -> HeadConfig:
        return self.image_head or self.head

    def to_dict(self) -> dict[str, Any]:
        """As transformers' trackers (TensorBoard, W&B, trackio) ask a model's config to be."""
        return dataclasses.asdict(self)

    def to_json_string(self) -> str:
        """The same as text."""
        return json.dumps(self.to_dict(), indent=2)


@dataclass(frozen=True)
class Answer:
    """One answer.

    Attributes:
        text: the words, with ``<POSE>`` where the pose stands.
        valid: there is exactly one ``<POSE>``, so there is a pose.
        pose: the pose, or None.
        logp: log-likelihood of the text and, if valid, of the pose (action space); None at temperature 0 for the pose.
        camera: of an answer about a photograph: puts the pose onto the person in it (``body.overlay.draw_over``).
        photograph: that photograph, upright RGB.
    """

    text: str
    valid: bool
    pose: Pose | None
    logp_text: float
    logp_pose: float | None
    camera: PictureCamera | None = None
    photograph: Image | None = field(default=None, repr=False, compare=False)

    def overlay(self) -> Image | None:
        """The pose drawn over the photograph that the answer is about, or None if it is about none or has no pose."""
        if self.pose is None or self.camera is None or self.photograph is None:
            return None
        return draw_over(self.photograph, self.pose.axis_angle(), self.camera)

    def _repr_png_(self) -> bytes | None:
        """The picture that a notebook shows: the pose from two sides, or drawn over the photograph that it is about."""
        drawn = self.overlay()
        if drawn is None:
            return None if self.pose is None else self.pose._repr_png_()
        buffer = io.BytesIO()
        drawn.save(buffer, format="PNG")
        return buffer.getvalue()


@dataclass
class Rollout:
    """What a policy did: G answers to each of B prompts, K poses to each answer.

    Attributes:
        readings: the B prompts as they were read.
        answer_ids: B lists of G token lists.
        texts: B lists of G strings.
        valid: (B, G) bool, the answer holds exactly one ``<POSE>``.
        action: (B, G, K, 22, 6) sampled actions; meaningless where invalid.
        logp_text: B lists of G token log-probability lists.
        logp_pose: (B, G, K) log-likelihood of the sampled actions.
    """

    readings: list[EncodedPrompt]
    answer_ids: list[list[list[int]]]
    texts: list[list[str]]
    valid: Tensor
    action: Tensor
    logp_text: list[list[list[float]]]
    logp_pose: Tensor

    @property
    def prompt_ids(self) -> list[list[int]]:
        """B token lists."""
        return [reading.tokens.ids for reading in self.readings]


@dataclass
class Scores:
    """What a policy thinks of N answers.

    Attributes:
        logp_text: (N, T) log-probability of each target of the layout.
        pose: the N Gaussians; meaningless where the layout has no action.
    """

    logp_text: Tensor
    pose: PoseGaussian


class PosePolicy(nn.Module):
    """A hybrid policy over text tokens and poses.

    The language model is frozen; its LoRA adapters, the ``<POSE>`` embedding and the pose head are trained.
    """

    eyes: ImageEncoder | None
    sight: ImageBranch | None

    def __init__(self, config: PolicyConfig, backbone: Backbone) -> None:
        super().__init__()
        self.config = replace(config)  # training adds to it
        self.backbone = backbone
        layers = backbone.num_layers
        if not -layers - 1 <= config.layer <= layers:
            raise UserError(f"layer {config.layer}: {config.backbone} has hidden states 0 to {layers}")
        self.layer = config.layer % (layers + 1)
        if not 0 <= config.lora.from_layer < layers:
            raise UserError(f"lora.from_layer {config.lora.from_layer}: {config.backbone} has layers 0 to {layers - 1}")
        lora = LoraConfig(
            r=max(config.lora.rank, 1),
            lora_alpha=config.lora.alpha,
            lora_dropout=config.lora.dropout,
            target_modules=_targets(backbone, config.lora),
            exclude_modules=_layers_below(config.lora.from_layer),
            trainable_token_indices=[backbone.pose_token],
            task_type="CAUSAL_LM",
        )
        # peft's seedless initialisation must not depend on what ran before; it reads what transformers deprecates.
        with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
            warnings.filterwarnings("ignore", "`is_gradient_checkpointing` is deprecated")
            torch.manual_seed(0)
            try:
                self.language_model = get_peft_model(backbone.model, lora)
            except ValueError as error:  # peft knows which modules of which family it cannot adapt
                raise UserError(f"lora.targets {config.lora.targets!r}: {_brief(error)}") from error
            self.image_encoder = (
                load_image_encoder(config.encoder) if config.encoder else None
            )  # frozen, and not in checkpoints
            self.head = PoseHead(backbone.hidden_size, config.head)
            shape = config.effective_image_head
            self.image_branch = (
                ImageBranch(self.image_encoder.shape, backbone.hidden_size, shape)
                if self.image_encoder is not None
                else None
            )
            if config.attributes:
                self.enable_attributes(config.attributes)
        TokenRows.replace_in(self.language_model)
        FusedLoraLinear.replace_in(self.language_model)
        SlicedLinear.replace_in(self.language_model)
        use_chunked_attention(self.decoder)
        if config.lora.rank == 0:
            for name, parameter in self.language_model.named_parameters():
                if "lora_" in name:
                    parameter.requires_grad_(False)
        self._guess()
        self.recorder = GraphRecorder()
        self._reference: dict[str, Tensor] | None = None
        self._reference_is_bare = False
        self.is_sharded = False  # all processes run the language model together

    # ---- loading and saving ----

    @classmethod
    def from_pretrained(
        cls,
        name: str | Path = "default",
        device: str | torch.device = "cpu",
        dtype: torch.dtype | None = None,
        encoder: str | None = None,
        shard: bool = False,
        image_head: HeadConfig | None = None,
    ) -> "PosePolicy":
        """Load a trained policy, or start an untrained one on a language model.

        Args:
            name: "default"; a directory that ``save_pretrained`` wrote; a Hugging Face id of such a directory; or a
                backbone (preset, directory, id), which gives a policy whose adapters and pose head are untrained.
            dtype: of the frozen language model; None takes bfloat16 where the device computes in it, else float32.
            encoder: a pose-aware image encoder for a policy that was trained without one: what looks through it is
                untrained, all else is as it was. None takes the policy's own.
            shard: share the language model out among all processes of a run, which then act and score together.
            image_head: a pose head of pictures of another shape than the policy's own, which it replaces, and all
                that looks through it: untrained.

        Raises:
            UserError: nothing of that name, a checkpoint that does not fit its backbone, or nobody to share it with.
        """
        directory = DEFAULT_CHECKPOINT if str(name) == "default" else Path(name)
        if str(name) == "default" and not directory.is_dir():
            raise UserError(f"the default policy is missing from this installation ({directory}); reinstall pose-rft")
        if not directory.is_dir() and str(name) not in PRESETS:
            if _is_path(str(name)):
                raise UserError(f"checkpoint {name}: no such directory; training writes one to output_dir/policy")
            directory = _download(str(name)) or directory
        if not (directory / POLICY_FILE).is_file():
            config = PolicyConfig(backbone=str(name), encoder=encoder, image_head=image_head)
            return cls.create(config, device, dtype, shard)
        config = _read_config(directory / POLICY_FILE)
        opened = encoder is not None and config.encoder is None
        reshaped = image_head is not None and image_head != config.effective_image_head
        if opened or reshaped:
            shape = image_head or config.image_head
            config = replace(config, encoder=encoder or config.encoder, image_head=shape, attributes=[])
        policy = cls.create(config, device, dtype, shard)
        policy.load_weights(directory, fresh_eyes=opened or reshaped)
        return policy

    @classmethod
    def create(
        cls,
        config: PolicyConfig,
        device: str | torch.device = "cpu",
        dtype: torch.dtype | None = None,
        shard: bool = False,
    ) -> "PosePolicy":
        """An untrained policy; arguments as for ``from_pretrained``."""
        policy = cls(config, load_backbone(config.backbone, dtype or best_dtype(device)))
        if shard:
            shard_layers(policy.decoder, device)
        policy = policy.to(device).eval()
        policy.is_sharded = shard
        if shard:
            _ = policy.supports_prefix_sharing  # found by running the language model: now, while all processes are here
        return policy

    def save_pretrained(self, directory: str | Path, dtype: torch.dtype | None = None) -> None:
        """Write config, adapter (peft's format) and head as JSON and safetensors, all or nothing.

        Args:
            dtype: store weights in this precision (float16 halves the size); None keeps float32.
        """
        parts = self._weights()
        with atomic_directory(Path(directory)) as part:
            document = self.config.to_dict() | {"fingerprint": self._fingerprint(), "format": 1}
            (part / POLICY_FILE).write_text(json.dumps(document, indent=2) + "\n")
            for file, weights in parts.items():
                save_file({k: _stored(v, dtype) for k, v in weights.items()}, part / file)
            adapters = copy.copy(self.language_model.peft_config["default"])
            adapters.base_model_name_or_path = self.config.backbone  # not the place of a preset on this machine
            if isinstance(adapters.target_modules, set):
                adapters.target_modules = sorted(adapters.target_modules)  # a set is written in an order of its own
            adapters.save_pretrained(str(part))

    def load_weights(self, directory: Path, fresh_eyes: bool = False) -> None:
        """Take over the weights that ``save_pretrained`` wrote.

        Args:
            fresh_eyes: all but what is made of pictures, which stays as it is. Poses of pictures start from those of
                texts where both heads have the same shape.

        Raises:
            UserError: files missing or broken, or made for another backbone or another head.
        """
        config_path = directory / POLICY_FILE
        if not config_path.is_file():
            raise UserError(f"{directory}: no {POLICY_FILE}; not a policy checkpoint")
        theirs = json.loads(config_path.read_text()).get("fingerprint")
        if theirs != self._fingerprint():
            raise UserError(
                f"{directory}: made for another backbone ({theirs}) than {self.config.backbone} ({self._fingerprint()})"
            )
        try:
            head, adapter = load_file(directory / HEAD_FILE), load_file(directory / ADAPTER_FILE)
            self.head.load_state_dict({k: v.float() for k, v in head.items()})
            if self.image_branch is not None and not fresh_eyes:
                self.image_branch.load_state_dict(
                    {k: v.float() for k, v in load_file(directory / IMAGE_BRANCH_FILE).items()}
                )
            elif self.image_branch is not None and self.image_branch.head is not None:
                if self.config.effective_image_head == self.config.head:
                    self.image_branch.head.load_state_dict(self.head.state_dict())
                else:
                    self.image_branch.head.take_action_space(self.head)
            result = set_peft_model_state_dict(self.language_model, {k: v.float() for k, v in adapter.items()})
        except (OSError, SafetensorError, RuntimeError) as error:
            raise UserError(f"{directory}: cannot be read as a policy checkpoint ({_brief(error)})") from error
        if result.unexpected_keys:
            raise UserError(f"{directory}: its adapter has other modules ({result.unexpected_keys[0]}, ...)")

    def _weights(self) -> dict[str, dict[str, Tensor]]:
        """All that is trained, by file."""
        adapter = get_peft_model_state_dict(self.language_model, save_embedding_layers=False)
        parts = {HEAD_FILE: dict(self.head.state_dict()), ADAPTER_FILE: dict(adapter)}
        return parts if self.image_branch is None else parts | {IMAGE_BRANCH_FILE: dict(self.image_branch.state_dict())}

    def _fingerprint(self) -> dict[str, Any]:
        text = self.backbone.model.config.get_text_config()
        return {
            "model_type": text.model_type,
            "hidden_size": text.hidden_size,
            "layers": text.num_hidden_layers,
            "pose_token": self.backbone.pose_token,
        }

    @property
    def adapters_reach_head(self) -> bool:
        """Whether the adapters change what the pose head sees of a prompt."""
        return self.config.lora.from_layer < self.layer

    # ---- the reference policy ----

    def trainable(self) -> dict[str, nn.Parameter]:
        return {name: parameter for name, parameter in self.named_parameters() if parameter.requires_grad}

    def freeze_reference(self) -> None:
        """Remember the present weights as the reference policy that KL terms pull towards."""
        self._reference = {name: parameter.detach().clone() for name, parameter in self.trainable().items()}
        self._reference_is_bare = self._adapters_do_nothing()

    @torch.no_grad()
    def _adapters_do_nothing(self) -> bool:
        """Whether the language model with its adapters is the one without, as at the start of a run."""
        weights = dict(self.language_model.named_parameters())
        rows = [layer for layer in self.language_model.modules() if isinstance(layer, TrainableTokensLayer)]
        return not any(value.any() for name, value in weights.items() if "lora_B" in name) and all(
            torch.equal(row.trainable_tokens_delta["default"], row.trainable_tokens_original["default"]) for row in rows
        )

    @contextlib.contextmanager
    def as_reference(self) -> Iterator[None]:
        """Be the reference policy inside the block, without gradients."""
        if self._reference is None:
            raise RuntimeError("freeze_reference() has not been called")
        current = {name: parameter.data for name, parameter in self.trainable().items()}
        try:
            for name, parameter in self.trainable().items():
                parameter.data = self._reference[name].to(parameter.device)
            with torch.no_grad(), self._bare() if self._reference_is_bare else self.merged_adapters():
                yield
        finally:
            for name, parameter in self.trainable().items():
                parameter.data = current[name]

    @contextlib.contextmanager
    def _bare(self) -> Iterator[None]:
        """Be the language model without adapters inside the block."""
        trained = [(parameter, parameter.requires_grad) for parameter in self.language_model.parameters()]

        def enable(enabled: bool) -> None:
            for layer in self.language_model.modules():
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
        """
        layers = [m for m in self.language_model.modules() if isinstance(m, LoraLayer) and not m.merged]
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

    # ---- acting ----

    def enable_attributes(self, statements: Sequence[Attribute]) -> None:
        """Tell the language model which of these statements hold of a picture, by a classifier yet to be trained.

        Raises:
            UserError: a policy without an encoder or without a "query" head.
        """
        if self.image_branch is None or self.image_branch.head is None:
            raise UserError("attributes: need a policy with an encoder (encoder: blazepose) and head.kind query")
        self.image_branch.enable_attributes(len(statements))
        self.image_branch.to(self.head.action_mean.device)
        self.config.attributes = list(statements)
        self.account = AttributeVerbalizer(statements)

    def set_draft_answers(self, answers: Iterable[str]) -> None:
        """Guess the commonest of these answers: sampling one of them takes a few passes, not one for each token."""
        self.config.draft_answers = [answer for answer, _ in Counter(answers).most_common(USUAL)]
        self._guess()

    def _guess(self) -> None:
        self.drafts = DraftTable(self.backbone.answer_ids(answer)[:-1] for answer in self.config.draft_answers)

    @property
    def decoder(self) -> PreTrainedModel:
        return self.backbone.decoder

    @property
    def device(self) -> torch.device:
        return self.head.action_mean.device

    def logits(self, hidden: Tensor) -> Tensor:
        return output_logits(self.backbone.model, hidden)

    def set_feature_cache(self, folder: Path | None) -> None:
        """Keep in a folder what the frozen encoders make of images, by content; None forgets to."""
        self.backbone.memory = FeatureCache(folder)
        if self.image_encoder is not None:
            self.image_encoder.memory = FeatureCache(folder)

    def read(self, query: Any, told: bool = True, mirror: bool = False) -> EncodedPrompt:
        """A prompt (a string, or anything with ``prompt`` and ``image``), as tokens and features.

        Args:
            told: with what is found in the picture, if that is told in words.
            mirror: with what the encoder sees in a mirror; not of features without their picture.

        Raises:
            UserError: an image for a policy without eyes, an unreadable image, or nobody in it.
        """
        prompt, image = (query, None) if isinstance(query, str) else (query.prompt, query.image)
        if image is None:
            return EncodedPrompt(self.backbone.read(prompt))
        if self.image_encoder is None and self.backbone.processor is None:
            raise UserError("images: this policy answers texts only; choose one with an encoder or a vision tower")
        if self.image_encoder is None or self.image_branch is None:
            return EncodedPrompt(self.backbone.read(prompt, _picture(image)))
        look = mirrored = None
        if isinstance(image, EncodedImages):
            seen = image
        elif isinstance(image, Crop):
            seen = self.image_encoder.encode(torch.from_numpy(image.pixels.copy())[None].to(self.device))
            mirrored = self.image_encoder.encode(in_mirror(image.pixels).to(self.device)) if mirror else None
        else:
            look = self.image_encoder.see(image, prompt, mirror)
            seen, mirrored = look.seen, look.mirrored
        picture = None if self.backbone.processor is None or isinstance(image, EncodedImages) else _picture(image)
        seen = seen.to(self.device)
        mirrored = None if mirrored is None else mirrored.to(self.device)
        words = self._attribute_text(prompt, seen, mirrored) if told else ""
        tokens = self.backbone.read(prompt, picture, self.image_branch.count, words)
        memory_end = tokens.sight_at if self.image_branch.head is not None else None
        return EncodedPrompt(tokens, seen, look, memory_end, self.image_branch.count, mirrored)

    def _attribute_text(self, prompt: str, seen: EncodedImages, mirrored: EncodedImages | None) -> str:
        """What is said in words of a picture, N = 1, to a prompt about it."""
        if self.image_branch is None or self.image_branch.attributes is None:
            return ""
        with torch.no_grad():
            logits = self.image_branch.attributes(self.image_branch.joint_features(seen))[0]
            if mirrored is not None:
                in_mirror = self.image_branch.attributes(self.image_branch.joint_features(mirrored))[0]
                logits = (logits + in_mirror[self.account.mirror]) / 2
        return SEEN + self.account.verbalize(prompt, logits.tolist())

    def predict(
        self,
        memory: Tensor,
        mask: Tensor,
        state: Tensor,
        seen: EncodedImages | None = None,
        seen_of: Tensor | None = None,
    ) -> PoseGaussian:
        """The heads' distributions; ``seen_of`` (N,) says which of M pictures each memory is about, -1 for none."""
        if self.image_branch is None or self.image_branch.head is None or seen is None or seen_of is None:
            return self.head(memory, mask, state)
        pictured = seen_of >= 0
        if not pictured.any():
            return self.head(memory, mask, state)
        of_pictures = self.image_branch(memory[pictured], mask[pictured], state[pictured], seen.rows(seen_of[pictured]))
        if pictured.all():
            return of_pictures
        of_texts = self.head(memory[~pictured], mask[~pictured], state[~pictured])
        return PoseGaussian.interleave(pictured, of_texts, of_pictures)

    def fit_action_space(self, poses: Tensor) -> None:
        """Set the centre and spread of the action space from training poses, (N, 22, 3) axis-angle."""
        self.head.fit_action_space(poses)
        if self.image_branch is not None and self.image_branch.head is not None:
            self.image_branch.head.fit_action_space(poses)

    def _prompt(self, reading: EncodedPrompt) -> DecoderInput:
        """What the decoder reads of a prompt."""
        tokens = reading.tokens
        if tokens.image is None and reading.seen is None:
            return DecoderInput(tokens.ids)
        embedded = self.decoder.get_input_embeddings()(torch.tensor([tokens.ids], device=self.device))[0]
        if tokens.image is not None and tokens.image_at is not None:
            embedded[tokens.image_at] = tokens.image.to(embedded)
        if reading.sight and reading.seen is not None and tokens.sight_at is not None and self.image_branch is not None:
            words = self.image_branch.project_to_embeddings(reading.seen)[0]
            embedded[tokens.sight_at : tokens.sight_at + len(words)] = words.to(embedded)
        return DecoderInput(tokens.ids, embedded, tokens.positions, tokens.reach, tokens.image_at, tokens.added)

    @torch.no_grad()
    def rollout(
        self,
        prompts: Sequence[Any],
        answers: int = 1,
        poses: int = 1,
        temperature: float = 1.0,
        seeds: Sequence[int] | int = 0,
        max_new_tokens: int = 48,
        mirror: bool = False,
    ) -> Rollout:
        """Sample ``answers`` texts to every prompt and ``poses`` poses to every text.

        K poses cost K samples of a Gaussian, not K passes of the language model.

        Args:
            prompts: strings, or samples with ``prompt`` and ``image``.
            seeds: one per prompt, or one from which those of the prompts are made. A prompt's seed alone decides what
                is sampled for it, whatever else is in the batch.
            mirror: take the mean of what is seen of a picture directly and in a mirror, as the distribution that
                ``forward`` gives does not.
        """
        seeds = random_streams.one_per_prompt(seeds, len(prompts))
        mirror = mirror and self.image_branch is not None and self.image_branch.head is not None
        readings = [self.read(prompt, mirror=mirror) for prompt in prompts]
        with self.merged_adapters():
            sampled = sample_answers(
                self.decoder,
                self.logits,
                [self._prompt(reading) for reading in readings],
                answers,
                self.backbone.end_tokens,
                self.layer,
                max_new_tokens,
                temperature,
                random_streams.uniform(seeds, answers, max_new_tokens) if temperature else None,
                self._shares(readings, [max_new_tokens] * len(readings)),
                functools.partial(any_rank, device=self.device) if self.is_sharded else bool,
                self.drafts,
                self.recorder if self._can_replay() else None,
                self.backbone.pose_token,
            )
        token = self.backbone.pose_token
        flat = [
            (reading, answer, hidden)
            for reading, group, states in zip(readings, sampled.ids, sampled.hidden, strict=True)
            for answer, hidden in zip(group, states, strict=True)
        ]
        valid = torch.tensor([answer.count(token) == 1 for _, answer, _ in flat], device=self.device)
        memory = [hidden[: self._remembered(reading, answer)][: len(hidden)] for reading, answer, hidden in flat]
        padded = nn.utils.rnn.pad_sequence(memory, batch_first=True)  # (N, S, H)
        lengths = torch.tensor([len(states) for states in memory], device=self.device)
        mask = torch.arange(padded.shape[1], device=self.device) < lengths[:, None]
        state = padded[torch.arange(len(memory), device=self.device), lengths - 1]
        seen = gather([reading.seen for reading in readings])
        gaussian = self.predict(padded, mask, state, seen, seen_numbers(readings).repeat_interleave(answers))
        if mirrored := gather([reading.mirrored for reading in readings]):
            has = torch.tensor([reading.mirrored is not None for reading in readings])
            number, rows = numbered(has).repeat_interleave(answers), has.repeat_interleave(answers).to(self.device)
            other = self.predict(padded[rows], mask[rows], state[rows], mirrored, number[number >= 0].to(self.device))
            mean = gaussian.mean.clone()
            mean[rows] = (mean[rows] + self.head.mirrored(other.mean)) / 2
            gaussian = PoseGaussian(mean, gaussian.scale_tril)
        if self.head.is_deterministic or temperature == 0:
            drawn = torch.zeros(len(flat), poses, gaussian.mean.shape[1])
        else:
            drawn = random_streams.normal(seeds, answers, poses, gaussian.mean.shape[1]).flatten(0, 1) * temperature
        action = gaussian.from_noise(drawn)
        shape = (len(prompts), answers)
        return Rollout(
            readings=readings,
            answer_ids=sampled.ids,
            texts=[[self.backbone.text(answer) for answer in group] for group in sampled.ids],
            valid=valid.view(shape),
            action=action.unflatten(0, shape),
            logp_text=sampled.logp,
            logp_pose=gaussian.log_prob(action).sum(dim=-1).unflatten(0, shape),
        )

    def _can_replay(self) -> bool:
        """Whether one GPU has all of the language model."""
        if self.device.type != "cuda" or self.is_sharded:
            return False
        return all(weight.device == self.device for weight in self.decoder.parameters())

    def _remembered(self, reading: EncodedPrompt, answer: list[int]) -> int:
        """How many tokens of prompt and answer the pose head looks at; one without a ``<POSE>``, as in ``forward``."""
        if reading.memory_end is not None:
            return reading.memory_end
        token = self.backbone.pose_token
        return len(reading.tokens.ids) + answer.index(token) + 1 if token in answer else 1

    def generate(
        self,
        prompts: Sequence[str],
        images: Sequence[Any] | None = None,
        num_samples: int = 1,
        temperature: float = 1.0,
        seed: int | Sequence[int] = 0,
        max_new_tokens: int = 48,
        batch_size: int = 32,
    ) -> list[list[Answer]]:
        """Answer every prompt ``num_samples`` times, in words and with a pose.

        Args:
            prompts: what users say.
            images: one per prompt: a PIL image, a path, a ``Crop`` around one person (the pose is then in its frame) or
                None.
            temperature: of the words and of the pose; 0 gives the likeliest words and the mean pose.
            seed: the same seed gives the same answers to the same prompts, whatever ``batch_size``. A list holds one
                for each prompt, which is answered as it would be alone with that seed.

        Raises:
            UserError: an image for a policy without eyes, an unreadable image or nobody in it, an empty prompt, not as
                many images as prompts, or a number out of range.
        """
        if isinstance(prompts, str):
            raise UserError("prompts: give a list of strings, not one string")
        if num_samples < 1 or temperature < 0 or max_new_tokens < 1:
            raise UserError(
                "num_samples and max_new_tokens must be at least 1 and temperature at least 0, "
                f"not {num_samples}, {max_new_tokens}, {temperature}"
            )
        if any(not prompt.strip() for prompt in prompts):
            raise UserError("prompts: a prompt is empty; say what pose you want")
        if images is not None and len(images) != len(prompts):
            raise UserError(f"images: {len(images)} for {len(prompts)} prompts; give one for each, or None")
        queries = [
            PromptInput(prompt, image) for prompt, image in zip(prompts, images or [None] * len(prompts), strict=True)
        ]
        if isinstance(seed, int):
            seeds = random_streams.prompt_seeds(seed, 0, range(len(prompts)))
        elif len(seed) == len(prompts):
            seeds = [random_streams.prompt_seeds(own, 0, [0])[0] for own in seed]
        else:
            raise UserError(f"seed: {len(seed)} for {len(prompts)} prompts; give one number, or one for each prompt")
        result: list[list[Answer]] = []
        with self.merged_adapters():  # once for all batches
            for start in range(0, len(prompts), batch_size):
                batch = queries[start : start + batch_size]
                # At temperature 0 all samples are the same: decode once.
                distinct = num_samples if temperature > 0 else 1
                rollout = self.rollout(
                    batch,
                    distinct,
                    1,
                    temperature,
                    seeds[start : start + batch_size],
                    max_new_tokens,
                    self.config.mirror,
                )
                rotations = self.head.to_rotations(rollout.action[:, :, 0]).cpu()  # (B, G, 22, 3, 3)
                for b, reading in enumerate(rollout.readings):
                    if reading.look is not None:
                        rotations[b, :, 0] = reading.look.turn @ rotations[b, :, 0]
                poses = roma.rotmat_to_rotvec(rotations)
                for b in range(len(batch)):
                    group = [self._answer(rollout, poses, b, g) for g in range(distinct)]
                    result.append(group if distinct == num_samples else group * num_samples)
        return result

    def _answer(self, rollout: Rollout, poses: Tensor, b: int, g: int) -> Answer:
        valid, look = bool(rollout.valid[b, g]), rollout.readings[b].look
        return Answer(
            text=rollout.texts[b][g],
            valid=valid,
            pose=Pose.from_axis_angle(poses[b, g]) if valid else None,
            logp_text=sum(rollout.logp_text[b][g]),
            logp_pose=float(rollout.logp_pose[b, g, 0]) if valid else None,
            camera=look.camera(poses[b, g].numpy()) if valid and look is not None else None,
            photograph=look.picture if look is not None else None,
        )

    # ---- scoring, with gradients ----

    def pack(self, rollout: Rollout, row_tokens: int = 512) -> PackedPrompts:
        """The shared-prefix layout of a rollout."""
        return self.pack_answers(rollout.readings, rollout.answer_ids, row_tokens)

    def pack_answers(
        self, readings: Sequence[EncodedPrompt], answers: Sequence[Sequence[Sequence[int]]], row_tokens: int
    ) -> PackedPrompts:
        """The layout of prompts, each with its answers."""
        behind = [max(map(len, group)) for group in answers]
        share = self._shares(readings, behind)
        return pack_prompts(readings, answers, self.backbone.pose_token, row_tokens, share)

    def _shares(self, readings: Sequence[EncodedPrompt], behind: Sequence[int]) -> bool:
        """Whether prompts are shared by answers of so many tokens: none may be longer than what a layer looks at."""
        longest = max(len(reading.tokens.ids) + count for reading, count in zip(readings, behind, strict=True))
        if self.supports_prefix_sharing and longest > self.window:
            _warn_once(
                f"{self.config.backbone} has layers that look {self.window} tokens back, fewer than a prompt and an "
                "answer have: every answer to it gets a copy of its prompt, which is right but slower"
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
            alone = self._hidden_states(pack_groups([[1, 2]], answers, -1, share_prompts=False).to(self.device))[0]
            try:
                shared = self._hidden_states(pack_groups([[1, 2]], answers, -1).to(self.device))[0]
            except Exception as error:  # whatever a foreign model raises at a mask it does not know
                difference, reason = float("inf"), str(error).strip().partition("\n")[0] or type(error).__name__
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
            self.config.backbone,
            reason,
        )
        return False

    def forward(self, packed: PackedGroups) -> Scores:
        """Log-probabilities of the layout's answers, and their pose distributions."""
        last, read = self._hidden_states(packed)
        where = packed.target_mask
        logp_text = last.new_zeros(packed.targets.shape, dtype=torch.float32)
        logp = torch.log_softmax(self.logits(last[packed.predictors[where]]), dim=-1)  # only the answers' tokens
        logp_text[where] = logp.gather(1, packed.targets[where][:, None])[:, 0]
        rows = packed.has_action.nonzero()[:, 0]  # nobody looks at the others' distributions
        if not len(rows):  # the head always has a gradient: processes add theirs up
            rows = rows.new_zeros(1)
        # An answer without <POSE> has an empty memory, over which attention is undefined: it looks at one token.
        memory_mask = packed.memory_mask[rows]
        memory_mask[:, 0] |= ~packed.has_action[rows]
        seen, seen_of = (packed.seen, packed.seen_of[rows]) if isinstance(packed, PackedPrompts) else (None, None)
        pose = self.predict(read[packed.memory[rows]], memory_mask, read[packed.action[rows]], seen, seen_of)
        return Scores(logp_text, pose.scatter(rows, len(packed.has_action)))

    def hidden_states(self, packed: PackedGroups) -> Tensor:
        """(R * L, H) the states of the layout's tokens that the pose head reads; layers above it are not run."""
        with _first_layers(self.decoder, self.layer + 1):
            return self._hidden_states(packed)[1]

    def _hidden_states(self, packed: PackedGroups) -> tuple[Tensor, Tensor]:
        """Last and read hidden states, both (R * L, H)."""
        dtype = self.language_model.dtype
        # The adapters are kept in float32 and multiplied in the language model's precision.
        mixed = dtype != torch.float32 and torch.is_grad_enabled()
        with (
            torch.autocast(self.device.type, dtype if mixed else None, enabled=mixed),
            inputs_uncast(self.language_model) if mixed else contextlib.nullcontext(),
        ):
            states = self.decoder(
                **self._inputs(packed),
                attention_mask=additive_mask(packed.attention, dtype) if packed.attention is not None else None,
                position_ids=packed.position_ids,
                use_cache=False,
                output_hidden_states=True,
            )
        return states.last_hidden_state.flatten(0, 1), states.hidden_states[self.layer].flatten(0, 1)

    def _inputs(self, packed: PackedGroups) -> dict[str, Any]:
        """Tokens, or their embeddings where some stand for an image, and what the first layers add to those."""
        if not isinstance(packed, PackedPrompts) or (packed.image is None and packed.seen is None):
            return {"input_ids": packed.input_ids}
        table = self.decoder.get_input_embeddings()(packed.input_ids)  # (R, L, H)
        flat = table.flatten(0, 1)
        if packed.image is not None:
            flat = flat.index_copy(0, packed.image_at, packed.image.to(flat))
        if packed.seen is not None and self.image_branch is not None and len(packed.sight_at):
            words = self.image_branch.project_to_embeddings(packed.seen)[packed.sight_of]  # (Q, T, H)
            flat = flat.index_copy(0, packed.sight_at.flatten(), words.flatten(0, 1).to(flat))
        return {"inputs_embeds": flat.view_as(table)} | added_in_layers(
            (table.shape[0], table.shape[1]), packed.image_at, packed.added
        )


@functools.cache
def _warn_once(message: str) -> None:
    logger.warning(message)


def _picture(image: Any) -> Image:
    """RGB, of a file, a picture or what was cut out of one."""
    return fromarray(image.pixels) if isinstance(image, Crop) else read_image(image)


def _targets(backbone: Backbone, lora: LoraSettings) -> str | list[str]:
    """The adapted modules. Of an image-text model those of its language model: its vision stays as it is."""
    if backbone.processor is None or lora.targets != "all-linear":
        return lora.targets
    prefix = next(name for name, module in backbone.model.named_modules() if module is backbone.decoder)
    inside = backbone.decoder.named_modules()
    return [f"{prefix}.{name}" for name, module in inside if isinstance(module, nn.Linear)]


def _layers_below(layer: int) -> str | None:
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


def _stored(tensor: Tensor, dtype: torch.dtype | None) -> Tensor:
    tensor = tensor.detach().cpu().contiguous()
    return tensor.to(dtype) if dtype is not None else tensor.clone()


def _brief(error: Exception) -> str:
    """One line of an error; torch's heading of a list of mismatches says less than its first entry."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
    return lines[1] if len(lines) > 1 and lines[0].endswith(":") else lines[0]


def _is_path(name: str) -> bool:
    """Whether a name is meant as a place on this disk and not as a Hugging Face id, owner/name."""
    return name.count("/") > 1 or name.startswith((".", "/", "~")) or Path(name).parent.is_dir()


def _download(name: str) -> Path | None:
    """The local copy of a policy on the Hugging Face hub, or None if there is no policy of that name."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    try:
        return Path(snapshot_download(name, allow_patterns=[POLICY_FILE, HEAD_FILE, ADAPTER_FILE, IMAGE_BRANCH_FILE]))
    except (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OSError):
        return None


def _read_config(path: Path) -> PolicyConfig:
    try:
        document = json.loads(path.read_text())
        attributes = document.get("attributes", [])
        if any(isinstance(said, str) for said in attributes):
            raise UserError(
                f"{path}: its attributes are of an older version; train them again (attributes.steps of sft)"
            )
        return PolicyConfig(
            backbone=document["backbone"],
            layer=document["layer"],
            head=HeadConfig(**document["head"]),
            lora=LoraSettings(**document["lora"]),
            encoder=document.get("encoder"),
            image_head=HeadConfig(**document["image_head"]) if document.get("image_head") else None,
            attributes=[Attribute(**said | {"questions": tuple(said["questions"])}) for said in attributes],
            mirror=document.get("mirror", False),
            draft_answers=document.get("draft_answers", []),
        )
    except (OSError, json.JSONDecodeError, KeyError, TypeError) as error:
        raise UserError(f"{path}: not a policy description ({error})") from error
