"""Parsing back: captions are read exactly; of other texts only what is really said."""

from dataclasses import replace
from pathlib import Path
from random import Random

import pytest
import torch
import yaml
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from pose_rft.body import load_body
from pose_rft.data.concepts.concept import load_concepts
from pose_rft.data.concepts.procedural import sample_poses
from pose_rft.errors import UserError
from pose_rft.posescript import lexicon, mentions
from pose_rft.posescript.captions import caption, say
from pose_rft.posescript.lexicon import load_lexicon, tokens_of
from pose_rft.posescript.parsing import parse, statements_held
from pose_rft.posescript.posecodes import Posecode, load_posecodes
from pose_rft.posescript.selection import Statement
from pose_rft.posescript.spelling import corrected
from pose_rft.posescript.wording import participle, third_person, without_held, words_of

CODES = {code.id: code for code in load_posecodes()}
RIGHT_KNEE = ("right_knee.bent",)
BOTH_OVERHEAD = ("left_arm.overhead", "right_arm.overhead")


def procedural_joints(concepts: int) -> torch.Tensor:
    """(N, 22, 3) metres: two poses of each of so many concepts, spread over all."""
    every = load_concepts()
    chosen = every[:: len(every) // concepts][:concepts]
    poses = [torch.from_numpy(sample_poses(concept.spec, 2, seed=11)) for concept in chosen]
    return load_body().joints(torch.cat(poses))


def test_captions_of_varied_poses_parse_back_completely_and_exactly():
    joints = procedural_joints(60)
    captions = [made for seed in range(5) for made in caption(joints, seed)]
    assert len(captions) == 600
    for made in captions:
        back = parse(made.text)
        assert set(back.posecodes) == set(made.posecodes), made.text
        assert len(back.posecodes) == len(made.posecodes) == len(back.statements), made.text
        assert not back.unknown, made.text
        assert back.recognised == 1 or not made.posecodes


def statements_at_random(rng: Random) -> list[Statement]:
    """Up to six statements that a caption could make together, whether or not any pose fulfils them."""
    chosen: list[Statement] = []
    taken: set[str] = set()
    for code in rng.sample(list(CODES.values()), rng.randint(1, 6)):
        both = bool(code.partner) and rng.random() < 0.4
        ids = {code.id} | ({code.partner} if both else set())
        rivals = {f"{name.split('.')[0]}.{rival}" for name in ids for rival in code.rivals}
        if not (ids | rivals) & taken:
            taken |= ids
            chosen.append(Statement(code, both))
    return chosen


def test_all_posecodes_parse_back_in_any_company():
    seen: set[str] = set()
    for seed in range(3000):
        statements = statements_at_random(Random(seed))
        said = {CODES[name].id for one in statements for name in _ids(one)}
        text = say(statements, Random(seed))
        assert set(parse(text).posecodes) == said, text
        seen |= said
    assert seen == set(CODES)


def _ids(statement: Statement) -> tuple[str, ...]:
    partner = statement.code.partner
    return (statement.code.id, partner) if statement.both and partner else (statement.code.id,)


def _wordings(code: Posecode, both: bool) -> set[tuple[str, str]]:
    """(noun, phrase) in all forms, as a caption may say them."""
    words = words_of(code)[both]
    forms = [form for phrase in (*words.verb, *words.do) for form in (phrase, third_person(phrase), participle(phrase))]
    phrases = [*words.be, *map(without_held, words.be), *forms]
    acts = [form for phrase in words.act for form in (phrase, third_person(phrase), participle(phrase))]
    said = {(noun, phrase) for noun in words.nouns for phrase in phrases} | {("", phrase) for phrase in acts}
    return {(noun, " ".join(tokens_of(phrase.replace("{the}", "").replace("{np}", "0")))) for noun, phrase in said}


def test_no_wording_means_two_things():
    meaning: dict[tuple[str, str], tuple[str, ...]] = {}
    for code in CODES.values():
        for both in (False, True) if code.partner else (False,):
            ids = tuple(sorted(_ids(Statement(code, both))))
            for wording in _wordings(code, both):
                assert meaning.setdefault(wording, ids) == ids, wording


@pytest.mark.parametrize("denied", ["is not", "isn't", "is never", "is hardly", "is neither"])
def test_what_is_denied_is_not_read_as_said(denied):
    for code in CODES.values():
        words = words_of(code)[0]
        for noun in words.nouns:
            for state in words.be:
                text = f"The {noun} {denied} {state.replace('{the}', 'the')}."
                assert parse(text).posecodes == (), text


@pytest.mark.parametrize("denial", ["Don't", "Never", "He does not", "Without", "She almost", "Nobody should"])
def test_a_denied_deed_is_not_read_as_done(denial):
    for code in CODES.values():
        words = words_of(code)[0]
        for deed in (*words.do, *words.act):
            text = (
                f"{denial} {deed.replace('{the}', 'the').replace('{self}', 'himself').replace('{np}', words.nouns[0])}"
            )
            assert parse(text).posecodes == (), text


@pytest.mark.parametrize(
    ("text", "posecodes", "unknown"),
    [
        ("THE RIGHT KNEE IS BENT", RIGHT_KNEE, ()),
        ("the woman\N{RIGHT SINGLE QUOTATION MARK}s right knee is bent", RIGHT_KNEE, ()),
        ("right knee bent, dancing", RIGHT_KNEE, ("dancing",)),
        ("The left knee is not bent, but the right knee is bent.", RIGHT_KNEE, ()),
        ("Don't sit. Bend your right knee!", RIGHT_KNEE, ("don't sit",)),
        ("the right knee is bent or straight", (), ("right knee bent or straight",)),
        ("the right knee is bent slightly", ("right_knee.slightly_bent",), ()),
        ("the right knee is bent backwards", (), ("right knee bent backwards",)),
        ("a hand above the head of the horse", (), ("hand above head horse",)),
        ("someone sits side-saddle", (), ("sits side saddle",)),
        ("the left arm bends forward", (), ("left arm bends forward",)),
        ("a boxer throwing a left jab", (), ("boxer throwing left jab",)),
        ("hands on hips", ("left_hand.on_hip", "right_hand.on_hip"), ()),
        ("The right knee and the left elbow are bent.", ("right_knee.bent", "left_elbow.bent"), ()),
        ("bends the right knee and the left elbow is straight", ("right_knee.bent", "left_elbow.straight"), ()),
        ("stand on one leg, the left", ("body.standing_on_left_leg",), ()),
        ("Look up, both arms raised overhead", BOTH_OVERHEAD, ()),
        ("", (), ()),
        ("A person.", (), ()),
        ("...!?", (), ()),
    ],
)
def test_of_free_text_only_what_is_said_is_understood(text, posecodes, unknown):
    said = parse(text)
    assert said.posecodes == posecodes
    assert said.unknown == unknown


@pytest.mark.parametrize(
    ("text", "share"),
    [
        ("The left knee is bent.", 1.0),
        ("She has the left knee bent and dances.", 3 / 4),  # left knee bent | dances; "she has" and "and" do not count
        ("The left knee is bent, the moon is full", 4 / 6),  # left knee is bent | moon, full
        ("The moon is full.", 0.0),
        ("A person.", 0.0),
    ],
)
def test_the_share_recognised_is_that_of_the_words_in_statements(text, share):
    assert parse(text).recognised == pytest.approx(share)


def test_a_posecode_that_is_added_to_the_table_is_understood(monkeypatch):
    waving = replace(
        CODES["left_hand.above_head"],
        id="left_hand.waving",
        predicate="waving",
        be=("waving",),
        verb=(),
        do=("wave {np}",),
    )
    for module in (lexicon, mentions):
        monkeypatch.setattr(module, "load_posecodes", lambda: (*CODES.values(), waving))
    for known in (lexicon.load_lexicon, mentions.code_of, mentions.body_words):
        known.cache_clear()
    try:
        assert parse("She waves her left hand.").posecodes == ("left_hand.waving",)
        assert parse("A man with his left hand waving.").posecodes == ("left_hand.waving",)
    finally:
        for known in (lexicon.load_lexicon, mentions.code_of, mentions.body_words):
            known.cache_clear()


SENTENCES = [
    pytest.param(text, tuple(stated.split()), id=f"{kind}: {text}")
    for kind, texts in yaml.safe_load(Path(__file__).with_name("sentences.yaml").read_text(encoding="utf-8")).items()
    for text, stated in texts.items()
]


@pytest.mark.parametrize(("text", "stated"), SENTENCES)
def test_only_what_a_sentence_states_of_the_person_is_read_and_the_rest_is_reported(text, stated):
    said = parse(text)
    assert said.posecodes == stated
    assert said.statements or said.unknown


@pytest.mark.parametrize("capitals", [str.upper, str.title])
def test_capitals_mean_what_lower_case_means(capitals):
    for text, stated in (sentence.values for sentence in SENTENCES):
        assert parse(capitals(text)).posecodes == stated, text


@settings(max_examples=200, deadline=None)
@given(st.lists(st.text("bcdfghjklmnpqrstvwxz", min_size=3, max_size=9), min_size=1, max_size=3))
def test_an_unknown_word_in_the_clause_makes_a_statement_doubtful(unknown):
    assume(list(corrected(unknown)) == unknown)  # a slip of a word that is known is no unknown word
    strange = " ".join(word for word in unknown)
    for text in (
        f"She {strange} bending the left knee",
        f"The left knee is bent {strange}",
        f"{strange} bends both knees",
    ):
        said = parse(text)
        assert said.posecodes == ()
        assert strange.split()[0] in " ".join(said.unknown)


VOCABULARY = sorted({word for phrase in _wordings(CODES["left_knee.bent"], False) for word in " ".join(phrase).split()})


@settings(max_examples=100, deadline=None)
@given(st.text() | st.lists(st.sampled_from([*VOCABULARY, "and", "not", "both", ",", "right", "0"])).map(" ".join))
def test_any_text_can_be_parsed(text):
    said = parse(text)
    assert 0 <= said.recognised <= 1
    assert bool(said.statements) == (said.recognised > 0)
    assert set(said.posecodes) <= set(CODES)


def test_the_lexicon_knows_every_noun_and_posecode():
    named = {code.id for codes in load_lexicon().named.values() for code in codes}
    assert named == set(CODES)


def test_a_text_that_says_nothing_of_a_pose_is_refused(tmp_path):
    with pytest.raises(UserError, match="nothing in 'the moon' is understood"):
        statements_held("the moon", tmp_path / "poses.npz")
