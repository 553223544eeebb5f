"""Bundles replaced while the service runs: what passes answers, and what does not pass is not used."""

import errno
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from monolayer_core.errors import PredictionError
from monolayer_core.model_card import read_card, sha256_of_file, write_card
from monolayer_service import registry, reloading
from monolayer_service.segmenters.session import CUDA

OPERATIONS = Path(__file__).resolve().parents[3] / "docs" / "operations.md"


async def test_a_bundle_that_was_replaced_answers_after_the_reload_and_not_before(service, replace, blobs_png):
    replace("2.0.0")
    assert (await service.post(blobs_png)).json()["model"]["version"] == "1.2.0"
    await service.reload()
    assert (await service.post(blobs_png)).json()["model"]["version"] == "2.0.0"
    assert await service.state() == ("ready", "2.0.0", None)
    assert await service.metric('monolayer_reloads_total{outcome="complete"} 1.0')


def type_in(folder, commands):
    for command in commands:
        assert command.startswith(("cp -r ", "mv "))
        subprocess.run(command.split(), cwd=folder, check=True)


async def test_the_replacement_that_the_page_on_operations_shows_leaves_the_service_ready(
    service, models, toy_bundle, tmp_path, blobs_png
):
    (commands,) = re.findall(r"```sh\n(cp .*?)```", OPERATIONS.read_text(encoding="utf-8"), re.DOTALL)
    *renaming, hangup, removal = [line.split("#")[0].strip() for line in commands.splitlines()]
    made = toy_bundle(tmp_path / "made", "nuclei", version="2.0.0")
    type_in(models, [line.replace("NEW", str(made)) for line in renaming])
    assert sorted(path.name for path in models.iterdir()) == ["blood", "nuclei", "nuclei.old"]
    assert hangup.startswith("kill -HUP ")
    await service.reload()
    assert (await service.client.get("/readyz")).json() == {"status": "ready", "models": ["blood", "nuclei"]}
    assert await service.state() == ("ready", "2.0.0", None)
    assert (await service.post(blobs_png)).json()["model"]["version"] == "2.0.0"
    assert removal == "rm -r nuclei.old"


async def test_what_has_not_changed_is_not_opened_again(service, replace):
    before = service.networks
    replace("2.0.0")
    await service.reload()
    assert service.networks["blood"] is before["blood"]
    assert service.networks["nuclei"] is not before["nuclei"]


def damage(folder):
    with (folder / "model.onnx").open("ab") as file:
        file.write(b"\0")


def forget_a_file(folder):
    (folder / "test_output.npy").unlink()


def break_the_card(folder):
    (folder / "model_card.json").write_text("{", encoding="utf-8")


def empty(folder):
    for file in folder.iterdir():
        file.unlink()


def spoil_the_test_answer(folder):
    (folder / "test_output.npy").write_bytes((folder / "test_input.npy").read_bytes())
    card = read_card(folder)
    write_card(card.model_copy(update={"files": {name: sha256_of_file(folder / name) for name in card.files}}), folder)


@pytest.mark.fault("reload: successor damaged", "the old bundle answers; stale in /v1/models and /metrics, logged")
@pytest.mark.parametrize("spoil", [damage, forget_a_file, break_the_card, empty, spoil_the_test_answer])
async def test_a_successor_that_does_not_pass_is_shown_and_the_old_bundle_goes_on(
    service, replace, blobs_png, logged, spoil
):
    expected = (await service.post(blobs_png)).content
    spoil(replace("2.0.0"))
    for _ in range(2):
        await service.reload()
        assert (await service.post(blobs_png)).content == expected
        state, version, problem = await service.state()
        assert (state, version) == ("stale", "1.2.0")
        assert problem
    assert (await service.client.get("/readyz")).status_code == 200
    assert await service.metric('monolayer_reloads_total{outcome="partial"} 2.0')
    assert await service.metric('monolayer_loaded_bundles{state="stale"} 1.0')
    kept = [event for event in logged if event["event"] == "bundle kept"]
    assert [(event["bundle"], event["reason"]) for event in kept] == [("nuclei", problem)] * 2
    replace("2.0.1")
    await service.reload()
    assert await service.state() == ("ready", "2.0.1", None)
    assert await service.metric('monolayer_loaded_bundles{state="stale"} 0.0')


async def test_the_old_files_put_back_are_the_old_bundle_again(service, models, tmp_path):
    shutil.copytree(models / "nuclei", tmp_path / "nuclei")
    before = service.networks["nuclei"]
    damage(models / "nuclei")
    await service.reload()
    assert (await service.state())[0] == "stale"
    shutil.rmtree(models / "nuclei")
    (tmp_path / "nuclei").rename(models / "nuclei")
    await service.reload()
    assert await service.state() == ("ready", "1.2.0", None)
    assert service.networks["nuclei"] is before


@pytest.mark.fault("bundle's files vanish under a running service", "answers stay the same to the last byte")
async def test_files_that_change_without_a_reload_change_no_answer_and_no_digest(service, replace, models, blobs_png):
    small = await service.post(blobs_png)
    service.networks["nuclei"]._sessions.clear()  # they are made anew, after what they were made of has gone
    shutil.rmtree(models)
    assert (await service.post(blobs_png)).content == small.content


@pytest.mark.fault("reload: bundles appear and vanish", "they are there and gone")
async def test_bundles_that_appear_and_vanish_are_there_and_gone(service, toy_bundle, models, blobs_png):
    assert (await service.post(blobs_png, model="cells")).status_code == 404
    assert (await service.post(blobs_png, "/v1/confluency")).json()["fallback"]["reason"] == "there is no bundle cells"
    toy_bundle(models, "cells", confluency_of="cell")
    shutil.rmtree(models / "blood")
    await service.reload()
    assert [model["name"] for model in (await service.get("/v1/models"))["models"]] == ["cells", "nuclei"]
    assert (await service.post(blobs_png, "/v1/confluency")).json()["model"]["name"] == "cells"
    assert (await service.post(blobs_png, model="blood")).status_code == 404
    shutil.rmtree(models / "nuclei")
    await service.reload()
    assert (await service.post(blobs_png)).json()["fallback"]["reason"] == "there is no bundle nuclei"


async def test_a_default_that_vanishes_is_told_after_each_reload(service, models, logged):
    def missing():
        return [event["model"] for event in logged if event["event"] == "default model missing"]

    assert missing() == ["cells"]
    shutil.rmtree(models / "nuclei")
    await service.reload()
    assert missing() == ["cells", "nuclei", "cells"]
    assert (await service.client.get("/readyz")).status_code == 200


@pytest.mark.fault("reload: new bundle damaged", "/readyz 503 names it; the others answer")
async def test_a_new_bundle_that_does_not_pass_is_named_as_at_the_start(service, models, blobs_png):
    (models / "cells").mkdir()
    await service.reload()
    ready = await service.client.get("/readyz")
    assert ready.status_code == 503
    assert "bundle cells: model_card.json is missing" in ready.json()["error"]["message"]
    assert (await service.post(blobs_png)).json()["method"] == "unet"
    assert await service.metric('monolayer_loaded_bundles{state="broken"} 1.0')


async def test_a_successor_that_finds_no_room_on_the_gpu_does_not_take_over_on_the_cpu(service, replace, blobs_png):
    service.networks["nuclei"].provider = CUDA
    replace("2.0.0")
    await service.reload()
    state, version, problem = await service.state()
    assert (state, version) == ("stale", "1.2.0")
    assert problem == "there was no room for it on CUDAExecutionProvider, it would run on CPUExecutionProvider"


async def test_a_bundle_that_was_broken_is_mended_by_a_reload(service, models, toy_bundle):
    (models / "cells").mkdir()
    await service.reload()
    shutil.rmtree(models / "cells")
    toy_bundle(models, "cells")
    await service.reload()
    assert (await service.client.get("/readyz")).status_code == 200


@pytest.mark.fault("reload: the folder of bundles has gone", "all bundles answer as before, shown as stale")
async def test_a_folder_that_has_gone_takes_no_bundle_with_it(service, models, blobs_png):
    expected = (await service.post(blobs_png)).content
    shutil.rmtree(models)
    await service.reload()
    assert (await service.post(blobs_png)).content == expected
    assert await service.state() == ("stale", "1.2.0", "the folder of bundles 'models' does not exist")
    assert (await service.client.get("/readyz")).status_code == 200


@pytest.mark.fault("reload: the folder of bundles may not be read", "all bundles answer as before, shown as stale")
async def test_a_folder_that_may_not_be_read_takes_no_bundle_with_it(service, blobs_png, monkeypatch, logged):
    def refuse(folder):  # what a user meets who may not read it; tests that run as root may read any folder
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(folder))

    expected = (await service.post(blobs_png)).content
    with monkeypatch.context() as patch:
        patch.setattr(registry.os, "scandir", refuse)
        await service.reload()
    assert (await service.post(blobs_png)).content == expected
    assert await service.state() == ("stale", "1.2.0", "the folder of bundles cannot be read: Permission denied")
    assert (await service.client.get("/readyz")).status_code == 200
    assert "folder of bundles refused" in [event["event"] for event in logged]
    await service.reload()
    assert await service.state() == ("ready", "1.2.0", None)


@pytest.mark.fault("reload: SystemExit while loading", "logged and counted; everything stays as it is")
async def test_a_reload_that_fails_altogether_leaves_everything_as_it_is(service, blobs_png, monkeypatch, logged):
    expected = (await service.post(blobs_png)).content

    def fail(self, registry):
        raise SystemExit("no way")

    with monkeypatch.context() as patch:
        patch.setattr(service.app.state.reloader, "_load", lambda registry: fail(None, registry))
        await service.reload()
    assert (await service.post(blobs_png)).content == expected
    assert await service.metric('monolayer_reloads_total{outcome="failed"} 1.0')
    assert "reload failed" in [event["event"] for event in logged]
    await service.reload()
    assert await service.metric('monolayer_reloads_total{outcome="complete"} 1.0')


async def test_memory_that_cannot_be_given_back_afterwards_takes_no_bundle_back(service, replace, monkeypatch, logged):
    def fail(registry):
        raise PredictionError("no run")

    monkeypatch.setattr(reloading, "give_back_memory", fail)
    replace("2.0.0")
    await service.reload()
    assert await service.state() == ("ready", "2.0.0", None)
    assert await service.metric('monolayer_reloads_total{outcome="complete"} 1.0')
    assert "memory not given back" in [event["event"] for event in logged]
