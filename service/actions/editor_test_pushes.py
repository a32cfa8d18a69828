"""Test pushes: an editor sees an alert on their own devices before any reader does.

A member of staff ties their account to their reader once. A test is then a normal alert whose
audience is that one reader.
"""

from collections.abc import Sequence

from service import outbox
from service.actions.apps.app_administration import providers_in_use
from service.domain.alert import Alert, Draft, Words
from service.domain.device import Device
from service.domain.drafts.draft_checks import check_draft
from service.domain.errors import Conflict, require
from service.domain.new_alerts import Origin, new_test
from service.domain.people import Caller, Staff
from service.store.alerts import alerts
from service.store.readers import devices, readers
from service.store.schema import new_id
from service.store.staff import accounts, audit
from service.store.stories import stories
from service.unit_of_work import UnitOfWork


def tie(work: UnitOfWork, staff: Staff, reader_id: int, caller: Caller) -> None:
    """Send the tests of this member of staff to the devices of that reader from now on."""
    require(readers.lock(work.session, reader_id), "reader")
    accounts.tie(work.session, staff.id, reader_id)
    audit.write(work.session, caller.name, "tie devices", caller.name, by=caller.label)


def untie(work: UnitOfWork, staff: Staff, caller: Caller) -> None:
    """Stop sending tests to this member of staff."""
    accounts.tie(work.session, staff.id, None)
    audit.write(work.session, caller.name, "untie devices", caller.name, by=caller.label)


def devices_of(work: UnitOfWork, staff: Staff, providers: Sequence[str]) -> list[Device]:
    """Return the devices that a test would reach now, the last registered first."""
    if staff.reader_id is None:
        return []
    live_devices = devices.live(work.session, staff.reader_id)
    in_use = providers_in_use(work, providers)
    return [device for device in live_devices if device.provider in in_use]


def send_test(
    work: UnitOfWork,
    story_id: int,
    draft: Draft,
    staff: Staff,
    caller: Caller,
    providers: Sequence[str],
) -> Alert:
    """Send these words, at this urgency, to the sender's own devices: at once, and briefly.

    The story may be a draft, or have had its alert: a test does not count as one. The draft's
    audience, times and TTL are ignored.
    """
    draft = check_draft(draft, work.now)
    story = require(stories.get(work.session, story_id), "story")
    if not devices_of(work, staff, providers):
        raise Conflict("None of your devices is known yet.")
    origin = Origin(
        alert_id=new_id(), story_id=story.id, created_by=caller.label, created_at=work.now
    )
    story_words = Words(story.text.headline, story.text.summary)
    alert = new_test(origin, draft, story_words, staff.reader_id)
    alerts.add(work.session, alert)
    work.outbox.add(outbox.plan_alert(alert.id, alert.queue))
    audit.write(
        work.session,
        caller.name,
        "send test",
        f"alert:{alert.id}",
        story=str(story.id),
        urgency=alert.urgency.value,
    )
    return alert
