"""The names and types that answers of the JSON API have, and what every refusal looks like."""

from datetime import datetime

STATES = ("pending", "retrying", "accepted", "gone", "expired", "buried", "cancelled")


def an_id(value):
    return isinstance(value, str) and value.isdigit()


def a_moment(value):
    return isinstance(value, str) and datetime.fromisoformat(value).utcoffset() is not None


def a_count(value):
    return type(value) is int and value >= 0


def text(value):
    return isinstance(value, str)


def maybe(what):
    return lambda value: value is None or what(value)


def each(shape):
    return lambda value: isinstance(value, list) and all(fits(one, shape) for one in value)


def by_name(shape):
    return lambda value: isinstance(value, dict) and all(fits(v, shape) for v in value.values())


def page_of(shape):
    return {"items": each(shape), "next": maybe(text)}


def fits(value, shape):
    """Whether a value has all members of a shape; more may be there."""
    if not isinstance(shape, dict):
        return shape(value)
    assert isinstance(value, dict), value
    missing = [name for name in shape if name not in value or not fits(value[name], shape[name])]
    assert not missing, f"{missing} of {value}"
    return True


TOTALS = dict.fromkeys(("planned", *STATES), a_count)
INGESTED = {"id": an_id, "slug": text, "url": text, "version": a_count, "outcome": text}
STORY = {"id": an_id, "slug": text, "url": text, "headline": text, "published_at": a_moment}
ACCEPTED = {"id": an_id, "state": text, "story_id": an_id, "url": text}
REPORT = {
    "id": an_id,
    "story_id": an_id,
    "state": text,
    "title": text,
    "body": text,
    "urgency": text,
    "created_at": a_moment,
    "send_at": maybe(a_moment),
    "started_at": maybe(a_moment),
    "finished_at": maybe(a_moment),
    "totals": TOTALS,
    "by_provider": by_name(TOTALS),
    "timing": dict.fromkeys(("first_ms", "p50_ms", "p90_ms", "last_ms"), maybe(a_count)),
    "receipts": {"shown": a_count, "opened": a_count},
    "dry_run": lambda value: value is False,
}
PUSH = dict.fromkeys(
    ("provider", "address", "title", "body", "url", "delivery_id", "collapse_key", "receipt"), text
) | {"alert_id": an_id, "at": a_moment}
READER = {"id": an_id, "language": text, "timezone": text}
DEVICE = {"id": an_id, "provider": text, "locale": text, "registered_at": a_moment}
SUBSCRIPTION = {"topic": text, "least_urgency": text, "muted_until": maybe(a_moment)}
TOPIC = {"path": text, "label": text, "parent": maybe(text), "followers": a_count}
DEAD_LETTER = dict.fromkeys(("provider", "reason", "answer"), text) | {
    "id": an_id,
    "alert_id": an_id,
    "devices": a_count,
    "buried_at": a_moment,
}
OVERVIEW = {
    "queues": each({"name": text, "messages": a_count}),
    "providers": each(
        {"name": text, "oldest_seconds": lambda value: value >= 0}
        | dict.fromkeys(("pending", "leased", "retrying"), a_count)
    ),
    "workers": each({"name": text, "queues": each(text), "last_seen": a_moment}),
    "warnings": each(text),
}
PROVIDER = {
    "name": text,
    "state": lambda value: value in {"in_use", "failing", "held"},
    "cause": maybe(text),
    "waiting": a_count,
    "held": lambda value: type(value) is bool,
    "reason": maybe(text),
    "since": maybe(a_moment),
    "accepted_per_second": lambda value: value >= 0,
    "error_share": maybe(lambda value: 0 <= value <= 1),
}


def refused(answer, status, field=None):
    """Assert that this is a problem of RFC 9457 with this status, which names this field."""
    said = f"{answer.request.method} {answer.request.url}: {answer.status_code} {answer.text[:300]}"
    assert answer.status_code == status, said
    assert answer.headers["content-type"] == "application/problem+json", said
    problem = answer.json()
    assert fits(problem, {"type": text, "title": text, "detail": text, "errors": each(dict)})
    assert problem["status"] == status
    if field is not None:
        assert field in {error["field"].partition(".")[0] for error in problem["errors"]}, said
    return problem
