"""ImageJ itself opens what is written for it, where there are ImageJ and a JDK."""

import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from monolayer_core.answer_forms.imagej_rois import encode_imagej_rois
from monolayer_core.image_io import encode_label_tiff
from monolayer_core.measure import measure_runs
from monolayer_core.object_columns import object_columns, records_of
from monolayer_core.row_runs import PaintedRows, find_row_runs

JAR = Path(os.environ.get("MONOLAYER_TEST_JARS", "/usr/share/java"), "ij.jar")

pytestmark = [
    pytest.mark.skipif(
        not JAR.is_file(), reason="ij.jar is neither in /usr/share/java nor where MONOLAYER_TEST_JARS says"
    ),
    pytest.mark.skipif(shutil.which("javac") is None, reason="there is no JDK"),
]

MEASURE = """
import ij.*; import ij.gui.*; import ij.io.*; import ij.measure.*; import ij.process.*;
import java.io.*; import java.util.zip.*;
public class Measure {
  public static void main(String[] names) throws Exception {
    File tiff = new File(names[1]);
    ImagePlus image = new Opener().openTiff(tiff.getParent() + File.separator, tiff.getName());
    Calibration size = image.getCalibration();
    System.out.println("image " + image.getWidth() + " " + image.getHeight() + " " + size.pixelWidth
      + " " + size.getUnit().replace('\\u00B5', 'u') + " " + image.getBitDepth()
      + " " + image.getDisplayRangeMin() + " " + image.getDisplayRangeMax());
    ZipInputStream archive = new ZipInputStream(new FileInputStream(names[0]));
    for (ZipEntry entry; (entry = archive.getNextEntry()) != null;) {
      Roi roi = new RoiDecoder(archive.readAllBytes(), entry.getName()).getRoi();
      image.setRoi(roi, false);
      ImageStatistics found = image.getStatistics(Measurements.AREA + Measurements.MIN_MAX);
      System.out.println("roi " + roi.getName() + " " + found.pixelCount + " " + (int) found.min + " " + (int) found.max
        + " " + roi.getTypeAsString() + " " + roi.getProperty("class") + " " + roi.getProperty("score"));
    }
  }
}
"""


def ragged():
    """Forty objects of single pixels up to 30 by 30, full of holes and hanging together by corners."""
    random = np.random.default_rng(1)
    labels = np.zeros((200, 300), np.int32)
    for label in range(1, 41):
        (y, x), (height, width) = random.integers(0, (180, 270)), random.integers(1, 30, 2)
        box = labels[y : y + height, x : x + width]
        box[random.random(box.shape) < 0.85] = label
    return np.unique(labels, return_inverse=True)[1].reshape(labels.shape).astype(np.int32)


def far_right():
    """Objects beyond the 16 bits of ROI coordinates, one of them with a hole, and one that reaches there."""
    labels = np.zeros((8, 70_000), np.int32)
    labels[0, 10:69_000] = 1
    labels[2:7, 66_000:66_006] = 2
    labels[4, 66_002] = 0
    labels[3:5, 5:9] = 3
    return labels


@pytest.mark.parametrize(("make", "largest"), [(ragged, 40), (far_right, 70_000)], ids=["ragged", "far right"])
def test_imagej_measures_just_the_pixels_of_each_object(tmp_path, make, largest):
    labels = make()
    runs = find_row_runs(labels)
    numbers = np.arange(runs.count)
    columns = object_columns(measure_runs(runs), numbers % 2, ("rbc", "wbc"), numbers / 64, shapes=False)
    (tmp_path / "rois.zip").write_bytes(encode_imagej_rois(runs, records_of(columns), ("rbc", "wbc")))
    (tmp_path / "labels.tif").write_bytes(encode_label_tiff(PaintedRows(runs), largest, 0.325))
    (tmp_path / "Measure.java").write_text(MEASURE)
    command = ["java", "-Djava.awt.headless=true", "-cp", JAR, "Measure.java", "rois.zip", tmp_path / "labels.tif"]
    printed = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True).stdout.splitlines()

    _, width, height, pixel_size, unit, bits, *shown = next(
        line for line in printed if line.startswith("image ")
    ).split()
    assert (int(height), int(width), unit) == (*labels.shape, "um")
    assert float(pixel_size) == pytest.approx(0.325)
    assert int(bits) == (16 if largest < 1 << 16 else 32)
    assert [float(value) for value in shown] == [0, labels.max()]
    found = [line.split()[1:] for line in printed if line.startswith("roi ")]
    assert [name for name, *_ in found] == [f"{label:04}" for label in range(1, runs.count + 1)]
    for name, pixels, low, high, kind, class_name, score in found:
        label = int(name)
        assert int(low) == int(high) == label  # nothing of the background or of another object lies inside
        assert int(pixels) == np.count_nonzero(labels == label)
        assert kind in ("Traced", "Composite")
        assert class_name == ("rbc", "wbc")[(label - 1) % 2]
        assert float(score) == round((label - 1) / 64, 4)
