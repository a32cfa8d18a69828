"""An alert and its story, as providers need them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from sqlmodel import Session

from service.domain.alert import Kind
from service.domain.languages.digest_words import MissedAlert, digest_words
from service.domain.media.pictures import whole_address
from service.domain.subscription import Urgency
from service.store.alerts.sending import alert_to_send
from workers.delivery.stream_context import StreamSettings
from workers.provider import AlertContent

DIGEST_PAGE = "/me/missed"
ICON = "/static/icon-192.png"


@dataclass(frozen=True, slots=True)
class Outgoing:
    """What a stream must know of its alert: its content, and how it is sent."""

    content: AlertContent
    urgency: Urgency
    due_at: datetime
    expires_at: datetime
    dry_run: bool
    rejected_by: frozenset[str]


def outgoing(session: Session, settings: StreamSettings, alert_id: int) -> Outgoing | None:
    """Return a running alert in the form that leaves us; None when it is not running."""
    alert = alert_to_send(session, alert_id)
    if alert is None:
        return None
    is_digest = alert.kind is Kind.DIGEST
    page = DIGEST_PAGE if is_digest else f"/stories/{alert.slug}"
    content = AlertContent(
        alert_id=str(alert.id),
        story_id=str(alert.story_id),
        words={"": alert.words} | dict(alert.locales),
        language=alert.language,
        url=settings.public_url + page,
        image_url=None if is_digest else whole_address(alert.image_url, settings.public_url),
        icon_url=settings.public_url + ICON,
        urgency=alert.urgency,
        collapse_key=alert.collapse_key,
        expires_at=alert.expires_at,
        silent=alert.kind is Kind.WITHDRAWAL,
    )
    return Outgoing(
        content=content,
        urgency=alert.urgency,
        due_at=alert.due_at,
        expires_at=alert.expires_at,
        dry_run=alert.dry_run,
        rejected_by=alert.rejected_by,
    )


def digest_content(content: AlertContent, missed: Sequence[MissedAlert]) -> AlertContent:
    """Return what a digest says to readers who missed these alerts, of which there is one."""
    return replace(content, words=digest_words(missed), language=missed[0].language)
