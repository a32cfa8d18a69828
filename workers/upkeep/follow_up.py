"""Asking what became of pushes that were accepted only with a ticket (Expo's receipts)."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import structlog
from sqlmodel import Session

from service.domain.delivery import effects_of
from service.domain.verdict import TryLater, Verdict
from service.store.deliveries import follow_ups
from service.store.deliveries.follow_ups import Ticket
from service.store.operations import holds
from service.store.readers import devices
from service.store.session import database_now, transaction
from workers.context import WorkerContext
from workers.delivery.effects import Outcome, apply
from workers.provider import CredentialRefused, GivesTickets, Provider

log = structlog.get_logger()

ASK_AGAIN_S = 300.0
REQUESTS_A_PASS = 10


def ask_receipts(context: WorkerContext) -> None:
    """Ask each provider that gives tickets about those that are due, and apply the answers."""
    for provider in context.providers.values():
        if isinstance(provider, GivesTickets):
            for _ in range(REQUESTS_A_PASS):
                if not _ask_once(context, provider, provider):
                    break


def _ask_once(context: WorkerContext, provider: Provider, tickets_of: GivesTickets) -> bool:
    """Send one request for receipts; False if no ticket is left or no answer came."""
    at_once = tickets_of.follow_ups_at_once
    with transaction(context.engine) as session:
        now = database_now(session)
        due = follow_ups.take_due(session, provider.name, at_once, ASK_AGAIN_S)
    if not due:
        return False
    tickets = [each.ticket for each in due]
    try:
        credential = context.credentials.get(provider, now)
    except CredentialRefused:
        return False
    [(_, answer)] = list(
        context.gateway.send(provider.name, [tickets_of.follow_ups(tickets, credential)])
    )
    _apply_answer(context, provider, due, tickets_of.read_follow_ups(answer, tickets))
    return answer.failure is None and len(due) == at_once


def _apply_answer(
    context: WorkerContext,
    provider: Provider,
    due: Sequence[Ticket],
    verdicts: Sequence[Verdict],
) -> None:
    dead: list[tuple[int, datetime]] = []
    answers = []
    with transaction(context.engine) as session:
        for ticket, verdict in zip(due, verdicts, strict=True):
            if isinstance(verdict, TryLater):
                continue
            answers.append(ticket.ticket)
            outcome = TicketOutcome(session, provider.name, ticket.device_id, dead)
            apply(effects_of(verdict, ticket.kept_at), outcome)
        devices.forget(session, dead, f"{provider.name} said later that it is gone")
        follow_ups.forget(session, provider.name, answers)
    log.info("follow-ups", provider=provider.name, answered=len(answers), gone=len(dead))


@dataclass(slots=True)
class TicketOutcome(Outcome):
    """What effects do where an acceptance was only a ticket: the push itself is long over."""

    session: Session
    provider: str
    device_id: int
    dead_devices: list[tuple[int, datetime]]

    def forget_device(self, since: datetime) -> None:
        """Note the dead device."""
        self.dead_devices.append((self.device_id, since))

    def mint_credential(self, why: str) -> None:
        """Hold the provider: the credential that pushed it was accepted at the time."""
        self.hold_provider(why)

    def hold_provider(self, why: str) -> None:
        """Hold the provider for every alert."""
        holds.hold(self.session, self.provider, why, holds.WORKER)
