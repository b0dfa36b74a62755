"""Best of K: of many poses that a policy sampled for its answer, the one that does what the words say.

K poses cost K samples of a distribution and no pass of the language model. All candidates are samples of the policy;
three judges choose among them: what prompt and answer state (``posescript.parsing``), the bundled reward model, which
has read what people call poses, and what looks wrong whatever the words say (``posescript.plausibility``). The model
that judges policies in evaluation takes no part.
"""

from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache

import roma
import torch
from torch import Tensor

from pose_rft.body import load_body
from pose_rft.body.landmarks import NUM_POINTS
from pose_rft.body.skeleton import NUM_JOINTS
from pose_rft.data.sample import Sample
from pose_rft.data.stated import Said, said, stated_checks
from pose_rft.policy.outputs import Rollout
from pose_rft.policy.prompt_encoder import PromptInput
from pose_rft.posescript.checks import satisfied
from pose_rft.posescript.plausibility import implausibility
from pose_rft.retrieval.model import RetrievalModel

CANDIDATES = 64  # that an answer is chosen from, unless said otherwise
STATED, LIKED, WRONG = 4.0, 0.5, 1.0  # weights, chosen on dev splits (docs/evaluation.md)
SAID = 4.0  # weight of what the answer's own words state: that of what the prompt's words do
NARROWEST, WIDEST = 0.0, 0.7  # temperatures of candidates, as shares of the asked one; likewise
ALIKE = 0.1  # metres that some joint has to differ by, or two answers show the same pose


@lru_cache(maxsize=1)
def _reward_model() -> RetrievalModel:
    return RetrievalModel.load("reward")


def candidate_temperatures(temperature: float, count: int) -> Tensor:
    """(K,) temperatures of the candidates: evenly from ``NARROWEST`` to ``WIDEST`` of the asked one; one alone has it.

    Likely poses are among them and unlikely ones too, whatever the width of the distribution.
    """
    if count == 1:
        return torch.tensor([temperature])
    return temperature * torch.linspace(NARROWEST, WIDEST, count)


@torch.no_grad()
def choose_poses(prompt: str, poses: Tensor, answers: Sequence[str] = ()) -> Tensor:
    """Which candidate each answer to a prompt takes.

    Args:
        prompt: what the user said.
        poses: (G, K, 22, 3) axis-angle radians, K candidates for each of G answers.
        answers: the words of the G answers, which their poses should fulfil too; empty for poses without words.

    Returns:
        (G,) indices in 0..K-1. The first answer takes the best; later ones the best that is not like an earlier one.
    """
    count, candidates = poses.shape[:2]
    flat = poses.reshape(-1, NUM_JOINTS, 3).float().cpu()
    points = load_body().points(flat)
    scores = score_candidates(prompt, flat, points).view(count, candidates)
    for answer, words in enumerate(answers):
        if stated := stated_checks(words):
            own = points.view(count, candidates, NUM_POINTS, 3)[answer]
            scores[answer] += SAID * satisfied(stated, own).float().mean(dim=1)
    joints = points[:, :NUM_JOINTS].view(count, candidates, NUM_JOINTS, 3)
    joints = joints - joints[:, :, :1]
    chosen: list[int] = []
    for answer in range(count):
        score = scores[answer].clone()
        for earlier, index in enumerate(chosen):
            apart = (joints[answer] - joints[earlier, index]).norm(dim=-1).amax(dim=-1)  # (K,)
            score[apart < ALIKE] -= STATED
        chosen.append(int(score.argmax()))
    return torch.tensor(chosen, device=poses.device)


def with_chosen_poses(
    rollout: Rollout, rotations: Tensor, inputs: Sequence[PromptInput], settled: bool = True
) -> tuple[Rollout, Tensor]:
    """A rollout of K poses to an answer -> the same with the chosen one of each.

    Args:
        rotations: (B, G, K, 22, 3, 3) of its poses.
        inputs: the B prompts; of those about pictures the first poses are taken, as they are, and of those about given
            poses one by one from the likeliest on.
        settled: whether the chosen poses are put on the floor and do what prompt and answer say (``Said.settle``);
            their actions stay what was sampled.

    Returns:
        The rollout with K = 1, and (B, G, 22, 3, 3) rotations.
    """
    prompts, answers, candidates = rotations.shape[:3]
    chosen = torch.zeros(prompts, answers, dtype=torch.long, device=rotations.device)
    if candidates > 1:
        poses = roma.rotmat_to_rotvec(rotations)
        for number, asked in enumerate(inputs):
            if asked.image is None and asked.poses:  # the first answer is the likeliest, later ones from further out
                chosen[number] = torch.arange(answers) * candidates // answers
            elif asked.image is None:
                chosen[number] = choose_poses(asked.prompt, poses[number], rollout.texts[number])
    place = (torch.arange(prompts)[:, None], torch.arange(answers)[None], chosen)
    action, logp_pose = rollout.action[place][:, :, None], rollout.logp_pose[place][:, :, None]
    rotations = rotations[place]
    if settled:
        settle_answers(rotations, inputs, rollout.texts)
    return replace(rollout, action=action, logp_pose=logp_pose), rotations


def settle_answers(rotations: Tensor, inputs: Sequence[PromptInput | Sample], texts: Sequence[Sequence[str]]) -> None:
    """Settle the poses of texts in place, those of which the same is said in one batch.

    Args:
        rotations: (B, G, ..., 22, 3, 3).
        inputs: the B prompts; the poses of those about pictures or given poses stay as they are.
        texts: their G answers each.
    """
    places: dict[Said, list[tuple[int, int]]] = {}
    for number, (asked, group) in enumerate(zip(inputs, texts, strict=True)):
        for answer, words in enumerate(group if asked.image is None and not asked.poses else ()):
            places.setdefault(said(asked.prompt, words), []).append((number, answer))
    for stated, where in places.items():
        index = tuple(torch.tensor(where, device=rotations.device).unbind(dim=1))
        rotations[index] = roma.rotvec_to_rotmat(stated.settle(roma.rotmat_to_rotvec(rotations[index])))


def score_candidates(prompt: str, poses: Tensor, points: Tensor) -> Tensor:
    """How well candidates answer a prompt, (N,): comparable among them only.

    Args:
        poses: (N, 22, 3) axis-angle radians.
        points: (N, 32, 3) their joints and landmarks, metres.
    """
    score = torch.zeros(len(poses))
    if stated := said(prompt).checks:
        score += STATED * satisfied(stated, points).float().mean(dim=1)
    model = _reward_model()
    if len(poses) > 1 and model.knows(prompt):
        liked = model.score([prompt], poses)
        score += LIKED * (liked - liked.mean()) / liked.std().clamp_min(1e-4)
    return score - WRONG * implausibility(points)
