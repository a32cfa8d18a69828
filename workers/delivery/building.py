"""From devices to requests: the alert in each provider's form, built push by push."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from traceback import walk_tb

import structlog

from service.domain.verdict import DeviceRefused, Verdict
from workers.delivery.channel import Channel, Item, PreparedAlert
from workers.delivery.clock import Clock
from workers.delivery.leased_batch import LeasedBatch
from workers.delivery.stream_context import StreamContext
from workers.provider import AlertContent, Credential, Position, Pushes, Target

log = structlog.get_logger()


class Unbuildable:
    """Refuses devices whose push cannot be built through a fault of ours.

    They are buried, to be replayed when the fault is mended. Only the fault's kind is named: its
    own words could hold an address.
    """

    def __init__(self, fault: Exception) -> None:
        self._refusal = DeviceRefused(f"its push could not be built ({type(fault).__name__})")

    def requests(
        self, targets: Sequence[Target], now: datetime
    ) -> Iterator[tuple[Position, Verdict]]:
        """Yield the refusal for each target."""
        del now
        for target in targets:
            yield target.position, self._refusal


@dataclass(frozen=True, slots=True)
class Builder:
    """Builds the pushes of one alert."""

    context: StreamContext
    alert_id: int
    clock: Clock

    def prepare(self, channel: Channel, content: AlertContent) -> PreparedAlert:
        """Return the alert in the provider's form, with this content, under a fresh credential.

        Raises `CredentialRefused` when none can be had.
        """
        credential = self.context.credentials.get(channel.provider, self.clock.now())
        form = channel.alert_form
        if form is None or (form.credential, form.content) != (credential, content):
            pushes = self._pushes(channel, content, credential)
            return channel.prepare(PreparedAlert(pushes, credential, content))
        return form

    def _pushes(self, channel: Channel, content: AlertContent, credential: Credential) -> Pushes:
        try:
            return channel.provider.pushes(content, credential)
        except Exception as error:  # noqa: BLE001 - whatever it was, the other providers go on
            self._log_fault(channel, error)
            return Unbuildable(error)

    def build(
        self, channel: Channel, batch: LeasedBatch, pushes: Pushes, targets: Sequence[Target]
    ) -> Iterator[Item]:
        """Build a batch's pushes; where that raises, halve the rest until the fault is alone.

        It may be a malformed row or a fault of the provider's file: no other device of the batch
        waits for it.
        """
        groups, refusals = [targets], list[Item]()
        while groups:
            group = groups.pop()
            try:
                yield from pushes.requests(group, self.clock.now())
            except Exception as error:  # noqa: BLE001 - whatever it was, the others are sent
                rest = batch.unsent(group)
                middle = len(rest) // 2
                if middle:
                    groups += [rest[middle:], rest[:middle]]
                else:
                    refusals += Unbuildable(error).requests(rest, self.clock.now())
                if group is targets:
                    self._log_fault(channel, error)
        yield from refusals

    def _log_fault(self, channel: Channel, fault: Exception) -> None:
        """Log where a fault of ours is, once a batch, without its words."""
        *_, (frame, line) = walk_tb(fault.__traceback__)
        log.error(
            "push not built",
            alert=self.alert_id,
            provider=channel.name,
            error=type(fault).__name__,
            where=f"{frame.f_globals.get('__name__')}:{line}",
        )
