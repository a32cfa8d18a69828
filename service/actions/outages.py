"""What keeps alerts from leaving although the site works: a pause, no worker, way out or sweep."""

from sqlmodel import Session

from service.outbox import QUEUES, STRANGERS_QUEUE
from service.store.operations import gauges, heartbeats, pauses, process_leases

SILENCE_S = 20.0
"""Workers show a sign of life every five seconds, and the sweep makes a pass every second."""


def find_outages(session: Session) -> list[str]:
    """Return one sentence for each part that is silent; none when alerts can leave."""
    workers = heartbeats.alive(session, SILENCE_S)
    consumed = {queue for worker in workers for queue in worker.queues}
    orphans = [queue for queue in QUEUES if queue not in consumed]
    outages = _explain_pause(session)
    if len(orphans) == len(QUEUES):
        outages.append(f"workers: none was seen for {SILENCE_S:.0f} s; nobody can send now")
    elif orphans:
        outages.append(f"workers: none takes messages from the queue {orphans[0]}")
    if STRANGERS_QUEUE not in consumed and gauges.strangers_wait(session):
        outages.append(f"workers: none takes messages from the queue {STRANGERS_QUEUE}")
    outages += [
        f"workers: nothing leaves {worker.name}: {worker.trouble}"
        for worker in workers
        if worker.trouble
    ]
    idle_s = process_leases.idle_seconds(session, process_leases.SWEEP)
    if idle_s is None:
        outages.append("sweep: it has never made a pass")
    elif idle_s > SILENCE_S:
        outages.append(f"sweep: no pass for {idle_s:.0f} s; scheduled alerts and retries wait")
    return outages


def _explain_pause(session: Session) -> list[str]:
    pause = pauses.get(session)
    if pause is None:
        return []
    since = f"{pause.since:%d %B, %H:%M} UTC"
    return [f"pause: all sending is paused by {pause.held_by} since {since}: {pause.reason}"]
