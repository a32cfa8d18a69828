"""Asking what became of pushes whose yes was only a ticket (Expo's receipts)."""

from collections.abc import Sequence

import structlog

from service.domain.verdict import DeviceGone, SenderRejected, TryLater, Verdict
from service.store.deliveries import follow_ups
from service.store.deliveries.follow_ups import Ticket
from service.store.operations import holds
from service.store.readers import devices
from service.store.session import database_now, transaction
from workers.context import Process
from workers.provider import CredentialRefused, GivesTickets, Provider

log = structlog.get_logger()

AGAIN_S = 300.0
REQUESTS_A_PASS = 10


def ask(process: Process) -> None:
    """Ask each ticketing provider about the tickets that are due, and follow the answers."""
    for provider in process.providers.values():
        if isinstance(provider, GivesTickets):
            for _ in range(REQUESTS_A_PASS):
                if not _ask_some(process, provider, provider):
                    break


def _ask_some(process: Process, provider: Provider, ticketing: GivesTickets) -> bool:
    """Ask about one request's worth; False when that was all, or no answer came."""
    with transaction(process.engine) as session:
        now = database_now(session)
        due = follow_ups.take_due(session, provider.name, ticketing.follow_ups_at_once, AGAIN_S)
    if not due:
        return False
    tickets = [each.ticket for each in due]
    try:
        credential = process.credentials.get(provider, now)
    except CredentialRefused:
        return False
    [(_, answer)] = list(
        process.gateway.send(provider.name, [ticketing.follow_ups(tickets, credential)])
    )
    _follow(process, provider, due, ticketing.read_follow_ups(answer, tickets))
    return answer.failure is None and len(due) == ticketing.follow_ups_at_once


def _follow(
    process: Process,
    provider: Provider,
    due: Sequence[Ticket],
    verdicts: Sequence[Verdict],
) -> None:
    gone = []
    answered = []
    with transaction(process.engine) as session:
        for ticket, verdict in zip(due, verdicts, strict=True):
            if isinstance(verdict, TryLater):
                continue
            answered.append(ticket.ticket)
            if isinstance(verdict, DeviceGone):
                gone.append((ticket.device_id, verdict.since or ticket.kept_at))
            elif isinstance(verdict, SenderRejected):
                holds.hold(session, provider.name, verdict.why, holds.WORKER)
        devices.forget(session, gone, f"{provider.name} said later that it is gone")
        follow_ups.done(session, provider.name, answered)
    log.info("follow-ups", provider=provider.name, answered=len(answered), gone=len(gone))
