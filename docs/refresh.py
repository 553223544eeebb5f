"""Write the generated parts of the documentation anew: tables, real answers, the picture and the OpenAPI snapshot.

    python -m docs.refresh          what `make docs` runs

What stands between ``<!-- name -->`` and ``<!-- /name -->`` in the README and the pages comes from here. The answers
are those of the service in this process with the shipped models.
"""

import io
import json
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import cv2
import httpx2
import matplotlib.pyplot as plt
import numpy as np
from benchmarks.places import RESULTS
from benchmarks.server import running_service
from docs.model_tables import (
    blood_line,
    cells_line,
    class_table,
    confluency_table,
    layer_table,
    nuclei_section,
    score_table,
    size_table,
)
from docs.speed import speed_section
from starlette.testclient import TestClient

from monolayer_core.model_card import read_card
from monolayer_service.app import create_app
from monolayer_service.openapi import render_openapi
from monolayer_service.reference import render_table
from monolayer_service.settings import SHIPPED_BUNDLES, Settings

ROOT = Path(__file__).resolve().parents[1]
EXAMPLE = "fluorescence_large.png"
PAGES = {
    "nuclei": {"scores": score_table, "sizes": size_table},
    "cells": {"scores": confluency_table, "layers": layer_table, "sizes": size_table},
    "blood": {"scores": class_table, "sizes": size_table},
}
"""Tables of each model's page, by the name of their place."""

TABLES = {"reference.md": ("options", "errors"), "operations.md": ("settings",)}
"""Tables of what the code knows, by the page they stand in."""

MODEL_OF = {"blood_smear.png": "blood", "phase_contrast.png": "cells"}
"""Models that answer examples; the default of `/v1/segment` the others."""

PLURALS = {"nucleus": "nuclei", "cell": "cells"}


def main() -> None:
    with TestClient(create_app(Settings())) as service:
        picture_of_examples(service, ROOT / "docs" / "pictures" / "examples.png")
        sections = {"answer": fenced("json", shortened(post(service, EXAMPLE).json()))}
    readme = ROOT / "README.md"
    text = readme.read_text(encoding="utf-8")
    sections["printed"] = fenced("text", printed_by(python_example(text)).strip())
    metrics = {name: read_metrics(name) for name in PAGES}
    sections["model"] = nuclei_section(read_card(SHIPPED_BUNDLES / "nuclei"), metrics["nuclei"])
    sections["cells"] = cells_line(read_card(SHIPPED_BUNDLES / "cells"), metrics["cells"])
    sections["speed"] = speed_section(RESULTS)
    sections["blood"] = blood_line(read_card(SHIPPED_BUNDLES / "blood"), metrics["blood"])
    for name, tables in PAGES.items():
        rewrite(ROOT / "docs" / "models" / f"{name}.md", {key: table(metrics[name]) for key, table in tables.items()})
    for page, names in TABLES.items():
        rewrite(ROOT / "docs" / page, {name: render_table(name).strip() for name in names})
    readme.write_text(replace_sections(text, sections), encoding="utf-8")
    (ROOT / "clients" / "openapi.json").write_text(render_openapi(), encoding="utf-8")


def rewrite(page: Path, sections: Mapping[str, str]) -> None:
    """Put sections into a page, see `replace_sections`."""
    page.write_text(replace_sections(page.read_text(encoding="utf-8"), sections), encoding="utf-8")


def read_metrics(name: str) -> dict[str, Any]:
    """The figures of a shipped model, as `monolayer-train evaluate` or `crossvalidate` wrote them."""
    found: dict[str, Any] = json.loads((ROOT / "docs" / "models" / name / "metrics.json").read_text(encoding="utf-8"))
    return found


def python_example(readme: str) -> str:
    """The Python code the README shows."""
    found = re.search(r"<!-- python -->\n```python\n(.*?)```", readme, re.DOTALL)
    if found is None:
        raise ValueError("there is no Python example in the README")
    return found[1]


def printed_by(code: str) -> str:
    """Run code that talks to http://127.0.0.1:8000 against a service on a free port; what it prints."""
    with running_service(start_seconds=60) as server:
        command = [sys.executable, "-c", code.replace(":8000", f":{server.port}")]
        return subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout


def post(service: TestClient, example: str, **options: str) -> httpx2.Response:
    """Post an example image as `curl -F` does and insist on an answer."""
    content = (ROOT / "examples" / example).read_bytes()
    response = service.post("/v1/segment", params=options, files={"image": (example, content, "image/png")})
    response.raise_for_status()
    return response


def shortened(answer: dict[str, Any]) -> str:
    """The answer as JSON of readable width: the first object in full, the others as an ellipsis."""
    first, *others = answer["instances"]
    first["rle"] = " ".join(first["rle"].split()[:6]) + " …"
    for part in (answer["image"], answer["model"], answer["receipt"]):
        part |= {name: value[:12] + "…" for name, value in part.items() if name.endswith("sha256")}
    answer["instances"] = ["@first"]
    lines = [f"  {json.dumps(key)}: {json.dumps(value, ensure_ascii=False)}" for key, value in answer.items()]
    text = "{\n" + ",\n".join(lines) + "\n}"
    listed = json.dumps(first, ensure_ascii=False) + f",\n    … {len(others)} more"
    return text.replace('["@first"]', f"[\n    {listed}\n  ]")


def fenced(language: str, text: str) -> str:
    return f"```{language}\n{text}\n```"


def replace_sections(text: str, sections: Mapping[str, str]) -> str:
    """Put each section between its pair of comments.

    Raises
    ------
    ValueError
        The text has no place for a section.
    """
    for name, content in sections.items():
        pattern = re.compile(rf"(<!-- {name} -->\n).*?(<!-- /{name} -->)", re.DOTALL)
        if not pattern.search(text):
            raise ValueError(f"there is no <!-- {name} --> … <!-- /{name} -->")
        text = pattern.sub(lambda match, content=content: f"{match[1]}{content}\n{match[2]}", text)
    return text


def picture_of_examples(service: TestClient, path: Path) -> None:
    """Draw the service's own overlays of all examples with their counts and confluency."""
    names = sorted((file.name for file in (ROOT / "examples").glob("*.png")), key=lambda name: (name in MODEL_OF, name))
    figure, axes = plt.subplots(2, 5, figsize=(20, 8.6), layout="constrained")
    for axis, name in zip(axes.flat, names, strict=True):
        options = {"model": MODEL_OF[name]} if name in MODEL_OF else {}
        answer = post(service, name, **options).json()
        picture = post(service, name, format="overlay", **options).content
        overlay = cv2.imdecode(np.frombuffer(picture, np.uint8), cv2.IMREAD_COLOR_RGB)
        side = min(overlay.shape[:2])
        axis.imshow(overlay[:side, :side], interpolation="antialiased")
        title = name.removesuffix(".png").replace("_", " ")
        counts = ", ".join(f"{count} {PLURALS.get(kind, kind)}" for kind, count in answer["counts"].items())
        axis.set_title(f"{title}: {counts}, {answer['confluency']['percent']:.1f} %", fontsize=12)
        axis.axis("off")
    buffer = io.BytesIO()
    figure.savefig(buffer, dpi=80, metadata={"Software": None})
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(buffer.getvalue())
    plt.close(figure)


if __name__ == "__main__":
    main()
