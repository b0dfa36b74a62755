"""The retrieval model reads unknown words, learns a mapping, counts recall rightly and survives its file."""

import json
import math
import pickle
import re
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors import safe_open

from pose_rft.body import load_body
from pose_rft.body.skeleton import JOINT_INDEX
from pose_rft.data.mixtures.text_to_pose import MixtureConfig, SourceConfig
from pose_rft.data.photographs import TWO_PEOPLE
from pose_rft.data.sample import Sample
from pose_rft.errors import UserError
from pose_rft.posescript.posecodes import classify, load_posecodes
from pose_rft.retrieval.encoders import BidirectionalGru
from pose_rft.retrieval.model import BUNDLED, RetrievalModel, RetrievalSettings, score_file
from pose_rft.retrieval.training import (
    PosecodeReader,
    RetrievalConfig,
    RetrievalTraining,
    contrastive_loss,
    distinct,
    evaluate_retrieval,
    recall,
    shares,
    train,
    train_retrieval,
)
from pose_rft.retrieval.words import START, UNKNOWN, WordEmbedding, build_vocabulary, ngram_buckets, words

SMALL = RetrievalSettings(width=32, heads=2, pose_width=64, pose_blocks=1, vocabulary_size=60, buckets=64)
SMALL_JUDGE = replace(SMALL, role="judge", text="recurrent", pose="joints", pose_width=32)
OFFSETS = torch.randn(22, 3, generator=torch.Generator().manual_seed(2)) / 10  # any bones will do
BOTH = pytest.mark.parametrize("settings", [SMALL, SMALL_JUDGE], ids=["reward", "judge"])


def model(vocabulary=("arm", "bent"), settings=SMALL) -> RetrievalModel:
    torch.manual_seed(0)
    return RetrievalModel(settings, vocabulary, OFFSETS).eval()


def toy_samples(count: int, seed: int) -> list[Sample]:
    """Six joints turn by one of three amounts each, and the text says so: 3^6 = 729 different poses."""
    random = np.random.default_rng(seed)
    joints = ["left_elbow", "right_elbow", "left_knee", "right_knee", "left_hip", "right_hip"]
    amounts = {"straight": 0.0, "half bent": 0.8, "fully bent": 1.6}
    samples = []
    for _ in range(count):
        pose = random.normal(0, 0.05, (22, 3)).astype(np.float32)
        phrases = []
        for joint in joints:
            amount = random.choice(list(amounts))
            pose[JOINT_INDEX[joint], 0] += amounts[amount]
            phrases.append(f"the {joint.replace('_', ' ')} is {amount}")
        random.shuffle(phrases)
        samples.append(Sample(prompt=", ".join(phrases) + ".", answer="<POSE>.", pose=pose))
    return samples


def test_texts_become_lower_case_words_numbers_and_marks():
    assert words("The person's LEFT knee, bent at 90°.") == [
        "the",
        "person",
        "s",
        "left",
        "knee",
        ",",
        "bent",
        "at",
        "90",
        ".",
    ]


def test_the_vocabulary_holds_the_most_common_words_that_repeat():
    assert build_vocabulary(["b a c", "a b", "a d"], size=10) == ["a", "b"]
    assert build_vocabulary(["b a c", "a b c", "a d"], size=2) == ["a", "b"]  # b and c are equal: alphabetical


def test_ngram_buckets_are_the_same_in_every_process():
    # <up> has two 3-grams, one 4-gram, and is too short for a 5-gram, which is then the whole
    assert ngram_buckets("up", 1_000_000) == (867_625, 504_436, 817_123, 817_123)  # crc32 % 10^6


def test_a_known_word_has_a_vector_of_its_own_and_an_unknown_one_its_pieces():
    embedding = WordEmbedding(["bent"], buckets=64, width=8, max_words=10)
    vectors, owner = embedding(["", "bent knee"])
    assert owner.tolist() == [0, 1, 1, 1]  # start; start, bent, knee
    knee = embedding.ngram.weight[list(ngram_buckets("knee", 64))].mean(0) + embedding.word.weight[UNKNOWN]
    bent = embedding.ngram.weight[list(ngram_buckets("bent", 64))].mean(0) + embedding.word.weight[2]
    assert torch.allclose(vectors[2], bent, atol=1e-6)
    assert torch.allclose(vectors[3], knee, atol=1e-6)


def test_forgetting_every_word_leaves_only_its_pieces_and_the_start():
    embedding = WordEmbedding(["bent"], buckets=64, width=8, max_words=10)
    vectors, _ = embedding(["bent"], forget=1.0)
    pieces = embedding.ngram.weight[list(ngram_buckets("bent", 64))].mean(0)
    assert torch.allclose(vectors[1], pieces + embedding.word.weight[UNKNOWN], atol=1e-6)
    start = embedding.ngram.weight[list(ngram_buckets("", 64))].mean(0) + embedding.word.weight[START]
    assert torch.allclose(vectors[0], start, atol=1e-6)


@BOTH
def test_embeddings_are_unit_vectors_whatever_the_text(settings):
    texts = ["arm bent", "", "§§", "zzyzx " * 500]
    embedding = model(settings=settings).embed_text(texts)
    assert embedding.shape == (4, 32)
    assert embedding.norm(dim=-1).tolist() == pytest.approx([1.0] * 4, abs=1e-5)


@BOTH
def test_an_embedding_does_not_depend_on_what_else_is_in_the_batch(settings):
    one = model(settings=settings)
    together = one.embed_text(["arm bent", "arm " * 30, ""])
    alone = torch.cat([one.embed_text([text]) for text in ("arm bent", "arm " * 30, "")])
    assert torch.allclose(together, alone, atol=1e-5)
    poses = torch.randn(5, 22, 3, generator=torch.Generator().manual_seed(0))
    assert torch.allclose(one.embed_pose(poses), one.embed_pose(poses, batch_size=2), atol=1e-5)


@BOTH
def test_the_order_of_words_matters(settings):
    one, other = model(settings=settings).embed_text(["arm bent", "bent arm"])
    assert (one - other).abs().max() > 1e-3


@BOTH
def test_a_full_turn_of_a_joint_is_the_same_pose(settings):
    poses = torch.zeros(2, 22, 3)
    poses[1, 4, 0] = 2 * math.pi
    one, other = model(settings=settings).embed_pose(poses)
    assert torch.allclose(one, other, atol=1e-4)


def test_the_judge_sees_where_joints_are_and_not_how_they_are_turned():
    poses = torch.zeros(2, 22, 3)
    poses[1, JOINT_INDEX["left_wrist"], 0] = 1.0  # a leaf: it turns and carries no other joint
    judge, reward = (model(settings=settings).embed_pose(poses) for settings in (SMALL_JUDGE, SMALL))
    assert torch.allclose(judge[0], judge[1], atol=1e-5)
    assert (reward[0] - reward[1]).abs().max() > 1e-3


def test_the_score_is_the_cosine_of_text_and_pose():
    poses = torch.randn(2, 22, 3, generator=torch.Generator().manual_seed(0))
    texts = ["arm bent", "arm"]
    expected = torch.cosine_similarity(model().embed_text(texts), model().embed_pose(poses))
    assert torch.allclose(model().score(texts, poses), expected, atol=1e-6)


def test_poses_of_another_shape_are_refused():
    with pytest.raises(ValueError, match=r"axis_angle must be \(N, 22, 3\), not \(2, 66\)"):
        model().embed_pose(torch.zeros(2, 66))


def test_the_contrastive_loss_of_two_pairs_is_worked_by_hand():
    text = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    pose = torch.tensor([[1.0, 0.0], [0.6, 0.8]])
    apart = torch.eye(2, dtype=torch.bool)
    # logits at scale 2: [[2, 1.2], [0, 1.6]]; log(1 + e^d) for the four comparisons
    losses = [math.log(1 + math.exp(d)) for d in (1.2 - 2, 0 - 1.6, 0 - 2, 1.2 - 1.6)]
    assert contrastive_loss(text, pose, torch.tensor(2.0), apart).item() == pytest.approx(sum(losses) / 4)


def test_a_pose_that_fits_another_text_is_no_negative_for_it():
    text = torch.tensor([[1.0, 0.0], [1.0, 0.0]])
    pose = torch.tensor([[0.6, 0.8], [1.0, 0.0]])
    fits = torch.ones(2, 2, dtype=torch.bool)
    assert contrastive_loss(text, pose, torch.tensor(5.0), fits).item() == pytest.approx(0.0, abs=1e-6)


def test_recall_counts_ranks_both_ways():
    # 12 items on a circle; text i points at pose i, except that text 0 points at pose 1 and so has rank 2
    angle = torch.arange(12) * 2 * math.pi / 12
    pose = torch.stack([angle.cos(), angle.sin()], dim=1)
    turned = angle.clone()
    turned[0] = angle[1] - 0.01
    text = torch.stack([turned.cos(), turned.sin()], dim=1)
    metrics = recall(text, pose)
    assert metrics["text_to_pose/recall@1"] == pytest.approx(100 * 11 / 12)
    assert metrics["text_to_pose/recall@5"] == 100
    # pose 0 finds texts 1 and 11 (30 degrees away) tied behind nothing but text 0 (29.4 degrees): still first
    assert metrics["pose_to_text/recall@1"] == 100
    assert metrics["mean_recall"] == pytest.approx((100 * 11 / 12 + 500) / 6)


def test_a_model_that_tells_nothing_apart_has_no_recall():
    metrics = recall(torch.ones(100, 4) / 2, torch.ones(100, 4) / 2)
    assert metrics["mean_recall"] == 0  # everybody's rank is 50.5
    assert recall(torch.full((100, 4), math.nan), torch.ones(100, 4))["mean_recall"] == 0


def test_shares_count_the_fulfilled_checks_of_every_text_on_every_pose():
    joints = load_body().joints(torch.zeros(2, 22, 3))
    joints[1, :, 1] *= -1  # the second stands on its head
    checks = [("y(head) > y(pelvis)", "x(left_wrist) > 0"), ("y(head) < y(pelvis)",), ()]
    assert shares(checks, joints)[:2].tolist() == [[1.0, 0.5], [0.0, 1.0]]
    assert shares(checks, joints)[2].isnan().all()


def test_distinct_keeps_the_first_of_each_text_and_pose():
    pose, other = np.zeros((22, 3), np.float32), np.ones((22, 3), np.float32)
    rows = [("a", pose), ("a", other), ("b", pose), ("c", None), ("d", other)]
    samples = [Sample(prompt, "", pose) for prompt, pose in rows]
    assert [sample.prompt for sample in distinct(samples)] == ["a", "d"]


def test_a_run_draws_pairs_trains_saves_and_reports(tmp_path, monkeypatch, capsys):
    drawn = []

    def mixture(n, seed, config, processes=1):
        drawn.append((n, seed))
        return toy_samples(n, seed)

    monkeypatch.setattr("pose_rft.data.mixtures.training.text_to_pose_mixture", mixture)
    training = RetrievalTraining(SMALL, steps=3, batch_size=16, seed=5)
    output = tmp_path / "new" / "model.safetensors"
    metrics = train(RetrievalConfig(str(output), samples=40, held_out=20, training=training, device="cpu"))
    assert drawn == [(40, 5), (20, 6)]
    assert RetrievalModel.load(output).settings == SMALL
    assert set(metrics) >= {"mean_recall", "text_to_pose/recall@1", "agreement"}
    assert "mean_recall" in capsys.readouterr().err


def test_a_width_that_heads_cannot_share_is_refused():
    with pytest.raises(UserError, match="width 30 must be a multiple of heads 8"):
        RetrievalSettings(width=30)


def test_held_out_pairs_are_of_the_part_that_the_model_does_not_learn_from(tmp_path, monkeypatch):
    drawn = []

    def mixture(n, seed, config, processes=1):
        drawn.append(config.part)
        return toy_samples(n, seed)

    monkeypatch.setattr("pose_rft.data.mixtures.training.text_to_pose_mixture", mixture)
    training = RetrievalTraining(SMALL_JUDGE, steps=2, batch_size=16)
    data = MixtureConfig(part="judge")
    train(RetrievalConfig(str(tmp_path / "m"), samples=40, held_out=20, data=data, training=training, device="cpu"))
    assert drawn == ["judge", "reward"]


def test_pairs_of_a_file_are_learned_and_its_test_lines_judge(tmp_path):
    made = [(sample, split) for split, n in (("train", 40), ("test", 12)) for sample in toy_samples(n, len(split))]
    lines = [{"prompt": each.prompt, "pose": each.pose.tolist(), "split": split} for each, split in made]
    path = tmp_path / "pairs.jsonl"
    path.write_text("\n".join(map(json.dumps, lines)))
    training = RetrievalTraining(SMALL_JUDGE, steps=2, batch_size=16)

    def run(path):
        data = MixtureConfig(chat=0, sources=[SourceConfig(path=str(path))])
        return train(RetrievalConfig(str(tmp_path / "m.safetensors"), data=data, training=training, device="cpu"))

    assert "mean_recall" in run(path)
    path.write_text("\n".join(map(json.dumps, lines[:40])))
    with pytest.raises(UserError, match=r"pairs\.jsonl: no line is for test"):
        run(path)
    path.write_text("\n".join(map(json.dumps, [lines[0] | {"image": str(TWO_PEOPLE)}, *lines[1:]])))
    with pytest.raises(UserError, match="line 1: image: retrieval learns from texts and poses"):
        run(path)


def test_posecodes_are_read_off_poses_and_off_captions_only():
    codes = load_posecodes()
    pairs = [
        Sample("caption", "", checks=(codes[3].check, codes[7].check)),
        Sample("phrase", "", checks=("y(head) > 0",)),
    ]
    reader = PosecodeReader(pairs, 8)
    assert reader.is_caption.tolist() == [True, False]
    assert reader.stated.nonzero().tolist() == [[0, 3], [0, 7]]
    text, pose = torch.randn(2, 2, 8, requires_grad=True).unbind()
    holds = classify(load_body().joints(torch.zeros(2, 22, 3)), clearly=True)
    (gradient,) = torch.autograd.grad(reader(text, pose, torch.arange(2), holds), text)
    assert (gradient.abs().sum(1) > 0).tolist() == [True, False]


def test_a_reader_that_knows_nothing_loses_a_bit_a_posecode():
    pairs = [Sample("caption", "", checks=(load_posecodes()[0].check,))]
    reader = PosecodeReader(pairs, 8)
    for layer in (reader.of_pose, reader.of_text):
        torch.nn.init.zeros_(layer.weight)
        torch.nn.init.zeros_(layer.bias)
    holds = torch.zeros(1, len(load_posecodes()), dtype=torch.bool)
    loss = reader(torch.ones(1, 8), torch.ones(1, 8), torch.tensor([0]), holds)
    assert loss.item() == pytest.approx(2 * math.log(2))  # every answer is a coin toss, on either side


def test_an_output_that_cannot_be_written_is_told_before_anything_is_drawn(tmp_path, monkeypatch):
    monkeypatch.setattr("pose_rft.retrieval.training.training_samples", None)  # would raise TypeError
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot be written"):
        train(RetrievalConfig(str(tmp_path / "file" / "model.safetensors")))


def test_a_run_that_cannot_be_judged_is_refused():
    with pytest.raises(UserError, match="held_out must be at least 2, not 0"):
        RetrievalConfig(held_out=0)


@BOTH
def test_training_learns_a_toy_mapping(settings):
    training = RetrievalTraining(settings, steps=100, batch_size=64, learning_rate=3e-3, forget_words=0.0, posecodes=0)
    losses: list[float] = []
    trained = train_retrieval(toy_samples(2000, seed=0), training, report=lambda step, steps, loss: losses.append(loss))
    metrics = evaluate_retrieval(trained, toy_samples(200, seed=1))
    assert len(losses) == 100
    assert metrics["mean_recall"] > 50  # chance: (1 + 5 + 10) / 3 / 200 = 2.7 %; measured 85


def test_training_is_repeatable_and_leaves_the_global_generator_alone():
    training = RetrievalTraining(SMALL, steps=2, batch_size=16)
    before = torch.random.get_rng_state()
    first, second = (train_retrieval(toy_samples(40, seed=0), training) for _ in range(2))
    assert torch.equal(torch.random.get_rng_state(), before)
    for name, value in first.state_dict().items():
        assert torch.equal(value, second.state_dict()[name]), name


@BOTH
def test_training_that_is_killed_goes_on_to_the_same_model(settings, tmp_path):
    samples, checkpoint = toy_samples(60, seed=0), tmp_path / "model.checkpoint.safetensors"
    training = RetrievalTraining(settings, steps=7, batch_size=16)
    whole = train_retrieval(samples, training).state_dict()

    def kill(step: int, steps: int, loss: float) -> None:
        if step == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_retrieval(samples, training, kill, checkpoint=checkpoint, save_steps=2)
    steps: list[int] = []
    resumed = train_retrieval(samples, training, lambda step, *_: steps.append(step), checkpoint=checkpoint)
    assert steps == [5, 6, 7]
    for name, value in resumed.state_dict().items():
        assert torch.equal(value, whole[name]), name


def test_a_checkpoint_of_other_pairs_or_none_at_all_is_refused(tmp_path):
    checkpoint = tmp_path / "model.checkpoint.safetensors"
    training = RetrievalTraining(SMALL, steps=2, batch_size=16)
    train_retrieval(toy_samples(40, seed=0), training, checkpoint=checkpoint, save_steps=1)
    with pytest.raises(UserError, match="is of other pairs or another training"):
        train_retrieval(toy_samples(40, seed=1), training, checkpoint=checkpoint)
    with pytest.raises(UserError, match="is of other pairs or another training"):
        train_retrieval(toy_samples(40, seed=0), replace(training, steps=3), checkpoint=checkpoint)
    checkpoint.write_text("nothing")
    with pytest.raises(UserError, match="no checkpoint"):
        train_retrieval(toy_samples(40, seed=0), training, checkpoint=checkpoint)


def test_a_loss_that_is_no_number_stops_the_run():
    with pytest.raises(UserError, match="the loss is nan at step 1; lower learning_rate"):
        train_retrieval(toy_samples(40, seed=0), RetrievalTraining(SMALL, steps=2, batch_size=16, pose_noise=1e39))


def test_samples_without_a_pose_are_left_out_and_too_few_are_refused():
    chat = [Sample(prompt="Hello", answer="Hi.")] * 50
    with pytest.raises(UserError, match="10 pairs of text and pose are fewer than batch_size 16"):
        train_retrieval(chat + toy_samples(10, seed=0), RetrievalTraining(SMALL, batch_size=16))


@BOTH
def test_a_saved_model_comes_back_the_same(tmp_path, settings):
    original = model(["arm", "bent", "knee"], settings)
    once = RetrievalModel.load(original.save(tmp_path / "once.safetensors"))
    twice = RetrievalModel.load(once.save(tmp_path / "twice.safetensors"))
    assert (once.settings, once.vocabulary) == (original.settings, original.vocabulary)
    for name, value in once.state_dict().items():
        assert torch.equal(value, twice.state_dict()[name]), name  # float16 loses nothing the second time
    poses = torch.randn(4, 22, 3, generator=torch.Generator().manual_seed(0))
    assert torch.allclose(once.embed_text(["arm bent"]), original.embed_text(["arm bent"]), atol=5e-3)
    assert torch.allclose(once.embed_pose(poses), original.embed_pose(poses), atol=5e-3)
    assert [path.name for path in sorted(tmp_path.iterdir())] == ["once.safetensors", "twice.safetensors"]


def test_the_file_is_safetensors_with_json_and_no_pickle(tmp_path):
    path = model().save(tmp_path / "model.safetensors")
    with safe_open(str(path), framework="pt") as file:
        metadata = file.metadata()
    assert json.loads(metadata["vocabulary"]) == ["arm", "bent"]
    assert json.loads(metadata["settings"])["role"] == "reward"
    with pytest.raises((pickle.UnpicklingError, ValueError)):  # which, hangs on the length of the header
        pickle.loads(path.read_bytes())


@pytest.mark.parametrize("content", [b"", b"not safetensors at all", b"\x80\x04K\x01."])
def test_a_file_that_is_no_model_is_refused(tmp_path, content):
    path = tmp_path / "model.safetensors"
    path.write_bytes(content)
    with pytest.raises(UserError, match=re.escape(f"{path} is not a retrieval model")):
        RetrievalModel.load(path)


def test_a_default_model_fits_into_three_megabytes(tmp_path):
    settings = RetrievalSettings()
    vocabulary = [f"word{number}" for number in range(settings.vocabulary_size)]
    assert RetrievalModel(settings, vocabulary, OFFSETS).save(tmp_path / "full").stat().st_size < 3_000_000


@pytest.mark.parametrize("name", ["reward", "judge"])
def test_a_text_without_a_known_word_is_not_scored(name, tmp_path):
    np.savez(tmp_path / "poses.npz", pose=np.zeros((1, 22, 3), np.float32))
    for text in ("", " ", "...", "123", "he is on it", "A purple idea", "\N{THUMBS UP SIGN}", "El brazo izquierdo"):
        with pytest.raises(UserError, match=re.escape(f"no word of '{text.strip()}' is known to the model; say what")):
            score_file(text, tmp_path / "poses.npz", name)
    assert -1 <= score_file("arms up", tmp_path / "poses.npz", name)[0] <= 1


def test_the_bundled_models_are_small_and_told_apart():
    reward, judge = RetrievalModel.load("reward").settings, RetrievalModel.load("judge").settings
    assert (reward.role, judge.role) == ("reward", "judge")
    assert reward.text != judge.text
    assert reward.pose != judge.pose
    assert sum(path.stat().st_size for path in BUNDLED.glob("retrieval_*.safetensors")) < 6_000_000


def test_the_recurrent_text_encoder_is_torch_s_gru_read_from_both_ends():
    torch.manual_seed(0)
    width, lengths = 8, [3, 1, 5, 2]
    ours, theirs = BidirectionalGru(width), torch.nn.GRU(width, width, bidirectional=True)
    torch.nn.init.normal_(ours.enter_bias)
    torch.nn.init.normal_(ours.bias)
    with torch.no_grad():
        for way, suffix in enumerate(("l0", "l0_reverse")):
            getattr(theirs, f"weight_ih_{suffix}").copy_(ours.enter[way].T)
            getattr(theirs, f"weight_hh_{suffix}").copy_(ours.recur[way].T)
            getattr(theirs, f"bias_ih_{suffix}").copy_(ours.enter_bias[way, 0])
            getattr(theirs, f"bias_hh_{suffix}").copy_(torch.cat([torch.zeros(2 * width), ours.bias[way, 0]]))
    words = torch.randn(sum(lengths), width)
    expected = torch.stack([theirs(text)[0].amax(0) for text in words.split(lengths)])
    assert torch.allclose(ours(words, torch.tensor(lengths)), expected, atol=1e-5)
