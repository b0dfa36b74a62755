"""Geometric statements about a pose, written as strings: the check language.

A check is one condition on a pose, for example ``y(left_wrist) > y(head) + 0.05`` or
``80 < angle(left_elbow) < 105``. Captions carry the checks that they state, prompts of the benchmarks carry theirs, and
the verifiable reward is the share that a generated pose fulfils. The grammar is small and closed:

    check       := condition | "either_side" "(" condition, condition, ... ")"
    condition   := comparison | condition "and" condition | condition "or" condition
    comparison  := expression ("<" | "<=" | ">" | ">=") expression ...        (chains are fine)
    expression  := number | quantity "(" names ")" | abs(e) | min(e, e, ...) | max(e, e, ...)
                 | expression ("+" | "-" | "*") expression | "-" expression

Quantities are those of ``pose_rft.posescript.measurements.QUANTITIES`` (table: docs/posescript.md). Text is parsed with
``ast`` and only the nodes above are accepted; nothing is ever passed to ``eval``. A pose that is not finite
fulfils nothing.

``either_side(a, b)`` is what words state that name no side: a and b, or both of them with left and right exchanged. It
holds if all of its statements do for one side. Where a check is graded by degrees (``fulfilment``, the losses), it
counts as so many statements, of the side that does more of them, as it would if the words named that side. Any other
check is one statement: a part of it, such as ``lean() < 60`` beside what is said of an arm, is worth nothing alone.
"""

import ast
import difflib
import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache, reduce
from typing import Any, TypeGuard

import numpy as np
import torch
from torch import Tensor

from pose_rft.body.landmarks import NUM_POINTS
from pose_rft.body.skeleton import NUM_JOINTS
from pose_rft.errors import UserError
from pose_rft.posescript.check_syntax import DEGREES, Deny, Mirror, Tighten, parse, written
from pose_rft.posescript.measurements import QUANTITIES, Kind, Measurements

MAX_NUMBER = 1e9
COMPARISONS = {ast.Lt: operator.lt, ast.LtE: operator.le, ast.Gt: operator.gt, ast.GtE: operator.ge}
ARITHMETIC = {ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul}
COMBINED = {ast.And: (operator.and_, torch.minimum), ast.Or: (operator.or_, torch.maximum)}
UNIT_DEGREES, UNIT_METRES = 20.0, 0.1  # about equally far for a limb
REDUCED = {"min": torch.minimum, "max": torch.maximum}
EITHER_SIDE = "either_side"
FUNCTIONS = (*QUANTITIES, "abs", *REDUCED)

Evaluate = Callable[[Measurements], Any]  # a tensor (N,) or, for numbers, a float


@dataclass(frozen=True)
class Check:
    """A compiled check.

    Attributes:
        text: as it was written; of a statement of ``either_side``, as ``ast`` writes it.
        evaluate: measurements of N poses -> (N,) bool.
        margin: measurements of N poses -> (N,) by how much it holds (positive) or fails (negative), in units of
            ``UNIT_DEGREES`` or ``UNIT_METRES``. Differentiable in the joints; the sign agrees with ``evaluate``.
        sides: of ``either_side`` its statements about one side and about the other, of any other check nothing.
    """

    text: str
    evaluate: Callable[[Measurements], Tensor]
    margin: Callable[[Measurements], Tensor]
    sides: tuple[tuple["Check", ...], ...] = ()

    @property
    def size(self) -> int:
        """As how many statements it counts."""
        return len(self.sides[0]) if self.sides else 1

    def share(self, m: Measurements) -> Tensor:
        """Measurements of N poses -> (N,) share of its statements that hold, of the better side."""
        if not self.sides:
            return self.evaluate(m).float()
        shares = [torch.stack([each.evaluate(m) for each in side]).float().mean(dim=0) for side in self.sides]
        return reduce(torch.maximum, shares)


def _nearest(word: str, words: Sequence[str]) -> str:
    """A hint that begins with the closest name and ends with all names."""
    close = difflib.get_close_matches(word, words, n=1)
    return (f"did you mean {close[0]}? " if close else "") + "there are: " + ", ".join(words)


def _name(node: ast.expr, kind: Kind, text: str) -> str:
    if not isinstance(node, ast.Name):
        raise UserError(f"check {text!r}: '{ast.unparse(node)}' is not the name of a {kind.of}")
    if node.id not in kind.names:
        raise UserError(f"check {text!r}: no {kind.of} is called '{node.id}'; {_nearest(node.id, kind.names)}")
    return node.id


def _names(function: str, call: ast.Call, text: str) -> tuple[str, ...]:
    """The names that a quantity is asked of."""
    arguments = call.args
    takes, optional = QUANTITIES[function].takes, QUANTITIES[function].optional
    if not len(takes) - optional <= len(arguments) <= len(takes):
        kinds = [kind.of for kind in takes]
        forms = [f"{function}({', '.join(kinds[:size])})" for size in range(len(takes) - optional, len(takes) + 1)]
        raise UserError(f"check {text!r}: write {' or '.join(forms)}, not {ast.unparse(call)}")
    names = tuple(_name(argument, kind, text) for argument, kind in zip(arguments, takes, strict=False))
    for first, second in zip(names[::2], names[1::2], strict=False):
        if first == second:
            raise UserError(f"check {text!r}: {function}() needs two different {takes[0].of}s, not {first} twice")
    return names


def _compile_call(node: ast.Call, text: str) -> Evaluate:
    if not isinstance(node.func, ast.Name) or node.keywords:
        raise UserError(f"check {text!r}: '{ast.unparse(node)}' is not a quantity such as angle(left_knee)")
    function = node.func.id
    if function == "abs" or function in REDUCED:
        values = [_compile_expression(argument, text) for argument in node.args]
        if len(values) < 1 or (function == "abs" and len(values) != 1):
            raise UserError(f"check {text!r}: {function}() takes {'one value' if function == 'abs' else 'values'}")
        if function == "abs":
            return lambda m: abs(values[0](m))
        combine = REDUCED[function]
        return lambda m: reduce(combine, (torch.as_tensor(v(m), dtype=m.joints.dtype).to(m.joints) for v in values))
    if function not in QUANTITIES:
        raise UserError(f"check {text!r}: no quantity is called '{function}'; {_nearest(function, FUNCTIONS)}")
    names = _names(function, node, text)
    return lambda m: m.measure(function, names)


def _compile_expression(node: ast.expr, text: str) -> Evaluate:
    if isinstance(node, ast.Constant) and isinstance(node.value, (int, float)) and not isinstance(node.value, bool):
        if not abs(node.value) < MAX_NUMBER:
            raise UserError(f"check {text!r}: '{ast.unparse(node)}' is too large a number")
        value = float(node.value)
        return lambda m: value
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        inner = _compile_expression(node.operand, text)
        return lambda m: -inner(m)
    if isinstance(node, ast.BinOp) and type(node.op) in ARITHMETIC:
        operate = ARITHMETIC[type(node.op)]
        first, second = _compile_expression(node.left, text), _compile_expression(node.right, text)
        return lambda m: operate(first(m), second(m))
    if isinstance(node, ast.Call):
        return _compile_call(node, text)
    if isinstance(node, ast.Name):
        raise UserError(f"check {text!r}: '{node.id}' alone is not a quantity; write for example y({node.id})")
    raise UserError(f"check {text!r}: '{ast.unparse(node)}' is not part of the check language")


def _compile_condition(node: ast.expr, text: str) -> Check:
    if isinstance(node, ast.BoolOp):
        parts = [_compile_condition(value, text) for value in node.values]
        both, extreme = COMBINED[type(node.op)]
        return Check(
            text,
            lambda m: reduce(both, (part.evaluate(m) for part in parts)),
            lambda m: reduce(extreme, (part.margin(m) for part in parts)),
        )
    if _is_either_side(node):
        raise UserError(f"check {text!r}: {EITHER_SIDE}() is a whole check, not a part of one")
    if not isinstance(node, ast.Compare):
        raise UserError(f"check {text!r}: '{ast.unparse(node)}' compares nothing; write for example 'lean() < 20'")
    if unknown := [op for op in node.ops if type(op) not in COMPARISONS]:
        raise UserError(f"check {text!r}: compare with <, <=, > or >=, not with {type(unknown[0]).__name__}")
    compare = [COMPARISONS[type(op)] for op in node.ops]
    rising = [isinstance(op, (ast.Lt, ast.LtE)) for op in node.ops]
    terms = [node.left, *node.comparators]
    values = [_compile_expression(term, text) for term in terms]
    named = {part.id for term in terms for part in ast.walk(term) if isinstance(part, ast.Name)}
    if not named & set(QUANTITIES):
        raise UserError(f"check {text!r}: '{ast.unparse(node)}' says nothing about a pose")
    unit = UNIT_DEGREES if named & DEGREES else UNIT_METRES

    def evaluate(m: Measurements) -> Tensor:
        found = [value(m) for value in values]
        pairs = [relation(a, b) for relation, a, b in zip(compare, found[:-1], found[1:], strict=True)]
        return reduce(operator.and_, pairs)  # at least one pair is a tensor; True & tensor is a tensor

    def margin(m: Measurements) -> Tensor:
        found = [value(m) for value in values]
        gaps = [b - a if up else a - b for up, a, b in zip(rising, found[:-1], found[1:], strict=True)]
        tensors = [torch.as_tensor(gap, dtype=m.joints.dtype, device=m.joints.device) for gap in gaps]
        return reduce(torch.minimum, tensors) / unit

    return Check(text, evaluate, margin)


def _is_either_side(node: ast.expr) -> TypeGuard[ast.Call]:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == EITHER_SIDE


def _compile_either_side(node: ast.Call, text: str) -> Check:
    if not node.args or node.keywords:
        raise UserError(f"check {text!r}: {EITHER_SIDE}() takes the conditions of one side")
    this = tuple(_compile_condition(condition, written(condition)) for condition in node.args)
    sides = this, tuple(compile_check(mirrored(check.text)) for check in this)

    def evaluate(m: Measurements) -> Tensor:
        return reduce(operator.or_, (reduce(operator.and_, (each.evaluate(m) for each in side)) for side in sides))

    def margin(m: Measurements) -> Tensor:
        return reduce(torch.maximum, (reduce(torch.minimum, (each.margin(m) for each in side)) for side in sides))

    return Check(text, evaluate, margin, sides)


@lru_cache(maxsize=65536)
def compile_check(text: str) -> Check:
    """Compile one check; the result is cached.

    Raises:
        UserError: the text is not in the language; the message names the part and lists what exists.
    """
    tree = parse(text, "check")
    return _compile_either_side(tree, text) if _is_either_side(tree) else _compile_condition(tree, text)


def either_side(checks: Sequence[str]) -> str:
    """The check that all of these hold, or all of them with the sides exchanged."""
    return f"{EITHER_SIDE}({', '.join(checks)})"


@lru_cache(maxsize=65536)
def compile_quantity(text: str) -> Evaluate:
    """Compile an expression, e.g. ``distance(left_wrist, head) - 0.1``; the result is cached.

    Raises:
        UserError: as ``compile_check`` does.
    """
    return _compile_expression(parse(text, "quantity"), text)


def as_joints(joints: Tensor | np.ndarray) -> Tensor:
    """Joints (N, 22, 3), or joints and landmarks (N, 32, 3), as a float tensor; a single pose becomes a batch of one.

    Raises:
        UserError: any other shape.
    """
    tensor = torch.as_tensor(joints)
    if tensor.ndim == 2:
        tensor = tensor.unsqueeze(0)
    if tensor.ndim != 3 or tensor.shape[1] not in (NUM_JOINTS, NUM_POINTS) or tensor.shape[2] != 3:
        raise UserError(
            f"joints must have the shape (N, 22, 3), or (N, 32, 3) with landmarks, not {tuple(tensor.shape)}"
        )
    return tensor if tensor.is_floating_point() else tensor.float()


def tabulated(texts: Sequence[Sequence[str]]) -> tuple[list[str], Tensor]:
    """The C different checks that T texts state, and (T, C) how often each text states each."""
    column = {check: number for number, check in enumerate(dict.fromkeys(c for each in texts for c in each))}
    stated = torch.zeros(len(texts), len(column))
    for row, each in enumerate(texts):
        for check in each:
            stated[row, column[check]] += 1
    return list(column), stated


@torch.no_grad()
def satisfied(checks: Sequence[str], joints: Tensor | np.ndarray) -> Tensor:
    """Which checks hold for which poses.

    Args:
        checks: C texts.
        joints: (N, 22, 3) metres, tensor or array; (N, 32, 3) with landmarks.

    Returns:
        (N, C) bool, on the device of the joints.

    Raises:
        UserError: a check that is not in the language, or that needs landmarks where only joints are given.
    """
    return _by_check(checks, joints, lambda check, m: check.evaluate(m))


@torch.no_grad()
def fulfilment(checks: Sequence[str], joints: Tensor | np.ndarray) -> Tensor:
    """How much of each check poses fulfil: as ``satisfied``, but of ``either_side`` the better side's share.

    ``satisfied`` says whether a pose does what the words ask, which is how policies are judged. A policy that learns
    from grades needs to tell one attempt from another.

    Returns:
        (N, C) float32 in 0..1; a mean over checks weighs each by its ``Check.size``.

    Raises:
        UserError: as ``satisfied`` does.
    """
    return _by_check(checks, joints, lambda check, m: check.share(m)).float()


def _by_check(
    checks: Sequence[str], joints: Tensor | np.ndarray, grade: Callable[[Check, Measurements], Tensor]
) -> Tensor:
    """(N, C) grades, 0 of poses that are not finite."""
    measurements = Measurements(as_joints(joints))
    if not checks:
        return torch.zeros(len(measurements.joints), 0, dtype=torch.bool, device=measurements.joints.device)
    finite = measurements.points.isfinite().flatten(1).all(dim=1)
    return torch.stack([grade(compile_check(text), measurements) for text in checks], dim=1) * finite.unsqueeze(1)


def satisfaction(checks: Sequence[str], joints: Tensor | np.ndarray) -> Tensor:
    """Share of the checks that each pose fulfils, (N,) float32 in 0..1.

    Raises:
        UserError: there are no checks; a share of nothing is no number.
    """
    if not checks:
        raise UserError("satisfaction needs at least one check")
    return satisfied(checks, joints).float().mean(dim=1)


@torch.no_grad()
def measure(expression: str, joints: Tensor | np.ndarray) -> Tensor:
    """The value of an expression of the check language, e.g. ``measure("angle(left_knee)", joints)`` -> (N,)."""
    measurements = Measurements(as_joints(joints))
    value = torch.as_tensor(compile_quantity(expression)(measurements))
    return value.expand(len(measurements.joints))


def mirrored(check: str) -> str:
    """The same statement about the other side of the body.

    ``satisfied([mirrored(check)], mirror(joints)) == satisfied([check], joints)``, where the mirror exchanges left and
    right joints and the sign of x.
    """
    compile_check(check)
    return written(Mirror().visit(parse(check, "check")))


def mirrored_quantity(expression: str) -> tuple[str, int]:
    """The same quantity of the other side, and -1 if its sign has to be changed: ``("left(right_wrist)", -1)``."""
    compile_quantity(expression)
    node = Mirror().visit(parse(expression, "quantity"))
    return (written(node.operand), -1) if isinstance(node, ast.UnaryOp) else (written(node), 1)


def tightened(check: str, degrees: float = 5.0, metres: float = 0.03) -> str:
    """The same statement with a margin: whoever fulfils it fulfils ``check`` with that much to spare.

    Captions state only what holds with a margin and are graded by the plain check, so that nothing borderline is said.

    Args:
        degrees: margin of comparisons of angles.
        metres: margin of all other comparisons.
    """
    compile_check(check)
    return written(Tighten(degrees, metres).visit(parse(check, "check")))


def denied(check: str) -> str:
    """What somebody means who denies a check: that its gist, the first of its conditions, does not hold.

    Of other words that a check has beside its gist, "lean() < 60", whoever denies it says nothing.

    Raises:
        UserError: ``check`` is not in the language, or its gist is a range or an ``either_side``, whose contrary may be
            anything.
    """
    gist = parse(check, "check")
    _compile_condition(gist, check)
    while isinstance(gist, ast.BoolOp) and isinstance(gist.op, ast.And):
        gist = gist.values[0]
    if any(isinstance(node, ast.Compare) and len(node.ops) > 1 for node in ast.walk(gist)):
        raise UserError(f"the contrary of {check!r} may be anything: its gist is a range")
    return written(Deny().visit(gist))
