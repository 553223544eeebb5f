"""OpenVINO on the service's network files, run for run beside onnxruntime: what the processor could give.

Runs with the Python of the environment `openvino`; prints one JSON object a file and image side. OpenVINO computes in
float32 where the file is not int8: by default it takes bfloat16 where the processor has it, and the answers differ.
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import openvino as ov
import openvino.properties as props
import openvino.properties.hint as hints

from monolayer_core.image_io import decode_image
from monolayer_core.model_card import read_card
from monolayer_core.pipeline import interpret, prepare
from monolayer_service.compute import NetworkThreads
from monolayer_service.segmenters.runtime import CPU
from monolayer_service.segmenters.session import Network


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("images", type=Path, nargs="+", help="PNG, of a side the network has tiles of")
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--rounds", type=int, default=10)
    arguments = parser.parse_args()
    card = read_card(arguments.bundle)
    threads = NetworkThreads(alone=arguments.threads, shared=1)
    for kind in ("int8", "float32"):
        files = card.files_of(kind)
        if files is None:
            continue
        path = arguments.bundle / files[0]
        network = Network(path.name, path.read_bytes(), card, prefer_cuda=False, threads=threads)
        for image_path in arguments.images:
            image = prepare(decode_image(image_path.read_bytes()).pixels, card)
            tile = image[np.newaxis]
            ways = {
                "onnxruntime": lambda tile=tile, network=network: network.run(tile, CPU),
                "openvino": compile_openvino(path, tile, arguments.threads),
            }
            answers = {name: way() for name, way in ways.items()}
            found = [interpret(answer[0], card, image=image) for answer in answers.values()]
            distance = np.abs(answers["onnxruntime"].astype(np.int16) - answers["openvino"])
            line = {
                "kind": kind,
                "side": image.shape[0],
                **time_in_turn(ways, arguments.rounds),
                "differing_share": float((distance > 1).mean()),
                "largest_difference": int(distance.max()),
                "objects": [len(segmentation.class_ids) for segmentation in found],
            }
            print(json.dumps(line), flush=True)


def compile_openvino(path: Path, tile: np.ndarray, threads: int) -> Callable[[], np.ndarray]:
    """One synchronous run of the file on tiles of this shape."""
    model = ov.Core().read_model(path)
    model.reshape(tile.shape)
    compiled = ov.compile_model(
        model,
        "CPU",
        {
            hints.performance_mode: hints.PerformanceMode.LATENCY,
            hints.inference_precision: ov.Type.f32,
            props.inference_num_threads: threads,
        },
    )
    request = compiled.create_infer_request()
    return lambda: np.array(request.infer([tile], share_inputs=True)[compiled.output(0)])


def time_in_turn(ways: dict[str, Callable[[], np.ndarray]], rounds: int) -> dict[str, dict[str, float]]:
    """Median wall and processor milliseconds of each way, one run of each in every round."""
    wall: dict[str, list[float]] = {name: [] for name in ways}
    cpu: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, way in ways.items():
            began, cpu_began = time.perf_counter(), time.process_time()
            way()
            wall[name].append(1000 * (time.perf_counter() - began))
            cpu[name].append(1000 * (time.process_time() - cpu_began))
    return {name: {"ms": statistics.median(wall[name]), "cpu_ms": statistics.median(cpu[name])} for name in ways}


if __name__ == "__main__":
    main()
