"""HyGRPO in one sitting: words and a continuous action, learned from rewards with the package's own functions.

    python examples/hygrpo_minimal.py      # seconds on a CPU

A prompt asks to point somewhere ("point to the left"). The policy answers with two tokens, a direction and then
``<POSE>`` or a full stop, and, where it said ``<POSE>``, with a pose: the place of the hand, a point in the plane. This
is Pose-RFT with four prompts, five words and two numbers in place of a language model and 22 joints. The steps are
those of ``pose_rft.hygrpo.trainer``, line for line:

1. sample G answers to each of B prompts, and K poses to each answer;
2. grade words and poses separately;
3. turn the grades into two advantages, one among the G answers to a prompt, one among the K poses of an answer;
4. update the policy several times on the same samples, with clipped ratios and a KL to the policy it started from.

GRPO knows step 1 to 4 for tokens alone. It is run beside HyGRPO, and its words are even told how good their poses are.
They learn what to say. But no gradient reaches the pose, which stays where it was.
"""

import math
from dataclasses import dataclass

import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor, nn
from torch.distributions import Normal, kl_divergence

from pose_rft.hygrpo import group_advantages, hybrid_objective, token_kl

WORDS = ("up", "right", "down", "left", "<POSE>", ".")
POSE = 4
START = len(WORDS)  # stands before the first word
TARGETS = torch.tensor([[0.0, 1.0], [1.0, 0.0], [0.0, -1.0], [-1.0, 0.0]])  # (P, 2) metres, by prompt
P, T, V, D = len(TARGETS), 2, len(WORDS), 2  # prompts, tokens of an answer, words, numbers of a pose

G, K = 8, 16  # answers to a prompt, poses to an answer
STEPS, UPDATES = 150, 3  # rollouts, and updates on each
LEARNING_RATE = 0.02
EPSILON = 0.2  # clip range of the ratios
BETA_TEXT, BETA_POSE = 0.01, 0.003  # weights of the two KL terms


class HybridPolicy(nn.Module):
    """``pi(a, p | q) = pi_d(a | q) pi_c(p | q, a)``: words from a table, a pose from a Gaussian that the words choose.

    The tables stand for a language model and a pose head. As there, the pose depends on the prompt and on what was
    said; and words are sampled, so no gradient of a pose reaches the words.
    """

    def __init__(self) -> None:
        super().__init__()
        self.logits = nn.Parameter(torch.zeros(P, V + 1, V))  # of the next word, by prompt and last word
        self.mean = nn.Parameter(0.3 * torch.randn(P, V, D))  # of the hand, by prompt and direction said
        self.log_std = nn.Parameter(torch.full((P, V, D), math.log(0.3)))

    def next_word_logp(self, prompts: Tensor, last: Tensor) -> Tensor:
        """Log-probabilities (N, V) of the word that follows ``last`` (N,) in answers to ``prompts`` (N,)."""
        return self.logits[prompts, last].log_softmax(dim=-1)

    def answer_logp(self, prompts: Tensor, answers: Tensor) -> Tensor:
        """Log-probabilities (N, T) of the tokens of answers (N, T) to prompts (N,)."""
        before = torch.cat([torch.full_like(answers[:, :1], START), answers[:, :-1]], dim=1)  # (N, T) word before each
        logp = torch.stack([self.next_word_logp(prompts, before[:, t]) for t in range(T)], dim=1)  # (N, T, V)
        return logp.gather(2, answers[:, :, None])[:, :, 0]

    def pose(self, prompts: Tensor, answers: Tensor) -> Normal:
        """The distribution of the pose of each answer, with mean and standard deviation (N, 1, D)."""
        direction = answers[:, 0]
        mean, log_std = self.mean[prompts, direction], self.log_std[prompts, direction]
        return Normal(mean[:, None], log_std.exp()[:, None])

    @torch.no_grad()
    def sample_answers(self, prompts: Tensor, generator: torch.Generator) -> Tensor:
        """Answers (N, T) to prompts (N,), word by word."""
        last = torch.full_like(prompts, START)
        words = []
        for _ in range(T):
            last = torch.multinomial(self.next_word_logp(prompts, last).exp(), 1, generator=generator)[:, 0]
            words.append(last)
        return torch.stack(words, dim=1)


def text_reward(prompts: Tensor, answers: Tensor) -> Tensor:
    """Grades (N,) of the words: 1 for the right direction, and 1 for the form, a direction and then ``<POSE>``."""
    right = answers[:, 0] == prompts
    well_formed = (answers[:, 0] < POSE) & (answers[:, 1] == POSE)
    return right.float() + well_formed.float()


def pose_reward(prompts: Tensor, actions: Tensor) -> Tensor:
    """Grades (N, K) of poses (N, K, D): minus the distance to the place that was asked for, metres."""
    return -(actions - TARGETS[prompts][:, None]).norm(dim=-1)


@dataclass
class Rollout:
    """What was sampled and graded: N = B*G answers, K poses to each."""

    prompts: Tensor  # (N,)
    answers: Tensor  # (N, T)
    actions: Tensor  # (N, K, D)
    valid: Tensor  # (N,) bool: the answer holds one <POSE>
    text_advantages: Tensor  # (N,)
    pose_advantages: Tensor  # (N, K)
    old_logp_text: Tensor  # (N, T) of the policy that sampled
    old_logp_pose: Tensor  # (N, K)


@torch.no_grad()
def collect(policy: HybridPolicy, generator: torch.Generator, words_see_poses: bool) -> Rollout:
    """Sample and grade a rollout.

    Args:
        words_see_poses: add the mean grade of an answer's poses to the answer's own: all that GRPO on tokens can
            learn from.
    """
    prompts = torch.arange(P).repeat_interleave(G)  # (N,) = (B*G,): every prompt once, its G answers side by side
    answers = policy.sample_answers(prompts, generator)
    distribution = policy.pose(prompts, answers)
    noise = torch.randn(len(prompts), K, D, generator=generator)
    actions = distribution.mean + distribution.stddev * noise
    valid = (answers == POSE).sum(dim=1) == 1  # an answer that says <POSE> twice, or never, has no pose

    text, pose = text_reward(prompts, answers), pose_reward(prompts, actions)
    if words_see_poses:
        text = text + torch.where(valid, pose.mean(dim=1), -2.0)  # no pose is as bad as one two metres away
    # The separate advantages: an answer is compared with the other answers to its prompt, a pose with the other poses
    # of its answer. So a pose is not praised for its words, nor are words blamed for an unlucky pose.
    text_advantages = group_advantages(text.reshape(P, G)).flatten()  # (B, G) -> (N,)
    pose_advantages = group_advantages(pose, valid[:, None].expand(-1, K))  # (N, K), zero without a pose
    return Rollout(
        prompts, answers, actions, valid, text_advantages, pose_advantages,
        old_logp_text=policy.answer_logp(prompts, answers),
        old_logp_pose=distribution.log_prob(actions).sum(dim=-1),  # the joint likelihood of a pose's numbers
    )  # fmt: skip


def loss_of(
    policy: HybridPolicy, reference: HybridPolicy, rollout: Rollout, pose_coefficient: float
) -> tuple[Tensor, dict[str, float]]:
    """Minus HyGRPO's objective plus its KL terms, and the objective's metrics; coefficient 0 is GRPO on tokens."""
    prompts, answers, valid = rollout.prompts, rollout.answers, rollout.valid
    logp_text, distribution = policy.answer_logp(prompts, answers), policy.pose(prompts, answers)
    pose_mask = valid[:, None].expand(-1, K) & bool(pose_coefficient)  # (N, K)
    every_token = torch.ones_like(logp_text, dtype=torch.bool)  # all answers have T tokens
    objective, metrics = hybrid_objective(
        logp_text,
        rollout.old_logp_text,
        every_token,
        rollout.text_advantages,
        distribution.log_prob(rollout.actions).sum(dim=-1).flatten(),  # (M,) = (N*K,)
        rollout.old_logp_pose.flatten(),
        pose_mask.flatten(),
        rollout.pose_advantages.flatten() * pose_coefficient,
        EPSILON,
        pose_groups=P,  # the valid poses of a prompt are averaged first
    )
    # Both KL terms hold the policy near the one it started from: estimated for words, in closed form for Gaussians.
    with torch.no_grad():
        reference_logp, reference_pose = reference.answer_logp(prompts, answers), reference.pose(prompts, answers)
    text_kl = token_kl(logp_text, reference_logp, every_token)
    pose_kl = kl_divergence(distribution, reference_pose).sum(dim=(1, 2))  # (N,) nats
    pose_kl = (pose_kl * valid).sum() / valid.sum().clamp(min=1)
    return -objective + BETA_TEXT * text_kl + BETA_POSE * pose_coefficient * pose_kl, metrics


def train(pose_coefficient: float, seed: int = 0) -> tuple[HybridPolicy, HybridPolicy, float]:
    """Train a policy; ``pose_coefficient`` 1 is HyGRPO, 0 GRPO on tokens.

    Returns:
        the policy, the one it started from, and the share of pose ratios that were clipped in the updates after a
        rollout's first (in which all ratios are 1).
    """
    torch.manual_seed(seed)
    policy, reference = HybridPolicy(), HybridPolicy()
    reference.load_state_dict(policy.state_dict())
    generator = torch.Generator().manual_seed(seed)
    optimizer = torch.optim.Adam(policy.parameters(), LEARNING_RATE)
    clipped = []
    for _ in range(STEPS):
        rollout = collect(policy, generator, words_see_poses=not pose_coefficient)
        for update in range(UPDATES):
            loss, metrics = loss_of(policy, reference, rollout, pose_coefficient)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            if update and "pose/clip_share" in metrics:
                clipped.append(metrics["pose/clip_share"])
    return policy, reference, sum(clipped) / max(1, len(clipped))


@torch.no_grad()
def measure(policy: HybridPolicy, answers: int = 256) -> dict[str, float]:
    """Shares of sampled answers with the right direction and with a pose, and how far their poses are off, metres."""
    generator = torch.Generator().manual_seed(1)
    prompts = torch.arange(P).repeat_interleave(answers)
    said = policy.sample_answers(prompts, generator)
    distribution = policy.pose(prompts, said)
    sampled = distribution.mean + distribution.stddev * torch.randn(len(prompts), 1, D, generator=generator)
    return {
        "right_words": (said[:, 0] == prompts).float().mean().item(),
        "valid": ((said == POSE).sum(dim=1) == 1).float().mean().item(),
        "mean_pose_off": -pose_reward(prompts, distribution.mean).mean().item(),
        "sampled_pose_off": -pose_reward(prompts, sampled).mean().item(),
    }


@torch.no_grad()
def pose_change(policy: HybridPolicy, reference: HybridPolicy) -> float:
    """How far the farthest mean of the pose part has moved in training, metres."""
    return (policy.mean - reference.mean).norm(dim=-1).max().item()


def main() -> None:
    table = Table(
        "policy", "right words", "with a pose", "mean pose off by", "sampled pose", "pose part moved", "clipped"
    )
    for name, coefficient in (("HyGRPO", 1.0), ("tokens alone", 0.0)):
        policy, reference, clipped = train(coefficient)
        runs = [(name, policy, f"{clipped:.0%}")]
        if coefficient:
            runs.insert(0, ("before", reference, ""))
        for label, trained, share in runs:
            figures = measure(trained)
            table.add_row(
                label, f"{figures['right_words']:.0%}", f"{figures['valid']:.0%}",
                f"{figures['mean_pose_off']:.2f} m", f"{figures['sampled_pose_off']:.2f} m",
                f"{pose_change(trained, reference):.2f} m", share,
            )  # fmt: skip
    Console(width=100).print(table)


if __name__ == "__main__":
    main()
