"""What earlier alerts say of a device: was it ever accepted, how often refused, is it a suspect.

Whatever changes several devices locks them in the order of their ids first, so that no two
transactions wait for each other. A device that somebody else holds is left as it is: no delivery
waits for a note about a device, and its next alert says the same.
"""

from collections.abc import Iterable

from sqlalchemy import TextClause, text
from sqlmodel import Session

HISTORY = """(CASE WHEN d.trusted_at IS NOT NULL AND d.refusals = 0 AND d.suspect_at IS NULL THEN 0
    ELSE (d.trusted_at IS NULL)::int + (coalesce(d.suspect_at < now() - interval '1 day', false)
        ::int << 1) + (d.refusals::int << 2) END)"""
"""The history of device `d`, as `service.domain.device.History.unpack` reads it."""

_LOCKED = """(SELECT id FROM device WHERE id = ANY(:ids) AND gone_at IS NULL
    ORDER BY id FOR UPDATE SKIP LOCKED)"""

_SUSPECT = text(f"""
    WITH named AS {_LOCKED}
    UPDATE device SET suspect_at = now() FROM named
    WHERE device.id = named.id AND device.suspect_at IS NULL""")

_REFUSED = text(f"""
    WITH named AS {_LOCKED}
    UPDATE device SET refusals = least(refusals + 1, 100) FROM named WHERE device.id = named.id""")


def acceptances(device_ids: str) -> str:
    """Return what notes acceptances as part of a statement's WITH: what was against them is over.

    `device_ids` is an array of the devices whose pushes were accepted.
    """
    return f"""
    accepted AS ({_LOCKED.replace(":ids", device_ids)}),
    trusted AS (UPDATE device SET trusted_at = coalesce(trusted_at, now()), refusals = 0,
        suspect_at = NULL FROM accepted WHERE device.id = accepted.id)"""


def suspect(session: Session, device_ids: Iterable[int]) -> None:
    """Mark devices that doubtful evidence speaks against; the first mark stays."""
    _for_each(session, _SUSPECT, device_ids)


def note_refusals(session: Session, device_ids: Iterable[int]) -> None:
    """Count one more alert that was refused for each of the devices."""
    _for_each(session, _REFUSED, device_ids)


def _for_each(session: Session, statement: TextClause, device_ids: Iterable[int]) -> None:
    ids = list(device_ids)
    if ids:
        session.execute(statement, {"ids": ids})


def has_accepted_device(session: Session, provider: str) -> bool:
    """Whether the provider has ever accepted a push, or its devices were imported."""
    exists = session.execute(
        text(
            "SELECT EXISTS (SELECT 1 FROM device WHERE provider = :provider "
            "AND trusted_at IS NOT NULL)"
        ),
        {"provider": provider},
    ).scalar_one()
    return bool(exists)
