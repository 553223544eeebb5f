"""A GPU whose memory does not suffice: slower, by half batches and then on the CPU, never another answer.

The memory is limited by ONNX Runtime, for each session by itself, and once filled up with plain allocations.
"""

import ctypes
from contextlib import contextmanager

import numpy as np
import pytest
from benchmarks.gpu.device import Candidate, memory_mib
from benchmarks.pictures import encode_mosaic, read_picture
from benchmarks.places import EXAMPLES, NUCLEI
from starlette.testclient import TestClient

from monolayer_core.errors import PredictionError
from monolayer_service.app import create_app
from monolayer_service.segmenters.runtime import CPU, CUDA, TileSize
from monolayer_service.settings import Settings

PNG = {"Content-Type": "image/png"}
LIMITS_MIB = (32, 48, 64, 80, 96, 128, 160, 192, 256, 384)
MIB = 1 << 20
CUDA_ITSELF_MIB = 1024
"""More than CUDA and its libraries take beside what is bounded."""


@pytest.fixture
def service(models):
    """A service on the GPU of the test's own, with tiles of 256 pixels only, up to eight in a run."""
    app = create_app(Settings(models=models, device="cuda", max_tile_side=256, batch_size=8))
    with TestClient(app) as client:
        yield client


@pytest.fixture(scope="module")
def cpu_of_same_tiles(models):
    """The same on the CPU."""
    app = create_app(Settings(models=models, device="cpu", precision="float32", max_tile_side=256, fit_tiles=False))
    with TestClient(app) as client:
        yield client


def network_of(client):
    return client.app.state.services.registry.require("nuclei").segmenter.network


def limit(network, mib):
    """Let every session be made anew, with so much memory."""
    network._cuda_options = network._cuda_options | {"gpu_mem_limit": str(mib * MIB)}
    for size in network.warm_sizes:
        network.close(size)


def png_of(side):
    return encode_mosaic(read_picture(EXAMPLES / "fluorescence_tissue.png"), side)


def post(client, png):
    answer = client.post("/v1/segment?fallback=never", content=png, headers=PNG)
    assert answer.status_code == 200, answer.text
    return answer.json()


def faults(client, step):
    lines = client.get("/metrics").text.splitlines()
    return sum(float(line.split()[-1]) for line in lines if line.startswith(f'monolayer_faults_total{{next="{step}"'))


@pytest.fixture(scope="module")
def mib_of_few_tiles():
    """Memory in which one tile of 256 pixels runs and eight do not."""
    for mib in LIMITS_MIB:
        network = Candidate("float32", NUCLEI, "float32").open("cuda")
        limit(network, mib)
        ran = []
        for batch in (1, 8):
            try:
                network.run(np.zeros((batch, 256, 256, 3), np.uint8), CUDA)
                ran.append(network.provider_of(TileSize(256, 256), batch=batch) == CUDA)
            except PredictionError:
                ran.append(False)
        if ran == [True, False]:
            return mib
    return pytest.fail(f"no limit of {LIMITS_MIB} MiB lets one tile run and not eight")


def test_a_batch_that_does_not_fit_is_halved_and_the_gpu_answers(service, cpu_of_same_tiles, mib_of_few_tiles, tell):
    png = png_of(700)
    expected = post(cpu_of_same_tiles, png)
    limit(network_of(service), mib_of_few_tiles)
    found = post(service, png)
    halved, on_cpu = faults(service, "half_batch"), faults(service, "cpu")
    tell(f"with {mib_of_few_tiles} MiB: {halved:.0f} batches halved, {on_cpu:.0f} runs on the CPU")
    assert halved >= 1
    assert found["method"] == "unet"
    assert found["count"] == expected["count"]
    assert found["model"]["provider"] == (CPU if on_cpu else CUDA)
    assert service.get("/readyz").status_code == 200


def test_a_tile_that_does_not_fit_is_answered_by_the_cpu_to_the_last_byte(models, cpu_client):
    png = png_of(1024)
    app = create_app(Settings(models=models, device="cuda"))
    with TestClient(app) as client:
        before = post(client, png)
        limit(network_of(client), 64)
        found = post(client, png)
        assert faults(client, "cpu") >= 1
    assert before["model"]["provider"] == CUDA
    assert found["model"]["provider"] == CPU
    assert found == post(cpu_client, png)


@pytest.mark.parametrize("mib", [1200, 100])
def test_a_bound_of_the_memory_holds_and_changes_no_answer(models, cpu_client, mib, tell):
    pngs = [png_of(side) for side in (256, 512, 1024)]
    expected = [post(cpu_client, png)["count"] for png in pngs]
    before = memory_mib()
    with TestClient(create_app(Settings(models=models, device="cuda", gpu_memory_mib=mib))) as client:
        found = [post(client, png) for png in pngs]
        after = memory_mib()
    tell(f"a bound of {mib} MiB: from {before} to {after} MiB, {[answer['model']['provider'] for answer in found]}")
    assert [answer["count"] for answer in found] == expected
    assert before is None or after - before <= mib + CUDA_ITSELF_MIB


def test_memory_that_others_have_taken_costs_speed_alone(service, cpu_of_same_tiles, tell):
    png = png_of(600)
    expected = post(cpu_of_same_tiles, png)
    network = network_of(service)
    with all_memory_taken(leave_mib=48) as taken_mib:
        for size in network.warm_sizes:
            network.close(size)
        found = post(service, png)
        tell(f"with {taken_mib} MiB of the GPU taken by others: answered on {found['model']['provider']}")
    assert found["method"] == "unet"
    assert found["count"] == expected["count"]
    if found["model"]["provider"] == CPU:
        assert found == expected
    for size in network.warm_sizes:
        network.close(size)
    assert post(service, png)["count"] == expected["count"]


@contextmanager
def all_memory_taken(leave_mib):
    """Take the memory of the GPU with plain allocations but for a rest; gives how much was taken, in MiB."""
    runtime = load_runtime()
    taken = []
    try:
        for block in (1024 * MIB, 16 * MIB):
            while free_bytes(runtime) - block > leave_mib * MIB:
                pointer = ctypes.c_void_p()
                if runtime.cudaMalloc(ctypes.byref(pointer), ctypes.c_size_t(block)) != 0:
                    break
                taken.append((pointer, block))
        yield sum(block for _, block in taken) // MIB
    finally:
        for pointer, _ in taken:
            runtime.cudaFree(pointer)


def load_runtime():
    """The CUDA runtime that ONNX Runtime has loaded."""
    for name in ("libcudart.so.13", "libcudart.so.12"):
        try:
            return ctypes.CDLL(name)
        except OSError:
            continue
    return pytest.skip("the CUDA runtime is not found by its name")


def free_bytes(runtime):
    free, total = ctypes.c_size_t(), ctypes.c_size_t()
    assert runtime.cudaMemGetInfo(ctypes.byref(free), ctypes.byref(total)) == 0
    return free.value
