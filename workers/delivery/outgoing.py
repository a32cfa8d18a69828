"""An alert and its story, as providers need them."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import text
from sqlmodel import Session

from service.domain.alert import Kind, Words
from service.domain.subscription import Urgency
from service.settings import Settings
from workers.provider import AlertContent

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


_READ = """
SELECT a.id, a.story_id, a.kind, a.title, a.body, a.locales, a.urgency, a.collapse_key,
    a.expires_at, coalesce(a.send_at, a.created_at) AS due_at, a.dry_run, a.rejected_by,
    s.slug, s.image_url, s.language, s.headline, s.summary
FROM alert a JOIN story s ON s.id = a.story_id
WHERE a.id = :a AND a.state IN ('planning', 'sending') AND a.started_at IS NOT NULL
"""


def outgoing(session: Session, settings: Settings, alert_id: int) -> Outgoing | None:
    """Return a running alert in the form that leaves us; None when it is not running."""
    row = session.execute(text(_READ), {"a": alert_id}).one_or_none()
    if row is None:
        return None
    default = Words(row.title or row.headline, row.body if row.body is not None else row.summary)
    content = AlertContent(
        alert_id=str(row.id),
        story_id=str(row.story_id),
        words={"": default} | _words(row.locales),
        language=row.language,
        url=f"{settings.public_url}/stories/{row.slug}",
        image_url=row.image_url,
        icon_url=settings.public_url + ICON,
        urgency=Urgency.of_rank(row.urgency),
        collapse_key=row.collapse_key,
        expires_at=row.expires_at,
        silent=row.kind == Kind.WITHDRAWAL,
    )
    return Outgoing(
        content=content,
        urgency=content.urgency,
        due_at=row.due_at,
        expires_at=row.expires_at,
        dry_run=row.dry_run,
        rejected_by=frozenset(row.rejected_by),
    )


def _words(locales: Mapping[str, Mapping[str, str]]) -> dict[str, Words]:
    return {tag: Words(words["title"], words["body"]) for tag, words in locales.items()}
