"""The tree of topics, for admins: add, label, move, merge."""

from typing import Annotated

from fastapi import Form, Request, Response

from service.domain import topic as topic_paths
from service.domain.errors import Invalid, Refusal
from service.http.api_document import Router
from service.http.dependencies import Cursor, WorkDep
from service.store.staff import audit
from service.store.stories import topic_moves, topics
from service.unit_of_work import UnitOfWork
from service.web.rendering import query_string, redirect, render
from service.web.visitors import Admin, AdminActing

router = Router(prefix="/control/topics", in_document=False)
PER_PAGE = 200
MAX_LABEL = 200
_Line = Annotated[str, Form(max_length=400)]


@router.get("")
def show(request: Request, work: WorkDep, _: Admin, cursor: Cursor = None) -> Response:
    """Show the tree."""
    return _show(request, work, cursor)


def _show(
    request: Request, work: UnitOfWork, cursor: str | None = None, fault: str = ""
) -> Response:
    page = topics.page(work.session, cursor, PER_PAGE)
    return render(
        request,
        "control_topics.html",
        status=422 if fault else 200,
        topics=page.items,
        fault=fault,
        next=query_string(cursor=page.next),
    )


@router.post("")
def save(
    request: Request, work: WorkDep, caller: AdminActing, path: _Line, label: _Line = ""
) -> Response:
    """Add a topic, or change its label."""
    text = " ".join(label.split())[:MAX_LABEL]
    try:
        topic = topic_paths.parse_path(path, "path")
    except Invalid as fault:
        return _show(request, work, fault=fault.detail)
    topics.ensure(work.session, [topic])
    if text:
        topics.label(work.session, topic, text)
    audit.write(work.session, caller.name, "label", f"topic:{topic}", label=text, by=caller.label)
    return _done(request, f"{topic} is saved.")


@router.post("/move")
def move(
    request: Request,
    work: WorkDep,
    caller: AdminActing,
    source: Annotated[str, Form(alias="from", max_length=400)],
    target: Annotated[str, Form(alias="to", max_length=400)],
) -> Response:
    """Move a topic with everything below it, or merge it into another."""
    try:
        with work.session.begin_nested():
            count = topic_moves.move(work.session, source, target)
    except Refusal as fault:
        return _show(request, work, fault=fault.detail)
    audit.write(work.session, caller.name, "move", f"topic:{source}", to=target, by=caller.label)
    return _done(request, f"{count} {'topic is' if count == 1 else 'topics are'} at {target} now.")


def _done(request: Request, sentence: str) -> Response:
    return redirect(request, "/control/topics", sentence)
