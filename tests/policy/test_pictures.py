"""Training on drawn pictures: what is cut out, encoded and learned."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from pose_rft.body import load_body
from pose_rft.body.skeleton import mirror_pose
from pose_rft.data.mixtures.image_samples import ImageMixtureConfig
from pose_rft.data.questions.statements import statements
from pose_rft.data.rendering.camera import in_camera_frame
from pose_rft.data.rendering.renders import RenderSpec
from pose_rft.data.sample import PicturedPerson, QuestionTruth, Sample
from pose_rft.errors import UserError
from pose_rft.evaluation.picture_benchmark import pictured_poses
from pose_rft.hygrpo import HyGRPOConfig
from pose_rft.policy import HeadConfig, LoraSettings, PolicyConfig, PosePolicy
from pose_rft.policy import training_pictures as pictures
from pose_rft.policy.hidden_state_cache import cache_hidden_states, pack_samples
from pose_rft.policy.training_pictures import PicturesConfig, circle_of, crop_of, encoded, flip_sample, with_pictures
from pose_rft.posescript.checks import satisfied
from pose_rft.runs.rft import PosePhaseConfig, RftConfig, run_rft
from pose_rft.runs.sft import SftConfig, run_sft
from pose_rft.sft.trainer import LoopConfig, PhaseConfig
from pose_rft.vision.encoded_images import EncodedImages

ANSWER = "The SMPL pose of this person is <POSE>."
MIXTURE = ImageMixtureConfig(single=1.0, pairs=0.0, questions=0.0)


def texts(count: int) -> list[Sample]:
    rng = np.random.default_rng(0)
    poses = rng.normal(scale=0.3, size=(count, 22, 3)).astype(np.float32)
    return [Sample(f"number {i}", ANSWER, pose, checks=("y(head) > 0",)) for i, pose in enumerate(poses)]


@pytest.fixture(scope="module")
def config(tiny_backbone) -> PolicyConfig:
    head = HeadConfig(width=32, depth=1, heads=4, rank=2)
    return PolicyConfig(tiny_backbone, 2, head, LoraSettings(rank=2, alpha=4), "blazepose")


def test_a_detector_puts_its_circle_around_all_joints_and_upright():
    joints = np.tile([100.0, 120.0], (22, 1))
    joints[12] = [150.0, 120.0]  # the neck to the right of the hips: lying, head to the right
    joints[15] = [160.0, 120.0]
    circle = circle_of(joints)
    assert circle.centre == (100.0, 120.0)
    assert circle.rotation == pytest.approx(math.pi / 2)
    assert circle.radius == pytest.approx(1.02 * 60)


def test_a_pose_turned_as_a_whole_has_its_joints_turned():
    pose = np.random.default_rng(1).normal(scale=0.4, size=(22, 3)).astype(np.float32)
    quarter = np.array([[0.0, -1, 0], [1, 0, 0], [0, 0, 1]])
    joints = load_body().joints(torch.from_numpy(np.stack([pose, in_camera_frame(quarter, pose)])))
    joints = joints - joints[:, :1]
    torch.testing.assert_close(joints[1], joints[0] @ torch.from_numpy(quarter).float().T, atol=1e-5, rtol=0)


def test_the_crop_of_someone_lying_is_upright_and_the_pose_turns_with_it():
    lying = np.zeros((22, 3), np.float32)
    lying[0] = [0.0, 0.0, math.pi / 2]
    spec = RenderSpec(lying, seed=3, index=0, clear=True)
    cut = crop_of(spec)
    joints = load_body().joints(torch.from_numpy(in_camera_frame(cut.turn.T, spec.camera_pose()[0])))
    up = joints[12] - joints[0]  # from the hips to the neck, in the crop's frame
    assert abs(float(torch.atan2(up[0], up[1]))) < 0.35  # perspective bends it a little


@pytest.mark.slow
def test_pictures_are_encoded_the_same_by_any_number_of_processes(config):
    policy = PosePolicy.create(config, dtype=torch.float32)
    mixed = with_pictures(policy, texts(6), 5, PicturesConfig(4, 1, MIXTURE))
    assert len(mixed) == 10
    pictures = [sample for sample in mixed if sample.image is not None]
    assert len(pictures) == 4
    assert all(isinstance(sample.image, EncodedImages) and sample.task == "image_to_pose" for sample in pictures)
    again = with_pictures(policy, texts(6), 5, PicturesConfig(4, 2, MIXTURE))
    for one, other in zip(mixed, again, strict=True):
        assert one.prompt == other.prompt
        if one.image is not None:
            torch.testing.assert_close(one.image.points, other.image.points, atol=1e-4, rtol=1e-4)
            np.testing.assert_array_equal(one.pose, other.pose)


def test_pictures_once_encoded_are_not_drawn_again(config, tmp_path, monkeypatch):
    monkeypatch.setattr("pose_rft.policy.training_pictures.SHARD", 4)
    monkeypatch.setattr("pose_rft.policy.training_pictures.BATCH", 2)
    policy = PosePolicy.create(config, dtype=torch.float32)
    asked = PicturesConfig(6, 1, MIXTURE, texts=0)
    first = with_pictures(policy, texts(6), 5, asked, tmp_path / "pictures")
    shards = sorted((tmp_path / "pictures").glob("*.safetensors"))
    assert len(shards) == 2
    shards[1].unlink()  # the run was killed before it
    drawn = []
    monkeypatch.setattr(
        "pose_rft.policy.training_pictures._cropped",
        lambda jobs, draw=pictures._cropped: drawn.append(len(jobs)) or draw(jobs),
    )
    again = with_pictures(policy, texts(6), 5, asked, tmp_path / "pictures")
    assert drawn == [2]
    for one, other in zip(first, again, strict=True):
        assert torch.equal(one.image.tokens, other.image.tokens)
        np.testing.assert_array_equal(one.pose, other.pose)
    with pytest.raises(UserError, match="other samples"):
        with_pictures(policy, texts(6), 5, PicturesConfig(3, 1, MIXTURE, texts=0), tmp_path / "pictures")
    others = [replace(sample, pose=sample.pose + 0.01) for sample in texts(6)]
    with pytest.raises(UserError, match="other samples"):  # as many, but of other poses
        with_pictures(policy, others, 5, asked, tmp_path / "pictures")


def test_a_policy_without_an_encoder_cannot_be_shown_pictures(tiny_backbone):
    policy = PosePolicy.create(PolicyConfig(tiny_backbone))
    with pytest.raises(UserError, match="encoder"):
        encoded(policy, [Sample("?", ANSWER, image=RenderSpec(np.zeros((22, 3), np.float32), 0, 0))])


@pytest.mark.slow
def test_supervised_and_reinforced_training_learn_from_pictures(config, tmp_path):
    policy = PosePolicy.create(config, dtype=torch.float32)
    samples = with_pictures(policy, texts(8), 5, PicturesConfig(8, 1, MIXTURE))
    before = {name: weight.clone() for name, weight in policy.image_branch.state_dict().items()}
    trained = run_sft(
        SftConfig(
            policy=config,
            output_dir=str(tmp_path / "sft"),
            head=PhaseConfig(samples=16, steps=150, batch_size=16, learning_rate=5e-3),
            joint=PhaseConfig(samples=16, steps=2, batch_size=8, learning_rate=1e-3),
            loop=LoopConfig(row_tokens=512),
        ),
        samples=samples,
    )
    moved = {
        name for name, weight in trained.image_branch.state_dict().items() if not torch.equal(weight, before[name])
    }
    assert any(name.startswith("head_projector") for name in moved)
    assert any(name.startswith("text_projector") for name in moved)
    pictures = [sample for sample in samples if sample.image is not None]
    target = torch.from_numpy(np.stack([sample.pose for sample in pictures]))
    body, head = load_body(), trained.head
    with torch.no_grad():
        reached = trained(pack_samples(trained, pictures, 512)).pose.mean.view(-1, 22, 6)

        def error(action: torch.Tensor) -> float:
            joints = body.joints_from_rotations(head.to_rotations(action))
            return float((joints - body.joints(target)).norm(dim=-1).mean())

        assert error(reached) < 0.75 * error(torch.zeros_like(reached))  # the mean of all poses

    reinforced, history = run_rft(
        RftConfig(
            policy=str(tmp_path / "sft" / "policy"),
            output_dir=str(tmp_path / "rft"),
            rewards=["format", "spatial_bounded"],
            pose_phase=PosePhaseConfig(steps=2, prompts_per_step=8),
            hygrpo=HyGRPOConfig(
                steps=1, prompts_per_step=4, answers_per_prompt=2, poses_per_answer=4, max_new_tokens=6
            ),
        ),
        samples=samples,
    )
    assert any("rewards/spatial_bounded/mean" in entry for entry in history)
    assert reinforced.config.encoder == "blazepose"


def made_up(count: int) -> list[Sample]:
    """Pictures of poses, as if they had been drawn and encoded."""
    generator = torch.Generator().manual_seed(0)
    seen = [
        EncodedImages(torch.randn(1, 64, 288, generator=generator), torch.randn(1, 39, 8, generator=generator))
        for _ in range(count)
    ]
    return [replace(sample, image=image) for sample, image in zip(texts(count), seen, strict=True)]


def test_what_pictures_teach_leaves_the_poses_of_texts_bit_for_bit(config, tmp_path):
    blind = PosePolicy.create(replace(config, encoder=None))
    blind.save_pretrained(tmp_path / "blind")
    run = SftConfig(
        start=str(tmp_path / "blind"),
        encoder="blazepose",
        output_dir=str(tmp_path / "sft"),
        head=PhaseConfig(samples=8, steps=3, batch_size=8, learning_rate=1e-2),
        joint=PhaseConfig(samples=8, steps=0),
    )
    seeing = run_sft(run, samples=made_up(8))
    first, second = (policy.rollout(["number 3"], temperature=0.0, max_new_tokens=4) for policy in (blind, seeing))
    assert torch.equal(first.action, second.action)
    query, looked = made_up(1)[0], [PosePolicy.create(config), seeing]
    looked[0] = PosePolicy.from_pretrained(tmp_path / "blind", encoder="blazepose")
    before, after = (policy.rollout([query], temperature=0.0, max_new_tokens=4).action for policy in looked)
    assert not torch.allclose(before, after, atol=1e-3)


def test_pictures_get_a_head_of_another_shape(config, tmp_path):
    old = PosePolicy.create(config, dtype=torch.float32)
    old.fit_action_space(torch.randn(9, 22, 3, generator=torch.Generator().manual_seed(2)) * 0.3)
    old.enable_attributes(statements())
    old.save_pretrained(tmp_path / "old")
    larger = replace(config.head, width=48, depth=2)
    run = SftConfig(
        start=str(tmp_path / "old"),
        image_head=larger,
        output_dir=str(tmp_path / "sft"),
        head=PhaseConfig(samples=8, steps=2, batch_size=8, learning_rate=1e-2),
        joint=PhaseConfig(steps=0),
    )
    run_sft(run, samples=made_up(8))
    new = PosePolicy.from_pretrained(tmp_path / "sft" / "policy", dtype=torch.float32)
    assert new.image_branch.head.config == new.config.image_head == larger
    assert new.image_branch.attributes == []  # they were read off the features of the other head
    assert torch.equal(new.image_branch.head.action_std, old.head.action_std)
    first, second = (policy.rollout(["number 3"], temperature=0.0, max_new_tokens=4) for policy in (old, new))
    assert torch.equal(first.action, second.action)
    again = PosePolicy.from_pretrained(tmp_path / "sft" / "policy", dtype=torch.float32, image_head=larger)
    assert torch.equal(again.image_branch.head.queries, new.image_branch.head.queries)  # it has that shape already


def test_a_head_of_pictures_fits_the_policy(config):
    with pytest.raises(UserError, match="encoder"):
        replace(config, encoder=None, image_head=config.head)
    for unfit in ({"kind": "mlp"}, {"covariance": "diagonal", "rank": 8}):
        with pytest.raises(UserError, match="image_head"):
            replace(config, image_head=replace(config.head, **unfit))


def test_equal_prompts_are_read_once(config):
    policy = PosePolicy.create(config, dtype=torch.float32)
    alike = [replace(sample, prompt="Who?") for sample in made_up(4)]
    cache = cache_hidden_states(policy, [*alike, texts(1)[0]], batch=2, progress=False)
    assert len(cache) == 5
    assert len(cache.starts) == 3
    assert cache.read_as.tolist() == [0, 0, 0, 0, 1]
    assert cache.image_of.tolist() == [0, 1, 2, 3, -1]


def test_flip_augmentation_doubles_the_pictures(config, tmp_path):
    """A flipped picture is one whose person has the sides exchanged, also where words say them."""
    policy = PosePolicy.create(config, dtype=torch.float32)
    settings = PicturesConfig(2, 1, ImageMixtureConfig(single=0, pairs=1, questions=0), texts=0, flip_augmentation=True)
    drawn = with_pictures(policy, texts(2), 5, settings, tmp_path / "pictures")
    plain = with_pictures(policy, texts(2), 5, replace(settings, flip_augmentation=False))
    assert len(drawn) == 4
    for one in plain:
        same = [other for other in drawn if other.prompt == one.prompt and np.array_equal(other.pose, one.pose)]
        twin = [other for other in drawn if np.allclose(mirror_pose(torch.from_numpy(other.pose)), one.pose)]
        assert len(same) == len(twin) == 1
        assert torch.equal(same[0].image.tokens, one.image.tokens)
        assert not torch.equal(twin[0].image.tokens, one.image.tokens)
        assert ("left" in one.prompt) == ("right" in twin[0].prompt)
        torch.testing.assert_close(twin[0].person.up[0], -one.person.up[0])
    again = with_pictures(policy, texts(2), 5, settings, tmp_path / "pictures")
    assert [sample.prompt for sample in again] == [sample.prompt for sample in drawn]
    with pytest.raises(UserError, match="other samples"):
        with_pictures(policy, texts(2), 5, replace(settings, flip_augmentation=False), tmp_path / "pictures")


def test_a_question_about_a_flipped_picture_has_the_mirrored_answer():
    pose = np.random.default_rng(0).normal(scale=0.3, size=(22, 3)).astype(np.float32)
    check = "angle(left_knee) < 120"
    sample = Sample(
        "Is the left knee bent?",
        "Yes, the left knee is bent.",
        checks=(check,),
        person=PicturedPerson(0, pose, np.array([0.1, 0.9, 0.0])),
        question=QuestionTruth("left_knee.bent", "yes"),
    )
    flipped = EncodedImages(torch.zeros(1, 64, 288), torch.zeros(1, 39, 8))
    twin = flip_sample(sample, flipped)
    assert (twin.prompt, twin.answer) == ("Is the right knee bent?", "Yes, the right knee is bent.")
    assert twin.question == QuestionTruth("right_knee.bent", "yes")
    assert twin.pose is None
    assert twin.image is flipped
    joints = load_body().joints(torch.from_numpy(np.stack([pose, twin.person.pose])))
    assert satisfied([check], joints[:1]).all() == satisfied(twin.checks, joints[1:]).all()


def test_pictures_alone_leave_the_texts_out(config):
    policy = PosePolicy.create(config, dtype=torch.float32)
    samples = with_pictures(policy, texts(2), 5, PicturesConfig(3, 1, MIXTURE, texts=0))
    assert len(samples) == 3
    assert all(sample.image is not None for sample in samples)


def test_the_benchmark_shows_people_cut_out_and_asks_for_their_pose():
    poses = torch.randn(5, 22, 3, generator=torch.Generator().manual_seed(0)) * 0.3
    samples = pictured_poses(poses, "made up", limit=3)
    assert len(samples) == 3
    assert all(sample.image.pixels.shape == (256, 256, 3) for sample in samples)
    assert len({sample.image.pixels.tobytes() for sample in samples}) == 3
