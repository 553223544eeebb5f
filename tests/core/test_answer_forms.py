"""What the forms of an answer hold, read back by the libraries that people open them with."""

import contextlib
import csv
import io
import json
import uuid
import zipfile

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from roifile import ROI_TYPE, ImagejRoi
from shapely.geometry import shape

from monolayer_core.answer_forms.coco_dataset import encode_coco_dataset
from monolayer_core.answer_forms.geojson import encode_geojson
from monolayer_core.answer_forms.imagej_rois import encode_imagej_rois
from monolayer_core.answer_forms.object_table import encode_object_table
from monolayer_core.measure import measure_runs
from monolayer_core.object_columns import object_columns, records_of
from monolayer_core.row_runs import find_row_runs
from monolayer_core.row_source import ArrayRows

CLASSES = ("rbc", "wbc")


def objects_of(labels, *, pixel_size_um=None, scores=True, intensity=None):
    """Runs and records of the objects of a label image; every second one is a ``wbc``."""
    runs = find_row_runs(np.array(labels, dtype=np.int32))
    shapes = intensity is not None
    source = ArrayRows(intensity) if shapes else None
    measured = measure_runs(runs, source, pixel_size_um=pixel_size_um, solidity=shapes)
    numbers = np.arange(runs.count)
    found = object_columns(measured, numbers % 2, CLASSES, numbers / 7 if scores else None, shapes=shapes)
    return runs, list(records_of(found))


def compact(labels):
    return np.unique(np.append(labels, 0), return_inverse=True)[1][:-1].reshape(labels.shape)


label_images = arrays(np.int32, st.tuples(st.integers(1, 8), st.integers(1, 8)), elements=st.integers(0, 3)).map(
    compact
)

RING = [[1, 1, 1, 0], [1, 0, 1, 0], [1, 1, 1, 2]]


def test_a_feature_is_what_qupath_writes_itself():
    runs, records = objects_of(RING, pixel_size_um=0.5)
    collection = json.loads(encode_geojson(runs, records, CLASSES, "ab" * 32))
    assert collection["type"] == "FeatureCollection"
    first, second = collection["features"]
    identifier = first.pop("id")
    assert str(uuid.UUID(identifier)) == identifier != second["id"]
    assert first == {
        "type": "Feature",
        "geometry": {
            "type": "Polygon",
            "coordinates": [
                [[0, 0], [3, 0], [3, 3], [0, 3], [0, 0]],
                [[1, 1], [1, 2], [2, 2], [2, 1], [1, 1]],
            ],
        },
        "properties": {
            "objectType": "detection",
            "name": "1",
            "classification": {"name": "rbc", "color": [25, 224, 255]},
            "measurements": {"score": 0.0, "area_px": 8, "area_um2": 2.0},
        },
    }
    assert second["properties"]["classification"] == {"name": "wbc", "color": [255, 176, 0]}
    assert second["properties"]["measurements"] == {"score": 0.1429, "area_px": 1, "area_um2": 0.25}


def test_measurements_of_a_feature_are_numbers_only():
    pixels = np.zeros((3, 4, 3), np.uint8)
    pixels[..., 1] = 9
    runs, records = objects_of(RING, scores=False, intensity=pixels)
    first, _ = json.loads(encode_geojson(runs, records, CLASSES, ""))["features"]
    measurements = first["properties"]["measurements"]
    assert list(measurements) == [
        "area_px",
        "equivalent_diameter_px",
        "eccentricity",
        "solidity",
        "mean_intensity_red",
        "mean_intensity_green",
        "mean_intensity_blue",
    ]
    assert measurements["solidity"] == 0.8889
    assert measurements["mean_intensity_green"] == 9.0


def test_an_object_that_hangs_together_by_a_corner_is_a_multipolygon():
    runs, records = objects_of([[1, 0], [0, 1]])
    [feature] = json.loads(encode_geojson(runs, records, CLASSES, ""))["features"]
    assert feature["geometry"]["type"] == "MultiPolygon"
    assert shape(feature["geometry"]).area == 2


def test_features_of_two_images_have_different_identifiers():
    runs, records = objects_of(RING)
    identifiers = {
        feature["id"]
        for image in "ab"
        for feature in json.loads(encode_geojson(runs, records, CLASSES, image))["features"]
    }
    assert len(identifiers) == 4


@given(label_images)
def test_every_geometry_is_valid_and_covers_its_pixels(labels):
    runs, records = objects_of(labels)
    features = json.loads(encode_geojson(runs, records, CLASSES, ""))["features"]
    assert len(features) == runs.count
    for label, feature in enumerate(features, start=1):
        geometry = shape(feature["geometry"])
        assert geometry.is_valid
        assert geometry.area == (labels == label).sum()
        rows, columns = np.nonzero(labels == label)
        assert geometry.bounds == (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)


def rois_of(archive):
    with zipfile.ZipFile(io.BytesIO(archive)) as opened:
        return {name: ImagejRoi.frombytes(opened.read(name)) for name in opened.namelist()}


def painted(roi, size):
    """Pixels that an even-odd filling of a ROI covers: their centres, so that no edge decides."""
    fine = np.zeros((size[0] * 4, size[1] * 4), np.uint8)
    rings = roi.coordinates(multi=True)
    cv2.fillPoly(fine, [np.round(ring * 4).astype(np.int32) for ring in rings], 1)
    return fine[2::4, 2::4] == 1


def test_the_archive_lists_the_objects_in_order_with_class_and_score():
    runs, records = objects_of(RING)
    rois = rois_of(encode_imagej_rois(runs, records, CLASSES))
    assert [(name, roi.name, roi.group, roi.props) for name, roi in rois.items()] == [
        ("0001.roi", "0001", 1, "class: rbc\nscore: 0.0\n"),
        ("0002.roi", "0002", 2, "class: wbc\nscore: 0.1429\n"),
    ]
    assert rois["0001.roi"].composite
    assert rois["0002.roi"].roitype == ROI_TYPE.TRACED
    np.testing.assert_array_equal(rois["0002.roi"].coordinates(), [[3, 2], [4, 2], [4, 3], [3, 3]])
    assert (rois["0002.roi"].top, rois["0002.roi"].left, rois["0002.roi"].bottom, rois["0002.roi"].right) == (
        2,
        3,
        3,
        4,
    )


def test_one_class_needs_no_groups_and_no_score_no_property():
    runs, records = objects_of([[1]], scores=False)
    [roi] = rois_of(encode_imagej_rois(runs, records, ("rbc",))).values()
    assert (roi.group, roi.props) == (0, "class: rbc\n")


def test_names_have_as_many_digits_as_the_largest_needs():
    runs, records = objects_of(np.arange(12_000).reshape(100, 120))
    names = list(rois_of(encode_imagej_rois(runs, records, CLASSES)))
    assert (names[0], names[-1]) == ("00001.roi", "11999.roi")
    assert names == sorted(names)


def test_the_archive_is_the_same_at_any_time(monkeypatch):
    runs, records = objects_of(RING)
    expected = encode_imagej_rois(runs, records, CLASSES)
    monkeypatch.setattr("time.time", lambda: 2e9)
    assert encode_imagej_rois(runs, records, CLASSES) == expected


@given(label_images)
def test_every_roi_covers_the_pixels_of_its_object(labels):
    runs, records = objects_of(labels)
    rois = rois_of(encode_imagej_rois(runs, records, CLASSES)).values()
    assert len(rois) == runs.count
    for label, roi in enumerate(rois, start=1):
        np.testing.assert_array_equal(painted(roi, labels.shape), labels == label)


def test_far_outside_16_bits_coordinates_are_still_exact():
    labels = np.zeros((3, 70_000), np.int32)
    labels[1, 65_000:69_999] = 1
    runs, records = objects_of(labels)
    [roi] = rois_of(encode_imagej_rois(runs, records, CLASSES)).values()
    assert roi.subpixelresolution
    np.testing.assert_array_equal(roi.coordinates(), [[65_000, 1], [69_999, 1], [69_999, 2], [65_000, 2]])


def test_pycocotools_loads_the_data_set_and_its_masks(tmp_path):
    from pycocotools.coco import COCO

    labels = np.array(RING)
    runs, records = objects_of(labels)
    path = tmp_path / "coco.json"
    path.write_bytes(encode_coco_dataset("frame β", runs, records, CLASSES))
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO(str(path))
    assert coco.loadImgs([1]) == [{"id": 1, "file_name": "frame β", "height": 3, "width": 4}]
    assert [category["name"] for category in coco.loadCats(coco.getCatIds())] == ["rbc", "wbc"]
    annotations = coco.loadAnns(coco.getAnnIds())
    for label, annotation in enumerate(annotations, start=1):
        np.testing.assert_array_equal(coco.annToMask(annotation), labels == label)
    assert [(one["area"], one["bbox"], one["category_id"], one["iscrowd"]) for one in annotations] == [
        (8, [0, 0, 3, 3], 1, 0),
        (1, [3, 2, 1, 1], 2, 0),
    ]
    assert [one["score"] for one in annotations] == [0.0, 0.1429]


def test_without_scores_an_annotation_has_none():
    runs, records = objects_of(RING, scores=False)
    annotations = json.loads(encode_coco_dataset("frame", runs, records, CLASSES))["annotations"]
    assert all("score" not in annotation for annotation in annotations)


def test_cocoeval_finds_results_equal_to_the_truth(tmp_path):
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    labels = np.zeros((90, 60), np.int32)
    for label, (y, x) in enumerate([(2, 2), (30, 10), (60, 20), (60, 42)], start=1):
        labels[y : y + 20, x : x + 15] = label
    runs, records = objects_of(labels)
    path = tmp_path / "coco.json"
    path.write_bytes(encode_coco_dataset("frame", runs, records, CLASSES))
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO(str(path))
        found = truth.loadRes(json.loads(path.read_bytes())["annotations"][:3])
        evaluation = COCOeval(truth, found, "segm")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    # Of class 1 both objects are found, of class 2 one of two: its precision is 1 at 51 of 101 points of recall.
    assert evaluation.stats[0] == pytest.approx((1 + 51 / 101) / 2)


def table_of(table):
    return list(csv.DictReader(io.StringIO(table.decode(), newline="")))


def test_the_table_has_units_in_its_headings():
    _, records = objects_of(RING, pixel_size_um=0.5)
    table = encode_object_table("frame", records, 0.5)
    assert table.decode() == (
        "image_id,id,class,score,bbox_y_px,bbox_x_px,bbox_height_px,bbox_width_px,centroid_y_px,centroid_x_px,area_px,"
        "area_um2\n"
        "frame,1,rbc,0.0,0,0,3,3,1.0,1.0,8,2.0\n"
        "frame,2,wbc,0.1429,2,3,1,1,2.0,3.0,1,0.25\n"
    )


def test_the_table_has_all_measurements_and_leaves_what_is_unknown_empty():
    pixels = np.arange(12, dtype=np.uint8).reshape(3, 4)
    _, records = objects_of(RING, scores=False, intensity=pixels)
    first, second = table_of(encode_object_table("frame", records, None))
    assert first["score"] == ""
    assert float(first["equivalent_diameter_px"]) == round(2 * (8 / np.pi) ** 0.5, 4)
    assert float(first["mean_intensity"]) == np.delete(pixels[:, :3].ravel(), 4).mean()
    assert (second["eccentricity"], second["solidity"], second["mean_intensity"]) == ("0.0", "1.0", "11.0")
    assert "area_um2" not in first


@pytest.mark.parametrize(("pixel_size_um", "end"), [(None, "area_px"), (0.5, "area_um2")])
def test_an_image_without_objects_has_the_headings(pixel_size_um, end):
    _, records = objects_of([[0]], pixel_size_um=pixel_size_um)
    assert encode_object_table("frame", records, pixel_size_um).decode().strip().split(",")[-1] == end


@pytest.mark.parametrize("image_id", ["=cmd|' /C calc'!A0", "+1", "-1", "@SUM(A1)", '=1,"x"'])
def test_no_spreadsheet_takes_the_name_of_an_image_for_a_formula(image_id):
    _, records = objects_of([[1]])
    [row] = table_of(encode_object_table(image_id, records, None))
    assert row["image_id"] == "'" + image_id


def test_what_a_newer_service_says_of_an_object_has_columns_too():
    _, [record] = objects_of([[1]])
    [row] = table_of(encode_object_table("frame", [record | {"spread": [1, 2], "added_later": "=x"}], None))
    assert (row["spread_0"], row["spread_1"], row["added_later"]) == ("1", "2", "'=x")
