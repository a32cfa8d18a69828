"""Readers arrive from another system with their devices and topics: a file, a reader a line."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from itertools import islice

from pydantic import Field, ValidationError
from sqlalchemy import Engine

from service import readership
from service.api.dependencies import Line
from service.api.devices import DeviceBody
from service.api.readers import NewReader
from service.domain.device import MAX_DEVICES_PER_READER
from service.domain.errors import Invalid, Refusal
from service.outbox import Broker, Work, unit_of_work

LINES_A_TRANSACTION = 200
MOST_REFUSALS_TOLD = 100


class Arrival(NewReader):
    """One line of the file."""

    devices: list[DeviceBody] = Field(default=[], max_length=MAX_DEVICES_PER_READER)
    follows: list[Line] = Field(default=[], max_length=readership.MAX_SUBSCRIPTIONS)


@dataclass(frozen=True, slots=True)
class Refused:
    """A line that was left out, and why; an address is never part of the reason."""

    line: int
    why: str


@dataclass(slots=True)
class Arrivals:
    """What came of a file. Of the refusals the first hundred are kept."""

    readers: int = 0
    devices: int = 0
    refused: int = 0
    refusals: list[Refused] = field(default_factory=list)

    def refuse(self, line: int, why: str) -> None:
        """Leave a line out."""
        self.refused += 1
        if len(self.refusals) < MOST_REFUSALS_TOLD:
            self.refusals.append(Refused(line, why))


def admit(
    engine: Engine, broker: Broker, lines: Iterable[bytes], progress: Callable[[int], None]
) -> Arrivals:
    """Take in every line that is in order; `progress` is told how many bytes are done.

    A few hundred lines are one transaction, so a run that is cut short has taken in the lines
    before. A file taken in twice makes its readers twice, but the devices stay one: an address
    belongs to its last registrant.
    """
    arrivals = Arrivals()
    numbered = enumerate(lines, 1)
    done = 0
    while part := list(islice(numbered, LINES_A_TRANSACTION)):
        with unit_of_work(engine, broker) as work:
            for number, line in part:
                if line.strip():
                    _admit_line(work, number, line, arrivals)
        done += sum(len(line) for _, line in part)
        progress(done)
    return arrivals


def _admit_line(work: Work, number: int, line: bytes, arrivals: Arrivals) -> None:
    try:
        arrival = Arrival.model_validate_json(line)
        with work.session.begin_nested():
            _settle_in(work, arrival)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        place = ".".join(str(part) for part in first["loc"]) or "the line"
        arrivals.refuse(number, f"{place}: {first['msg']}")
    except Invalid as invalid:
        arrivals.refuse(number, f"{invalid.field}: {invalid.detail}")
    except Refusal as refusal:
        arrivals.refuse(number, refusal.detail)
    else:
        arrivals.readers += 1
        arrivals.devices += len(arrival.devices)


def _settle_in(work: Work, arrival: Arrival) -> None:
    quiet = arrival.quiet_hours.read() if arrival.quiet_hours else None
    reader, _ = readership.register_reader(work, arrival.language, arrival.timezone, quiet)
    for device in arrival.devices:
        readership.register_device(work, reader, device.read())
    for path in arrival.follows:
        readership.follow(work, reader, path)
