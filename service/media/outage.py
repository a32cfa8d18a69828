"""The refusal when pictures cannot be stored or read."""

import structlog

from service.domain.errors import Unavailable

log = structlog.get_logger()

RETRY_AFTER_S = 5


def storage_outage(place: str, reason: str) -> Unavailable:
    """Return the refusal, and log why: that is for the operator and not for the caller.

    The reason is its note, which the doctor tells.
    """
    log.warning("picture storage failed", place=place, reason=reason)
    refusal = Unavailable("The storage of pictures does not answer: try again.", RETRY_AFTER_S)
    refusal.add_note(reason)
    return refusal
