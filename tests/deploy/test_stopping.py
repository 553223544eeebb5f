"""A replica that is told to stop under load loses no request."""

import http.client
import json
import threading

import pytest

pytestmark = [pytest.mark.enable_socket, pytest.mark.allow_hosts(["127.0.0.1"]), pytest.mark.slow]

CLIENTS = 6


class Caller(threading.Thread):
    """Posts over one connection, one request after the other, until it is told to connect anew."""

    def __init__(self, port, post, warm):
        super().__init__()
        self.statuses = []
        self.problem = None
        self.was_told = False
        self._port, self._post, self._warm = port, post, warm

    def run(self):
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=120)
        try:
            while not self.was_told:
                connection.request("POST", self._post.path, self._post.body, {"Content-Type": self._post.media_type})
                answer = connection.getresponse()
                answer.read()
                self.statuses.append(answer.status)
                self.was_told = answer.getheader("Connection") == "close"
                self._warm.release()
        except (OSError, http.client.HTTPException) as error:
            self.problem = error
            self._warm.release()
        finally:
            connection.close()


@pytest.mark.fault("SIGTERM under load", "every caller is answered and told to connect anew; exit status 0")
def test_every_request_is_answered_every_caller_told_and_the_exit_status_is_0(replica, frame):
    warm = threading.Semaphore(0)
    callers = [Caller(replica.port, frame, warm) for _ in range(CLIENTS)]
    for caller in callers:
        caller.start()
    for _ in range(3 * CLIENTS):
        assert warm.acquire(timeout=120)

    assert replica.stop() == 0

    for caller in callers:
        caller.join(120)
    assert [caller.problem for caller in callers] == [None] * CLIENTS
    assert [caller.was_told for caller in callers] == [True] * CLIENTS
    assert {status for caller in callers for status in caller.statuses} == {200}
    levels = {json.loads(line)["level"] for line in replica.log.read_text(encoding="utf-8").splitlines()}
    assert levels <= {"info", "warning"}
