"""The latent pose prior: an autoencoder of poses that people take, whose code can be the action of a pose head.

Numbers of a code go with poses near to those of training, as most of the 132 numbers of 22 rotations do not. The root's
rotation is no part of the code: how a body is turned and tipped stays an explicit part of the action. The bundled prior
is made by ``scripts/train_pose_prior.py``.
"""

from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from pose_rft.body.skeleton import NUM_JOINTS
from pose_rft.policy.distribution import JOINT_DIMS

PRIOR_FILE = Path(__file__).parent / "data" / "pose_prior.safetensors"
CODE_GROUPS = 8  # a code has so many groups of JOINT_DIMS numbers, 48 in all
INNER = 512  # width of the perceptrons


class PosePrior(nn.Module):
    """Poses as codes and back.

    Both ways are a linear map plus a perceptron. They are trained with noise of a fixed width on the code, as a
    variational autoencoder whose posterior has a variance that is not learned (``sft/pose_prior.py``).
    """

    def __init__(self) -> None:
        super().__init__()
        body, code = (NUM_JOINTS - 1) * JOINT_DIMS, CODE_GROUPS * JOINT_DIMS
        self.linear_encoder, self.encoder = nn.Linear(body, code), _perceptron(body, code)
        self.linear_decoder, self.decoder = nn.Linear(code, body), _perceptron(code, body)

    @classmethod
    def bundled(cls) -> "PosePrior":
        """That of the package, frozen."""
        prior = cls()
        prior.load_state_dict({name: value.float() for name, value in load_file(PRIOR_FILE).items()})
        return prior.frozen()

    def frozen(self) -> "PosePrior":
        """This one, with its weights as buffers: saved and moved with a head, and never among what is trained."""
        for module in list(self.modules()):
            for name, weight in list(module.named_parameters(recurse=False)):
                delattr(module, name)
                module.register_buffer(name, weight.detach())
        return self

    @torch.no_grad()
    def normalise(self, rotation: Tensor) -> None:
        """Shift and scale codes to mean 0 and standard deviation 1 over rotations (N, 22, 6); what they mean stays."""
        code = self.encode(rotation)[:, 1:].flatten(1)
        mean, std = code.mean(dim=0), code.std(dim=0)
        self.linear_encoder.bias.sub_(mean)
        for layer in (self.linear_encoder, self.encoder[-1]):
            assert isinstance(layer, nn.Linear)
            layer.weight.div_(std[:, None])
            layer.bias.div_(std)
        for layer in (self.linear_decoder, self.decoder[0]):
            assert isinstance(layer, nn.Linear)
            layer.bias.add_(layer.weight @ mean)
            layer.weight.mul_(std)

    def encode(self, rotation: Tensor) -> Tensor:
        """(..., 22, 6) 6D rotations -> (..., 1 + CODE_GROUPS, 6): the root's rotation, then the code of the others."""
        body = rotation[..., 1:, :].flatten(-2)
        code = self.linear_encoder(body) + self.encoder(body)
        return torch.cat([rotation[..., :1, :], code.unflatten(-1, (-1, JOINT_DIMS))], dim=-2)

    def decode(self, encoded: Tensor) -> Tensor:
        """(..., 1 + CODE_GROUPS, 6) -> (..., 22, 6), which are near rotations, if not orthonormal."""
        code = encoded[..., 1:, :].flatten(-2)
        body = self.linear_decoder(code) + self.decoder(code)
        return torch.cat([encoded[..., :1, :], body.unflatten(-1, (-1, JOINT_DIMS))], dim=-2)


def _perceptron(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(inputs, INNER), nn.GELU(), nn.Linear(INNER, INNER), nn.GELU(), nn.Linear(INNER, outputs)
    )
