"""The library and the command line against the program that serves."""

import asyncio
import csv
import io
import json
import typing
from pathlib import Path

import httpx2
import numpy as np
import pytest
import tifffile

from monolayer_client.async_client import AsyncClient
from monolayer_client.calls import Form
from monolayer_client.cli.segment import ONLY_IN
from monolayer_client.client import Client
from monolayer_client.connection import DEFAULT_URL
from monolayer_client.errors import RefusedError, UnavailableError
from monolayer_client.options import ConfluencyOptions, SegmentOptions
from monolayer_client.outputs import OutputForm, summary_row, to_object_table, to_summary
from monolayer_core.image_io import encode_label_tiff, encode_png
from monolayer_core.row_source import ArrayRows
from monolayer_service.app import create_app
from monolayer_service.media_types import FORM_KINDS
from monolayer_service.options import Options, acts_of, known_names
from monolayer_service.settings import Settings

pytestmark = [pytest.mark.enable_socket, pytest.mark.allow_hosts(["127.0.0.1"])]


@pytest.fixture
def real(address):
    with Client(address) as client:
        yield client


@pytest.fixture
def monolayer(address, command_line_of):
    return command_line_of(address)


def test_the_answer_with_progress_is_the_answer(real, blobs):
    told = []
    result = real.segment(blobs, on_progress=told.append)
    assert result.raw == real.segment(blobs).raw
    assert told
    assert {line.total_megapixels for line in told} == {0.012}


def rows_of(table):
    return list(csv.DictReader(io.StringIO(table)))


@pytest.fixture
def discs(blobs):
    """The three discs of `blobs`, as they are drawn."""
    return blobs > 100


def test_the_discs_are_found(real, blobs, discs):
    result = real.segment(blobs, measurements=True)
    assert (result.method, result.model.name, result.model.version) == ("unet", "nuclei", "1.2.0")
    assert result.count == 3
    assert result.counts == {"nucleus": 3}
    assert result.confluency.percent == pytest.approx(100 * discs.mean(), abs=0.5)
    labels = result.labels()
    np.testing.assert_array_equal(labels > 0, discs)
    for instance in result.instances:
        assert instance.area_px == np.count_nonzero(labels == instance.id)
        assert labels[round(instance.centroid[0]), round(instance.centroid[1])] == instance.id
        assert instance.measurements["equivalent_diameter_px"] > 10


def test_arrays_bytes_and_files_get_the_same_answer(real, blobs, blobs_png, tmp_path):
    path = tmp_path / "discs.png"
    path.write_bytes(blobs_png)
    from_file = real.segment(path)
    assert from_file.image_id == "discs"
    assert from_file.instances == real.segment(blobs_png).instances == real.segment(blobs).instances


@pytest.mark.parametrize("rle", ["kaggle", "coco"])
def test_both_run_lengths_give_the_same_labels(real, blobs_png, rle):
    result = real.segment(blobs_png, rle=rle)
    np.testing.assert_array_equal(result.labels(), real.segment(blobs_png).labels())
    assert result.kaggle_rows() == real.segment(blobs_png).kaggle_rows()


def test_other_forms_hold_the_same_objects(real, blobs_png):
    result = real.segment(blobs_png, image_id="discs")
    rows = rows_of(real.segment(blobs_png, format="csv", image_id="discs").decode())
    assert [(row["ImageId"], row["EncodedPixels"]) for row in rows] == [("discs", row) for row in result.kaggle_rows()]
    labels = tifffile.imread(io.BytesIO(real.segment(blobs_png, format="tiff")))
    np.testing.assert_array_equal(labels, result.labels())
    assert real.segment(blobs_png, format="overlay").startswith(b"\x89PNG")


def test_the_python_of_the_documentation_opens_every_form(monkeypatch, address, blobs_png, tmp_path):
    page = (Path(__file__).parents[2] / "docs" / "answers.md").read_text(encoding="utf-8")
    code = page.split("<!-- python -->\n```python\n")[1].split("```\n<!-- /python -->")[0]
    (tmp_path / "frame.tif").write_bytes(blobs_png)
    monkeypatch.chdir(tmp_path)
    found = {}
    exec(code.replace(DEFAULT_URL, address), found)  # noqa: S102 - the page is ours
    assert found["labels"].max() == len(found["rows"]) == len(found["outlines"]) == len(found["rois"]) == 3
    areas = [int(row["area_px"]) for row in found["rows"]]
    assert [outline.area for outline in found["outlines"]] == np.bincount(found["labels"].ravel())[1:].tolist() == areas


@pytest.mark.parametrize(
    "options",
    [{}, {"measurements": True, "pixel_size_um": 0.5}, {"method": "kmeans"}, {"min_area_px": 9999}],
    ids=["plain", "all", "without scores", "without objects"],
)
def test_the_table_made_of_the_answer_is_that_of_the_service(real, blobs_png, options):
    result = real.segment(blobs_png, image_id="discs", **options)
    assert to_object_table(result) == real.segment(blobs_png, format="table", image_id="discs", **options)


def test_no_spreadsheet_takes_a_name_in_the_summary_for_a_formula(real, blobs_png):
    answer = real.segment(blobs_png).raw | {"image_id": "=1+1"}  # a service that is asked for such a name refuses it
    [row] = rows_of(to_summary([summary_row(answer)]).decode())
    assert row["image_id"] == "'=1+1"


def test_the_client_knows_the_forms_of_the_service():
    assert {form.value: form.suffix for form in OutputForm} == {form: FORM_KINDS[form].suffix for form in FORM_KINDS}
    assert set(typing.get_args(Form)) == set(FORM_KINDS) - {"json"}
    acting = {name: acts_of(Options.model_fields[name]).forms for name in typing.get_type_hints(SegmentOptions)}
    limited = {
        name: forms for name, forms in acting.items() if forms != set(FORM_KINDS) and name not in ("echo", "rle")
    }
    assert limited == {name: {form.value for form in forms} for name, forms in ONLY_IN.items()}


def test_a_fallback_is_announced_in_the_result(real, blobs_png):
    result = real.confluency(blobs_png)
    assert result.method == "kmeans"
    assert result.model is None
    assert "cells" in result.fallback
    assert real.confluency(blobs_png, model="nuclei").fallback is None


def test_a_refused_fallback_is_something_to_wait_for(real, blobs_png):
    with pytest.raises(UnavailableError) as error:
        real.confluency(blobs_png, fallback="never")
    assert error.value.service_code == "network_unavailable"
    assert error.value.retry_after_s >= 1


def test_what_was_sent_along_comes_back(real, blobs_png):
    assert real.confluency(blobs_png, echo={"position": 3}).echo == {"position": "3"}
    assert real.segment(blobs_png, pixel_size_um=0.5).image.pixel_size_um == 0.5


@pytest.mark.parametrize(
    ("image", "options", "code"),
    [
        pytest.param(b"", {}, "empty_image", id="no bytes"),
        pytest.param(b"GIF89a and so on", {}, "unknown_format", id="another format"),
        pytest.param(b"\x89PNG\r\n\x1a\n", {}, "image_truncated", id="half a PNG"),
        pytest.param(np.full((4, 4), np.nan), {}, "image_unusable", id="NaN"),
        pytest.param(np.zeros((5, 8, 8), np.uint8), {}, "ambiguous_axes", id="unknown axes"),
        pytest.param(np.zeros((8, 8), np.uint8), {"model": "hearts"}, "unknown_model", id="unknown model"),
        pytest.param(np.zeros((8, 8), np.uint8), {"threshold": 7}, "invalid_option", id="value out of range"),
        pytest.param(np.zeros((8, 8), np.uint8), {"treshold": 0.5}, "unknown_option", id="misspelt option"),
    ],
)
def test_refusals_carry_the_code_of_the_service(real, image, options, code):
    with pytest.raises(RefusedError) as error:
        real.segment(image, **options)
    assert error.value.service_code == code
    assert error.value.request_id


@pytest.mark.parametrize("call", ["segment", "confluency"])
@pytest.mark.parametrize(
    ("options", "code"),
    [
        ({}, "empty_image"),
        ({"channel": 5}, "empty_image"),  # an image may have so many
        ({"clusters": 9}, "invalid_option"),
        ({"treshold": 0.5}, "unknown_option"),
    ],
    ids=str,
)
def test_an_image_of_no_bytes_tells_options_that_suit_no_image_from_others(real, call, options, code):
    """`ResultFolder` relies on it."""
    with pytest.raises(RefusedError) as refused:
        getattr(real, call)(b"", **options)
    assert refused.value.service_code == code


def test_the_client_knows_the_options_of_the_service():
    of_the_answer = {"echo"}
    chosen_by_argument = {"format"}
    assert (
        set(typing.get_type_hints(SegmentOptions)) == set(known_names("segment")) - chosen_by_argument | of_the_answer
    )
    assert set(typing.get_type_hints(ConfluencyOptions)) == set(known_names("confluency")) | of_the_answer


def test_bundles_and_versions_can_be_asked_for(real):
    assert [bundle["name"] for bundle in real.models()] == ["blood", "nuclei"]
    assert real.model("nuclei")["card"]["thresholds"]["foreground"] == 0.5
    assert real.version()["service"]
    assert real.is_ready() is True


async def test_the_asynchronous_client_asks_for_several_images_at_once(address, real, blobs_png):
    async with AsyncClient(address) as client:
        results = await asyncio.gather(*(client.segment(blobs_png, image_id=str(i)) for i in range(6)))
    assert [result.image_id for result in results] == [str(i) for i in range(6)]
    expected = real.segment(blobs_png)
    for result in results:
        assert result.instances == expected.instances
        np.testing.assert_array_equal(result.labels(), expected.labels())


async def test_the_asynchronous_client_talks_to_the_application_directly(toy_bundles, blobs_png):
    app = create_app(Settings(models=toy_bundles))
    async with (
        app.router.lifespan_context(app),
        AsyncClient("http://service.test", transport=httpx2.ASGITransport(app)) as client,
    ):
        results = await asyncio.gather(*(client.segment(blobs_png, image_id=str(i)) for i in range(6)))
    assert [result.image_id for result in results] == [str(i) for i in range(6)]
    assert {result.count for result in results} == {3}


@pytest.fixture
def folder(tmp_path, blobs):
    """Four images of discs, in Kaggle's layout."""
    for i in range(4):
        path = tmp_path / "stage1" / f"id{i}" / "images" / f"id{i}.png"
        path.parent.mkdir(parents=True)
        path.write_bytes(encode_png(np.roll(blobs, 5 * i, axis=1)))
    return tmp_path / "stage1"


def test_from_a_folder_to_a_scored_submission(monolayer, real, folder, tmp_path):
    submission = tmp_path / "submission.csv"
    result = monolayer("submit", folder, "-o", submission, "--concurrency", "3")
    assert result.exit_code == 0, result.output
    assert "4 images answered by nuclei 1.2.0" in result.stderr
    assert monolayer("validate", submission, "--images", folder).stdout == "valid: 4 images, 12 objects\n"

    truth = tmp_path / "truth"
    truth.mkdir()
    for i in range(4):
        labels = real.segment(folder / f"id{i}" / "images" / f"id{i}.png").labels()
        (truth / f"id{i}.tif").write_bytes(encode_label_tiff(ArrayRows(labels), int(labels.max())))
    result = monolayer("score", submission, "--truth", truth)
    assert result.stdout.endswith("Kaggle score 1.0000, mean over 4 images\n"), result.output


def test_segment_writes_what_the_service_gives(monolayer, real, folder, tmp_path):
    out = tmp_path / "out"
    forms = [word for form in OutputForm for word in ("-f", form)]
    result = monolayer("segment", folder, "-o", out, *forms, "--set", "measurements=true")
    assert result.exit_code == 0, result.output
    labels = tifffile.imread(out / "id2.labels.tif")
    np.testing.assert_array_equal(labels, real.segment(folder / "id2" / "images" / "id2.png").labels())
    rows = rows_of((out / "id2.objects.csv").read_text())
    assert sorted(int(row["area_px"]) for row in rows) == sorted(np.bincount(labels.ravel())[1:].tolist())
    features = json.loads((out / "id2.geojson").read_text())["features"]
    assert [feature["properties"]["measurements"]["solidity"] for feature in features] == [
        float(row["solidity"]) for row in rows
    ]
    *told, last = map(json.loads, (out / "id2.ndjson").read_text().splitlines())
    assert last == json.loads((out / "id2.json").read_text())
    assert {line["progress"]["total_megapixels"] for line in told} == {0.012}
    assert json.loads((out / "id2.coco.json").read_text())["images"][0]["file_name"] == "id2.png"
    assert {path.name for path in out.glob("id2.*")} == {f"id2{form.suffix}" for form in OutputForm}
    assert monolayer("stats", out).exit_code == 0


def test_an_image_of_a_file_with_several_is_chosen_and_verified(monolayer, real, blobs, tmp_path):
    file, out, numbers = tmp_path / "positions.ome.tif", tmp_path / "out", tmp_path / "numbers"
    with tifffile.TiffWriter(file) as writer:
        for number, plane in enumerate((np.zeros_like(blobs), blobs)):
            writer.write(plane, photometric="minisblack", metadata={"axes": "YX", "Name": f"Pos{number}"})
    refused = monolayer("segment", file, "-o", out)
    assert refused.exit_code == 1
    assert "choose one with series=0..1 or by name: Pos0, Pos1" in refused.output
    assert monolayer("segment", file, "-o", out, "--set", "series=Pos1", "-f", "tiff").exit_code == 0
    assert monolayer("confluency", file, "-o", numbers, "--set", "series=1", "--model", "nuclei").exit_code == 0
    answer = json.loads((out / "positions.ome.json").read_text())
    assert (answer["count"], answer["image"]["plane"]["series"], answer["image"]["plane"]["series_name"]) == (
        3,
        1,
        "Pos1",
    )
    np.testing.assert_array_equal(tifffile.imread(out / "positions.ome.labels.tif"), real.segment(blobs).labels())
    verified = monolayer("verify", out, numbers, "--images", file)
    assert "2 of 2 answers are the same" in verified.output
    assert verified.exit_code == 0


def test_confluency_says_when_it_was_k_means(monolayer, folder, tmp_path):
    result = monolayer("confluency", folder, "-o", tmp_path / "out")
    assert result.exit_code == 0, result.output
    assert "4 images were answered by K-means" in result.stderr
    rows = rows_of((tmp_path / "out" / "confluency.csv").read_text())
    assert {row["method"] for row in rows} == {"kmeans"}
    assert all("cells" in row["fallback"] for row in rows)


def test_the_digest_that_the_service_gives_is_that_of_the_file(monolayer, folder, tmp_path):
    """What is skipped the second time rests on it."""
    arguments = ["confluency", folder, "-o", tmp_path / "out", "--method", "kmeans"]
    assert monolayer(*arguments).exit_code == 0
    assert monolayer(*arguments).stderr.splitlines()[0] == "4 of 4 images are done already"
