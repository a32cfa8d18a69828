"""Exports of other push services come in, with their tags as topics and their faults by line."""

import csv
import io
import json
import os
import secrets
from datetime import UTC, datetime

import pytest
from sqlalchemy import text
from typer.testing import CliRunner

from service.cli import app as newszop
from service.commands.importing.vendor_exports import Form, Reading, decode_lines, read_export
from service.sealing import SealKeys
from service.store.operations import apps
from service.store.operations.apps import App, seal_credentials
from service.store.session import transaction
from tests.builders import a_topic
from tests.credentials import a_p256_key, pem, provider_environment
from workers.app_provider import load_app
from workers.provider_kit.encoding import base64url
from workers.provider_kit.encryption import encode_point

NUMBER = int(os.environ.get("IMPORT_LINES", "60"))
"""Lines of each vendor; 7,000 by hand."""
TOPICS = {"news_sport": "sport", "plan=gold": "world"}
SECRET = "a secret that only tests know"
NOW = datetime(2026, 11, 29, 12, tzinfo=UTC)


def lines_of(content, form, **more):
    reading = Reading(form=form, topics=TOPICS, **more)
    return list(read_export(io.BufferedReader(io.BytesIO(content)), reading))


def phone(n):
    return f"{n:064x}"


def onesignal(rows, encoding="utf-8"):
    table = io.StringIO()
    writer = csv.writer(table, lineterminator="\r\n")
    writer.writerow(
        ("id", "identifier", "language", "device_type", "tags", "invalid_identifier", "web_auth",
         "web_p256", "timezone_id")
    )  # fmt: skip
    writer.writerows(rows)
    return table.getvalue().encode(encoding)


ROW = ("id-1", phone(1), "hi", "0", '{"news_sport":"1","plan":"gold"}', "f", "", "", "Asia/Kolkata")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
def test_an_export_is_read_in_any_encoding(encoding):
    dead = ("id-2", phone(2), "en", "0", "", "true", "", "", "")
    mail = ("id-3", "a@b.org", "en", "11", "", "f", "", "", "")
    short = ("id-4", phone(4))
    rows = [ROW, dead, mail, short]
    header, good, *broken = lines_of(onesignal(rows, encoding), Form.ONESIGNAL)
    assert header.why == ""
    assert json.loads(good) == {
        "provider": "apns",
        "address": phone(1),
        "language": "hi",
        "timezone": "Asia/Kolkata",
        "topics": ["sport", "world"],
    }
    assert [line.why for line in broken] == [
        "the vendor knows that the address is dead",
        "a device of the kind '11' is none that we push to",
        "has 2 columns, and the header has 9",
    ]


def test_each_vendors_json_lines_are_read():
    channel = {"channel_id": "c", "device_type": "ios", "push_address": "AB" * 32, "opt_in": True,
               "tags": ["news_sport", "other"]}  # fmt: skip
    out = channel | {"opt_in": False}
    content = "\n".join(json.dumps(each) for each in (channel, out)) + "\nno json\n"
    good, opted_out, broken = lines_of(content.encode(), Form.AIRSHIP)
    assert json.loads(good) == {"provider": "apns", "address": "AB" * 32, "topics": ["sport"]}
    assert opted_out.why == "the reader has not opted in"
    assert "JSON" in broken.why
    browser = {"endpoint": "https://push.example/1", "keys": {"p256dh": "B", "auth": "a"}}
    (line,) = lines_of(json.dumps(browser).encode(), Form.WEBPUSH, vapid_key="BK")
    assert json.loads(line)["keys"] == {"p256dh": "B", "auth": "a", "vapid_key": "BK"}
    tokens = [json.loads(each)["address"] for each in lines_of(b"t1\r\nt2\n", Form.FIREBASE)]
    assert tokens == ["t1", "t2"]


def test_a_column_of_another_name_is_mapped():
    _, line = lines_of(b"Push Token;x\nabc;1\n", Form.FIREBASE, columns={"address": "Push Token"})
    assert json.loads(line)["address"] == "abc"


def test_mapped_columns_say_who_has_opted_in_and_what_device_it_is():
    channel = {"os": "ios", "push_address": phone(1), "agreed": "no"}
    columns = {"kind": "os", "alive": "agreed"}
    content = "\n".join(json.dumps(channel | {"os": kind}) for kind in ("ios", "email"))
    lines = lines_of(content.encode(), Form.AIRSHIP, columns=columns, provider="apns")
    assert [line.why for line in lines] == [
        "the reader has not opted in",
        "a device of the kind 'email' is none that we push to",
    ]


@pytest.mark.parametrize(
    "content", [b"t1\n\nt2\n", b"token\n\nt2\n", b'{"token":"t"}\n\n{"token":"t2"}']
)
def test_a_blank_line_counts_among_the_lines(content):
    lines = lines_of(content, Form.FIREBASE)
    assert lines[1].why == ""
    assert json.loads(lines[2])["address"] == "t2"


def test_a_separator_of_unicode_is_no_end_of_a_line():
    content = '{"label": "a\u2028b"}\n{}\n'.encode()
    assert len(list(decode_lines(io.BufferedReader(io.BytesIO(content))))) == 2


@pytest.fixture
def web(engine, tmp_path, monkeypatch, database_url, redis_url):
    """A web app with an earlier key; returns both public keys, the newest first."""
    values = provider_environment(tmp_path) | {
        "NEWSZOP_PROVIDERS": "apns,fcm,webpush",
        "NEWSZOP_SECRET_KEY": SECRET,
        "DATABASE_URL": database_url,
        "REDIS_URL": redis_url,
    }
    for name, value in values.items():
        monkeypatch.setenv(name, value)
    credentials = {"vapid_keys": [pem(a_p256_key()).decode() for _ in range(2)]}
    options = {"subject": "mailto:push@example.org"}
    with transaction(engine) as session:
        for path in ("sport", "world"):
            a_topic(session, path)
        sealed = seal_credentials(SealKeys(SECRET), "web", credentials)
        app = App(name="web", provider="webpush", options=options, credentials=sealed)
        apps.add(session, app)
    return load_app("web", "webpush", credentials, options)


def run(*arguments):
    return CliRunner().invoke(newszop, ["readers", "import", *map(str, arguments)])


def test_three_vendors_subscribers_come_in_with_a_report(web, engine, tmp_path):
    newest, oldest = web._keys.public_keys()
    one, ua, wp, report = (tmp_path / name for name in ("o.csv", "a.jsonl", "w.jsonl", "r.csv"))
    rows = [("", phone(n), "en", "0", '{"news_sport":1}', "f", "", "", "") for n in range(NUMBER)]
    one.write_bytes(onesignal([*rows, ("", "not a token", "", "0", "", "", "", "", "")], "utf-16"))
    channels = [
        {"device_type": "ios", "push_address": phone(NUMBER + n), "opt_in": True, "tags": []}
        for n in range(NUMBER)
    ]
    ua.write_text("\r\n".join(map(json.dumps, channels)) + "\r\n{")
    point = base64url(encode_point(a_p256_key().public_key()))
    browsers = [
        {"endpoint": f"https://updates.push.services.mozilla.com/wpush/v2/{secrets.token_hex(8)}",
         "keys": {"p256dh": point, "auth": base64url(bytes(16))}}
        for _ in range(NUMBER)
    ]  # fmt: skip
    wp.write_text("\n".join(map(json.dumps, browsers)))

    dry = run(one, "--from", "onesignal", "--topic", "news_sport=sport", "--dry-run")
    assert f"{NUMBER:,} readers would be added" in dry.output
    assert count(engine, "device") == 0
    imports = [
        run(one, "--from", "onesignal", "--topic", "news_sport=sport", "--report", report),
        run(ua, "--from", "airship"),
        run(wp, "--from", "webpush", "--app", "web", "--vapid-key", oldest),
    ]
    assert [result.exit_code for result in imports] == [1, 1, 0], [r.output for r in imports]
    number, reason = list(csv.reader(report.open()))[1]
    assert number == str(NUMBER + 2)
    assert "address" in reason
    assert count(engine, "subscription") == NUMBER
    query = "SELECT provider, vapid_key, count(*) FROM device GROUP BY 1, 2 ORDER BY 1"
    with engine.connect() as connection:
        kinds = [tuple(row) for row in connection.execute(text(query))]
    key_id = web._keys.find_id(oldest)
    assert kinds == [("apns", None, 2 * NUMBER), ("web", key_id, NUMBER)]
    assert web._keys.signers("mailto:a@b.org", NOW)[key_id]._public_key == oldest != newest
    again = run(ua, "--from", "airship", "--line", NUMBER)
    assert "0 readers added, 1 renewed" in again.output


def count(engine, table):
    with engine.connect() as connection:
        return connection.execute(text(f"SELECT count(*) FROM {table}")).scalar_one()
