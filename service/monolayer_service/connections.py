"""Connections whose callers send the head of a request slowly or not at all, or never stop sending, are closed.

uvicorn waits for a head as long as the connection lives, so that one caller with a thousand connections, each with a
byte now and then, takes every file handle of the process; and what is left of a body that is answered already it reads
to the end, if there is one. The time for a body is bounded where bodies are read.

What uvicorn refuses itself, since it is no HTTP, is refused with the one body that all errors have.
"""

import asyncio
import uuid
from http import HTTPStatus
from typing import cast

import h11
import structlog
from asgi_correlation_id import correlation_id
from uvicorn.protocols.http.h11_impl import H11Protocol, RequestResponseCycle

from monolayer_service.errors import error_response
from monolayer_service.whole_answers import GatheringTransport

log = structlog.get_logger(__name__)

INVALID_HTTP = "invalid_http"
"""Code of the error of bytes that are no HTTP/1.1, or whose head is longer than uvicorn takes before it is whole.

A longer one that is whole with the last piece that came is taken: h11 measures what it has to wait for.
"""


class PatientProtocol(H11Protocol):
    """HTTP/1.1 on one connection, with a time for every head, and for the rest of a body that is answered.

    It counts from the opening of the connection and, where a connection is used again, from the first byte that comes
    after an answer; between the two uvicorn's own time for idle connections holds.
    """

    head_seconds = 20.0
    _head_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as in uvicorn
        """Begin to wait for the first head."""
        super().connection_made(cast("asyncio.Transport", GatheringTransport(transport, self.loop)))
        self._wait_for_head()

    def data_received(self, data: bytes) -> None:
        """Take bytes in; the waiting ends when a head is whole, and begins with the first byte of the next one."""
        was_rest = self._is_rest_of_answered_body
        super().data_received(data)
        is_idle = self.conn.their_state is h11.IDLE
        if was_rest and is_idle:
            self._stop_waiting()
            if not self.conn.trailing_data[0]:  # nothing of a next head
                self._keep_alive()
                return
        if is_idle or self._is_rest_of_answered_body:
            self._wait_for_head()
        else:
            self._stop_waiting()

    def send_400_response(self, msg: str) -> None:
        """Answer bytes that are no HTTP as every other error is answered, and close the connection.

        Where an answer to the request has begun, no other one can be given: the connection is closed only. Where none
        has, the application, which may be at work on a head that was whole, finds its caller gone.
        """
        if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            self._refuse(msg)
        cycle = cast("RequestResponseCycle | None", self.cycle)  # None before the first request
        if cycle is not None and not cycle.response_complete:
            cycle.disconnected = True
            cycle.message_event.set()
        self.transport.close()

    def _refuse(self, message: str) -> None:
        request_id = uuid.uuid4().hex
        within = correlation_id.set(request_id)
        try:
            response = error_response(HTTPStatus.BAD_REQUEST, INVALID_HTTP, message)
            log.info("request refused", code=INVALID_HTTP, status=response.status_code, reason=message)
        finally:
            correlation_id.reset(within)
        headers = [*response.raw_headers, (b"x-request-id", request_id.encode()), (b"connection", b"close")]
        status = HTTPStatus(response.status_code)
        for event in (
            h11.Response(status_code=status, headers=headers, reason=status.phrase.encode()),
            h11.Data(data=bytes(response.body)),
            h11.EndOfMessage(),
        ):
            self.transport.write(self.conn.send(event))

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop waiting."""
        self._stop_waiting()
        super().connection_lost(exc)

    @property
    def _is_rest_of_answered_body(self) -> bool:
        """Whether what comes next belongs to a body that was answered before it was read."""
        return self.conn.their_state is h11.SEND_BODY and self.conn.our_state in (h11.DONE, h11.MUST_CLOSE)

    def _keep_alive(self) -> None:
        """Give the connection its time to be used again, as uvicorn does after an answer.

        It took that time away when more of the body came, and has no answer to give it back after.
        """
        self._unset_keepalive_if_required()
        self.timeout_keep_alive_task = self.loop.call_later(self.timeout_keep_alive, self.timeout_keep_alive_handler)

    def _wait_for_head(self) -> None:
        if self._head_timer is None:
            self._head_timer = self.loop.call_later(self.head_seconds, self._hang_up)

    def _stop_waiting(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _hang_up(self) -> None:
        log.info("caller was too slow with the head of a request, or did not end a body")
        self.transport.close()


def protocol_with_patience(head_seconds: float) -> type[PatientProtocol]:
    """Give the class that uvicorn makes of each connection; a caller has so many seconds for every head."""
    return type("PatientProtocol", (PatientProtocol,), {"head_seconds": head_seconds})
