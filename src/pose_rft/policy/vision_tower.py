"""An image-text model's own vision: what it hands to its decoder for a prompt with a picture."""

from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from pose_rft.errors import UserError


def run_vision_tower(model: PreTrainedModel, decoder: PreTrainedModel, inputs: Any) -> dict[str, Tensor]:
    """What an image-text model makes of a prompt with a picture before its decoder runs.

    Args:
        model: with vision tower and decoder.
        decoder: its text decoder.
        inputs: of the model's processor, one prompt.

    Returns:
        ``ids``, ``vision_at``, ``vision`` and, where the family has them, ``positions``, ``attend_until``,
        ``deepstack``: the fields of ``PromptTokens``, on the CPU.

    Raises:
        UserError: a family that hands its decoder more than that.
    """
    arguments = _decoder_arguments(decoder, model.base_model, inputs)
    ids, embedded = inputs["input_ids"][0], arguments["inputs_embeds"][0]
    plain = decoder.get_input_embeddings()(ids)
    vision_at = (embedded != plain).any(dim=-1).nonzero()[:, 0]
    found = {"ids": ids, "vision_at": vision_at, "vision": embedded[vision_at]}
    positions = arguments.get("position_ids")
    if positions is not None and positions.ndim == 3:
        found["positions"] = positions[:, 0]
    attend_until = _attend_until(arguments.get("attention_mask"), len(ids))
    if attend_until is None:
        raise _refusal(model, "a mask that hides earlier tokens")
    if not torch.equal(attend_until, torch.arange(len(ids))):
        found["attend_until"] = attend_until
    if arguments.get("deepstack_visual_embeds") is not None:
        deepstack = embedded.new_zeros(len(arguments["deepstack_visual_embeds"]), *embedded.shape)
        deepstack[:, arguments["visual_pos_masks"][0]] = torch.stack(arguments["deepstack_visual_embeds"]).to(deepstack)
        found["deepstack"] = deepstack[:, vision_at]
    return {name: value.cpu() for name, value in found.items()}


def _attend_until(mask: Any, length: int) -> Tensor | None:
    """The last token that each attends to, (length,), in a mask, or masks by kind of layer, as models hand it over.

    None if it hides earlier tokens, or not from all layers alike.
    """
    counted = torch.arange(length)
    found = []
    for each in mask.values() if isinstance(mask, dict) else [mask]:
        if each is None or each.ndim == 2:  # says which tokens are padding; a model's own order is causal
            found.append(counted)
            continue
        visible = (each if each.dtype == torch.bool else each >= 0)[0, 0].cpu()  # (L, L)
        found.append(torch.where(visible, counted, -1).max(dim=1).values)
        if not torch.equal(visible, counted <= found[-1][:, None]):
            return None
    return found[0] if all(torch.equal(each, found[0]) for each in found) else None


class _DecoderCall(Exception):
    """Carries what a model hands to its decoder out of the model's forward pass."""

    def __init__(self, arguments: dict[str, Any]) -> None:
        self.arguments = arguments


def _decoder_arguments(decoder: nn.Module, model: nn.Module, inputs: Any) -> dict[str, Any]:
    """The arguments with which an image-text model calls its decoder, which is not run.

    Every family has its own way from pixels to embeddings and positions; all of them end in this call.

    Raises:
        UserError: it hands over more than embeddings, positions, a mask and what the first layers add (DeepStack).
    """

    def stop(module: nn.Module, arguments: tuple, keywords: dict[str, Any]) -> None:
        raise _DecoderCall(keywords)

    hook = decoder.register_forward_pre_hook(stop, with_kwargs=True)
    try:
        model(**inputs, use_cache=False)
    except _DecoderCall as call:
        known = {"inputs_embeds", "position_ids", "attention_mask", "past_key_values", "input_ids", "use_cache"}
        known |= {"visual_pos_masks", "deepstack_visual_embeds"}
        more = [
            name
            for name, value in call.arguments.items()
            if name not in known and value is not None and not isinstance(value, bool | str | int)
        ]
        if more:
            raise _refusal(model, more[0]) from None
        return call.arguments
    finally:
        hook.remove()
    raise UserError(f"backbone: {type(model).__name__} did not call its decoder; its images cannot be read")


def _refusal(model: nn.Module, what: str) -> UserError:
    return UserError(
        f"backbone: {type(model).__name__} hands {what} to its decoder beside the embeddings of an image, which is not "
        "supported; choose another image-text model, or a text model with an encoder"
    )
