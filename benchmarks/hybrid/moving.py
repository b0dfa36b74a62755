"""Moving and Sliding: drive into a circle and stop there.

The rules and constants are those of gym-hybrid (github.com/thomashirtz/gym-hybrid, ``environments.py`` and
``agents.py``), which names Xiong et al. 2018 and Fan et al. 2019 as descriptions of such an environment.
"""

import math

import numpy as np

from benchmarks.hybrid.environment import Environment, Step

ACCELERATE, TURN, BREAK = 0, 1, 2
# A state: place, velocity, direction (radians), the target's place, and how many steps have gone.
X, Y, VX, VY, ANGLE, TARGET_X, TARGET_Y, STEPS = range(8)
PLACE, VELOCITY, TARGET = slice(X, VX), slice(VX, ANGLE), slice(TARGET_X, STEPS)

FIELD, RADIUS = 1.0, 0.1  # half a side of the field; of the target
DT = 0.005
MAX_ACCELERATION, MAX_TURN, BREAKING = 0.5, math.pi / 2, 0.1  # of one step
SPEED = 5.0  # about the highest that is of use, by which the observed speed is divided
PENALTY, BONUS, MALUS = 0.001, 1.0, -1.0  # of every step; for the stop; for leaving the field or being late


def ahead(states: np.ndarray) -> np.ndarray:
    """(N, 2) unit vectors of where states (N, 8) look."""
    return np.stack([np.cos(states[:, ANGLE]), np.sin(states[:, ANGLE])], axis=1)


def distance(states: np.ndarray) -> np.ndarray:
    """(N,) to the target."""
    return np.linalg.norm(states[:, PLACE] - states[:, TARGET], axis=1)


class Moving(Environment):
    """Accelerate, turn and break. A step's reward is how much nearer it led, less the penalty, and a bonus or a malus.

    The velocity points where one looks: a turn turns it, too.
    """

    low = np.array([[0.0], [-1.0], [np.nan]])
    high = np.array([[1.0], [1.0], [np.nan]])
    observed, limit, scale = 10, 200, 1.0

    def start(self, count: int, generator: np.random.Generator) -> np.ndarray:
        states = np.zeros((count, 8))
        states[:, PLACE] = generator.uniform(-FIELD, FIELD, (count, 2))
        states[:, ANGLE] = generator.uniform(0, 2 * math.pi, count)
        states[:, TARGET] = generator.uniform(RADIUS - FIELD, FIELD - RADIUS, (count, 2))
        return states

    def observe(self, states: np.ndarray) -> np.ndarray:
        speed = np.linalg.norm(states[:, VELOCITY], axis=1)
        far = distance(states)
        late = states[:, STEPS] / self.limit
        columns = (states[:, PLACE], speed / SPEED, ahead(states), states[:, TARGET], far, far <= RADIUS, late)
        return np.column_stack(columns)

    def accelerated(self, states: np.ndarray, by: np.ndarray) -> np.ndarray:
        """(N, 2) velocities after an acceleration (N,)."""
        speed = np.linalg.norm(states[:, VELOCITY], axis=1) + by
        return speed[:, None] * ahead(states)

    def turned(self, states: np.ndarray) -> np.ndarray:
        """(N, 2) velocities in states (N, 8) that have just turned."""
        return np.linalg.norm(states[:, VELOCITY], axis=1, keepdims=True) * ahead(states)

    def act(self, states: np.ndarray, actions: np.ndarray, numbers: np.ndarray, generator: np.random.Generator) -> Step:
        after, number = states.copy(), numbers[:, 0]
        after[:, ANGLE] += np.where(actions == TURN, MAX_TURN * number, 0.0)
        speed = np.linalg.norm(states[:, VELOCITY], axis=1, keepdims=True)
        slowed = states[:, VELOCITY] * np.maximum(1 - BREAKING / np.maximum(speed, BREAKING), 0)
        after[:, VELOCITY] = np.select(
            [actions[:, None] == ACCELERATE, actions[:, None] == TURN],
            [self.accelerated(states, MAX_ACCELERATION * number), self.turned(after)],
            slowed,
        )
        after[:, PLACE] += DT * after[:, VELOCITY]
        after[:, STEPS] += 1
        stopped = (distance(after) < RADIUS) & (after[:, VELOCITY] == 0).all(axis=1)
        late = (np.abs(after[:, PLACE]) > FIELD).any(axis=1) | (after[:, STEPS] > self.limit)
        rewards = distance(states) - distance(after) - PENALTY + np.where(stopped, BONUS, 0.0)
        return Step(after, np.where(late & ~stopped, MALUS, rewards), stopped | late, stopped)


class Sliding(Moving):
    """Moving with inertia: an acceleration adds to the velocity, and a turn leaves it as it was.

    gym-hybrid means to add two polar vectors; its formula puts the difference of two speeds where that of two angles
    belongs. Here the vectors are added. Its observation leaves out where one slides to; here the velocity is added.
    """

    observed = 12

    def observe(self, states: np.ndarray) -> np.ndarray:
        return np.column_stack([super().observe(states), states[:, VELOCITY] / SPEED])

    def accelerated(self, states: np.ndarray, by: np.ndarray) -> np.ndarray:
        return states[:, VELOCITY] + by[:, None] * ahead(states)

    def turned(self, states: np.ndarray) -> np.ndarray:
        return states[:, VELOCITY]
