"""The syntax of checks: text to tree, and trees with the sides exchanged or with a margin.

Nothing here knows a pose; ``pose_rft.posescript.checks`` compiles the trees.
"""

import ast

from pose_rft.errors import UserError
from pose_rft.posescript.measurements import QUANTITIES, other_side

MAX_LENGTH = 2000
MAX_DEPTH = 40
FLIPPED = {ast.Lt: ast.Gt, ast.LtE: ast.GtE, ast.Gt: ast.Lt, ast.GtE: ast.LtE}
CONTRARY = {ast.Lt: ast.GtE, ast.LtE: ast.Gt, ast.Gt: ast.LtE, ast.GtE: ast.Lt}
DEGREES = {name for name, quantity in QUANTITIES.items() if quantity.degrees}


def parse(text: str, what: str) -> ast.expr:
    """The tree of a text, of which nothing is checked but its size.

    Args:
        what: the text is, for the message.

    Raises:
        UserError: it is no expression, too long or too deep.
    """
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


def written(node: ast.expr) -> str:
    """The text of a tree."""
    return ast.unparse(ast.fix_missing_locations(node))


def conditions(text: str) -> tuple[str, ...]:
    """What a check joins by "and", each by itself; the check where it joins nothing.

    Raises:
        UserError: it is no expression.
    """
    tree = parse(text, "check")
    if not (isinstance(tree, ast.BoolOp) and isinstance(tree.op, ast.And)):
        return (text,)
    return tuple(each for value in tree.values for each in conditions(written(value)))


class Mirror(ast.NodeTransformer):
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


class Tighten(ast.NodeTransformer):
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


class Deny(ast.NodeTransformer):
    """The contrary of a condition without ranges: "and" becomes "or", "or" becomes "and", a < b becomes a >= b."""

    def visit_BoolOp(self, node: ast.BoolOp) -> ast.expr:
        op = ast.Or() if isinstance(node.op, ast.And) else ast.And()
        return ast.BoolOp(op, [self.visit(value) for value in node.values])

    def visit_Compare(self, node: ast.Compare) -> ast.expr:
        (op,) = node.ops
        return ast.Compare(node.left, [CONTRARY[type(op)]()], node.comparators)
