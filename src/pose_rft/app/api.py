"""The HTTP API: ``POST /v1/poses``, ``/v1/edits``, ``/v1/describe`` and ``/v1/compare``, and ``GET /healthz``."""

import asyncio
import math
import re
from collections.abc import Callable
from typing import Any, NoReturn

import numpy as np
from fastapi import APIRouter, FastAPI, HTTPException, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import ValidationError
from starlette.datastructures import UploadFile

from pose_rft.app.exports import to_sample
from pose_rft.app.limits import Limits
from pose_rft.app.messages import (
    Change,
    CompareRequest,
    CompareResponse,
    DescribeRequest,
    DescribeResponse,
    Description,
    EditRequest,
    Health,
    PoseRequest,
    PoseResponse,
    Problem,
    Smpl,
    field_problem,
    first_problem,
)
from pose_rft.app.worker import PoseWorker, QueuedPrompt, QueueFull
from pose_rft.body import Pose
from pose_rft.errors import UserError
from pose_rft.policy import Answer
from pose_rft.policy.describing import answer_about, compare_poses, describe_pose
from pose_rft.policy.editing import edit_answers
from pose_rft.vision.images import PictureTooLarge

JSON, FORM = "application/json", "multipart/form-data"
FORM_FIELDS = 16
PATH = re.compile(r"(?<![\w.])(?:~|[A-Za-z]:)?[/\\][^\s'\":,;)]*")
NOT_POST = ["GET", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "QUERY"]
OTHER_METHODS = {
    "/v1/poses": NOT_POST,
    "/v1/edits": NOT_POST,
    "/v1/describe": NOT_POST,
    "/v1/compare": NOT_POST,
    "/healthz": ["POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "QUERY"],
}
PROBLEMS: dict[int | str, dict[str, Any]] = {
    400: {"model": Problem, "description": "Not JSON, or a broken form"},
    401: {"model": Problem, "description": "Token missing or wrong, where the server asks for one"},
    413: {"model": Problem, "description": "Body or picture too large"},
    415: {"model": Problem, "description": "Neither JSON nor a form"},
    422: {"model": Problem, "description": "A field is wrong, or this policy cannot answer such a question"},
    503: {"model": Problem, "description": "Too many questions are waiting; Retry-After says when to ask again"},
    504: {"model": Problem, "description": "Not answered in time"},
}
OF_GIVEN_POSES: dict[int | str, dict[str, Any]] = {status: PROBLEMS[status] for status in (401, 413, 422)}


def api_routes(worker: PoseWorker) -> APIRouter:
    """The routes of the API."""
    router = APIRouter()

    @router.post(
        "/v1/poses",
        response_model=PoseResponse,
        responses=PROBLEMS,
        openapi_extra={"requestBody": _body_schema()},
        summary="Answer a text or a picture with words and poses",
    )
    async def poses(request: Request) -> PoseResponse:
        asked = await _read_request(request, worker.limits)
        image = None
        if asked.image is not None:
            try:
                image = await run_in_threadpool(worker.read_picture, asked.image)
            except PictureTooLarge as error:
                raise HTTPException(413, str(error)) from error
            except UserError as error:
                raise HTTPException(422, str(error)) from error
        client = request.client.host if request.client else ""
        box = None if asked.box is None else (asked.box[0], asked.box[1], asked.box[2], asked.box[3])
        how = (asked.num_samples, asked.temperature, asked.seed, box, client, asked.words, asked.settle)
        question = QueuedPrompt(asked.prompt, image, *how)
        answers = await answered(worker, question, request)
        samples = await run_in_threadpool(lambda: [to_sample(answer, asked.format) for answer in answers])
        return PoseResponse(samples=samples)

    _add_given_poses(router)

    @router.get(
        "/healthz",
        response_model=Health,
        responses={503: {"model": Health, "description": "It takes no questions any more"}},
        summary="Whether the server answers",
    )
    async def healthz() -> Any:
        health = Health(status="ok" if worker.is_alive else "closing", waiting=worker.waiting)
        return health if worker.is_alive else JSONResponse(health.model_dump(), 503)

    for path, methods in OTHER_METHODS.items():  # else they would fall through to the page
        router.add_api_route(path, _refuse_method(path), methods=methods, response_model=None, include_in_schema=False)
    return router


def _add_given_poses(router: APIRouter) -> None:
    """The routes about poses that are given; no model is asked, so they wait for nobody."""

    @router.post(
        "/v1/edits",
        response_model=PoseResponse,
        responses=OF_GIVEN_POSES,
        summary="Change a pose as an order in words says, and nothing else",
    )
    async def edits(asked: EditRequest) -> PoseResponse:
        return await _by_geometry(_edited, asked)

    @router.post(
        "/v1/describe",
        response_model=DescribeResponse,
        responses=OF_GIVEN_POSES,
        summary="Say what is so in a pose, and answer a question about it",
    )
    async def describe(asked: DescribeRequest) -> DescribeResponse:
        return await _by_geometry(_described, asked)

    @router.post(
        "/v1/compare",
        response_model=CompareResponse,
        responses=OF_GIVEN_POSES,
        summary="Say what has to change to come from one pose to another",
    )
    async def compare(asked: CompareRequest) -> CompareResponse:
        return await _by_geometry(_compared, asked)


async def _by_geometry(answer: Callable[[Any], Any], asked: Any) -> Any:
    """An answer that is worked out in a thread of its own; a mistake in the request is a 422."""
    try:
        return await run_in_threadpool(answer, asked)
    except UserError as error:
        raise HTTPException(422, without_paths(str(error))) from error


def _edited(asked: EditRequest) -> PoseResponse:
    pose = _given(asked.pose, "pose")
    answers = edit_answers(pose, asked.instruction, asked.num_samples, asked.temperature, asked.seed)
    return PoseResponse(samples=[to_sample(answer, asked.format) for answer in answers])


def _described(asked: DescribeRequest) -> DescribeResponse:
    pose = _given(asked.pose, "pose")
    samples = [
        Description(text=said.text, checks=list(said.checks), posecodes=list(said.posecodes))
        for said in describe_pose(pose, asked.num_samples, asked.style, asked.seed)
    ]
    answer = answer_about(pose, asked.question) if asked.question.strip() else None
    return DescribeResponse(samples=samples, answer=answer)


def _compared(asked: CompareRequest) -> CompareResponse:
    poses = _given(asked.before, "before"), _given(asked.after, "after")
    samples = [
        Change(text=said.text, checks=list(said.checks), changes=list(said.changes))
        for said in compare_poses(*poses, asked.num_samples, asked.style, asked.seed)
    ]
    return CompareResponse(samples=samples)


def _given(given: Smpl, field: str) -> Pose:
    """The pose of a field of a request."""
    try:
        rotations = np.array(given.global_orient, np.float32), np.array(given.body_pose, np.float32)
    except ValueError:
        raise UserError(f"{field}.body_pose: must have shape (21, 3): 21 lists of three numbers") from None
    return Pose(*rotations, None if given.betas is None else np.array(given.betas, np.float32))


async def answered(worker: PoseWorker, question: QueuedPrompt, request: Request | None = None) -> list[Answer]:
    """The policy's answers, or why there are none.

    Args:
        request: whose client waits for the answers: when it leaves, the question is withdrawn.

    Raises:
        HTTPException: 422 for what the policy does not take, 499 when nobody waits any more, 503 when too many wait,
            504 when it took too long.
    """
    left = asyncio.ensure_future(_disconnected(request)) if request else None
    try:
        asked = asyncio.wrap_future(worker.ask(question))
        if left is not None:
            left.add_done_callback(lambda _: asked.cancel())
        return await asyncio.wait_for(asked, worker.limits.answer_seconds)
    except asyncio.CancelledError:
        if left is None or not left.done():
            raise
        raise HTTPException(499, "the client left") from None
    except QueueFull as error:
        raise HTTPException(503, str(error), {"Retry-After": str(math.ceil(error.seconds))}) from error
    except UserError as error:
        raise HTTPException(422, without_paths(str(error))) from error
    except TimeoutError as error:
        raise HTTPException(504, f"no answer within {worker.limits.answer_seconds:g} s; ask again later") from error
    finally:
        if left is not None:
            left.cancel()


async def _disconnected(request: Request) -> None:
    """Wait until the client is gone."""
    while (await request.receive())["type"] != "http.disconnect":
        pass


def without_paths(message: str) -> str:
    """A message with places on the server's disk left out."""
    return PATH.sub("[...]", message)


def add_problem_handlers(app: FastAPI) -> None:
    """Every problem is ``{"detail": "one line"}``; what went wrong inside stands in the server's log alone."""

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> JSONResponse:
        found = error.errors()[0]
        return JSONResponse({"detail": field_problem(found["loc"], found["msg"])}, 422)

    @app.exception_handler(Exception)
    async def failed(request: Request, error: Exception) -> JSONResponse:
        return JSONResponse({"detail": "the server failed to answer this; its log says why"}, 500)


async def _read_request(request: Request, limits: Limits) -> PoseRequest:
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    try:
        if kind == JSON:
            return PoseRequest.model_validate_json(await request.body(), strict=True)
        if kind == FORM:
            return PoseRequest.model_validate(await _form_fields(request, limits))
    except ValidationError as error:
        unreadable = error.errors(include_url=False)[0]["type"] == "json_invalid"
        raise HTTPException(400 if unreadable else 422, first_problem(error)) from error
    raise HTTPException(415, f"send {JSON} or {FORM}")


async def _form_fields(request: Request, limits: Limits) -> dict[str, Any]:
    """What a form says; fields that were left empty say nothing."""
    fields: dict[str, Any] = {}
    part = limits.body_bytes  # a picture may come as base64, which is no file
    async with request.form(max_files=1, max_fields=FORM_FIELDS, max_part_size=part) as form:
        for name, value in form.multi_items():
            content = await value.read() if isinstance(value, UploadFile) else value
            if not content.strip():
                continue
            if name == "format":
                fields.setdefault("format", []).append(content)
            else:
                fields[name] = content
    return fields


def _refuse_method(path: str) -> Callable[[], NoReturn]:
    allowed = "GET, HEAD" if path == "/healthz" else "POST"

    def refuse() -> NoReturn:
        raise HTTPException(405, f"{path} takes {allowed}", {"Allow": allowed})

    return refuse


def _body_schema() -> dict[str, Any]:
    schema = PoseRequest.model_json_schema()
    form = PoseRequest.model_json_schema()
    form["properties"]["image"] = {"type": "string", "format": "binary", "description": "JPEG, PNG, WebP, HEIC ..."}
    form["properties"]["box"] = {"type": "string", "description": "left,top,right,bottom"}
    return {"required": True, "content": {JSON: {"schema": schema}, FORM: {"schema": form}}}
