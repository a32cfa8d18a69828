"""QR codes as SVG paths: a page draws one without a script, a style attribute or a picture."""

from dataclasses import dataclass

import segno

QUIET_ZONE = 4
"""Modules around a code that stay light (ISO/IEC 18004, 6.3.8)."""


@dataclass(frozen=True, slots=True)
class QrCode:
    """A code: the side of its box in modules, and the path of the dark ones."""

    side: int
    path: str


def draw_qr_code(text: str) -> QrCode:
    """Return the code of a text; each run of dark modules in a row is one part of the path."""
    matrix = segno.make(text, error="m", micro=False).matrix
    parts: list[str] = []
    for y, row in enumerate(matrix, QUIET_ZONE):
        run = 0
        for x, module in enumerate([*row, 0]):
            if module:
                run += 1
            elif run:
                parts.append(f"M{x - run + QUIET_ZONE},{y}h{run}v1h-{run}z")
                run = 0
    return QrCode(len(matrix) + 2 * QUIET_ZONE, "".join(parts))
