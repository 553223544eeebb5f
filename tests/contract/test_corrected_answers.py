"""An answer of the service, corrected in another program, becomes a data set of just what was corrected.

The programs are run as the guide tells it (docs/training.md); tests/docs trains a network on such a data set and
serves it. The correction is the same in each form: the first object is deleted, the second gets an outline drawn by
hand, the third stays as it was found.
"""

import io
import json
import os
import shutil
import subprocess
import sys
import zipfile

import numpy as np
import pytest
import tifffile
from roifile import ImagejRoi

from monolayer_core.image_io import encode_png
from monolayer_trainer.dataset import Dataset

pytestmark = [pytest.mark.enable_socket, pytest.mark.allow_hosts(["127.0.0.1"]), pytest.mark.slow]

FRAMES = ("A1", "A2", "A3", "B1", "B2")
REDRAWN = np.array([(45.3, 85.2), (60.1, 101.7), (74.8, 85.6), (60.4, 70.2)])
"""Corners (y, x) of the new outline of the second object: a diamond, clockwise, between the pixels' corners."""


@pytest.fixture(scope="module")
def service(toy_bundles, running_server):
    server = running_server(toy_bundles)
    yield server
    assert server.stop() == 0


@pytest.fixture
def images(blobs, tmp_path):
    """A folder of frames that show the same three discs, each a little brighter than the one before."""
    folder = tmp_path / "plate1"
    folder.mkdir()
    for brighter, name in enumerate(FRAMES):
        (folder / f"{name}.png").write_bytes(encode_png(blobs + np.uint8(brighter)))
    return folder


def run(module, *arguments, **environment):
    done = subprocess.run(
        [sys.executable, "-m", module, *map(str, arguments)],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def correct_geojson(folder):
    """As QuPath writes what it was given, indented and with names of its own."""
    for name in FRAMES:
        path = folder / f"{name}.geojson"
        found = json.loads(path.read_bytes())
        del found["features"][0]
        drawn = found["features"][0]
        drawn["geometry"]["coordinates"] = [[*REDRAWN[:, ::-1].tolist(), REDRAWN[0, ::-1].tolist()]]
        drawn["properties"] |= {"objectType": "annotation", "isLocked": False}
        path.write_text(json.dumps(found, indent=2))


def correct_rois(folder):
    """As ImageJ's ROI Manager saves its list."""
    for name in FRAMES:
        path = folder / f"{name}.rois.zip"
        with zipfile.ZipFile(path) as archive:
            rois = [ImagejRoi.frombytes(archive.read(entry)) for entry in archive.namelist()]
        drawn = ImagejRoi.frompoints(REDRAWN[:, ::-1].astype(np.float32), name=rois[1].name)
        with zipfile.ZipFile(path, "w") as archive:
            for roi in (drawn, rois[2]):
                archive.writestr(f"{roi.name}.roi", roi.tobytes())


def correct_coco(folder):
    """As tools for annotation export what they have imported: all images in one data set."""
    whole = {"images": [], "annotations": [], "categories": None}
    for number, name in enumerate(FRAMES, start=1):
        path = folder / f"{name}.coco.json"
        found = json.loads(path.read_bytes())
        path.unlink()
        _, drawn, kept = found["annotations"]
        drawn["segmentation"] = [REDRAWN[:, ::-1].ravel().tolist()]
        whole["images"].append(found["images"][0] | {"id": number})
        for annotation in (drawn, kept):
            whole["annotations"].append(annotation | {"id": len(whole["annotations"]) + 1, "image_id": number})
        whole["categories"] = found["categories"]
    (folder / "instances.json").write_text(json.dumps(whole))


def correct_coco_one_by_one(folder):
    """Each data set by itself, as the service wrote it."""
    for name in FRAMES:
        path = folder / f"{name}.coco.json"
        found = json.loads(path.read_bytes())
        del found["annotations"][0]
        found["annotations"][0]["segmentation"] = [REDRAWN[:, ::-1].ravel().tolist()]
        path.write_text(json.dumps(found))


CORRECTIONS = {
    "geojson": ("geojson", correct_geojson),
    "rois": ("rois", correct_rois),
    "coco": ("coco", correct_coco),
    "coco, one by one": ("coco", correct_coco_one_by_one),
}


def corrected_by_hand(service, images):
    """The labels that the corrected answers mean: the third object as the label image has it, the second painted."""
    _, body = service.post((images / "A1.png").read_bytes(), path="/v1/segment?format=tiff")
    found = tifffile.imread(io.BytesIO(body))
    assert np.unique(found).tolist() == [0, 1, 2, 3]
    y, x = np.mgrid[: found.shape[0], : found.shape[1]] + 0.5
    inside = np.ones(found.shape, dtype=bool)
    for (y1, x1), (y2, x2) in zip(REDRAWN, np.roll(REDRAWN, -1, axis=0), strict=True):
        inside &= (x2 - x1) * (y - y1) - (y2 - y1) * (x - x1) > 0
    assert not (inside & (found == 3)).any()
    assert (inside != (found == 2)).sum() > 50
    return np.where(inside, 1, np.where(found == 3, 2, 0))


def prepare_corrected(service, images, folder, form, correct):
    """Segment, correct and prepare; the folder of the data set."""
    url = f"http://127.0.0.1:{service.port}"
    run("monolayer_client", "segment", images, "--out", folder / "mine", "-f", form, MONOLAYER_URL=url)
    correct(folder / "mine")
    for image in images.iterdir():
        shutil.copy(image, folder / "mine")
    run("monolayer_trainer", "prepare", folder / "mine", folder / "data", "--kind", form)
    return folder / "data"


@pytest.mark.parametrize("way", CORRECTIONS)
def test_what_is_trained_on_is_what_was_corrected(service, images, tmp_path, way):
    dataset = Dataset.load(prepare_corrected(service, images, tmp_path, *CORRECTIONS[way]))
    expected = corrected_by_hand(service, images)
    assert [sample.id for sample in dataset.samples] == list(FRAMES)
    assert dataset.left_out == ()
    for sample in dataset.samples:
        _, labels, _ = dataset.read(sample)
        np.testing.assert_array_equal(labels, expected)
