"""The control API: received pushes, new subscriptions, and the weather."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl

from workers.standins.all_standins import AllStandins
from workers.standins.misbehaviour.settings import PROVIDERS
from workers.standins.misbehaviour.weather_request import InvalidWeather
from workers.standins.providers import subscriptions
from workers.standins.providers.exchange import Answer, Refusal, answer_json, read_json
from workers.standins.received_pushes import Push

DEFAULT_LIMIT, MAX_LIMIT = 1000, 10_000
MAX_SUBSCRIPTIONS = 100_000
SUBSCRIPTIONS_PER_PART = 100
NO_CONTENT = Answer(204)


class Control:
    """Answers the calls below /control, over plain HTTP and on this machine only."""

    def __init__(self, standins: AllStandins) -> None:
        self._standins = standins

    async def target(self, scope: Any, protocol: Any) -> None:
        """Serve one request (RSGI)."""
        body = await protocol()
        try:
            if scope.path == "/control/subscriptions" and scope.method == "POST":
                await self._create_subscriptions(_read_object(body), protocol)
                return
            answer = await self._answer(scope, body)
        except Refusal as refusal:
            answer = refusal.answer
        protocol.response_bytes(answer.status, answer.headers, answer.body)

    async def _answer(self, scope: Any, body: bytes) -> Answer:
        query = dict(parse_qsl(scope.query_string))
        match scope.method, scope.path:
            case "GET", "/control/pushes":
                return self._list_pushes(query)
            case "GET", "/control/stats":
                return self._show_stats(query.get("alert_id"))
            case "PUT", "/control/weather":
                return await self._put_weather(_read_object(body))
            case "DELETE", "/control/pushes":
                self._standins.forget_pushes()
            case "DELETE", "/control/weather":
                await self._standins.clear_weather()
            case "POST", "/control/deafen":
                self._standins.deafen()
            case _:
                return answer_json(404, {"error": "no such call"})
        return NO_CONTENT

    async def _put_weather(self, body: dict[str, Any]) -> Answer:
        try:
            await self._standins.put_weather(body)
        except InvalidWeather as error:
            return answer_json(400, {"error": str(error)})
        return NO_CONTENT

    def _list_pushes(self, query: dict[str, str]) -> Answer:
        after = _read_number(query, "after", 0, 2**40)
        limit = _read_number(query, "limit", DEFAULT_LIMIT, MAX_LIMIT)
        alert_id, provider, address = (
            query.get(name) for name in ("alert_id", "provider", "address")
        )
        if provider not in (None, *PROVIDERS):
            raise Refusal(answer_json(400, {"error": f"provider: one of {', '.join(PROVIDERS)}"}))
        page = slice(after, after + limit)
        matches = self._standins.pushes.search(alert_id, provider, address, page)
        end = after + len(matches.pushes)
        return answer_json(
            200,
            {
                "count": matches.count,
                "devices": matches.devices,
                "items": [self._item(push) for push in matches.pushes],
                "next": end if end < matches.count and matches.pushes else None,
            },
        )

    def _item(self, push: Push) -> dict[str, Any]:
        text, data = self._standins.by_name[push.provider].read_payload(push.payload)
        at = datetime.fromtimestamp(push.at, UTC).isoformat(timespec="milliseconds")
        return {
            "provider": push.provider,
            "address": push.address,
            "title": text.get("title"),
            "body": text.get("body"),
            **{name: data.get(name) for name in ("url", "alert_id", "story_id", "delivery_id")},
            "collapse_key": push.collapse_key or None,
            "receipt": data.get("receipt"),
            "at": at.replace("+00:00", "Z"),
        }

    def _show_stats(self, alert_id: str | None) -> Answer:
        count, pushes = self._standins.pushes.find_repeats(alert_id)
        repeat_items = [
            {"provider": p.provider, "address": p.address, "alert_id": p.alert_id} for p in pushes
        ]
        report = self._standins.traffic.report()
        return answer_json(200, {**report, "repeats": count, "repeated": repeat_items})

    async def _create_subscriptions(self, body: dict[str, Any], protocol: Any) -> None:
        """Stream new subscriptions: the first come early, and other calls are served meanwhile."""
        if body.get("provider") != "webpush":
            raise Refusal(answer_json(400, {"error": "only webpush has subscriptions to make"}))
        count = body.get("count", 1)
        if not isinstance(count, int) or not 1 <= count <= MAX_SUBSCRIPTIONS:
            raise Refusal(answer_json(400, {"error": f"count: 1 to {MAX_SUBSCRIPTIONS}"}))
        key = _read_server_key(body.get("application_server_key"))
        stream = protocol.response_stream(201, [("content-type", "application/json")])
        for part in self._subscription_parts(count, key):
            await stream.send_str(part)

    def _subscription_parts(self, count: int, key: bytes | None) -> Iterator[str]:
        """Yield the answer's JSON text in parts."""
        service = self._standins.webpush
        separator = '{"items":['
        for start in range(0, count, SUBSCRIPTIONS_PER_PART):
            number = min(SUBSCRIPTIONS_PER_PART, count - start)
            items = [json.dumps(service.subscribe(key)) for _ in range(number)]
            yield separator + ",".join(items)
            separator = ","
        yield "]}"


def _read_object(body: bytes) -> dict[str, Any]:
    try:
        content = read_json(body or b"{}")
    except ValueError:
        raise Refusal(answer_json(400, {"error": "the body is not JSON"})) from None
    if not isinstance(content, dict):
        raise Refusal(answer_json(400, {"error": "the body must be an object"}))
    return content


def _read_server_key(text: Any) -> bytes | None:
    if text is None:
        return None
    try:
        return subscriptions.decode(text)
    except (ValueError, TypeError, AttributeError):
        refusal = answer_json(400, {"error": "application_server_key must be base64url"})
        raise Refusal(refusal) from None


def _read_number(query: dict[str, str], name: str, default: int, maximum: int) -> int:
    text = query.get(name, str(default))
    if not text.isdecimal() or int(text) > maximum:
        raise Refusal(answer_json(400, {"error": f"{name} must be 0 to {maximum}"}))
    return int(text)
