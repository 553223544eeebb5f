"""Head and body of an answer leave in one piece.

uvicorn writes the head, then the body, and the event loop sends each at once. A process that is killed between the two
leaves a head without a body: a load balancer that has passed the head on can ask no other replica any more, and the
caller loses an answer. It is a second call of the system for each answer, too.
"""

import asyncio
from typing import Any

LARGEST_BYTES = 1 << 18
"""More than this is sent without waiting for what else there is: a larger answer leaves in several pieces anyway."""


class GatheringTransport:
    """What is written within one turn of the event loop, sent at its end; all else is the transport's own.

    Parameters
    ----------
    transport
        Of the connection.
    loop
        Whose turns count.
    """

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._loop = loop
        self._held: list[bytes] = []
        self._held_bytes = 0

    def write(self, data: bytes) -> None:
        """Hold bytes until the turn ends, or send all that is held where it is much."""
        if not data:
            return
        if not self._held:
            self._loop.call_soon(self.flush)
        self._held.append(data)
        self._held_bytes += len(data)
        if self._held_bytes > LARGEST_BYTES:
            self.flush()

    def flush(self) -> None:
        """Send what is held."""
        held, self._held, self._held_bytes = self._held, [], 0
        if held:
            self._transport.write(held[0] if len(held) == 1 else b"".join(held))

    def close(self) -> None:
        """Send what is held, then close."""
        self.flush()
        self._transport.close()

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever the transport has
        return getattr(self._transport, name)
