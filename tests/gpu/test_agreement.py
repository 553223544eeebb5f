"""A GPU gives the answers of a CPU: how exactly, by precision and by batch."""

import numpy as np
import onnxruntime as ort
import pytest
from benchmarks.gpu.agreement import answer, compare, worst_of
from benchmarks.gpu.device import Candidate
from benchmarks.places import NUCLEI

from monolayer_service.compute import NetworkThreads
from monolayer_service.segmenters.bundle import TEST_OUTLIERS, TEST_TOLERANCES, open_bundle
from monolayer_service.segmenters.onnxruntime_session import cuda_options
from monolayer_service.segmenters.runtime import CUDA, TileSize
from monolayer_service.settings import SHIPPED_BUNDLES


def apart_of(images, card, on_cpu, network, **options):
    return [compare(image, card, answer(on_cpu, image), answer(network, image, **options)) for image in images.values()]


@pytest.mark.parametrize("bundle", ["nuclei", "cells", "blood"])
def test_a_shipped_bundle_is_verified_on_cuda(bundle):
    network = open_bundle(SHIPPED_BUNDLES / bundle, prefer_cuda=True, threads=NetworkThreads(1, 1))
    assert (network.provider, network.precision) == (CUDA, "float32")
    for size in network.warm_sizes:
        assert network.open(size, batch=2)._session.get_providers()[0] == CUDA


def test_no_operator_is_left_to_the_cpu():
    options = ort.SessionOptions()
    options.add_session_config_entry("session.disable_cpu_ep_fallback", "1")
    for name in ("height", "width"):
        options.add_free_dimension_override_by_name(name, 256)
    cuda = (CUDA, cuda_options(tensor_cores=False))
    session = ort.InferenceSession((NUCLEI / "model.onnx").read_bytes(), options, providers=[cuda], enable_fallback=0)
    assert session.get_providers()[0] == CUDA


def test_float32_differs_by_a_last_digit_at_most_and_finds_as_many_objects(images, card, on_cpu, on_cuda, tell):
    worst = worst_of(apart_of(images, card, on_cpu, on_cuda))
    tell(f"float32 on CUDA against a CPU: {worst}")
    assert worst.levels <= 1
    assert worst.equal_counts == worst.images
    assert worst.iou >= 0.9999


@pytest.mark.parametrize("batch", [3, 8])
def test_a_tile_has_its_answer_in_whatever_batch_it_runs(on_cuda, tiles, tell, batch):
    alone = np.concatenate([on_cuda.run(tile[np.newaxis]) for tile in tiles])
    together = np.concatenate([on_cuda.run(tiles[first : first + batch]) for first in range(0, len(tiles), batch)])
    distance = np.abs(alone.astype(np.int16) - together)
    tell(f"batches of {batch} against single tiles: at most {distance.max()}/255, {(distance > 0).mean():.2e} differ")
    assert distance.max() <= 1


@pytest.mark.parametrize("batch", [1, 8])
def test_the_same_tiles_have_the_same_bytes_again_and_in_a_session_made_anew(on_cuda, tiles, batch):
    first = on_cuda.run(tiles[:batch])
    np.testing.assert_array_equal(on_cuda.run(tiles[:batch]), first)
    on_cuda.close(TileSize(256, 256))
    np.testing.assert_array_equal(on_cuda.run(tiles[:batch]), first)


def assert_within_half_precision(images, card, on_cpu, network):
    for image in images.values():
        distance = np.abs(answer(network, image).astype(np.int16) - answer(on_cpu, image))
        assert (distance > TEST_TOLERANCES["float16"]).mean() <= TEST_OUTLIERS


def test_tf32_stays_within_the_bound_of_half_precision(images, card, on_cpu, tell):
    network = Candidate("TF32", NUCLEI, "float32", tf32=True).open("cuda")
    tell(f"TF32 against a CPU's float32: {worst_of(apart_of(images, card, on_cpu, network))}")
    assert_within_half_precision(images, card, on_cpu, network)


def test_float16_stays_within_its_bound(half_bundle, images, card, on_cpu, tell):
    network = Candidate("float16", half_bundle, "float16").open("cuda")
    worst = worst_of(apart_of(images, card, on_cpu, network))
    tell(f"float16 against a CPU's float32: {worst}")
    assert_within_half_precision(images, card, on_cpu, network)
    assert worst.iou >= 0.99


def test_a_bundle_with_half_precision_is_verified_on_cuda(half_bundle):
    network = open_bundle(half_bundle, prefer_cuda=True, threads=NetworkThreads(1, 1), precision="float16")
    assert (network.provider, network.precision) == (CUDA, "float16")
