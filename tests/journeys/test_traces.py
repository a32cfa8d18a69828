"""One trace from the editor's press to the providers' answers."""

from datetime import UTC, datetime, timedelta

NUMBERS = {"alert", "shard", "batch", "provider", "app", "pushes", "end", "request_id", "task"}
VERDICTS = {"accepted", "try_later", "gone", "refused", "alert_rejected", "sender_rejected"}
NAMES = {f"newszop.{name}" for name in NUMBERS | VERDICTS} | {
    "http.request.method",
    "http.route",
    "http.response.status_code",
}
"""What a span may say: no address, no token, no name of a person."""


def names_of(trace):
    return {span.name for span in trace}


PRESS = "POST /api/stories/{story_id}/alerts"


def has(accepted, *names):
    """Whether a trace is whole: its processes export at times of their own."""
    return lambda trace: (
        sum(s.attributes.get("newszop.accepted", 0) for s in trace) >= accepted
        and set(names) <= names_of(trace)
    )


def ancestors(span, trace):
    by_id = {each.span_id: each for each in trace}
    chain = []
    while span.parent_id in by_id:
        span = by_id[span.parent_id]
        chain.append(span.name)
    return chain


def test_one_trace_spans_the_press_the_plan_and_the_providers_answers(system, people, collector):
    people.crowd({"apns": 700, "fcm": 40})
    story = system.ingest(topics=[people.topic])
    alert = system.send(story)
    system.finished(alert)
    names = {PRESS, "plan_alert", "pack_shard", "deliver_batch"}
    trace = collector.trace_of(alert["id"], has(740, *names))
    assert len({span.trace_id for span in trace}) == 1
    assert names <= names_of(trace)
    batches = [span for span in trace if span.name == "deliver_batch"]
    assert all(ancestors(batch, trace)[-1] == PRESS for batch in batches)
    accepted = {"apns": 0, "fcm": 0}
    for batch in batches:
        accepted[batch.attributes["newszop.provider"]] += batch.attributes["newszop.accepted"]
    assert accepted == {"apns": 700, "fcm": 40}
    assert {span.process for span in trace} == {"newszop-api", "newszop-worker"}
    assert {name for span in trace for name in span.attributes} <= NAMES
    log = system.log("worker", 40_000) + system.log("worker-urgent", 40_000)
    lines = [line for line in log.splitlines() if alert["id"] in line and "stream ended" in line]
    assert lines
    assert all(trace[0].trace_id in line for line in lines), "a line does not name its trace"


def test_a_scheduled_alert_is_in_the_trace_of_the_call_that_made_it(system, people, collector):
    people.follower_on_all()
    story = system.ingest(topics=[people.topic])
    send_at = datetime.now(UTC) + timedelta(seconds=1)
    alert = system.send(story, send_at=send_at.isoformat())
    system.finished(alert)
    trace = collector.trace_of(alert["id"], has(3, PRESS, "plan_alert"))
    assert len({span.trace_id for span in trace}) == 1
    assert {PRESS, "plan_alert"} <= names_of(trace)
    assert "sweep" not in names_of(trace)


def test_a_collector_that_is_away_changes_nothing(system, people, collector):
    people.follower_on_all()
    collector.is_away = True
    try:
        alert = system.send(system.ingest(topics=[people.topic]))
        totals = system.finished(alert)["totals"]
    finally:
        collector.is_away = False
    assert totals["planned"] == totals["accepted"] == 3
