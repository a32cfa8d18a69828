"""QR codes are drawn as the standard's matrix says, with light around them."""

import re

import segno

from service.domain import one_time_code
from service.web.qr_codes import QUIET_ZONE, draw_qr_code


def test_the_path_covers_the_dark_modules_and_no_others():
    text = one_time_code.address("JBSWY3DPEHPK3PXP", "an editor@news.example", "Newszop")
    code = draw_qr_code(text)
    dark = set()
    for x, y, width, back in re.findall(r"M(\d+),(\d+)h(\d+)v1h-(\d+)z", code.path):
        assert width == back
        dark |= {(int(x) + n, int(y)) for n in range(int(width))}
    matrix = segno.make(text, error="m", micro=False).matrix
    assert code.side == len(matrix) + 2 * QUIET_ZONE
    assert dark == {
        (x + QUIET_ZONE, y + QUIET_ZONE)
        for y, row in enumerate(matrix)
        for x, module in enumerate(row)
        if module
    }
