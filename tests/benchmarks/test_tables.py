"""Markdown tables, marked parts and targets are written and read as they should be."""

import pytest
from benchmarks.server import find_metric
from benchmarks.tables import mark, markdown_table, marked_part, pick_columns
from benchmarks.targets import TARGETS, Figure, Target, target_table
from docs.speed import PEER_COLUMNS, PEER_TABLE, TARGET_COLUMNS, speed_section


def test_a_table_has_a_line_a_row():
    assert markdown_table(("a", "b"), [("1", "2"), ("3", "4")]) == "| a | b |\n| --- | --- |\n| 1 | 2 |\n| 3 | 4 |"


def test_a_row_of_another_length_is_refused():
    with pytest.raises(ValueError, match="1 cells does not fit 2 columns"):
        markdown_table(("a", "b"), [("1",)])


def test_a_marked_part_is_found_again():
    document = f"# Title\n\n{mark('one', '| a |')}\n\n{mark('two', 'second')}\n"

    assert marked_part(document, "one") == "| a |"
    assert marked_part(document, "two") == "second"
    with pytest.raises(ValueError, match="three"):
        marked_part(document, "three")


def test_columns_are_picked_in_the_order_asked_for():
    table = markdown_table(("a", "b", "c"), [("1", "2 2", "3"), ("4", "5", "6")])

    assert pick_columns(table, ("c", "b")) == markdown_table(("c", "b"), [("3", "2 2"), ("6", "5")])
    with pytest.raises(ValueError, match="d"):
        pick_columns(table, ("d",))


def test_the_readme_shows_both_tables_under_their_machine(tmp_path):
    values = [str(number) for number in range(5)]
    for name, part, columns in (("service", "targets", TARGET_COLUMNS), ("peers", PEER_TABLE, PEER_COLUMNS)):
        table = markdown_table((*columns, "more"), [(*values[: len(columns)], "x")])
        text = f"# Title\n\n2026-11-27, a machine  \nversions\n\n{mark(part, table)}\n"
        (tmp_path / f"{name}.md").write_text(text, encoding="utf-8")

    section = speed_section(tmp_path)

    assert "[`make bench`](benchmarks/results/service.md), 2026-11-27, a machine:" in section
    assert "| what | target | figure | met |\n| --- | --- | --- | --- |\n| 0 | 1 | 2 | 3 |" in section
    assert section.endswith("| 0 | 1 | 2 | 3 | 4 |")


@pytest.mark.parametrize(
    ("is_floor", "value", "is_met", "share"),
    [
        (True, 5.0, True, 1.0),
        (True, 10.0, True, 0.5),
        (True, 4.0, False, 1.25),
        (False, 5.0, True, 1.0),
        (False, 2.5, True, 0.5),
        (False, 6.0, False, 1.2),
    ],
)
def test_a_target_is_a_floor_or_a_ceiling(is_floor, value, is_met, share):
    target = Target("pace", 5, "Mpx/s", is_floor=is_floor)

    assert target.is_met(value) is is_met
    assert target.share_of_bound(value) == pytest.approx(share)


def test_the_table_shows_target_figure_and_whether_it_is_met():
    table = target_table({"start": Figure(2.34, "3 starts"), "tiles_256": Figure(0.79, "79 of 100 tiles/s")})

    assert table.splitlines()[2:] == [
        "| 256² PNG, 8 clients, tiles/s against bare `session.run` | ≥ 0.8 | **0.79** | no | 79 of 100 tiles/s |",
        "| start to ready | ≤ 3 s | **2.3 s** | yes | 3 starts |",
    ]


def test_a_figure_without_a_target_is_refused():
    with pytest.raises(KeyError, match="colour"):
        target_table({"colour": Figure(1, "")})


def test_every_target_reads_as_a_bound():
    assert [target.written_bound for target in TARGETS.values()] == [
        "≥ 0.8",
        "≤ 20 %",
        "≥ 0.85",
        "≤ 15 %",
        "≤ 4 ms",
        "≥ 5 Mpx/s",
        "≤ 1.25",
        "≤ 3 times",
        "≤ 1.05",
        "≤ 3 s",
    ]


def test_a_metric_is_found_by_its_whole_name():
    text = "# HELP held_bytes Held.\nheld_bytes_created 1.0\nheld_bytes 1.5e+03\n"

    assert find_metric(text, "held_bytes") == 1500
    with pytest.raises(ValueError, match="held"):
        find_metric(text, "held")
