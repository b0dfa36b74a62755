"""What callers may ask of a policy, checked before any work."""

import operator
from collections.abc import Callable, Iterable, Sequence
from numbers import Real
from typing import Any, get_args

import numpy as np
from torch import Tensor

from pose_rft.body.pose import Pose
from pose_rft.config import Temperature
from pose_rft.errors import UserError
from pose_rft.policy.plain_prompt import plain_prompt
from pose_rft.policy.prompt_encoder import PromptInput, read_prompt
from pose_rft.vision.detector import Box

TEMPERATURES = get_args(Temperature)[1]
AnyPose = Pose | Tensor | np.ndarray


def as_pose(pose: AnyPose) -> Pose:
    """A pose that somebody gives: a ``Pose``, or (22, 3) axis-angle radians.

    Raises:
        UserError: another shape, or numbers that are not finite.
    """
    return pose if isinstance(pose, Pose) else Pose.from_axis_angle(pose)


def as_poses(given: AnyPose | Sequence[AnyPose] | None) -> tuple[np.ndarray, ...]:
    """What is given with one prompt, a pose, a sequence of them or None: (22, 3) axis-angle radians each.

    Raises:
        UserError: as for ``as_pose``.
    """
    if given is None:
        return ()
    if isinstance(given, Pose) or (isinstance(given, Tensor | np.ndarray) and given.ndim == 2):
        given = [given]
    return tuple(as_pose(each).axis_angle() for each in given)


def prompt_inputs(
    prompts: Iterable[str],
    images: Sequence[Any] | None,
    boxes: Sequence[Box | None] | None = None,
    poses: Sequence[AnyPose | Sequence[AnyPose] | None] | None = None,
    is_word: Callable[[str], bool] = bool,
) -> list[PromptInput]:
    """Prompts, as ``read_prompt`` reads them, with their images, boxes and poses; texts alone as ``plain_prompt``s.

    Args:
        is_word: as for ``plain_prompt``.

    Raises:
        UserError: no list of texts, an empty one, or not as many images, boxes or poses as prompts; or as
            ``as_pose`` and ``PromptInput``.
    """
    if isinstance(prompts, str | bytes) or not isinstance(prompts, Iterable):
        raise UserError(f"prompts: give a list of strings, not one {type(prompts).__name__}")
    texts = list(prompts)
    for number, text in enumerate(texts):
        if not isinstance(text, str):
            raise UserError(f"prompts: number {number} is {type(text).__name__}, not a string; say what pose you want")
        if not text.strip():
            raise UserError("prompts: a prompt is empty; say what pose you want")
    named = (("images", images), ("boxes", boxes), ("poses", poses))
    given = [_one_each(name, values, len(texts)) for name, values in named]
    return [
        PromptInput(plain_prompt(read_prompt(text), is_word))
        if image is None and box is None and own is None
        else PromptInput(read_prompt(text), image, box, as_poses(own))
        for text, image, box, own in zip(texts, *given, strict=True)
    ]


def _one_each(name: str, values: Any, count: int) -> list[Any]:
    if values is None:
        return [None] * count
    if isinstance(values, str | bytes) or not hasattr(values, "__len__") or len(values) != count:
        found = len(values) if isinstance(values, list | tuple) else f"a {type(values).__name__}"
        raise UserError(f"{name}: {found} for {count} prompts; give a list with one for each, or None")
    return list(values)


def check_counts(**numbers: int) -> None:
    """Check numbers that must be whole and at least 1.

    Raises:
        UserError: one is not.
    """
    for name, number in numbers.items():
        if _whole(number) is None or number < 1:
            raise UserError(f"{name} must be a whole number of at least 1, not {number!r}")


def check_temperature(temperature: float) -> None:
    """Check that sampling can use a temperature.

    Raises:
        UserError: it is neither 0 nor in the range.
    """
    is_number = isinstance(temperature, Real) and not isinstance(temperature, bool)
    if not is_number or not (temperature == 0 or temperature in TEMPERATURES):
        raise UserError(f"temperature must be 0, or {TEMPERATURES}, not {temperature!r}")


def checked_seeds(seed: Any, prompts: int) -> int | list[int]:
    """One seed, or one for each prompt, as Python's numbers; NumPy's and torch's are taken too.

    Raises:
        UserError: a seed that is no whole number or is negative, or not as many as prompts.
    """
    single = _whole(seed)
    many = isinstance(seed, Iterable) and not isinstance(seed, str | bytes)
    seeds = [single] if single is not None else [_whole(each) for each in seed] if many else [None]
    if any(each is None or not 0 <= each < 2**63 for each in seeds):
        raise UserError(f"seed: must be a whole number from 0 to 2^63 - 1, or one for each prompt, not {seed!r}")
    if single is not None:
        return single
    if len(seeds) != prompts:
        raise UserError(f"seed: {len(seeds)} for {prompts} prompts; give one number, or one for each prompt")
    return [each for each in seeds if each is not None]


def _whole(value: Any) -> int | None:
    try:
        return None if isinstance(value, bool) else operator.index(value)
    except TypeError:
        return None
