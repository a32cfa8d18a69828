"""What a caller's `Accept-Encoding` allows (RFC 9110, section 12.5.3)."""


def accepts_gzip(header: str) -> bool:
    """Whether the caller takes gzip: named, or meant by `*`, and not with a weight of zero."""
    weights: dict[str, float] = {}
    for part in header.split(","):
        coding, _, parameters = part.partition(";")
        weights[coding.strip().lower()] = _weight(parameters)
    for coding in ("gzip", "x-gzip", "*"):
        if coding in weights:
            return weights[coding] > 0
    return False


def _weight(parameters: str) -> float:
    name, _, value = parameters.strip().partition("=")
    if name.strip().lower() != "q":
        return 1.0
    try:
        return float(value)
    except ValueError:
        return 0.0
