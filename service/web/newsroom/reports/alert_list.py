"""The history of alerts: a list with search and filters."""

from datetime import date
from enum import StrEnum
from typing import Annotated, TypeVar

from fastapi import Query, Request, Response
from pydantic import BaseModel, Field

from service.domain.alert import AlertState
from service.domain.errors import Invalid
from service.domain.subscription import Urgency
from service.http.api_document import Router
from service.http.dependencies import ReportDep
from service.store.alerts import alert_history, similar_alerts
from service.store.alerts.alert_history import HistoryFilter
from service.store.stories import stories, topics
from service.web.rendering import query_string, render
from service.web.visitors import Editor

router = Router(prefix="/desk/alerts", in_document=False)
PER_PAGE = 25
MOST_TOPICS = 500
Choice = TypeVar("Choice", bound=StrEnum)


class HistoryForm(BaseModel):
    """The filters as the page's form has them."""

    q: Annotated[str, Field(max_length=200)] = ""
    topic: Annotated[str, Field(max_length=500)] = ""
    editor: Annotated[str, Field(max_length=400)] = ""
    urgency: Annotated[str, Field(max_length=20)] = ""
    state: Annotated[str, Field(max_length=20)] = ""
    first: Annotated[str, Field(max_length=10)] = ""
    last: Annotated[str, Field(max_length=10)] = ""
    cursor: Annotated[str, Field(max_length=1000)] = ""

    def to_filter(self) -> HistoryFilter:
        """Return the filter that the store understands; raises `Invalid`."""
        return HistoryFilter(
            words=_text(self.q),
            topic=_text(self.topic),
            editor=_text(self.editor),
            urgency=_choice(Urgency, self.urgency, "urgency"),
            state=_choice(AlertState, self.state, "state"),
            first_day=_day(self.first, "first"),
            last_day=_day(self.last, "last"),
        )


@router.get("")
def list_alerts(
    request: Request,
    work: ReportDep,
    _: Editor,
    form: Annotated[HistoryForm, Query()],
) -> Response:
    """List the alerts that match, the newest first."""
    fault = ""
    try:
        query = form.to_filter()
    except Invalid as refusal:
        fault, query = refusal.detail, HistoryFilter()
    page = alert_history.history_page(work.session, query, form.cursor or None, PER_PAGE)
    fields = form.model_dump(exclude={"cursor"})
    return render(
        request,
        "alerts.html",
        reports=page.items,
        stories=stories.many(work.session, {one.alert.story_id for one in page.items}),
        form=form,
        form_query=query_string(**fields),
        is_filtered=any(fields.values()),
        is_narrowed=any(value for name, value in fields.items() if name != "q"),
        fault=fault,
        topic_choices=[
            (topic.path, topic.label)
            for topic in topics.page(work.session, None, MOST_TOPICS).items
        ],
        editors=similar_alerts.list_editors(work.session),
        states=tuple(AlertState),
        next=query_string(**fields, cursor=page.next) if page.next else "",
    )


def _text(value: str) -> str:
    """Return what was typed without the NUL that Postgres cannot compare with."""
    return value.replace("\0", "").strip()


def _choice(choices: type[Choice], text: str, field: str) -> Choice | None:
    if not text:
        return None
    try:
        return choices(text)
    except ValueError:
        raise Invalid(field, f"There is no {field} {text!r}.") from None


def _day(text: str, field: str) -> date | None:
    if not text:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise Invalid(field, "Write a day as in 2026-11-29.") from None
