"""The control API: what was received, who can be pushed to, and what the weather is."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl

from workers.standins import subscriptions
from workers.standins.all_standins import Stage
from workers.standins.providers.exchange import Answer, Refused, answer_json, read_json
from workers.standins.received import Push
from workers.standins.weather import PROVIDERS
from workers.standins.weather_request import BadWeather

PAGE, LARGEST_PAGE = 1000, 10_000
MOST_SUBSCRIPTIONS = 100_000
SUBSCRIPTIONS_AT_ONCE = 100
NO_CONTENT = Answer(204)


class Control:
    """Answers the calls below /control, over plain HTTP and for this machine only."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage

    async def target(self, scope: Any, protocol: Any) -> None:
        """Serve one request."""
        body = await protocol()
        try:
            if scope.path == "/control/subscriptions" and scope.method == "POST":
                await self._subscribe(_read_object(body), protocol)
                return
            answer = await self._answer(scope, body)
        except Refused as refused:
            answer = refused.answer
        protocol.response_bytes(answer.status, answer.headers, answer.body)

    async def _answer(self, scope: Any, body: bytes) -> Answer:
        query = dict(parse_qsl(scope.query_string))
        match scope.method, scope.path:
            case "GET", "/control/pushes":
                return self._found(query)
            case "DELETE", "/control/pushes":
                self._stage.forget()
                return NO_CONTENT
            case "PUT", "/control/weather":
                return await self._put_weather(_read_object(body))
            case "DELETE", "/control/weather":
                await self._stage.clear_weather()
                return NO_CONTENT
            case "GET", "/control/stats":
                return self._stats(query.get("alert_id"))
        return answer_json(404, {"error": "no such call"})

    async def _put_weather(self, asked: dict[str, Any]) -> Answer:
        try:
            await self._stage.put_weather(asked)
        except BadWeather as bad:
            return answer_json(400, {"error": str(bad)})
        return NO_CONTENT

    def _found(self, query: dict[str, str]) -> Answer:
        after = _count(query, "after", 0, 2**40)
        limit = _count(query, "limit", PAGE, LARGEST_PAGE)
        alert_id, provider, address = (
            query.get(name) for name in ("alert_id", "provider", "address")
        )
        if provider not in (None, *PROVIDERS):
            raise Refused(answer_json(400, {"error": f"provider: one of {', '.join(PROVIDERS)}"}))
        found = self._stage.pushes.find(alert_id, provider, address, slice(after, after + limit))
        seen = after + len(found.pushes)
        return answer_json(
            200,
            {
                "count": found.count,
                "devices": found.devices,
                "items": [self._item(push) for push in found.pushes],
                "next": seen if seen < found.count and found.pushes else None,
            },
        )

    def _item(self, push: Push) -> dict[str, Any]:
        words, data = self._stage.standins[push.provider].read(push.payload)
        at = datetime.fromtimestamp(push.at, UTC).isoformat(timespec="milliseconds")
        return {
            "provider": push.provider,
            "address": push.address,
            "title": words.get("title"),
            "body": words.get("body"),
            **{name: data.get(name) for name in ("url", "alert_id", "story_id", "delivery_id")},
            "collapse_key": push.collapse_key or None,
            "receipt": data.get("receipt"),
            "at": at.replace("+00:00", "Z"),
        }

    def _stats(self, alert_id: str | None) -> Answer:
        count, named = self._stage.pushes.repeats(alert_id)
        repeats = [
            {"provider": p.provider, "address": p.address, "alert_id": p.alert_id} for p in named
        ]
        report = self._stage.traffic.report()
        return answer_json(200, {**report, "repeats": count, "repeated": repeats})

    async def _subscribe(self, asked: dict[str, Any], protocol: Any) -> None:
        """Stream new subscriptions, so that many of them neither wait nor keep others waiting."""
        if asked.get("provider") != "webpush":
            raise Refused(answer_json(400, {"error": "only webpush has subscriptions to make"}))
        count = asked.get("count", 1)
        if not isinstance(count, int) or not 1 <= count <= MOST_SUBSCRIPTIONS:
            raise Refused(answer_json(400, {"error": f"count: 1 to {MOST_SUBSCRIPTIONS}"}))
        key = _read_server_key(asked.get("application_server_key"))
        stream = protocol.response_stream(201, [("content-type", "application/json")])
        for part in self._new_subscriptions(count, key):
            await stream.send_str(part)

    def _new_subscriptions(self, count: int, key: bytes | None) -> Iterator[str]:
        service = self._stage.webpush
        opening = '{"items":['
        for start in range(0, count, SUBSCRIPTIONS_AT_ONCE):
            made = [
                service.subscribe(key) for _ in range(min(SUBSCRIPTIONS_AT_ONCE, count - start))
            ]
            yield opening + ",".join(json.dumps(each) for each in made)
            opening = ","
        yield "]}"


def _read_object(body: bytes) -> dict[str, Any]:
    try:
        content = read_json(body or b"{}")
    except ValueError:
        raise Refused(answer_json(400, {"error": "the body is not JSON"})) from None
    if not isinstance(content, dict):
        raise Refused(answer_json(400, {"error": "the body must be an object"}))
    return content


def _read_server_key(text: Any) -> bytes | None:
    if text is None:
        return None
    try:
        return subscriptions.decode(text)
    except (ValueError, TypeError, AttributeError):
        bad = answer_json(400, {"error": "application_server_key must be base64url"})
        raise Refused(bad) from None


def _count(query: dict[str, str], name: str, usual: int, most: int) -> int:
    text = query.get(name, str(usual))
    if not text.isdecimal() or int(text) > most:
        raise Refused(answer_json(400, {"error": f"{name} must be 0 to {most}"}))
    return int(text)
