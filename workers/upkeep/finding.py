"""What the doctor says of one part."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Finding:
    """One part by name, whether it is well, and a sentence: what is wrong and what to do."""

    part: str
    is_well: bool
    sentence: str
