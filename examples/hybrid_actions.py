"""HyGRPO beyond poses: a golfer who learns, from rewards alone, which club to take and how hard to strike.

    python examples/hybrid_actions.py      # seconds on a CPU

A hybrid action is a choice and the numbers that belong to it: here a club, and the strength of its stroke. A ball lies
somewhere before the hole; the driver sends it far and badly aimed, the putter near and straight. An episode has three
strokes, and its reward is how near the ball comes. What the package calls words and poses becomes:

- a prompt: where the ball lies at first;
- an answer: the clubs of an episode, one word for each stroke;
- the poses: the strengths, one for each stroke;
- a group: G episodes from one prompt. All strokes of an episode share its advantage, as the words of an answer do.

``python -m benchmarks.hybrid_actions`` does the same on published environments, beside H-PPO and P-DQN.
"""

import torch
from rich.console import Console
from torch import Tensor, nn
from torch.distributions import Categorical, Normal

from pose_rft.hygrpo import group_advantages, hybrid_objective

LENGTH, SPREAD = torch.tensor([200.0, 10.0]), torch.tensor([10.0, 0.2])  # metres a full stroke of each club goes; error
FAR = 400.0  # metres, of the farthest ball
STROKES = 3
B, G = 32, 16  # prompts, episodes from each
STEPS, UPDATES, LEARNING_RATE = 300, 4, 3e-3


class Golfer(nn.Module):
    """``pi(club, strength | distance)``: a categorical distribution over clubs, a Gaussian for each one's strength."""

    def __init__(self) -> None:
        super().__init__()
        self.network = nn.Sequential(nn.Linear(3, 64), nn.Tanh(), nn.Linear(64, 64), nn.Tanh(), nn.Linear(64, 6))

    def forward(self, distance: Tensor) -> tuple[Categorical, Tensor, Tensor]:
        """Clubs, and mean and standard deviation (..., 2) of each one's strength, at distances (...) in metres."""
        seen = torch.stack([distance / FAR, distance / LENGTH[0], distance / LENGTH[1]], dim=-1).clamp(-3, 3)
        logits, mean, spread = self.network(seen).chunk(3, dim=-1)
        return Categorical(logits=logits), mean, 0.02 + 0.3 * spread.clamp(-5, 1).exp()

    def log_prob(self, distance: Tensor, club: Tensor, strength: Tensor) -> tuple[Tensor, Tensor]:
        """Log-likelihoods of clubs and of strengths, each of the shape of ``distance``."""
        clubs, mean, std = self(distance)
        own_mean, own_std = (part.gather(-1, club[..., None])[..., 0] for part in (mean, std))
        return clubs.log_prob(club), Normal(own_mean, own_std).log_prob(strength)


@torch.no_grad()
def play(golfer: Golfer, distance: Tensor, greedy: bool = False) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Play episodes from distances (N,): distances, clubs and strengths (N, STROKES), and where the balls end (N,)."""
    columns = []
    for _ in range(STROKES):
        clubs, mean, std = golfer(distance)
        club = clubs.probs.argmax(dim=-1) if greedy else clubs.sample()
        rows = torch.arange(len(distance))
        strength = mean[rows, club] if greedy else Normal(mean[rows, club], std[rows, club]).sample()
        columns.append((distance, club, strength))
        struck = strength.clamp(-1, 1)
        flight = LENGTH[club] * struck + SPREAD[club] * struck.abs() * torch.randn(len(distance))
        distance = distance - flight
    distances, clubs_taken, strengths = (torch.stack(column, dim=1) for column in zip(*columns, strict=True))
    return distances, clubs_taken, strengths, distance


def reward(end: Tensor) -> Tensor:
    """Grades of where balls end (...), metres from the hole: 0 in it, and half a point less each time it doubles."""
    return -0.5 * torch.log2(1 + end.abs())


def train(seed: int = 0) -> Golfer:
    """Train a golfer."""
    torch.manual_seed(seed)
    golfer = Golfer()
    optimizer = torch.optim.Adam(golfer.parameters(), LEARNING_RATE)
    for _ in range(STEPS):
        prompts = FAR * torch.rand(B)
        distances, clubs, strengths, end = play(golfer, prompts.repeat_interleave(G))  # N = B G episodes
        advantages = group_advantages(reward(end).reshape(B, G)).flatten()  # (N,)
        with torch.no_grad():
            old_clubs, old_strengths = golfer.log_prob(distances, clubs, strengths)
        for _ in range(UPDATES):
            logp_clubs, logp_strengths = golfer.log_prob(distances, clubs, strengths)  # (N, STROKES) each
            objective, _ = hybrid_objective(
                logp_clubs,
                old_clubs,
                torch.ones_like(logp_clubs, dtype=torch.bool),
                advantages,
                logp_strengths,  # like the joints of a pose, the strokes of an episode have a ratio each
                old_strengths,
                torch.ones(len(advantages), dtype=torch.bool),
                advantages,
                pose_groups=B,
            )
            optimizer.zero_grad()
            (-objective).backward()
            optimizer.step()
    return golfer


def measure(golfer: Golfer, count: int = 2000) -> tuple[float, float]:
    """The median distance at which the ball ends, metres, and the share of last strokes that are the putter's."""
    torch.manual_seed(1)
    _, clubs, _, end = play(golfer, FAR * torch.rand(count), greedy=True)
    return end.abs().median().item(), (clubs[:, -1] == 1).float().mean().item()


def main() -> None:
    torch.manual_seed(0)
    console = Console()
    for name, golfer in (("untrained", Golfer()), ("trained", train())):
        off, putts = measure(golfer)
        console.print(f"{name}: the ball ends {off:.2f} m from the hole; {putts:.0%} of last strokes are the putter's")


if __name__ == "__main__":
    main()
