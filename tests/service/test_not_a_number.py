"""NaN and infinity: where they could come in, and that none gets out."""

import io
import json
import math

import numpy as np
import pytest

NPY = {"Content-Type": "application/x-npy"}

EXTREMES = {
    "largest float32": np.float32([[0, 3.4e38], [-3.4e38, 1]]),
    "largest float64": np.float64([[0, 1.7e308], [-1.7e308, 1]]),
    "beyond float32": np.float64([[0, 1e300], [1e-300, 1]]),
    "smallest float32": np.float32([[0, 1e-45], [2e-45, 3e-45]]),
    "float16": np.float16([[0, 65504], [-65504, 1]]),
    "constant": np.zeros((2, 2), np.float32),
    "largest integers": np.uint64([[0, 2**64 - 1], [2**63, 1]]),
}


def npy(pixels):
    file = io.BytesIO()
    np.save(file, pixels)
    return file.getvalue()


def spread(values):
    """An image of 32 by 40 pixels in blocks of the four values."""
    return np.kron(values, np.ones((16, 20), values.dtype))


def no_number(text):
    raise AssertionError(f"the answer holds {text}")


@pytest.mark.fault("NaN or infinity in the image", "422 image_unusable")
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("method", ["unet", "kmeans"])
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_an_image_that_holds_one_is_refused(client, value, method, dtype):
    pixels = np.zeros((32, 40), dtype)
    pixels[7, 9] = value
    answer = client.post("/v1/segment", params={"method": method}, content=npy(pixels), headers=NPY)
    assert (answer.status_code, answer.json()["error"]["code"]) == (422, "image_unusable")


@pytest.mark.fault("values at the ends of their type in the image", "answered or 422; no NaN in any answer")
@pytest.mark.filterwarnings("ignore:overflow encountered:RuntimeWarning")
@pytest.mark.parametrize("name", EXTREMES)
@pytest.mark.parametrize(
    "options",
    [{}, {"flat_field": True}, {"method": "kmeans"}, {"method": "kmeans", "flat_field": True}, {"model": "blood"}],
    ids=lambda options: ", ".join(f"{name}={value}" for name, value in options.items()) or "network",
)
def test_extreme_values_are_answered_or_refused_and_no_answer_holds_one(client, name, options):
    query = {"measurements": True, "clahe": True, **options}
    answer = client.post("/v1/segment", params=query, content=npy(spread(EXTREMES[name])), headers=NPY)
    assert answer.status_code in (200, 422), answer.text
    body = json.loads(answer.content, parse_constant=no_number)
    if answer.status_code == 422:
        assert body["error"]["code"] == "image_unusable"
        return
    assert 0 <= body["confluency"]["percent"] <= 100
    assert all(value is not None for key, value in body["quality"].items() if key != "flags")
    for found in body["instances"]:
        assert all(value is not None for key, value in found.items() if key != "score")
