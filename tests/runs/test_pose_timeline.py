"""Pictures while it trains: which rows there are, what an interruption leaves of them, and what they leave alone."""

import json
import shutil
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

from pose_rft.body import Pose
from pose_rft.errors import UserError
from pose_rft.runs.pose_timeline import (
    CELL,
    CONTENT_KEY,
    GAP,
    PoseTimeline,
    PoseTimelineConfig,
    draw_row,
    mean_answers,
    read_timeline,
    write_timeline,
)

PROMPTS = ["wave", "sit down"]


class Poser(torch.nn.Module):
    """Answers with a T-pose turned by its angle, or with words alone; remembers in which mode it was asked."""

    def __init__(self) -> None:
        super().__init__()
        self.part = torch.nn.Dropout()
        self.angle, self.modes = 0.0, []

    def generate(self, prompts, temperature):
        assert temperature == 0
        self.modes.append((self.training, self.part.training))
        pose = np.zeros((22, 3), np.float32)
        pose[0, 1] = self.angle
        answers = [SimpleNamespace(text="Done <POSE>.", pose=Pose.from_axis_angle(pose)) for _ in prompts]
        return [[answer] for answer in answers[:-1]] + [[SimpleNamespace(text="I would rather not.", pose=None)]]


def train(timeline: PoseTimeline, policy: Poser, start: int, stop: int, updates: int = 1) -> None:
    state = SimpleNamespace(global_step=start * updates, is_world_process_zero=True)
    timeline.on_train_begin(None, state, None)
    for step in range(start * updates + 1, stop * updates + 1):
        state.global_step, policy.angle = step, timeline.before + step / updates
        timeline.on_step_end(None, state, None)
    timeline.on_train_end(None, state, None)


def steps(path) -> list[int]:
    with Image.open(path) as sheet:
        return json.loads(sheet.info[CONTENT_KEY])["steps"]


@pytest.mark.parametrize("updates", [1, 2])
def test_there_is_a_row_for_the_start_every_few_steps_and_the_end_of_each_phase(tmp_path, updates):
    policy, path = Poser(), tmp_path / "pose_timeline.png"
    train(PoseTimeline(policy, PoseTimelineConfig(4, PROMPTS), path), policy, 0, 6)
    assert steps(path) == [0, 4, 6]
    train(PoseTimeline(policy, PoseTimelineConfig(4, PROMPTS), path, before=6, updates=updates), policy, 0, 3, updates)
    assert steps(path) == [0, 4, 6, 8, 9]
    assert [name.name for name in tmp_path.iterdir()] == ["pose_timeline.png"]
    rows = read_timeline(path, PROMPTS)
    assert rows[0].size == (2 * CELL + GAP, CELL)
    assert rows[0].tobytes() != rows[8].tobytes()


def test_a_resumed_run_draws_the_picture_of_an_unbroken_one(tmp_path):
    policy = Poser()
    whole, broken = tmp_path / "whole.png", tmp_path / "broken.png"
    train(PoseTimeline(policy, PoseTimelineConfig(2, PROMPTS), whole), policy, 0, 6)
    policy.angle = 0.0
    train(
        PoseTimeline(policy, PoseTimelineConfig(2, PROMPTS), broken), policy, 0, 5
    )  # killed after step 5, its checkpoint is of 3
    train(PoseTimeline(policy, PoseTimelineConfig(2, PROMPTS), broken), policy, 3, 6)
    assert steps(broken) == [0, 2, 4, 6]
    assert broken.read_bytes() == whole.read_bytes()


def test_a_picture_of_other_prompts_and_a_damaged_one_are_begun_anew(tmp_path):
    path = tmp_path / "pose_timeline.png"
    write_timeline(path, PROMPTS, {0: draw_row(mean_answers(Poser(), PROMPTS))})
    assert list(read_timeline(path, PROMPTS)) == [0]
    assert read_timeline(path, ["wave", "kneel"]) == {}
    path.write_bytes(path.read_bytes()[:500])
    assert read_timeline(path, PROMPTS) == {}
    Image.new("RGB", (10, 10)).save(path)
    assert read_timeline(path, PROMPTS) == {}


def test_an_answer_without_a_pose_leaves_its_words(tmp_path):
    row = np.asarray(draw_row(mean_answers(Poser(), PROMPTS)))
    posed, words = row[:, :CELL], row[:, CELL + GAP :]
    assert (posed == 255).all(axis=2).mean() < 0.01  # a picture fills its cell
    assert 0.5 < (words == 255).all(axis=2).mean() < 1.0
    assert draw_row(mean_answers(Poser(), ["sit down"])).size == (CELL, CELL)  # of which none has a pose


def test_drawing_asks_without_dropout_and_leaves_every_mode_as_it_was():
    policy = Poser()
    policy.part.eval()  # frozen inside a model that trains
    mean_answers(policy, PROMPTS)
    assert policy.modes == [(False, False)]
    assert (policy.training, policy.part.training) == (True, False)


def test_of_all_processes_one_draws(tmp_path):
    second = Poser()  # of two processes that hold a language model together: it answers, and draws nothing
    timeline = PoseTimeline(second, PoseTimelineConfig(1, PROMPTS), tmp_path / "pose_timeline.png")
    timeline.on_train_begin(None, SimpleNamespace(global_step=0, is_world_process_zero=False), None)
    assert len(second.modes) == 1
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("fields", [{"every": -1}, {"prompts": []}, {"prompts": ["wave", " "]}, {"prompts": [3]}])
def test_a_timeline_that_cannot_be_is_refused(fields):
    with pytest.raises(UserError, match=r"^(every|prompts)"):
        PoseTimelineConfig(**fields)


def test_training_ends_with_the_same_weights_bit_for_bit_with_and_without_pictures(trained_policy, tmp_path):
    from safetensors.torch import load_file

    from pose_rft.data.sample import Sample
    from pose_rft.hygrpo import HyGRPOConfig
    from pose_rft.run_checkpoints import newest_checkpoint
    from pose_rft.runs.rft import PosePhaseConfig, RftConfig, run_rft

    pose = np.zeros((22, 3), np.float32)
    samples = [Sample(f"pose {n}", "Done <POSE>.", pose, checks=("angle(left_knee) < 90",)) for n in range(4)]
    sizes = {"prompts_per_step": 2, "answers_per_prompt": 2, "poses_per_answer": 4, "max_new_tokens": 12}

    def run(name: str, every: int, resume: bool = False) -> dict[str, torch.Tensor]:
        config = RftConfig(
            policy=str(trained_policy),
            output_dir=str(tmp_path / name),
            pose_phase=PosePhaseConfig(steps=4, prompts_per_step=2, learning_rate=1e-2),
            hygrpo=HyGRPOConfig(steps=4, save_steps=2, learning_rate=1e-2, row_tokens=128, **sizes),
            pose_timeline=PoseTimelineConfig(every, PROMPTS),
            device="cpu",
        )
        torch.manual_seed(5)
        run_rft(config, resume, samples)
        files = sorted((tmp_path / name / "policy").glob("*.safetensors"))
        return {f"{file.name}:{key}": value for file in files for key, value in load_file(file).items()}

    without, drawn = run("without", 0), run("drawn", 3)
    assert not (tmp_path / "without" / "pose_timeline.png").exists()
    assert steps(tmp_path / "drawn" / "pose_timeline.png") == [0, 3, 4, 6, 8]
    assert without.keys() == drawn.keys()
    assert [key for key, value in without.items() if not torch.equal(value, drawn[key])] == []
    before = (tmp_path / "drawn" / "pose_timeline.png").read_bytes()
    shutil.rmtree(newest_checkpoint(tmp_path / "drawn"))
    resumed = run("drawn", 3, resume=True)
    assert [key for key, value in without.items() if not torch.equal(value, resumed[key])] == []
    assert (tmp_path / "drawn" / "pose_timeline.png").read_bytes() == before
