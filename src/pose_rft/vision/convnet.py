"""MediaPipe's convolutional networks in torch: a list of steps from a JSON file, weights from a safetensors file.

The two networks (person detector, pose landmarks) are chains of plain convolutions with side branches, about a hundred
steps of five kinds each. Written out as classes they would be two long tables of channel counts; here the table is data
(``data/NAME.json``, made from the published files by ``scripts/build_vision.py``) and these few lines run it.
"""

import json
from importlib.resources import files
from typing import Any

import torch
import torch.nn.functional as F
from safetensors.torch import load as load_weights
from torch import Tensor, nn


class ConvNet(nn.Module):
    """A frozen network that runs a list of steps.

    Every step reads the tensors named in ``from`` and writes the one named in ``to``:

    - ``conv``: convolution; ``shape`` (out, in per group, height, width), ``pad`` (left, right, top, bottom);
      ``depthwise``: one filter per channel;
    - ``add``: the sum of two tensors;
    - ``double``: twice the height and width, bilinear;
    - ``pool``: half the height and width, the largest of 2 x 2;
    - ``unfold``: twice the height and width, four channels becoming 2 x 2 pixels;

    and ``relu6`` clips the result of a convolution or sum to [0, 6].
    """

    def __init__(self, outputs: dict[str, str], steps: list[dict[str, Any]]) -> None:
        super().__init__()
        self.outputs, self.steps = outputs, steps
        self.convolutions = nn.ModuleDict({s["to"]: _convolution(s) for s in steps if s["op"] == "conv"})
        self.last_use = {name: index for index, s in enumerate(steps) for name in s["from"]}
        self.requires_grad_(False)
        self.eval()
        nn.utils.convert_conv2d_weight_memory_format(self, torch.channels_last)  # a quarter faster on a CPU

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        """A batch of pictures (N, 3, H, W), scaled as the network wants them, to its named outputs (N, C, h, w)."""
        kept = set(self.outputs.values())
        values = {"image": image.contiguous(memory_format=torch.channels_last)}
        for index, step in enumerate(self.steps):
            inputs = [values[name] for name in step["from"]]
            values[step["to"]] = self._run(step, inputs)
            for name in step["from"]:
                if self.last_use[name] == index and name not in kept:
                    del values[name]  # a batch of early feature maps is large
        return {name: values[tensor] for name, tensor in self.outputs.items()}

    def _run(self, step: dict[str, Any], inputs: list[Tensor]) -> Tensor:
        match step["op"]:
            case "conv":
                result = self.convolutions[step["to"]](F.pad(inputs[0], step["pad"]) if _is_uneven(step) else inputs[0])
            case "add":
                result = inputs[0] + inputs[1]
            case "double":
                return F.interpolate(inputs[0], scale_factor=2.0, mode="bilinear", align_corners=False)
            case "pool":
                return F.max_pool2d(inputs[0], 2)
            case "unfold":
                return _unfold(inputs[0])
            case other:
                raise ValueError(f"unknown step {other!r}")
        return result.clamp_(0, 6) if step["relu6"] else result


def _is_uneven(step: dict[str, Any]) -> bool:
    left, right, top, bottom = step["pad"]
    return left != right or top != bottom


def _convolution(step: dict[str, Any]) -> nn.Conv2d:
    channels_out, channels_in, height, width = step["shape"]
    groups = channels_out if step["depthwise"] else 1
    padding = (0, 0) if _is_uneven(step) else (step["pad"][2], step["pad"][0])
    return nn.Conv2d(channels_in * groups, channels_out, (height, width), step["stride"], padding, groups=groups)


def _unfold(image: Tensor) -> Tensor:
    """(N, 4C, H, W) -> (N, C, 2H, 2W); the channel's slowest part is the row, then the column, in each 2 x 2 block."""
    n, c, h, w = image.shape
    blocks = image.reshape(n, 2, 2, c // 4, h, w)
    return blocks.permute(0, 3, 4, 1, 5, 2).reshape(n, c // 4, 2 * h, 2 * w)


def load_convnet(name: str) -> ConvNet:
    """One of the bundled networks, ``"person_detector"`` or ``"pose_landmarks"``, frozen, on the CPU, float32."""
    folder = files("pose_rft.vision") / "data"
    network = ConvNet(**json.loads((folder / f"{name}.json").read_text()))
    network.convolutions.load_state_dict(load_weights((folder / f"{name}.safetensors").read_bytes()))
    return network
