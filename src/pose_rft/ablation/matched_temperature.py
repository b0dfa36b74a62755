"""At which temperature a policy's samples spread as far as another's do: what reinforcement gains for nothing."""

from collections.abc import Callable

from pose_rft.errors import UserError

COLDEST, HOTTEST = 0.05, 2.0
TOLERANCE_MM = 1.0
NEAR = 0.03  # of the spread, that the nearest temperature may miss: settling moves samples by leaps
HALVINGS = 10


def matched_temperature(spread: Callable[[float], float], target: float) -> float:
    """Bisect for the temperature at which samples spread by ``target`` mm, within ``TOLERANCE_MM`` or else ``NEAR``.

    Args:
        spread: mm at a temperature; rises with it, but for leaps.

    Raises:
        UserError: no temperature from ``COLDEST`` to ``HOTTEST`` spreads so.
    """
    temperature, found = 1.0, spread(1.0)
    missed, nearest = abs(found - target), temperature
    low, high = (1.0, HOTTEST) if found < target else (COLDEST, 1.0)
    for _ in range(HALVINGS):
        if missed <= TOLERANCE_MM:
            return nearest
        temperature = round((low + high) / 2, 4)
        found = spread(temperature)
        missed, nearest = min((missed, nearest), (abs(found - target), temperature))
        low, high = (temperature, high) if found < target else (low, temperature)
    if missed <= NEAR * target:
        return nearest
    raise UserError(
        f"no temperature from {COLDEST} to {HOTTEST} was found at which samples spread by {target:.1f} mm; "
        f"at {nearest} they miss it by {missed:.1f} mm"
    )
