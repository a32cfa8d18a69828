"""The fields of an FCM v1 send request, as the REST reference lists them, and their types.

Google's parser takes each name in camelCase or in snake_case, and refuses what it does not know.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any

Check = Callable[[Any], None]


class Violation(Exception):
    """A field that breaks the schema. `field` is its path from the request's root."""

    def __init__(self, field: str, description: str) -> None:
        super().__init__(description)
        self.path = [field] if field else []
        self.description = description

    @property
    def field(self) -> str:
        """Return the path in Google's spelling."""
        return ".".join(reversed(self.path)).replace(".[", "[")


class InvalidValue(Exception):
    """A value of the wrong type or form; the check of the object around it adds the path."""


def fields(**checks: Check) -> Check:
    """Return the check of an object with these fields, given in camelCase."""
    by_name = dict(checks)
    by_name |= {_to_snake_case(name): check for name, check in checks.items()}

    def check(value: Any) -> None:
        if not isinstance(value, dict):
            raise InvalidValue("TYPE_MESSAGE")
        for name, inner in value.items():
            field_check = by_name.get(name)
            if field_check is None:
                raise Violation("", f'Unknown name "{name}"')
            if inner is None:
                continue
            try:
                field_check(inner)
            except Violation as violation:
                violation.path.append(name)
                raise
            except InvalidValue as invalid:
                raise Violation(name, str(invalid)) from None

    return check


def _to_snake_case(name: str) -> str:
    return re.sub(r"([A-Z])", lambda match: "_" + match[0].lower(), name)


def string(value: Any) -> None:
    """Accept a string."""
    if not isinstance(value, str):
        raise InvalidValue("TYPE_STRING")


def boolean(value: Any) -> None:
    """Accept true or false."""
    if not isinstance(value, bool):
        raise InvalidValue("TYPE_BOOL")


def integer(value: Any) -> None:
    """Accept a whole number."""
    if not isinstance(value, int) or isinstance(value, bool):
        raise InvalidValue("TYPE_INT32")


def number(value: Any) -> None:
    """Accept any number."""
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise InvalidValue("TYPE_FLOAT")


def struct(value: Any) -> None:
    """Accept any object."""
    if not isinstance(value, dict):
        raise InvalidValue("type.googleapis.com/google.protobuf.Struct")


def strings(value: Any) -> None:
    """Accept a list of strings."""
    if not isinstance(value, list):
        raise InvalidValue("TYPE_STRING")
    for each in value:
        string(each)


def strings_by_name(value: Any) -> None:
    """Accept an object whose values are all strings; Google names a bad entry by its number."""
    if not isinstance(value, dict):
        raise InvalidValue("TYPE_MESSAGE")
    for place, inner in enumerate(value.values()):
        if not isinstance(inner, str):
            violation = Violation("value", "TYPE_STRING")
            violation.path.append(f"[{place}]")
            raise violation


DURATION = re.compile(r"-?\d+(?:\.\d{1,9})?s")


def duration(value: Any) -> None:
    """Accept seconds as "3.5s"."""
    if not isinstance(value, str) or not DURATION.fullmatch(value):
        raise InvalidValue("type.googleapis.com/google.protobuf.Duration")


def durations(value: Any) -> None:
    """Accept a list of durations."""
    if not isinstance(value, list):
        raise InvalidValue("type.googleapis.com/google.protobuf.Duration")
    for each in value:
        duration(each)


def one_of(*names: str) -> Check:
    """Return the check of an enumeration."""
    values = set(names)

    def check(value: Any) -> None:
        if not isinstance(value, str) or value not in values:
            raise InvalidValue("TYPE_ENUM")

    return check


COLOUR = fields(red=number, green=number, blue=number, alpha=number)
ANDROID_DISPLAY: dict[str, Check] = {
    "title": string,
    "body": string,
    "icon": string,
    "color": string,
    "sound": string,
    "tag": string,
    "clickAction": string,
    "bodyLocKey": string,
    "bodyLocArgs": strings,
    "titleLocKey": string,
    "titleLocArgs": strings,
    "channelId": string,
    "ticker": string,
    "sticky": boolean,
    "eventTime": string,
    "localOnly": boolean,
    "defaultSound": boolean,
    "defaultVibrateTimings": boolean,
    "defaultLightSettings": boolean,
    "vibrateTimings": durations,
    "notificationCount": integer,
    "notificationPriority": one_of(
        "PRIORITY_UNSPECIFIED",
        "PRIORITY_MIN",
        "PRIORITY_LOW",
        "PRIORITY_DEFAULT",
        "PRIORITY_HIGH",
        "PRIORITY_MAX",
    ),
    "visibility": one_of("VISIBILITY_UNSPECIFIED", "PRIVATE", "PUBLIC", "SECRET"),
    "lightSettings": fields(color=COLOUR, lightOnDuration=duration, lightOffDuration=duration),
    "image": string,
    "bypassProxyNotification": boolean,
    "proxy": one_of("PROXY_UNSPECIFIED", "ALLOW", "DENY", "IF_PRIORITY_LOWERED"),
}
LABEL = fields(analyticsLabel=string)
ANDROID: dict[str, Check] = {
    "collapseKey": string, "ttl": duration, "restrictedPackageName": string,
    "data": strings_by_name, "fcmOptions": LABEL, "directBootOk": boolean,
    "bandwidthConstrainedOk": boolean, "restrictedSatelliteOk": boolean,
}  # fmt: skip
MESSAGE = fields(
    name=string,
    data=strings_by_name,
    notification=fields(title=string, body=string, image=string),
    android=fields(
        **ANDROID,
        notification=fields(**ANDROID_DISPLAY),
        priority=one_of("NORMAL", "HIGH", "normal", "high"),
    ),
    androidV2=fields(
        **ANDROID,
        remoteNotification=fields(
            mutableContent=boolean,
            useAsV1DataMessage=boolean,
            notification=fields(**ANDROID_DISPLAY, id=integer),
        ),
        backgroundSync=fields(),
    ),
    webpush=fields(
        headers=strings_by_name,
        data=strings_by_name,
        notification=struct,
        fcmOptions=fields(link=string, analyticsLabel=string),
    ),
    apns=fields(
        headers=strings_by_name,
        payload=struct,
        fcmOptions=fields(analyticsLabel=string, image=string),
        liveActivityToken=string,
    ),
    fcmOptions=LABEL,
    token=string,
    fid=string,
    topic=string,
    condition=string,
)
REQUEST = fields(message=MESSAGE, validateOnly=boolean)


def check_schema(content: Mapping[str, Any]) -> None:
    """Raise `Violation` with the path of the first field that breaks the schema."""
    REQUEST(content)
