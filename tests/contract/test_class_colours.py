"""A class has one colour: the page, which cannot import core's list, holds the same."""

import re
from pathlib import Path

from monolayer_core.overlay import CLASS_COLOURS

PICTURE = Path(__file__).resolve().parents[2] / "service/monolayer_service/pages/page/picture.js"


def test_the_colours_of_the_page_are_those_of_overlays_and_geojson():
    listed = re.search(r"export const CLASS_COLOURS = \[(.*?)\];", PICTURE.read_text(encoding="utf-8"), re.DOTALL)[1]
    assert tuple(tuple(map(int, rgb.split(","))) for rgb in re.findall(r"\[([\d, ]+)\]", listed)) == CLASS_COLOURS
