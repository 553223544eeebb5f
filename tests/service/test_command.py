"""What ``monolayer-serve`` does before it serves."""

import gc
import signal

import pytest
import structlog.testing
import uvicorn

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


def test_a_setting_that_is_misspelt_is_told(monkeypatch, toy_bundles):
    monkeypatch.setattr(command.Server, "run", lambda server: None)
    monkeypatch.setattr(command, "configure_logging", lambda settings: None)
    monkeypatch.setenv("MONOLAYER_TREADS", "4")
    try:
        with structlog.testing.capture_logs() as events:
            command.serve(Settings(models=toy_bundles))
    finally:
        gc.unfreeze()
    assert {"name": "MONOLAYER_TREADS", "did_you_mean": "MONOLAYER_THREADS"}.items() <= events[0].items()


WRONG = {
    "one": (
        {"THREADS": "abc"},
        (),
        ["MONOLAYER_THREADS='abc': Input should be a valid integer, unable to parse string as an integer"],
    ),
    "two": (
        {"DEVICE": "tpu", "MAX_BODY_MIB": "0"},
        (),
        [
            "MONOLAYER_DEVICE='tpu': Input should be 'auto', 'cpu' or 'cuda'",
            "MONOLAYER_MAX_BODY_MIB='0': Input should be greater than 0",
        ],
    ),
    "that do not go together": (
        {"HELD_MIB": "10"},
        (),
        ["MONOLAYER_HELD_MIB must hold one body of MONOLAYER_MAX_BODY_MIB"],
    ),
    "an option": ({}, ("--port", "70000"), ["MONOLAYER_PORT=70000: Input should be less than or equal to 65535"]),
}


@pytest.mark.parametrize(("variables", "arguments", "problems"), WRONG.values(), ids=WRONG.keys())
def test_wrong_settings_end_the_start_with_a_line_each(monkeypatch, capsys, variables, arguments, problems):
    monkeypatch.setattr("sys.argv", ["monolayer-serve", *arguments])
    monkeypatch.setattr(command, "serve", lambda settings: pytest.fail("served with wrong settings"))
    for name, value in variables.items():
        monkeypatch.setenv(f"MONOLAYER_{name}", value)
    with pytest.raises(SystemExit) as end:
        command.main()
    assert end.value.code == 2
    assert capsys.readouterr().err.splitlines() == [f"monolayer-serve: {problem}" for problem in problems]


def test_options_of_the_command_overrule_the_environment(monkeypatch):
    served = []
    monkeypatch.setattr("sys.argv", ["monolayer-serve", "--port", "0"])
    monkeypatch.setattr(command, "serve", served.append)
    monkeypatch.setenv("MONOLAYER_PORT", "9001")
    monkeypatch.setenv("MONOLAYER_HOST", "127.0.0.2")
    command.main()
    assert [(settings.host, settings.port) for settings in served] == [("127.0.0.2", 0)]


@pytest.fixture
def server(monkeypatch):
    """A server that counts its reloads and is never started."""
    reloads = []
    monkeypatch.setattr(command, "reload_bundles", reloads.append)
    monkeypatch.setattr(command, "stop_being_ready", lambda app: None)
    server = command.Server(uvicorn.Config("app", log_config=None), "app", 0)
    server.reloads = reloads
    return server


async def test_hangups_between_two_ticks_are_one_reload(server):
    for hangups in (0, 1, 3):
        for _ in range(hangups):
            server.handle_hangup(signal.SIGHUP, None)
        assert not await server.on_tick(1)
    assert server.reloads == ["app", "app"]


@pytest.mark.parametrize("is_ignored", [False, True], ids=["as usual", "nohup"])
@pytest.mark.parametrize("is_closed", [False, True], ids=["open", "closed"])
async def test_a_terminal_that_was_closed_stops_the_server_unless_it_was_told_to_ignore_that(
    server, monkeypatch, is_closed, is_ignored
):
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN if is_ignored else signal.SIG_DFL)
    try:
        monkeypatch.setattr(command, "has_terminal", lambda: True)
        monkeypatch.setattr(uvicorn.Server, "run", lambda self, sockets=None: None)
        server.run()
        assert signal.getsignal(signal.SIGHUP) == server.handle_hangup
        monkeypatch.setattr(command, "has_terminal", lambda: not is_closed)
        signal.raise_signal(signal.SIGHUP)
    finally:
        signal.signal(signal.SIGHUP, before)
    assert await server.on_tick(1) == (is_closed and not is_ignored)
