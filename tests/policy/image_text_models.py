"""Small image-text models made from configs, with processors that lay pictures out as the real ones do."""

import torch
from transformers import (
    BatchFeature,
    CLIPImageProcessor,
    CLIPVisionConfig,
    LlamaConfig,
    LlavaConfig,
    LlavaForConditionalGeneration,
    LlavaProcessor,
    Qwen2_5_VLConfig,
    Qwen2_5_VLForConditionalGeneration,
)
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

from pose_rft.policy.backbone import Backbone

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
QWEN_TOKENS = ("<|image_pad|>", "<|video_pad|>", "<|vision_start|>", "<|vision_end|>", "<POSE>")


def save_llava(directory, byte_tokenizer) -> None:
    """A LLaVA that reads a picture as four tokens."""
    tokenizer = byte_tokenizer(directory)
    tokenizer.add_special_tokens({"additional_special_tokens": ["<|start|>", "<image>"]})
    tokenizer.chat_template = None
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


class QwenProcessor:
    """Qwen2.5-VL's processor without its videos, which need torchvision."""

    chat_template = TEMPLATE.replace("IMAGE", "<|vision_start|><|image_pad|><|vision_end|>")

    def __init__(self, tokenizer) -> None:
        self.tokenizer = tokenizer
        self.pictures = Qwen2VLImageProcessorPil(min_pixels=56 * 56, max_pixels=84 * 112)

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


def qwen(directory, byte_tokenizer) -> Backbone:
    """A Qwen2.5-VL: tokens of a picture have three positions, and their number depends on its shape."""
    tokenizer = byte_tokenizer(directory)
    tokenizer.add_special_tokens({"additional_special_tokens": ["<|start|>", *QWEN_TOKENS]})
    ids = {name.strip("<|>"): tokenizer.convert_tokens_to_ids(name) for name in QWEN_TOKENS}
    rope = {"rope_type": "default", "mrope_section": [2, 1, 1], "rope_theta": 10000.0}
    vision = {
        "depth": 2, "hidden_size": 16, "num_heads": 2, "intermediate_size": 32, "out_hidden_size": 32, "patch_size": 14,
        "spatial_merge_size": 2, "window_size": 56, "fullatt_block_indexes": [1],
    }  # fmt: skip
    config = Qwen2_5_VLConfig(
        text_config={"vocab_size": len(tokenizer), "rope_parameters": rope, **TEXT},
        vision_config=vision,
        image_token_id=ids["image_pad"],
        video_token_id=ids["video_pad"],
        vision_start_token_id=ids["vision_start"],
        vision_end_token_id=ids["vision_end"],
        tie_word_embeddings=True,
    )
    torch.manual_seed(0)
    model = Qwen2_5_VLForConditionalGeneration(config).eval().requires_grad_(False)
    return Backbone("qwen", model, tokenizer, ids["POSE"], (0,), QwenProcessor(tokenizer))
