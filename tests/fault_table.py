"""Prints what the tests marked ``fault(injected, response)`` have shown, one line a fault: ``make test-faults``.

A plugin of pytest's: ``python -m pytest -m fault -p tests.fault_table``. A test may add a figure that it has seen with
``record_property("figure", "…")``.
"""

from collections import defaultdict

import pytest

HEADER = ("fault injected", "what the service does", "shown")


class FaultTable:
    """Collects the outcomes of marked tests, in the order of the files."""

    def __init__(self):
        self._rows = {}
        self._outcomes = defaultdict(list)
        self._figures = defaultdict(list)

    def pytest_collection_modifyitems(self, items):
        for item in items:
            if (mark := item.get_closest_marker("fault")) is not None:
                injected, response = mark.args
                self._rows[item.nodeid] = (injected, response)

    def pytest_runtest_logreport(self, report):
        row = self._rows.get(report.nodeid)
        if row is None or (report.when != "call" and report.outcome == "passed"):
            return
        self._outcomes[row].append(report.outcome)
        self._figures[row] += [value for name, value in report.user_properties if name == "figure"]

    def pytest_terminal_summary(self, terminalreporter):
        lines = [HEADER, *((*row, self._shown(row)) for row in dict.fromkeys(self._rows.values()))]
        widths = [max(len(line[column]) for line in lines) for column in range(2)]
        terminalreporter.section("faults")
        for number, (injected, response, shown) in enumerate(lines):
            terminalreporter.write_line(f"{injected:<{widths[0]}} | {response:<{widths[1]}} | {shown}")
            if number == 0:
                terminalreporter.write_line("-" * (sum(widths) + 6 + len(shown)))

    def _shown(self, row):
        outcomes = self._outcomes[row]
        ran = [outcome for outcome in outcomes if outcome != "skipped"]
        if not ran:
            return "not run"
        held = ran.count("passed")
        parts = [f"{held} of {len(ran)} held" if held == len(ran) else f"BROKEN: {held} of {len(ran)} held"]
        return ", ".join([*parts, *dict.fromkeys(self._figures[row])])


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(FaultTable(), "fault-table")
