"""AttributeClassifier: statements read off poses, learned from pictures, told to the language model."""

import shutil
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import torch

from pose_rft.body import load_body
from pose_rft.data.questions.questions import ask
from pose_rft.data.questions.statements import statement_truths, statements
from pose_rft.data.rendering.camera import in_camera_frame
from pose_rft.data.sample import PicturedPerson, Sample
from pose_rft.errors import UserError
from pose_rft.policy import HeadConfig, LoraSettings, PolicyConfig, PosePolicy
from pose_rft.policy.image_branch import ATTRIBUTES_INTRODUCTION
from pose_rft.runs.sft import SftConfig, run_sft
from pose_rft.sft.attributes import truths_of, weights_as_asked
from pose_rft.sft.trainer import LoopConfig, PhaseConfig
from pose_rft.vision.encoded_images import EncodedImages

UP = np.array([0.0, 1.0, 0.0])


@pytest.fixture(scope="module")
def config(tiny_backbone) -> PolicyConfig:
    head = HeadConfig(width=32, depth=1, heads=4, rank=2)
    return PolicyConfig(tiny_backbone, 2, head, LoraSettings(rank=2, alpha=4, from_layer=2), "blazepose")


@pytest.fixture(scope="module")
def pictures() -> list[Sample]:
    """As if drawn and encoded: the features are the pose, in other numbers."""
    generator = torch.Generator().manual_seed(0)
    poses = torch.randn(24, 22, 3, generator=generator) * 0.4
    project = torch.randn(66, 39 * 8, generator=generator) / 8
    samples = []
    for pose in poses:
        encoded = EncodedImages(torch.zeros(1, 64, 288), (pose.flatten() @ project).view(1, 39, 8))
        person = PicturedPerson(0, pose.numpy(), UP)
        question = ask(load_body().joints(pose[None]), len(samples), ["yes_no"])[0]
        samples.append(Sample(question.text, question.answer, image=encoded, task="pose_question", person=person))
    return samples


def test_statements_say_what_questions_ask_about():
    texts = [statement.text for statement in statements()]
    assert len(set(texts)) == len(texts)
    assert "The left arm is raised." in texts
    assert "Neither arm is raised." in texts
    joints = load_body().joints(torch.randn(60, 22, 3, generator=torch.Generator().manual_seed(1)) * 0.4)
    truths = statement_truths(joints, torch.ones(60))
    number = {(statement.topic, statement.truth): column for column, statement in enumerate(statements())}
    seen = set()
    for seed in range(8):
        for row, question in enumerate(ask(joints, seed, ["yes_no", "which"])):
            if question.truth in ("yes", "no"):
                assert truths[row, number[question.topic, "yes"]] == (question.truth == "yes")
            elif question.truth:
                assert truths[row, number[question.topic, question.truth]] == 1
            seen.add(question.truth)
    assert seen >= {"yes", "no", "left", "right", "both"}
    assert truths[:, -1].tolist() == [1] * 60
    assert statement_truths(joints[:3], torch.tensor([0.1, -0.9, 0.9]))[:, -1].tolist() == [-1, 0, 1]


def test_the_truth_is_about_gravity_and_not_about_the_camera(pictures):
    sample = pictures[0]
    quarter = torch.tensor([[0.0, -1, 0], [1, 0, 0], [0, 0, 1]])
    turned = in_camera_frame(quarter.numpy(), sample.person.pose)
    rolled = replace(sample, person=PicturedPerson(0, turned, quarter.numpy() @ UP))
    assert torch.equal(truths_of([sample]), truths_of([rolled]))
    upright = replace(sample, person=PicturedPerson(0, turned, UP))
    assert not torch.equal(truths_of([sample]), truths_of([upright]))


def test_truths_weigh_as_they_are_asked():
    rows = {(each.topic, each.truth): row for row, each in enumerate(statements())}
    truths = torch.full((10, len(rows)), -1, dtype=torch.int8)
    raised = rows["left_arm.raised", "yes"]
    truths[:, raised] = torch.tensor([1, 0, 0, 0, 1, 0, 0, 0, -1, -1])
    left, right, both = (rows["hand_higher", side] for side in ("left", "right", "both"))
    truths[:8, [left, right, both]] = 0
    truths[:6, left], truths[6, right], truths[7, both] = 1, 1, 1
    asked = Counter({("left_arm.raised", "yes"): 4, ("left_arm.raised", "no"): 4})
    asked |= {("hand_higher", "left"): 3, ("hand_higher", "right"): 3, ("hand_higher", "both"): 1}
    holding, failing = weights_as_asked(truths, asked)
    # Of 8 clear arms 2 are raised, and half of the answers are yes; of 8 clear hands 6 are higher on the left.
    torch.testing.assert_close(torch.stack([holding[raised], failing[raised]]), torch.tensor([2.0, 2 / 3]))
    torch.testing.assert_close(holding[[left, right, both]], torch.tensor([0.4 * 8 / 6, 0.4 * 8, 0.2 * 8]))
    assert not failing[[left, right, both]].any()


@pytest.fixture(scope="module")
def trained(config, pictures, tmp_path_factory):
    folder = tmp_path_factory.mktemp("attributes")
    PosePolicy.create(config).save_pretrained(folder / "start")
    run = SftConfig(
        start=str(folder / "start"),
        output_dir=str(folder / "sft"),
        head=PhaseConfig(steps=0),
        attributes=PhaseConfig(samples=24, steps=400, batch_size=24, learning_rate=1e-2),
        joint=PhaseConfig(samples=24, steps=2, batch_size=8, learning_rate=1e-3),
        loop=LoopConfig(row_tokens=512),
    )
    return folder, run_sft(run, samples=pictures)


def test_what_is_found_is_told_in_its_words(trained, pictures):
    _, policy = trained
    assert policy.image_branch.attributes == list(statements())
    assert policy.image_branch.text_projector is None
    seen = EncodedImages(torch.cat([p.image.tokens for p in pictures]), torch.cat([p.image.points for p in pictures]))
    truths = truths_of(pictures)
    found = policy.image_branch.attribute_classifier(policy.image_branch.joint_features(seen)) > 0
    clear = truths >= 0
    assert (found == (truths > 0))[clear].float().mean() > 0.95
    reading = policy.encode(replace(pictures[0], prompt="Is the left knee bent?"))
    row = [statement.text for statement in statements()].index("The left knee is bent.")
    expected = "The left knee is bent." if found[0, row] else "The left knee is not bent."
    text = policy.backbone.tokenizer.decode(reading.tokens.ids)
    assert ATTRIBUTES_INTRODUCTION + expected in text
    assert text.index("Is the left knee bent?") < text.index(ATTRIBUTES_INTRODUCTION)
    bare = policy.encode(replace(pictures[0], prompt="Is the left knee bent?"), with_attributes=False)
    assert reading.memory_end == bare.memory_end == reading.tokens.insert_at
    assert reading.tokens.ids[: reading.memory_end] == bare.tokens.ids[: reading.memory_end]


def test_a_policy_with_findings_answers_the_same_after_loading(trained, pictures):
    folder, policy = trained
    loaded = PosePolicy.from_pretrained(folder / "sft" / "policy")
    assert loaded.language_model.draft_answers
    for one, other in zip(policy.trainable().items(), loaded.trainable().items(), strict=True):
        assert torch.equal(one[1], other[1]), one[0]
    first, second = (p.rollout(pictures[:3], temperature=0.0, max_new_tokens=6) for p in (policy, loaded))
    assert first.answer_ids == second.answer_ids


def test_findings_resume_from_the_head_that_they_are_read_off(trained, config, pictures, tmp_path):
    """Killed in the attributes, a run with a head phase goes on to the weights of an unbroken one."""

    def run(folder: str) -> SftConfig:
        posed = PhaseConfig(samples=24, steps=6, batch_size=8, learning_rate=1e-2)
        return SftConfig(
            start=str(trained[0] / "start"),
            output_dir=str(tmp_path / folder),
            head=posed,
            attributes=replace(posed, steps=8),
            joint=PhaseConfig(steps=0),
            loop=LoopConfig(row_tokens=512, save_steps=4),
        )

    samples = [replace(p, pose=p.person.pose, answer="The pose is <POSE>.") for p in pictures]
    unbroken = run_sft(run("whole"), samples=samples)
    run_sft(run("killed"), samples=samples)
    for later in (tmp_path / "killed" / "attributes").glob("checkpoint-8"):
        shutil.rmtree(later)
    shutil.rmtree(tmp_path / "killed" / "policy")
    resumed = run_sft(run("killed"), resume=True, samples=samples)
    for one, other in zip(
        unbroken.image_branch.state_dict().items(), resumed.image_branch.state_dict().items(), strict=True
    ):
        assert torch.equal(one[1], other[1]), one[0]


def test_a_broken_list_of_attributes_is_refused(trained, tmp_path):
    shutil.copytree(trained[0] / "sft" / "policy", tmp_path / "old")
    (tmp_path / "old" / "attributes.json").write_text('["The left knee is bent."]')
    with pytest.raises(UserError, match="not a list of attributes"):
        PosePolicy.from_pretrained(tmp_path / "old")


def test_learning_words_leaves_the_poses_of_pictures_as_they_are(trained, pictures):
    folder, policy = trained
    before = PosePolicy.from_pretrained(folder / "start")
    weights = dict(before.image_branch.named_parameters())
    for name, weight in policy.image_branch.named_parameters():
        if name.startswith(("head", "head_projector")):
            assert torch.equal(weight, weights[name]), name


def test_findings_need_pictures_and_a_head_that_sees(config, tiny_backbone, tmp_path):
    with pytest.raises(UserError, match="encoder"):
        PosePolicy.create(PolicyConfig(tiny_backbone)).enable_attributes(["The person is standing."])
    none, some = PhaseConfig(steps=0), PhaseConfig(samples=1, steps=1)
    run = SftConfig(policy=config, output_dir=str(tmp_path / "sft"), head=none, attributes=some, joint=none)
    pose = np.zeros((22, 3), np.float32)
    with pytest.raises(UserError, match="pictures"):
        run_sft(run, samples=[Sample("stand", "<POSE>", pose)])
