"""IANA time zones by the package `tzdata` that is pinned with us, and by nothing else.

Systems and databases have lists of their own: Debian 13 keeps the older names (`Asia/Calcutta`,
`US/Eastern`) in a package that is not always installed. So names are judged and local times are
computed from our own data, the same in every process.
"""

from collections.abc import Mapping
from datetime import UTC, datetime, time, tzinfo
from functools import cache
from importlib.resources import files
from zoneinfo import ZoneInfo

_DATA = files("tzdata") / "zoneinfo"
_LINK, _ZONE = "L ", "Z "
_PLACES_FILE = "zone.tab"
_RULES_FILE = "tzdata.zi"
_UTC_NAMES = frozenset({"Etc/UTC", "Etc/UCT", "Etc/Universal", "Etc/Zulu"})
_NOT_A_PLACE = "Factory"


def canonical_name(name: str) -> str | None:
    """Return the name by which we keep a zone; None when there is no such zone.

    An older spelling (`Asia/Calcutta`, `Europe/Kiev`, `US/Eastern`) becomes the present one. A
    place that merely has the same clock as another (`Europe/Stockholm`) keeps its own name, and
    every form of UTC is `UTC`.
    """
    return _canonical_names().get(name)


def canonical_names() -> frozenset[str]:
    """Return every name by which we keep a zone."""
    return frozenset(_canonical_names().values())


def local_time(name: str, moment: datetime) -> time:
    """Return the wall-clock time of a zone at a moment; a zone that we do not know keeps UTC."""
    return moment.astimezone(load_zone(name) or UTC).time()


def load_zone(name: str) -> tzinfo | None:
    """Return the zone of a present or an older name; None when there is no such zone."""
    return _load(name) if name in _canonical_names() else None


@cache
def _load(name: str) -> tzinfo:
    """Read a zone that the data has: as many are kept as the data has names."""
    with _DATA.joinpath(*name.split("/")).open("rb") as file:
        return ZoneInfo.from_file(file, key=name)


@cache
def _canonical_names() -> Mapping[str, str]:
    """Return every name that the data has, with the name by which we keep it."""
    lines = (_DATA / _RULES_FILE).read_text(encoding="ascii").splitlines()
    places = _place_names()
    names = {line.split()[1]: line.split()[1] for line in lines if line.startswith(_ZONE)}
    for line in lines:
        if line.startswith(_LINK):
            _, target, alias = line.split()
            names[alias] = alias if alias in places else target
    del names[_NOT_A_PLACE]
    return {alias: "UTC" if name in _UTC_NAMES else name for alias, name in names.items()}


def _place_names() -> frozenset[str]:
    """Return the zones that stand for a place of some country: the file's third column."""
    lines = (_DATA / _PLACES_FILE).read_text(encoding="utf-8").splitlines()
    return frozenset(line.split("\t")[2] for line in lines if line and not line.startswith("#"))
