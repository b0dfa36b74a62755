"""The environments of hybrid actions keep to the published rules: hand-worked numbers, and what is known of returns."""

import math

import numpy as np
import pytest

from benchmarks.hybrid import goal, moving
from benchmarks.hybrid.environment import Environment
from benchmarks.hybrid.goal import Goal, PublishedGoal
from benchmarks.hybrid.moving import Moving, Sliding
from benchmarks.hybrid.platform import ENEMY1, HOP, LEAP, RUN, VX, Platform, X, Y


@pytest.fixture
def generator():
    return np.random.default_rng(0)


def played(environment: Environment, count: int, generator: np.random.Generator):
    """Returns and success (count,) and the last states of episodes with random actions."""
    states, rows = environment.start(count, generator), np.arange(count)
    returns, success, last = np.zeros(count), np.zeros(count, dtype=bool), states.copy()
    while len(rows):
        actions = generator.integers(len(environment.low), size=len(rows))
        parameters = generator.uniform(-1.2, 1.2, (len(rows), environment.low.shape[1]))
        step = environment.step(states, actions, parameters, generator)
        returns[rows] += step.rewards
        success[rows], last[rows] = step.success, step.states
        rows, states = rows[~step.ended], step.states[~step.ended]
    return returns, success, last


@pytest.mark.parametrize("environment", [Platform(), Goal(), PublishedGoal(), Moving(), Sliding()])
def test_a_step_leaves_its_states_alone_and_repeats_with_the_same_generator(environment):
    states = environment.start(8, np.random.default_rng(0))
    before, actions = states.copy(), np.arange(8) % len(environment.low)
    parameters = np.full((8, environment.low.shape[1]), 0.5)
    one, other = (environment.step(states, actions, parameters, np.random.default_rng(1)) for _ in range(2))
    assert np.array_equal(states, before)
    assert np.array_equal(one.states, other.states)
    assert environment.observe(states).shape == (8, environment.observed)


def test_parameters_from_minus_one_to_one_are_the_numbers_between_the_bounds(generator):
    far, beyond, middle = (
        Platform().step(Platform().start(1, generator), np.array([RUN]), np.array([[value]]), np.random.default_rng(0))
        for value in (1.0, 3.0, 0.0)
    )
    same = Platform().act(Platform().start(1, generator), np.array([RUN]), np.array([[15.0]]), np.random.default_rng(0))
    assert np.array_equal(far.states, beyond.states)
    assert np.array_equal(middle.states, same.states)


def test_a_run_of_full_power_leads_as_far_as_worked_out_by_hand(generator):
    step = Platform().act(Platform().start(500, generator), np.full(500, RUN), np.full((500, 1), 30.0), generator)
    # Speeds 30, 0.99 * 30 + 30 = 59.7, then 70, the limit on the ground, for 20 ticks of 0.05; noise takes millimetres.
    assert step.states[:, X] == pytest.approx(1.5 + 2.985 + 18 * 3.5, abs=0.02)
    assert step.states[:, VX] == pytest.approx(0.99 * 70)
    assert (step.states[:, Y] == 40).all()
    # The enemy turns at its end in the first tick, and back in the second, and then walks 1.5 a tick: 230 - 19 * 1.5.
    assert step.states[:, ENEMY1] == pytest.approx(201.5, abs=0.5)
    assert step.rewards == pytest.approx(67.485 / 1035, abs=1e-4)


def test_a_hop_flies_as_far_as_worked_out_by_hand_and_lands(generator):
    states = Platform().start(500, generator)
    states[:, [X, ENEMY1]] = [130.0, 0.0]  # the enemy walks below the player as far as 214
    step = Platform().act(states, np.full(500, HOP), np.full((500, 1), 720.0), generator)
    # It is up for 2 * 35 / 9.8 = 7.1 seconds, less for the noise, at 30, which a tick takes 1 % and noise from.
    seconds = 2 * 35 / 9.8
    assert not step.ended.any()
    assert (step.states[:, Y] == 40).all()
    assert step.states[:, X].max() == pytest.approx(130 + 30 * 0.05 * (1 - 0.99 ** (20 * seconds)) / 0.01, abs=8)


def test_who_leaps_too_short_falls_into_the_gap_and_keeps_what_was_gained(generator):
    states = Platform().start(500, generator)
    states[:, [X, ENEMY1]] = [240.0, 100.0]
    step = Platform().act(states, np.full(500, LEAP), np.full((500, 1), 60.0), generator)
    assert step.ended.all()
    assert not step.success.any()
    assert (step.states[:, Y] < 40).all()
    assert step.rewards == pytest.approx((step.states[:, X] - 240) / 1035)


def test_the_return_of_platform_is_the_share_of_the_way_and_one_for_success(generator):
    returns, success, last = played(Platform(), 2000, generator)
    assert returns == pytest.approx(last[:, X] / 1035)
    assert returns.min() >= 0
    assert returns.max() < 1
    assert not success.any()  # two gaps and two enemies are more than random play overcomes


def kicked_off(count: int, y: float) -> np.ndarray:
    """(count, S) starts of Goal with the player at one place."""
    states = Goal().start(count, np.random.default_rng(0))
    return np.repeat(states[np.abs(states[:, goal.PLAYER + goal.Y] - y).argmin()][None], count, axis=0)


def test_goal_begins_with_the_ball_at_the_foot_and_the_keeper_before_it(generator):
    states = Goal().start(1000, generator)
    ball, player, keeper = (states[:, [who, who + 1]] for who in (goal.BALL, goal.PLAYER, goal.KEEPER))
    assert np.linalg.norm(ball - player, axis=1) == pytest.approx(1.6)
    assert keeper[:, 0] == pytest.approx(14.5)
    goal_centre = np.array([20.0, 0.0])
    slopes = [(goal_centre - who)[:, 1] / (goal_centre - who)[:, 0] for who in (ball, keeper, player)]
    assert slopes[0] == pytest.approx(slopes[1])
    assert slopes[0] == pytest.approx(slopes[2])
    assert np.ptp(player[:, 1]) > 29


def test_a_shot_at_the_keeper_is_caught_and_one_at_the_corner_is_a_goal():
    straight, corner = (
        Goal().act(kicked_off(200, 0.0), np.full(200, action), np.tile(numbers, (200, 1)), np.random.default_rng(1))
        for action, numbers in ((goal.SHOOT_LEFT, (0.0, 0.0)), (goal.KICK_TO, (40.0, 13.0)))
    )
    assert straight.ended.all()
    assert not straight.success.any()
    # Caught within 2 m of a keeper at 14.5 who has come to meet it by some metres: 5.5 to 11 m before the goal.
    assert ((straight.rewards < -3.5) & (straight.rewards > -11)).all()
    assert corner.success.mean() > 0.95
    assert set(corner.rewards[corner.success]) == {50.0}


def test_a_ball_beside_the_goal_costs_its_distance_to_the_post():
    # From half-way, full speed along the line at 12 m: past the keeper, who stays before the goal, and out.
    states = kicked_off(100, 12.0)
    step = Goal().act(states, np.zeros(100, dtype=int), np.tile((40.0, 12.0), (100, 1)), np.random.default_rng(1))
    out = step.states[:, goal.BALL] > 20
    assert out.mean() > 0.9
    assert step.rewards[out] == pytest.approx(7.01 - np.abs(step.states[out, goal.BALL + 1]))


def test_the_published_program_kicks_towards_x_x(generator):
    corner = np.tile((40.0, 13.0), (100, 1))
    step = PublishedGoal().act(kicked_off(100, 0.0), np.zeros(100, dtype=int), corner, generator)
    assert not step.success.any()  # at 45 degrees it leaves the pitch at the side
    assert (step.states[:, goal.BALL + 1] > 14).all()


def driving(x: float, y: float, velocity: tuple[float, float] = (0.0, 0.0), angle: float = 0.0) -> np.ndarray:
    """(1, S) a state of Moving with the target in the middle."""
    return np.array([[x, y, *velocity, angle, 0.0, 0.0, 0.0]])


def test_moving_accelerates_turns_and_breaks_as_worked_out_by_hand(generator):
    step = Moving().act(driving(-0.5, 0.0), np.array([moving.ACCELERATE]), np.array([[1.0]]), generator)
    assert step.states[0, moving.PLACE] == pytest.approx([-0.5 + 0.005 * 0.5, 0])
    assert step.rewards == pytest.approx(0.0025 - 0.001)
    step = Moving().act(step.states, np.array([moving.TURN]), np.array([[1.0]]), generator)
    assert step.states[0, moving.VELOCITY] == pytest.approx([0, 0.5])  # a quarter turn takes the velocity with it
    step = Moving().act(step.states, np.array([moving.BREAK]), np.array([[0.0]]), generator)
    assert step.states[0, moving.VELOCITY] == pytest.approx([0, 0.4])


def test_sliding_adds_velocities_and_turns_on_the_spot(generator):
    step = Sliding().act(driving(-0.5, 0.0, (0.3, 0.0)), np.array([moving.TURN]), np.array([[1.0]]), generator)
    assert step.states[0, moving.VELOCITY] == pytest.approx([0.3, 0])
    step = Sliding().act(step.states, np.array([moving.ACCELERATE]), np.array([[0.8]]), generator)
    assert step.states[0, moving.VELOCITY] == pytest.approx([0.3, 0.4])


def test_stopping_in_the_circle_pays_one_and_leaving_the_field_or_being_late_costs_one(generator):
    inside, outside, fast = driving(0.05, 0.0, (0.09, 0.0)), driving(0.15, 0.0), driving(0.999, 0.0, (0.5, 0.0))
    late = driving(0.5, 0.0)
    late[0, moving.STEPS] = 200
    step = Moving().act(
        np.concatenate([inside, outside, fast, late]), np.full(4, moving.BREAK), np.zeros((4, 1)), generator
    )
    assert step.rewards == pytest.approx([1 - 0.001, -0.001, -1, -1])
    assert step.ended.tolist() == [True, False, True, True]
    assert step.success.tolist() == [True, False, False, False]


def test_a_driver_who_knows_the_rules_gets_nearly_two(generator):
    """The return is the way to the target, 1 for the stop and 0.001 less a step: about 1.9 of a good driver."""
    environment, states = Moving(), Moving().start(500, generator)
    returns, rows = np.zeros(500), np.arange(500)
    while len(rows):
        speed, far = np.linalg.norm(states[:, moving.VELOCITY], axis=1), moving.distance(states)
        to_target = states[:, moving.TARGET] - states[:, moving.PLACE]
        off = np.arctan2(to_target[:, 1], to_target[:, 0]) - states[:, moving.ANGLE]
        off = (off + math.pi) % (2 * math.pi) - math.pi
        way = 0.005 * speed * (speed / 0.1) / 2  # to a stop
        actions = np.select([(np.abs(off) > 0.1) & (far > 0.05), way + 0.03 < far], [moving.TURN, moving.ACCELERATE], 2)
        numbers = np.where(actions == moving.TURN, np.clip(off / (math.pi / 2), -1, 1), 0.6)[:, None]
        step = environment.act(states, actions, numbers, generator)
        returns[rows] += step.rewards
        rows, states = rows[~step.ended], step.states[~step.ended]
    assert 1.85 < returns.mean() < 2
