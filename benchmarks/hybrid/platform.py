"""Platform: run, hop and leap over two gaps and two enemies to the far end of three platforms.

Masson, Ranchod and Konidaris, "Reinforcement Learning with Parameterized Actions", AAAI 2016. The paper gives actions,
states and reward; the constants are those of its authors' program as Bester et al. 2019 ("Multi-Pass Q-Networks")
published it (github.com/cycraig/gym-platform, ``Constants``). Lengths are its units, times seconds.
"""

import numpy as np
from numba import njit

from benchmarks.hybrid.environment import Environment, Step

RUN, HOP, LEAP = 0, 1, 2
# A state: the player's place and speed, and place and speed of the enemies of the first two platforms.
X, Y, VX, VY, ENEMY1, SPEED1, ENEMY2, SPEED2, STEPS = range(9)

LEFT = np.array([0.0, 475.0, 985.0])  # of each platform
WIDTH = np.array([250.0, 275.0, 50.0])
GAP = np.array([225.0, 235.0, 0.0])  # behind each platform
END, TOP = 1035.0, 40.0  # where the last platform ends; how high all are
BODY_WIDTH, BODY_HEIGHT = 20.0, 30.0  # of the player and of enemies
DT, RUN_TICKS = 0.05, 20  # a tick; a run lasts a second, a jump until the player stands again
GRAVITY, DECAY = 9.8, 0.99  # of the fall; what is left of the speed after a tick
GROUND_SPEED, AIR_SPEED, RISING_SPEED = 70.0, 100.0, 200.0
KICK = 30.0  # what one tick can add to the speed
ENEMY_SPEED, ENEMY_NOISE, BRAKING_NOISE, JUMP_NOISE = 30.0, 0.025, 0.025, 1.0
RISE = np.array([0.0, 35.0, 25.0])  # upward speed that an action begins with
TICKS = 400  # more than the highest hop lasts


@njit(cache=True)
def under_foot(x: float, y: float) -> bool:
    """Whether a platform bears a player at a place."""
    borne = False
    for platform in range(len(LEFT)):
        borne |= LEFT[platform] - BODY_WIDTH <= x <= LEFT[platform] + WIDTH[platform]
    return borne and y == TOP


@njit(cache=True)
def brake(speed: float, generator: np.random.Generator) -> float:
    """The speed to the right after a tick's random loss, which never turns the player round."""
    return max(min(speed - abs(generator.normal(0.0, BRAKING_NOISE)), AIR_SPEED), 0.0)


@njit(cache=True)
def patrol(x: float, speed: float, platform: int, generator: np.random.Generator) -> tuple[float, float]:
    """Place and speed of an enemy a tick later; it turns at both ends of its platform."""
    left, right = LEFT[platform], LEFT[platform] + WIDTH[platform] - BODY_WIDTH
    if x <= left or x >= right:
        speed = -speed
    speed = min(max(speed + generator.normal(0.0, ENEMY_NOISE), -ENEMY_SPEED), ENEMY_SPEED)
    return min(max(x + speed * DT, left), right), speed


@njit(cache=True)
def land(state: np.ndarray) -> None:
    """Put a player who has sunk into a platform back onto it, or off its side if that is nearer."""
    for platform in range(len(LEFT)):
        left, width = LEFT[platform], WIDTH[platform]
        if left - BODY_WIDTH < state[X] < left + width and TOP - BODY_HEIGHT < state[Y] < TOP:
            before, behind = state[X] - (left - BODY_WIDTH), left + width - state[X]  # the shifts to its sides
            side = min(before, behind) if min(before, behind) < BODY_WIDTH else np.inf
            if side < TOP - state[Y]:
                state[X] = left - BODY_WIDTH if before < behind else left + width
            else:
                state[Y], state[VY] = TOP, 0.0
            state[VX] = 0.0


@njit(cache=True)
def touches(state: np.ndarray, enemy: float) -> bool:
    return abs(state[X] - enemy) < BODY_WIDTH and abs(state[Y] - TOP) < BODY_HEIGHT


@njit(cache=True)
def tick(state: np.ndarray, action: int, number: float, generator: np.random.Generator) -> bool:
    """Move a state on by a tick; whether the episode is over."""
    if not under_foot(state[X], state[Y]):
        state[VY] -= GRAVITY * DT
    elif action == RUN:
        state[VX] += min(number, KICK)
    else:
        rise = RISE[action]
        seconds = 2 * rise / GRAVITY + 1  # that the authors take for the flight over ``number``
        wanted = min(number / seconds - state[VX], RISING_SPEED - rise)
        wanted -= abs(generator.normal(0.0, JUMP_NOISE))
        state[VX] += min(max(wanted, -KICK), KICK)
        state[VY] += rise - abs(generator.normal(0.0, JUMP_NOISE))
    state[VX] = brake(state[VX], generator)
    state[VY] = min(max(state[VY], -RISING_SPEED), RISING_SPEED)
    if under_foot(state[X], state[Y]):
        state[VX] = min(state[VX], GROUND_SPEED)
    second = state[X] > LEFT[1]  # the enemy of the platform behind stands still
    state[X] = min(state[X] + state[VX] * DT, END)
    state[Y] += state[VY] * DT
    state[VX] *= DECAY
    if second:
        state[ENEMY2], state[SPEED2] = patrol(state[ENEMY2], state[SPEED2], 1, generator)
    else:
        state[ENEMY1], state[SPEED1] = patrol(state[ENEMY1], state[SPEED1], 0, generator)
    land(state)
    caught = touches(state, state[ENEMY1]) or touches(state, state[ENEMY2])
    return state[Y] < TOP or caught or state[X] >= END


@njit(cache=True)
def play(states: np.ndarray, actions: np.ndarray, numbers: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Carry out one action in each row of ``states``, in place; which rows are over."""
    over = np.zeros(len(states), dtype=np.bool_)
    for row in range(len(states)):
        state, action = states[row], actions[row]
        for number in range(RUN_TICKS if action == RUN else TICKS):
            over[row] = tick(state, action, numbers[row], generator)
            if over[row] or (action != RUN and number and under_foot(state[X], state[Y])):
                break
        state[STEPS] += 1
    return over


class Platform(Environment):
    """Run (power), hop and leap (distance). The reward of a step is how far it led, the return the share of the way.

    The authors set no limit of steps; here it is 50, of which a good policy needs fewer than ten.
    """

    low = np.array([[0.0], [0.0], [0.0]])
    high = np.array([[30.0], [720.0], [430.0]])
    observed, limit, scale = 9, 50, 1.0

    def start(self, count: int, generator: np.random.Generator) -> np.ndarray:
        states = np.zeros((count, 9))
        states[:, Y] = TOP
        states[:, ENEMY1], states[:, ENEMY2] = (LEFT + WIDTH - BODY_WIDTH)[:2]
        states[:, [SPEED1, SPEED2]] = -ENEMY_SPEED
        return states

    def observe(self, states: np.ndarray) -> np.ndarray:
        """Player, enemy, and the platform and the gap that lie ahead, scaled as the authors scale them."""
        x = states[:, X]
        here = np.searchsorted(LEFT, x, side="right") - 1
        second = x > LEFT[1]
        enemy = np.where(second, states[:, ENEMY2], states[:, ENEMY1])
        speed = np.where(second, states[:, SPEED2], states[:, SPEED1])
        following = np.append(WIDTH[1:], 0.0)[here]
        columns = [
            (x + BODY_WIDTH) / (END + BODY_WIDTH), states[:, VX] / AIR_SPEED, enemy / END,
            (speed + ENEMY_SPEED) / (2 * ENEMY_SPEED), WIDTH[here] / WIDTH.max(), following / WIDTH.max(),
            GAP[here] / GAP.max(), LEFT[here] / END, np.zeros_like(x),  # the last: all platforms are of one height
        ]  # fmt: skip
        return np.stack(columns, axis=1)

    def act(self, states: np.ndarray, actions: np.ndarray, numbers: np.ndarray, generator: np.random.Generator) -> Step:
        after = states.copy()
        over = play(after, actions, numbers[:, 0], generator)
        rewards = (after[:, X] - states[:, X]) / END
        return Step(after, rewards, over | (after[:, STEPS] >= self.limit), after[:, X] >= END)
