"""The check language: hand-checked quantities, mirror property, closed grammar."""

import contextlib
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pose_rft.body import load_body
from pose_rft.body.skeleton import JOINT_NAMES
from pose_rft.errors import UserError
from pose_rft.posescript.checks import (
    compile_check,
    either_side,
    fulfilment,
    measure,
    mirrored,
    satisfaction,
    satisfied,
    tabulated,
    tightened,
)
from pose_rft.posescript.measurements import QUANTITIES, Measurements
from tests.posescript.stick_figure import mirror, moved, random_poses, t_pose, turned
from tests.posescript.test_posture import HAND_WORKED

T = t_pose()
POSTURE = {expression.split("(")[0] for expression, _, _ in HAND_WORKED}  # of the bundled body, as landmarks are
X, Y, Z = (1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)
BEND_FORWARD, LEAN_LEFT, TURN_LEFT = X, (0.0, 0.0, -1.0), Y  # axes of positive rotation

HANGING = {"left_elbow": (0.25, 0.95, 0.0), "left_wrist": (0.25, 0.7, 0.0)}
ON_CHEST = {"left_elbow": (0.3, 1.3, 0.25), "left_wrist": (0.0, 1.3, 0.25)}  # 25 cm in front of the spine


def value(expression: str, joints: torch.Tensor) -> float:
    return float(measure(expression, joints)[0])


@pytest.mark.parametrize(
    ("expression", "joints", "expected"),
    [
        # coordinates of the stick figure in stick_figure.py
        ("x(left_wrist)", T, 0.7),
        ("y(head)", T, 1.6),
        ("z(left_foot)", T, 0.1),
        ("height(head)", T, 1.6),
        ("height(head)", T + torch.tensor([0.0, 5.0, 0.0]), 1.6),
        ("height(left_foot)", moved(left_foot=(0.1, 0.4, 0.1)), 0.4),
        # straight limbs 180, right angles 90, a heel-to-seat knee 0
        ("angle(left_knee)", T, 180),
        ("angle(left_knee)", moved(left_ankle=(0.1, 0.5, -0.4)), 90),
        ("angle(left_knee)", moved(left_ankle=(0.1, 0.9, 0.0)), 0),
        ("angle(right_elbow)", moved(right_wrist=(-0.45, 1.7, 0.0)), 90),
        ("angle(left_hip)", T, 180),
        ("angle(left_hip)", moved(left_knee=(0.1, 0.95, 0.45)), 90),
        ("angle(left_shoulder)", T, 90),
        ("angle(left_shoulder)", moved(left_elbow=(0.2, 1.2, 0.0)), 0),
        ("angle(left_shoulder)", moved(left_elbow=(0.2, 1.7, 0.0)), 180),
        ("angle(left_ankle)", T, 135),  # foot at 45 degrees below level
        ("angle(neck)", moved(head=(0.0, 1.5, 0.1)), 90),
        ("angle(spine2)", T, 180),
        ("distance(left_wrist, right_wrist)", T, 1.4),
        ("distance(left_knee, head)", T, math.hypot(0.1, 1.1)),
        # surfaces: the distance of the axes less both radii of pose_rft.posescript.body_parts
        ("gap(left_hand, right_hand)", T, 1.4 - 0.03 - 0.03),
        ("gap(left_knee, right_knee)", T, 0.2 - 0.061 - 0.061),
        ("gap(left_knee, right_knee)", turned(T, LEAN_LEFT, 70), 0.2 - 0.061 - 0.061),
        ("gap(chest, belly)", T, math.hypot(0.1, 0.06 - 0.025) - 0.118 - 0.115),  # they overlap
        ("gap(left_hand, chest)", turned(moved(**ON_CHEST), TURN_LEFT, 90), 0.25 - 0.06 - 0.118 - 0.03),
        # a hand hangs 15 cm beside the axis of the thigh, which is thickest beside the wrist: its 100 mm at a fifth of
        # the way from hip to knee become 59 mm over the other 36 cm, and the wrist is 16 cm below that fifth
        ("gap(left_hand, left_thigh)", moved(**HANGING), 0.15 - 0.03 - (0.1 - 0.041 * 16 / 36)),
        ("gap(left_thigh, left_hand)", moved(**HANGING), 0.15 - 0.03 - (0.1 - 0.041 * 16 / 36)),
        # the torso's frame stands upright here, so that it is the world's, from the pelvis at (0, 1, 0)
        ("front(left_foot)", T, 0.1),
        ("left(left_wrist)", T, 0.7),
        ("left(right_wrist)", T, -0.7),
        ("up(head)", T, 0.6),
        ("up(left_knee)", T, -0.5),
        ("up(left_knee, left_ankle)", T, 0.4),
        ("left(left_wrist, left_shoulder)", T, 0.5),
        # it goes with the body: bent over, lying, turned round
        ("front(left_foot)", turned(T, BEND_FORWARD, 120), 0.1),
        ("left(left_wrist)", turned(T, LEAN_LEFT, 90), 0.7),
        ("up(head)", turned(T, BEND_FORWARD, -90), 0.6),
        ("left(left_wrist)", turned(T, TURN_LEFT, 180), 0.7),
        # over the ground: turned with the hips, but not tipped with the torso
        ("ahead(left_foot)", T, 0.1),
        ("ahead(left_foot)", turned(T, TURN_LEFT, 110), 0.1),
        ("ahead(head, pelvis)", turned(T, BEND_FORWARD, 30), 0.3),  # 0.6 m of torso x sin 30
        ("ahead(left_foot, right_hip)", turned(T, BEND_FORWARD, 90), -0.95),  # the feet 0.95 m behind the hips
        ("aside(left_wrist)", turned(T, TURN_LEFT, -70), 0.7),
        ("aside(right_wrist, right_elbow)", T, -0.25),
        # torso
        ("lean()", T, 0),
        ("lean()", turned(T, BEND_FORWARD, 30), 30),
        ("lean()", turned(T, LEAN_LEFT, 90), 90),
        ("lean()", turned(T, BEND_FORWARD, 180), 180),
        ("pitch()", turned(T, BEND_FORWARD, 30), 30),
        ("pitch()", turned(T, BEND_FORWARD, 120), 120),
        ("pitch()", turned(T, BEND_FORWARD, -90), -90),
        ("pitch()", turned(turned(T, BEND_FORWARD, 40), TURN_LEFT, 130), 40),
        ("pitch()", turned(T, LEAN_LEFT, 90), 0),
        ("roll()", turned(T, LEAN_LEFT, 20), 20),
        ("roll()", turned(T, LEAN_LEFT, -90), -90),
        ("roll()", turned(turned(T, LEAN_LEFT, 25), TURN_LEFT, -100), 25),
        ("roll()", turned(T, BEND_FORWARD, 70), 0),
        ("turn()", T, 0),
        ("turn()", turned(T, TURN_LEFT, 90), 90),
        ("turn()", turned(T, TURN_LEFT, -135), -135),
        ("turn()", turned(turned(T, BEND_FORWARD, 90), TURN_LEFT, 50), 50),
        ("turn()", turned(turned(T, LEAN_LEFT, 90), TURN_LEFT, 50), 50),
        # segments from vertical-up
        ("tilt(left_elbow, left_wrist)", T, 90),
        ("tilt(pelvis, head)", T, 0),
        ("tilt(left_hip, left_knee)", T, 180),
        ("tilt(left_ankle, left_foot)", T, 135),
        # arithmetic
        ("abs(left(right_wrist)) + 2 * 0.5", T, 1.7),
        ("min(y(head), y(neck), 3) - max(y(left_foot), -1)", T, 1.5),
    ],
)
def test_a_quantity_has_the_value_worked_out_by_hand(expression, joints, expected):
    assert value(expression, joints) == pytest.approx(expected, abs=2e-3 * max(1, abs(expected) / 10))


def test_every_quantity_of_the_language_is_in_a_hand_worked_table():
    marks = test_a_quantity_has_the_value_worked_out_by_hand.pytestmark[0].args[1]
    assert {expression.split("(")[0] for expression, _, _ in marks} | POSTURE >= set(QUANTITIES)


def test_a_side_bend_leaves_the_heading_where_the_hips_face():
    bent = T.clone()
    above = [JOINT_NAMES.index(n) for n in JOINT_NAMES if "spine" in n or n in ("neck", "head") or "shoulder" in n]
    bent[:, above] = turned(T - torch.tensor([0.0, 1.0, 0.0]), LEAN_LEFT, 40)[:, above] + torch.tensor([0.0, 1.0, 0.0])
    assert value("turn()", bent) == pytest.approx(0, abs=1e-3)
    assert value("roll()", bent) == pytest.approx(40, abs=1e-2)


@pytest.mark.parametrize(
    ("check", "expected"),
    [
        ("80 < angle(left_shoulder) < 100", True),
        ("80 < angle(left_shoulder) < 85", False),
        ("angle(left_knee) < 110 or lean() < 5", True),
        ("angle(left_knee) < 110 and lean() < 5", False),
        ("angle(left_knee) > 110 and lean() < 5 or y(head) < 0", True),
        ("y(left_wrist) > y(head) + 0.05", False),
        ("1.4 <= y(left_wrist) <= 1.5 < y(head)", True),
        ("2 < 3 < x(left_wrist)", False),
    ],
)
def test_conditions_combine_as_python_would(check, expected):
    assert satisfied([check], T).tolist() == [[expected]]


def test_what_texts_state_is_tabulated_once():
    checks, stated = tabulated([["a", "b"], [], ["b", "c", "b"]])
    assert checks == ["a", "b", "c"]
    assert stated.tolist() == [[1, 1, 0], [0, 0, 0], [0, 2, 1]]


def test_satisfied_has_a_row_per_pose_and_a_column_per_check():
    joints = torch.cat([T, turned(T, BEND_FORWARD, 90), moved(left_wrist=(0.2, 1.9, 0.0))])
    held = satisfied(["lean() > 60", "y(left_wrist) > y(head)"], joints)
    assert held.tolist() == [[False, False], [True, False], [False, True]]
    assert satisfaction(["lean() > 60", "y(left_wrist) > y(head)"], joints).tolist() == [0, 0.5, 0.5]
    assert satisfied([], joints).shape == (3, 0)


KICK = ("front(left_ankle) > 0.4", "angle(left_knee) > 150", "lean() < 20 and angle(right_knee) > 150")
BENT = {"left_ankle": (0.1, 0.9, 0.0)}  # the left heel at the seat: that knee is at 0 degrees, not 150


@pytest.mark.parametrize(
    ("joints", "left", "right"),  # how many of the three statements hold of a kick with each leg
    [
        (T, 2, 2),  # both knees straight, neither foot in front
        (moved(left_ankle=(0.1, 0.9, 0.5), left_knee=(0.1, 0.95, 0.25)), 3, 2),
        (moved(right_ankle=(-0.1, 0.9, 0.5), right_knee=(-0.1, 0.95, 0.25)), 2, 3),
        (moved(**BENT), 1, 1),  # the half of the third that holds counts for nothing
        (turned(T, BEND_FORWARD, 90), 1, 1),
    ],
)
def test_of_either_side_the_better_side_counts(joints, left, right):
    of_left, of_right = list(KICK), [mirrored(check) for check in KICK]
    assert fulfilment(of_left, joints).sum().item() == left
    assert fulfilment(of_right, joints).sum().item() == right
    assert fulfilment([either_side(KICK)], joints).item() == pytest.approx(max(left, right) / 3)
    assert satisfied([either_side(KICK)], joints).item() == (max(left, right) == 3)


def test_either_side_counts_as_many_statements_as_it_holds_and_any_other_check_as_one():
    checks = [either_side(KICK), "lean() < 60 and angle(left_knee) < 90", "lean() < 60"]
    assert [compile_check(check).size for check in checks] == [3, 1, 1]
    assert fulfilment(checks, torch.cat([T, T])).tolist() == [[pytest.approx(2 / 3), 0, 1]] * 2
    assert fulfilment([], T).shape == (1, 0)
    broken = T.clone()
    broken[0, 3, 1] = math.nan
    assert fulfilment(checks, broken).tolist() == [[0, 0, 0]]


def test_either_side_with_a_margin_asks_more_of_both_sides():
    tight = tightened("either_side(height(left_foot) > 0.3)", metres=0.05)
    assert tight == "either_side(0.3 + 0.05 < height(left_foot))"
    poses = torch.cat([moved(left_foot=(0.1, 0.33, 0.1)), moved(right_foot=(-0.1, 0.36, 0.1))])
    assert satisfied([tight], poses).flatten().tolist() == [False, True]


def test_arrays_and_single_poses_are_welcome():
    assert satisfied(["lean() < 5"], T.numpy()).tolist() == [[True]]
    assert satisfied(["lean() < 5"], T[0].numpy().astype(np.float64)).tolist() == [[True]]


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_a_pose_that_is_not_finite_fulfils_nothing(bad):
    joints = T.clone()
    joints[0, 3, 1] = bad  # a joint that the check does not name
    assert satisfied(["lean() < 500", "y(head) > 0 or lean() < 9"], joints).tolist() == [[False, False]]


def test_no_checks_have_no_share():
    with pytest.raises(UserError, match="at least one check"):
        satisfaction([], T)


@pytest.mark.parametrize("shape", [(22,), (3, 21, 3), (3, 31, 3), (3, 22, 2), (1, 1, 22, 3)])
def test_joints_of_another_shape_are_refused(shape):
    with pytest.raises(UserError, match=r"\(N, 22, 3\), or \(N, 32, 3\) with landmarks"):
        satisfied(["lean() < 5"], torch.zeros(shape))


@pytest.mark.parametrize(
    ("check", "part"),
    [
        ("", "is a text such as"),
        ("lean() <", "is not understood"),
        ("lean()", "compares nothing"),
        ("not lean() < 5", "compares nothing"),
        ("lean() == 5", "compare with"),
        ("lean() in 5", "compare with"),
        ("1 < 2", "says nothing about a pose"),
        ("1 < 2 or lean() < 4", "says nothing about a pose"),
        ("bend() < 5", "there are: x, y, z"),
        ("angel(left_knee) < 5", "did you mean angle"),
        ("y(left_hand) < 5", "there are: pelvis, left_hip"),
        ("angle(left_kne) < 5", "did you mean left_knee"),
        ("angle(head) < 5", "no joint with an angle is called 'head'; there are: left_hip"),
        ("angle(pelvis) < 5", "joint with an angle"),
        ("distance(head) < 5", "write distance(joint, joint), not distance(head)"),
        ("gap(head) < 5", "write gap(part, part), not gap(head)"),
        ("gap(head, head) < 5", "two different parts"),
        ("gap(head, left_hnd) < 5", "no part is called 'left_hnd'; did you mean left_hand"),
        ("gap(head, left_wrist) < 5", "there are: left_hand, left_forearm"),
        ("distance(head, belly) < 5", "no joint is called 'belly'"),
        ("lean(head) < 5", "write lean(), not lean(head)"),
        ("distance(head, head) < 5", "two different joints"),
        ("front() < 5", "write front(joint) or front(joint, joint), not front()"),
        ("angle(face) < 5", "no joint with an angle is called 'face'"),
        ("y(left_toe) < 5", "did you mean left_toes"),
        ("off(head, face) < 5", "write off(joint, joint, direction), not off(head, face)"),
        ("off(head, face, north) < 5", "no direction is called 'north'; did you mean port? there are: front, back"),
        ("off(head, head, up) < 5", "two different joints"),
        ("apart(neck, head, pelvis, pelvis) < 5", "two different joints, not pelvis twice"),
        ("sole(left_foot) < 5", "no ankle is called 'left_foot'; there are: left_ankle, right_ankle"),
        ("rest(left_elbow) < 5", "no limb is called 'left_elbow'; did you mean left_leg"),
        ("asymmetry(hands) < 5", "no group is called 'hands'; there are: arms, legs, body"),
        ("y('head') < 5", "not the name of a joint"),
        ("y(2) < 5", "not the name of a joint"),
        ("head < 5", "alone is not a quantity"),
        ("lean() < 1e999", "too large a number"),
        ("lean() < 1" + "0" * 500, "too large a number"),
        ("lean() < True", "not part of the check language"),
        ("abs(lean(), 2) < 1", "takes one value"),
        ("max() < lean()", "takes values"),
        ("either_side()", "takes the conditions of one side"),
        ("either_side(lean() < 5, k=lean() < 6)", "takes the conditions of one side"),
        ("either_side(lean())", "'lean()' compares nothing"),
        ("either_side(lean() < 5, y(left_tow) < 5)", "did you mean left_toes"),
        ("either_side(lean() < 5) or lean() < 6", "is a whole check, not a part of one"),
        ("either_side(either_side(lean() < 5))", "is a whole check, not a part of one"),
        ("either_side(lean() < 5) < 6", "no quantity is called 'either_side'"),
    ],
)
def test_a_wrong_check_is_refused_in_one_line_that_says_what_exists(check, part):
    with pytest.raises(UserError) as caught:
        compile_check(check)
    assert part in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "check",
    [
        "().__class__ < 3",
        "lean().real < 3",
        "lean.__globals__ < 3",
        "__import__('os').system('true') < lean()",
        "eval('1') < lean()",
        "open(head) < lean()",
        "(lambda: 1)() < lean()",
        "[lean() for _ in (1, 2)] < 3",
        "(a := lean()) < 3",
        "lean() < 3 if 1 else 2",
        "{**lean()} < 3",
        "max(*lean()) < 3",
        "angle(left_knee, **{}) < 3",
        "y(joint=head) < 3",
        "lean()[0] < 3",
        "f'{lean()}' < 3",
        "9 ** 9 ** 9 < lean()",
        "lean() / 0 < 3",
        "lean() << 3 < 4",
        "'a' * 99 < lean()",
        "1j < lean()",
        "-" * 500 + "lean() < 1",
        "(" * 500 + "lean()" + ")" * 500 + " < 1",
        "lean() < 1 or " * 400 + "lean() < 1",
        "lean()\0 < 1",
        "import os",
        "lean() < 1; lean() < 2",
    ],
)
def test_nothing_but_the_grammar_is_accepted(check):
    with pytest.raises(UserError):
        compile_check(check)


@pytest.mark.parametrize(
    ("check", "expected"),
    [
        ("angle(left_knee) < 110", "angle(right_knee) < 110"),
        ("left(left_wrist) > 0.2", "left(right_wrist) < -0.2"),
        ("roll() > 10", "roll() < -10"),
        ("-10 < turn() < 20", "10 > turn() > -20"),
        ("x(left_wrist) > x(pelvis)", "x(right_wrist) < x(pelvis)"),
        ("gap(left_hand, right_thigh) < 0.05", "gap(right_hand, left_thigh) < 0.05"),
        ("front(left_wrist, right_shoulder) > 0.1", "front(right_wrist, left_shoulder) > 0.1"),
        ("head_turn() > 30 and nod() < 10", "head_turn() < -30 and nod() < 10"),
        ("off(left_hip, left_toes, left) < 20", "off(right_hip, right_toes, right) < 20"),
        ("off(neck, left_fingers, port) < 20", "off(neck, right_fingers, starboard) < 20"),
        ("sole(left_ankle) > 20", "sole(right_ankle) > 20"),
        ("rest(left_arm) < 5", "rest(right_arm) < 5"),
        ("asymmetry(arms) < 0.1", "asymmetry(arms) < 0.1"),
        ("either_side(roll() > 10, lean() < 5)", "either_side(roll() < -10, lean() < 5)"),
    ],
)
def test_a_mirrored_check_reads_as_one_would_write_it(check, expected):
    assert mirrored(check) == expected


@st.composite
def quantities(draw):
    function = draw(st.sampled_from(sorted(QUANTITIES)))
    takes, optional = QUANTITIES[function].takes, QUANTITIES[function].optional
    asked = takes[: draw(st.integers(len(takes) - optional, len(takes)))]
    names: list[str] = []
    for kind in asked:
        names.append(draw(st.sampled_from([name for name in kind.names if name not in names])))
    return f"{function}({', '.join(names)})"


NUMBERS = st.floats(-180, 180).map(lambda number: f"{number:.3f}") | st.floats(-1, 1).map(lambda n: f"{n:.3f}")
EXPRESSIONS = st.recursive(
    quantities() | NUMBERS,
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from("+-*"), inner).map(lambda t: f"({t[0]} {t[1]} {t[2]})"),
        inner.map(lambda e: f"-{e}"),
        inner.map(lambda e: f"abs({e})"),
        st.tuples(st.sampled_from(["min", "max"]), inner, inner).map(lambda t: f"{t[0]}({t[1]}, {t[2]})"),
    ),
    max_leaves=4,
)
SIGNS = st.sampled_from(["<", "<=", ">", ">="])
COMPARISONS = st.tuples(quantities(), SIGNS, EXPRESSIONS).map(" ".join) | st.tuples(
    EXPRESSIONS, SIGNS, quantities(), SIGNS, EXPRESSIONS
).map(" ".join)
CONDITIONS = st.recursive(
    COMPARISONS,
    lambda inner: st.tuples(inner, st.sampled_from(["and", "or"]), inner).map(lambda t: f"({t[0]} {t[1]} {t[2]})"),
    max_leaves=3,
)
CHECKS = CONDITIONS | st.lists(CONDITIONS, min_size=1, max_size=3).map(either_side)
POSES = load_body().points(random_poses(200, seed=1).double())


@settings(max_examples=300, deadline=None)
@given(check=CHECKS)
def test_a_mirrored_check_holds_for_the_mirrored_pose(check):
    other = mirrored(check)
    assert torch.equal(satisfied([check], POSES), satisfied([other], mirror(POSES)))
    assert torch.equal(satisfied([check], POSES), satisfied([mirrored(other)], POSES))


@settings(max_examples=300, deadline=None)
@given(check=CHECKS)
def test_a_margin_is_positive_where_the_check_holds_and_negative_where_it_fails(check):
    margin = compile_check(check).margin(Measurements(POSES))
    assert margin.shape == (len(POSES),)
    clear = margin != 0
    assert torch.equal((margin > 0)[clear], satisfied([check], POSES)[:, 0][clear])


@pytest.mark.parametrize(
    ("check", "expected"),
    [
        ("angle(left_shoulder) < 130", 2.0),  # 40 degrees to spare, in units of 20
        ("y(left_wrist) > 1.5", -0.5),  # 5 centimetres short, in units of 10
        ("angle(left_shoulder) < 130 and y(left_wrist) > 1.5", -0.5),  # the worst of both
        ("angle(left_shoulder) < 130 or y(left_wrist) > 1.5", 2.0),  # the best
        ("80 < angle(left_shoulder) < 130", 0.5),  # the nearer end
        ("either_side(y(left_wrist) > 1.5, left(left_wrist) > 0)", -0.5),  # the worst of either side
        ("either_side(left(left_wrist) < -0.5, y(left_wrist) > 1)", -12.0),  # the left wrist is 0.7 to the left
    ],
)
def test_a_margin_says_how_far(check, expected):
    assert compile_check(check).margin(Measurements(T)).item() == pytest.approx(expected, abs=1e-4)


@settings(max_examples=100, deadline=None)
@given(text=st.text(max_size=60) | st.text(alphabet="xyz()<>=-+*/.,_ 0123456789abdefgnlort\"'[]{}:", max_size=60))
def test_any_other_text_is_refused_politely(text):
    with contextlib.suppress(UserError):  # any other exception fails the test
        compile_check(text)


def test_measured_once_or_alone_is_the_same():
    checks = [f"{q} > {0.1 * k}" for k, q in enumerate(["lean()", "pitch()", "roll()", "turn()", "up(head)"] * 4)]
    together = satisfied(checks, POSES)
    alone = torch.cat([satisfied([check], POSES) for check in checks], dim=1)
    assert torch.equal(together, alone)
