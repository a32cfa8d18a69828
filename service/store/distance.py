"""How far away the database is: a round trip on the network, without the work of either side."""

import os
import socket
import struct
from typing import cast

import psycopg
from sqlmodel import Session

_TCP_INFO = getattr(socket, "TCP_INFO", None)
_MIN_RTT = struct.Struct("@I")
_MIN_RTT_AT = 148
"""Where `struct tcp_info` of Linux (4.9, include/uapi/linux/tcp.h) has `tcpi_min_rtt`, in us."""
_UNKNOWN = 0xFFFFFFFF


def shortest_round_trip_s(session: Session) -> float:
    """Return the shortest that the kernel has seen on the session's connection, in seconds.

    0 where it does not say: on a unix socket, and outside Linux. Behind a pooler it is the
    pooler's distance.
    """
    driver = cast("psycopg.Connection", session.connection().connection.driver_connection)
    with socket.socket(fileno=os.dup(driver.fileno())) as link:
        return _read_round_trip_s(link)


def _read_round_trip_s(link: socket.socket) -> float:
    if _TCP_INFO is None or link.family not in (socket.AF_INET, socket.AF_INET6):
        return 0.0
    try:
        information = link.getsockopt(socket.IPPROTO_TCP, _TCP_INFO, _MIN_RTT_AT + _MIN_RTT.size)
    except OSError:  # a kernel that refuses to say
        return 0.0
    if len(information) < _MIN_RTT_AT + _MIN_RTT.size:
        return 0.0
    (microseconds,) = _MIN_RTT.unpack_from(information, _MIN_RTT_AT)
    return 0.0 if microseconds == _UNKNOWN else float(microseconds) / 1e6
