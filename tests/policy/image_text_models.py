"""Small image-text models made from configs, with processors that lay pictures out as the real ones do."""

from collections.abc import Callable
from pathlib import Path

import torch
from transformers import (
    BatchFeature,
    CLIPImageProcessor,
    CLIPVisionConfig,
    Gemma3Config,
    Gemma3ForConditionalGeneration,
    Gemma3Processor,
    LlamaConfig,
    LlavaConfig,
    LlavaForConditionalGeneration,
    LlavaOnevisionConfig,
    LlavaOnevisionForConditionalGeneration,
    LlavaOnevisionProcessor,
    LlavaProcessor,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    Qwen2_5_VLConfig,
    Qwen2_5_VLForConditionalGeneration,
    Qwen2Config,
    Qwen3VLConfig,
    Qwen3VLForConditionalGeneration,
    SiglipVisionConfig,
    SmolVLMConfig,
    SmolVLMForConditionalGeneration,
    SmolVLMProcessor,
)
from transformers.models.gemma3.image_processing_pil_gemma3 import Gemma3ImageProcessorPil
from transformers.models.llava_onevision.image_processing_pil_llava_onevision import LlavaOnevisionImageProcessorPil
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil
from transformers.models.smolvlm import processing_smolvlm
from transformers.models.smolvlm.image_processing_pil_smolvlm import SmolVLMImageProcessorPil

from pose_rft.policy.backbone import Backbone, load_backbone

TEXT = {
    "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 3, "num_attention_heads": 4,
    "num_key_value_heads": 2, "max_position_embeddings": 1024, "tie_word_embeddings": True, "eos_token_id": 0,
    "bos_token_id": 1, "initializer_range": 0.3,
}  # fmt: skip
TEMPLATE = (
    "{% for message in messages %}<|start|>{{ message['role'] }}\n{% for part in message['content'] %}"
    "{% if part['type'] == 'image' %}IMAGE{% else %}{{ part['text'] }}{% endif %}{% endfor %}<|end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|start|>assistant\n{% endif %}"
)
SIGLIP = {
    "hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "image_size": 28,
    "patch_size": 14, "vision_use_head": False,
}  # fmt: skip
QWEN_TOKENS = ("<|image_pad|>", "<|video_pad|>", "<|vision_start|>", "<|vision_end|>")


class WithoutVideos:
    """A processor without its part for videos, which needs torchvision."""

    def check_argument_for_proper_class(self, argument_name, argument) -> None:
        pass


class OnevisionProcessor(WithoutVideos, LlavaOnevisionProcessor):
    pass


class SmolProcessor(WithoutVideos, SmolVLMProcessor):
    def apply_chat_template(self, conversation, **options) -> str:  # SmolVLM's asks how many frames its videos have
        return self.tokenizer.apply_chat_template(conversation, chat_template=self.chat_template, **options)


def llava(directory: Path, byte_tokenizer: Callable) -> Backbone:
    """A LLaVA that reads a picture as four tokens."""
    tokenizer = with_tokens(byte_tokenizer(directory), "<image>")
    vision = CLIPVisionConfig(
        hidden_size=16, intermediate_size=32, num_hidden_layers=2, num_attention_heads=2, image_size=28, patch_size=14
    )
    config = LlavaConfig(
        vision_config=vision,
        text_config=LlamaConfig(vocab_size=len(tokenizer), **TEXT),
        image_token_index=tokenizer.convert_tokens_to_ids("<image>"),
        vision_feature_layer=-1,
        tie_word_embeddings=True,
    )
    torch.manual_seed(0)
    LlavaForConditionalGeneration(config).save_pretrained(directory)
    pictures = CLIPImageProcessor(size={"shortest_edge": 28}, crop_size={"height": 28, "width": 28})
    LlavaProcessor(
        pictures, tokenizer, patch_size=14, vision_feature_select_strategy="default", image_token="<image>",
        num_additional_image_tokens=1, chat_template=TEMPLATE.replace("IMAGE", "<image>"),
    ).save_pretrained(directory)  # fmt: skip
    return load_backbone(str(directory))


def onevision(directory: Path, byte_tokenizer: Callable) -> Backbone:
    """A LLaVA-OneVision: a picture in tiles, with a token at the end of each line of patches."""
    tokenizer = with_tokens(byte_tokenizer(directory), "<image>", "<video>", "<POSE>")
    tiles = [[28, 28], [28, 56], [56, 28]]
    config = LlavaOnevisionConfig(
        vision_config=SiglipVisionConfig(**SIGLIP),
        text_config=Qwen2Config(vocab_size=len(tokenizer), **TEXT),
        image_token_index=tokenizer.convert_tokens_to_ids("<image>"),
        video_token_index=tokenizer.convert_tokens_to_ids("<video>"),
        image_grid_pinpoints=tiles,
        tie_word_embeddings=True,
    )
    pictures = LlavaOnevisionImageProcessorPil(size={"height": 28, "width": 28}, image_grid_pinpoints=tiles)
    processor = OnevisionProcessor(
        pictures, tokenizer, None, num_image_tokens=4, vision_feature_select_strategy="full",
        chat_template=TEMPLATE.replace("IMAGE", "<image>"),
    )  # fmt: skip
    return small(LlavaOnevisionForConditionalGeneration, config, tokenizer, processor)


def smolvlm(directory: Path, byte_tokenizer: Callable) -> Backbone:
    """A SmolVLM: a picture in crops, each behind tokens that name its row and column."""
    named = ["<image>", "<fake_token_around_image>", "<global-img>", "<end_of_utterance>", "<POSE>"]
    tokenizer = with_tokens(byte_tokenizer(directory), *named, *(f"<row_{r}_col_{c}>" for r in (1, 2) for c in (1, 2)))
    config = SmolVLMConfig(
        vision_config={**SIGLIP, "image_size": 28, "patch_size": 7},
        text_config={"model_type": "llama", "vocab_size": len(tokenizer), **TEXT, "pad_token_id": 0},
        image_token_id=tokenizer.convert_tokens_to_ids("<image>"),
        scale_factor=2,
        tie_word_embeddings=True,
        pad_token_id=0,
    )
    processing_smolvlm.num2words = str  # a package that says numbers of frames in words
    pictures = SmolVLMImageProcessorPil(size={"longest_edge": 56}, max_image_size={"longest_edge": 28})
    template = TEMPLATE.replace("IMAGE", "<image>")
    processor = SmolProcessor(pictures, tokenizer, None, image_seq_len=4, chat_template=template)
    return small(SmolVLMForConditionalGeneration, config, tokenizer, processor)


def gemma3(directory: Path, byte_tokenizer: Callable) -> Backbone:
    """A Gemma 3: the tokens of a picture look at each other both ways, in layers with and without a window."""
    tokenizer = with_tokens(byte_tokenizer(directory), "<image>", "<boi>", "<eoi>")
    for name in ("image", "boi", "eoi"):
        tokenizer._set_model_specific_special_tokens({f"{name}_token": f"<{name}>"})
    text = {"vocab_size": len(tokenizer), "head_dim": 8, "query_pre_attn_scalar": 8, "sliding_window": 512, **TEXT}
    config = Gemma3Config(
        text_config={**text, "layer_types": ["sliding_attention", "full_attention", "sliding_attention"]},
        vision_config={"model_type": "siglip_vision_model", **SIGLIP},
        mm_tokens_per_image=4,
        boi_token_index=tokenizer.convert_tokens_to_ids("<boi>"),
        eoi_token_index=tokenizer.convert_tokens_to_ids("<eoi>"),
        image_token_index=tokenizer.convert_tokens_to_ids("<image>"),
    )
    torch.manual_seed(0)
    model = Gemma3ForConditionalGeneration(config)
    torch.nn.init.normal_(model.model.multi_modal_projector.mm_input_projection_weight)  # zeros in an untrained one
    model.save_pretrained(directory)
    pictures = Gemma3ImageProcessorPil(size={"height": 28, "width": 28})
    template = TEMPLATE.replace("IMAGE", "<boi>")
    Gemma3Processor(pictures, tokenizer, chat_template=template, image_seq_length=4).save_pretrained(directory)
    return load_backbone(str(directory))


class QwenProcessor:
    """Qwen's processors without their videos, which need torchvision."""

    chat_template = TEMPLATE.replace("IMAGE", "<|vision_start|><|image_pad|><|vision_end|>")

    def __init__(self, tokenizer: PreTrainedTokenizerBase, patch: int) -> None:
        self.tokenizer = tokenizer
        side = 2 * patch
        self.pictures = Qwen2VLImageProcessorPil(
            patch_size=patch, min_pixels=5 * side * side, max_pixels=12 * side * side
        )

    def apply_chat_template(self, chat, **options) -> str:
        return self.tokenizer.apply_chat_template(chat, chat_template=self.chat_template, **options)

    def __call__(self, text, images, return_tensors) -> BatchFeature:
        features = self.pictures(images=images, return_tensors=return_tensors)
        pad = "<|image_pad|>"
        text = text[0].replace(pad, pad * int(features["image_grid_thw"].prod() // 4))
        ids = self.tokenizer(text, return_tensors=return_tensors, add_special_tokens=False).input_ids
        kinds = (ids == self.tokenizer.convert_tokens_to_ids(pad)).long()
        mask = torch.ones_like(ids)
        return BatchFeature({**features, "input_ids": ids, "attention_mask": mask, "mm_token_type_ids": kinds})


def qwen(directory: Path, byte_tokenizer: Callable) -> Backbone:
    """A Qwen2.5-VL: tokens of a picture have three positions, and their number depends on its shape."""
    tokenizer = with_tokens(byte_tokenizer(directory), *QWEN_TOKENS, "<POSE>")
    vision = {
        "depth": 2, "hidden_size": 16, "num_heads": 2, "intermediate_size": 32, "out_hidden_size": 32, "patch_size": 14,
        "spatial_merge_size": 2, "window_size": 56, "fullatt_block_indexes": [1],
    }  # fmt: skip
    rope = {"rope_type": "default", "mrope_section": [2, 1, 1], "rope_theta": 10000.0}
    text = {"vocab_size": len(tokenizer), "rope_parameters": rope, **TEXT}
    config = Qwen2_5_VLConfig(text_config=text, vision_config=vision, **qwen_ids(tokenizer))
    return small(Qwen2_5_VLForConditionalGeneration, config, tokenizer, QwenProcessor(tokenizer, patch=14))


def qwen3(directory: Path, byte_tokenizer: Callable) -> Backbone:
    """A Qwen3-VL: beside that, features of early vision layers are added behind the first two layers of the decoder."""
    tokenizer = with_tokens(byte_tokenizer(directory), *QWEN_TOKENS, "<POSE>")
    vision = {
        "depth": 3, "hidden_size": 16, "num_heads": 2, "intermediate_size": 32, "out_hidden_size": 32, "patch_size": 16,
        "spatial_merge_size": 2, "num_position_embeddings": 16, "deepstack_visual_indexes": [0, 1],
        "initializer_range": 0.2,
    }  # fmt: skip
    rope = {"rope_type": "default", "mrope_section": [2, 1, 1], "mrope_interleaved": True, "rope_theta": 10000.0}
    text = {"vocab_size": len(tokenizer), "head_dim": 8, "rope_parameters": rope, **TEXT}
    config = Qwen3VLConfig(text_config=text, vision_config=vision, **qwen_ids(tokenizer))
    return small(Qwen3VLForConditionalGeneration, config, tokenizer, QwenProcessor(tokenizer, patch=16))


def qwen_ids(tokenizer: PreTrainedTokenizerBase) -> dict[str, int | bool]:
    ids = [tokenizer.convert_tokens_to_ids(name) for name in QWEN_TOKENS]
    names = ("image_token_id", "video_token_id", "vision_start_token_id", "vision_end_token_id")
    return dict(zip(names, ids, strict=True)) | {"tie_word_embeddings": True}


def with_tokens(tokenizer: PreTrainedTokenizerBase, *names: str) -> PreTrainedTokenizerBase:
    tokenizer.add_special_tokens({"additional_special_tokens": ["<|start|>", *names]})
    tokenizer.chat_template = None  # the processor has one
    return tokenizer


def small(kind: type[PreTrainedModel], config, tokenizer: PreTrainedTokenizerBase, processor) -> Backbone:
    """A backbone whose processor cannot be saved and loaded without its part for videos."""
    torch.manual_seed(0)
    model = kind(config).eval().requires_grad_(False)
    return Backbone(kind.__name__, model, tokenizer, tokenizer.convert_tokens_to_ids("<POSE>"), (0,), processor)


MODELS = {
    "llava": llava, "onevision": onevision, "smolvlm": smolvlm, "gemma3": gemma3, "qwen": qwen, "qwen3": qwen3,
}  # fmt: skip
