"""What ``monolayer-serve`` does before it serves."""

import gc

from monolayer_service import __main__ as command
from monolayer_service.settings import Settings


def test_what_lives_as_long_as_the_process_is_out_of_the_collectors_sight(monkeypatch, toy_bundles):
    frozen = []
    monkeypatch.setattr(command.Server, "run", lambda server: frozen.append(gc.get_freeze_count()))
    monkeypatch.setattr(command, "configure_logging", lambda settings: None)
    try:
        command.serve(Settings(models=toy_bundles))
    finally:
        gc.unfreeze()
    assert frozen[0] > 10_000
