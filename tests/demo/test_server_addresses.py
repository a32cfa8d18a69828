"""Settings that would fail later, far from their cause, are refused at the start in one line."""

import ssl

import certifi
import pytest
from kombu import Connection

from service import settings as service_settings
from service.broker.celery_options import celery_options
from service.broker.redis_client import open_redis, with_short_timeouts
from service.settings import LOCAL_URL, SettingsError
from workers.upkeep.doctor_servers import examine_servers

SOUND = {
    "DATABASE_URL": "postgresql://user:p%40ss@127.0.0.1:5432/name",
    "REDIS_URL": "redis://:p%23ss@127.0.0.1:6379/0",
    "NEWSZOP_SECRET_KEY": "a secret of these tests",
    "NEWSZOP_PUBLIC_URL": "https://news.example",
}


@pytest.fixture
def load(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)

    def read(**changes):
        for name, value in (SOUND | changes).items():
            monkeypatch.setenv(name, value)
        return service_settings.load()

    return read


def test_sound_addresses_stay_as_they_are(load):
    settings = load()
    assert (settings.database_url, settings.redis_url) == (
        SOUND["DATABASE_URL"],
        SOUND["REDIS_URL"],
    )


@pytest.mark.parametrize(
    "url",
    [
        "postgresql:///name?host=/run/postgresql",
        "postgresql://user@a.example:5432,b.example:5433/name?target_session_attrs=read-write",
        "postgres://user:secret@[::1]:5432/name?sslmode=verify-full",
    ],
)
def test_what_libpq_knows_is_allowed(load, url):
    assert load(DATABASE_URL=url).database_url == url


@pytest.mark.parametrize(
    ("name", "url", "hint"),
    [
        ("DATABASE_URL", "postgresql://user:p@ss@host/name", "%40"),
        ("DATABASE_URL", "postgresql://user:p#ss@host/name", "%23"),
        ("DATABASE_URL", "postgresql://user:p/ss@host/name", "%2F"),
        ("DATABASE_URL", "mysql://host/name", "mysql:// is not supported"),
        ("REDIS_URL", "redis://:p@ss@host:6379/0", "%40"),
        ("REDIS_URL", "redis://:p#ss@host:6379/0", "%23"),
        ("REDIS_URL", "redis://:p/ss@host:6379/0", "%2F"),
        ("REDIS_URL", "amqp://guest@host//", "amqp:// is not supported"),
        ("REDIS_URL", "sentinel://host:26379", "name the primary"),
        ("BROKER_URL", "sentinel://host:26379/0", "name the primary"),
        ("REDIS_URL", ":p@ss@host:6379/0", "it has no scheme"),
        ("BROKER_URL", "sqs://key@region", "sqs:// is not supported"),
        ("BROKER_URL", "amqp://news:p@ss@host//", "%40"),
        ("NEWSZOP_CA_FILE", "/nowhere/ca.pem", "cannot be read as certificates"),
    ],
)
def test_a_setting_that_cannot_work_is_one_line_with_its_name(load, name, url, hint):
    with pytest.raises(SettingsError) as refusal:
        load(**{name: url})
    line = str(refusal.value)
    assert line.startswith(f"{name}: ")
    assert hint in line
    assert "\n" not in line
    assert "p@ss" not in line


def test_a_file_without_certificates_is_refused_and_one_with_some_is_not(load, tmp_path):
    empty = tmp_path / "empty.pem"
    empty.write_text("no certificate")
    with pytest.raises(SettingsError, match=r"NEWSZOP_CA_FILE: .* PEM"):
        load(NEWSZOP_CA_FILE=str(empty))
    assert str(load(NEWSZOP_CA_FILE=certifi.where()).ca_file) == certifi.where()
    assert load(NEWSZOP_CA_FILE="").ca_file is None


def test_over_tls_the_brokers_certificate_is_verified_unless_the_address_says_otherwise(load):
    bare = load(REDIS_URL="rediss://host:6379/0").redis_url
    assert Connection(bare).ssl["ssl_cert_reqs"] == ssl.CERT_REQUIRED
    own = "rediss://host:6379/0?ssl_cert_reqs=none"
    assert load(REDIS_URL=own).redis_url == own


def test_a_sentinel_address_becomes_what_celery_and_redis_understand(load):
    url = "sentinel://:p%40ss@a:1,[::1]:2/3?master=news&sentinel_password=s%23s"
    settings = load(BROKER_URL=url)
    options = celery_options(settings.broker, connect_s=1, answer_s=2)
    assert options["broker_url"] == "sentinel://:p%40ss@a:1/3;sentinel://:p%40ss@[::1]:2/3"
    transport = options["broker_transport_options"]
    assert (transport["master_name"], transport["sentinel_kwargs"]["password"]) == ("news", "s#s")
    pool = open_redis(url, 1).connection_pool
    assert (pool.service_name, pool.connection_kwargs["password"]) == ("news", "p@ss")
    short = with_short_timeouts(open_redis(url, 1), 0.1).connection_pool
    assert (short.service_name, short.connection_kwargs["socket_timeout"]) == ("news", 0.1)


def test_rabbitmqs_certificate_is_verified_and_both_sides_declare_quorum_queues(load):
    settings = load(BROKER_URL="amqps://news:p%40ss@host:5671/v?ssl_ca_certs=/ca.pem")
    options = celery_options(settings.broker, connect_s=1, answer_s=2)
    assert options["broker_use_ssl"]["cert_reqs"] is ssl.CERT_REQUIRED
    assert options["broker_use_ssl"]["ca_certs"] == "/ca.pem"
    assert options["broker_url"] == "amqp://news:p%40ss@host:5671/v"
    assert {q.queue_arguments["x-queue-type"] for q in options["task_queues"]} == {"quorum"}
    assert settings.redis_url == SOUND["REDIS_URL"]


def test_the_doctor_says_which_server_cannot_be_reached_and_which_address_is_missing(load):
    settings = load(
        DATABASE_URL="postgresql://user@127.0.0.1:9/name",
        REDIS_URL="redis://127.0.0.1:9/0",
        NEWSZOP_PUBLIC_URL="",
    )
    findings = {each.part: each for each in examine_servers(settings)}
    assert not any(each.is_well for each in findings.values())
    assert findings["postgres"].sentence.startswith("DATABASE_URL: it cannot be reached")
    assert findings["broker"].sentence.startswith("REDIS_URL: it cannot be reached")
    assert LOCAL_URL in findings["site"].sentence


def test_the_doctor_finds_both_servers_well(load, database_url, redis_url):
    settings = load(DATABASE_URL=database_url, REDIS_URL=redis_url)
    findings = list(examine_servers(settings))
    assert [each.part for each in findings] == ["postgres", "broker"]
    assert all(each.is_well for each in findings)
