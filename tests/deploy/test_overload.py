"""A service that is asked for more than it can do: nobody is lost, and a submission comes home whole."""

import pytest
from benchmarks.load import Post, post_all
from benchmarks.overload import ANSWERS_OF_SUBMISSION
from benchmarks.pressure import WrongTimes, press, wrong_times
from benchmarks.probes import probing
from benchmarks.server import running_service
from benchmarks.server_log import bad_lines
from benchmarks.submitting import judge_submission, start_submission, write_images

pytestmark = [pytest.mark.enable_socket, pytest.mark.allow_hosts(["127.0.0.1"]), pytest.mark.slow]

IMAGES = 24
PLACES = {"MONOLAYER_RUNNING_REQUESTS": "1", "MONOLAYER_WAITING_REQUESTS": "3"}


@pytest.mark.fault("four times what the service can do, beside a submission", "no image is lost or answered twice")
def test_a_submission_through_an_overload_loses_no_image_and_repeats_none(toy_bundles, blobs_png, tmp_path):
    log = tmp_path / "service.log"
    post = Post("/v1/confluency?model=nuclei&fallback=never", blobs_png)
    write_images(tmp_path / "images", blobs_png, IMAGES)
    with running_service(240, {"MONOLAYER_MODELS": str(toy_bundles), **PLACES}, log=log) as server:
        peak = post_all(server.port, [post] * 30, clients=3).requests_per_second
        submitting = start_submission(
            f"http://127.0.0.1:{server.port}",
            tmp_path / "images",
            tmp_path / "table.csv",
            concurrency=8,
            patience_seconds=500,
            log=tmp_path / "submit.log",
        )
        with probing(server.port, every_seconds=0.2) as probes:
            pressed = press(
                server.port,
                post,
                rate=4 * peak,
                clients=12,
                is_over=lambda _: submitting.poll() is not None,
            )
        answered = int(server.metric(ANSWERS_OF_SUBMISSION))
    submission = judge_submission(
        tmp_path / "images", tmp_path / "table.csv", status=submitting.returncode, answered=answered
    )

    assert (submission.status, submission.wrong) == (0, 0), (tmp_path / "submit.log").read_text()
    assert answered == IMAGES
    assert pressed.lost == 0, pressed.problems
    assert pressed.accepted
    assert pressed.refused
    assert wrong_times(pressed.replies, most_inside=4) == WrongTimes([], [])
    assert max(probes.milliseconds) < float("inf")
    assert bad_lines(log) == []
