"""Every example in a docstring gives what stands below it."""

import doctest
import importlib
import importlib.util
import pkgutil

import pytest

PACKAGES = ("monolayer_core", "monolayer_service", "monolayer_trainer", "monolayer_export", "monolayer_client")
MODULES = sorted(
    module.name
    for package in PACKAGES
    for module in pkgutil.walk_packages(importlib.import_module(package).__path__, f"{package}.")
    if ">>>" in (importlib.util.find_spec(module.name).loader.get_source(module.name) or "")
)


@pytest.mark.parametrize("name", MODULES)
def test_examples_hold(name):
    try:
        module = importlib.import_module(name)
    except ModuleNotFoundError as error:
        pytest.skip(f"needs {error.name}, which is not installed")
    finder = doctest.DocTestFinder(exclude_empty=True)
    examples = [test for test in finder.find(module) if test.examples]
    assert examples
    runner = doctest.DocTestRunner(optionflags=doctest.IGNORE_EXCEPTION_DETAIL)
    for test in examples:
        said = []
        runner.run(test, out=said.append)
        assert not said, "".join(said)
