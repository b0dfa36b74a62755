"""At which temperature a policy's samples spread as far as another's do: what reinforcement gains for nothing."""

from collections.abc import Callable

from pose_rft.errors import UserError

COLDEST, HOTTEST = 0.05, 2.0
TOLERANCE_MM = 1.0
HALVINGS = 10


def matched_temperature(spread: Callable[[float], float], target: float) -> float:
    """Bisect for the temperature at which samples spread by ``target`` mm, within ``TOLERANCE_MM``.

    Args:
        spread: mm at a temperature; rises with it.

    Raises:
        UserError: no temperature from ``COLDEST`` to ``HOTTEST`` spreads so.
    """
    temperature, found = 1.0, spread(1.0)
    low, high = (1.0, HOTTEST) if found < target else (COLDEST, 1.0)
    for _ in range(HALVINGS):
        if abs(found - target) <= TOLERANCE_MM:
            return temperature
        temperature = round((low + high) / 2, 4)
        found = spread(temperature)
        low, high = (temperature, high) if found < target else (low, temperature)
    raise UserError(
        f"no temperature from {COLDEST} to {HOTTEST} was found at which samples spread by {target:.1f} mm; "
        f"at {temperature} they spread by {found:.1f} mm"
    )
