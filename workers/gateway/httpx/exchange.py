"""One request over httpx and what became of it, in the gateway's words.

What libcurl is kept from is kept from httpx too: a body is given once, so that a request can leave
once; redirects and the environment's proxies are ignored; a deadline holds for the whole exchange
and not for each read of it.
"""

import re
import time
from collections.abc import Iterator
from typing import Any

import httpx

from workers.gateway.network_guard import AddressRefused
from workers.gateway.origin import CONNECT_TIMEOUT_S, USER_AGENT
from workers.provider import Answer, Failure, Request

_NEVER_LEFT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)
_NOT_TAKEN = re.compile(r"error_code:\S*(REFUSED_STREAM|\b7\b)|last_stream_id:0\b")
"""How httpx's parts say that a stream was refused, or that no stream at all was looked at."""


class SingleUseBody(httpx.SyncByteStream):
    """A body that can be read once: who reads it again wants to send the request again."""

    def __init__(self, body: bytes) -> None:
        self._body: bytes | None = body

    def __iter__(self) -> Iterator[bytes]:
        if self._body is None:
            raise SentOnceAlready
        body, self._body = self._body, None
        yield body


class SentOnceAlready(Exception):
    """The client wanted to send again what the server said it had not taken."""


class TimeLeft(dict[str, float | None]):
    """httpx's timeouts, which each count from the present moment, against one deadline."""

    def __init__(self, timeout_s: float) -> None:
        super().__init__(connect=None, read=None, write=None, pool=None)
        self._until = time.monotonic() + timeout_s

    def time_left(self) -> float:
        """Return the seconds left; raises httpx.ReadTimeout when there are none."""
        time_left = self._until - time.monotonic()
        if time_left <= 0:
            raise httpx.ReadTimeout("no answer in time")
        return time_left

    def get(self, name: str, default: Any = None) -> Any:  # noqa: ARG002 - a dict's own signature
        """Return what httpx is to wait for at most."""
        time_left = self.time_left()
        return min(time_left, CONNECT_TIMEOUT_S) if name == "connect" else time_left


def exchange(client: httpx.Client, request: Request, timeout_s: float) -> Answer:
    """Send a request and return its answer; never an exception."""
    try:
        outgoing = _build(request, timeout_s)
    except (httpx.InvalidURL, ValueError, TypeError) as error:
        return _failure(Failure.FORBIDDEN, f"not a request that can be sent: {_name(error)}")
    try:
        response = client.send(outgoing, stream=True)
    except (AddressRefused, httpx.UnsupportedProtocol) as error:
        return _failure(Failure.FORBIDDEN, _name(error))
    except (*_NEVER_LEFT, SentOnceAlready) as error:
        return _failure(Failure.NOT_SENT, _name(error))
    except httpx.RemoteProtocolError as error:
        match = _NOT_TAKEN.search(str(error))
        return _failure(Failure.NOT_SENT if match else Failure.UNKNOWN, _name(error))
    except Exception as error:  # noqa: BLE001 - the client's and its parts' own: nobody knows
        return _failure(Failure.UNKNOWN, _name(error))
    try:
        headers = {name.lower(): value for name, value in response.headers.items()}
        return Answer(response.status_code, headers, _read(response, request))
    finally:
        response.close()


def _build(request: Request, timeout_s: float) -> httpx.Request:
    lines = [line.partition(":") for line in request.headers]
    headers = [(name.strip(), value.strip()) for name, _, value in lines]
    headers.append(("user-agent", USER_AGENT))
    if request.method != "GET":
        headers.append(("content-length", str(len(request.body))))
    url = httpx.URL(request.url)
    headers.append(("host", url.netloc.decode("ascii")))
    stream = SingleUseBody(request.body) if request.method != "GET" else httpx.ByteStream(b"")
    http_request = httpx.Request(request.method, url, headers=headers, stream=stream)
    http_request.extensions = {"timeout": TimeLeft(timeout_s)}
    return http_request


def _read(response: httpx.Response, request: Request) -> bytes:
    """Read the beginning of the body; one that breaks off is as long as it is."""
    body = b""
    limit = request.answer_limit
    time_left: TimeLeft = response.request.extensions["timeout"]
    try:
        # A transport that stands in gives an answer that has been read already.
        is_complete = response.is_stream_consumed
        for part in (response.content,) if is_complete else response.iter_raw():
            body += part
            if len(body) >= limit:
                break
            time_left.time_left()
    except Exception:  # noqa: BLE001, S110 - the status is known: what is missing changes nothing
        pass
    return body[:limit]


def _failure(kind: Failure, detail: str) -> Answer:
    return Answer(0, failure=kind, detail=detail)


def _name(error: Exception) -> str:
    """Return the error in one line. Its kind only: its text may quote the request."""
    cause = error.__cause__ or error.__context__
    root = f" from {type(cause).__name__}" if cause is not None else ""
    return f"{type(error).__name__}{root}"
