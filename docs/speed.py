"""The README's part on speed, from the tables that the benchmarks wrote."""

from pathlib import Path

from benchmarks.tables import marked_part, pick_columns

TARGET_COLUMNS = ("what", "target", "figure", "met")
PEER_TABLE = "servers_256_8"
PEER_COLUMNS = ("256², 8 clients", "requests/s", "p50 ms", "p99 ms", "processor ms")


def speed_section(results: Path) -> str:
    """What `make bench` and `make bench-peers` found last; a sentence where one of them was not kept yet.

    Raises
    ------
    ValueError
        A file of results lacks its table.
    """
    return "\n\n".join(
        [
            _shown(results / "service.md", "targets", TARGET_COLUMNS, "make bench"),
            _shown(results / "peers.md", PEER_TABLE, PEER_COLUMNS, "make bench-peers"),
        ]
    )


def _shown(path: Path, name: str, columns: tuple[str, ...], command: str) -> str:
    """One table under the line that says what it was measured on."""
    if not path.exists():
        return f"`{command}` has not been kept for this version."
    text = path.read_text(encoding="utf-8")
    machine = text.split("\n\n")[1].partition("  \n")[0]
    table = pick_columns(marked_part(text, name), columns)
    return f"[`{command}`](benchmarks/results/{path.name}), {machine}:\n\n{table}"
