"""The chat page: what it shows for what is said, and that it needs nothing from elsewhere."""

import asyncio
import re
from pathlib import Path

import gradio as gr
import numpy as np
import pytest
import trimesh
from PIL import Image

from pose_rft.app.limits import Limits
from pose_rft.app.page import BODIES, CHANGE, NEW, THUMBNAIL, _Page
from pose_rft.app.worker import PoseWorker
from pose_rft.body import Pose
from pose_rft.policy import Answer
from pose_rft.policy.conversation import Conversation


@pytest.fixture(scope="module")
def page(talking_policy):
    worker = PoseWorker(talking_policy, Limits())
    yield _Page(worker)
    worker.close()


def talk(page, text, files=(), shown=(), samples=1, meaning="auto", start="1", around="", after=None, pictures=()):
    """What the page becomes after one message, by component: after a conversation, or where answers are ``shown``."""
    conversation = after or Conversation().shows(shown, "")
    _, chat, asked = page.hear({"text": text, "files": [str(file) for file in files]}, [])
    return asyncio.run(page.respond(asked, chat, conversation, list(pictures), samples, 1.0, meaning, start, around))


def standing(words):
    """An answer with the rest pose."""
    return Answer(words, True, Pose.from_axis_angle(np.zeros((22, 3))), 0.0, 0.0)


def said(page, updates):
    return [(message["role"], message["content"]) for message in updates[page.chat]]


def test_words_and_bodies_answer_a_description(page):
    updates = talk(page, "wave", samples=3)
    assert said(page, updates) == [("user", "wave"), ("assistant", r"Done \[pose\].")]
    assert ["absent" in updates[column]["elem_classes"] for column in page.columns] == [False, False, False, True]
    for view in page.views[:3]:
        assert len(trimesh.load(updates[view], force="mesh").faces) == 26972  # the bundled body's
    assert updates[page.views[3]] is None
    assert len(updates[page.conversation].current.answers) == 3
    assert [Path(updates[button]).name for button in page.buttons[:3]] == ["pose_1.glb", "pose_1.bvh", "pose_1.npz"]
    assert updates[page.buttons[3 * (BODIES - 1)]] is None


def test_an_order_changes_the_chosen_body_and_says_what_was_understood(page):
    two = talk(page, "wave", samples=2)[page.conversation]
    updates = talk(page, "bend the right knee 20 degrees like a heron", after=two, start="2")
    (_, reply) = said(page, updates)
    assert reply[1] == 'Done: bend the right knee 20 degrees \\(20 degrees\\). Not understood: "like heron".'
    (edited,) = updates[page.conversation].current.answers
    moved = np.abs(edited.pose.body_pose - two.current.answers[1].pose.body_pose).max(axis=1)
    assert np.degrees(moved[4]) > 15  # the right knee
    assert (moved[11:] == 0).all()
    assert ["absent" in updates[column]["elem_classes"] for column in page.columns] == [False, True, True, True]


def test_undo_brings_back_the_bodies_as_they_were(page):
    two = talk(page, "wave", samples=2)[page.conversation]
    edited = talk(page, "sit down", after=two, start="2")[page.conversation]
    updates = talk(page, "undo", after=edited)
    assert updates[page.conversation].current is two.current
    assert updates[page.start]["value"] == "2"
    assert ["absent" in updates[column]["elem_classes"] for column in page.columns] == [False, False, True, True]
    (_, reply) = said(page, talk(page, "undo", after=two))
    assert "no earlier pose" in reply[1]


def test_every_pose_has_a_picture_that_brings_it_back(page):
    two = talk(page, "wave", samples=2)
    pictures = two[page.pictures]
    edited = talk(page, "sit down", after=two[page.conversation], pictures=pictures, start="2")
    assert [picture.shape for picture in edited[page.pictures]] == [(*THUMBNAIL, 3)] * 3
    assert edited[page.pictures][0] is pictures[0]  # not drawn again
    assert [title for _, title in edited[page.strip]["value"]] == ["wave", "wave", "sit down"]
    assert edited[page.strip]["selected_index"] == 2
    kept = edited[page.conversation], edited[page.pictures]
    back = asyncio.run(page.bring_back(*kept, gr.SelectData(None, {"index": 1, "value": None})))
    assert back[page.conversation].current is two[page.conversation].current
    assert (back[page.start]["value"], back[page.strip]["selected_index"]) == ("2", 1)
    assert len(back[page.pictures]) == 3  # what is newer stays in the strip


def test_the_button_undoes_and_can_be_pressed_only_where_there_is_something_before(page):
    first = talk(page, "wave")
    assert not first[page.undo]["interactive"]
    edited = talk(page, "sit down", after=first[page.conversation], pictures=first[page.pictures])
    assert edited[page.undo]["interactive"]
    back = asyncio.run(page.go_back(edited[page.conversation], edited[page.pictures]))
    assert back[page.conversation].current is first[page.conversation].current
    assert not back[page.undo]["interactive"]


@pytest.mark.parametrize("message", ["thanks!", "What are the benefits of squats?", "make it more poetic"])
def test_talk_and_orders_that_are_not_understood_leave_the_bodies(page, message):
    before = Conversation().shows([standing("")], "")
    updates = talk(page, message, after=before)  # this policy would answer each with a pose
    assert updates[page.conversation].current is before.current
    assert page.columns[0] not in updates
    assert "pose" in said(page, updates)[1][1]


def test_what_a_message_means_can_be_said(page):
    shown = talk(page, "wave")[page.conversation]
    assert len(talk(page, "squat", after=shown, meaning=NEW)[page.conversation].edits) == 0
    assert len(talk(page, "squat", after=shown, meaning=CHANGE)[page.conversation].edits) == 1
    (_, reply) = said(page, talk(page, "wave", meaning=CHANGE))
    assert "There is no pose to change yet" in reply[1]


def test_a_picture_for_a_policy_that_reads_none_is_answered_with_the_reason(page, tmp_path):
    Image.new("RGB", (40, 40)).save(tmp_path / "me.png")
    (_, _, reply) = said(page, talk(page, "this", [tmp_path / "me.png"]))
    assert "this policy answers texts only" in reply[1]
    (tmp_path / "note.png").write_text("no picture")
    (_, reply) = said(page, talk(page, "", [tmp_path / "note.png"]))
    assert "not a picture that can be read" in reply[1]


@pytest.fixture
def asked(page, monkeypatch):
    """What the policy is asked: prompt, whether with a picture, box."""
    questions = []

    def generate(prompts, images, boxes, **_):
        questions.append((prompts[0], images is not None, boxes[0]))
        return [[Answer("Yes.", False, None, 0.0, None, note="2 people were found.")]]

    monkeypatch.setattr(page.worker.policy, "generate", generate)
    return questions


def test_a_question_after_a_photograph_is_asked_with_it(page, asked, tmp_path):
    Image.new("RGB", (40, 40)).save(tmp_path / "me.png")
    before = Conversation().shows([standing("")], "")
    photographed = talk(page, "What is the pose?", [tmp_path / "me.png"], after=before)[page.conversation]
    for question in ("Is the left arm raised more than the right?", "Describe her pose."):
        answer = talk(page, question, after=photographed)
        assert answer[page.conversation].photograph is photographed.photograph
        assert answer[page.chat][1]["metadata"] == {"title": "Asked about the photograph above"}
    talk(page, "a boxer throwing a left jab", after=photographed)
    talk(page, "Is the left arm raised?", after=photographed, meaning=NEW)
    assert [with_picture for _, with_picture, _ in asked] == [True, True, True, False, False]
    assert [prompt for prompt, _, _ in asked][1] == "Is the left arm raised more than the right?"  # and no change


def test_a_question_after_a_newer_pose_than_the_photograph_is_about_that_pose(page, asked, tmp_path):
    Image.new("RGB", (40, 40)).save(tmp_path / "me.png")
    photographed = talk(page, "What is the pose?", [tmp_path / "me.png"])[page.conversation]
    later = photographed.shows([standing("")], "a boxer")
    talk(page, "Is the left arm raised?", after=later)  # answered from the pose
    talk(page, "Is the left arm of the woman in the picture raised?", after=later)
    assert [with_picture for _, with_picture, _ in asked] == [True, True]


def test_a_question_about_the_body_on_the_page_is_answered_from_its_pose(page, asked):
    shown = [standing("")]
    for question, answer in (
        ("Is the right knee bent?", "No, the right leg is straight."),
        ("Which hand is higher?", "Both hands are at about the same height."),
    ):
        updates = talk(page, question, shown=shown)
        assert said(page, updates) == [("user", question), ("assistant", answer)]
        assert page.columns[0] not in updates
    assert asked == []


def test_what_geometry_does_not_tell_is_asked_with_what_was_said_of_the_body(page, asked):
    shown = [standing("Both knees are bent, the left hand is on the hip: <POSE>.")]
    talk(page, "Is the person tired?", shown=shown)
    for question in ("What are the benefits of squats?", "a squat"):
        talk(page, question, shown=shown)
    talk(page, "Is the person tired?", shown=[standing("Here you are: <POSE>.")])
    talk(page, "Is the right knee bent?", shown=shown, meaning=NEW)
    before = "You showed this pose: Both knees are bent, the left hand is on the hip. "
    assert [prompt for prompt, _, _ in asked] == [
        f"{before}Is the person tired?",
        "What are the benefits of squats?",
        "a squat",
        "Is the person tired?",
        "Is the right knee bent?",
    ]


def test_a_box_goes_with_the_photograph(page, asked, tmp_path):
    Image.new("RGB", (40, 40)).save(tmp_path / "me.png")
    talk(page, "Who?", [tmp_path / "me.png"], around="1, 2, 30, 40")
    assert asked == [("Who?", True, (1.0, 2.0, 30.0, 40.0))]
    (_, _, reply) = said(page, talk(page, "Who?", [tmp_path / "me.png"], around="1, 2"))
    assert "give four numbers" in reply[1]


def test_a_note_stands_under_the_answer(page, asked):
    (_, reply) = said(page, talk(page, "wave"))
    assert reply[1] == "Yes. (no pose)\n\n*2 people were found.*"


def test_a_message_that_is_too_long_is_not_asked(page):
    (_, reply) = said(page, talk(page, "a" * 2001))
    assert "too long: 2001 characters" in reply[1]


def test_what_breaks_inside_is_told_without_details(page, monkeypatch):
    monkeypatch.setattr(page.worker.policy, "generate", lambda *_, **__: 1 / 0)
    (_, reply) = said(page, talk(page, "wave"))
    assert reply[1] == "The server failed to answer this; its log says why."


def test_an_empty_message_and_one_before_the_last_is_answered_ask_nothing(page):
    heard = {"role": "assistant", "content": [{"type": "text", "text": "..."}]}  # as gradio hands it back
    assert page.hear({"text": "  ", "files": []}, [])[2] is None
    assert page.hear({"text": "wave", "files": []}, [heard])[2] is None
    assert page.hear({"text": "wave", "files": []}, [])[2] == {"text": "wave", "files": []}
    assert page.conversation not in asyncio.run(page.respond(None, [], Conversation(), [], 1, 1.0, "auto", "1"))


@pytest.fixture(scope="module")
def browser(talking_policy):
    from fastapi.testclient import TestClient

    from pose_rft.app.server import create_app

    with TestClient(create_app(talking_policy), base_url="http://localhost") as client:
        yield client


def test_the_page_may_load_from_its_own_server_only(browser):
    answer = browser.get("/", headers={"accept": "text/html"})
    assert answer.status_code == 200
    policy = answer.headers["content-security-policy"]
    assert "default-src 'self'" in policy
    assert "http" not in policy
    loaded = re.findall(r"<(?:script|link|img)[^>]*(?:src|href)=[\"'](https?:)?//[^\"']+", answer.text)
    assert not [host for host in loaded if "preconnect" not in host]


def test_the_page_stands_beside_the_api(browser):
    assert browser.get("/healthz").json()["status"] == "ok"
    assert browser.post("/v1/poses", json={"prompt": "wave"}).status_code == 200
    assert browser.get("/v1/poses").status_code == 405


@pytest.mark.parametrize("path", ["/etc/passwd", "pyproject.toml", str(Path(__file__)), "../pyproject.toml"])
def test_the_page_hands_out_no_file_of_the_server(browser, path):
    answer = browser.get(f"/gradio_api/file={path}")
    assert answer.status_code in (403, 404)
    assert "root:" not in answer.text
    assert "[project]" not in answer.text
