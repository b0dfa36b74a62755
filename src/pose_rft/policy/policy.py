"""PosePolicy: a language model and a pose head that act as one policy ``pi(text, pose | prompt)``."""

import contextlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor, nn

from pose_rft.data.questions.attributes import Attribute
from pose_rft.data.sample import Sample
from pose_rft.devices import best_dtype
from pose_rft.errors import UserError
from pose_rft.generation import random_streams
from pose_rft.generation.packing import PackedGroups
from pose_rft.policy.arguments import AnyPose, check_counts, check_temperature, checked_seeds, prompt_inputs
from pose_rft.policy.backbone import Backbone, load_backbone
from pose_rft.policy.checkpoint import (
    find_checkpoint,
    load_checkpoint,
    read_attributes,
    read_policy_config,
    save_checkpoint,
    with_other_parts,
)
from pose_rft.policy.config import LoraSettings, PolicyConfig
from pose_rft.policy.editing import best_edits
from pose_rft.policy.image_branch import NO_IMAGE_HEAD, ImageBranch, ImageMode
from pose_rft.policy.input_embeddings import PackedPrompts, decoder_input, pack_prompts, packed_insertions
from pose_rft.policy.language_model import LanguageModel
from pose_rft.policy.mixture import PoseDistribution
from pose_rft.policy.notes import note_answers
from pose_rft.policy.outputs import Answer, Rollout, Scores, answers_of
from pose_rft.policy.pose_branch import GivenPoses, PoseBranch, PoseBranchConfig
from pose_rft.policy.pose_head import HeadConfig, PoseHead, make_pose_head
from pose_rft.policy.pose_prediction import poses_of_answers, predict_poses
from pose_rft.policy.prompt_encoder import EncodedPrompt, PromptInput, encode_prompt
from pose_rft.policy.reference import ReferencePolicy
from pose_rft.policy.selection import CANDIDATES, candidate_temperatures, with_chosen_poses
from pose_rft.policy.short_answer import short_answers
from pose_rft.vision.crops import Crop
from pose_rft.vision.detector import Box
from pose_rft.vision.encoded_images import EncodedImages
from pose_rft.vision.feature_cache import FeatureCache
from pose_rft.vision.image_encoder import load_image_encoder
from pose_rft.vision.images import Picture

Prompt = str | PromptInput | Sample


class PosePolicy(nn.Module):
    """A hybrid policy over text tokens and poses.

    The language model is frozen; its LoRA adapters, the ``<POSE>`` embedding, pose heads and branches are trained.

    Attributes:
        language_model: the frozen model with its adapters.
        head: poses of texts.
        image_branch: the pose-aware encoder and what is trained on its features, or None.
        pose_branch: what reads given poses and answers to prompts with them, or None.
    """

    def __init__(self, config: PolicyConfig, backbone: Backbone, attributes: Sequence[Attribute] = ()) -> None:
        super().__init__()
        self.config = replace(config)  # its own: transformers' Trainer writes into a model's config
        with torch.random.fork_rng(devices=[]):  # an untrained policy must not depend on what ran before
            torch.manual_seed(0)
            self.language_model = LanguageModel(backbone, config.lora, config.layer_of(backbone.num_layers))
            encoder = load_image_encoder(config.encoder) if config.encoder else None
            self.head = make_pose_head(backbone.hidden_size, config.head)
            hidden, of_images, of_poses = backbone.hidden_size, config.effective_image_head, config.effective_pose_head
            self.image_branch = None if encoder is None else ImageBranch(encoder, hidden, of_images)
            self.pose_branch = PoseBranch(hidden, config.pose_branch, of_poses) if config.pose_branch else None
            if attributes:
                self.enable_attributes(attributes)
        mixtures = any(head.gives_mixtures for head in self.heads)
        for head in self.heads:  # what answers in one batch is of one kind
            head.gives_mixtures = mixtures
        self._reference: ReferencePolicy | None = None

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
        text_head: HeadConfig | None = None,
        adapters_from: int | None = None,
        pose_branch: PoseBranchConfig | None = None,
    ) -> "PosePolicy":
        """Load a trained policy, or start an untrained one on a language model.

        Args:
            name: "default"; a directory that ``save_pretrained`` wrote; a Hugging Face id of such a directory; or a
                backbone (preset, directory, id), which gives a policy whose adapters and pose head are untrained.
            dtype: of the frozen language model; None takes bfloat16 where the device computes in it, else float32.
            encoder: a pose-aware image encoder for a policy that was trained without one: what is trained on it is
                untrained, all else is as it was. None takes the policy's own.
            shard: share the language model out among all processes of a run, which then act and score together.
            image_head: a pose head of pictures of another shape than the policy's own, which it replaces, and all
                that is trained on its features: untrained.
            text_head: likewise of texts; its action space, the pose head of pictures and the words stay.
            adapters_from: the first layer with adapters; those below the policy's own are untrained and do nothing yet.
            pose_branch: reads given poses, for a policy without one or with one of another shape: untrained.

        Raises:
            UserError: nothing of that name, a checkpoint that does not fit its backbone, or nobody to share it with.
        """
        directory = find_checkpoint(name)
        if directory is None:
            head, lora = text_head or HeadConfig(), LoraSettings(from_layer=adapters_from or 0)
            new = PolicyConfig(str(name), -1, head, lora, encoder, image_head, pose_branch=pose_branch)
            return cls.create(new, device, dtype, shard)
        kept = read_policy_config(directory)
        config = with_other_parts(kept, encoder, image_head, text_head, adapters_from, pose_branch)
        untrained = config.encoder is not None and (
            kept.encoder is None or config.effective_image_head != kept.effective_image_head
        )
        policy = cls.create(config, device, dtype, shard, [] if untrained else read_attributes(directory))
        new_poses = kept.pose_branch != config.pose_branch
        load_checkpoint(
            directory, *policy._parts, untrained, text_head is not None, adapters_from is not None, new_poses
        )
        return policy

    @classmethod
    def create(
        cls,
        config: PolicyConfig,
        device: str | torch.device = "cpu",
        dtype: torch.dtype | None = None,
        shard: bool = False,
        attributes: Sequence[Attribute] = (),
    ) -> "PosePolicy":
        """An untrained policy; arguments as for ``from_pretrained`` and ``enable_attributes``."""
        policy = cls(config, load_backbone(config.backbone, dtype or best_dtype(device)), attributes)
        if shard:
            policy.language_model.shard(device)
        policy = policy.to(device).eval()
        if shard:
            _ = policy.language_model.supports_prefix_sharing  # found by running it: now, while all processes are here
        return policy

    def save_pretrained(self, directory: str | Path, dtype: torch.dtype | None = None) -> None:
        """Write the policy as JSON and safetensors, adapters in peft's format, all or nothing.

        Args:
            dtype: store weights in this precision (float16 halves the size); None keeps float32.
        """
        save_checkpoint(Path(directory), self.config, *self._parts, dtype)

    def load_weights(self, directory: Path) -> None:
        """Take over the weights of a checkpoint of this policy; errors as for ``load_checkpoint``."""
        load_checkpoint(directory, *self._parts)

    # ---- what it is and knows ----
    @property
    def _parts(self) -> tuple[LanguageModel, PoseHead, ImageBranch | None, PoseBranch | None]:
        return self.language_model, self.head, self.image_branch, self.pose_branch

    @property
    def heads(self) -> list[PoseHead]:
        """That of texts, and those of pictures and of given poses where there are."""
        heads = [part.head for part in (self.image_branch, self.pose_branch) if part is not None]
        return [self.head, *(head for head in heads if head is not None)]

    @property
    def backbone(self) -> Backbone:
        return self.language_model.backbone

    @property
    def device(self) -> torch.device:
        return self.head.action_mean.device

    @property
    def image_mode(self) -> ImageMode:
        if self.image_branch is not None:
            return self.image_branch.mode
        return ImageMode.VISION_TOWER if self.backbone.has_vision else ImageMode.NONE

    @property
    def adapters_reach_head(self) -> bool:
        """Whether the adapters change what the pose head reads of a prompt."""
        return self.config.lora.from_layer < self.language_model.layer

    def trainable(self) -> dict[str, nn.Parameter]:
        return {name: parameter for name, parameter in self.named_parameters() if parameter.requires_grad}

    def enable_attributes(self, attributes: Sequence[Attribute]) -> None:
        """Tell the language model which of these hold of a picture, by a classifier yet to be trained.

        Raises:
            UserError: a policy without an encoder or without a "query" head.
        """
        if self.image_branch is None:
            raise UserError(NO_IMAGE_HEAD)
        self.image_branch.enable_attributes(attributes)

    def set_draft_answers(self, answers: Iterable[str]) -> None:
        """Guess these answers from now on, the commonest first: sampling one of them takes a few passes."""
        self.language_model.set_draft_answers(answers)

    def set_feature_cache(self, folder: Path | None) -> None:
        """Keep in a folder what the frozen encoders make of images, by content; None forgets to."""
        self.backbone.cache = FeatureCache(folder)
        if self.image_branch is not None:
            self.image_branch.encoder.cache = FeatureCache(folder)

    def fit_action_space(self, poses: Tensor) -> None:
        """Set mean and standard deviation of the action space from training poses, (N, 22, 3) axis-angle."""
        for head in self.heads:
            head.fit_action_space(poses)

    def merged_adapters(self) -> contextlib.AbstractContextManager[None]:
        """See ``LanguageModel.merged_adapters``."""
        return self.language_model.merged_adapters()

    # ---- the reference policy ----
    def freeze_reference(self) -> None:
        """Remember the present weights as the reference policy that KL terms pull towards."""
        self._reference = ReferencePolicy(self.language_model, self.trainable().values())

    def as_reference(self) -> contextlib.AbstractContextManager[None]:
        """Be the reference policy inside the block, without gradients."""
        if self._reference is None:
            raise RuntimeError("freeze_reference() has not been called")
        return self._reference.in_place()

    # ---- acting ----
    def encode(self, prompt: Prompt, with_attributes: bool = True, flip: bool = False) -> EncodedPrompt:
        """A prompt as tokens and features; arguments and errors as for ``encode_prompt``."""
        return encode_prompt(prompt, self.backbone, self.image_branch, self.pose_branch, with_attributes, flip)

    @torch.no_grad()
    def rollout(
        self,
        prompts: Sequence[Prompt],
        num_answers: int = 1,
        num_poses: int = 1,
        temperature: float = 1.0,
        seeds: Sequence[int] | int = 0,
        max_new_tokens: int = 48,
        flip: bool = False,
        before_pass: Callable[[], None] | None = None,
        pose_temperatures: Tensor | None = None,
        words: bool = True,
    ) -> Rollout:
        """Sample ``num_answers`` texts to every prompt and, at no pass more, ``num_poses`` poses to every text.

        Args:
            seeds: one per prompt, or one from which those of the prompts are made. A prompt's seed alone decides what
                is sampled for it, whatever else is in the batch.
            flip: take the mean of the features of a picture and of the flipped picture, as the distribution that
                ``forward`` gives does not.
            before_pass: as for ``generate``.
            pose_temperatures: (K,) of the poses of a text, where they are not that of the words.
            words: False takes ``SHORT_ANSWER`` as given and samples poses alone.
        """
        check_counts(num_answers=num_answers, num_poses=num_poses, max_new_tokens=max_new_tokens)
        check_temperature(temperature)
        seeds = random_streams.one_per_prompt(checked_seeds(seeds, len(prompts)), len(prompts))
        flip = flip and self.image_branch is not None and self.image_branch.has_head
        encoded = [self.encode(prompt, flip=flip) for prompt in prompts]
        if words:
            uniform = random_streams.uniform(seeds, num_answers, max_new_tokens) if temperature else None
            branches = (self.image_branch, self.pose_branch)
            inputs = [decoder_input(self.language_model.decoder, each, *branches) for each in encoded]
            sampled = self.language_model.sample(inputs, num_answers, max_new_tokens, temperature, uniform, before_pass)
        else:
            sampled = short_answers(self, encoded, num_answers)
        token = self.backbone.pose_token
        distribution = poses_of_answers(self, encoded, sampled, token)
        noise = random_streams.normal(seeds, num_answers, num_poses, distribution.noise_size).flatten(0, 1)
        scale = temperature if pose_temperatures is None else pose_temperatures[:, None]
        action = distribution.from_noise(noise, 0.0 if self.head.is_deterministic else scale)
        shape = (len(prompts), num_answers)
        return Rollout(
            encoded_prompts=encoded,
            answer_ids=sampled.ids,
            texts=[[self.backbone.text(answer) for answer in group] for group in sampled.ids],
            valid=torch.tensor([[a.count(token) == 1 for a in group] for group in sampled.ids], device=self.device),
            action=action.unflatten(0, shape),
            logp_text=sampled.logp,
            logp_pose=distribution.log_prob(action).sum(dim=-1).unflatten(0, shape),
        )

    def predict(
        self,
        memory: Tensor,
        mask: Tensor,
        state: Tensor,
        images: EncodedImages | None = None,
        image_of: Tensor | None = None,
        given: GivenPoses | None = None,
    ) -> PoseDistribution:
        """The heads' distributions; arguments as for ``predict_poses``."""
        return predict_poses(self, memory, mask, state, images, image_of, given)

    def generate(
        self,
        prompts: Sequence[str],
        images: Sequence[Picture | Crop | None] | None = None,
        num_samples: int = 1,
        temperature: float = 1.0,
        seed: int | Sequence[int] = 0,
        max_new_tokens: int = 48,
        batch_size: int = 32,
        boxes: Sequence[Box | None] | None = None,
        before_pass: Callable[[], None] | None = None,
        best_of: int | None = None,
        words: bool = True,
        settle: bool = True,
        poses: Sequence[AnyPose | Sequence[AnyPose] | None] | None = None,
    ) -> list[list[Answer]]:
        """Answer every prompt ``num_samples`` times, in words and with a pose.

        Args:
            prompts: what users say; read as ``plain_prompt`` has it.
            images: one per prompt: what ``vision.read_image`` takes, a ``Crop`` around one person (the pose is then in
                its frame) or None.
            temperature: of the words and of the pose; 0 gives the likeliest words and the mean pose.
            seed: not negative; the same seed gives the same answers to the same prompts, whatever ``batch_size``. A
                list holds one for each prompt, which is answered as it would be alone with that seed.
            boxes: one per prompt around the person who is meant, left, top, right, bottom in the upright photograph's
                pixels, or None.
            before_pass: called before every pass of the language model; what it raises ends the call.
            best_of: how many poses are sampled for an answer to a text, of which it takes the one that does what the
                words say (``choose_poses``); 1 takes what is sampled first. None samples ``CANDIDATES`` where the
                temperature is above 0. At temperature 0, and about pictures, nothing is chosen.
            words: False answers every prompt with ``SHORT_ANSWER``, which is not sampled, and a pose.
            settle: False leaves poses of texts as they were sampled; see ``posescript.settling``.
            poses: one per prompt, a list of them or None: what the ``<input_pose>`` in it stand for, in order.

        Raises:
            UserError: an image for a policy of texts, an unreadable one or nobody in it, an empty or too long prompt,
                not as many images, boxes or poses as prompts or as places for them, or a number out of range.
        """
        inputs = prompt_inputs(prompts, images, boxes, poses, self.backbone.is_word)
        self.language_model.check_lengths([each.prompt for each in inputs], max_new_tokens)
        candidates = CANDIDATES if best_of is None else best_of
        check_counts(num_samples=num_samples, max_new_tokens=max_new_tokens, batch_size=batch_size, best_of=candidates)
        check_temperature(temperature)
        candidates = 1 if temperature == 0 or self.head.is_deterministic else candidates
        seeds = random_streams.generation_seeds(checked_seeds(seed, len(inputs)), len(inputs))
        distinct = num_samples if temperature > 0 else 1  # at temperature 0 all samples are the same: decode once
        result: list[list[Answer]] = []
        with self.merged_adapters():  # once for all batches
            for start in range(0, len(inputs), batch_size):
                batch, flip = slice(start, start + batch_size), self.config.flip_augmentation
                asked, own = inputs[batch], seeds[batch]
                how = (candidates, temperature, own, max_new_tokens, flip, before_pass)
                drawn = self.rollout(asked, distinct, *how, candidate_temperatures(temperature, candidates), words)
                rollout, rotations = with_chosen_poses(drawn, self.head.to_rotations(drawn.action), asked, settle)
                groups = note_answers(answers_of(rollout, rotations), asked, rollout, self.image_branch)
                result += [group * (num_samples // distinct) for group in groups]
        return result

    edit = best_edits  # a given pose, changed by an order in words

    # ---- scoring, with gradients ----
    def pack(self, rollout: Rollout, row_tokens: int = 512) -> PackedPrompts:
        """The shared-prefix layout of a rollout."""
        return self.pack_answers(rollout.encoded_prompts, rollout.answer_ids, row_tokens)

    def pack_answers(
        self, prompts: Sequence[EncodedPrompt], answers: Sequence[Sequence[Sequence[int]]], row_tokens: int
    ) -> PackedPrompts:
        """The layout of prompts, each with its answers."""
        lengths = [len(p.tokens.ids) + max(map(len, group)) for p, group in zip(prompts, answers, strict=True)]
        shares = self.language_model.shares_prefixes(lengths)
        return pack_prompts(prompts, answers, self.backbone.pose_token, row_tokens, shares)

    def forward(self, packed: PackedGroups, temperature: float = 1.0) -> Scores:
        """Log-probabilities of the layout's answers and their pose distributions, as sampled at a temperature."""
        last, read = self.language_model(packed, packed_insertions(packed, self.image_branch, self.pose_branch))
        mask = packed.target_mask
        logp_text = last.new_zeros(packed.targets.shape, dtype=torch.float32)
        logits = self.language_model.logits(last[packed.predictors[mask]])  # only the answers' tokens
        if temperature != 1:  # a copy as wide as the vocabulary
            logits = logits / temperature
        logp_text[mask] = torch.log_softmax(logits, dim=-1).gather(1, packed.targets[mask][:, None])[:, 0]
        rows = packed.has_action.nonzero()[:, 0]  # the others' distributions are not read
        if not len(rows):  # the head always has a gradient: processes add theirs up
            rows = rows.new_zeros(1)
        # An answer without <POSE> has an empty memory, over which attention is undefined: it attends to one token.
        memory_mask = packed.memory_mask[rows]
        memory_mask[:, 0] |= ~packed.has_action[rows]
        about = packed.what_answers_are_about(rows) if isinstance(packed, PackedPrompts) else ()
        pose = self.predict(read[packed.memory[rows]], memory_mask, read[packed.action[rows]], *about)
        return Scores(logp_text, pose.tempered(temperature).scatter(rows, len(packed.has_action)))

    def hidden_states(self, packed: PackedGroups) -> Tensor:
        """(R * L, H) the states of the layout's tokens that the pose head reads; layers above it are not run."""
        return self.language_model.read_states(packed, packed_insertions(packed, self.image_branch, self.pose_branch))
