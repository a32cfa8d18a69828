"""Pause all sending and resume it, from a shell: also while the site is away."""

from typing import Annotated

import typer

from service.actions import pauses
from service.commands import store_access
from service.commands.output import say
from service.commands.settings import read_settings
from service.domain.people import Caller
from service.outbox import CeleryBroker
from service.unit_of_work import unit_of_work

CALLER = Caller(store_access.WHO, store_access.WHO, frozenset())


def pause(
    reason: Annotated[str, typer.Option(help="Why, for those who read it later.")],
) -> None:
    """Pause all sending: alerts are accepted, and no push leaves until `newszop resume`."""
    with store_access.store() as engine:
        broker = CeleryBroker(read_settings().broker)
        with unit_of_work(engine, broker) as work:
            pauses.pause(work, reason, CALLER)
    say("All sending is paused.")


def resume() -> None:
    """Let pushes leave again; what waited goes on at once."""
    with store_access.store() as engine:
        broker = CeleryBroker(read_settings().broker)
        with unit_of_work(engine, broker) as work:
            was_paused = pauses.resume(work, CALLER)
    say("Pushes leave again." if was_paused else "Nothing was paused.")
