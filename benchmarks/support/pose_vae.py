"""PoseScript's generator, as a baseline: a pose VAE whose prior is read off the text. No language model.

Delmas et al., "PoseScript: 3D human poses from natural language" (ECCV 2022, section 4.2): a pose encoder gives the
posterior q(z | pose), a text encoder the prior p(z | text), and one decoder turns z into rotations. Training
reconstructs the pose from the posterior's z and draws prior and posterior together by their KL divergence; to generate,
z is sampled from the prior. Here the loss of reconstruction is the squared error of 6D rotations and joint positions.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import roma
import torch
from torch import Tensor, nn

from pose_rft.body import load_body
from pose_rft.body.skeleton import NUM_JOINTS
from pose_rft.data.sample import Sample
from pose_rft.errors import UserError
from pose_rft.retrieval.encoders import RecurrentText, RotationMlp
from pose_rft.retrieval.training import stacked_poses
from pose_rft.retrieval.words import WordEmbedding, build_vocabulary


@dataclass(frozen=True)
class VaeTraining:
    """How to train a pose VAE.

    Attributes:
        latent: dimensions of z; 32 in the paper.
        width: of words and hidden layers.
        steps, batch_size, learning_rate: of AdamW, with a cosine to zero.
        kl: weight of KL(posterior, prior).
        kl_standard: weight of the KL of posterior and prior to a standard Gaussian, which keeps z in bounds.
        joints: weight of the squared error of joints (metres) beside that of 6D rotations.
        seed: of initial weights, order and samples.
    """

    latent: int = 32
    width: int = 128
    steps: int = 1500
    batch_size: int = 256
    learning_rate: float = 2e-3
    kl: float = 2e-3
    kl_standard: float = 2e-4
    joints: float = 10.0
    seed: int = 0


class PoseVae(nn.Module):
    """A posterior of poses, a prior of texts, a decoder.

    Args:
        training: for the widths.
        vocabulary: words with vectors of their own.
    """

    def __init__(self, training: VaeTraining, vocabulary: Sequence[str]) -> None:
        super().__init__()
        width, latent = training.width, training.latent
        self.text = RecurrentText(WordEmbedding(vocabulary, buckets=1024, width=width, max_words=128))
        self.prior = nn.Linear(width, 2 * latent)
        self.posterior = RotationMlp(load_body().offsets, 2 * width, 2, 2 * latent)
        self.decoder = nn.Sequential(
            nn.Linear(latent, 4 * width), nn.GELU(), nn.Linear(4 * width, 4 * width), nn.GELU(),
            nn.Linear(4 * width, NUM_JOINTS * 6),
        )  # fmt: skip

    def start_at(self, rotations: Tensor) -> None:
        """Let the decoder begin with the mean of rotations (P, 22, 3, 3): what is left to learn is the difference."""
        last = self.decoder[-1]
        with torch.no_grad():
            last.weight.mul_(0.1)  # type: ignore[operator]
            last.bias.copy_(rotations[..., :2].mean(0).flatten())  # type: ignore[operator]

    def decode(self, z: Tensor) -> Tensor:
        """Rotations (..., 22, 3, 3) of latents (..., L)."""
        columns = self.decoder(z).unflatten(-1, (NUM_JOINTS, 3, 2))
        return roma.special_gramschmidt(columns)

    @torch.inference_mode()
    def sample(self, texts: Sequence[str], count: int, temperature: float, generator: torch.Generator) -> Tensor:
        """Poses (N, count, 22, 3), axis-angle radians, of N texts; temperature scales the prior's deviation."""
        mean, log_std = self.prior(self.text(texts)).chunk(2, dim=-1)  # (N, L)
        noise = torch.randn(len(texts), count, mean.shape[1], generator=generator)
        z = mean.unsqueeze(1) + temperature * log_std.exp().unsqueeze(1) * noise
        return roma.rotmat_to_rotvec(self.decode(z))


def train_pose_vae(
    samples: Sequence[Sample], training: VaeTraining, report: Callable[[int, int, float], None] | None = None
) -> PoseVae:
    """Fit a VAE to pairs of prompt and pose; samples without a pose are left out.

    Raises:
        UserError: fewer pairs than a batch.
    """
    pairs = [sample for sample in samples if sample.pose is not None]
    if len(pairs) < training.batch_size:
        raise UserError(f"{len(pairs)} pairs of text and pose are fewer than batch_size {training.batch_size}")
    poses, body = stacked_poses(pairs), load_body()
    with torch.random.fork_rng():
        torch.manual_seed(training.seed)
        model = PoseVae(training, build_vocabulary([pair.prompt for pair in pairs], 2500)).train()
        model.start_at(roma.rotvec_to_rotmat(poses))
        optimizer = torch.optim.AdamW(model.parameters(), lr=training.learning_rate, weight_decay=1e-4)
        schedule = torch.optim.lr_scheduler.LambdaLR(
            optimizer, lambda step: 0.5 * (1 + math.cos(math.pi * step / training.steps))
        )
        for step in range(training.steps):
            batch = torch.randint(len(pairs), (training.batch_size,))
            wanted = roma.rotvec_to_rotmat(poses[batch])
            prior = model.prior(model.text([pairs[i].prompt for i in batch.tolist()], forget=0.05))
            posterior = model.posterior(poses[batch])
            mean, log_std = posterior.chunk(2, dim=-1)
            made = model.decode(mean + log_std.exp() * torch.randn_like(mean))
            loss = (made - wanted)[..., :2].square().mean()
            joints = body.joints_from_rotations(made) - body.joints_from_rotations(wanted)
            loss = loss + training.joints * joints.square().mean()
            loss = loss + training.kl * gaussian_kl(posterior, prior).mean()
            for each in (posterior, prior):
                loss = loss + training.kl_standard * gaussian_kl(each, torch.zeros_like(each)).mean()
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            schedule.step()
            if report is not None:
                report(step + 1, training.steps, loss.item())
    return model.eval()


def gaussian_kl(first: Tensor, second: Tensor) -> Tensor:
    """KL(first, second) of diagonal Gaussians, each (N, 2L) of mean and log standard deviation -> (N,) nats."""
    (mean, log_std), (other, other_log_std) = first.chunk(2, dim=-1), second.chunk(2, dim=-1)
    spread = ((2 * log_std).exp() + (mean - other).square()) / (2 * other_log_std).exp()
    return (0.5 * spread - 0.5 + other_log_std - log_std).sum(-1)
