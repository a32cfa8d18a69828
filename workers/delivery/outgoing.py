"""An alert and its story, as providers need them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from sqlmodel import Session

from service.domain.alert import Kind, Words
from service.domain.languages.digest_words import MissedAlert, digest_words
from service.domain.media.pictures import whole_address
from service.domain.subscription import Urgency
from service.store.alerts.sending import alert_to_send
from workers.delivery.leased_batch import LeasedBatch
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
    second_words: Words | None = None

    def content_for(self, batch: LeasedBatch) -> AlertContent:
        """Return what the pushes of a batch say: with its deadline, and with its headline."""
        content = replace(self.content, expires_at=batch.deadline)
        if not batch.claim.headline or self.second_words is None:
            return content
        return replace(content, words={**content.words, "": self.second_words})


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
        second_words=alert.second_words,
    )


def digest_content(content: AlertContent, missed: Sequence[MissedAlert]) -> AlertContent:
    """Return what a digest says to readers who missed these alerts, of which there is one."""
    return replace(content, words=digest_words(missed), language=missed[0].language)
