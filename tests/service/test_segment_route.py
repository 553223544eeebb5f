import base64
import hashlib
import io

import numpy as np
import orjson
import pytest
import tifffile

from monolayer_core.image_io import decode_image
from monolayer_core.rle import decode_coco, decode_kaggle
from monolayer_service.forms import _ratios


def test_a_network_answers_with_all_that_the_contract_names(client, post_png, blobs, blobs_png, toy_bundles):
    answer = post_png(client).json()
    onnx = (toy_bundles / "nuclei" / "model.onnx").read_bytes()
    assert answer["image"] == {
        "height": 96,
        "width": 120,
        "channels": 1,
        "dtype": "uint8",
        "pixel_size_um": None,
        "axes": "YX",
        "plane": None,
        "sha256": hashlib.sha256(blobs_png).hexdigest(),
    }
    assert answer["method"] == "unet"
    assert answer["model"] == {
        "name": "nuclei",
        "version": "1.2.0",
        "sha256": hashlib.sha256(onnx).hexdigest(),
        "provider": "CPUExecutionProvider",
    }
    assert answer["fallback"] is None
    covered = int((blobs > 100).sum())
    assert answer["confluency"] == {
        "percent": round(100 * covered / blobs.size, 4),
        "of": "nucleus",
        "area_px": covered,
        "area_um2": None,
        "uncertainty_points": None,
    }
    assert answer["count"] == 3
    assert answer["counts"] == {"nucleus": 3}
    assert answer["rle"] == {"format": "kaggle", "order": "F"}
    assert {"focus", "saturated_fraction", "flags"} <= set(answer["quality"])
    assert "kmeans" not in answer
    assert "echo" not in answer


def test_instances_are_described_in_image_coordinates(client, post_png, blobs):
    first = post_png(client).json()["instances"][0]
    assert first["id"] == 1
    assert first["class"] == "nucleus"
    assert first["score"] == pytest.approx(1.0, abs=0.01)
    assert first["bbox"] == {"y": 15, "x": 20, "height": 21, "width": 21}
    assert first["centroid"] == {"y": 25.0, "x": 30.0}
    assert first["area_px"] == int((blobs == 200).sum())


@pytest.mark.parametrize("rle", ["kaggle", "coco"])
def test_run_lengths_decode_to_the_objects(client, post_png, blobs, rle):
    answer = post_png(client, rle=rle).json()
    if rle == "kaggle":
        labels = decode_kaggle([instance["rle"] for instance in answer["instances"]], 96, 120)
    else:
        assert all(instance["rle"]["size"] == [96, 120] for instance in answer["instances"])
        labels = decode_coco([instance["rle"]["counts"] for instance in answer["instances"]], 96, 120)
    np.testing.assert_array_equal(labels > 0, blobs > 100)
    for instance in answer["instances"]:
        assert np.count_nonzero(labels == instance["id"]) == instance["area_px"]


def test_without_run_lengths_there_is_no_trace_of_them(client, post_png):
    answer = post_png(client, rle="none").json()
    assert answer["rle"] is None
    assert all("rle" not in instance for instance in answer["instances"])


def test_the_body_is_the_same_bytes_every_time_and_holds_no_time(client, post_png):
    first, second = post_png(client), post_png(client)
    assert first.content == second.content
    assert first.headers["x-request-id"] != second.headers["x-request-id"]
    stages = {part.split(";")[0] for part in first.headers["server-timing"].split(", ")}
    assert {"decode", "queue", "inference", "postprocess"} <= stages


def test_the_three_forms_of_the_body_give_the_same_answer(client, post_png, blobs_png):
    encoded = base64.b64encode(blobs_png).decode()
    raw = post_png(client, image_id="a")
    query = {"image_id": "a"}
    multipart = client.post("/v1/segment", params=query, files={"image": ("frame.png", blobs_png, "image/png")})
    as_json = client.post("/v1/segment", params=query, json={"image": encoded})
    wrapped = client.post("/v1/segment", params=query, json={"image": encoded[:40] + "\r\n" + encoded[40:] + "\n"})
    assert raw.content == multipart.content == as_json.content == wrapped.content


@pytest.mark.parametrize(
    ("name", "image_id"),
    [("frame_01.ome.png", "frame_01.ome"), ("C:\\plates\\A1\\img.png", "img"), ("../../up.png", "up")],
    ids=["suffix", "windows-path", "parent-folders"],
)
def test_an_image_is_called_after_its_file(client, blobs_png, name, image_id):
    answer = client.post("/v1/segment", files={"image": (name, blobs_png)})
    assert answer.json()["image_id"] == image_id


def test_an_image_without_a_name_is_called_after_its_content(client, post_png, blobs_png):
    assert post_png(client).json()["image_id"] == hashlib.sha256(blobs_png).hexdigest()[:16]


def test_measurements_are_added_when_asked_for(client, post_png):
    instance = post_png(client, measurements=True).json()["instances"][1]
    assert instance["mean_intensity"] == 220.0
    assert instance["equivalent_diameter_px"] == pytest.approx(24, abs=0.5)
    assert instance["eccentricity"] == pytest.approx(0, abs=0.1)
    assert 0.9 < instance["solidity"] <= 1
    assert "equivalent_diameter_um" not in instance


def test_a_pixel_size_adds_micrometres(client, post_png):
    answer = post_png(client, measurements=True, pixel_size_um=0.5).json()
    assert answer["image"]["pixel_size_um"] == 0.5
    assert answer["confluency"]["area_um2"] == answer["confluency"]["area_px"] / 4
    for instance in answer["instances"]:
        assert instance["area_um2"] == instance["area_px"] / 4
        assert instance["equivalent_diameter_um"] == pytest.approx(instance["equivalent_diameter_px"] / 2, abs=1e-3)


def test_polygons_are_added_when_asked_for(client, post_png):
    instance = post_png(client, polygons=True).json()["instances"][0]
    y, x = zip(*instance["polygon"], strict=True)
    assert (min(y), max(y), min(x), max(x)) == (15, 35, 20, 40)


def test_whatever_the_caller_echoes_comes_back_unchanged(client, post_png):
    query = {"echo.position": "A1/3", "echo.": "", "echo.channel name": "DAPI & Ω", "echo.model": "mine"}
    assert post_png(client, **query).json()["echo"] == {
        "position": "A1/3",
        "": "",
        "channel name": "DAPI & Ω",
        "model": "mine",
    }


def test_excluding_the_border_leaves_confluency_as_it_was(client, blobs):
    from monolayer_core.image_io import encode_png

    blobs[:6, 60:70] = 220
    body, headers = encode_png(blobs), {"Content-Type": "image/png"}
    everything = client.post("/v1/segment", content=body, headers=headers).json()
    inner = client.post("/v1/segment?exclude_border=true", content=body, headers=headers).json()
    assert (everything["count"], inner["count"]) == (4, 3)
    assert everything["confluency"] == inner["confluency"]


def test_min_area_drops_small_objects_from_confluency_too(client, post_png, blobs):
    answer = post_png(client, min_area_px=400).json()
    assert answer["count"] == 1
    assert answer["confluency"]["area_px"] == int((blobs == 220).sum())


def test_a_threshold_above_everything_finds_nothing_and_that_is_an_answer(client, post_png):
    answer = post_png(client, threshold=1)
    assert answer.status_code == 200
    assert answer.json()["count"] == 0
    assert answer.json()["counts"] == {"nucleus": 0}
    assert answer.json()["instances"] == []
    assert answer.json()["confluency"]["percent"] == 0


def test_flipped_views_give_the_same_objects_on_a_symmetric_network(client, post_png):
    assert post_png(client, tta=True).json()["count"] == 3


@pytest.mark.parametrize("option", ["clahe", "flat_field"])
def test_preprocessing_options_act(client, blobs, option):
    from monolayer_core.image_io import encode_png

    shaded = (blobs * np.linspace(0.25, 1, blobs.shape[1])).astype(np.uint8)
    body, headers = encode_png(shaded), {"Content-Type": "image/png"}
    plain = client.post("/v1/segment", content=body, headers=headers).json()
    corrected = client.post(f"/v1/segment?{option}=true", content=body, headers=headers).json()
    assert plain["confluency"]["area_px"] != corrected["confluency"]["area_px"]


def test_another_bundle_answers_when_it_is_named(client, post_png):
    answer = post_png(client, model="blood").json()
    assert answer["model"]["name"] == "blood"
    assert answer["confluency"]["of"] == "cell"
    assert answer["counts"] == {"rbc": 0, "wbc": 3}
    assert answer["ratios"] == {"rbc:wbc": 0.0}
    assert [instance["class"] for instance in answer["instances"]] == ["wbc"] * 3


def test_ratios_of_classes_are_given_where_there_are_several(client, post_png):
    assert "ratios" not in post_png(client).json()
    assert post_png(client, model="blood", min_area_px=5000).json()["ratios"] == {"rbc:wbc": None}
    assert _ratios({"a": 43, "b": 2, "c": 3}) == {"a:b": 21.5, "a:c": 14.3333, "b:c": 0.6667}


def test_kaggle_rows_are_given_as_csv(client, post_png, blobs):
    answer = post_png(client, format="csv", image_id="well A1")
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert answer.headers["x-method"] == "unet"
    assert answer.headers["x-model"] == "nuclei/1.2.0"
    assert answer.headers["content-disposition"] == "inline; filename*=UTF-8''well%20A1.rle.csv"
    header, *rows = answer.text.splitlines()
    assert header == "ImageId,EncodedPixels"
    assert all(row.startswith("well A1,") for row in rows)
    labels = decode_kaggle([row.split(",")[1] for row in rows], 96, 120)
    np.testing.assert_array_equal(labels > 0, blobs > 100)


def test_an_image_without_objects_keeps_its_row_in_csv(client, post_png):
    assert post_png(client, format="csv", image_id="a", threshold=1).text.splitlines()[1:] == ["a,"]


def test_labels_are_given_as_tiff(client, post_png, blobs):
    answer = post_png(client, format="tiff")
    labels = tifffile.imread(io.BytesIO(answer.content))
    assert labels.dtype == np.uint16
    assert labels.max() == 3
    np.testing.assert_array_equal(labels > 0, blobs > 100)


def test_an_overlay_is_given_as_png(client, post_png):
    answer = post_png(client, format="overlay")
    overlay = decode_image(answer.content).pixels
    assert overlay.shape == (96, 120, 3)
    assert (overlay[0, 0] == overlay[0, 0, 0]).all()
    assert len(np.unique(overlay.reshape(-1, 3), axis=0)) > 3


@pytest.mark.parametrize(
    ("accept", "media_type"),
    [
        ("*/*", "application/json"),
        ("text/csv", "text/csv; charset=utf-8"),
        ("image/*", "image/tiff"),
        ("image/png, image/tiff;q=0.5", "image/png"),
        ("text/html, application/xhtml+xml, */*;q=0.8", "application/json"),
    ],
)
def test_the_accept_header_chooses_the_form(client, blobs_png, accept, media_type):
    headers = {"Content-Type": "image/png", "Accept": accept}
    answer = client.post("/v1/segment", content=blobs_png, headers=headers)
    assert answer.headers["content-type"] == media_type
    assert answer.headers["vary"] == "Accept"


def test_several_lines_of_the_accept_header_are_one_list(client, blobs_png):
    headers = [("Content-Type", "image/png"), ("Accept", "application/xml"), ("Accept", "text/csv;q=0.2, image/tiff")]
    answer = client.post("/v1/segment", content=blobs_png, headers=headers)
    assert answer.headers["content-type"] == "image/tiff"


def test_the_format_option_wins_over_the_accept_header(client, blobs_png):
    headers = {"Content-Type": "image/png", "Accept": "image/tiff"}
    answer = client.post("/v1/segment?format=json", content=blobs_png, headers=headers)
    assert orjson.loads(answer.content)["count"] == 3


def test_sixteen_bit_and_colour_images_are_taken_as_they_are(client, blobs):
    tiff = io.BytesIO()
    tifffile.imwrite(tiff, blobs.astype(np.uint16) * 200)
    answer = client.post("/v1/segment", content=tiff.getvalue(), headers={"Content-Type": "image/tiff"}).json()
    assert answer["image"]["dtype"] == "uint16"
    assert answer["count"] == 3
    array = io.BytesIO()
    np.save(array, np.repeat(blobs[..., None], 3, axis=2))
    answer = client.post("/v1/segment", content=array.getvalue(), headers={"Content-Type": "application/x-npy"}).json()
    assert answer["image"]["channels"] == 3
    assert answer["count"] == 3
