"""The service on a GPU: ready there, answering as on a CPU, also while its bundles are replaced."""

import json
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from benchmarks.gpu.device import memory_mib
from benchmarks.pictures import encode_png, make_mosaic, read_picture
from benchmarks.places import EXAMPLES, NUCLEI
from starlette.testclient import TestClient

from monolayer_core.model_card import read_card, write_card
from monolayer_service.app import create_app, reload_bundles
from monolayer_service.segmenters.runtime import CUDA
from monolayer_service.settings import Settings

PNG = {"Content-Type": "image/png"}
SHAPES = ((100, 70), (256, 256), (300, 500), (512, 512), (700, 900), (1024, 1024))


def post(client, png):
    answer = client.post("/v1/segment?fallback=never", content=png, headers=PNG)
    assert answer.status_code == 200, answer.text
    return answer


@pytest.fixture(scope="module")
def pngs():
    picture = read_picture(EXAMPLES / "fluorescence_large.png")
    return [encode_png(make_mosaic(picture, *shape)) for shape in SHAPES]


def test_it_is_ready_and_says_where_it_runs(cuda_client):
    assert cuda_client.get("/readyz").status_code == 200
    model = cuda_client.get("/v1/models/nuclei").json()
    assert (model["provider"], model["state"], model["precision"]) == (CUDA, "ready", "float32")
    assert {256, 512, 1024} <= set(model["warm_tile_sides"])


def test_half_precision_is_served_where_it_is_asked_for(half_bundle, tmp_path, pngs):
    (tmp_path / "nuclei").symlink_to(half_bundle.resolve())
    settings = Settings(models=tmp_path, device="cuda", precision="float16")
    with TestClient(create_app(settings)) as client:
        model = client.get("/v1/models/nuclei").json()
        assert (model["provider"], model["precision"]) == (CUDA, "float16")
        assert post(client, pngs[1]).json()["model"]["sha256"] == model["sha256"]


def test_images_of_any_size_have_the_objects_they_have_on_a_cpu(cuda_client, cpu_client, pngs):
    for png in pngs:
        found, expected = (post(client, png).json() for client in (cuda_client, cpu_client))
        assert found["model"]["provider"] == CUDA
        assert found["model"]["sha256"] == expected["model"]["sha256"]
        assert (found["method"], found["count"]) == ("unet", expected["count"])
        assert found["confluency"]["percent"] == pytest.approx(expected["confluency"]["percent"], abs=0.01)


def test_the_same_image_has_the_same_bytes_again(cuda_client, pngs):
    for png in pngs:
        assert post(cuda_client, png).content == post(cuda_client, png).content


def test_requests_at_once_have_the_bytes_that_they_have_alone_and_take_no_more_memory(cuda_client, pngs, tell):
    expected = [post(cuda_client, png).content for png in pngs]
    before = memory_mib()
    assert ask_at_once(cuda_client, pngs) == [*expected] * 6
    after = memory_mib()
    tell(f"memory of the GPU before and after requests at once: {before} and {after} MiB")
    assert before is None or after - before <= 64


def test_requests_at_once_share_batches_where_that_is_set_and_each_has_its_own_answer(models, cuda_client, pngs):
    expected = [post(cuda_client, png).json()["count"] for png in pngs]
    with TestClient(create_app(Settings(models=models, device="cuda", batch_size=8))) as client:
        answers = ask_at_once(client, pngs)
        assert 'monolayer_faults_total{next="cpu"}' not in client.get("/metrics").text
    assert [json.loads(answer)["count"] for answer in answers] == [*expected] * 6


def ask_at_once(client, pngs):
    """Bodies of the answers to every image, six times over."""
    with ThreadPoolExecutor(12) as pool:
        return list(pool.map(lambda png: post(client, png).content, pngs * 6))


def test_bundles_are_replaced_under_load_and_every_request_is_answered_on_cuda(tmp_path, pngs):
    import shutil

    folder = shutil.copytree(NUCLEI, tmp_path / "nuclei")
    app = create_app(Settings(models=tmp_path, device="cuda"))
    versions, stop = [], threading.Event()

    def keep_asking(client):
        while not stop.is_set():
            model = post(client, pngs[1]).json()["model"]
            versions.append((model["version"], model["provider"]))

    with TestClient(app) as client, ThreadPoolExecutor(4) as pool:
        tasks = [pool.submit(keep_asking, client) for _ in range(4)]
        try:
            write_card(read_card(folder).model_copy(update={"version": "9.9.9"}), folder)
            client.portal.call(reload_bundles, app)
            client.portal.call(app.state.reloader.finished)
            last = post(client, pngs[1]).json()["model"]
        finally:
            stop.set()
        for task in tasks:
            task.result()
        assert client.get("/v1/models/nuclei").json()["state"] == "ready"
    assert (last["version"], last["provider"]) == ("9.9.9", CUDA)
    assert {provider for _, provider in versions} == {CUDA}
    assert len(versions) > 4
