"""WebSub callbacks: hubs verify what we asked for, and push what has changed."""

from typing import Annotated

from fastapi import Query, Request, status
from fastapi.responses import PlainTextResponse

from service.actions.feeds import hub_subscriptions
from service.actions.feeds.feed_polling import Polling
from service.actions.feeds.hub_subscriptions import Intent
from service.domain.errors import Unauthenticated
from service.fetching.allowed_hosts import AllowedHosts
from service.fetching.fetch import Fetcher
from service.http.admission import run_admitted
from service.http.api_document import Router
from service.http.dependencies import WorkDep
from service.store.session import transaction

router = Router(prefix="/api/websub", tags=["sources"])


@router.get("/{token}", response_class=PlainTextResponse)
def confirm_intent(
    work: WorkDep,
    token: str,
    mode: Annotated[str, Query(alias="hub.mode", max_length=20)],
    topic: Annotated[str, Query(alias="hub.topic", max_length=2048)],
    challenge: Annotated[str, Query(alias="hub.challenge", max_length=2048)] = "",
    lease_s: Annotated[int, Query(alias="hub.lease_seconds", ge=0, le=2**31)] = 0,
) -> PlainTextResponse:
    """Answer a hub that verifies our subscription with its challenge; 404 for any other."""
    intent = Intent(mode=mode, topic=topic, challenge=challenge, lease_s=lease_s)
    return PlainTextResponse(hub_subscriptions.confirm_intent(work, token, intent))


@router.post("/{token}", status_code=status.HTTP_204_NO_CONTENT)
async def take_push(request: Request, token: str) -> None:
    """Take in a feed that its hub pushes, signed by `X-Hub-Signature`.

    It is received once there is such a subscription.
    """
    if "x-hub-signature" not in request.headers:
        raise Unauthenticated("The push has no signature.")
    await run_admitted(request, _require_subscription, request, token)
    body = await request.body()
    await run_admitted(request, _take, request, token, body)


def _require_subscription(request: Request, token: str) -> None:
    with transaction(request.app.state.engine) as session:
        hub_subscriptions.require_subscription(session, token)


def _take(request: Request, token: str, body: bytes) -> None:
    hub_subscriptions.take_push(polling_of(request), token, request.headers, body)


def polling_of(request: Request) -> Polling:
    """Return what a request fetches feeds with."""
    state = request.app.state
    hosts = AllowedHosts.named(state.settings.fetch_allowed_hosts)
    return Polling(
        settings=state.settings,
        engine=state.engine,
        broker=state.broker,
        fetcher=Fetcher(hosts),
    )
