"""What every peer does with an image: the calls of core that the service makes too, and the same network.

The session is the service's own (`monolayer_service.segmenters.session` is installed without the rest), so that file,
threads and options are the same by construction. The body holds what the service's default answer holds.
"""

import os
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import orjson

from monolayer_core.column_runs import find_column_runs
from monolayer_core.image_io import decode_image
from monolayer_core.measure import measure_runs
from monolayer_core.model_card import read_card
from monolayer_core.pipeline import Segmentation, interpret, prepare
from monolayer_core.quality import assess_quality
from monolayer_core.rle import encode_kaggle_runs
from monolayer_core.row_source import ArrayRows
from monolayer_service.compute import NetworkThreads
from monolayer_service.segmenters.runtime import CPU
from monolayer_service.segmenters.session import Network

DECIMALS = 4


class Worker:
    """The bundle, its network, and the three steps of an image.

    Where the bundle lies, which of its files answers, and with how many threads, stands in the environment that the
    benchmark gives: PEER_BUNDLE, PEER_FILE, PEER_THREADS, PEER_OPENCV_THREADS, PEER_LARGEST_SIDE.
    """

    def __init__(self, *, is_network_elsewhere: bool = False) -> None:
        cv2.setNumThreads(int(os.environ["PEER_OPENCV_THREADS"]))
        bundle = Path(os.environ["PEER_BUNDLE"])
        self.card = read_card(bundle)
        if is_network_elsewhere:
            return
        threads = NetworkThreads(alone=int(os.environ["PEER_THREADS"]), shared=1)
        file = os.environ["PEER_FILE"]
        content = (bundle / file).read_bytes()
        self._network = Network(file, content, self.card, prefer_cuda=False, threads=threads)
        for side in self.card.tile_sides:
            if side <= int(os.environ["PEER_LARGEST_SIDE"]):
                self.predict(np.zeros((1, side, side, self.card.channel_count), np.uint8))

    def decode(self, body: bytes) -> tuple[np.ndarray, np.ndarray]:
        """Pixels as they were sent, and what the network is to see, uint8 ``(y, x, channel)``."""
        pixels = decode_image(body).pixels
        return pixels, prepare(pixels, self.card)

    def predict(self, batch: np.ndarray) -> np.ndarray:
        """Probabilities of images of one size, a size the card has tiles of."""
        return self._network.run(batch, CPU)

    def predict_each(self, images: Sequence[np.ndarray]) -> list[np.ndarray]:
        """The same of images of any of these sizes: equal ones go through the network together."""
        answers: dict[int, np.ndarray] = {}
        for shape in {image.shape for image in images}:
            numbers = [number for number, image in enumerate(images) if image.shape == shape]
            answers |= dict(zip(numbers, self.predict(np.stack([images[n] for n in numbers])), strict=True))
        return [answers[number] for number in range(len(images))]

    def finish(self, pixels: np.ndarray, image: np.ndarray, probabilities: np.ndarray) -> bytes:
        """The answer's body."""
        return render(pixels, interpret(probabilities, self.card, image=image))

    def answer(self, body: bytes) -> bytes:
        """All of it, one image alone."""
        pixels, image = self.decode(body)
        return self.finish(pixels, image, self.predict(image[np.newaxis])[0])


def render(pixels: np.ndarray, found: Segmentation) -> bytes:
    """JSON of the whole image and of each object."""
    measured = measure_runs(found.runs)
    instances: list[dict[str, Any]] = [
        {
            "id": number,
            "class": found.class_names[class_id],
            "score": score,
            "bbox": dict(zip(("y", "x", "height", "width"), box, strict=True)),
            "centroid": dict(zip(("y", "x"), centroid, strict=True)),
            "area_px": area_px,
            "rle": rle,
        }
        for number, (class_id, score, box, centroid, area_px, rle) in enumerate(
            zip(
                found.class_ids.tolist(),
                np.round(found.scores, DECIMALS).tolist(),
                measured.bbox_px.tolist(),
                np.round(measured.centroid_px, DECIMALS).tolist(),
                measured.area_px.tolist(),
                encode_kaggle_runs(find_column_runs(found.runs)),
                strict=True,
            ),
            start=1,
        )
    ]
    quality = asdict(assess_quality(ArrayRows(pixels)))
    summary = {"count": len(instances), "percent": found.confluency_percent, "quality": quality}
    return orjson.dumps(summary | {"instances": instances})
