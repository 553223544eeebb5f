"""Where things lie."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
EXAMPLES = ROOT / "examples"
RESULTS = ROOT / "benchmarks" / "results"
NUCLEI = ROOT / "service" / "monolayer_service" / "bundles" / "nuclei"
