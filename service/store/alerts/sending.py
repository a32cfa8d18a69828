"""What a sending process reads of a running alert and its story."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import text
from sqlmodel import Session

from service.domain.alert import Kind, Words
from service.domain.headlines.headline_test import HeadlineTest
from service.domain.subscription import Urgency
from service.store.sql_fragments import alert_runs, due_at, may_go_on


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertToSend:
    """A running alert with the words it leaves with, and what its story adds.

    `locales` are its translations, without `words`, which are in the story's `language`.
    `second_words` are those of its second headline.
    """

    id: int
    story_id: int
    kind: Kind
    words: Words
    locales: Mapping[str, Words]
    language: str
    slug: str
    image_url: str | None
    urgency: Urgency
    collapse_key: str
    due_at: datetime
    expires_at: datetime
    dry_run: bool
    rejected_by: frozenset[str]
    second_words: Words | None


def second_words(test: HeadlineTest | None, first: Words) -> Words | None:
    """Return what the second headline says; None where there is one."""
    if test is None:
        return None
    return Words(test.title, first.body if test.body is None else test.body)


_ALERT_TO_SEND = f"""
SELECT a.id, a.story_id, a.kind, a.title, a.body, a.locales, a.urgency, a.collapse_key,
    a.expires_at, {due_at("a")} AS due_at, a.dry_run, a.rejected_by,
    a.headline_test,
    s.slug, s.image_url, s.language, s.headline, s.summary
FROM alert a JOIN story s ON s.id = a.story_id
WHERE a.id = :alert_id AND {alert_runs("a")} AND a.started_at IS NOT NULL
    AND {may_go_on("a")}
"""


def alert_to_send(session: Session, alert_id: int) -> AlertToSend | None:
    """Return an alert that is planned and runs; None when it is not or no longer."""
    row = session.execute(text(_ALERT_TO_SEND), {"alert_id": alert_id}).one_or_none()
    if row is None:
        return None
    words = Words(row.title or row.headline, row.body if row.body is not None else row.summary)
    return AlertToSend(
        id=row.id,
        story_id=row.story_id,
        kind=Kind(row.kind),
        words=words,
        locales={tag: Words(words["title"], words["body"]) for tag, words in row.locales.items()},
        language=row.language,
        slug=row.slug,
        image_url=row.image_url,
        urgency=Urgency.of_rank(row.urgency),
        collapse_key=row.collapse_key,
        due_at=row.due_at,
        expires_at=row.expires_at,
        dry_run=row.dry_run,
        rejected_by=frozenset(row.rejected_by),
        second_words=second_words(HeadlineTest.of_json(row.headline_test), words),
    )
