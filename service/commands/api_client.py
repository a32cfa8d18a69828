"""The HTTP API as commands call it: its address, the key, and its refusals in one line."""

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import httpx
import typer

from service.commands.output import Failed

TIMEOUT_S = 15.0

Url = Annotated[
    str | None, typer.Option("--url", envvar="NEWSZOP_URL", help="Where the service is.")
]
Key = Annotated[
    str | None, typer.Option("--key", envvar="NEWSZOP_KEY", help="API key; default the demo's.")
]


@dataclass(frozen=True, slots=True)
class Api:
    """The API at `url`, called with `key`."""

    url: str
    key: str

    def call(self, method: str, path: str, body: Any = None, **headers: str) -> dict[str, Any]:
        """Return the answer; raises `Failed` with the refusal or the transport's error."""
        try:
            answer = httpx.request(
                method,
                f"{self.url}{path}",
                json=body,
                headers={"Authorization": f"Bearer {self.key}", **headers},
                timeout=TIMEOUT_S,
            )
        except httpx.HTTPError as error:
            raise Failed(f"{self.url} does not answer: {error or type(error).__name__}") from None
        content: dict[str, Any] = _json(answer)
        if answer.is_success:
            return content
        raise Failed(_refusal(answer.status_code, content))


def open_api(url: str | None, key: str | None) -> Api:
    """Return the API of the options, else of the environment, else of the running demo."""
    folder = Path(os.environ.get("DATA", ".newszop"))
    demo: dict[str, Any] = {}
    file = folder / "demo.json"
    if not (url and key) and file.exists():
        demo = json.loads(file.read_text())
    address = url or demo.get("url") or "http://127.0.0.1:8000"
    secret = key or demo.get("admin", {}).get("key")
    if not secret:
        raise Failed(f"NEWSZOP_KEY: no key is given and there is no {file}")
    return Api(address.rstrip("/"), secret)


def _json(answer: httpx.Response) -> dict[str, Any]:
    try:
        content = answer.json() if answer.content else {}
    except ValueError:
        content = {}
    return content if isinstance(content, dict) else {}


def _refusal(status: int, problem: dict[str, Any]) -> str:
    fields = "; ".join(
        f"{error.get('field', error.get('name', '?'))}: {error.get('detail', '')}"
        for error in problem.get("errors", [])
        if isinstance(error, dict)
    )
    detail = problem.get("detail") or problem.get("title") or "refused"
    return f"{detail} ({status}{'; ' + fields if fields else ''})"
