"""Traces are off unless a collector is named, and cost nothing then; else they are bounded."""

import json
import subprocess
import sys

import pytest
import redis
import structlog

from service import outbox
from service.monitoring_settings import MonitoringSettings
from service.outbox import CeleryBroker, deliver, plan_alert
from service.tracing import exporting, spans
from service.tracing.exporting import MOST_QUEUED_SPANS, open_tracer
from service.tracing.spans import NO_SPAN, OwnTracer, span, start_span, traceparent
from tests.collector import Collector

PLACE = "00-" + "a" * 32 + "-" + "b" * 16 + "-01"
NOT_SAMPLED = PLACE[:-1] + "0"


@pytest.fixture
def tracer(monkeypatch):
    monkeypatch.setattr(exporting, "LAST_EXPORT_S", 0.0)
    settings = MonitoringSettings(
        OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:9", OTEL_TRACES_SAMPLER_ARG=1
    )
    opened = open_tracer(settings, "test")
    monkeypatch.setattr(OwnTracer, "tracer", opened)
    yield opened
    opened.close()


def test_without_a_collector_no_process_imports_the_sdk_or_an_exporter():
    program = (
        "import sys, workers.app\n"
        "names = [n for n in sys.modules if n.startswith(('opentelemetry.sdk', "
        "'opentelemetry.exporter', 'opentelemetry.proto'))]\n"
        "print([name for name in names if sys.modules[name] is not None])"
    )
    run = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert run.stdout.strip() == "[]"


def test_without_a_collector_a_span_is_the_same_nothing_for_everybody():
    assert OwnTracer.tracer is None
    with span("work", {"newszop.alert": "1"}) as opened:
        assert opened is start_span("more") is NO_SPAN
        assert traceparent() is None


def test_spans_within_one_another_are_one_trace_and_its_id_stands_in_log_lines(tracer):
    with span("outer", parent=PLACE) as outer:
        inner = start_span("inner")
        assert structlog.contextvars.get_contextvars()["trace_id"] == "a" * 32
    assert outer.traceparent[:36] == inner.traceparent[:36] == PLACE[:36]
    assert outer.traceparent != inner.traceparent
    assert traceparent() is None
    assert "trace_id" not in structlog.contextvars.get_contextvars()


def test_what_was_not_sampled_at_its_root_is_sampled_nowhere_and_named_in_no_line(tracer):
    with span("outer", parent=NOT_SAMPLED) as outer:
        assert outer.traceparent.endswith("-00")
        assert start_span("inner").traceparent.endswith("-00")
        assert "trace_id" not in structlog.contextvars.get_contextvars()


@pytest.mark.parametrize("place", ["", "nonsense", "00-00-00-01", PLACE.upper(), PLACE + "\n"])
def test_an_unreadable_place_begins_a_trace_of_its_own(tracer, place):
    assert start_span("work", parent=place).traceparent[3:35] != "a" * 32


@pytest.mark.parametrize(
    ("sampler", "ratio", "is_sampled"),
    [
        ("parentbased_traceidratio", 0, False),
        ("parentbased_traceidratio", 1, True),
        ("always_on", 0, True),
        ("parentbased_always_off", 1, False),
    ],
)
def test_the_settings_say_which_traces_are_kept(sampler, ratio, is_sampled):
    settings = MonitoringSettings(
        OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:9",
        OTEL_TRACES_SAMPLER=sampler,
        OTEL_TRACES_SAMPLER_ARG=ratio,
    )
    opened = open_tracer(settings, "test")
    place = opened.start("work", {}, None).traceparent
    assert bool(spans.log_names(place)) is is_sampled
    opened.close()


def test_a_dead_collector_costs_spans_and_no_time(tracer):
    for _ in range(2 * MOST_QUEUED_SPANS):
        start_span("work").end()
    assert len(tracer.processor._batch_processor._queue) <= MOST_QUEUED_SPANS


def test_headers_of_the_settings_reach_the_collector_and_spans_arrive():
    collector = Collector()
    settings = MonitoringSettings(
        OTEL_EXPORTER_OTLP_ENDPOINT=collector.url + "/",
        OTEL_EXPORTER_OTLP_HEADERS="Authorization=Bearer%20x, a=b",
        OTEL_TRACES_SAMPLER_ARG=1,
    )
    assert settings.otlp_header_values == {"authorization": "Bearer x", "a": "b"}
    opened = open_tracer(settings, "test")
    opened.start("work", {"newszop.alert": "7"}, PLACE).end()
    opened.close()
    [arrived] = collector.spans
    collector.close()
    assert (arrived.name, arrived.process) == ("work", "newszop-test")
    assert (arrived.trace_id, arrived.parent_id) == ("a" * 32, "b" * 16)


def test_a_message_carries_the_place_of_the_work_unless_it_is_about_another_alert(
    redis_url, monkeypatch
):
    broker = CeleryBroker(redis_url)
    token = spans._TRACEPARENT.set(PLACE)
    try:
        with structlog.contextvars.bound_contextvars(alert=1):
            broker.send(deliver(1, "normal"))
            broker.send(deliver(2, "normal"))
        broker.send(plan_alert(3, "normal"))
    finally:
        spans._TRACEPARENT.reset(token)
    messages = redis.Redis.from_url(redis_url).lrange("normal", 0, -1)
    places = [json.loads(each)["headers"].get("traceparent") for each in messages]
    assert sorted(places, key=str) == [PLACE, PLACE, None]


def test_a_message_without_ids_is_sent_too():
    assert outbox._headers(outbox.Message("sweep", "normal", ())) == {}
