"""Compares the audience by plain SQL, the batches, and what the phones received."""

from collections import defaultdict
from dataclasses import dataclass, field, fields
from datetime import datetime

import httpx
import psycopg

STATES = ("pending", "retrying", "accepted", "gone", "expired", "buried", "cancelled")
PAGE = 10_000


@dataclass
class PhonePush:
    """One push as a phone received it."""

    address: str
    title: str
    collapse_key: str
    at: float


@dataclass
class Findings:
    """What must be zero, and what is only counted; of one alert or of all."""

    lost: int = 0
    unaccounted: int = 0
    shown_twice: int = 0
    wrong_text: int = 0
    forgotten: int = 0
    never_ended: int = 0
    forgotten_devices: int = 0
    missing_effects: int = 0
    surplus_receipts: int = 0
    answered_calls: int = 0
    devices: int = 0
    pushes: int = 0
    duplicates: list[float] = field(default_factory=list)
    """When each push arrived that was followed by another of the same delivery."""
    sent_again: list[float] = field(default_factory=list)
    """When each push arrived whose delivery was already on record as accepted."""
    notes: list[str] = field(default_factory=list)

    @property
    def needs_note(self) -> bool:
        """Whether this alert deserves a note in the report."""
        return bool(self.lost or self.unaccounted or self.sent_again or self.forgotten)

    def summary(self) -> str:
        """Return the numbers, without the lists."""
        return ", ".join(
            f"{item.name} {value}"
            for item in fields(self)
            if isinstance(value := getattr(self, item.name), int)
        )

    def add(self, other: "Findings") -> None:
        """Add the findings of another alert."""
        for item in fields(self):
            setattr(self, item.name, getattr(self, item.name) + getattr(other, item.name))


_AUDIENCE = """
SELECT d.id, d.address FROM device d WHERE (d.gone_at IS NULL OR d.gone_at > a.started_at)
AND EXISTS (SELECT 1 FROM subscription s JOIN topic t ON t.id = s.topic_id
    WHERE s.reader_id = d.reader_id AND t.path = ANY(
        SELECT array_to_string(p[1:k], '/') FROM unnest(st.topics) AS path,
        LATERAL string_to_array(path, '/') AS p, LATERAL generate_series(1, cardinality(p)) AS k))
"""


def find_audience(connection: psycopg.Connection, alert_id: int) -> dict[int, str]:
    """Return the devices of an alert's audience and their addresses, from the rules alone."""
    rows = connection.execute(
        "SELECT x.id, x.address FROM alert a JOIN story st ON st.id = a.story_id, "
        f"LATERAL ({_AUDIENCE}) x WHERE a.id = %s",
        (alert_id,),
    )
    return {int(row[0]): str(row[1]) for row in rows}


def count_forgotten_devices(connection: psycopg.Connection) -> int:
    """Count the devices that were forgotten: all of them exist, so each answers the next day."""
    row = connection.execute("SELECT count(*) FROM device WHERE gone_at IS NOT NULL").fetchone()
    return int(row[0]) if row else 0


def delivery_states(connection: psycopg.Connection, alert_id: int) -> dict[int, str]:
    """Return the state of every device of an alert; a device in two batches raises."""
    device_states: dict[int, str] = {}
    rows = connection.execute(
        "SELECT device_ids, states FROM batch WHERE alert_id = %s", (alert_id,)
    )
    for devices, states in rows:
        for device, byte in zip(devices, states, strict=True):
            assert device not in device_states, f"device {device} is in two batches"
            device_states[device] = STATES[byte & 7]
    return device_states


def list_pushes(control: httpx.Client, alert_id: int) -> list[PhonePush]:
    """Return the pushes of an alert that the phones received, oldest first."""
    received: list[PhonePush] = []
    after: int | None = 0
    while after is not None:
        page = control.get(
            "/control/pushes", params={"alert_id": alert_id, "after": after, "limit": PAGE}
        ).json()
        received += [
            PhonePush(
                item["address"],
                item["title"],
                item["collapse_key"],
                datetime.fromisoformat(item["at"]).timestamp(),
            )
            for item in page["items"]
        ]
        after = page["next"]
    return received


def check_alert(
    audience: dict[int, str],
    states: dict[int, str],
    received: list[PhonePush],
    recorded: dict[int, float],
) -> Findings:
    """Compare one alert's audience, states and phones; `recorded` has the time of acceptances."""
    findings = Findings(devices=len(states), pushes=len(received))
    missing = audience.keys() - states.keys()
    reached = {push.address for push in received}
    accepted = {audience[d] for d, state in states.items() if state == "accepted" and d in audience}
    findings.lost = len(missing) + len(accepted - reached)
    findings.unaccounted = sum(1 for state in states.values() if state in ("pending", "retrying"))
    keys: dict[str, set[str]] = defaultdict(set)
    times: dict[str, list[float]] = defaultdict(list)
    for push in received:
        keys[push.address].add(push.collapse_key)
        times[push.address].append(push.at)
    findings.shown_twice = sum(len(several) - 1 for several in keys.values())
    findings.duplicates = [at for several in times.values() for at in sorted(several)[:-1]]
    findings.forgotten = sum(1 for device in recorded if states.get(device) != "accepted")
    findings.sent_again = [
        at
        for device, recorded_at in recorded.items()
        if device in audience
        for at in times.get(audience[device], ())
        if at > recorded_at
    ]
    return findings


def count_outdated(
    alerts: list[list[PhonePush]], last_states: dict[int, str], audience: dict[int, str]
) -> int:
    """Count the phones whose last push of a story is not of the last alert that was due there.

    `alerts` has the received pushes of each alert about the story; `last_states` is of the last.
    """
    newest: dict[str, tuple[float, int]] = {}
    for n, pushes in enumerate(alerts):
        for push in pushes:
            newest[push.address] = max(newest.get(push.address, (0.0, 0)), (push.at, n))
    final = len(alerts) - 1
    due = [audience[d] for d, state in last_states.items() if state == "accepted" and d in audience]
    return sum(1 for address in due if newest.get(address, (0.0, -1))[1] != final)
