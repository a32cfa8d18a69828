"""Large answers leave in parts, so that a caller who reads slowly holds a part of one and no more.

The server copies what it is given and keeps the copy until the other end has taken it. Given a page
of 8 MiB at once it would keep one for each such caller; a part is asked for when the one before has
found room.
"""

from starlette.types import Message, Send

PART_BYTES = 64 * 1024


def in_parts(send: Send) -> Send:
    """Return what sends an answer's body in parts of at most `PART_BYTES`."""

    async def send_in_parts(message: Message) -> None:
        body: bytes = message.get("body", b"")
        if len(body) <= PART_BYTES:
            await send(message)
            return
        last = (len(body) - 1) // PART_BYTES * PART_BYTES
        for start in range(0, last, PART_BYTES):
            part = body[start : start + PART_BYTES]
            await send({"type": message["type"], "body": part, "more_body": True})
        await send({**message, "body": body[last:]})

    return send_in_parts
