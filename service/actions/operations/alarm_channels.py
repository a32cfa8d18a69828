"""Sends one text to webhooks and by mail: within seconds, without redirects, never twice at once.

The addresses come from the operator's settings, not from anybody who can reach us, so those inside
our network are allowed. What answers is not read beyond its status, and a redirect is a failure:
an address that others control cannot lead us elsewhere.
"""

import json
import smtplib
import ssl
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from email.message import EmailMessage
from functools import partial
from http.client import HTTPException
from typing import Any
from urllib.error import URLError
from urllib.parse import unquote, urlsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener

from service.settings import Settings

TIMEOUT_S = 5.0
MAX_TEXT = 3000
TEAMS_HOSTS = (".logic.azure.com", ".powerplatform.com", ".webhook.office.com")
MAIL_PORTS = {"smtp": 587, "smtps": 465}


@dataclass(frozen=True, slots=True)
class AlarmResult:
    """Where a text went, without the secret part of the address, and what went wrong."""

    target: str
    fault: str | None = None


class _NoRedirect(HTTPRedirectHandler):
    def redirect_request(self, *_: Any, **__: Any) -> None:
        """Follow nothing."""


_OPENER = build_opener(_NoRedirect)


def send_alarm(settings: Settings, subject: str, text: str) -> list[AlarmResult]:
    """Send an alarm to everybody whom the settings name; returns what became of each."""
    results = list(_post_all(settings.alarm_urls, text))
    if settings.alarm_emails and settings.smtp_url:
        send = partial(_send_mail, settings, subject, text)
        results.append(_try(", ".join(settings.alarm_emails), send))
    return results


def send_note(settings: Settings, text: str) -> list[AlarmResult]:
    """Send a note to the newsroom's channels."""
    return list(_post_all(settings.desk_urls, text))


def payload(url: str, text: str) -> dict[str, Any]:
    """Return what a webhook of Slack, Mattermost and most others reads, or a card for Teams."""
    host = urlsplit(url).hostname or ""
    if not host.endswith(TEAMS_HOSTS):
        return {"text": text[:MAX_TEXT]}
    block = {"type": "TextBlock", "text": text[:MAX_TEXT], "wrap": True}
    card = {"type": "AdaptiveCard", "version": "1.4", "body": [block]}
    attachment = {"contentType": "application/vnd.microsoft.card.adaptive", "content": card}
    return {"type": "message", "text": text[:MAX_TEXT], "attachments": [attachment]}


def _post_all(urls: Sequence[str], text: str) -> Iterator[AlarmResult]:
    for url in urls:
        yield _try(urlsplit(url).hostname or "", partial(_post, url, text))


def _try(target: str, send: Callable[[], None]) -> AlarmResult:
    try:
        send()
    except (OSError, HTTPException, smtplib.SMTPException, URLError, ValueError) as error:
        return AlarmResult(target, str(error)[:200] or type(error).__name__)
    return AlarmResult(target)


def _post(url: str, text: str) -> None:
    body = json.dumps(payload(url, text)).encode()
    request = Request(url, body, {"Content-Type": "application/json"})  # noqa: S310 - http(s) only, by the settings
    with _OPENER.open(request, timeout=TIMEOUT_S):
        pass


def _send_mail(settings: Settings, subject: str, text: str) -> None:
    server = urlsplit(settings.smtp_url)
    mail = EmailMessage()
    mail["Subject"] = " ".join(subject.split())[:200]
    mail["From"] = f"newszop@{urlsplit(settings.public_url).hostname}"
    mail["To"] = ", ".join(settings.alarm_emails)
    mail.set_content(text)
    host, port = server.hostname or "", server.port or MAIL_PORTS[server.scheme]
    context = ssl.create_default_context()
    if server.scheme == "smtps":
        connection: smtplib.SMTP = smtplib.SMTP_SSL(host, port, timeout=TIMEOUT_S, context=context)
    else:
        connection = smtplib.SMTP(host, port, timeout=TIMEOUT_S)
    with connection:
        if server.scheme == "smtp" and server.username:
            connection.starttls(context=context)
        if server.username:
            connection.login(unquote(server.username), unquote(server.password or ""))
        connection.send_message(mail)
