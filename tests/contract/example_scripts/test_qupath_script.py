"""The request of QuPath's script, replayed."""

import http.client
import io
import json
import re
from urllib.parse import quote_plus

import numpy as np
import pytest
import tifffile
from tests.contract.example_scripts.programs import script

pytestmark = [pytest.mark.enable_socket, pytest.mark.allow_hosts(["127.0.0.1"]), pytest.mark.slow]

H2C_OFFER = {
    "Connection": "Upgrade, HTTP2-Settings",
    "Http2-Settings": "AAEAAEAAAAIAAAABAAMAAABkAAQBAAAAAAUAAEAA",
    "Upgrade": "h2c",
    "User-Agent": "Java-http-client/17.0.15",
}
"""What Java's `HttpClient` adds to its first request on a connection, as it was seen on the wire."""


def qupath_call(*, is_rgb, channel=None):
    """Path with query and headers of the request that the script makes, with a pixel size of 0.5."""
    text = script("qupath_script.groovy")
    kind = r'\[suffix: "([^"]+)", mediaType: "([^"]+)"\]'
    kinds = re.search(rf"def kind = server\.isRGB\(\) \? {kind} : {kind}\n", text).groups()
    assert kinds[::2] == (".png", ".ome.tif")
    assert '.header("Content-Type", kind.mediaType)' in text
    assert ".POST(HttpRequest.BodyPublishers.ofFile(image))" in text
    path = re.search(r'URI\.create\(service \+ "([^"]+)" \+ query\)', text)[1]
    query = re.search(r'def query = "([^"]+)"', text)[1]
    if channel is not None:
        query += re.search(r'query \+= "([^"]+)" \+ URLEncoder\.encode\(channel\.toString', text)[1]
        query += quote_plus(str(channel))
    query += re.search(r'query \+= "([^"]+)" \+ pixelSizeUm', text)[1]
    return f"{path}{query}0.5", {"Content-Type": kinds[1 if is_rgb else 3], **H2C_OFFER}


def ask_as_qupath(service, body, **how):
    path, headers = qupath_call(**how)
    with service.connect() as connection:
        connection.request("POST", path, body, headers)
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())


def test_the_request_of_the_qupath_script_gets_geojson(service, blobs_png):
    status, answer = ask_as_qupath(service, blobs_png, is_rgb=True)
    assert status == http.client.OK
    features = answer["features"]
    assert len(features) == 3
    assert {feature["geometry"]["type"] for feature in features} == {"Polygon"}
    assert {feature["properties"]["objectType"] for feature in features} == {"detection"}


@pytest.fixture
def two_channels(blobs):
    """An OME-TIFF of 16 bits as QuPath writes it of one plane: the discs are in the second channel."""
    stack = np.stack([np.full_like(blobs, 7), blobs]).astype(np.uint16) * 16
    file = io.BytesIO()
    metadata = {"axes": "CYX", "Channel": {"Name": ["Phase & contrast", "DAPI 1"]}}
    tifffile.imwrite(file, stack, ome=True, photometric="minisblack", metadata=metadata)
    return file.getvalue()


@pytest.mark.parametrize(
    ("channel", "count"), [(1, 3), ("DAPI 1", 3), ("Phase & contrast", 0)], ids=["number", "name", "the other"]
)
def test_the_request_of_the_qupath_script_chooses_the_channel(service, two_channels, channel, count):
    status, answer = ask_as_qupath(service, two_channels, is_rgb=False, channel=channel)
    assert status == http.client.OK
    assert len(answer["features"]) == count


def test_without_a_channel_the_qupath_script_is_told_which_there_are(service, two_channels):
    status, answer = ask_as_qupath(service, two_channels, is_rgb=False)
    assert status == http.client.UNPROCESSABLE_ENTITY
    assert "channel=0..1 or by name: Phase & contrast, DAPI 1" in answer["error"]["message"]
