"""A language model too large for one device: its layers, shared out among the processes of a run.

Each process keeps a part of every frozen layer and gathers the whole of one while it runs (FSDP2). What is trained is
small and stays whole in every process, so updates, the reference policy and checkpoints are those of data parallelism.
"""

import torch
import torch.distributed as dist
from torch import nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard

from pose_rft.errors import UserError


def shard_layers(decoder: nn.Module, device: str | torch.device) -> None:
    """Share the frozen weights of a decoder's layers out among all processes, and move each part to its device.

    From here on all processes have to run the decoder together, the same number of times.

    Raises:
        UserError: there is one process, or the decoder does not keep its layers in a list of that name.
    """
    if not dist.is_initialized() or dist.get_world_size() == 1:
        raise UserError("shard: one process has nobody to share with; start several (torchrun), or set shard: false")
    layers = decoder._modules.get("layers")
    if not isinstance(layers, nn.ModuleList):
        raise UserError(f"shard: {type(decoder).__name__} does not keep its layers in a list; set shard: false")
    mesh = init_device_mesh(torch.device(device).type, (dist.get_world_size(),))
    for layer in layers:
        whole = {weight for name, weight in layer.named_parameters() if weight.requires_grad or "lora_" in name}
        fully_shard(layer, mesh=mesh, reshard_after_forward=True, ignored_params=whole)


def any_rank(here: bool, device: torch.device) -> bool:
    """Whether something is so in any process."""
    flag = torch.tensor(float(here), device=device)
    dist.all_reduce(flag, dist.ReduceOp.MAX)
    return bool(flag)
