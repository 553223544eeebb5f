"""The library against a service that behaves, and one that does not; the same for both clients."""

import subprocess
import sys
import time
import typing
from datetime import UTC, datetime

import httpx2
import numpy as np
import pytest
import stamina

from monolayer_client.calls import Form, retry_after_s
from monolayer_client.client import Client
from monolayer_client.errors import RefusedError, ServiceFaultError, UnavailableError
from monolayer_client.image_body import FileContent
from monolayer_client.results import Plane, parse_confluency

LABELS = np.array([[1, 0, 2], [1, 2, 2]], dtype=np.uint16)


def test_objects_come_back_as_the_label_image(client):
    result = client.segment(LABELS)
    np.testing.assert_array_equal(result.labels(), LABELS)
    assert result.labels().dtype == np.int32
    assert result.count == 2
    assert result.instances[1].bbox.y == 0
    assert result.instances[1].bbox.width == 2
    assert result.instances[0].centroid == (0.5, 0.0)
    assert result.instances[0].class_name == "nucleus"
    assert result.kaggle_rows() == ["1 2", "4 3"]


def test_an_answer_says_where_it_comes_from(client):
    result = client.segment(LABELS)
    assert result.method == "unet"
    assert (result.model.name, result.model.version, result.model.provider) == ("nuclei", "1", "CPUExecutionProvider")
    assert result.fallback is None
    assert result.request_id == "request-1"
    assert (result.image.height, result.image.width) == (2, 3)
    assert result.quality.flags == ("low_contrast",)
    assert result.quality.numbers == {"focus": 0.8, "saturated_fraction": 0.0}
    assert result.raw["added_later"]


def test_confluency_gives_the_numbers_alone(client, service):
    result = client.confluency(LABELS, pixel_size_um=0.5)
    assert result.confluency.percent == pytest.approx(100 * 5 / 6)
    assert result.confluency.of == "nucleus"
    assert result.image.pixel_size_um == 0.5
    assert service.posts[0].url.path == "/v1/confluency"


def test_the_plane_that_was_read_is_none_where_the_service_does_not_tell(client):
    result = client.confluency(LABELS)
    assert (result.image.axes, result.image.plane) == (None, None)
    plane = {"t": 0, "channel": 1, "channel_name": "DAPI", "z": "max", "added_later": 7}
    told = result.raw | {"image": result.raw["image"] | {"axes": "TZCYX", "plane": plane}}
    image = parse_confluency(told).image
    assert (image.axes, image.plane) == ("TZCYX", Plane(t=0, channel=1, channel_name="DAPI", z="max"))


def test_the_uncertainty_of_confluency_is_none_where_the_service_does_not_tell(client):
    result = client.confluency(LABELS)
    assert result.confluency.uncertainty_points is None
    told = result.raw | {"confluency": result.raw["confluency"] | {"uncertainty_points": 2.5}}
    assert parse_confluency(told).confluency.uncertainty_points == 2.5


@pytest.mark.parametrize("rle", ["kaggle", "coco"])
def test_both_run_lengths_are_read(client, rle):
    result = client.segment(LABELS, rle=rle)
    np.testing.assert_array_equal(result.labels(), LABELS)
    assert result.kaggle_rows() == ["1 2", "4 3"]


def test_without_run_lengths_there_are_no_labels(client):
    result = client.segment(LABELS, rle="none")
    with pytest.raises(ValueError, match="no run lengths"):
        result.labels()


def test_an_image_without_objects_is_a_normal_answer(client):
    result = client.segment(np.zeros((2, 3), dtype=np.uint16))
    assert result.count == 0
    assert result.instances == ()
    np.testing.assert_array_equal(result.labels(), np.zeros((2, 3)))


def test_measurements_are_kept_by_name(client):
    instance = client.segment(LABELS, measurements=True).instances[0]
    assert instance.measurements == {"eccentricity": 0.5, "mean_intensity": [1.0, 2.0, 3.0]}


def test_options_travel_as_query_parameters(client, service):
    result = client.segment(LABELS, tta=True, model=None, clusters="auto", echo={"position": 3, "dye": "DAPI"})
    assert dict(service.posts[0].url.params) == {
        "tta": "true",
        "clusters": "auto",
        "echo.position": "3",
        "echo.dye": "DAPI",
    }
    assert result.echo == {"position": "3", "dye": "DAPI"}


@pytest.mark.parametrize("form", sorted({*typing.get_args(Form)} - {"ndjson"}))
def test_other_forms_come_as_bytes(client, form):
    assert client.segment(LABELS, format=form) == f"the objects as {form}".encode()
    measured = client.segment(LABELS, format=form, measurements=True)
    assert measured == f"the objects as {form} with measurements".encode()


def test_progress_is_told_with_the_json_answer_only(client, service):
    with pytest.raises(ValueError, match="leave out format"):
        client.segment(LABELS, format="tiff", on_progress=print)
    assert not service.posts


def test_a_file_is_sent_as_it_is_and_gives_its_name(client, service, tmp_path, save_labels):
    path = save_labels(tmp_path / "frame 7.npy", LABELS)
    for image in (path, str(path)):
        assert client.segment(image).image_id == "frame 7"
    assert client.segment(path, image_id="mine").image_id == "mine"
    assert service.posts[0].content == path.read_bytes()
    assert service.posts[0].headers["Content-Type"] == "application/x-npy"


@pytest.mark.parametrize(
    ("begin", "media_type"),
    [
        (b"\x89PNG\r\n", "image/png"),
        (b"\xff\xd8\xff\xe0", "image/jpeg"),
        (b"BM", "image/bmp"),
        (b"II*\x00", "image/tiff"),
        (b"MM\x00+", "image/tiff"),
        (b"GIF89a", "image/png"),
    ],
)
def test_bytes_are_sent_under_the_type_they_show(client, service, begin, media_type):
    with pytest.raises(RefusedError):
        client.segment(begin)
    assert service.posts[0].headers["Content-Type"] == media_type


def test_a_file_is_sent_under_its_name_and_other_images_under_none(client, service, tmp_path):
    named = tmp_path / "well β 1.npy"
    np.save(named, np.array([[0, 1]]))
    client.segment(named)
    client.confluency(FileContent(named.read_bytes(), named.name))
    client.segment(named, format="coco", image_id="other")
    client.segment(named.read_bytes())
    sent = [(post.url.params.get("image_id"), post.headers.get("Content-Disposition")) for post in service.posts]
    disposition = "attachment; filename*=UTF-8''well%20%CE%B2%201.npy"
    assert sent == [("well β 1", disposition), ("well β 1", disposition), ("other", disposition), (None, None)]


def test_a_missing_file_is_an_ordinary_error(client, tmp_path):
    with pytest.raises(FileNotFoundError):
        client.segment(tmp_path / "nowhere.png")


def test_models_and_version_are_given_as_the_service_describes_them(client):
    assert client.models() == [{"name": "nuclei", "state": "ready"}]
    assert client.model("nuclei")["state"] == "ready"
    assert client.version()["service"] == "0.1.0"
    with pytest.raises(RefusedError, match="Not Found"):
        client.model("no/such")


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (400, "empty_image"),
        (404, "unknown_model"),
        (406, "not_acceptable"),
        (413, "image_too_large"),
        (415, "unknown_format"),
        (422, "ambiguous_axes"),
    ],
)
def test_what_the_caller_must_change_is_refused_at_once(client, service, status, code):
    service.script.append(service.fail(status, code, "this is why"))
    with pytest.raises(RefusedError, match="this is why") as error:
        client.segment(LABELS)
    assert error.value.service_code == code
    assert error.value.status == status
    assert error.value.request_id == "request-1"
    assert len(service.posts) == 1


@pytest.mark.parametrize(("status", "code"), [(408, "upload_timeout"), (429, "overloaded"), (503, "not_ready")])
def test_a_full_or_starting_service_is_asked_again(client, service, status, code):
    refusal = service.fail(status, code, "later", **{"Retry-After": "7"})
    service.script.extend([refusal, refusal])
    assert client.segment(LABELS).count == 2
    assert len(service.posts) == 3


def test_patience_ends(client, service):
    refusal = service.fail(429, "overloaded", "the queue is full", **{"Retry-After": "7"})
    service.script.extend([refusal] * 3)
    with pytest.raises(UnavailableError, match="the queue is full") as error:
        client.segment(LABELS)
    assert error.value.retry_after_s == 7.0
    assert len(service.posts) == 3


def test_a_lost_connection_is_tried_again(client, service):
    service.script.extend([httpx2.ConnectError("connection refused"), httpx2.ReadError("reset")])
    assert client.segment(LABELS).count == 2


@pytest.mark.parametrize(
    ("trouble", "message"),
    [
        (httpx2.ConnectError("connection refused"), "http://service.test cannot be reached: connection refused"),
        (httpx2.ReadTimeout("timed out"), "no answer in time"),
    ],
)
def test_a_service_out_of_reach_is_named(client, service, trouble, message):
    service.script.extend([trouble] * 3)
    with pytest.raises(UnavailableError, match=message):
        client.segment(LABELS)


def test_a_fault_of_the_service_is_not_tried_again_and_names_the_request(client, service):
    service.script.append(service.fail(500, "internal_error", "the service failed"))
    with pytest.raises(ServiceFaultError, match=r"the service failed \(request request-1\)"):
        client.segment(LABELS)
    assert len(service.posts) == 1


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(httpx2.Response(200, text="<html>a proxy</html>"), id="no JSON"),
        pytest.param(httpx2.Response(200, json=[]), id="no object"),
        pytest.param(httpx2.Response(200, json={"image_id": "a"}), id="fields missing"),
    ],
)
def test_an_answer_that_cannot_be_read_is_a_fault(client, service, answer):
    service.script.append(answer)
    with pytest.raises(ServiceFaultError, match="/v1/segment cannot be read"):
        client.segment(LABELS)


@pytest.mark.parametrize(
    ("status", "kind"), [(404, RefusedError), (307, RefusedError), (502, UnavailableError), (500, ServiceFaultError)]
)
def test_an_error_of_something_else_than_a_service_is_told_apart(client, service, status, kind):
    service.script.extend([httpx2.Response(status, text="nginx")] * 3)
    with pytest.raises(kind, match=f"answered {status} without saying why"):
        client.segment(LABELS)


def test_readiness_is_asked_once(client, service):
    assert client.is_ready() is True
    service.is_ready = False
    assert client.is_ready() is False
    assert len(service.requests) == 2


def test_an_address_begins_with_its_scheme():
    with pytest.raises(ValueError, match="begins with http"):
        Client("localhost:8000")


def test_an_address_may_have_a_path(service):
    with (
        Client("https://host.test/cells/", transport=service.transport) as client,
        pytest.raises(RefusedError, match="/cells/v1/models"),
    ):
        client.models()
    assert str(service.requests[0].url) == "https://host.test/cells/v1/models"


@pytest.fixture
def slept(monkeypatch):
    """Pauses that would have been made."""
    pauses = []
    monkeypatch.setattr(time, "sleep", pauses.append)
    with stamina.set_testing(False):
        yield pauses


def test_the_pause_is_the_one_the_service_asked_for_and_callers_do_not_come_back_together(service, slept):
    service.script += [service.fail(429, "overloaded", "full", **{"Retry-After": "7"})] * 5
    with Client("http://service.test", transport=service.transport, patience_s=60) as client:
        client.segment(LABELS)
    assert len(set(slept)) == 5
    assert all(7.0 <= pause <= 8.75 for pause in slept)


def test_a_pause_longer_than_the_patience_is_not_begun(service, slept):
    service.script.append(service.fail(503, "not_ready", "come back tomorrow", **{"Retry-After": "86400"}))
    with (
        Client("http://service.test", transport=service.transport, patience_s=60) as client,
        pytest.raises(UnavailableError, match="tomorrow"),
    ):
        client.segment(LABELS)
    assert slept == []


def test_without_patience_there_is_one_attempt(service, slept):
    service.script.append(service.fail(429, "overloaded", "full"))
    with (
        Client("http://service.test", transport=service.transport, patience_s=0) as client,
        pytest.raises(UnavailableError, match="full"),
    ):
        client.segment(LABELS)
    assert slept == []
    assert len(service.posts) == 1


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("7", 7.0),
        ("0", 0.0),
        ("Sat, 21 Nov 2026 10:00:30 GMT", 30.0),
        ("Sat, 21 Nov 2026 09:00:00 GMT", 0.0),
        ("soon", None),
        ("-5", None),
        ("", None),
    ],
)
def test_retry_after_is_seconds_or_a_date(value, seconds):
    now = datetime(2026, 11, 21, 10, 0, 0, tzinfo=UTC)
    assert retry_after_s(httpx2.Response(429, headers={"Retry-After": value}), now) == seconds


def test_the_library_loads_no_imaging_library_and_no_command_line():
    unwanted = {"cv2", "scipy", "sklearn", "tifffile", "imagecodecs", "typer", "rich"}
    modules = "monolayer_client.client, monolayer_client.async_client, monolayer_client.truth, monolayer_client.outputs"
    script = f"import sys, {modules}; print(*sorted({unwanted!r} & set(sys.modules)))"
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert result.stdout.split() == []
