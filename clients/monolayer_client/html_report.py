"""One HTML page that holds everything: opens without internet, needs no script, prints well."""

import base64
import html
from collections.abc import Sequence
from dataclasses import dataclass

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; color: #1b1f24; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.1rem; margin-top: 2rem; } p.note { color: #555; }
div.wide { overflow-x: auto; } table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: .25rem .7rem; border-bottom: 1px solid #ddd; text-align: right; white-space: nowrap; }
th:first-child, td:first-child { text-align: left; } th { border-bottom: 2px solid #999; } img { max-width: 100%; }
"""


@dataclass(frozen=True)
class ReportTable:
    """A table with its heading; cells are text as it is to be read."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]


@dataclass(frozen=True)
class ReportPicture:
    """An SVG picture with its heading; `alternative` says in words what it shows."""

    title: str
    svg: bytes
    alternative: str


def render_report(title: str, notes: Sequence[str], parts: Sequence[ReportTable | ReportPicture]) -> bytes:
    """Write the page, in UTF-8; pictures stand in it as data."""
    body = [f"<h1>{html.escape(title)}</h1>", *(f'<p class="note">{html.escape(note)}</p>' for note in notes)]
    for part in parts:
        body.append(f"<h2>{html.escape(part.title)}</h2>")
        body.append(_table(part) if isinstance(part, ReportTable) else _picture(part))
    head = f'<meta charset="utf-8"><title>{html.escape(title)}</title><style>{_STYLE}</style>'
    viewport = '<meta name="viewport" content="width=device-width, initial-scale=1">'
    return "\n".join(
        [f'<!doctype html><html lang="en"><head>{head}{viewport}</head><body>', *body, "</body></html>", ""]
    ).encode()


def _table(table: ReportTable) -> str:
    head = "".join(f'<th scope="col">{html.escape(column)}</th>' for column in table.columns)
    rows = ("".join(f"<td>{html.escape(cell)}</td>" for cell in row) for row in table.rows)
    lines = "\n".join(f"<tr>{row}</tr>" for row in rows)
    return f'<div class="wide"><table><thead><tr>{head}</tr></thead><tbody>\n{lines}\n</tbody></table></div>'


def _picture(picture: ReportPicture) -> str:
    data = base64.b64encode(picture.svg).decode()
    return f'<img alt="{html.escape(picture.alternative)}" src="data:image/svg+xml;base64,{data}">'
