"""Micro-Manager's demo microscope under pymmcore-plus: every frame is answered, and says where it was taken."""

import importlib.util
from pathlib import Path

import pytest

from monolayer_client.microscope.poster import FramePoster
from monolayer_client.microscope.pymmcore_hook import PymmcoreHook

pytestmark = [pytest.mark.enable_socket, pytest.mark.allow_hosts(["127.0.0.1"])]

useq = pytest.importorskip("useq", reason="useq-schema, which comes with pymmcore-plus, is not installed")

EXAMPLES = Path(__file__).resolve().parents[3] / "examples"
POSITIONS = ("A01", "A02", "B01", "B02")


def test_every_frame_of_channels_positions_and_time_points_is_answered(demo_core, real_client):
    sequence = useq.MDASequence(
        axis_order="tpcz",
        time_plan={"interval": 0, "loops": 3},
        stage_positions=[{"x": 100.0 * n, "y": 50.0 * n, "z": 0.0, "name": name} for n, name in enumerate(POSITIONS)],
        channels=[{"config": "DAPI", "exposure": 5}, {"config": "FITC", "exposure": 8}],
    )
    results = []
    with FramePoster(real_client, results.append, when_full="wait") as poster, PymmcoreHook(demo_core, poster):
        demo_core.mda.run(sequence)
    assert (poster.answered, poster.dropped) == (24, 0)
    expected = [
        ({"t": t, "p": p, "c": c}, POSITIONS[p], channel, exposure_ms)
        for t in range(3)
        for p in range(4)
        for c, (channel, exposure_ms) in enumerate([("DAPI", 5.0), ("FITC", 8.0)])
    ]
    seen = [each.metadata for each in results]
    assert [
        ({axis: each.index[axis] for axis in "tpc"}, each.position, each.channel, each.exposure_ms) for each in seen
    ] == expected
    for each, (index, position, channel, exposure_ms) in zip(results, expected, strict=True):
        assert each.result.image.pixel_size_um == demo_core.getPixelSizeUm()
        assert (each.result.image.height, each.result.image.width) == (512, 512)
        echo = each.result.echo
        assert {axis: int(echo[axis]) for axis in "tpc"} == index
        assert (echo["position"], echo["channel"], float(echo["exposure_ms"])) == (position, channel, exposure_ms)
        assert float(echo["stage_x_um"]) == pytest.approx(100.0 * index["p"], abs=0.05)
        assert float(echo["stage_y_um"]) == pytest.approx(50.0 * index["p"], abs=0.05)


def test_behind_its_context_the_hook_takes_no_more_frames(demo_core, real_client):
    results = []
    with FramePoster(real_client, results.append) as poster:
        with PymmcoreHook(demo_core, poster):
            demo_core.mda.run([useq.MDAEvent(channel="DAPI", exposure=5)])
        demo_core.mda.run([useq.MDAEvent(channel="DAPI", exposure=5)])
    assert len(results) == 1
    assert results[0].metadata.index == {}


def closed_loop():
    specification = importlib.util.spec_from_file_location("closed_loop", EXAMPLES / "closed_loop.py")
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


def test_the_closed_loop_stops_at_its_target(demo_core, real_client, capsys):
    example = closed_loop()
    search = example.Search(target=60, max_fields=30)
    results = example.run(demo_core, real_client, search, channel="DAPI", exposure_ms=5)
    counts = [each.result.count for each in results]
    assert sum(counts) >= 60
    assert sum(counts[:-1]) < 60
    assert search.total == sum(counts)
    assert [each.metadata.index["p"] for each in results] == list(range(len(results)))
    example.report(search, results)
    assert "frame to answer: median" in capsys.readouterr().out


def test_the_search_stays_where_cells_are_and_visits_no_field_twice():
    search = closed_loop().Search(target=100, max_fields=6)
    visited = []
    while (place := search.next_field()) is not None:
        visited.append(place)
        search.counts[place] = 9 if place == (1, 0) else 1
    assert visited == [(0, 0), (0, 1), (1, 0), (1, 1), (2, 0), (1, -1)]
    search.target = 1
    assert search.next_field() is None


def test_an_answer_that_does_not_come_ends_the_loop_with_its_error(demo_core, real_client):
    example = closed_loop()
    real_client.confluency = lambda *_, **__: (_ for _ in ()).throw(ConnectionError("the service is gone"))
    with pytest.raises(Exception, match="the service is gone"):
        example.run(demo_core, real_client, example.Search(target=10, max_fields=3), channel="DAPI")
