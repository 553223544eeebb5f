"""Micro-Manager's demo microscope under Pycro-Manager's own engine, and the tags of Java's."""

import numpy as np
import pytest

from monolayer_client.microscope.frame import FrameMetadata
from monolayer_client.microscope.poster import FramePoster
from monolayer_client.microscope.pycromanager_hook import PycromanagerHook, metadata_of

pytestmark = [pytest.mark.enable_socket, pytest.mark.allow_hosts(["127.0.0.1"])]


def test_tags_of_the_java_engine_are_read():
    tags = {
        "Axes": {"time": 2, "position": "B03-Site_1", "channel": "FITC", "z": 4},
        "PixelSizeUm": 0.325,
        "Exposure": "50.0",
        "XPosition_um_Intended": "1.5",
        "YPosition_um_Intended": "-2",
        "PixelType": "GRAY16",
    }
    assert metadata_of(tags) == FrameMetadata(
        {"t": 2, "z": 4}, 0.325, "FITC", 50.0, "B03-Site_1", {"x": 1.5, "y": -2.0}
    )


def test_what_is_not_tagged_is_not_known():
    assert metadata_of({"PixelSizeUm": 0.0, "Exposure": "unknown"}) == FrameMetadata()


def test_every_frame_is_answered_and_passed_on(demo_pycromanager, real_client):
    events = demo_pycromanager.multi_d_acquisition_events(
        num_time_points=3,
        channel_group="Channel",
        channels=["DAPI", "FITC"],
        channel_exposures_ms=[5, 8],
        xy_positions=np.array([[0.0, 0.0], [100.0, 50.0], [200.0, 100.0], [300.0, 150.0]]),
        order="tpcz",
    )
    results, passed_on = [], []
    with FramePoster(real_client, results.append, when_full="wait") as poster:
        hook = PycromanagerHook(poster)

        def process(image, metadata):
            given = hook.take(image, metadata)
            passed_on.append(given[0] is image and given[1] is metadata)
            return given

        with demo_pycromanager.Acquisition(
            directory=None, name="run", image_process_fn=process, show_display=False
        ) as acquisition:
            acquisition.acquire(events)
    assert poster.answered == 24
    assert passed_on == [True] * 24
    expected = [
        ({"t": t, "p": p}, channel, exposure_ms, 100.0 * p)
        for t in range(3)
        for p in range(4)
        for channel, exposure_ms in (("DAPI", 5.0), ("FITC", 8.0))
    ]
    answered = [
        (dict(each.metadata.index), each.metadata.channel, each.metadata.exposure_ms, each.metadata.stage_um["x"])
        for each in results
    ]
    assert answered == expected
    for each, (index, channel, _, _) in zip(results, expected, strict=True):
        assert each.result.image.pixel_size_um == 1.0
        assert {axis: int(each.result.echo[axis]) for axis in "tp"} == index
        assert each.result.echo["channel"] == channel
