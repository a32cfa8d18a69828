"""How many readers come to the site in a second, because of an alert that they opened."""

from datetime import timedelta

DEFAULT_OPEN_SHARE = 0.05
"""Of the devices that got an alert, where an installation has no figures of its own yet."""
OPENED_WITHIN = timedelta(minutes=2)
"""In this time after a push most of those who open it do so."""


def opens_per_second(devices: int, open_share: float, spread: timedelta) -> float:
    """Return the opens in a second at the height of an alert that leaves over a time.

    Pushes that leave at once are opened over `OPENED_WITHIN`; those that leave over a longer time
    are opened as they come.
    """
    return devices * open_share / max(spread, OPENED_WITHIN).total_seconds()
