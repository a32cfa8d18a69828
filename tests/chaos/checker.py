"""Holds three things together: the audience by plain SQL, the ledger, and what the phones got."""

from collections import defaultdict
from dataclasses import dataclass, field, fields
from datetime import datetime

import httpx
import psycopg

STATES = ("pending", "retrying", "accepted", "gone", "expired", "buried", "cancelled")
PAGE = 10_000


@dataclass
class Push:
    """One push as a phone got it."""

    address: str
    title: str
    collapse_key: str
    at: float


@dataclass
class Findings:
    """What must be zero, and what is only counted."""

    lost: int = 0
    unaccounted: int = 0
    on_a_screen_twice: int = 0
    wrong_text: int = 0
    forgotten: int = 0
    never_ended: int = 0
    devices: int = 0
    pushes: int = 0
    doubled: list[float] = field(default_factory=list)
    """When each push was taken that was followed by another of the same delivery."""
    sent_again: list[float] = field(default_factory=list)
    """When each push was taken whose delivery's acceptance was on record already."""
    notes: list[str] = field(default_factory=list)

    @property
    def broken(self) -> bool:
        """Whether there is something to look at."""
        return bool(self.lost or self.unaccounted or self.sent_again or self.forgotten)

    def in_short(self) -> str:
        """Say the numbers, without the lists."""
        return ", ".join(
            f"{item.name} {value}"
            for item in fields(self)
            if isinstance(value := getattr(self, item.name), int)
        )

    def add(self, other: "Findings") -> None:
        """Add another alert's."""
        for item in fields(self):
            setattr(self, item.name, getattr(self, item.name) + getattr(other, item.name))


_AUDIENCE = """
SELECT d.id, d.address FROM device d WHERE (d.gone_at IS NULL OR d.gone_at > a.started_at)
AND EXISTS (SELECT 1 FROM subscription s JOIN topic t ON t.id = s.topic_id
    WHERE s.reader_id = d.reader_id AND t.path = ANY(
        SELECT array_to_string(p[1:k], '/') FROM unnest(st.topics) AS path,
        LATERAL string_to_array(path, '/') AS p, LATERAL generate_series(1, cardinality(p)) AS k))
"""


def audience(connection: psycopg.Connection, alert_id: int) -> dict[int, str]:
    """Return the devices of an alert's audience and their addresses, from the rules alone."""
    rows = connection.execute(
        "SELECT x.id, x.address FROM alert a JOIN story st ON st.id = a.story_id, "
        f"LATERAL ({_AUDIENCE}) x WHERE a.id = %s",
        (alert_id,),
    )
    return {int(row[0]): str(row[1]) for row in rows}


def ledger(connection: psycopg.Connection, alert_id: int) -> dict[int, str]:
    """Return the state of every device of an alert; a device that stands there twice raises."""
    found: dict[int, str] = {}
    rows = connection.execute(
        "SELECT device_ids, states FROM batch WHERE alert_id = %s", (alert_id,)
    )
    for devices, states in rows:
        for device, byte in zip(devices, states, strict=True):
            assert device not in found, f"device {device} stands in two batches"
            found[device] = STATES[byte & 7]
    return found


def pushes(control: httpx.Client, alert_id: int) -> list[Push]:
    """Return what the phones got of an alert, oldest first."""
    found: list[Push] = []
    after: int | None = 0
    while after is not None:
        page = control.get(
            "/control/pushes", params={"alert_id": alert_id, "after": after, "limit": PAGE}
        ).json()
        found += [
            Push(
                item["address"],
                item["title"],
                item["collapse_key"],
                datetime.fromisoformat(item["at"]).timestamp(),
            )
            for item in page["items"]
        ]
        after = page["next"]
    return found


def judge(
    wanted: dict[int, str],
    states: dict[int, str],
    got: list[Push],
    flushed: dict[int, float],
) -> Findings:
    """Compare one alert's audience, ledger and phones; `flushed` is when a yes was on record."""
    found = Findings(devices=len(states), pushes=len(got))
    missing = wanted.keys() - states.keys()
    reached = {push.address for push in got}
    promised = {wanted[d] for d, state in states.items() if state == "accepted" and d in wanted}
    found.lost = len(missing) + len(promised - reached)
    found.unaccounted = sum(1 for state in states.values() if state in ("pending", "retrying"))
    keys: dict[str, set[str]] = defaultdict(set)
    times: dict[str, list[float]] = defaultdict(list)
    for push in got:
        keys[push.address].add(push.collapse_key)
        times[push.address].append(push.at)
    found.on_a_screen_twice = sum(len(several) - 1 for several in keys.values())
    found.doubled = [at for several in times.values() for at in sorted(several)[:-1]]
    found.forgotten = sum(1 for device in flushed if states.get(device) != "accepted")
    found.sent_again = [
        push
        for device, on_record in flushed.items()
        if device in wanted
        for push in times.get(wanted[device], ())
        if push > on_record
    ]
    return found


def judge_chain(members: list[list[Push]], last: dict[int, str], wanted: dict[int, str]) -> int:
    """Count the phones whose last text of a story is not that of the last alert they were due."""
    newest: dict[str, tuple[float, int]] = {}
    for n, got in enumerate(members):
        for push in got:
            newest[push.address] = max(newest.get(push.address, (0.0, 0)), (push.at, n))
    final = len(members) - 1
    due = [wanted[d] for d, state in last.items() if state == "accepted" and d in wanted]
    return sum(1 for address in due if newest.get(address, (0.0, -1))[1] != final)
