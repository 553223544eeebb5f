"""The event loop's profile is added up by package."""

import pstats
import sysconfig
from pathlib import Path

import pytest
from benchmarks.event_loop import package_of, report
from benchmarks.places import ROOT


@pytest.mark.parametrize(
    ("file", "package"),
    [
        ("~", "built-in functions"),
        (str(Path(sysconfig.get_path("purelib")) / "fastapi" / "routing.py"), "fastapi"),
        (str(Path(sysconfig.get_path("purelib")) / "six.py"), "six"),
        (str(ROOT / "service" / "monolayer_service" / "app.py"), "monolayer_service"),
        ("/usr/lib/python3.11/asyncio/tasks.py", "standard library"),
        ("<frozen runpy>", "standard library"),
    ],
)
def test_a_file_belongs_to_a_package(file, package):
    assert package_of(file) == package


def test_shares_add_up_what_functions_themselves_took():
    stats = pstats.Stats()
    library = sysconfig.get_path("purelib")
    stats.stats = {
        ("~", 0, "len"): (4, 4, 1.0, 1.0, {}),
        (f"{library}/fastapi/utils.py", 1, "solve_dependencies"): (6, 6, 2.0, 3.0, {}),
        (f"{library}/fastapi/routing.py", 1, "app"): (2, 2, 1.0, 4.0, {}),
    }

    assert report(stats, requests=2).splitlines()[2:] == [
        "| fastapi | 75 % |",
        "| built-in functions | 25 % |",
        "| `solve_dependencies` and all it calls, begun or resumed 3 times a request | 75 % |",
    ]
