"""The tree of topics, for admins: add, label, move, merge."""

from typing import Annotated

from fastapi import APIRouter, Form, Request, Response
from fastapi.responses import RedirectResponse

from service.domain import topic as paths
from service.domain.errors import Invalid, Refusal
from service.http.dependencies import Cursor, WorkDep
from service.store.staff import audit
from service.store.stories import topic_moves, topics
from service.unit_of_work import UnitOfWork
from service.web import form_guards
from service.web.rendering import PRIVATE, query_string, render
from service.web.visitors import Admin, AdminActing

router = APIRouter(prefix="/control/topics")
PER_PAGE = 200
LONGEST_LABEL = 200
_Line = Annotated[str, Form(max_length=400)]


@router.get("")
def show(request: Request, work: WorkDep, _: Admin, cursor: Cursor = None) -> Response:
    """Show the tree."""
    return _show(request, work, cursor)


def _show(
    request: Request, work: UnitOfWork, cursor: str | None = None, fault: str = ""
) -> Response:
    found = topics.page(work.session, cursor, PER_PAGE)
    return render(
        request,
        "control_topics.html",
        status=422 if fault else 200,
        topics=found.items,
        fault=fault,
        next=query_string(cursor=found.next),
    )


@router.post("")
def save(
    request: Request, work: WorkDep, caller: AdminActing, path: _Line, label: _Line = ""
) -> Response:
    """Add a topic, or give one its label."""
    words = " ".join(label.split())[:LONGEST_LABEL]
    try:
        spelt = paths.parse_path(path, "path")
    except Invalid as fault:
        return _show(request, work, fault=fault.detail)
    topics.ensure(work.session, [spelt])
    if words:
        topics.label(work.session, spelt, words)
    audit.write(work.session, caller.name, "label", f"topic:{spelt}", label=words, by=caller.label)
    return _done(request, f"{spelt} is saved.")


@router.post("/move")
def move(
    request: Request,
    work: WorkDep,
    caller: AdminActing,
    source: Annotated[str, Form(alias="from", max_length=400)],
    target: Annotated[str, Form(alias="to", max_length=400)],
) -> Response:
    """Move a topic and all below it, or make it one with another."""
    try:
        with work.session.begin_nested():
            moved = topic_moves.move(work.session, source, target)
    except Refusal as fault:
        return _show(request, work, fault=fault.detail)
    audit.write(work.session, caller.name, "move", f"topic:{source}", to=target, by=caller.label)
    return _done(request, f"{moved} {'topic is' if moved == 1 else 'topics are'} at {target} now.")


def _done(request: Request, sentence: str) -> Response:
    answer = RedirectResponse("/control/topics", 303, headers={"Cache-Control": PRIVATE})
    form_guards.say(request, answer, sentence)
    return answer
