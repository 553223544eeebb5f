"""Pictures for people: what stands where."""

import cv2
import numpy as np

from monolayer_trainer.architecture_picture import Stage, draw_architecture, stages
from monolayer_trainer.config import TrainConfig
from monolayer_trainer.curves import draw_curves, points_of
from monolayer_trainer.displays import SHOWN_SIDE, cut_out
from monolayer_trainer.pictures import CAPTION_PX, GAP_PX, draw_row, draw_sheet, write_png
from monolayer_trainer.scoring import Example


def test_a_row_shows_the_image_and_outlines_beside_it():
    image = np.full((6, 5, 1), 100, np.uint8)
    labels = np.zeros((6, 5), np.int32)
    labels[1:5, 1:4] = 1
    row = draw_row(image, labels, np.zeros_like(labels))
    assert row.shape == (6, 3 * 5 + 2 * GAP_PX, 3)
    assert (row[:, :5] == 100).all()
    truth = row[:, 5 + GAP_PX : 10 + GAP_PX]
    assert (truth[2, 2] == 100).all(), "the inside keeps its grey"
    assert (truth[1, 1] != 100).any(), "the edge is coloured"
    assert (row[:, -5:] == 100).all(), "a labelling without objects draws nothing"


def test_a_sheet_is_as_wide_as_its_widest_row():
    rows = [np.full((4, 10, 3), 50, np.uint8), np.full((6, 20, 3), 60, np.uint8)]
    sheet = draw_sheet(rows, ["first"])
    assert sheet.shape == (4 + 6 + 2 * (CAPTION_PX + GAP_PX), 20, 3)
    assert (sheet[CAPTION_PX : CAPTION_PX + 4, :10] == 50).all()
    start = 4 + 2 * CAPTION_PX + GAP_PX
    assert (sheet[start : start + 6] == 60).all()


def test_a_png_keeps_the_order_of_colours(tmp_path):
    picture = np.zeros((2, 2, 3), np.uint8)
    picture[..., 0] = 255
    write_png(tmp_path / "new" / "red.png", picture)
    assert cv2.imread(str(tmp_path / "new" / "red.png"))[0, 0].tolist() == [0, 0, 255]


def test_of_a_large_image_the_middle_is_shown():
    labels = np.zeros((SHOWN_SIDE + 2, 10), np.int32)
    labels[0], labels[1], labels[-1] = 1, 2, 3
    shown = cut_out(Example("a", "a", np.zeros((*labels.shape, 1), np.uint8), labels))
    assert shown.labels.shape == (SHOWN_SIDE, 10)
    assert np.unique(shown.labels).tolist() == [0, 2]


def test_the_stages_of_a_unet_go_down_and_up_again():
    assert stages(TrainConfig(base_width=8, depth=2)) == [
        Stage(0, 8, up=False),
        Stage(1, 16, up=False),
        Stage(2, 32, up=False),
        Stage(1, 16, up=True),
        Stage(0, 8, up=True),
    ]


def test_the_stages_of_the_mobilenet_unet_begin_at_half_the_side():
    listed = stages(TrainConfig(architecture="mobilenet-unet", crop_side=128))
    assert [(stage.level, stage.channels) for stage in listed[:2]] == [(1, 96), (2, 144)]
    assert listed[-1] == Stage(1, 64, up=True)


def test_architecture_and_curves_become_pictures(tmp_path):
    draw_architecture(TrainConfig(), ("background", "nucleus"), 1_946_292, tmp_path / "network.png")
    rows = [{"epoch": "1", "loss": "2", "learning_rate": "1e-3"}, {"epoch": "2", "loss": "1", "score": "0.5"}]
    draw_curves(rows, tmp_path / "curves.png")
    for name in ("network.png", "curves.png"):
        assert np.ptp(cv2.imread(str(tmp_path / name))) > 100, "something is drawn"


def test_a_figure_that_a_run_never_had_has_no_panel(tmp_path):
    rows = [{"epoch": "1", "loss": "2", "dice": "0.5"}, {"epoch": "2", "loss": "1", "dice": ""}]
    draw_curves(rows, tmp_path / "two.png")
    draw_curves([row | {"score": "0.3", "learning_rate": "1e-3"} for row in rows], tmp_path / "four.png")
    heights = [cv2.imread(str(tmp_path / name)).shape[0] for name in ("two.png", "four.png")]
    assert heights[1] == 2 * heights[0]
    assert points_of(rows, "dice") == [(1, 0.5)]
    assert points_of(rows, "score") == []
