"""Sessions of OpenVINO on a CPU; imported only where a setting asks for them (docs/adr/0015).

OpenVINO is told to compute in float32 where the file does not say int8: left to itself it takes bfloat16 where the
processor has it, and the answers differ.
"""

import functools
import io
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from queue import SimpleQueue

import numpy as np
import openvino as ov
from openvino import properties
from openvino.properties import hint

from monolayer_core.arrays import TileBatch
from monolayer_service.segmenters.runtime import INPUT_NAME, OPENVINO, OUTPUT_NAME, Port, SessionKey, TileSize


class OpenVinoSession:
    """See `runtime.Session`.

    It computes as many tiles at once as the key has runs, one in each stream of OpenVINO's; whoever comes beyond that
    waits. The tiles of a batch go one by one: on a CPU a batch gains nothing, and so no answer depends on it. Each
    stream holds the features of one tile from its first run until `trim`.
    """

    provider = OPENVINO

    def __init__(self, model: bytes, key: SessionKey) -> None:
        graph = _core().read_model(io.BytesIO(model))
        if key.size is not None:
            _fix_size(graph, key.size)
        self.inputs = [_port(port, INPUT_NAME) for port in graph.inputs]
        self.outputs = [_port(port, OUTPUT_NAME) for port in graph.outputs]
        self._compiled = _core().compile_model(
            graph,
            "CPU",
            {
                hint.inference_precision: ov.Type.f32,
                properties.num_streams: key.runs,
                properties.inference_num_threads: key.threads + key.runs - 1,
                # Every session would bind its threads to the same first cores.
                hint.enable_cpu_pinning: False,
            },
        )
        self._runs = key.runs
        self._idle: SimpleQueue[ov.InferRequest] = SimpleQueue()
        for _ in range(key.runs):
            self._idle.put(self._compiled.create_infer_request())

    def run(self, tiles: TileBatch) -> TileBatch:
        """See `runtime.Session`."""
        with self._take_request() as request:
            return np.concatenate([_infer(request, tile[np.newaxis]) for tile in np.ascontiguousarray(tiles)])

    def trim(self, tile: TileBatch) -> bool:  # noqa: ARG002 - OpenVINO needs no run for it
        """Give back the features of all streams, which must not be at work; other sessions keep theirs."""
        with ExitStack() as requests:
            for _ in range(self._runs):
                requests.enter_context(self._take_request())
            self._compiled.release_memory()
        return False

    @contextmanager
    def _take_request(self) -> Iterator[ov.InferRequest]:
        request = self._idle.get()
        try:
            yield request
        finally:
            self._idle.put(request)


@functools.cache
def _core() -> ov.Core:
    """One for the process: it holds the plugins."""
    return ov.Core()


def _infer(request: ov.InferRequest, tile: TileBatch) -> TileBatch:
    """Run one tile in one of OpenVINO's own threads, of which each has a stream; callers' threads would share them."""
    request.set_input_tensor(ov.Tensor(tile, shared_memory=True))
    request.start_async()
    request.wait()
    answer: TileBatch = request.get_output_tensor().data.copy()  # the tensor is the request's, and used again
    return answer


def _fix_size(model: ov.Model, size: TileSize) -> None:
    """Settle the sizes that the graph leaves open: one tile of this size."""
    shape = model.inputs[0].get_partial_shape()
    if len(model.inputs) != 1 or shape.rank.is_dynamic or len(shape) != 4:
        return  # not a network of ours; who compares the ports says so
    for axis, length in enumerate((1, size.height, size.width)):
        if shape[axis].is_dynamic:
            shape[axis] = length
    model.reshape(shape)


def _port(port: ov.Output, wanted: str) -> Port:
    """Describe an input or output; of several names for one tensor the wanted one counts."""
    names = port.get_names()
    name = wanted if wanted in names else min(names, default="")
    shape = tuple(None if length.is_dynamic else length.get_length() for length in port.get_partial_shape())
    return Port(name, port.get_element_type().to_dtype().name, shape)
