"""Products of few rows with a wide matrix, which sampling consists of, on CPUs where MKL is slow at them.

MKL shares a product out among cores by parts of the matrix that suit many rows. On a CPU that is not Intel's a few
rows of float32 then take up to two and a half times as long as they need. As a batch of products with narrow slices of
the same matrix they do not, and nothing has to be copied. `benchmarks/sliced_linear.py` compares the two.
"""

from functools import cache

import torch
from torch import Tensor, nn

from pose_rft.devices import cpu_info

ROWS = 128  # with more, a plain product is as fast
SLICE = 96  # outputs in a slice
WIDE = 512  # outputs from which on it pays


class SlicedLinear(nn.Linear):
    """A linear layer that multiplies few rows slice by slice where no gradient is asked for."""

    def forward(self, x: Tensor) -> Tensor:
        fits = x.dtype == self.weight.dtype == torch.float32 and x.device.type == "cpu"
        if not fits or torch.is_grad_enabled() or not 0 < x.numel() <= ROWS * x.shape[-1]:
            return super().forward(x)
        out = sliced_product(x.reshape(-1, x.shape[-1]), self.weight)
        if self.bias is not None:
            out += self.bias
        return out.view(*x.shape[:-1], -1)


@cache
def plain_products_are_slow() -> bool:
    """Whether this CPU is one that MKL does not know well."""
    return torch.backends.mkl.is_available() and "AuthenticAMD" in cpu_info()


def sliced_product(x: Tensor, weight: Tensor) -> Tensor:
    """x (N, I), W (O, I) -> x W' (N, O)."""
    (count, inner), outputs = x.shape, len(weight)
    slices = outputs // SLICE
    sliced = slices * SLICE
    out = x.new_empty(count, outputs)
    parts = torch.bmm(x.expand(slices, -1, -1), weight[:sliced].view(slices, SLICE, inner).mT)  # (slices, N, SLICE)
    out[:, :sliced].unflatten(1, (slices, SLICE)).copy_(parts.transpose(0, 1))
    if sliced < outputs:
        torch.mm(x, weight[sliced:].T, out=out[:, sliced:])
    return out


def is_plain_linear(layer: nn.Module) -> bool:
    """Whether a layer is torch's own linear layer or one of these: not quantised, nor of another kind."""
    return type(layer) in (nn.Linear, SlicedLinear)
