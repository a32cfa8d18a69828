"""What a story is about: the codes of many senders to our topic paths."""

import re
from collections.abc import Iterable, Mapping

from service.formats.incoming import Subject
from service.formats.media_topic_roots import ROOT_PATHS
from service.formats.text import plain_line, search_key

MAX_SUBJECTS = 100
_IPTC_URI = re.compile(r"https?://(?:cv\.iptc\.org|show\.newscodes\.org)/newscodes/(\w+)/(\d{8})/?")
_QCODE = re.compile(r"(medtop|mediatopic|mt|subj|subjectcode|iptc):(\d{8})", re.IGNORECASE)
_DIGITS = re.compile(r"\d{8}")
_SCHEMES = {"medtop": "medtop", "mediatopic": "medtop", "mt": "medtop", "subj": "subj"} | {
    "subjectcode": "subj",
    "iptc": "subj",
}
_ROOT_DIGITS = 2
_SUBJECT_CODE_TAIL = 6


def subject_code(code: str, scheme: str = "") -> str:
    """Return a code in one spelling: `medtop:15000000`, `subj:15054000`, a URI, `scheme:code`.

    A bare number of eight digits that begins with 01 to 17 is a Subject Code, as agencies that say
    no scheme write them; one that begins with 2 is a Media Topic.
    """
    text = code.strip()
    for name in (text, f"{scheme.rstrip('/')}/{text}", f"{scheme}:{text}"):
        uri = _IPTC_URI.fullmatch(name)
        if uri and uri[1].lower() in _SCHEMES:
            return f"{_SCHEMES[uri[1].lower()]}:{uri[2]}"
        qcode = _QCODE.fullmatch(name)
        if qcode:
            return f"{_SCHEMES[qcode[1].lower()]}:{qcode[2]}"
    if not scheme and _DIGITS.fullmatch(text):
        if f"{text[:_ROOT_DIGITS]}000000" in ROOT_PATHS:
            return f"subj:{text}"
        return f"medtop:{text}" if text.startswith("2") else text
    if not text or not scheme:
        return text
    return f"{scheme}{text}" if scheme.endswith(("/", "#", ":")) else f"{scheme}:{text}"


def make_subject(code: str, name: str = "", scheme: str = "") -> Subject | None:
    """Return a subject of a code, a name or both; None without either."""
    subject = Subject(subject_code(code, scheme)[:300], plain_line(name)[:200])
    return subject if subject.code or subject.name else None


def distinct(subjects: Iterable[Subject | None]) -> tuple[Subject, ...]:
    """Return the subjects, each once, in their order, at most a hundred."""
    return tuple(dict.fromkeys(subject for subject in subjects if subject))[:MAX_SUBJECTS]


def built_in_aliases() -> dict[str, str]:
    """Return the topic paths of the 17 roots by their codes."""
    return {f"medtop:{code}": path for code, path in ROOT_PATHS.items()}


def topic_paths(subjects: Iterable[Subject], aliases: Mapping[str, str]) -> tuple[str, ...]:
    """Return the paths that the subjects stand for, each once.

    `aliases` maps codes to paths, and names in their search key to paths. A Subject Code that has
    no alias stands for its root: both vocabularies have the same 17.
    """
    paths = (_path_of(subject, aliases) for subject in subjects)
    return tuple(dict.fromkeys(path for path in paths if path))


def _path_of(subject: Subject, aliases: Mapping[str, str]) -> str | None:
    path = aliases.get(subject.code) or aliases.get(search_key(subject.name))
    if path is None and subject.code.startswith("subj:"):
        root = subject.code.removeprefix("subj:")[:_ROOT_DIGITS] + "0" * _SUBJECT_CODE_TAIL
        return aliases.get(f"medtop:{root}")
    return path
