"""``python -m monolayer_service.reference settings|options|errors``: the tables of the documentation, from the code."""

import argparse
import sys
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from pydantic.fields import FieldInfo

from monolayer_service.connections import INVALID_HTTP
from monolayer_service.errors import ERROR_TABLE
from monolayer_service.options import Options, acts_of
from monolayer_service.settings import PREFIX, SHIPPED_BUNDLES, Settings
from monolayer_service.submission import RepeatedImageIdError, UnusableImageIdError

Row = Sequence[str]


def settings_rows() -> Sequence[Row]:
    """One row a setting: variable, default, meaning."""
    return [
        (f"`{PREFIX}{name.upper()}`", f"`{_default(field)}`", field.description or "")
        for name, field in Settings.model_fields.items()
    ]


def options_rows() -> Sequence[Row]:
    """One row an option: name, type and range, default, the methods and calls it acts on, meaning."""
    properties = Options.model_json_schema()["properties"]
    rows = []
    for name, field in Options.model_fields.items():
        acts = acts_of(field)
        label, kind = (f"`{name}`", _kind(properties[name])) if name != "echo" else ("`echo.*`", "text")
        default = "" if name == "echo" or field.default is None else f"`{_value(field.default)}`"
        calls = ", ".join(acts.calls)
        rows.append((label, kind, default, ", ".join(acts.methods) or "both", calls, field.description or ""))
    return rows


def errors_rows() -> Sequence[Row]:
    """One row an error: status, code, meaning."""
    rows = [(str(int(row.status)), f"`{row.error.code}`", row.meaning) for row in ERROR_TABLE]
    rows += [
        ("400", f"`{INVALID_HTTP}`", "the request is no HTTP/1.1; a head longer than 64 KiB may be refused so too"),
        ("422", f"`{RepeatedImageIdError.code}`", "in `failures`: several images of a submission have the name"),
        (
            "422",
            f"`{UnusableImageIdError.code}`",
            "in `failures`: an image has no name, or one that is no `ImageId`",
        ),
        ("404", "`not_found`", "there is no such path"),
        ("405", "`method_not_allowed`", "the path takes another method, named in `Allow`"),
        ("500", "`internal_error`", "a fault of the service; nothing of the inside is shown"),
    ]
    return sorted(rows)


TABLES: dict[str, tuple[Row, Callable[[], Sequence[Row]]]] = {
    "settings": (("Variable", "Default", "Meaning"), settings_rows),
    "options": (("Option", "Values", "Default", "Method", "Calls", "Meaning"), options_rows),
    "errors": (("Status", "Code", "Meaning"), errors_rows),
}


def render_table(name: str) -> str:
    """Write one of the `TABLES` in Markdown."""
    header, rows = TABLES[name]
    return "\n".join([_line(header), _line("---" for _ in header), *(_line(row) for row in rows())]) + "\n"


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def _default(field: FieldInfo) -> str:
    return "the shipped bundles" if field.default == SHIPPED_BUNDLES else _value(field.default)


def _value(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:g}" if isinstance(value, float) else str(value)


def _kind(schema: dict[str, Any]) -> str:
    """Say in words what a JSON schema allows, such as ``integer, from 0`` or ``kaggle, coco, none``."""
    if "anyOf" in schema:
        return " or ".join(_kind(choice) for choice in schema["anyOf"] if choice.get("type") != "null")
    if "enum" in schema:
        return ", ".join(f"`{choice}`" for choice in schema["enum"])
    if "const" in schema:
        return f"`{schema['const']}`"
    if schema["type"] == "string":
        return "text"
    low = schema.get("minimum", schema.get("exclusiveMinimum"))
    high = schema.get("maximum")
    above = "above" if "exclusiveMinimum" in schema else "from"
    bounds = [f"{above} {low:g}"] if low is not None else []
    bounds += [f"to {high:g}"] if high is not None and high < 1e6 else []
    return f"{schema['type']} {' '.join(bounds)}".strip()


def main() -> None:
    """Print one table."""
    parser = argparse.ArgumentParser(prog="python -m monolayer_service.reference", description=__doc__)
    parser.add_argument("table", choices=TABLES)
    sys.stdout.write(render_table(parser.parse_args().table))


if __name__ == "__main__":
    main()
