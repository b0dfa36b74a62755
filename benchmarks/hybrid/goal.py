"""Goal: kick a ball past a keeper, by kicks to a place and shots at the left or right of the goal.

Masson, Ranchod and Konidaris, "Reinforcement Learning with Parameterized Actions", AAAI 2016: actions, states, reward
and keeper. The constants are those of the RoboCup soccer server's manual 7.07 on a smaller pitch, as Bester et al. 2019
("Multi-Pass Q-Networks") published the authors' program (github.com/cycraig/gym-goal, ``config.py``). Metres and ticks.
"""

import math

import numpy as np
from numba import njit

from benchmarks.hybrid.environment import Environment, Step

KICK_TO, SHOOT_LEFT, SHOOT_RIGHT = 0, 1, 2
# A state: place, velocity and direction of player and keeper, place and velocity of the ball.
PLAYER, KEEPER, BALL, STEPS, STATE = 0, 5, 10, 14, 15
X, Y, VX, VY, ANGLE = range(5)  # of one of them

LINE, HALF_WIDTH = 20.0, 15.0  # the goal line; half of the pitch's width
GOAL, NET = 7.01, 2.44  # half of the goal's width; its depth
AREA_LENGTH, AREA = 5.5, 9.16  # of the goal area: length and half of the width
BODY, BALL_SIZE = 0.9, 0.4  # radii
REACH, CATCH = 1.6, 2.0  # how near the ball must be to be kicked, and to be caught
BODY_DECAY, BALL_DECAY = 0.4, 0.94  # what is left of a speed after a tick
BODY_RATE, BALL_RATE = 0.006, 0.027  # acceleration by unit of power
BODY_SPEED, BALL_SPEED = 1.0, 2.7  # limits of speed and acceleration, of each coordinate
BODY_NOISE, BALL_NOISE = 0.1, 0.05
INERTIA = 5.0
POWER, DASH, WALK, SAVE = 100.0, 10.0, 8.0, 20.0  # at most, to dash; the keeper's, to follow and to save
FACING, STILL = math.pi / 8, 0.1  # how far from straight ahead still counts; a speed that is none
REWARD = 50.0
TICKS = 2000  # of one action: it is broken off should nobody reach the ball


@njit(cache=True)
def turned(angle: float) -> float:
    """An angle between -pi and pi."""
    return (angle + math.pi) % (2 * math.pi) - math.pi


@njit(cache=True)
def bounded(value: float, limit: float) -> float:
    return min(max(value, -limit), limit)


@njit(cache=True)
def accelerate(state: np.ndarray, who: int, amount: float, angle: float, generator: np.random.Generator) -> None:
    """Accelerate ``who``, with a random error of the angle and one as large as the speed has it."""
    noise, limit = (BALL_NOISE, BALL_SPEED) if who == BALL else (BODY_NOISE, BODY_SPEED)
    angle *= 1 + generator.uniform(-noise, noise)
    most = noise * math.hypot(state[who + VX], state[who + VY])
    for axis, part in ((VX, math.cos(angle)), (VY, math.sin(angle))):
        change = bounded(amount * part + generator.uniform(-most, most), limit)
        state[who + axis] = bounded(state[who + axis] + change, limit)


@njit(cache=True)
def apart(state: np.ndarray, one: int, other: int) -> float:
    return math.hypot(state[one + X] - state[other + X], state[one + Y] - state[other + Y])


@njit(cache=True)
def towards(state: np.ndarray, who: int, x: float, y: float) -> float:
    """The angle at which ``who`` sees a place."""
    return math.atan2(y - state[who + Y], x - state[who + X])


@njit(cache=True)
def at_foot(state: np.ndarray) -> bool:
    return apart(state, PLAYER, BALL) <= REACH + 1e-9  # where the ball lies at first


@njit(cache=True)
def kick(state: np.ndarray, x: float, y: float, generator: np.random.Generator) -> None:
    """The player kicks the ball so that it would come to rest at a place, or goes to it."""
    ball = turned(towards(state, PLAYER, state[BALL + X], state[BALL + Y]) - state[PLAYER + ANGLE])
    if at_foot(state):
        share = 1 - 0.25 * abs(ball) / math.pi - 0.25 * apart(state, PLAYER, BALL) / REACH
        dx = (1 - BALL_DECAY) * (x - state[PLAYER + X]) - state[BALL + VX]
        dy = (1 - BALL_DECAY) * (y - state[PLAYER + Y]) - state[BALL + VY]
        amount = min(math.hypot(dx, dy), POWER * share * BALL_RATE)
        accelerate(state, BALL, amount, math.atan2(dy, dx), generator)
    elif abs(ball) >= FACING:
        speed = math.hypot(state[PLAYER + VX], state[PLAYER + VY])
        state[PLAYER + ANGLE] += ball / (1 + INERTIA * speed)
    else:
        accelerate(state, PLAYER, DASH * BODY_RATE, state[PLAYER + ANGLE], generator)


@njit(cache=True)
def keep(state: np.ndarray, generator: np.random.Generator) -> None:
    """The keeper goes where a shot would pass nearest, or else to where the ball will come to rest."""
    x, y = state[BALL + X], state[BALL + Y]
    dx, dy = state[BALL + VX] / (1 - BALL_DECAY), state[BALL + VY] / (1 - BALL_DECAY)
    power, target_x, target_y = WALK, x + dx, y + dy
    if dx > 0 and dy != 0 and x + dx > LINE and abs(y + dy / dx * (LINE - x)) <= GOAL + CATCH:
        along = ((state[KEEPER + X] - x) * dx + (state[KEEPER + Y] - y) * dy) / (dx * dx + dy * dy)
        power, target_x, target_y = SAVE, x + along * dx, y + along * dy
    angle = towards(state, KEEPER, target_x, target_y)
    state[KEEPER + ANGLE] = angle
    accelerate(state, KEEPER, power * BODY_RATE, angle, generator)


@njit(cache=True)
def separate(state: np.ndarray, one: int, other: int, least: float) -> None:
    """Shift two that overlap apart, and send both back."""
    gap = apart(state, one, other)
    if gap < least:
        angle, shift = towards(state, one, state[other + X], state[other + Y]), (least - gap) / 2
        for who, sign in ((one, -1.0), (other, 1.0)):
            state[who + X] += sign * shift * math.cos(angle)
            state[who + Y] += sign * shift * math.sin(angle)
            state[who + VX] *= -1
            state[who + VY] *= -1


@njit(cache=True)
def move(state: np.ndarray, who: int, decay: float) -> None:
    state[who + X] += state[who + VX]
    state[who + Y] += state[who + VY]
    state[who + VX] *= decay
    state[who + VY] *= decay


@njit(cache=True)
def scored(state: np.ndarray) -> bool:
    return LINE <= state[BALL + X] <= LINE + NET and abs(state[BALL + Y]) <= GOAL


@njit(cache=True)
def lost(state: np.ndarray) -> bool:
    """Whether the keeper has the ball, or it has left the pitch."""
    inside = 0 <= state[BALL + X] <= LINE and abs(state[BALL + Y]) <= HALF_WIDTH
    return apart(state, KEEPER, BALL) < CATCH or not inside


@njit(cache=True)
def tick(state: np.ndarray, x: float, y: float, generator: np.random.Generator) -> None:
    """Move a state on by a tick in which the player kicks the ball to a place, or goes to it."""
    kick(state, x, y, generator)
    keep(state, generator)
    move(state, PLAYER, BODY_DECAY)
    move(state, KEEPER, BODY_DECAY)
    move(state, BALL, BALL_DECAY)
    separate(state, PLAYER, KEEPER, 2 * BODY)
    separate(state, PLAYER, BALL, BODY + BALL_SIZE)
    separate(state, KEEPER, BALL, BODY + BALL_SIZE)


@njit(cache=True)
def play(states: np.ndarray, actions: np.ndarray, numbers: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Carry out one action in each row of ``states``, in place; which rows are over."""
    over = np.zeros(len(states), dtype=np.bool_)
    for row in range(len(states)):
        state, action = states[row], actions[row]
        x, y = (numbers[row, 0], numbers[row, 1]) if action == KICK_TO else (LINE + BALL_SIZE, numbers[row, 0])
        for _ in range(TICKS):
            tick(state, x, y, generator)
            over[row] = scored(state) or lost(state)
            slow = math.hypot(state[BALL + VX], state[BALL + VY]) <= STILL
            if over[row] or (action == KICK_TO and slow and at_foot(state)):
                break
        else:
            over[row] = True
        state[STEPS] += 1
    return over


class Goal(Environment):
    """Kick to a place (x, y), shoot left (y), shoot right (y). 50 for a goal, else minus the ball's distance to it.

    Both shots have the whole width of the goal, as in the published program.
    """

    low = np.array([[0.0, -HALF_WIDTH], [-GOAL, np.nan], [-GOAL, np.nan]])
    high = np.array([[2 * LINE, HALF_WIDTH], [GOAL, np.nan], [GOAL, np.nan]])
    observed, limit, scale = 14, 100, REWARD
    _shift = np.array([0, HALF_WIDTH, 1, 1, math.pi] * 2 + [0, HALF_WIDTH, 3, 3])
    _size = np.array([LINE, 2 * HALF_WIDTH, 2, 2, 2 * math.pi] * 2 + [LINE, 2 * HALF_WIDTH, 6, 6])

    def start(self, count: int, generator: np.random.Generator) -> np.ndarray:
        """The player on the half-way line with the ball before the feet, the keeper between it and the goal."""
        states = np.zeros((count, STATE))
        y = generator.uniform(-HALF_WIDTH, HALF_WIDTH, count)
        angle = np.arctan2(-y, LINE)
        states[:, PLAYER + Y], states[:, PLAYER + ANGLE] = y, angle
        states[:, BALL + X], states[:, BALL + Y] = REACH * np.cos(angle), y + REACH * np.sin(angle)
        share = AREA_LENGTH / (LINE - states[:, BALL + X])
        states[:, KEEPER + X] = LINE - AREA_LENGTH
        states[:, KEEPER + Y] = np.clip(states[:, BALL + Y] * share, -AREA, AREA)
        ball = states[:, [BALL + X, BALL + Y]] - states[:, [KEEPER + X, KEEPER + Y]]
        states[:, KEEPER + ANGLE] = np.arctan2(ball[:, 1], ball[:, 0])
        return states

    def observe(self, states: np.ndarray) -> np.ndarray:
        """All of the state but the steps, scaled as the authors scale it."""
        return (states[:, :STEPS] + self._shift) / self._size

    def act(self, states: np.ndarray, actions: np.ndarray, numbers: np.ndarray, generator: np.random.Generator) -> Step:
        after = states.copy()
        over = play(after, actions, numbers, generator)
        over |= after[:, STEPS] >= self.limit
        goals = (np.abs(after[:, BALL + Y]) <= GOAL) & (after[:, BALL + X] >= LINE) & (after[:, BALL + X] <= LINE + NET)
        short = np.maximum(LINE - after[:, BALL + X], 0)
        beside = np.maximum(np.abs(after[:, BALL + Y]) - GOAL, 0)
        rewards = np.where(goals, REWARD, np.where(over, -np.hypot(short, beside), 0.0))
        return Step(after, rewards, over, goals)


class PublishedGoal(Goal):
    """Goal as the published program plays it: a kick to a place (x, y) goes towards (x, x).

    ``goal_env.py`` hands only the first number of the pair to ``kick_to``, which adds it to both coordinates (gym-goal
    as it came with HyAR, github.com/TJU-DRL-LAB/AI-Optimizer). Figures measured with it are of this game.
    """

    def act(self, states: np.ndarray, actions: np.ndarray, numbers: np.ndarray, generator: np.random.Generator) -> Step:
        seen = numbers.copy()
        seen[:, 1] = numbers[:, 0]
        return super().act(states, actions, seen, generator)
