"""The command `newszop`, on a real database and, where it calls the API, against a real service."""

import json
import os
import pty
import subprocess
import sys

import pytest
import typer.main
from sqlalchemy import text
from typer.testing import CliRunner

from service.actions.topics.topic_names import labels_in
from service.cli import app
from service.commands.output import Failed
from service.store.schema import new_id
from service.store.session import transaction
from service.store.staff import accounts
from service.store.stories import feeds, sources, topics
from service.store.stories.feeds import PollResult
from service.store.stories.sources import Source
from tests.api.feed_server import rss, running_feed_server


def commands(command=None, path=()):
    command = command or typer.main.get_command(app)
    children = getattr(command, "commands", None)
    if children is None:
        return [path]
    return [leaf for name in children for leaf in commands(children[name], (*path, name))]


@pytest.fixture
def newszop(engine, database_url, redis_url):
    """Run a command; returns what it printed, raises `Failed` as it does."""

    def run(*arguments: str, fails: bool = False, **settings: str) -> str:
        environment = {
            "DATABASE_URL": database_url,
            "REDIS_URL": redis_url,
            "NEWSZOP_SECRET_KEY": "for the tests of commands",
        }
        result = CliRunner().invoke(app, arguments, env=environment | settings)
        if fails:
            assert isinstance(result.exception, Failed), result.output
            return str(result.exception)
        assert result.exception is None, result.exception
        return result.stdout

    return run


@pytest.mark.parametrize("path", [(), *commands()], ids=" ".join)
def test_every_command_explains_itself(path):
    result = CliRunner().invoke(app, [*path, "--help"])
    assert result.exit_code == 0
    assert "Usage" in result.stdout


def test_staff_come_and_go(newszop, engine):
    from datetime import UTC, datetime  # noqa: PLC0415

    def signs_in(password: str) -> bool:
        with transaction(engine) as session:
            person = accounts.authenticate(session, "ana@example.org", password, datetime.now(UTC))
            return person is not None

    said = newszop("staff", "add", "Ana@example.org", "--role", "admin")
    first = said.split()[-1]
    assert signs_in(first)
    assert newszop("staff", "list").split("\t") == ["ana@example.org", "admin", "active\n"]
    newszop("staff", "disable", "ana@example.org")
    assert not signs_in(first)
    second = newszop("staff", "reset", "ana@example.org").split()[-1]
    assert signs_in(second)
    assert not signs_in(first)


def test_a_stranger_cannot_be_disabled(newszop):
    assert "bo@example.org" in newszop("staff", "disable", "bo@example.org", fails=True)


def test_keys_are_made_listed_and_revoked(newszop, engine):
    said = newszop("key", "add", "agency", "--scope", "stories:write")
    secret = said.split()[-1]
    with transaction(engine) as session:
        key = accounts.key_of(session, secret)
    assert key is not None
    assert key.scopes == {"stories:write"}
    table = newszop("key", "list")
    assert str(key.id) in table
    assert secret not in table
    newszop("key", "revoke", str(key.id))
    with transaction(engine) as session:
        assert accounts.key_of(session, secret) is None


def test_what_commands_do_stands_in_the_audit_trail(newszop, session):
    newszop("staff", "add", "ana@example.org")
    rows = session.execute(text("SELECT who, verb FROM audit")).all()
    assert rows == [("command line", "add")]


def test_sources_are_listed_with_their_faults(newszop, engine):
    with transaction(engine) as session:
        for name in ("harbour", "market"):
            source = Source(id=new_id(), kind="feed", name=name, signature="none")
            sources.add(session, source)
            feeds.add(session, source.id, f"http://{name}.example/feed", f"{name}.example")
        fault = PollResult(source_id=source.id, wait_s=600, failures=1, error="It answers 404.")
        feeds.save_results(session, [fault])
    lines = [line.split("\t") for line in newszop("source", "list").splitlines()]
    assert [(line[0], line[2], line[5]) for line in lines] == [
        ("harbour", "works", ""),
        ("market", "failing", "It answers 404."),
    ]


def test_a_feed_is_added_tried_and_paused(newszop, engine):
    allowed = {"NEWSZOP_FETCH_ALLOWED_HOSTS": "127.0.0.1"}
    with running_feed_server() as server:
        server.put('<link rel="alternate" type="application/rss+xml" href="/feed">', "/")
        server.put(rss(("1", "Ferry"), ("2", "Tide")))
        refused = newszop("source", "add", server.url("/"), fails=True)
        assert "no public address" in refused
        options = ("--topic", "harbour", "--drafts")
        added = newszop("source", "add", server.url("/"), *options, **allowed)
        assert added == "harbour-news is added: 2 stories came in.\n"
        again = newszop("source", "add", server.url(), fails=True, **allowed)
        assert "among the sources already" in again
        tried = newszop("source", "try", "harbour-news", **allowed)
        assert tried == "harbour-news works. Last news: 2 created.\n"
        server.put("<html>moved</html>")
        assert "a web page" in newszop("source", "try", "harbour-news", fails=True, **allowed)
    assert "no such" in newszop("source", "try", "nobody", fails=True).lower()
    with engine.connect() as connection:
        stories = connection.execute(text("SELECT DISTINCT state, topics FROM story")).all()
    assert stories == [("draft", ["harbour"])]
    assert newszop("source", "pause", "harbour-news") == "harbour-news is paused.\n"
    assert "paused" in newszop("source", "list")
    assert newszop("source", "pause", "harbour-news", "--resume") == "harbour-news goes on.\n"


def test_topics_are_imported_from_a_file(newszop, engine, tmp_path):
    uri = "http://cv.iptc.org/newscodes/mediatopic/15000000"
    file = tmp_path / "topics.json"
    labels = {"en-GB": "sport", "de": "Sport und Spiel"}
    file.write_text(json.dumps({"conceptSet": [{"uri": uri, "prefLabel": labels}]}))
    said = newszop("topics", "import", str(file))
    assert said.startswith("1 topics are new; 1 codes stand for topics, with labels in 1 more")
    with transaction(engine) as session:
        sport = topics.by_paths(session, ["sport"])["sport"]
        assert sport.label == "Sport"
        assert labels_in(session, [sport], "de")[0].label == "Sport und Spiel"
    assert newszop("topics", "import", str(file)).startswith("0 topics are new")
    file.write_text("no JSON")
    assert "\n" not in newszop("topics", "import", str(file), fails=True)
    assert "none.json" in newszop("topics", "import", str(tmp_path / "none.json"), fails=True)


def test_a_refused_app_says_which_value_is_wrong(newszop):
    assert newszop("app", "add", "web", "pigeon", fails=True).startswith("provider: ")


def test_a_backup_is_for_its_owner_only_and_overwrites_nothing(newszop, tmp_path):
    file = tmp_path / "backup"
    assert " rows of " in newszop("backup", str(file))
    assert file.stat().st_mode & 0o777 == 0o600
    assert "exists" in newszop("backup", str(file), fails=True)


def test_seeding_twice_adds_once(newszop):
    assert "300 readers added" in newszop("readers", "seed", "--readers", "300")
    assert newszop("readers", "seed", "--readers", "300").splitlines()[-1] == "0 readers added."


def test_readers_arrive_from_a_file_and_wrong_lines_are_named(newszop, engine, session, tmp_path):
    session.execute(text("INSERT INTO topic (id, path, label) VALUES (1, 'sport', 'Sport')"))
    session.commit()
    secret = "0123456789abcdef" * 4
    lines = [
        {
            "provider": "console",
            "address": secret,
            "language": "hi",
            "timezone": "Asia/Kolkata",
            "topics": ["sport"],
        },
        {"provider": "console", "address": "b" * 64, "timezone": "Mars/Olympus"},
        {"provider": "console", "address": "c" * 64, "topics": ["unheard/of"]},
    ]
    file = tmp_path / "readers.jsonl"
    file.write_text("".join(json.dumps(line) + "\n" for line in lines) + "not JSON\n")
    result = CliRunner().invoke(
        app,
        ["readers", "import", str(file)],
        env=os.environ
        | {
            "DATABASE_URL": str(engine.url.set(drivername="postgresql").render_as_string(False)),
            "REDIS_URL": "redis://127.0.0.1:1/0",
            "NEWSZOP_SECRET_KEY": "for the tests of commands",
            "NEWSZOP_PROVIDERS": "console",
        },
    )
    assert "1 readers added, 0 renewed" in result.stdout
    assert isinstance(result.exception, Failed)
    names = [line.split(":")[0] for line in result.stdout.splitlines() if line.startswith("line")]
    assert names == ["line 2", "line 3", "line 4"]
    assert secret not in result.stdout
    assert session.execute(text("SELECT count(*) FROM reader")).scalar() == 1
    assert session.execute(text("SELECT count(*) FROM subscription")).scalar() == 1


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"DATABASE_URL": "postgresql://x"}, "REDIS_URL"),
        ({"DATABASE_URL": "postgresql://x", "REDIS_URL": "redis://x"}, "NEWSZOP_SECRET_KEY"),
        (
            {
                "DATABASE_URL": "postgresql://x",
                "REDIS_URL": "redis://x",
                "NEWSZOP_SECRET_KEY": "changeme",
            },
            "NEWSZOP_SECRET_KEY",
        ),
        (
            {
                "DATABASE_URL": "postgresql://x",
                "REDIS_URL": "redis://x",
                "NEWSZOP_SECRET_KEY": "x" * 32,
                "NEWSZOP_PROVIDERS": "pigeon",
            },
            "NEWSZOP_PROVIDERS",
        ),
        (
            {
                "DATABASE_URL": "postgresql://x",
                "REDIS_URL": "redis://x",
                "NEWSZOP_SECRET_KEY": "x" * 32,
                "NEWSZOP_PROVIDERS": "apns",
            },
            "APNS_",
        ),
    ],
)
def test_a_bad_setting_stops_the_start_with_one_line_naming_it(settings, named):
    answer = subprocess.run(
        [sys.executable, "-c", "from service.cli import main; main()", "serve"],
        env={"PATH": os.environ["PATH"], **settings},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert answer.returncode == 1
    assert len(answer.stderr.splitlines()) == 1
    assert answer.stderr.startswith(f"newszop: {named}")


def test_a_database_that_is_away_is_one_line(newszop):
    away = "postgresql://postgres@127.0.0.1:1/nowhere"
    said = newszop("staff", "list", fails=True, DATABASE_URL=away)
    assert said.startswith("DATABASE_URL")
    assert "\n" not in said


def test_calling_without_a_key_says_which_setting_is_missing(newszop, tmp_path):
    assert newszop("alert", "show", "1", fails=True, DATA=str(tmp_path)).startswith("NEWSZOP_KEY")


LONG_WORK = """
from service.commands.output import progress
with progress("Readers", 1000) as report:
    for done in range(0, 1001, 50):
        report(done)
"""


def test_long_work_shows_a_bar_on_a_terminal():
    ours, theirs = pty.openpty()
    environment = {"PATH": os.environ["PATH"], "TERM": "xterm-256color"}
    command = [sys.executable, "-c", LONG_WORK]
    with subprocess.Popen(command, stdout=theirs, stderr=theirs, env=environment) as process:
        process.wait(60)
    os.close(theirs)
    shown = os.read(ours, 65536).decode()
    os.close(ours)
    assert "\x1b[" in shown
    assert "━" in shown
    assert "1000/1000" in shown


def test_long_work_tells_plain_lines_elsewhere():
    answer = subprocess.run(
        [sys.executable, "-c", LONG_WORK], capture_output=True, text=True, timeout=60, check=True
    )
    tenths = [f"Readers: {done:,} of 1,000" for done in range(100, 1001, 100)]
    assert answer.stdout.splitlines() == tenths


def test_every_setting_is_printed_with_what_it_is_for(newszop):
    for line in newszop("settings").splitlines():
        name, _, description = line.split("\t")
        assert name.isupper()
        assert len(description) > 10
