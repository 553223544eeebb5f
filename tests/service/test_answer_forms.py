"""The forms of an answer as a caller gets them, opened by the libraries that people open them with."""

import contextlib
import csv
import hashlib
import io
import json
import zipfile
from pathlib import Path
from urllib.parse import quote

import numpy as np
import pytest
import tifffile
from roifile import ImagejRoi
from shapely.geometry import shape

from monolayer_core.image_io import decode_image
from monolayer_core.overlay import CLASS_COLOURS, outlines
from monolayer_core.rle import decode_kaggle
from monolayer_service.media_types import FORM_KINDS

BY_ACCEPT = [form for form, kind in FORM_KINDS.items() if kind.by_accept and form != "ndjson"]


@pytest.mark.parametrize("form", BY_ACCEPT)
def test_the_media_type_asks_for_the_same_as_the_option(client, blobs_png, post_png, form):
    by_option = post_png(client, format=form)
    headers = {"Content-Type": "image/png", "Accept": FORM_KINDS[form].bare_type}
    by_accept = client.post("/v1/segment", content=blobs_png, headers=headers)
    assert by_accept.content == by_option.content
    assert by_accept.headers["content-type"] == by_option.headers["content-type"] == FORM_KINDS[form].media_type


def test_the_media_types_are_those_that_tools_register():
    assert {form: kind.bare_type for form, kind in FORM_KINDS.items()} == {
        "json": "application/json",
        "csv": "text/csv",
        "table": "text/csv",
        "tiff": "image/tiff",
        "overlay": "image/png",
        "geojson": "application/geo+json",
        "rois": "application/zip",
        "coco": "application/json",
        "ndjson": "application/x-ndjson",
    }


@pytest.mark.parametrize(
    ("form", "name"),
    [
        ("csv", "frame.rle.csv"),
        ("table", "frame.objects.csv"),
        ("tiff", "frame.labels.tif"),
        ("overlay", "frame.overlay.png"),
        ("geojson", "frame.geojson"),
        ("rois", "frame.rois.zip"),
        ("coco", "frame.coco.json"),
    ],
)
def test_a_browser_saves_it_under_a_name_that_tools_know(client, post_png, form, name):
    answer = post_png(client, format=form, image_id="frame")
    assert answer.headers["content-disposition"] == f"inline; filename*=UTF-8''{name}"
    assert answer.headers["x-method"] == "unet"


def test_geojson_says_the_same_as_json(client, post_png):
    query = {"measurements": True, "pixel_size_um": 0.5}
    instances = post_png(client, **query).json()["instances"]
    features = post_png(client, format="geojson", **query).json()["features"]
    for instance, feature in zip(instances, features, strict=True):
        geometry, properties = shape(feature["geometry"]), feature["properties"]
        assert geometry.is_valid
        assert geometry.area == instance["area_px"]
        # Coordinates are corners: the middle of a pixel lies half a pixel further on.
        assert geometry.centroid.x == pytest.approx(instance["centroid"]["x"] + 0.5, abs=1e-3)
        assert geometry.centroid.y == pytest.approx(instance["centroid"]["y"] + 0.5, abs=1e-3)
        assert properties["classification"]["name"] == instance["class"]
        names = set(instance) - {"id", "class", "bbox", "centroid", "rle"}
        assert properties["measurements"] == {name: instance[name] for name in names}


def test_rois_are_the_objects(client, post_png, blobs):
    answer = post_png(client, format="rois")
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        rois = [ImagejRoi.frombytes(archive.read(name)) for name in archive.namelist()]
    assert [roi.name for roi in rois] == ["0001", "0002", "0003"]
    assert [(roi.top, roi.left, roi.bottom, roi.right) for roi in rois] == [
        (15, 20, 36, 41),
        (48, 73, 73, 98),
        (67, 17, 84, 34),
    ]


@pytest.mark.parametrize("model", ["blood", "nuclei"])
def test_an_overlay_has_the_colours_of_the_classes_where_there_are_several(client, post_png, blobs, model):
    instances = post_png(client, model=model).json()["instances"]
    picture = decode_image(post_png(client, model=model, format="overlay").content).pixels
    drawn = picture[(picture != picture[..., :1]).any(axis=2)]  # the image itself is grey
    labels = decode_kaggle([instance["rle"] for instance in instances], *blobs.shape)
    names = {"blood": ["rbc", "wbc"], "nuclei": ["nucleus"]}[model]
    for instance in instances:
        edge = outlines(np.where(labels == instance["id"], labels, 0))
        colours = {tuple(colour) for colour in picture[edge].tolist()}
        assert len(colours) == 1
        if model == "blood":
            assert colours == {CLASS_COLOURS[names.index(instance["class"])]}
    assert len({tuple(colour) for colour in drawn.tolist()}) == (
        len({instance["class"] for instance in instances}) if model == "blood" else len(instances)
    )


def test_coco_says_the_same_as_json(client, post_png, tmp_path):
    from pycocotools.coco import COCO

    instances = post_png(client, model="blood", rle="coco").json()["instances"]
    path = tmp_path / "coco.json"
    path.write_bytes(post_png(client, model="blood", format="coco", image_id="frame").content)
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO(str(path))
    assert coco.imgs[1]["file_name"] == "frame"
    assert {number: category["name"] for number, category in coco.cats.items()} == {1: "rbc", 2: "wbc"}
    annotations = list(coco.anns.values())
    assert [one["segmentation"] for one in annotations] == [instance["rle"] for instance in instances]
    assert [coco.cats[one["category_id"]]["name"] for one in annotations] == [one["class"] for one in instances]
    assert [one["score"] for one in annotations] == [instance["score"] for instance in instances]


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        ("plate 1/A1.ome.tif", "A1.ome.tif"),
        ("C:\\plate\\β A1.png", "β A1.png"),
        ("..", "frame"),
        ("=1+1.png", "frame"),
        ("a\u202eb.png", "frame"),
        ("x" * 256, "frame"),
    ],
)
def test_a_coco_data_set_has_the_name_of_the_file_that_was_sent(client, blobs_png, sent, expected):
    query = {"format": "coco", "image_id": "frame"}
    parts = client.post("/v1/segment", params=query, files={"image": (sent, blobs_png)})
    assert parts.json()["images"][0]["file_name"] == expected
    headers = {
        "Content-Type": "image/png",
        "Content-Disposition": f"attachment; filename*=UTF-8''{quote(sent, safe='')}",
    }
    raw = client.post("/v1/segment", params=query, content=blobs_png, headers=headers)
    assert raw.json()["images"][0]["file_name"] == expected


@pytest.mark.parametrize("method", ["unet", "kmeans"])
def test_the_python_of_the_documentation_makes_results_of_a_coco_data_set(
    client, post_png, tmp_path, monkeypatch, method
):
    from pycocotools.cocoeval import COCOeval

    page = (Path(__file__).parents[2] / "docs" / "answers.md").read_text(encoding="utf-8")
    code = page.split("<!-- results -->\n```python\n")[1].split("```\n<!-- /results -->")[0]
    answer = post_png(client, format="coco", method=method)
    given = [annotation.get("score") for annotation in answer.json()["annotations"]]
    assert [score is None for score in given] == [method == "kmeans"] * 3
    (tmp_path / "truth.coco.json").write_bytes(answer.content)
    (tmp_path / "frame.coco.json").write_bytes(answer.content)
    monkeypatch.chdir(tmp_path)
    made = {}
    with contextlib.redirect_stdout(io.StringIO()):
        exec(code, made)  # noqa: S102 - the page is ours
        evaluation = COCOeval(made["truth"], made["found"], "segm")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    found = [one["score"] for one in made["found"].anns.values()]
    assert found == (given if method == "unet" else [1.0] * 3)
    assert evaluation.stats[0] == pytest.approx(1)


@pytest.mark.parametrize(
    ("disposition", "expected"),
    [
        ('attachment; filename="A1 b.png"', "A1 b.png"),
        ("attachment; filename=ß.png".encode(), "ß.png"),
        ("attachment; filename=\"A1 b.png\"; filename*=UTF-8''%C3%9F.png", "ß.png"),
        ("inline", None),
        ("attachment; filename*=punycode''%C3%9F", None),
        (b"\xff;;=;filename*0*=", None),
    ],
)
def test_a_raw_body_is_called_after_its_file(client, blobs_png, disposition, expected):
    headers = {"Content-Type": "image/png", "Content-Disposition": disposition}
    answer = client.post("/v1/segment?format=coco", content=blobs_png, headers=headers)
    digest = hashlib.sha256(blobs_png).hexdigest()[:16]
    assert answer.json()["images"][0]["file_name"] == (expected or digest)
    answer = client.post("/v1/confluency", content=blobs_png, headers=headers).json()
    assert answer["image_id"] == (expected or digest).removesuffix(".png")


@pytest.mark.parametrize("query", [{}, {"pixel_size_um": 0.5, "measurements": True}], ids=["plain", "all"])
def test_the_table_says_the_same_as_json(client, post_png, query):
    instances = post_png(client, image_id="frame", **query).json()["instances"]
    answer = post_png(client, format="table", image_id="frame", **query)
    rows = list(csv.DictReader(io.StringIO(answer.text, newline="")))
    assert len(rows) == len(instances) == 3
    for row, instance in zip(rows, instances, strict=True):
        assert row["image_id"] == "frame"
        assert [float(row[f"bbox_{part}_px"]) for part in instance["bbox"]] == list(instance["bbox"].values())
        assert [float(row[f"centroid_{part}_px"]) for part in "yx"] == [instance["centroid"][part] for part in "yx"]
        for name in set(instance) - {"class", "bbox", "centroid", "rle"}:
            assert float(row[name]) == instance[name]


def test_a_label_image_has_its_axes_and_pixel_size(client, post_png, blobs):
    answer = post_png(client, format="tiff", pixel_size_um=0.325)
    with tifffile.TiffFile(io.BytesIO(answer.content)) as file:
        [series] = file.series
        assert (series.kind, series.axes, series.dtype) == ("ome", "YX", np.uint16)
        described = tifffile.xml2dict(file.ome_metadata)["OME"]["Image"]["Pixels"]
        assert [described[f"PhysicalSize{axis}{end}"] for axis in "XY" for end in ("", "Unit")] == [0.325, "µm"] * 2
        pixels, centimetres = file.pages[0].tags["XResolution"].value
        assert file.pages[0].tags["ResolutionUnit"].value == tifffile.RESUNIT.CENTIMETER
        assert 10_000 * centimetres / pixels == pytest.approx(0.325)
        assert file.pages[0].tags["YResolution"].value == (pixels, centimetres)
        np.testing.assert_array_equal(series.asarray() > 0, blobs > 100)


@pytest.mark.parametrize("form", ["table", "geojson", "rois", "coco"])
def test_kmeans_has_no_scores_in_any_form(client, post_png, form):
    answer = post_png(client, format=form, method="kmeans", clusters=2)
    assert answer.status_code == 200
    if form == "table":
        assert [row["score"] for row in csv.DictReader(io.StringIO(answer.text))] == [""] * 3
    elif form == "rois":
        with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
            assert ImagejRoi.frombytes(archive.read("0001.roi")).props == "class: object\n"
    else:
        assert "score" not in answer.text


@pytest.mark.parametrize("form", ["csv", "table", "tiff", "overlay", "geojson", "rois", "coco"])
def test_an_image_without_objects_has_every_form(client, post_png, form):
    answer = post_png(client, format=form, min_area_px=10_000)
    assert answer.status_code == 200
    if form == "geojson":
        assert answer.json() == {"type": "FeatureCollection", "features": []}
    elif form == "rois":
        with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
            assert archive.namelist() == []
    elif form == "coco":
        assert json.loads(answer.content)["annotations"] == []


@pytest.mark.parametrize(
    ("form", "option"),
    [
        *((form, "measurements") for form in ("csv", "tiff", "overlay", "rois", "coco")),
        *((form, option) for form in ("table", "geojson") for option in ("rle", "polygons")),
    ],
)
def test_an_option_without_a_place_in_the_form_is_refused(client, post_png, form, option):
    answer = post_png(client, format=form, **{option: "kaggle" if option == "rle" else "true"})
    assert answer.status_code == 422
    assert answer.json()["error"]["message"] == f"option {option} does not act in an answer of the form {form}"


def test_the_old_name_of_the_overlay_is_not_known(client, post_png):
    answer = post_png(client, format="png")
    assert answer.status_code == 422
    assert "overlay" in answer.json()["error"]["message"]
