import asyncio
import contextlib
import io
import json
import logging
import re
import struct
import threading
import warnings

import cv2
import numpy as np
import pytest
import structlog
import structlog.testing
import tifffile
from asgi_correlation_id import correlation_id

from monolayer_core.errors import ImageError, PredictionError
from monolayer_core.image_io import decode_image
from monolayer_service import dependencies
from monolayer_service.cancellation import Cancellation
from monolayer_service.scheduler.scheduler import TileScheduler
from monolayer_service.scheduler.tile_queue import TileOutcome
from monolayer_service.settings import Settings
from monolayer_service.telemetry.logs import configure_logging
from monolayer_service.telemetry.memory import resident_bytes
from monolayer_service.telemetry.metrics import Metrics
from monolayer_service.telemetry.middleware import Telemetry
from monolayer_service.telemetry.timings import Timings


@pytest.fixture
def log_lines(monkeypatch):
    """Configure logging as the program does, onto a buffer; gives a function that reads the lines."""
    root = logging.getLogger()
    before = (root.handlers[:], root.level, structlog.get_config())
    buffer = io.StringIO()

    def configure(**settings):
        with monkeypatch.context() as patch:
            patch.setattr("sys.stderr", buffer)
            configure_logging(Settings(**settings))
        return lambda: [json.loads(line) for line in buffer.getvalue().splitlines()]

    yield configure
    logging.captureWarnings(capture=False)
    root.handlers[:], level, config = before
    root.setLevel(level)
    structlog.configure(**config)


def test_a_request_is_one_json_line_with_its_id_and_its_stages(make_client, post_png, log_lines):
    client = make_client()
    lines = log_lines()
    answer = post_png(client)
    (line,) = [line for line in lines() if line["event"] == "request"]
    assert line["request_id"] == answer.headers["x-request-id"]
    assert (line["method"], line["path"], line["status"], line["level"]) == ("POST", "/v1/segment", 200, "info")
    assert line["inference_seconds"] >= 0
    assert line["timestamp"].endswith("Z")


def test_probes_are_not_logged_at_the_usual_level(make_client, log_lines):
    client = make_client()
    lines = log_lines()
    client.get("/livez")
    assert [line for line in lines() if line["logger"].startswith("monolayer")] == []


@pytest.mark.filterwarnings("default")
def test_what_decoders_say_of_a_file_is_not_logged_and_warnings_have_the_one_form(log_lines, capfd):
    lines = log_lines()
    pixels = np.zeros((8, 8), np.uint8)
    stream = io.BytesIO()
    tifffile.imwrite(stream, pixels)
    spoiled_tiff = stream.getvalue().replace(struct.pack("<HHII", 279, 4, 1, 64), struct.pack("<HHII", 279, 4, 2, 64))
    spoiled_bmp = cv2.imencode(".bmp", pixels)[1].tobytes()[:28] + b"\x08\0\x01" + bytes(900)
    for data in (spoiled_tiff, spoiled_bmp):
        with contextlib.suppress(ImageError):
            decode_image(data)
    assert lines() == []
    assert capfd.readouterr().err == ""
    warnings.warn("something is old", UserWarning, stacklevel=1)
    (line,) = lines()
    assert (line["level"], line["logger"]) == ("warning", "py.warnings")


def test_logs_of_the_standard_library_have_the_same_form(log_lines):
    lines = log_lines()
    logging.getLogger("uvicorn.error").info("started %s", "now", extra={"port": 5})
    (line,) = lines()
    assert (line["event"], line["logger"], line["port"], line["level"]) == ("started now", "uvicorn.error", 5, "info")


def test_an_error_nobody_foresaw_is_logged_with_its_traceback_and_not_shown(
    make_client, post_png, log_lines, monkeypatch
):
    client = make_client()
    lines = log_lines()

    def fail(*_):
        pixels = "pixels of the image"  # noqa: F841 - a local variable
        raise RuntimeError("secret of the inside")

    monkeypatch.setattr("monolayer_service.analysis.Analyst.analyse", fail)
    answer = post_png(client)
    assert answer.status_code == 500
    assert answer.json()["error"]["code"] == "internal_error"
    assert "secret" not in answer.text
    assert answer.headers["x-request-id"] == answer.json()["error"]["request_id"]
    (line,) = [line for line in lines() if line["event"] == "internal error"]
    assert line["request_id"] == answer.headers["x-request-id"]
    assert "secret of the inside" in json.dumps(line["exception"])
    assert "pixels of the image" not in json.dumps(line), "local variables stay inside"
    (access,) = [line for line in lines() if line["event"] == "request"]
    assert access["status"] == 500


REQUEST = {"type": "http", "method": "POST", "path": "/v1/segment"}


def cut_off_after(begins):
    """Run a request that is cancelled before or after its answer has begun; gives what was sent, and the metrics."""
    sent, metrics = [], Metrics()

    async def app(scope, receive, send):
        if begins:
            await send({"type": "http.response.start", "status": 200, "headers": []})
        await asyncio.Event().wait()

    async def send(message):
        sent.append(message)

    async def run():
        task = asyncio.create_task(Telemetry(app, metrics)(dict(REQUEST), None, send))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert task.cancelled()

    asyncio.run(run())
    return sent, metrics.render().decode()


def test_a_request_that_is_cut_off_is_answered_with_503_and_stays_cancelled(log_lines):
    lines = log_lines()
    (start, body), metrics = cut_off_after(begins=False)
    assert start["status"] == 503
    assert dict(start["headers"])[b"retry-after"] == b"1"
    assert json.loads(body["body"])["error"]["code"] == "not_ready"
    assert 'monolayer_request_duration_seconds_count{route="unknown",status="503"} 1.0' in metrics
    said = [(line["event"], line["level"]) for line in lines()]
    assert said == [("request cut off", "warning"), ("request refused", "info"), ("request", "info")]
    assert [line["status"] for line in lines() if line["event"] == "request"] == [503]


def test_an_answer_that_has_begun_is_broken_off_when_it_is_cut_off(log_lines):
    lines = log_lines()
    sent, metrics = cut_off_after(begins=True)
    assert [message["type"] for message in sent] == ["http.response.start"]
    assert 'monolayer_request_duration_seconds_count{route="unknown",status="200"} 1.0' in metrics
    said = [(line["event"], line["level"]) for line in lines()]
    assert said == [("request cut off", "warning"), ("request", "info")]


def test_a_traceback_for_the_console_has_no_local_variables(log_lines):
    log_lines(log_format="console")
    buffer = logging.getLogger().handlers[0].stream

    def fail() -> None:
        pixels = "pixels of the " + "image"  # noqa: F841 - a local variable
        raise RuntimeError("secret of the inside")

    try:
        fail()
    except RuntimeError:
        structlog.get_logger().exception("failed")
    assert "secret of the inside" in buffer.getvalue()
    assert "pixels of the image" not in buffer.getvalue()


class FailingEngine:
    """Says in the log that its run failed, as networks do."""

    def batch_limit(self, device, tile_px):
        return 2

    def run(self, tiles, device, *, alone):
        structlog.get_logger().warning("network run failed")
        return [TileOutcome(PredictionError("broken"), device)] * len(tiles)


def test_a_run_that_fails_is_logged_with_the_ids_of_all_requests_in_it(log_lines):
    lines, scheduler, engine = log_lines(), TileScheduler(Metrics(), patience_seconds=0.0), FailingEngine()
    with contextlib.closing(scheduler), contextlib.ExitStack() as stack:
        queued = []
        for request_id in ("first", "second"):
            token = correlation_id.set(request_id)
            stream = stack.enter_context(scheduler.open(engine, "cpu", 16, Cancellation(), lambda _: None))
            correlation_id.reset(token)
            queued.append(scheduler.submit(stream._job, np.zeros((1, 4, 4, 1), np.uint8)))
        scheduler.start(1)
        for tile in queued:
            with pytest.raises(PredictionError):
                tile.answer.result(30)
    (line,) = lines()
    assert line["request_ids"] == ["first", "second"]
    assert "request_id" not in line


def test_the_level_and_the_form_are_settings(log_lines):
    lines = log_lines(log_level="warning")
    structlog.get_logger("a").info("quiet")
    structlog.get_logger("a").warning("loud")
    assert [line["event"] for line in lines()] == ["loud"]


@pytest.mark.parametrize("given", ["abc-123", "A.b:c_d", "x" * 128])
def test_a_well_formed_request_id_is_taken_from_the_caller(client, given):
    assert client.get("/livez", headers={"X-Request-ID": given}).headers["x-request-id"] == given


@pytest.mark.parametrize("given", ["", "a b", "x" * 129, "<script>", "a\tb"])
def test_another_request_id_is_replaced(client, given, caplog):
    with caplog.at_level(logging.ERROR):
        answer = client.get("/livez", headers={"X-Request-ID": given})
    assert answer.headers.get_list("x-request-id") != [given]
    assert len(answer.headers.get_list("x-request-id")) == 1


def test_stages_add_up():
    timings = Timings()
    for _ in range(2):
        with timings.measure("decode"):
            pass
    timings.seconds["decode"] = 0.5
    with timings.measure("decode"):
        pass
    assert timings.seconds["decode"] >= 0.5
    assert list(timings.seconds) == ["decode"]


def test_memory_is_known_or_not(tmp_path):
    statm = tmp_path / "statm"
    assert resident_bytes(statm) is None
    statm.write_text("100 7 3 1 0 9 0")
    import mmap

    assert resident_bytes(statm) == 7 * mmap.PAGESIZE


def test_the_metric_of_stages_names_every_stage():
    text = Metrics().render().decode()
    (line,) = [line for line in text.splitlines() if line.startswith("# HELP monolayer_stage_duration_seconds ")]
    assert line.endswith(": upload, queue, decode, prepare, inference, postprocess, encode.")


@pytest.mark.fault("a thread works on past the deadline while its timings are read", "the caller has the 503")
def test_timings_may_be_read_while_a_late_thread_adds_to_them():
    timings = Timings()
    for stage in ("decode", "queue"):
        with timings.measure(stage):
            pass
    read = iter(timings.seconds.items())
    next(read)
    with timings.measure("inference"):
        pass
    assert [stage for stage, _ in read] == ["queue"]
    assert [part.split(";")[0] for part in timings.header().split(", ")] == ["decode", "queue", "inference"]


def test_a_stage_that_is_open_counts_as_far_as_it_has_come():
    timings = Timings()
    with timings.measure("queue"):
        pass
    with timings.measure("decode"):
        assert list(timings.seconds) == ["queue", "decode"]
        assert re.fullmatch(r"queue;dur=\d+\.\d, decode;dur=\d+\.\d", timings.header())
        before = timings.seconds
    assert timings.seconds["queue"] == before["queue"]
    assert timings.seconds["decode"] >= before["decode"]


def test_the_stage_in_which_a_deadline_passed_is_told(make_client, post_png, monkeypatch):
    go_on, decode = threading.Event(), dependencies.decode

    def wait_and_decode(*arguments):
        assert go_on.wait(60)
        return decode(*arguments)

    monkeypatch.setattr(dependencies, "decode", wait_and_decode)
    client = make_client(deadline_seconds=0.05, deadline_seconds_per_megapixel=0.01)
    with structlog.testing.capture_logs() as events:
        answer = post_png(client)
    go_on.set()
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "deadline_exceeded")
    told = {stage: float(ms) for stage, ms in re.findall(r"(\w+);dur=([\d.]+)", answer.headers["Server-Timing"])}
    assert list(told) == ["upload", "queue", "decode"]
    assert told["decode"] >= 40
    [line] = [event for event in events if event["event"] == "request"]
    assert line["decode_seconds"] >= 0.04
