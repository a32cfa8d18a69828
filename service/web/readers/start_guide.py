"""What an app does, call by call: the one source of the page `/docs/start` and of its test.

A step is a call of the API, or a line of shell, with what is expected of it. The page shows each as
a command; `tests/journeys/test_developers.py` takes the commands from the page and runs them.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

_VARIABLE = re.compile(r"\$[A-Z][A-Z0-9_]*")
READER, BACKEND = "$TOKEN", "$ADMIN_KEY"
JSON_TYPE = "Content-Type: application/json"
READER_MEMBERS = ("id", "language", "timezone", "quiet_hours")


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One command. `$NAME` in its path, body and token is a variable of the shell.

    `members` are what the answer has at least. `keeps` has the variables that later commands need:
    each is a member of the answer, where that has it.
    """

    title: str
    text: str
    method: str
    path: str
    status: int
    token: str = ""
    body: Mapping[str, Any] | None = None
    members: Sequence[str] = ()
    keeps: Mapping[str, str] = field(default_factory=dict)

    @property
    def command(self) -> str:
        """The call as a command for a POSIX shell."""
        lines = [f'curl -X {self.method} "$SERVER{self.path}"']
        if self.token:
            lines.append(f'-H "Authorization: Bearer {self.token}"')
        if self.body is not None:
            lines += [f'-H "{JSON_TYPE}"', f"-d {_quote(json.dumps(self.body))}"]
        return " \\\n  ".join(lines)


@dataclass(frozen=True, slots=True, kw_only=True)
class Script:
    """Lines of shell that set one variable."""

    title: str
    text: str
    command: str
    variable: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Platform:
    """What one kind of app does, in its order; `anchor` is its place on the page."""

    anchor: str
    name: str
    text: str
    variables: Mapping[str, str]
    steps: Sequence[Step]


def _quote(text: str) -> str:
    """Return the text for the shell: as it stands, but with its variables replaced."""
    if "'" in text:
        raise ValueError("a body with an apostrophe cannot be quoted")
    return _VARIABLE.sub(lambda match: f"'\"{match[0]}\"'", f"'{text}'")


ADDRESS, NEW_ADDRESS = "$ADDRESS", "$NEW_ADDRESS"
IPHONE = {
    "APP": "apns",
    "ADDRESS": "00fc13adff785122b4ad28809a3420982341241421348097878e577c991de8f0",
    "NEW_ADDRESS": "00fc13adff785122b4ad28809a3420982341241421348097878e577c991de8f1",
}
ANDROID = {
    "APP": "fcm",
    "ADDRESS": "cYp3kQ2mTn6sVb8wXz1AbC:APA91bE-example-of-a-registration-token-0",
    "NEW_ADDRESS": "cYp3kQ2mTn6sVb8wXz1AbC:APA91bE-example-of-a-registration-token-1",
}
WEB = {
    "APP": "webpush",
    "ADDRESS": "https://updates.push.services.mozilla.com/wpush/v2/gAAAAABexample-0",
    "NEW_ADDRESS": "https://updates.push.services.mozilla.com/wpush/v2/gAAAAABexample-1",
    "P256DH": "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvT"
    "BHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4",
    "AUTH": "BTBZMqHH6r4Tts7J_aSIgg",
}
"""A browser's keys are those of RFC 8291, section 5."""

SIGN_LOGIN = Script(
    title="Sign a login",
    text="On your server, when a reader has signed in there: a JWT that says who it is (sub, your "
    "own id), for which app (aud), and until when (exp, an hour ahead at most). Every JWT library "
    "does this; in a shell it is",
    command="""\
encode() { openssl base64 -A | tr '+/' '-_' | tr -d '='; }
HEAD=$(printf '{"alg":"HS256","typ":"JWT"}' | encode)
CLAIMS=$(printf '{"sub":"reader-17","aud":"%s","exp":%d}' "$APP" $(($(date +%s) + 300)) | encode)
SIGNATURE=$(printf %s "$HEAD.$CLAIMS" | openssl dgst -sha256 -hmac "$LOGIN_SECRET" -binary | encode)
LOGIN_TOKEN=$HEAD.$CLAIMS.$SIGNATURE""",
    variable="LOGIN_TOKEN",
)
SET_LOGIN_KEY = Step(
    title="Give the app a login key",
    text="Once, on the app's page in Control or so. The key is a secret of 32 characters or more, "
    "or a P-256 public key.",
    method="PATCH",
    path="/api/admin/apps/$APP",
    token=BACKEND,
    body={"login_key": "$LOGIN_SECRET"},
    status=200,
)
LIST_TOPICS = Step(
    title="List the topics",
    text="Every topic that a reader can follow; who follows one follows all below it.",
    method="GET",
    path="/api/topics?limit=5",
    status=200,
    members=("items", "next"),
)
_FETCH_KEY = Step(
    title="Fetch the key to subscribe with",
    text="It is the applicationServerKey of pushManager.subscribe(). When it changes, subscribe "
    "again.",
    method="GET",
    path="/api/web-apps/$APP",
    status=200,
    members=("name", "vapid_key", "prompt"),
    keeps={"VAPID_KEY": "vapid_key"},
)


def _become_reader() -> Step:
    return Step(
        title="Become a reader",
        text="At the first start. Keep the token on the device: it is shown this once, and all "
        "other calls need it.",
        method="POST",
        path="/api/readers",
        body={"language": "en", "timezone": "Europe/Berlin"},
        status=201,
        members=("id", "token"),
        keeps={"TOKEN": "token"},
    )


def _register(when: str, device: Mapping[str, Any]) -> Step:
    return Step(
        title="Register",
        text=when,
        method="PUT",
        path="/api/me/devices",
        token=READER,
        body=device,
        status=201,
        members=("id",),
        keeps={"DEVICE": "id"},
    )


def _after_registration(device: Mapping[str, Any]) -> tuple[Step, ...]:
    """Return what every app does once it is registered."""
    return (*_device_calls(device), *_alert_calls(), *_reader_calls())


def _device_calls(device: Mapping[str, Any]) -> tuple[Step, ...]:
    moved = {**device, "address": NEW_ADDRESS, "replaces": ADDRESS}
    return (
        Step(
            title="Renew",
            text="The same call, at every start and at least once a month. 200 means that the "
            "device was known.",
            method="PUT",
            path="/api/me/devices",
            token=READER,
            body=device,
            status=200,
            members=("id",),
        ),
        Step(
            title="Rotate",
            text="When the platform gives the app another address: name the old one, so that it "
            "stays one device.",
            method="PUT",
            path="/api/me/devices",
            token=READER,
            body=moved,
            status=200,
            members=("id",),
        ),
    )


def _alert_calls() -> tuple[Step, ...]:
    return (
        Step(
            title="Follow a topic",
            text="least_urgency is quiet (all alerts), normal or breaking. DELETE ends it.",
            method="PUT",
            path="/api/me/subscriptions/$TOPIC",
            token=READER,
            body={"least_urgency": "normal"},
            status=201,
            members=("topic", "least_urgency", "muted_until"),
        ),
        Step(
            title="Send receipts",
            text="Each push has a receipt in its data. Send it back when the push is shown, and "
            "once more as opened when it is opened. No token is needed.",
            method="POST",
            path="/api/receipts",
            body={"receipt": "$RECEIPT", "kind": "opened"},
            status=204,
        ),
    )


def _reader_calls() -> tuple[Step, ...]:
    return (
        Step(
            title="Log in",
            text="With the JWT of your server. This device's follows and the person's become one. "
            "If the answer has a token, it is the reader's new one.",
            method="POST",
            path="/api/me/login",
            token=READER,
            body={"token": "$LOGIN_TOKEN"},
            status=200,
            members=READER_MEMBERS,
            keeps={"TOKEN": "token"},
        ),
        Step(
            title="Log out",
            text="The device is anonymous again, and follows nothing; the person keeps the rest.",
            method="POST",
            path="/api/me/logout",
            token=READER,
            status=200,
            members=READER_MEMBERS,
        ),
        Step(
            title="Leave",
            text="Erases this reader, with its devices and what it follows.",
            method="DELETE",
            path="/api/me",
            token=READER,
            status=204,
        ),
    )


def _platform(
    names: tuple[str, str], text: str, variables: Mapping[str, str], when: str, **device: Any
) -> Platform:
    registration = {"provider": variables["APP"], "address": ADDRESS, **device}
    is_web = "keys" in registration
    first = (_become_reader(), *((_FETCH_KEY,) if is_web else ()), _register(when, registration))
    steps = (*first, *_after_registration(registration))
    anchor, name = names
    return Platform(anchor=anchor, name=name, text=text, variables=variables, steps=steps)


PLATFORMS = (
    _platform(
        ("iphone", "iPhone and iPad"),
        "The address is the device token of didRegisterForRemoteNotificationsWithDeviceToken, as "
        "hexadecimal digits. A development build needs an app of its own with the sandbox's URL.",
        IPHONE,
        "After UIApplication.registerForRemoteNotifications(), whenever it gives a token.",
        locale="en-GB",
        app_version="5.12.0",
    ),
    _platform(
        ("android", "Android"),
        "The address is the registration token of FirebaseMessaging.getToken().",
        ANDROID,
        "After the first start, when getToken() has its result.",
        locale="pt-BR",
        app_version="5.12.0",
    ),
    _platform(
        ("web", "Web app"),
        "The script of the web kit makes all these calls: on the app's page in Control, copy two "
        "tags and one line. A page that makes them itself does this.",
        WEB,
        "With what JSON.stringify(subscription) gives: its endpoint is the address.",
        keys={"p256dh": "$P256DH", "auth": "$AUTH", "vapid_key": "$VAPID_KEY"},
    ),
)
