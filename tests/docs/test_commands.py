"""Every command of the README and the guide is understood by its program; those of a shipped model made that model.

The command lines are read by the programs' own parsers, and nothing is run.
"""

import importlib
import re
import shlex
import sys
from dataclasses import fields
from pathlib import Path

import pytest
import typer

from monolayer_client.cli.app import app as client_app
from monolayer_core.model_card import read_card
from monolayer_export.__main__ import app as export_app
from monolayer_service import __main__ as service_program
from monolayer_trainer.cli.app import app as trainer_app
from monolayer_trainer.cli.fit_options import FitOptions
from monolayer_trainer.config import TrainConfig

from .conftest import BLOCK, PAGES, ROOT, code_of

PROGRAMS = {"monolayer": client_app, "monolayer-train": trainer_app, "monolayer-export": export_app}
COMMAND = re.compile(rf"(?:\w+=\S+ )*({'|'.join(PROGRAMS)}) (.*)")
SHELL = [code for page in PAGES for code in code_of(page) if code.language == "sh"]
COMMANDS = [code for code in SHELL if COMMAND.match(code.text)]
BENCHMARKS = [code for code in SHELL if code.text.startswith("python -m benchmarks")]
MENTIONS = [
    (page, *mention)
    for page, path in PAGES.items()
    for mention in re.findall(rf"`({'|'.join(PROGRAMS)}) ([^`]+)`", BLOCK.sub("", path.read_text(encoding="utf-8")))
    if not mention[1].startswith("COMMAND")
]
SERVING = [
    (path.relative_to(ROOT).as_posix(), command.strip())
    for path in (*PAGES.values(), ROOT / "deploy" / "README.md")
    for language, text in BLOCK.findall(path.read_text(encoding="utf-8"))
    if language == "sh"
    for command in re.findall(r"(?:\w+=\S+ )*monolayer-serve\b[^&|;#\n]*", text)
]
OF_THE_REPOSITORY = ("docs", "service", "examples")


def command_of(program, words):
    """The command that is called, and the words that are left for it."""
    command = typer.main.get_command(PROGRAMS[program])
    if program == "monolayer-export":
        return command, words
    assert words[0] in command.commands, f"{program} has no command {words[0]}"
    return command.commands[words[0]], words[1:]


@pytest.fixture
def read(tmp_path, monkeypatch):
    """Give a function that reads a command where all that it names is there, and returns its parameters by name.

    Files of the repository must be there by themselves; the root of the file system is the temporary folder too.
    """
    for name in OF_THE_REPOSITORY:
        (tmp_path / name).symlink_to(ROOT / name)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MONOLAYER_URL", raising=False)

    def read_text(text):
        program, rest = COMMAND.match(text.replace(" /", " ")).groups()
        command, words = command_of(program, shlex.split(rest))
        for word in words:
            path = tmp_path / word
            if word.startswith("-") or "://" in word or path.exists() or word.split("/")[0] in OF_THE_REPOSITORY:
                continue
            path.parent.mkdir(parents=True, exist_ok=True)
            if re.search(r"\.[a-z]+$", word):
                path.touch()
            else:
                path.mkdir()
        return command.make_context(program, list(words)).params

    return read_text


def config_of(parameters):
    """The configuration of a training; a `ValueError` where the options do not go together."""
    options = FitOptions(**{field.name: parameters[field.name] for field in fields(FitOptions)})
    return options.config(parameters["data"], parameters["run"])


@pytest.fixture
def understand(read):
    """Give a function that reads a command, and the configuration of the training where it trains."""

    def understand_text(text):
        parameters = read(text)
        if parameters.keys() >= {field.name for field in fields(FitOptions)}:
            config_of(parameters)

    return understand_text


@pytest.mark.parametrize("code", COMMANDS, ids=str)
def test_a_command_is_understood(understand, code):
    understand(code.text)


def test_the_commands_of_all_programs_are_shown():
    called = [COMMAND.match(code.text).groups() for code in COMMANDS]
    shown = {(program, shlex.split(rest)[0]) for program, rest in called}
    for program in ("monolayer", "monolayer-train"):
        for name in typer.main.get_command(PROGRAMS[program]).commands:
            assert (program, name) in shown
    assert "monolayer-export" in {program for program, _ in shown}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("monolayer-train fit data/mine runs/mine --minuts 10", "--minuts"),
        ("monolayer-train fit data/mine runs/mine --minutes ten", "valid number"),
        ("monolayer-train fit data/mine runs/mine --preset phase", "phase-contrast"),
        ("monolayer-train fit data/mine runs/mine --from service/nowhere", "does not exist"),
        ("monolayer-train evaluate", "Missing parameter: run"),
        ("monolayer-train fit data/mine runs/mine --crop-side 100", "multiple of 16"),
        ("monolayer-train train data/mine runs/mine", "no command train"),
        ("monolayer-export runs/mine bundles/mine more", "extra argument"),
        ("monolayer segment plate1 -f geotiff", "geotiff"),
        ("monolayer segment plate1 -c 65", "64"),
    ],
)
def test_a_command_that_no_program_understands_would_be_noticed(understand, text, message):
    with pytest.raises(Exception, match=message):
        understand(text)


@pytest.mark.parametrize(("page", "program", "text"), MENTIONS)
def test_a_command_within_a_sentence_names_options_that_there_are(page, program, text):
    command, words = command_of(program, shlex.split(text))
    known = {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)}
    assert {word.split("=")[0] for word in words if re.match(r"--?[a-z]", word)} <= known


@pytest.mark.parametrize("code", BENCHMARKS, ids=str)
def test_a_benchmark_understands_its_command(code, monkeypatch):
    _, _, module, *words = shlex.split(code.text)
    monkeypatch.setattr(sys, "argv", [module, *words])
    found = vars(importlib.import_module(module).parse_arguments())
    typed = zip(words[::2], words[1::2], strict=True)
    assert [(name, found[name[2:].replace("-", "_")]) for name in words[::2]] == [(n, Path(v)) for n, v in typed]


@pytest.mark.parametrize(("page", "text"), SERVING)
def test_a_command_that_serves_says_what_is_set(page, text, monkeypatch):
    served = []
    monkeypatch.setattr(service_program, "serve", served.append)
    words = shlex.split(text.replace("$port", "8001"))
    at = words.index("monolayer-serve")
    settings = dict(word.split("=") for word in words[:at])
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys, "argv", words[at:])
    service_program.main()
    found = {name: getattr(served[0], name.removeprefix("MONOLAYER_").lower()) for name in settings}
    assert found == {name: type(found[name])(value) for name, value in settings.items()}
    assert served[0].port == (8001 if "--port" in text else 8000)


def test_what_serves_is_found_on_the_pages():
    assert {page for page, _ in SERVING} == {"README.md", "deploy/README.md"}


# What made the models that are shipped


def recipe(read, model):
    """What the three commands that make a model are told: the first of the page that prepare, train and export."""
    first = [code.text for code in COMMANDS if code.page == f"models/{model}.md"]
    return [
        read(next(text for text in first if re.search(name, text)))
        for name in ("monolayer-train prepare ", "monolayer-train (fit|crossvalidate) ", "monolayer-export ")
    ]


NOT_RECORDED = {
    "nuclei": {"score_every"},  # the run that is recorded scored no checkpoint, as its page says
    "cells": set(),
    "blood": {"mixed_precision"},  # not told: what is recorded is what was faster there
}
FROM_ELSEWHERE = {"version", "start_from"}
"""The export is told the version, and a bundle of an older version lies elsewhere than when it was the shipped one."""


@pytest.mark.parametrize("model", NOT_RECORDED)
def test_a_recipe_trains_with_the_settings_that_are_recorded(read, model):
    _, trained, _ = recipe(read, model)
    recorded = TrainConfig.model_validate_json((ROOT / "docs" / "models" / model / "config.json").read_bytes())
    left_out = FROM_ELSEWHERE | NOT_RECORDED[model]
    assert config_of(trained).model_dump(exclude=left_out) == recorded.model_dump(exclude=left_out)
    assert trained["start_from"].name.startswith(Path(recorded.start_from).name)


@pytest.mark.parametrize("model", NOT_RECORDED)
def test_a_recipe_names_what_the_card_of_the_model_says(read, model):
    prepared, trained, exported = recipe(read, model)
    card = read_card(ROOT / "service" / "monolayer_service" / "bundles" / model)
    data, classes = card.training_data, [output.name for output in card.outputs if output.role == "class"]
    assert (prepared["name"], prepared["licence"], prepared["source_url"]) == (data.name, data.licence, data.source)
    assert (prepared["classes"].split(","), prepared["confluency_of"]) == (classes, card.confluency_of)
    assert prepared["pixel_size_um"] == card.pixel_size_um
    assert (exported["version"], exported["bundle"].name) == (card.version, card.name)
    assert exported["run"].parts[:2] == trained["run"].parts
