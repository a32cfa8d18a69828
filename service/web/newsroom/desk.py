"""The desk: every story with its state and its last alert."""

from typing import Annotated

from fastapi import Query, Request, Response

from service.domain.story import StoryState
from service.http.api_document import Router
from service.http.dependencies import Cursor, WorkDep
from service.store.alerts import confirmations, story_alerts
from service.store.stories import stories, suggested_alerts
from service.web import lookups
from service.web.rendering import query_string, render
from service.web.visitors import Editor

router = Router(prefix="/desk", in_document=False)
PER_PAGE = 30
FILTERS = (
    ("", "All"),
    ("draft", "Drafts"),
    ("published", "Published"),
    ("retracted", "Retracted"),
)
_STATES = {
    "draft": (StoryState.DRAFT,),
    "published": (StoryState.PUBLISHED, StoryState.CORRECTED),
    "retracted": (StoryState.RETRACTED,),
}


@router.get("")
def show(
    request: Request,
    work: WorkDep,
    staff: Editor,  # noqa: ARG001 - only staff may see the page
    state: str = "",
    q: Annotated[str, Query(max_length=200)] = "",
    cursor: Cursor = None,
) -> Response:
    """List the stories, the last changed first."""
    states = _STATES.get(state, tuple(StoryState))
    page = stories.page(work.session, cursor, PER_PAGE, states=states, words=q)
    items = page.items
    if q and not items and cursor is None:
        items = stories.similar(work.session, q, limit=PER_PAGE, states=states)
    state_filter = state if state in _STATES else ""
    return render(
        request,
        "desk.html",
        stories=items,
        is_exact=bool(page.items),
        alerts=story_alerts.last_alerts(work.session, [story.id for story in items]),
        labels=lookups.story_labels(work.session, items),
        requests=confirmations.waiting(work.session),
        suggestions=suggested_alerts.waiting(work.session),
        filters=FILTERS,
        state_filter=state_filter,
        q=q,
        next=query_string(state=state_filter, q=q, cursor=page.next) if page.next else "",
    )
