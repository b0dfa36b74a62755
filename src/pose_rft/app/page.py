"""The chat page: talk to the policy, see words and bodies that can be turned in 3D."""

import asyncio
import logging
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from textwrap import shorten
from typing import Any

import gradio as gr
import numpy as np
from fastapi import FastAPI, HTTPException
from fastapi.concurrency import run_in_threadpool
from PIL.Image import Image

from pose_rft.app.api import answered
from pose_rft.app.messages import PICTURE_PROMPT, PROMPT_CHARACTERS
from pose_rft.app.worker import PoseWorker, QueuedPrompt
from pose_rft.body import Pose
from pose_rft.body.render import render
from pose_rft.errors import UserError
from pose_rft.policy import POSE_TOKEN, Answer
from pose_rft.policy.conversation import Conversation, Turn, asked_about
from pose_rft.policy.describing import answer_about
from pose_rft.storage import package_text
from pose_rft.vision.people import read_box

BODIES = 4  # every one on the page is a 3D canvas of its own
SUFFIXES = ("glb", "bvh", "npz")
SHOWN, ABSENT = ["body"], ["body", "absent"]  # classes of a body's column
THUMBNAIL, TITLE = (132, 110), 28  # height and width in pixels, signs
CACHE_SECONDS = (600, 3600)  # how often files are looked through, and how old they get
AUTO, NEW, CHANGE = "auto", "a new pose", "a change"
WANTED = {NEW: Turn.POSE, CHANGE: Turn.EDIT}
EXAMPLES = (
    "a boxer throwing a left jab",
    "Someone sits cross-legged with the hands on the knees.",
    "a ballet dancer in arabesque",
    "Both arms are raised above the head and the knees are slightly bent.",
    "raise the left arm a bit more",
)
INTRODUCTION = """# Pose-RFT
Describe a pose, or send a photograph and ask for somebody's, and get words and a body. Drag a body to turn it, scroll
to zoom; say what should be different to go on from it."""
Updates = dict[Any, Any]
WAITING = "..."
COPIED_SECONDS = 60  # by then the page has its own copies of the files
SANS = ["system-ui", "-apple-system", "Segoe UI", "Roboto", "DejaVu Sans", "sans-serif"]
MONO = ["ui-monospace", "SFMono-Regular", "Menlo", "DejaVu Sans Mono", "monospace"]
logger = logging.getLogger(__name__)


def mount_page(app: FastAPI, worker: PoseWorker) -> None:
    """Put the page at / of the application."""
    gr.mount_gradio_app(
        app,
        _Page(worker).blocks,
        path="/",
        footer_links=[],
        run_history=False,
        show_error=False,
        max_file_size=worker.limits.body_bytes,
        ssr_mode=False,
        mcp_server=False,
        theme=_theme(),
        css=package_text(__package__, "page.css"),
    )
    app.state.on_closing.append(app.routes[-1].app.stop_event.set)  # type: ignore[attr-defined]


def _theme() -> gr.themes.Base:
    """Gradio's plain theme with fonts that every machine has: nothing is fetched for it."""
    return gr.themes.Base(primary_hue="teal", secondary_hue="teal", neutral_hue="slate", font=SANS, font_mono=MONO)


class _Page:
    """The components, and what happens between them."""

    def __init__(self, worker: PoseWorker) -> None:
        self.worker = worker
        with gr.Blocks(title="Pose-RFT", analytics_enabled=False, delete_cache=CACHE_SECONDS, fill_width=True) as page:
            self.blocks = page
            self.conversation = gr.State(Conversation(), time_to_live=CACHE_SECONDS[1])
            self.pictures = gr.State([], time_to_live=CACHE_SECONDS[1])  # of its poses, in their order
            with gr.Row(elem_id="page"):
                with gr.Column(elem_id="talk"):
                    gr.Markdown(INTRODUCTION)
                    self._talk()
                with gr.Column(elem_id="bodies"):
                    self._bodies()
                with gr.Column(elem_id="settings"):
                    self._settings()
            self.asked = gr.State(None)  # the message that is being answered
            shown = [self.conversation, self.pictures, self.strip, self.undo, self.start]
            shown += [*self.columns, *self.views, *self.buttons]
            how: dict[str, Any] = {"concurrency_limit": None, "api_visibility": "private", "show_progress": "hidden"}
            self.box.submit(self.hear, [self.box, self.chat], [self.box, self.chat, self.asked], **how).then(
                self.respond,
                [
                    *(self.asked, self.chat, self.conversation, self.pictures, self.samples, self.temperature),
                    *(self.meaning, self.start, self.around),
                ],
                [self.chat, *shown],
                **how,
            )
            kept = [self.conversation, self.pictures]
            self.undo.click(self.go_back, kept, shown, **how)
            self.strip.select(self.bring_back, kept, shown, **how)
            self.chat.clear(
                lambda: (Conversation(), [], [], gr.update(interactive=False), gr.update(visible=False)),
                None,
                [*kept, self.strip, self.undo, self.start],
                api_visibility="private",
            )
            page.unload(self.forget)

    def _talk(self) -> None:
        self.chat = gr.Chatbot(
            label="Conversation",
            show_label=False,
            height="38vh",
            min_height=220,
            buttons=["copy"],
            feedback_options=None,
            latex_delimiters=[],
            allow_tags=False,
            placeholder="Your words and the policy's answers appear here.",
            elem_id="chat",
        )
        self.box = gr.MultimodalTextbox(
            label="What do you want to see?",
            show_label=False,
            placeholder="a boxer throwing a left jab",
            sources=["upload"],
            file_types=["image", ".heic", ".heif", ".avif"],
            file_count="single",
            max_plain_text_length=PROMPT_CHARACTERS,
            autofocus=True,
            elem_id="box",
        )

    def _settings(self) -> None:
        gr.Examples([[{"text": text}] for text in EXAMPLES], self.box, label="Try", example_labels=list(EXAMPLES))
        with gr.Row():
            self.samples = gr.Slider(1, BODIES, value=1, step=1, label="Bodies", info="different answers", buttons=[])
            self.temperature = gr.Slider(
                0, 1.5, value=1.0, step=0.1, label="Temperature", info="0: most typical pose", buttons=[]
            )
        with gr.Row():
            self.meaning = gr.Radio([AUTO, NEW, CHANGE], value=AUTO, label="My message is")
            self.start = gr.Radio(["1"], value="1", label="Change body", visible=False)
        self.around = gr.Textbox(
            label="Box around the person",
            info="in a photograph, where words do not say who: left, top, right, bottom in pixels",
            placeholder="120, 40, 360, 700",
            max_lines=1,
        )

    def _bodies(self) -> None:
        # All views are there from the start and hold a body: one that gets its first body later stays empty
        # (gradio 6.31: an effect that runs twice forgets the canvas that it was loading).
        self.columns: list[gr.Column] = []
        self.views: list[gr.Model3D] = []
        self.buttons: list[gr.DownloadButton] = []
        with tempfile.TemporaryDirectory() as directory, gr.Row(elem_id="grid"):
            files = _files(Pose.from_axis_angle(np.zeros((22, 3))), Path(directory), "rest_pose")
            for number in range(1, BODIES + 1):
                first = number == 1
                with gr.Column(min_width=280, elem_classes=SHOWN if first else ABSENT) as column:
                    view = gr.Model3D(
                        files[0], label=f"Body {number}", interactive=False, height=None, elem_id=f"body-{number}"
                    )
                    with gr.Row(elem_classes="downloads"):
                        for suffix, file in zip(SUFFIXES, files, strict=True):
                            button = gr.DownloadButton(
                                suffix.upper() if suffix != "npz" else "npz (AMASS)", file, size="sm", min_width=70
                            )
                            self.buttons.append(button)
                self.columns.append(column)
                self.views.append(view)
        with gr.Row(elem_id="history"):
            self.strip = gr.Gallery(
                label="Poses so far",
                show_label=False,
                format="png",
                height="auto",
                object_fit="contain",
                allow_preview=False,
                buttons=[],
                interactive=False,
                elem_id="strip",
            )
            self.undo = gr.Button("Undo", size="sm", min_width=70, scale=0, interactive=False, elem_id="undo")

    def hear(self, message: dict[str, Any], chat: list[Any]) -> tuple[Any, Any, Any]:
        """Show what was said and empty the box; nothing while the last message is being answered."""
        text, files = (message["text"] or "").strip(), message["files"] or []
        if (not text and not files) or (chat and _content(chat[-1]) == WAITING):
            return gr.skip(), gr.skip(), None
        said: list[Any] = [{"role": "user", "content": {"path": file}} for file in files]
        said += [{"role": "user", "content": text}] if text else []
        return None, [*chat, *said, _reply(WAITING)], {"text": text, "files": files}

    def forget(self, request: gr.Request) -> None:
        """Nobody waits for the answers of a page that was closed."""
        self.worker.withdraw(str(request.session_hash))

    async def respond(
        self,
        asked: dict[str, Any] | None,
        chat: list[Any],
        conversation: Conversation,
        pictures: list[np.ndarray],
        samples: float,
        temperature: float,
        meaning: str,
        start: str,
        around: str = "",
        request: gr.Request = None,  # gradio puts it in
    ) -> Updates:
        """What answers the message that was heard: the policy, or the pose that is shown after an order."""
        if asked is None:
            return {self.chat: gr.skip()}
        said = chat[:-1]
        try:
            conversation = conversation.with_body(int(start) - 1)
            turn = _turn(asked, conversation, meaning)
            if turn is Turn.EDIT:
                after, answer = await run_in_threadpool(conversation.edited, asked["text"])
                said = [*said, _reply(_plain(answer.text.replace(f" {POSE_TOKEN}.", "")))]
            else:
                client = str(request.session_hash) if request else ""
                drawn = (int(samples), float(temperature), len(chat))
                after, replies = await self._asked(asked, conversation, turn, meaning, drawn, around, client)
                said = [*said, *replies]
            return await self._updates(conversation, after, pictures) | {self.chat: said}
        except (HTTPException, UserError) as problem:
            reason = problem.detail if isinstance(problem, HTTPException) else str(problem)
            return {self.chat: [*said, _reply(f"I cannot answer that. {_plain(reason)}")]}
        except Exception:
            logger.exception("no answer to a message on the page")
            return {self.chat: [*said, _reply("The server failed to answer this; its log says why.")]}

    async def _asked(
        self,
        asked: dict[str, Any],
        conversation: Conversation,
        turn: Turn,
        meaning: str,
        drawn: tuple[int, float, int],
        around: str,
        client: str,
    ) -> tuple[Conversation, list[Any]]:
        """The conversation after the policy has answered a message, and what is written.

        Args:
            drawn: number of samples, temperature and seed.
        """
        text, files = asked["text"], asked["files"]
        image = conversation.photograph if meaning == AUTO and conversation.is_about_photograph(text) else None
        if files:
            image = await run_in_threadpool(self._picture, files[0])
        prompt = text or PICTURE_PROMPT
        shown = conversation.answer
        if turn is Turn.QUESTION and image is None and shown is not None and shown.pose is not None:
            if known := answer_about(shown.pose, text):
                return conversation, [_reply(_plain(known))]
            prompt = asked_about(shown.text, text)
        box = read_box(around) if around.strip() and image is not None else None
        answers = await answered(self.worker, QueuedPrompt(prompt, image, *drawn, box, client))
        replies = []
        if prompt not in (text, PICTURE_PROMPT):
            replies.append(_reply(_plain(prompt), "The policy was asked"))
        if image is not None and not files:
            replies.append(_reply(_plain(prompt), "Asked about the photograph above"))
        if turn is Turn.TALK and image is None:
            return conversation, [*replies, _reply(_talk(answers, conversation.pose is not None))]
        after = conversation.shows(answers, text)
        if image is not None:
            after = replace(after, photograph=image, about_photograph=True)
        return after, [*replies, _reply(_words(answers, turn is Turn.POSE))]

    def _picture(self, file: str) -> Image:
        return self.worker.read_picture(Path(file).read_bytes())

    async def go_back(self, conversation: Conversation, pictures: list[np.ndarray]) -> Updates:
        """The page with what was shown before."""
        return await self._updates(conversation, conversation.undone(), pictures)

    async def bring_back(
        self, conversation: Conversation, pictures: list[np.ndarray], chosen: gr.SelectData
    ) -> Updates:
        """The page with the pose whose picture was chosen."""
        return await self._updates(conversation, conversation.back_at(chosen.index), pictures)

    async def _updates(self, before: Conversation, after: Conversation, pictures: list[np.ndarray]) -> Updates:
        """What the page becomes; bodies that stay are not loaded again."""
        updates: Updates = {self.conversation: after}
        if (after.current, after.body) == (before.current, before.body):
            return updates
        directory = Path(tempfile.mkdtemp(prefix="pose-rft-"))
        updates |= await run_in_threadpool(self._show, after, directory)
        updates |= await run_in_threadpool(self._history, after, pictures)
        asyncio.get_running_loop().call_later(COPIED_SECONDS, shutil.rmtree, directory, True)
        return updates

    def _history(self, conversation: Conversation, pictures: list[np.ndarray]) -> Updates:
        """The strip of all poses, the one that is meant marked; pictures are drawn of new ones only."""
        assert conversation.current is not None
        poses = conversation.poses
        new = [moment.answers[body].pose for moment, body in poses[len(pictures) :]]
        drawn = [render(pose.axis_angle()[None], THUMBNAIL)[0] for pose in new if pose is not None]
        pictures = [*pictures, *drawn]
        titles = [shorten(moment.words, TITLE, placeholder="...") for moment, _ in poses]
        meant = poses.index((conversation.current, conversation.body))
        return {
            self.pictures: pictures,
            self.strip: gr.update(value=list(zip(pictures, titles, strict=True)), selected_index=meant),
            self.undo: gr.update(interactive=conversation.current.before is not None),
        }

    def _show(self, conversation: Conversation, directory: Path) -> Updates:
        """What bodies and buttons become; the files go into the directory."""
        assert conversation.current is not None
        poses = [answer.pose for answer in conversation.current.answers]
        choices = [str(number) for number in range(1, len(poses) + 1)]
        updates: Updates = {
            self.start: gr.update(choices=choices, value=str(conversation.body + 1), visible=len(poses) > 1)
        }
        for index, (column, view) in enumerate(zip(self.columns, self.views, strict=True)):
            pose = poses[index] if index < len(poses) else None
            files = _files(pose, directory, f"pose_{index + 1}") if pose is not None else [None] * len(SUFFIXES)
            updates[column] = gr.update(elem_classes=ABSENT if pose is None else SHOWN)
            updates[view] = files[0]
            buttons = self.buttons[index * len(SUFFIXES) :][: len(SUFFIXES)]
            updates |= dict(zip(buttons, files, strict=True))
        return updates


def _turn(asked: dict[str, Any], conversation: Conversation, meaning: str) -> Turn:
    """What a message wants; what the page is told it means goes before what its words say.

    Raises:
        UserError: it is too long.
    """
    text = asked["text"]
    if len(text) > PROMPT_CHARACTERS:
        raise UserError(f"That is too long: {len(text)} characters, at most {PROMPT_CHARACTERS}.")
    if asked["files"]:
        return Turn.POSE
    if meaning in WANTED:
        return WANTED[meaning]
    return Turn.QUESTION if conversation.is_about_photograph(text) else conversation.turn_of(text)


def _files(pose: Pose, directory: Path, name: str) -> list[str | None]:
    """Paths of the pose written as GLB, BVH and npz."""
    paths = [directory / f"{name}.{suffix}" for suffix in SUFFIXES]
    for path in paths:
        pose.save(path)
    return [str(path) for path in paths]


def _content(message: dict[str, Any]) -> str:
    """The text of a message that comes from the page."""
    return "".join(part.get("text", "") for part in message["content"] if isinstance(part, dict))


def _reply(text: str, title: str | None = None) -> dict[str, Any]:
    return {"role": "assistant", "content": text} | ({"metadata": {"title": title}} if title else {})


def _words(answers: Sequence[Answer], wants_pose: bool = False) -> str:
    """What the policy said, once if it said the same of all bodies, and what must be said about it."""
    answers = sorted(answers, key=lambda answer: answer.pose is None)  # as their bodies are counted
    missing = " (no pose)" if wants_pose else ""
    texts = [_plain(answer.text) + ("" if answer.valid else missing) for answer in answers]
    notes = [f"*{_plain(note)}*" for note in dict.fromkeys(answer.note for answer in answers) if note]
    if len(set(texts)) > 1:
        texts = [f"Body {number}: {text}" for number, text in enumerate(texts, 1)]
    return "\n\n".join([*dict.fromkeys(texts), *notes])


def _talk(answers: Sequence[Answer], has_pose: bool) -> str:
    """What is said where no pose was asked for, although the policy may have given one."""
    if answers[0].pose is None:
        return _words(answers[:1])
    if has_pose:
        return "The pose stays as it is. Say what shall change, or describe another one."
    return "Describe a pose to begin."


def _plain(text: str) -> str:
    """Text that the page shows as it is: nothing in it is read as Markdown or HTML."""
    text = text.replace(POSE_TOKEN, "[pose]")
    return "".join(f"\\{sign}" if sign in "\\`*_{}[]()#+!|<>~$" else sign for sign in text)
