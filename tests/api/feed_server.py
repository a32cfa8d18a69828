"""A sender of feeds on loopback: each path answers what a test puts there."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

Answer = tuple[int, dict[str, str], bytes]


@dataclass
class FeedServer:
    """Its answers by path, and the requests that came, with their headers in lower case."""

    port: int = 0
    answers: dict[str, Answer | Callable[[dict[str, str]], Answer]] = field(default_factory=dict)
    requests: list[tuple[str, dict[str, str], bytes]] = field(default_factory=list)

    def url(self, path: str = "/feed") -> str:
        return f"http://127.0.0.1:{self.port}{path}"

    def put(self, body: bytes | str, path: str = "/feed", status: int = 200, **headers: str) -> str:
        content = body.encode() if isinstance(body, str) else body
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        self.answers[path] = (status, named, content)
        return self.url(path)


@contextmanager
def running_feed_server() -> Iterator[FeedServer]:
    feed_server = FeedServer()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            size = int(self.headers.get("content-length") or 0)
            headers = {name.lower(): value for name, value in self.headers.items()}
            feed_server.requests.append((self.path, headers, self.rfile.read(size)))
            answer = feed_server.answers.get(self.path, (404, {}, b""))
            status, fields, body = answer(headers) if callable(answer) else answer
            self.send_response(status)
            for name, value in {"Content-Length": str(len(body)), **fields}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        do_POST = do_GET  # noqa: N815 - the library's name

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    feed_server.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield feed_server
    finally:
        server.shutdown()
        server.server_close()


def rss(*items: tuple[str, str], head: str = "") -> str:
    """Return a feed of pairs of id and title, each dated now."""
    entries = "".join(
        f"<item><guid isPermaLink='false'>{identity}</guid><title>{title}</title>"
        f"<description>{title} in full.</description><category>Boats</category></item>"
        for identity, title in items
    )
    channel = f"<title>Harbour News</title><link>http://127.0.0.1/</link>{head}{entries}"
    return (
        '<?xml version="1.0"?><rss version="2.0" xmlns:atom="http://www.w3.org/2005/Atom">'
        f"<channel>{channel}</channel></rss>"
    )
