"""Outlines and COCO data sets as people's tools write them, and the service's own answers read back."""

import io
import json
import zipfile
from pathlib import Path

import cv2
import numpy as np
import pytest
from roifile import ROI_TYPE, ImagejRoi

from monolayer_core.answer_forms.coco_dataset import encode_coco_dataset
from monolayer_core.answer_forms.geojson import encode_geojson
from monolayer_core.answer_forms.imagej_rois import encode_imagej_rois
from monolayer_core.row_runs import find_row_runs
from monolayer_trainer.errors import DatasetError
from monolayer_trainer.prepare import prepare
from monolayer_trainer.readers.layouts import find_layout, open_reader
from monolayer_trainer.readers.outlines import parse_geojson, parse_rois, part_from_regions

CLASSES = ("rbc", "wbc")
CELL = {"image_id": 5, "category_id": 2}


def two_cells() -> np.ndarray:
    """A ring with a hole, of class rbc, and a block that touches its corner, of class wbc."""
    labels = np.zeros((12, 16), np.int32)
    labels[2:7, 3:9] = 1
    labels[4, 5:7] = 0
    labels[7:10, 9:14] = 2
    return labels


def records(labels: np.ndarray) -> list[dict[str, object]]:
    found = []
    for number, name in enumerate(CLASSES, start=1):
        y, x = np.nonzero(labels == number)
        box = {"y": int(y.min()), "x": int(x.min()), "height": int(np.ptp(y)) + 1, "width": int(np.ptp(x)) + 1}
        found.append({"id": number, "class": name, "score": 0.5, "area_px": int(y.size), "bbox": box})
    return found


def answer(form: str) -> tuple[str, bytes]:
    """The name and the bytes of the service's answer for `two_cells`."""
    runs, known = find_row_runs(two_cells()), records(two_cells())
    if form == "geojson":
        return "a.geojson", encode_geojson(runs, known, CLASSES, "0" * 64)
    if form == "rois":
        return "a.rois.zip", encode_imagej_rois(runs, known, CLASSES)
    return "a.coco.json", encode_coco_dataset("a", runs, known, CLASSES)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "source"
    folder.mkdir()
    cv2.imwrite(str(folder / "a.png"), np.full((12, 16), 7, np.uint8))
    return folder


@pytest.mark.parametrize("form", ["geojson", "rois", "coco"])
def test_the_services_own_answer_is_read_back_to_the_pixel(source: Path, form: str):
    name, data = answer(form)
    (source / name).write_bytes(data)
    assert find_layout(source) == form
    reader = open_reader(source, "auto")
    assert (reader.ids, reader.left_out, reader.classes) == (("a",), (), CLASSES)
    read = reader.read("a")
    np.testing.assert_array_equal(read.labels, two_cells())
    assert read.object_classes == (0, 1)


@pytest.mark.parametrize("form", ["geojson", "rois", "coco"])
def test_the_caller_may_order_the_classes_or_take_all_for_one(source: Path, form: str):
    name, data = answer(form)
    (source / name).write_bytes(data)
    assert open_reader(source, "auto", ("wbc", "rbc")).read("a").object_classes == (1, 0)
    one = open_reader(source, "auto", ("cell",)).read("a")
    assert one.object_classes is None
    np.testing.assert_array_equal(one.labels, two_cells())
    with pytest.raises(DatasetError, match="rbc"):
        open_reader(source, "auto", ("wbc", "platelet")).read("a")


def test_a_corrected_answer_becomes_a_data_set(source: Path, tmp_path: Path):
    name, data = answer("geojson")
    corrected = json.loads(data)
    corrected["features"].pop(0)  # what was found wrongly is deleted, what was missed is drawn
    ring = [[0.6, 0.4], [2.4, 0.4], [2.4, 1.6], [0.6, 1.6], [0.6, 0.4]]
    corrected["features"].append(
        {
            "type": "Feature",
            "geometry": {"type": "Polygon", "coordinates": [ring]},
            "properties": {"objectType": "annotation", "classification": {"name": "rbc", "color": [1, 2, 3]}},
        }
    )
    (source / name).write_text(json.dumps(corrected))
    second = source / "b.png"
    cv2.imwrite(str(second), np.full((12, 16), 9, np.uint8))
    (source / "b.geojson").write_text(json.dumps(corrected))
    dataset = prepare(source, tmp_path / "data", validation_fraction=0.5)
    assert dataset.classes == CLASSES
    assert sorted(sample.id for sample in dataset.samples) == ["a", "b"]
    read = open_reader(source, "auto").read("a")
    assert read.object_classes == (1, 0)
    # Of the ring's columns 0.6 to 2.4 and rows 0.4 to 1.6 the centres of two pixels lie inside.
    expected = np.where(two_cells() == 2, 1, 0)
    expected[0:2, 1] = 2
    np.testing.assert_array_equal(read.labels, expected)


def square(left: float, top: float, side: float) -> list[list[float]]:
    right, bottom = left + side, top + side
    return [[left, top], [right, top], [right, bottom], [left, bottom], [left, top]]


def feature(geometry: dict[str, object], **properties: object) -> dict[str, object]:
    return {"type": "Feature", "geometry": geometry, "properties": properties}


def test_features_of_every_shape_and_way_of_writing():
    polygon = {"type": "Polygon", "coordinates": [square(0, 0, 4), square(1, 1, 2)]}
    several = {"type": "MultiPolygon", "coordinates": [[square(5, 5, 1)], [square(8, 8, 1)]]}
    features = [
        feature(polygon, classification={"name": "Tumor"}),
        feature(several, classification="Stroma"),
        feature({"type": "Point", "coordinates": [1, 1]}),
        feature({"type": "LineString", "coordinates": [[1, 1], [2, 2]]}),
        feature({"type": "Polygon", "coordinates": [[[0, 0, 7], [1, 0, 7], [1, 1, 7], [0, 0, 7]]]}),
    ]
    for written in (features, {"type": "FeatureCollection", "features": features}):
        read = parse_geojson(json.dumps(written).encode(), "a.geojson")
        assert [(len(one.rings), one.class_name) for one in read] == [(2, "Tumor"), (2, "Stroma"), (1, None)]
    (alone,) = parse_geojson(json.dumps(features[0]).encode(), "a.geojson")
    assert alone.rings[1].tolist() == [[1, 1], [1, 3], [3, 3], [3, 1], [1, 1]]


def detections() -> list[dict[str, object]]:
    """The service's own answer, as QuPath has it after an import."""
    return json.loads(answer("geojson")[1])["features"]


def drawn(*rings: list[list[float]], name: str | None = None, **properties: object) -> dict[str, object]:
    called = {} if name is None else {"name": name}
    return feature({"type": "Polygon", "coordinates": list(rings)}, objectType="annotation", **called, **properties)


PIECES = {"type": "MultiPolygon", "coordinates": [[square(0, 0, 1)], [square(2, 1, 8)]]}


@pytest.mark.parametrize(
    "region",
    [
        drawn(square(0, 0, 12), name="field", classification={"name": "Region"}),
        feature(PIECES, objectType="annotation"),
    ],
    ids=["around all", "in two pieces, one around one"],
)
def test_an_annotation_around_detections_is_no_object(source: Path, tmp_path: Path, region):
    (source / "a.geojson").write_text(json.dumps({"type": "FeatureCollection", "features": [region, *detections()]}))
    reader = open_reader(source, "auto")
    assert reader.classes == CLASSES
    np.testing.assert_array_equal(reader.read("a").labels, two_cells())
    words = "an annotation 'field' of class Region" if "name" in region["properties"] else "an annotation"
    assert reader.left_out == (f"a.geojson: {words} that encloses other objects",)
    cv2.imwrite(str(source / "b.png"), np.full((12, 16), 9, np.uint8))
    (source / "b.geojson").write_bytes((source / "a.geojson").read_bytes())
    dataset = prepare(source, tmp_path / "data", validation_fraction=0.5)
    assert len(dataset.left_out) == 2
    assert dataset.classes == CLASSES


@pytest.mark.parametrize(
    "annotation",
    [
        drawn(square(0.2, 0.2, 1.6)),
        drawn([[2, 1], [10, 1], [10, 4], [2, 4], [2, 1]]),
        drawn([[9, 7], [14, 7], [14, 10], [9, 10], [9, 7]]),
        drawn(square(0, 0, 12), [[1, 1], [15, 1], [15, 11], [1, 11], [1, 1]]),
        drawn([[0, 0], [15, 0], [15, 11], [14, 11], [14, 1], [3, 1], [3, 11], [0, 11], [0, 0]]),
    ],
    ids=["alone", "over a part", "just as large", "all in its hole", "around three sides"],
)
def test_an_annotation_that_encloses_nothing_is_an_object(source: Path, annotation):
    (source / "a.geojson").write_text(json.dumps([*detections(), annotation]))
    reader = open_reader(source, "auto", ("cell",))
    assert reader.left_out == ()
    parsed = parse_geojson((source / "a.geojson").read_bytes(), "a.geojson")
    assert len(part_from_regions(parsed)[0]) == 3


def test_where_all_was_drawn_an_annotation_in_another_is_an_object_beside_it(source: Path):
    (source / "a.geojson").write_text(json.dumps([drawn(square(0, 0, 10)), drawn(square(2, 2, 3))]))
    reader = open_reader(source, "auto")
    assert reader.left_out == ()
    assert np.bincount(reader.read("a").labels.ravel())[1:].tolist() == [91, 9]


def test_regions_in_regions_are_all_left_out(source: Path):
    missed = drawn(square(0.2, 0.2, 1.6), classification={"name": "rbc"})
    nested = [drawn(square(0, 0, side), name=str(side)) for side in (16, 12)]
    (source / "a.geojson").write_text(json.dumps([*nested, *detections(), missed]))
    reader = open_reader(source, "auto")
    assert [line.split("'")[1] for line in reader.left_out] == ["16", "12"]
    assert reader.read("a").labels.max() == 3


@pytest.mark.parametrize(
    "text",
    [
        "",
        "7",
        '{"type": "FeatureCollection"}',
        '[{"type": "Feature"}]',
        '[{"geometry": {"type": "Polygon", "coordinates": [[[1]]]}}]',
        '[{"geometry": {"type": "Polygon", "coordinates": [[[NaN, 0], [1, 0], [1, 1]]]}}]',
        "[" * 100_000,
    ],
)
def test_what_is_no_geojson_is_refused_by_its_name(text: str):
    with pytest.raises(DatasetError, match=r"a\.geojson"):
        parse_geojson(text.encode(), "a.geojson")


def zipped(*rois: ImagejRoi) -> bytes:
    body = io.BytesIO()
    with zipfile.ZipFile(body, "w") as archive:
        archive.writestr("readme.txt", "no ROI")
        for number, roi in enumerate(rois):
            archive.writestr(f"{number}.roi", roi.tobytes())
    return body.getvalue()


def test_rectangles_ellipses_and_polygons_have_areas_and_points_have_none():
    rectangle, oval, point = ImagejRoi(), ImagejRoi(), ImagejRoi.frompoints([[1, 1]])
    for roi, kind in ((rectangle, ROI_TYPE.RECT), (oval, ROI_TYPE.OVAL)):
        roi.roitype, roi.top, roi.left, roi.bottom, roi.right = kind, 1, 2, 9, 10
    point.roitype = ROI_TYPE.POINT
    polygon = ImagejRoi.frompoints([[0, 0], [4, 0], [4, 4]])
    rectangle.group = 3
    read = parse_rois(zipped(rectangle, oval, point, polygon), "a.zip")
    assert [one.class_name for one in read] == ["3", None, None]
    assert read[0].rings[0][:3].tolist() == [[1, 2], [9, 2], [9, 10]]
    circle = read[1].rings[0]
    np.testing.assert_allclose(np.hypot(circle[:, 0] - 5, circle[:, 1] - 6), 4, atol=0.6)
    assert parse_rois(polygon.tobytes(), "a.roi")[0].rings[0].tolist() == [[0, 0], [0, 4], [4, 4]]


@pytest.mark.parametrize("data", [b"", b"no ROI at all", b"PK\x03\x04 no archive"])
def test_what_holds_no_rois_is_refused_by_its_name(data: bytes):
    with pytest.raises(DatasetError, match=r"a\.zip"):
        parse_rois(data, "a.zip")


def coco(**changes: object) -> dict[str, object]:
    annotation = {"id": 1, "image_id": 5, "category_id": 2, "iscrowd": 0, "segmentation": [[3, 2, 9, 2, 9, 7, 3, 7]]}
    content = {
        "images": [{"id": 5, "file_name": "folder/a.png", "height": 12, "width": 16}],
        "categories": [{"id": 2, "name": "cell"}],
        "annotations": [annotation],
    }
    return content | changes


def test_polygons_and_run_lengths_of_a_coco_data_set(source: Path):
    mask = np.zeros((12, 16), np.int32)
    mask[2:7, 3:9] = 1
    flat = mask.ravel(order="F")
    borders = np.flatnonzero(np.diff(flat, prepend=0, append=0))
    counts = np.diff(np.concatenate([[0], borders, [flat.size]])).tolist()
    for segmentation in ([[3, 2, 9, 2, 9, 7, 3, 7]], {"size": [12, 16], "counts": counts}):
        annotation = {"image_id": 5, "category_id": 2, "segmentation": segmentation}
        crowd = {"image_id": 5, "category_id": 2, "iscrowd": 1, "segmentation": [[0, 0, 16, 0, 16, 12]]}
        (source / "set.json").write_text(json.dumps(coco(annotations=[annotation, crowd])))
        reader = open_reader(source, "auto")
        assert reader.classes == ("cell",)
        read = reader.read("a")
        np.testing.assert_array_equal(read.labels, mask)
        assert read.object_classes is None


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"images": [{"id": 5}]}, "malformed"),
        ({"annotations": [{"image_id": 6, "segmentation": []}]}, "malformed"),
        ({"images": [{"id": 5, "file_name": "other.png"}]}, "none of the images"),
        (
            {"annotations": [{"image_id": 5, "category_id": 2, "segmentation": {"size": [1, 2], "counts": "0"}}]},
            "measures",
        ),
        ({"annotations": [{"image_id": 5, "category_id": 2, "segmentation": [[1, 2, 3]]}]}, "image a"),
        ({"annotations": [{"image_id": 5, "category_id": 2}]}, "image a"),
    ],
)
def test_a_broken_coco_data_set_is_refused(source: Path, changes: dict[str, object], message: str):
    (source / "set.json").write_text(json.dumps(coco(**changes)))
    with pytest.raises(DatasetError, match=message):
        open_reader(source, "coco").read("a")


def test_what_is_left_out_is_named(source: Path):
    cv2.imwrite(str(source / "plain.png"), np.zeros((4, 4), np.uint8))
    (source / "a.geojson").write_bytes(answer("geojson")[1])
    (source / "gone.geojson").write_text('{"type": "FeatureCollection", "features": []}')
    assert open_reader(source, "auto").left_out == ("plain.png: no outlines", "gone.geojson: no image")
    (source / "sub").mkdir()
    (source / "sub" / "a.geojson").write_bytes(answer("geojson")[1])
    with pytest.raises(DatasetError, match="are both for the image a"):
        open_reader(source, "auto")


def test_data_sets_that_the_service_wrote_for_single_images_are_read_together(source: Path):
    cv2.imwrite(str(source / "b.png"), np.full((12, 16), 9, np.uint8))
    found = json.loads(answer("coco")[1])
    (source / "a.coco.json").write_text(json.dumps(found))
    found["images"][0]["file_name"] = "b"
    found["annotations"].pop(0)
    found["categories"].reverse()
    (source / "b.coco.json").write_text(json.dumps(found))
    reader = open_reader(source, "auto")
    assert (reader.ids, reader.classes, reader.left_out) == (("a", "b"), CLASSES, ())
    np.testing.assert_array_equal(reader.read("a").labels, two_cells())
    assert reader.read("a").object_classes == (0, 1)
    np.testing.assert_array_equal(reader.read("b").labels, two_cells() == 2)
    assert reader.read("b").object_classes == (1,)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({}, r"a\.coco\.json and b\.coco\.json are both for the image a"),
        ({"images": [7]}, r"b\.coco\.json is malformed"),
    ],
)
def test_data_sets_that_do_not_go_together_are_named(source: Path, changes: dict[str, object], message: str):
    (source / "a.coco.json").write_text(json.dumps(coco()))
    (source / "b.coco.json").write_text(json.dumps(coco(**changes)))
    with pytest.raises(DatasetError, match=message):
        open_reader(source, "auto")


def test_two_data_sets_in_one_folder_are_one_too_many(source: Path):
    for name in ("one.json", "two.json"):
        (source / name).write_text(json.dumps(coco()))
    with pytest.raises(DatasetError, match=r"one\.json and two\.json"):
        open_reader(source, "auto")
