"""Alarms reach the webhooks and mailboxes of the settings: once, with their end, bounded."""

import json
import threading
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from sqlalchemy import text

from service.actions.operations import alarm_channels, alarm_watch
from service.actions.operations.alarm_channels import payload
from service.domain.delivery import State
from service.settings import Settings
from service.store.operations import holds
from service.store.session import transaction
from tests.builders import a_batch, a_story, an_alert


class NoBroker:
    def send(self, _):
        raise AssertionError("an alarm sends no message to the workers")


@pytest.fixture
def webhook():
    """A server that keeps what it is sent, and answers with the status of its path."""
    texts = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            texts.append(json.loads(body)["text"])
            self.send_response(int(self.path.strip("/")))
            self.send_header("Location", "http://127.0.0.1:1/")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_):
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}", texts
    server.shutdown()


@pytest.fixture
def look(engine, settings, webhook):
    def look(later=timedelta(0), status=200, **changes):
        address = f"{webhook[0]}/{status}"
        config = settings.model_copy(update={"alarm_urls": (address,)} | changes)
        with transaction(engine) as session:
            values = {"later": later}
            session.execute(text("UPDATE alarm SET began_at = began_at - :later"), values)
            session.execute(text("UPDATE alarm SET away_since = away_since - :later"), values)
        alarm_watch.look(engine, NoBroker(), config)
        return config

    return look


MINUTE = timedelta(minutes=1)


def test_a_hold_is_reported_once_and_its_release_once(engine, look, webhook):
    with transaction(engine) as session:
        holds.hold(session, "apns", "Apple answers 403 InvalidProviderToken", holds.WORKER)
    for _ in range(3):
        look(MINUTE)
    texts = [line for line in webhook[1] if "iPhone and iPad" in line]
    assert len(texts) == 1
    assert "is held, 0 wait: Apple answers 403 InvalidProviderToken." in texts[0]
    with transaction(engine) as session:
        holds.release(session, "apns")
    for _ in range(3):
        look(2 * MINUTE)
    [over] = [line for line in webhook[1] if "Over: iPhone and iPad is held" in line]
    assert over


def test_what_no_channel_took_is_sent_again_and_a_redirect_is_not_followed(engine, look, webhook):
    with transaction(engine) as session:
        holds.hold(session, "fcm", "Google answers 401", holds.WORKER)
    look(MINUTE)
    look(MINUTE, status=500)
    look(MINUTE, status=302)
    look(MINUTE)
    look(MINUTE)
    assert len([line for line in webhook[1] if "Android is held" in line]) == 3


def test_the_newsroom_is_told_once_what_went_out_and_an_alert_that_missed_is_an_alarm(
    engine, look, webhook, session
):
    alert = an_alert(session, a_story(session), state="finished", title="Ceasefire")
    a_batch(session, alert, [State.ACCEPTED] * 10 + [State.EXPIRED] * 30, provider="fcm")
    session.execute(text("UPDATE alert SET finished_at = now(), settled = true"))
    session.commit()
    desk = (f"{webhook[0]}/200",)
    for _ in range(3):
        look(MINUTE, desk_urls=desk)
    notes = [line for line in webhook[1] if line.startswith("Alert went out")]
    assert notes == ["Alert went out: “Ceasefire”, 10 of 40 accepted in a second"]
    missed = [line for line in webhook[1] if "ended with 10 of 40 accepted" in line]
    assert len(missed) == 1


def test_teams_gets_a_card_and_the_others_a_text():
    assert payload("https://hooks.slack.com/services/T/B/x", "Down") == {"text": "Down"}
    card = payload("https://prod-1.westeurope.logic.azure.com/workflows/x", "Down")
    assert card["attachments"][0]["content"]["body"][0]["text"] == "Down"


@pytest.mark.parametrize(
    "values",
    [
        {"alarm_urls": "ftp://host/x"},
        {"alarm_urls": ",".join(f"https://h{n}.example/" for n in range(11))},
        {"smtp_url": "mail.example"},
        {"alarm_emails": "nobody"},
    ],
)
def test_an_address_that_cannot_work_stops_the_start(settings, values):
    with pytest.raises(ValueError, match=r"give|at most"):
        Settings(_env_file=None, **(settings.model_dump(include=REQUIRED) | values))


REQUIRED = {"database_url", "redis_url", "secret_key"}


def test_no_line_of_an_alarm_becomes_a_header_of_its_mail(settings, monkeypatch):
    mails = []

    class Server:
        def __init__(self, *_, **__):
            pass

        def __enter__(self):
            return self

        def __exit__(self, *_):
            pass

        def send_message(self, mail):
            mails.append(mail.as_string())

    monkeypatch.setattr(alarm_channels.smtplib, "SMTP", Server)
    change = {"smtp_url": "smtp://mail.example", "alarm_emails": ("ann@news.example",)}
    [result] = alarm_channels.send_alarm(
        settings.model_copy(update=change),
        "apns\r\nBcc: x@evil.example",
        ".\r\nBcc: y@evil.example",
    )
    assert result.fault is None
    head, _, body = mails[0].partition("\n\n")
    assert "Bcc" not in [line.split(":")[0] for line in head.splitlines()]
    assert "Bcc: y@evil.example" in body
