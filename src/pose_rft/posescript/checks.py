"""Geometric statements about a pose, written as strings: the check language.

A check is one condition on a pose, for example ``y(left_wrist) > y(head) + 0.05`` or
``80 < angle(left_elbow) < 105``. Captions carry the checks that they state, prompts of the benchmarks carry theirs, and
the verifiable reward is the share that a generated pose fulfils. The grammar is small and closed:

    condition   := comparison | condition "and" condition | condition "or" condition
    comparison  := expression ("<" | "<=" | ">" | ">=") expression ...        (chains are fine)
    expression  := number | quantity "(" names ")" | abs(e) | min(e, e, ...) | max(e, e, ...)
                 | expression ("+" | "-" | "*") expression | "-" expression

Quantities are those of ``pose_rft.posescript.measurements.QUANTITIES`` (table: docs/posescript.md). Text is parsed with
``ast`` and only the nodes above are accepted; nothing is ever passed to ``eval``. A pose that is not finite
fulfils nothing.
"""

import ast
import difflib
import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache, reduce
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pose_rft.body.landmarks import NUM_POINTS
from pose_rft.body.skeleton import NUM_JOINTS
from pose_rft.errors import UserError
from pose_rft.posescript.measurements import QUANTITIES, Kind, Measurements, other_side

MAX_LENGTH = 2000
MAX_DEPTH = 40
MAX_NUMBER = 1e9
COMPARISONS = {ast.Lt: operator.lt, ast.LtE: operator.le, ast.Gt: operator.gt, ast.GtE: operator.ge}
FLIPPED = {ast.Lt: ast.Gt, ast.LtE: ast.GtE, ast.Gt: ast.Lt, ast.GtE: ast.LtE}
ARITHMETIC = {ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul}
COMBINED = {ast.And: (operator.and_, torch.minimum), ast.Or: (operator.or_, torch.maximum)}
DEGREES = {name for name, quantity in QUANTITIES.items() if quantity.degrees}
UNIT_DEGREES, UNIT_METRES = 20.0, 0.1  # about equally far for a limb
REDUCED = {"min": torch.minimum, "max": torch.maximum}
FUNCTIONS = (*QUANTITIES, "abs", *REDUCED)

Evaluate = Callable[[Measurements], Any]  # a tensor (N,) or, for numbers, a float


@dataclass(frozen=True)
class Check:
    """A compiled check.

    Attributes:
        text: as it was written.
        evaluate: measurements of N poses -> (N,) bool.
        margin: measurements of N poses -> (N,) by how much it holds (positive) or fails (negative), in units of
            ``UNIT_DEGREES`` or ``UNIT_METRES``. Differentiable in the joints; the sign agrees with ``evaluate``.
    """

    text: str
    evaluate: Callable[[Measurements], Tensor]
    margin: Callable[[Measurements], Tensor]


def _parse(text: str, what: str) -> ast.expr:
    if not isinstance(text, str) or not text.strip():
        raise UserError(f"a {what} is a text such as 'angle(left_knee) < 110', not {text!r}")
    if len(text) > MAX_LENGTH:
        raise UserError(f"the {what} '{text[:40]}...' is longer than {MAX_LENGTH} characters: split it")
    try:
        tree = ast.parse(text.strip(), mode="eval").body
    except SyntaxError as error:
        raise UserError(f"{what} {text!r} is not understood: {error.msg}") from None
    except (ValueError, RecursionError, MemoryError):
        raise UserError(f"the {what} '{text[:40]}...' cannot be parsed: write it more simply") from None
    layer, depth = [tree], 0
    while layer := [child for node in layer for child in ast.iter_child_nodes(node) if isinstance(child, ast.expr)]:
        if (depth := depth + 1) > MAX_DEPTH:
            raise UserError(f"the {what} '{text[:40]}...' is nested more than {MAX_DEPTH} deep: write it more simply")
    return tree


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


@lru_cache(maxsize=65536)
def compile_check(text: str) -> Check:
    """Compile one check; the result is cached.

    Raises:
        UserError: the text is not in the language; the message names the part and lists what exists.
    """
    return _compile_condition(_parse(text, "check"), text)


@lru_cache(maxsize=65536)
def compile_quantity(text: str) -> Evaluate:
    """Compile an expression, e.g. ``distance(left_wrist, head) - 0.1``; the result is cached.

    Raises:
        UserError: as ``compile_check`` does.
    """
    return _compile_expression(_parse(text, "quantity"), text)


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
    measurements = Measurements(as_joints(joints))
    size = len(measurements.joints)
    if not checks:
        return torch.zeros(size, 0, dtype=torch.bool, device=measurements.joints.device)
    finite = measurements.points.isfinite().flatten(1).all(dim=1)
    held = [compile_check(text).evaluate(measurements) for text in checks]
    return torch.stack(held, dim=1) & finite.unsqueeze(1)


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


class _Mirror(ast.NodeTransformer):
    """Exchange left and right: names swap sides and quantities with a side change their sign."""

    def visit_Call(self, node: ast.Call) -> ast.expr:
        if not isinstance(node.func, ast.Name) or node.func.id not in QUANTITIES:
            return self.generic_visit(node)  # type: ignore[return-value]
        names: list[ast.expr] = [
            ast.Name(other_side(argument.id)) for argument in node.args if isinstance(argument, ast.Name)
        ]
        call = ast.Call(ast.Name(node.func.id), names, [])
        return ast.UnaryOp(ast.USub(), call) if QUANTITIES[node.func.id].odd else call

    def visit_UnaryOp(self, node: ast.UnaryOp) -> ast.expr:
        return _negated(self.visit(node.operand))

    def visit_Compare(self, node: ast.Compare) -> ast.expr:
        terms = [self.visit(term) for term in (node.left, *node.comparators)]
        ops: list[ast.cmpop] = list(node.ops)
        if all(isinstance(term, (ast.UnaryOp, ast.Constant)) for term in terms):  # -left(j) > 1 reads left(j) < -1
            terms = [_negated(term) for term in terms]
            ops = [FLIPPED[type(op)]() for op in ops]
        return ast.Compare(terms[0], ops, terms[1:])


def _negated(node: ast.expr) -> ast.expr:
    if isinstance(node, ast.UnaryOp):
        return node.operand
    if isinstance(node, ast.Constant) and node.value == 0:
        return node
    return ast.UnaryOp(ast.USub(), node)


def mirrored(check: str) -> str:
    """The same statement about the other side of the body.

    ``satisfied([mirrored(check)], mirror(joints)) == satisfied([check], joints)``, where the mirror exchanges left and
    right joints and the sign of x.
    """
    compile_check(check)
    return ast.unparse(ast.fix_missing_locations(_Mirror().visit(_parse(check, "check"))))


def mirrored_quantity(expression: str) -> tuple[str, int]:
    """The same quantity of the other side, and -1 if its sign has to be changed: ``("left(right_wrist)", -1)``."""
    compile_quantity(expression)
    node = ast.fix_missing_locations(_Mirror().visit(_parse(expression, "quantity")))
    return (ast.unparse(node.operand), -1) if isinstance(node, ast.UnaryOp) else (ast.unparse(node), 1)


class _Tighten(ast.NodeTransformer):
    """Every comparison a < b becomes a + margin < b; without negation the whole condition becomes stricter."""

    def __init__(self, degrees: float, metres: float):
        self.degrees, self.metres = degrees, metres

    def visit_Compare(self, node: ast.Compare) -> ast.expr:
        named = {part.id for part in ast.walk(node) if isinstance(part, ast.Name)}
        margin = self.degrees if named & DEGREES else self.metres
        pairs: list[ast.expr] = []
        terms = [node.left, *node.comparators]
        for smaller, op, larger in zip(terms[:-1], node.ops, terms[1:], strict=True):
            if isinstance(op, (ast.Gt, ast.GtE)):
                smaller, larger = larger, smaller
            pairs.append(ast.Compare(ast.BinOp(smaller, ast.Add(), ast.Constant(margin)), [ast.Lt()], [larger]))
        return pairs[0] if len(pairs) == 1 else ast.BoolOp(ast.And(), pairs)


def tightened(check: str, degrees: float = 5.0, metres: float = 0.03) -> str:
    """The same statement with a margin: whoever fulfils it fulfils ``check`` with that much to spare.

    Captions state only what holds with a margin and are graded by the plain check, so that nothing borderline is said.

    Args:
        degrees: margin of comparisons of angles.
        metres: margin of all other comparisons.
    """
    compile_check(check)
    return ast.unparse(ast.fix_missing_locations(_Tighten(degrees, metres).visit(_parse(check, "check"))))
