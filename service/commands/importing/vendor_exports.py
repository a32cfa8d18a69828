"""Exports of push services, as their vendors give them, read as lines of our own import.

A file is CSV with a header, JSON lines, or one token a line; in UTF-8 or UTF-16, with or without a
byte order mark, with any ends of lines. Nothing here touches the database.
"""

import codecs
import csv
import io
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from io import BufferedReader
from itertools import chain
from typing import Any

from service.commands.importing.reader_import import MAX_LINE, Misfit

Record = Mapping[str, Any]
_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
FALSE = frozenset({"", "0", "f", "false", "n", "no", "off", "none", "null"})

_NOTHING = Misfit("")
"""A blank line, or a header: it counts among the lines."""


class Form(StrEnum):
    """Whose export it is."""

    OURS = "ours"
    ONESIGNAL = "onesignal"
    AIRSHIP = "airship"
    FIREBASE = "firebase"
    WEBPUSH = "webpush"


COLUMNS: Mapping[Form, Mapping[str, str]] = {
    Form.OURS: {},
    Form.ONESIGNAL: {
        "address": "identifier",
        "kind": "device_type",
        "auth": "web_auth",
        "p256dh": "web_p256",
        "tags": "tags",
        "language": "language",
        "timezone": "timezone_id",
        "dead": "invalid_identifier",
    },
    Form.AIRSHIP: {
        "address": "push_address",
        "kind": "device_type",
        "tags": "tags",
        "language": "locale_language",
        "timezone": "timezone",
        "alive": "opt_in",
    },
    Form.FIREBASE: {"address": "token", "tags": "topics", "language": "language"},
    Form.WEBPUSH: {"address": "endpoint", "p256dh": "p256dh", "auth": "auth", "tags": "tags"},
}
"""Where each form has what we take; a column of ours that is not named has our own name."""
_KINDS: Mapping[Form, Mapping[str, str]] = {
    Form.ONESIGNAL: {
        "0": "apns",
        "1": "fcm",
        "5": "webpush",
        "7": "webpush",
        "8": "webpush",
        "13": "hms",
        "iospush": "apns",
        "androidpush": "fcm",
        "chromepush": "webpush",
        "firefoxpush": "webpush",
        "safaripush": "webpush",
        "huaweipush": "hms",
    },
    Form.AIRSHIP: {"ios": "apns", "android": "fcm", "web": "webpush"},
}
"""Which provider reaches a kind of device; kinds that are not here are none of ours (e-mail)."""
_PROVIDERS: Mapping[Form, str] = {Form.FIREBASE: "fcm", Form.WEBPUSH: "webpush"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """How an export is read.

    `columns` says where the file has what we take, by our names, where it differs from the form's
    own. `topics` are by the vendor's tag (`name` or `name=value`). `provider` is that of lines
    that do not say. `vapid_key` is the public key that browsers subscribed with.
    """

    form: Form = Form.OURS
    columns: Mapping[str, str] = field(default_factory=dict)
    topics: Mapping[str, str] = field(default_factory=dict)
    provider: str = ""
    vapid_key: str | None = None

    def line_of(self, record: Record) -> dict[str, Any]:
        """Return a record as a line of our own; raises ValueError that says what is wrong."""
        names = COLUMNS[self.form]
        provider = self._provider(record, names)
        if self._text(record, names, "dead").lower() not in FALSE:
            raise ValueError("the vendor knows that the address is dead")
        opt_in = self._column(names, "alive")
        if opt_in in record and self._text(record, names, "alive").lower() in FALSE:
            raise ValueError("the reader has not opted in")
        line: dict[str, Any] = {"provider": provider, "address": self._address(record, names)}
        keys = self._keys(record, names)
        if keys:
            line["keys"] = keys
        for name in ("language", "timezone", "locale"):
            if value := self._text(record, names, name):
                line[name] = value
        tags = self._value(record, names, "tags")
        line["topics"] = sorted({self.topics[tag] for tag in _tags(tags) if tag in self.topics})
        return line

    def _provider(self, record: Record, names: Mapping[str, str]) -> str:
        kinds = _KINDS.get(self.form)
        if kinds is None or (self.provider and self._column(names, "kind") not in record):
            fixed = self.provider or _PROVIDERS.get(self.form, "")
            return fixed or self._text(record, names, "provider")
        kind = self._text(record, names, "kind").lower()
        if kind not in kinds:
            raise ValueError(f"a device of the kind {kind[:20]!r} is none that we push to")
        return kinds[kind]

    def _address(self, record: Record, names: Mapping[str, str]) -> str:
        address = self._text(record, names, "address")
        if not address:
            raise ValueError(f"it has no address (column {self._column(names, 'address')!r})")
        return address

    def _keys(self, record: Record, names: Mapping[str, str]) -> dict[str, str]:
        nested = record.get("keys")
        source = nested if isinstance(nested, Mapping) else record
        values = {name: self._text(source, names, name) for name in ("p256dh", "auth")}
        if not any(values.values()):
            return {}
        return values | ({"vapid_key": self.vapid_key} if self.vapid_key else {})

    def _text(self, record: Record, names: Mapping[str, str], name: str) -> str:
        value = self._value(record, names, name)
        return "" if value is None else str(value).strip()

    def _value(self, record: Record, names: Mapping[str, str], name: str) -> Any:
        return record.get(self._column(names, name))

    def _column(self, names: Mapping[str, str], name: str) -> str:
        return self.columns.get(name, names.get(name, name))


def read_export(file: BufferedReader, reading: Reading) -> Iterator[str | Misfit]:
    """Yield each line of an export as a line of our own import; what is broken says why."""
    for record in _records(decode_lines(file), reading):
        if isinstance(record, Misfit):
            yield record
            continue
        try:
            yield json.dumps(reading.line_of(record))
        except ValueError as error:
            yield Misfit(str(error))


def decode_lines(file: BufferedReader) -> Iterator[str]:
    """Yield the text of a file line by line, whatever its encoding, without byte order mark."""
    head = file.peek(4)[:4]
    mark, encoding = next(((m, e) for m, e in _MARKS if head.startswith(m)), (b"", ""))
    if not encoding:
        encoding = "utf-16-be" if head[:1] == b"\0" else "utf-8"
        encoding = "utf-16-le" if head[1:2] == b"\0" else encoding
    file.read(len(mark))
    # not splitlines: a JSON text may have other separators within its values
    lines = io.TextIOWrapper(file, encoding, errors="replace")
    try:
        yield from lines
    finally:
        lines.detach()  # the file is its opener's to close


def _records(lines: Iterator[str], reading: Reading) -> Iterator[Record | Misfit]:
    first = next(lines, "")
    every = chain([first], lines)
    if first.lstrip().startswith("{"):
        return _json_records(every)
    address = reading.columns.get("address") or COLUMNS[reading.form].get("address", "address")
    delimiter = max(",;\t", key=first.count)
    if address in next(csv.reader([first], delimiter=delimiter), []):
        return _csv_records(every, delimiter)
    return ({address: line.strip()} if line.strip() else _NOTHING for line in every)


def _json_records(lines: Iterable[str]) -> Iterator[Record | Misfit]:
    for line in lines:
        if not line.strip():
            yield _NOTHING
            continue
        try:
            value = json.loads(line) if len(line) <= MAX_LINE else None
        except (ValueError, RecursionError):
            value = None
        yield value if isinstance(value, dict) else Misfit("is not a line of one JSON object")


def _csv_records(lines: Iterable[str], delimiter: str) -> Iterator[Record | Misfit]:
    rows = csv.reader(lines, delimiter=delimiter)
    header = [name.strip() for name in next(rows)]
    yield _NOTHING
    while True:
        try:
            row = next(rows)
        except StopIteration:
            return
        except csv.Error as error:
            yield Misfit(f"is no row of CSV ({error})")
            continue
        if not any(row):
            yield _NOTHING
        elif len(row) != len(header):
            yield Misfit(f"has {len(row)} columns, and the header has {len(header)}")
        else:
            yield dict(zip(header, row, strict=True))


def _tags(value: Any) -> Iterator[str]:
    """Yield the tags of a device, from a list, an object, or either as text."""
    if isinstance(value, str):
        text = value.strip()
        try:
            value = (
                json.loads(text) if text[:1] in ("{", "[") else text.replace(";", ",").split(",")
            )
        except ValueError:
            value = []
    if isinstance(value, Mapping):
        for name, each in value.items():
            yield f"{name}={each}"
            if str(each).strip().lower() not in FALSE:
                yield str(name)
    elif isinstance(value, Sequence):
        yield from (str(each).strip() for each in value)
