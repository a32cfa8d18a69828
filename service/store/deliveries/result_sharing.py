"""Which devices of a shard belong to readers who let us count what they open, in SQL.

Their deliveries are packed apart (`batch.results`), so nothing is asked when a receipt comes in,
and reports know of how many devices they know anything.
"""

from typing import NamedTuple

CHOICES_EXIST = "EXISTS (SELECT 1 FROM reader WHERE results IS NOT NULL)"
"""Whether any reader has chosen; the index `reader_results` answers it."""


class Sharing(NamedTuple):
    """What a fan-out needs: a CTE, an expression over `device_in`, and what joins the two."""

    cte: str
    expression: str
    join: str


_OTHERS = """, other_choice AS MATERIALIZED (
    SELECT id FROM reader WHERE id >= :lo AND id < :hi
    AND results IS NOT NULL AND results <> :results_by_default
)"""
_OF_READERS = Sharing(
    _OTHERS,
    "(other_choice.id IS NULL) = :results_by_default",
    " LEFT JOIN other_choice ON other_choice.id = device_in.reader_id",
)
_OF_DEVICES = Sharing(
    "",
    "coalesce(reader.results, :results_by_default)",
    " LEFT JOIN device ON device.id = device_in.id"
    " LEFT JOIN reader ON reader.id = device.reader_id",
)
"""A correction goes by shard numbers: each of its devices is looked up."""
_BY_DEFAULT = Sharing("", "CAST(:results_by_default AS boolean)", "")


def sharing(source_alert_id: int | None, *, choices_exist: bool) -> Sharing:
    """Return what says of each device whether its results are counted.

    It costs nothing where every reader does as the installation has it. What corrects another
    alert has a `source_alert_id`.
    """
    if not choices_exist:
        return _BY_DEFAULT
    return _OF_READERS if source_alert_id is None else _OF_DEVICES
