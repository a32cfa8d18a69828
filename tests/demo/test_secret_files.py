"""Secrets from files, the first admin, and lines of the log for programs."""

import io
import json
import logging
from contextlib import redirect_stderr

import pytest
import structlog

from service.logs import configure_logging
from service.secret_files import read_secret_files


@pytest.fixture
def files(tmp_path):
    def write(**contents):
        for name, content in contents.items():
            (tmp_path / name).write_text(content)
        return {f"{name}_FILE": str(tmp_path / name) for name in contents}

    return write


def test_a_secret_is_read_from_its_file_without_the_newline_at_its_end(files):
    environment = files(NEWSZOP_SECRET_KEY="a secret\n", PGPASSWORD="p@ss\n")
    read_secret_files(environment)
    assert environment["NEWSZOP_SECRET_KEY"] == "a secret"
    assert environment["PGPASSWORD"] == "p@ss"


def test_a_variable_that_is_set_goes_before_its_file(files):
    environment = files(PGPASSWORD="of the file") | {"PGPASSWORD": "of the variable"}
    read_secret_files(environment)
    assert environment["PGPASSWORD"] == "of the variable"


def test_the_password_of_redis_completes_its_address_whatever_marks_it_has(files):
    environment = files(REDIS_PASSWORD="a/b#c@d\n") | {"REDIS_URL": "redis://redis:6379/0"}
    read_secret_files(environment)
    assert environment["REDIS_URL"] == "redis://:a%2Fb%23c%40d@redis:6379/0"
    read_secret_files(environment)
    assert environment["REDIS_URL"].count("@") == 1


def test_a_file_that_cannot_be_read_is_named():
    with pytest.raises(ValueError, match="NEWSZOP_SECRET_KEY_FILE: /nowhere cannot be read"):
        read_secret_files({"NEWSZOP_SECRET_KEY_FILE": "/nowhere"})


def test_every_line_of_the_log_is_one_object_with_its_ids():
    kept = structlog.get_config()
    handlers = logging.getLogger().handlers[:]
    stream = io.StringIO()
    try:
        with redirect_stderr(stream):
            configure_logging("info", "json")
            structlog.get_logger().info("stream ended", alert=7, why="over")
            logging.getLogger("celery").warning("a library says %s", "this")
            try:
                1 / 0  # noqa: B018 - it raises
            except ZeroDivisionError:
                logging.getLogger("other").exception("failed")
    finally:
        structlog.configure(**kept)
        logging.getLogger().handlers[:] = handlers
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert [line["level"] for line in lines] == ["info", "warning", "error"]
    assert (lines[0]["event"], lines[0]["alert"]) == ("stream ended", 7)
    assert lines[1]["event"] == "a library says this"
    assert "ZeroDivisionError" in lines[2]["exception"]
    assert all(line["timestamp"] for line in lines)
