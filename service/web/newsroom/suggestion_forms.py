"""What the desk does in one press: send or dismiss a suggested alert, make a draft of a link."""

from typing import Annotated

from fastapi import Form, Path, Request, Response

from service.actions import pasted_links, source_alerts
from service.domain.errors import AlreadyAlerted, Refusal
from service.domain.subscription import Urgency
from service.http.api_document import Router
from service.http.dependencies import Id, SettingsDep, WorkDep
from service.store.stories import suggested_alerts
from service.web.newsroom.page_fetcher import page_fetcher
from service.web.rendering import redirect
from service.web.visitors import EditorActing

router = Router(prefix="/desk", in_document=False)
StoryId = Annotated[Id, Path()]


@router.post("/suggestions/{story_id}/send")
def send_suggestion(
    request: Request, work: WorkDep, settings: SettingsDep, caller: EditorActing, story_id: StoryId
) -> Response:
    """Send a suggested alert to its story's followers; a breaking one may need another editor."""
    suggestion = suggested_alerts.get(work.session, story_id)
    if suggestion is None:
        return redirect(request, "/desk", "This suggestion is gone: somebody decided on it.")
    if suggestion.urgency is Urgency.BREAKING and settings.breaking_needs_two:
        flash = "A breaking alert needs two editors: check it here and ask the second one."
        return redirect(request, f"/desk/stories/{story_id}/push", flash)
    try:
        with work.session.begin_nested():
            alert = source_alerts.send_suggested(work, story_id, caller)
    except AlreadyAlerted as conflict:
        return redirect(request, f"/desk/alerts/{conflict.first_id}", conflict.detail)
    except Refusal as refusal:
        return redirect(request, "/desk", f"Not sent: {refusal.detail}")
    return redirect(request, f"/desk/alerts/{alert.id}", "The alert is on its way.")


@router.post("/suggestions/{story_id}/dismiss")
def dismiss_suggestion(
    request: Request, work: WorkDep, caller: EditorActing, story_id: StoryId
) -> Response:
    """Take a suggested alert off the desk; its story stays."""
    source_alerts.dismiss_suggested(work, story_id, caller)
    return redirect(request, "/desk", "The suggestion is dismissed. Its story stays.")


@router.post("/links")
def draft_link(
    request: Request,
    work: WorkDep,
    settings: SettingsDep,
    caller: EditorActing,
    address: Annotated[str, Form(max_length=2048)],
) -> Response:
    """Make a draft of the page at an address."""
    try:
        with work.session.begin_nested():
            story = pasted_links.draft_page(work, page_fetcher(settings), address, caller)
    except Refusal as refusal:
        return redirect(request, "/desk", f"No draft was made: {refusal.detail}")
    flash = "A draft of the page. Check it, and who may use its text and picture."
    return redirect(request, f"/desk/stories/{story.id}", flash)
