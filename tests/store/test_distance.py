"""How far away the database is, as the kernel knows it."""

import socket
import struct

import pytest

from service.store import distance
from service.store.distance import shortest_round_trip_s


class Link:
    """A socket of which the kernel says this much."""

    def __init__(self, information, family=socket.AF_INET):
        self.information, self.family = information, family

    def getsockopt(self, _level, _option, size):
        return self.information[:size]


def information(microseconds):
    return bytes(148) + struct.pack("@I", microseconds) + bytes(80)


@pytest.mark.parametrize(
    ("link", "seconds"),
    [
        (Link(information(10_250)), 0.01025),
        (Link(information(14), socket.AF_INET6), 0.000014),
        (Link(information(0xFFFFFFFF)), 0.0),
        (Link(information(10_250)[:148]), 0.0),
        (Link(information(10_250), socket.AF_UNIX), 0.0),
    ],
)
def test_the_shortest_round_trip_is_read_where_the_kernel_says_it(link, seconds):
    assert distance._read_round_trip_s(link) == pytest.approx(seconds)


def test_reading_it_leaves_the_connection_usable(session):
    assert 0 <= shortest_round_trip_s(session) < 1
    assert 0 <= shortest_round_trip_s(session) < 1
    assert session.connection().exec_driver_sql("SELECT 1").scalar_one() == 1
