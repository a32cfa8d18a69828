"""Expo push: 100 devices a request. It answers with tickets; their receipts are asked for later.

https://docs.expo.dev/push-notifications/sending-notifications/
"""

import re
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from hashlib import sha256
from itertools import islice
from typing import Any

from pydantic import Field

from service.domain.alert import Words
from service.domain.device import Registration
from service.domain.errors import Invalid
from service.domain.verdict import (
    Accepted,
    AlertRejected,
    DeviceGone,
    DeviceRefused,
    FollowUp,
    NotAccepted,
    Reach,
    SenderRejected,
    TryLater,
    Verdict,
)
from workers.provider import (
    ANSWER_LIMIT,
    AlertContent,
    Answer,
    Credential,
    Position,
    Preview,
    Request,
    Target,
)
from workers.provider_kit import answers, presentation
from workers.provider_kit.address_groups import AddressGroups
from workers.provider_kit.addressed_positions import AddressedPositions, addresses_at
from workers.provider_kit.encoding import escape_json, json_bytes
from workers.provider_kit.fitted_payload import IDS_ROOM, FittedPayload, head_to_delivery_id
from workers.provider_kit.setting_types import HeaderText, Origin, ProviderSettings, settings_config

LIMIT = 4096
SPACES_ROOM = 64
"""Expo counts the push as it parsed it, not our bytes: it may write it with spaces."""
ADDRESS_ROOM = 220
TAIL_ROOM = IDS_ROOM + ADDRESS_ROOM + len(',"to":""}') + SPACES_ROOM
DEVICES_AT_ONCE = 100
LONGEST_COLLAPSE_ID = 64
RECEIPT_AFTER = timedelta(minutes=15)
IMPOSSIBLE_ADDRESS = "an-address-that-cannot-exist"
TICKET_BYTES = 512
_NEVER_ENDS = timedelta(days=3650)
_TOKEN = re.compile(r"Expo(?:nent)?PushToken\[[A-Za-z0-9_:.-]{1,200}\]")


class Settings(ProviderSettings):
    """The settings for reaching Expo."""

    model_config = settings_config("EXPO_")
    secrets = frozenset({"access_token"})

    url: Origin = Field("https://exp.host", description="Expo's server.")
    access_token: HeaderText = Field(
        "", description="The project's access token, where enhanced push security is on."
    )


_CREDENTIALS = SenderRejected(
    "Expo cannot push to this device's platform for the project: set up its push credentials for "
    "Apple and Google with EAS",
    reach=Reach.DEVICE,
)
"""An Expo project has credentials for each platform: those of one say nothing of the other."""
_CLOSED = "Expo does not let us in: check EXPO_ACCESS_TOKEN"
_NOT_AUTHORIZED = SenderRejected(_CLOSED, of_address=True)

_INVALID, _PROJECTS = "must be a valid Expo push token", "PUSH_TOO_MANY_EXPERIENCE_IDS"
_APART = TryLater("sent along with what Expo refuses", first=timedelta(milliseconds=50))
_NOT_A_TOKEN = DeviceGone("VALIDATION_ERROR: not a valid address", doubtful=True)
REASONS: Mapping[str, NotAccepted] = {
    "DeviceNotRegistered": DeviceGone("the app is gone from the device"),
    "MessageTooBig": AlertRejected("Expo says that the alert is too large"),
    "MessageRateExceeded": TryLater(""),
    "MismatchSenderId": _CREDENTIALS,
    "InvalidCredentials": _CREDENTIALS,
    "UNAUTHORIZED": _NOT_AUTHORIZED,
    "TOO_MANY_REQUESTS": TryLater("", reach=Reach.PROVIDER, blameless=True),
    _PROJECTS: DeviceRefused("addresses of several projects in one request"),
    "PUSH_TOO_MANY_NOTIFICATIONS": DeviceRefused("Expo takes fewer addresses at once than we sent"),
}
"""What each documented error means, in a ticket, in a receipt or for a whole request."""


class Provider:
    """Builds requests for Expo and reads its answers."""

    name = "expo"
    window = 6
    per_minute: int | None = 36_000
    ramp_seconds = 0
    guard = None
    follow_ups_at_once = 1000

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.groups = AddressGroups()

    def check(self, registration: Registration) -> Registration:
        """Accept an Expo push token."""
        address = registration.address.strip()
        if not _TOKEN.fullmatch(address):
            raise Invalid("address", "An Expo address looks like ExponentPushToken[...].")
        return replace(registration, address=address, kind="token", p256dh=None, auth=None)

    def credential(self, now: datetime) -> Generator[Request, Answer, Credential]:
        """Return the access token; no request is needed."""
        yield from ()
        return Credential(self.settings.access_token, minted_at=now, fresh_until=now + _NEVER_ENDS)

    def credential_key(self) -> str:
        """Return a name that changes with the access token and does not contain it."""
        return f"expo:{sha256(self.settings.access_token.encode()).hexdigest()[:16]}"

    def pushes(self, content: AlertContent, credential: Credential) -> "ExpoPushes":
        """Prepare the alert: what devices share is encoded once."""
        return ExpoPushes(self, content, credential)

    def read_answer(self, answer: Answer, positions: Sequence[Position]) -> Sequence[Verdict]:
        """Read one ticket for each device, in the order of the request."""
        if not answers.is_success(answer.status) or _first_error(answer):
            return self._read_refusal(answer, positions)
        data = answers.parse_object(answer.body).get("data")
        tickets = data if isinstance(data, list) else []
        verdicts = [_read_ticket(ticket) for ticket in islice(tickets, len(positions))]
        no_ticket = TryLater("Expo's answer lacks a ticket for it", unknown=True)
        return verdicts + [no_ticket] * (len(positions) - len(verdicts))

    def _read_refusal(self, answer: Answer, positions: Sequence[Position]) -> Sequence[Verdict]:
        """Read the refusal of a whole request: one address may have brought it upon the others.

        Those go again without it: by project, or alone where nothing says which it was.
        """
        error, addresses = _first_error(answer), addresses_at(positions)
        text = str(error.get("message"))
        if _INVALID in text and len(positions) == 1:
            return [_NOT_A_TOKEN]
        one_is_at_fault = _INVALID in text or error.get("code") == _PROJECTS
        if not one_is_at_fault or addresses is None or len(positions) == 1:
            return [_read_error_answer(answer)] * len(positions)
        named = {address for n, address in enumerate(addresses) if f"[{n}].to" in text}
        if not self.groups.learn_all(error.get("details"), addresses) and not named:
            self.groups.learn_all({each: [each] for each in addresses}, addresses)
        return [_NOT_A_TOKEN if address in named else _APART for address in addresses]

    def follow_ups(self, tickets: Sequence[str], credential: Credential) -> Request:
        """Return the request for the receipts of up to 1,000 tickets."""
        return Request(
            f"{self.settings.url}/--/api/v2/push/getReceipts",
            _headers(credential),
            json_bytes({"ids": list(tickets)}),
            answer_limit=ANSWER_LIMIT + TICKET_BYTES * len(tickets),
        )

    def read_follow_ups(self, answer: Answer, tickets: Sequence[str]) -> Sequence[Verdict]:
        """Read one receipt for each ticket; a missing one is asked for again later."""
        if not answers.is_success(answer.status) or _first_error(answer):
            return [_read_error_answer(answer)] * len(tickets)
        data = answers.parse_object(answer.body).get("data")
        receipts = data if isinstance(data, dict) else {}
        return [_read_receipt(receipts.get(ticket)) for ticket in tickets]

    def probe(self, credential: Credential, now: datetime) -> Request:
        """Return a push to an impossible address."""
        del now
        body = json_bytes([{"to": IMPOSSIBLE_ADDRESS, "title": "-"}])
        return Request(_send_url(self.settings), _headers(credential), body)

    def preview(self, content: AlertContent, locale: str) -> Preview:
        """Return the words as they fit, and the push's size."""
        return _payload(content).preview(locale)


def _send_url(settings: Settings) -> str:
    return f"{settings.url}/--/api/v2/push/send"


def _headers(credential: Credential) -> Sequence[str]:
    token = credential.value
    authorization = (f"authorization: Bearer {token}",) if token else ()
    return (*authorization, "content-type: application/json", "accept: application/json")


def _error_code(result: object) -> str:
    """Return the error in a ticket or receipt."""
    details = result.get("details") if isinstance(result, dict) else None
    return answers.as_error_code(details.get("error")) if isinstance(details, dict) else ""


def _read_ticket(ticket: object) -> Verdict:
    if isinstance(ticket, dict) and ticket.get("status") == "ok":
        ticket_id = str(ticket.get("id", ""))
        return Accepted(FollowUp(ticket_id, RECEIPT_AFTER) if ticket_id else None)
    return _read_error(_error_code(ticket))


def _read_receipt(receipt: object) -> Verdict:
    if receipt is None:
        return TryLater("Expo has no receipt yet", after=RECEIPT_AFTER)
    if isinstance(receipt, dict) and receipt.get("status") == "ok":
        return Accepted()
    return _read_error(_error_code(receipt))


def _read_error(error: str) -> Verdict:
    verdict = REASONS.get(error) or DeviceRefused("Expo gives a reason that is not documented")
    if isinstance(verdict, TryLater):
        return replace(verdict, why=f"Expo answered {error}")
    return answers.with_code(verdict, error)


def _read_error_answer(answer: Answer) -> Verdict:
    code = answers.as_error_code(_first_error(answer).get("code"))
    verdict = REASONS.get(code) if answer.status else None
    verdict = verdict or answers.read_status(
        answer, "Expo", settings="EXPO_URL and EXPO_ACCESS_TOKEN"
    )
    if isinstance(verdict, TryLater) and answer.status:
        why, wait = f"Expo answered {answer.status} {code}", answers.parse_retry_after(answer)
        return replace(verdict, why=why, after=wait)
    return answers.with_code(verdict, code)


def _first_error(answer: Answer) -> Mapping[str, Any]:
    """Return the error of a whole request, whatever its status; empty where tickets came."""
    body = answers.parse_object(answer.body)
    errors = None if body.get("data") else body.get("errors")
    return errors[0] if isinstance(errors, list) and isinstance(next(iter(errors), 0), dict) else {}


class ExpoPushes:
    """One alert in Expo's form: a request holds a push for each of up to 100 devices."""

    def __init__(self, provider: Provider, content: AlertContent, credential: Credential) -> None:
        self._groups = provider.groups
        self._url = _send_url(provider.settings)
        self._headers = _headers(credential)
        self._heads = _payload(content).heads()

    def requests(
        self, targets: Sequence[Target], now: datetime
    ) -> Iterator[Request | tuple[Position, Verdict]]:
        """Yield one request for up to 100 targets."""
        del now  # each push holds the deadline
        for group in self._groups.split(targets, DEVICES_AT_ONCE):
            body = b"[" + b",".join(self._encode(target) for target in group) + b"]"
            limit = ANSWER_LIMIT + TICKET_BYTES * len(group)
            positions = AddressedPositions.of(group)
            yield Request(self._url, self._headers, body, positions, answer_limit=limit)

    def _encode(self, target: Target) -> bytes:
        tail = (
            f'{target.delivery_id}","receipt":"{target.receipt}"}},'
            f'"to":"{escape_json(target.address)}"}}'
        )
        return self._heads[target.locale] + tail.encode()


def _payload(content: AlertContent) -> FittedPayload:
    return FittedPayload(
        content, lambda words, _: _render_head(words, content), limit=LIMIT, tail_room=TAIL_ROOM
    )


def _render_head(words: Words, content: AlertContent) -> bytes:
    quiet = presentation.is_quiet(content)
    key = presentation.fit_collapse_key(content.collapse_key, LONGEST_COLLAPSE_ID)
    image = presentation.image_url_of(content)
    return head_to_delivery_id(
        {
            **presentation.shown_words(words),
            **({} if quiet else {"sound": "default"}),
            **({"richContent": {"image": image}, "mutableContent": True} if image else {}),
            "expiration": presentation.expiry_of(content),
            "priority": "normal" if quiet else "high",
            "channelId": presentation.android_channel(content),
            "interruptionLevel": presentation.interruption_level(content),
            "collapseId": key,
            "tag": key,
            "threadId": content.collapse_key,
            "data": {**presentation.story_fields(content), "delivery_id": ""},
        }
    )
