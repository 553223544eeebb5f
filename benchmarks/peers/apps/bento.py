"""BentoML: a service that batches up to eight images before the network, and one that takes each image by itself."""

from pathlib import Path
from typing import Annotated

import bentoml
import numpy as np
from bentoml.validators import ContentType
from work import Worker

Png = Annotated[Path, ContentType("image/png")]
Json = Annotated[bytes, ContentType("application/json")]

THREADS = 3
"""Images at once, as the service has on two cores."""

SECONDS = 300
QUIET = {"access": {"enabled": False}}
"""No line for each request; none of the sides writes one."""


@bentoml.service(workers=1, threads=1, traffic={"timeout": SECONDS}, logging=QUIET)
class Network:
    """Lives in a process of its own."""

    def __init__(self) -> None:
        self._worker = Worker()

    @bentoml.api(batchable=True, batch_dim=0, max_batch_size=8, max_latency_ms=1000 * SECONDS)
    def predict(self, images: np.ndarray) -> np.ndarray:
        return self._worker.predict(images)


@bentoml.service(workers=1, threads=THREADS, traffic={"timeout": SECONDS}, logging=QUIET)
class Batched:
    """Before and after the network; images of several requests meet in `Network`."""

    network = bentoml.depends(Network)

    def __init__(self) -> None:
        self._worker = Worker(is_network_elsewhere=True)

    @bentoml.api
    def predict(self, image: Png, /) -> Json:
        pixels, prepared = self._worker.decode(image.read_bytes())
        return self._worker.finish(pixels, prepared, self.network.predict(prepared[np.newaxis])[0])


@bentoml.service(workers=1, threads=THREADS, traffic={"timeout": SECONDS}, logging=QUIET)
class Single:
    """All of it in one process, without batches."""

    def __init__(self) -> None:
        self._worker = Worker()

    @bentoml.api
    def predict(self, image: Png, /) -> Json:
        return self._worker.answer(image.read_bytes())
