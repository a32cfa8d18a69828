"""Scheduled alerts whose time has come: which start, which wait for their page, which never do."""

import threading
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from sqlalchemy import text
from structlog.testing import capture_logs

from service.api.alert_shapes import show_alert
from service.store.alerts import alerts
from service.store.session import transaction
from tests import builders as a
from tests.workers.stages import Context, Settings
from workers import sweep

SECOND = timedelta(seconds=1)


class Site(ThreadingHTTPServer):
    """Where the stories' pages are asked for; `status` is what each of them answers."""

    def __init__(self):
        self.status = 200
        self.redirects = {}
        self.asked = []
        super().__init__(("127.0.0.1", 0), Page)


class Page(BaseHTTPRequestHandler):
    def do_GET(self):
        self.server.asked.append(self.path)
        target = self.server.redirects.get(self.path)
        self.send_response(self.server.status if target is None else 301)
        if target is not None:
            self.send_header("Location", target)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        """Say nothing."""


@pytest.fixture
def site():
    with Site() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def process(engine, site):
    return Context(engine, Settings(page_origin=f"http://127.0.0.1:{site.server_port}"))


def schedule(engine, **of_story):
    """Put away an alert that was due a second ago; returns its id and its story's page."""
    now = datetime.now(UTC)
    with transaction(engine) as session:
        story = a.a_story(session, **of_story)
        alert = a.an_alert(session, story, state="scheduled", send_at=now - SECOND)
        return alert.id, f"/stories/{story.slug}"


def told(engine, alert_id):
    with transaction(engine) as session:
        return session.execute(
            text(
                "SELECT state, stop_reason, wait_reason, page_refusals, "
                "page_due_at - now() AS wait FROM alert WHERE id = :a"
            ),
            {"a": alert_id},
        ).one()


def pass_five_seconds(engine):
    with transaction(engine) as session:
        session.execute(text("UPDATE alert SET page_due_at = page_due_at - interval '5 s'"))


def test_an_alert_whose_page_answers_is_planned(engine, process, site):
    alert_id, page = schedule(engine)
    sweep._start_due(process)
    assert told(engine, alert_id).state == "planning"
    assert site.asked == [page]
    assert len(process.messages) == 1


@pytest.mark.parametrize("status", [301, 404, 500, 503])
def test_an_alert_whose_page_does_not_answer_200_waits_and_is_asked_again(
    engine, process, site, status
):
    alert_id, page = schedule(engine)
    site.status = status
    sweep._start_due(process)
    sweep._start_due(process)
    waiting = told(engine, alert_id)
    assert waiting.state == "scheduled"
    assert timedelta() < waiting.wait <= 5 * SECOND
    assert site.asked == [page], "asked again before five seconds had passed"
    site.status = 200
    pass_five_seconds(engine)
    sweep._start_due(process)
    assert told(engine, alert_id).state == "planning"


@pytest.mark.parametrize(
    ("of_story", "word"),
    [
        ({"state": "draft"}, "draft"),
        ({"state": "retracted"}, "retracted"),
        ({"expires_at": a.NOON}, "expired"),
    ],
)
def test_an_alert_whose_story_may_not_be_pushed_is_stopped_with_a_reason(
    engine, process, site, of_story, word
):
    alert_id, _ = schedule(engine, **of_story)
    sweep._start_due(process)
    stopped = told(engine, alert_id)
    assert stopped.state == "stopped"
    assert word in stopped.stop_reason
    assert not site.asked
    assert not process.messages


def test_an_alert_waits_for_an_embargo_that_was_put_off(engine, process, site):
    """A cache may still hold the page: the embargo counts."""
    alert_id, _ = schedule(engine, embargo_until=datetime.now(UTC) + timedelta(hours=1))
    sweep._start_due(process)
    assert told(engine, alert_id).state == "scheduled"
    with transaction(engine) as session:
        session.execute(text("UPDATE story SET embargo_until = now()"))
    pass_five_seconds(engine)
    sweep._start_due(process)
    assert told(engine, alert_id).state == "planning"


def test_a_page_that_never_answers_ends_in_an_expired_alert(engine, process, site):
    alert_id, _ = schedule(engine)
    site.status = 404
    sweep._start_due(process)
    with transaction(engine) as session:
        session.execute(text("UPDATE alert SET expires_at = now()"))
    sweep._expire(process)
    assert told(engine, alert_id).state == "expired"
    pass_five_seconds(engine)
    site.status = 200
    sweep._start_due(process)
    assert told(engine, alert_id).state == "expired"
    assert "404" in told(engine, alert_id).stop_reason


@pytest.mark.parametrize(
    "target", ["/stories/its-new-name", "http://{site}/stories/x", "{page}/"], ids=str
)
def test_a_redirect_within_the_own_site_is_followed(engine, process, site, target):
    alert_id, page = schedule(engine)
    site.redirects[page] = target.format(site=f"127.0.0.1:{site.server_port}", page=page)
    sweep._start_due(process)
    assert told(engine, alert_id).state == "planning"


@pytest.mark.parametrize(
    ("target", "word"),
    [
        ("https://elsewhere.example/stories/x", "elsewhere.example"),
        ("/login?next=/stories/x", "/login"),
        ("{page}", "more than"),
    ],
)
def test_a_redirect_that_ends_at_no_story_is_a_refusal(engine, process, site, target, word):
    alert_id, page = schedule(engine)
    site.redirects[page] = target.format(page=page)
    sweep._start_due(process)
    waiting = told(engine, alert_id)
    assert waiting.state == "scheduled"
    assert word in waiting.wait_reason


def test_the_reason_of_a_wait_is_kept_warned_of_once_and_cleared_at_the_start(
    engine, process, site
):
    alert_id, _ = schedule(engine)
    site.status = 401
    warnings = []
    for _ in range(4):
        with capture_logs() as entries:
            sweep._start_due(process)
        warnings.append([entry["reason"] for entry in entries if entry["log_level"] == "warning"])
        pass_five_seconds(engine)
    assert [len(each) for each in warnings] == [0, 1, 0, 0]
    assert "password (401)" in warnings[1][0]
    with transaction(engine) as session:
        report = alerts.report(session, alert_id)
    shown = show_alert(report, "https://news.example").model_dump()
    assert shown["wait_reason"] == warnings[1][0]
    assert "stop_reason" not in shown
    site.status = 200
    sweep._start_due(process)
    started = told(engine, alert_id)
    assert (started.state, started.wait_reason, started.page_refusals) == ("planning", None, 0)
