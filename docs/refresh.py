"""Write the generated parts of the documentation anew: tables, real answers, the picture and the OpenAPI snapshot.

    python -m docs.refresh          what `make docs` runs

What stands between ``<!-- name -->`` and ``<!-- /name -->`` in the README comes from here. The answers are those of the
service in this process with the shipped models.
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
from benchmarks.service import running_service
from starlette.testclient import TestClient

from monolayer_core.model_card import ModelCard, read_card
from monolayer_service.app import create_app
from monolayer_service.openapi import render_openapi
from monolayer_service.reference import render_table
from monolayer_service.settings import SHIPPED_BUNDLES, Settings

ROOT = Path(__file__).resolve().parents[1]
EXAMPLE = "fluorescence_large.png"
SHOWN_MODALITIES = {
    "fluorescence": "fluorescence",
    "histology_purple_bg": "stained tissue, purple ground",
    "histology_white_bg": "stained tissue, white ground",
    "brightfield_gray": "grey brightfield",
}


def main() -> None:
    with TestClient(create_app(Settings())) as service:
        picture_of_examples(service, ROOT / "docs" / "pictures" / "examples.png")
        sections = {name: render_table(name).strip() for name in ("options", "errors", "settings")}
        sections["answer"] = fenced("json", shortened(post(service, EXAMPLE).json()))
    readme = ROOT / "README.md"
    text = readme.read_text(encoding="utf-8")
    sections["printed"] = fenced("text", printed_by(python_example(text)).strip())
    metrics = json.loads((ROOT / "docs" / "models" / "nuclei" / "metrics.json").read_text(encoding="utf-8"))
    sections["model"] = model_section(read_card(SHIPPED_BUNDLES / "nuclei"), metrics)
    page = ROOT / "docs" / "models" / "nuclei.md"
    scores = {"scores": score_table(metrics)}
    page.write_text(replace_sections(page.read_text(encoding="utf-8"), scores), encoding="utf-8")
    readme.write_text(replace_sections(text, sections), encoding="utf-8")
    (ROOT / "clients" / "openapi.json").write_text(render_openapi(), encoding="utf-8")


def python_example(readme: str) -> str:
    """The Python code the README shows."""
    found = re.search(r"<!-- python -->\n```python\n(.*?)```", readme, re.DOTALL)
    if found is None:
        raise ValueError("there is no Python example in the README")
    return found[1]


def printed_by(code: str) -> str:
    """Run code that talks to http://127.0.0.1:8000 against a service on a free port; what it prints."""
    with running_service(start_seconds=60) as port:
        command = [sys.executable, "-c", code.replace(":8000", f":{port}")]
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
    for digest in (answer["image"], answer["model"]):
        digest["sha256"] = digest["sha256"][:12] + "…"
    answer["instances"] = ["@first"]
    lines = [f"  {json.dumps(key)}: {json.dumps(value, ensure_ascii=False)}" for key, value in answer.items()]
    text = "{\n" + ",\n".join(lines) + "\n}"
    listed = json.dumps(first, ensure_ascii=False) + f",\n    … {len(others)} more"
    return text.replace('["@first"]', f"[\n    {listed}\n  ]")


def model_section(card: ModelCard, metrics: Mapping[str, Any]) -> str:
    """Scores of a model as a table: the network beside K-means and Otsu on the same images."""
    data = card.training_data
    introduction = (
        f"`{card.name}` {card.version}: a U-Net trained on {data.images} images with {data.objects:,} nuclei "
        f"({data.name}, {data.licence}). Scores on images of other fields, to which no weight and no threshold was "
        "fitted, though [one rule was chosen after a look at some of them](docs/models/nuclei.md); brackets hold the "
        "95 % bootstrap interval by field."
    )
    return f"{introduction}\n\n{score_table(metrics)}"


def score_table(metrics: Mapping[str, Any]) -> str:
    """The network beside K-means and Otsu, one row for all images and one per modality."""
    lines = [
        "| images | number | Kaggle score | AP at IoU 0.5 | Dice | K-means, Kaggle score | Otsu, Kaggle score |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    return "\n".join([*lines, *score_rows(metrics["methods"])])


def score_rows(methods: Mapping[str, Any]) -> list[str]:
    network, kmeans, otsu = (methods[name] for name in ("network", "kmeans", "otsu"))
    rows = []
    for modality, title in {None: "all", **SHOWN_MODALITIES}.items():
        scores = part(network, modality)
        cells = [title, str(scores["images"]), interval(scores["kaggle_score"])]
        cells += [f"{scores[name]['mean']:.3f}" for name in ("average_precision_50", "dice")]
        cells += [f"{part(other, modality)['kaggle_score']['mean']:.3f}" for other in (kmeans, otsu)]
        rows.append(f"| {' | '.join(cells)} |")
    return rows


def part(summary: Mapping[str, Any], modality: str | None) -> Mapping[str, Any]:
    """The scores over all images or over those of one modality."""
    found: Mapping[str, Any] = summary["overall"] if modality is None else summary["by_modality"][modality]
    return found


def interval(score: Mapping[str, float]) -> str:
    return f"{score['mean']:.3f} [{score['low']:.3f}, {score['high']:.3f}]"


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
    names = sorted(file.name for file in (ROOT / "examples").glob("*.png"))
    figure, axes = plt.subplots(2, 4, figsize=(16, 8.6), layout="constrained")
    for axis, name in zip(axes.flat, names, strict=True):
        answer = post(service, name).json()
        overlay = cv2.imdecode(np.frombuffer(post(service, name, format="png").content, np.uint8), cv2.IMREAD_COLOR_RGB)
        side = min(overlay.shape[:2])
        axis.imshow(overlay[:side, :side], interpolation="antialiased")
        title = name.removesuffix(".png").replace("_", ", ")
        axis.set_title(f"{title}: {answer['count']} nuclei, {answer['confluency']['percent']:.1f} %", fontsize=13)
        axis.axis("off")
    buffer = io.BytesIO()
    figure.savefig(buffer, dpi=80, metadata={"Software": None})
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(buffer.getvalue())
    plt.close(figure)


if __name__ == "__main__":
    main()
