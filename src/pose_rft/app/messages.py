"""What the HTTP API takes and gives."""

import base64
import binascii
from collections.abc import Sequence
from typing import Annotated, Any, Literal, get_args
from urllib.parse import unquote

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    JsonValue,
    ValidationError,
    WithJsonSchema,
    model_validator,
)

from pose_rft.posescript.captions import Style
from pose_rft.vision.people import read_box

Format = Literal["glb", "bvh", "npz"]
PROMPT_CHARACTERS = 2000
MAX_SAMPLES = 16
URL_ALPHABET = str.maketrans("-_", "+/")
PICTURE_PROMPT = "What pose is the person in the picture in?"  # for a picture that comes without words
EXAMPLE: JsonValue = {
    "prompt": "a boxer throwing a left jab",
    "num_samples": 2,
    "temperature": 1.0,
    "seed": 0,
    "format": ["glb"],
}


def _from_base64(value: Any) -> Any:
    """Text is base64, wrapped or not, padded or not, of either alphabet, or a data URL of it.

    Bytes, which a form brings, are the picture.
    """
    if not isinstance(value, str):
        return value
    text = value.strip()
    if text.lower().startswith("data:"):
        head, _, text = text.partition(",")
        if not head.lower().endswith(";base64"):
            raise ValueError("a data URL without ';base64'; encode the picture's bytes as base64")
        text = unquote(text)
    text = "".join(text.split()).translate(URL_ALPHABET).rstrip("=")
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), validate=True) or None
    except (binascii.Error, ValueError) as error:
        raise ValueError("not base64; encode the bytes of a picture, such as a JPEG") from error


def _listed(value: Any) -> Any:
    """``glb,bvh`` is two formats; each is sent once."""
    values = [value] if isinstance(value, str) else value
    if not isinstance(values, list) or not all(isinstance(each, str) for each in values):
        return value
    return list(dict.fromkeys(name.strip().lower() for each in values for name in each.split(",")))


def _four_numbers(value: Any) -> Any:
    """A box as a form brings it: ``left,top,right,bottom``."""
    return list(read_box(value)) if isinstance(value, str) else value


Picture = Annotated[
    bytes | None,
    BeforeValidator(_from_base64),
    WithJsonSchema({"anyOf": [{"type": "string", "contentEncoding": "base64"}, {"type": "null"}]}),
]
FORMATS = list(get_args(Format))
ONE_FORMAT = f"({'|'.join(FORMATS)})"
Formats = Annotated[
    list[Format],
    BeforeValidator(_listed),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "array", "items": {"type": "string", "enum": FORMATS}},
                {"type": "string", "pattern": f"^{ONE_FORMAT}(,{ONE_FORMAT})*$"},
            ]
        }
    ),
]
Pixel = Annotated[float, Field(allow_inf_nan=False)]


class PoseRequest(BaseModel):
    """A question: words, a picture, or both."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [EXAMPLE]})

    prompt: str = Field("", max_length=PROMPT_CHARACTERS, description="What you want to see, in your own words.")
    image: Picture = Field(
        None, description="A photograph, for policies that read them: base64 or a data URL of it, or a file of a form."
    )
    box: Annotated[list[Pixel] | None, BeforeValidator(_four_numbers)] = Field(
        None,
        min_length=4,
        max_length=4,
        description="Around the person who is meant: left, top, right, bottom in pixels of the upright photograph.",
    )
    num_samples: int = Field(1, ge=1, le=MAX_SAMPLES, description="How many different answers.")
    temperature: float = Field(
        1.0, ge=0, le=2, allow_inf_nan=False, description="Variety: 0 gives the most typical pose, 1 what was learnt."
    )
    seed: int = Field(0, ge=0, le=2**53 - 1, description="The same question with the same seed has the same answer.")
    words: bool = Field(True, description="false: the same short sentence with every pose, which comes sooner.")
    settle: bool = Field(True, description="false: poses of texts as they are sampled, not put on the floor.")
    format: Formats = Field([], description="Files to send along with every pose; `glb,bvh` is two.")

    @model_validator(mode="after")
    def _says_something(self) -> "PoseRequest":
        if not self.prompt.strip():
            if self.image is None:
                raise ValueError("prompt: say what pose you want, or send an image")
            self.prompt = PICTURE_PROMPT
        if self.box is not None and self.image is None:
            raise ValueError("box: goes with an image; send that too")
        return self


class Smpl(BaseModel):
    """Body rotations: axis-angle, radians, y-up, rest pose a T-pose facing +z."""

    global_orient: list[float] = Field(description="(3,) the pelvis relative to the world")
    body_pose: list[list[float]] = Field(description="(21, 3) every other joint relative to its parent")
    betas: list[float] | None = Field(None, description="(10,) shape components; null for the mean body")


class EditRequest(BaseModel):
    """A pose and what shall change in it."""

    model_config = ConfigDict(extra="forbid")

    pose: Smpl = Field(description="As an answer gives it.")
    instruction: str = Field(min_length=1, max_length=PROMPT_CHARACTERS, description="Such as 'raise the left arm'.")
    num_samples: int = Field(1, ge=1, le=MAX_SAMPLES, description="How many different answers.")
    temperature: float = Field(
        0.0, ge=0, le=2, allow_inf_nan=False, description="Variety of how far: 0 goes as far as the words say."
    )
    seed: int = Field(0, ge=0, le=2**53 - 1, description="The same order with the same seed has the same answer.")
    format: Formats = Field([], description="Files to send along with every pose; `glb,bvh` is two.")


class DescribeRequest(BaseModel):
    """A pose that is to be put in words."""

    model_config = ConfigDict(extra="forbid")

    pose: Smpl = Field(description="As an answer gives it.")
    question: str = Field(
        "", max_length=PROMPT_CHARACTERS, description="About the pose, such as 'Is the left knee bent?'; may be empty."
    )
    num_samples: int = Field(1, ge=1, le=MAX_SAMPLES, description="How many different descriptions.")
    style: Style = Field("full", description="About how much is said: short 1 to 3 facts, medium 2 to 4, full 4 to 7.")
    seed: int = Field(0, ge=0, le=2**53 - 1, description="The same pose with the same seed has the same descriptions.")


class CompareRequest(BaseModel):
    """Two poses of which is to be said what changed."""

    model_config = ConfigDict(extra="forbid")

    before: Smpl = Field(description="As an answer gives it.")
    after: Smpl = Field(description="What it became.")
    num_samples: int = Field(1, ge=1, le=MAX_SAMPLES, description="How many different instructions.")
    style: Style = Field(
        "full", description="About how much is said: short 1 or 2 changes, medium 2 to 4, full 4 to 7."
    )
    seed: int = Field(
        0, ge=0, le=2**53 - 1, description="The same poses with the same seed have the same instructions."
    )


class Description(BaseModel):
    """What is said of a pose."""

    text: str
    checks: list[str] = Field(description="The statements that the text makes, in the check language; all hold.")
    posecodes: list[str] = Field(description="Names of the same statements.")


class DescribeResponse(BaseModel):
    """A pose in words."""

    samples: list[Description]
    answer: str | None = Field(description="To the question, by geometry; null without one, or where it does not tell.")


class Change(BaseModel):
    """What has to change to come from the first pose to the second."""

    text: str = Field(description="In the imperative: POST /v1/edits can follow it.")
    checks: list[str] = Field(description="What it says of the second pose, in the check language.")
    changes: list[str] = Field(description="What it says of both, such as 'change(angle(left_knee)) < -15'.")


class CompareResponse(BaseModel):
    """The change from one pose to another in words."""

    samples: list[Change]


class SampledAnswer(BaseModel):
    """One answer."""

    text: str = Field(description="The words; <POSE> stands where the pose was given.")
    valid: bool = Field(description="Whether there is a pose: the words hold exactly one <POSE>.")
    smpl: Smpl | None
    joints: list[list[float]] | None = Field(description="(22, 3) metres on the bundled body, pelvis at the origin")
    note: str = Field(
        description="What was assumed, what cannot be known, or what the policy cannot do; empty for nothing."
    )
    box: list[float] | None = Field(
        description="Around the person in the photograph: left, top, right, bottom in pixels; null without one."
    )
    logp_text: float = Field(description="Log-likelihood of the words.")
    logp_pose: float | None = Field(description="Log-likelihood of the pose (density over normalised 6D rotations).")
    files: dict[Format, str] = Field({}, description="The files asked for, base64.")


class PoseResponse(BaseModel):
    """The answers to one question."""

    samples: list[SampledAnswer]


class Health(BaseModel):
    """Whether the server answers, and how many questions wait."""

    status: Literal["ok", "closing"]
    waiting: int


class Problem(BaseModel):
    """Why there is no answer, in one line."""

    detail: str


def first_problem(error: ValidationError) -> str:
    """One line about the first thing that is wrong; nothing of the request itself but field names."""
    found = error.errors(include_url=False, include_input=False, include_context=False)[0]
    return field_problem(found["loc"], found["msg"])


def field_problem(place: Sequence[int | str], message: str) -> str:
    field = ".".join(str(part) for part in place)
    message = message.removeprefix("Value error, ")
    line = " ".join((f"{field}: {message}" if field else message).split())
    return line if len(line) <= 200 else line[:197] + "..."
