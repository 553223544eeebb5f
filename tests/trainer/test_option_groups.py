"""Options shared by commands: in the signature they are apart, in the function together."""

from dataclasses import dataclass
from typing import Annotated

import pytest
import typer
from typer.testing import CliRunner

from monolayer_trainer.cli.option_groups import taking


@dataclass(frozen=True)
class Growth:
    medium: Annotated[str, typer.Option(help="What they grow in.")] = "agar"
    days: Annotated[int | None, typer.Option(help="How long.")] = None


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["hela"], ("hela", Growth(), False)),
        (["hela", "--medium", "broth", "--days", "3", "--dry"], ("hela", Growth("broth", 3), True)),
    ],
    ids=["defaults", "all given"],
)
def test_a_command_is_given_its_options_as_one_value(arguments, expected):
    calls = []
    app = typer.Typer()

    @app.command()
    @taking(Growth)
    def grow(cells: str, *, growth: Growth, dry: Annotated[bool, typer.Option("--dry")] = False) -> None:
        calls.append((cells, growth, dry))

    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    assert calls == [expected]
    assert "What they grow in." in CliRunner().invoke(app, ["--help"]).output
