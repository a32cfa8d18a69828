"""What admins do with all sending at once: pause it, and let it go on."""

from service import outbox
from service.actions.providers import clean_reason
from service.domain.people import Caller
from service.store.operations import holds, pauses
from service.store.staff import audit
from service.unit_of_work import UnitOfWork


def pause(work: UnitOfWork, reason: str, caller: Caller) -> None:
    """Let no push leave until somebody resumes; alerts are still accepted, and wait."""
    words = clean_reason(reason)
    holder = caller.name if caller.label == holds.WORKER else caller.label
    pauses.pause(work.session, words, holder)
    audit.write(work.session, caller.name, "pause", "sending", reason=words, by=caller.label)


def resume(work: UnitOfWork, caller: Caller) -> bool:
    """Let pushes leave again; False when nothing was paused."""
    alerts = pauses.resume(work.session)
    if alerts is None:
        return False
    for alert_id, queue in alerts:
        work.outbox.add(outbox.deliver(alert_id, queue))
    audit.write(work.session, caller.name, "resume", "sending", by=caller.label)
    return True
