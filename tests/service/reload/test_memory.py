"""Bundles replaced again and again leave nothing behind in memory."""

import shutil

import pytest

from monolayer_core.model_card import read_card, write_card
from monolayer_service.app import create_app, reload_bundles
from monolayer_service.settings import SHIPPED_BUNDLES, Settings
from monolayer_service.telemetry.memory import resident_bytes


@pytest.mark.slow
@pytest.mark.fault("reload: again and again, a network of 8 MB", "memory of the old one is given back")
async def test_the_memory_of_what_was_replaced_is_given_back(tmp_path, record_property):
    models = tmp_path / "models"
    shutil.copytree(SHIPPED_BUNDLES / "nuclei", models / "nuclei")
    app = create_app(Settings(models=models, max_tile_side=256, precision="float32"))
    async with app.router.lifespan_context(app):
        held = []
        for number in range(8):
            card = read_card(models / "nuclei")
            write_card(card.model_copy(update={"version": f"9.0.{number}"}), models / "nuclei")
            reload_bundles(app)
            await app.state.reloader.finished()
            assert app.state.services.registry.require("nuclei").segmenter.network.card.version == f"9.0.{number}"
            held.append((resident_bytes() or 0) / 2**20)
    growth = max(held[4:]) - max(held[:4])
    record_property("figure", f"{growth:+.0f} MiB from the first four reloads to the next four, of {held[-1]:.0f}")
    assert growth < 20
