"""Does an answer say when it is not to be trusted? Flags, scores and intervals on labelled images.

    monolayer-train prepare stage1_train.zip data/dsb2018 --groups image_groups.csv
    python -m benchmarks.trust --nuclei data/dsb2018 --cells usiigaci_phase/images \\
        --blood blood_cells/images --blood-pairs blood_cells/overlapping_crops.csv

writes the tables of docs/trust.md; a few minutes on two cores.
"""

import argparse
from pathlib import Path

import numpy as np
import onnxruntime as ort
from benchmarks.image_sets import InputSpec, Picture, read_folder, read_prepared
from benchmarks.spoiled import quality_table
from benchmarks.unlike import unlike_tables
from docs.refresh import replace_sections
from scipy.stats import spearmanr

from monolayer_core.arrays import LabelImage, Probabilities, TileBatch
from monolayer_core.confluency_uncertainty import uncertainty_points
from monolayer_core.model_card import MODEL_NAME, ModelCard, read_card
from monolayer_core.object_score import predict_iou
from monolayer_core.pipeline import interpret, prepare
from monolayer_core.prediction import predict_probabilities
from monolayer_trainer.dataset import Dataset, Sample
from monolayer_trainer.object_score import describe_found
from monolayer_trainer.tables import read_rows
from monolayer_trainer.trust import confluency_record, learn_from_answers

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "trust.md"


def main() -> None:
    arguments = parse_arguments()
    nuclei = read_prepared(arguments.nuclei)
    sets = {
        "nuclei": nuclei,
        "phase contrast": read_folder(arguments.cells, "phase contrast"),
        "blood": read_folder(arguments.blood, "blood", arguments.blood_pairs),
    }
    specs = {"nuclei": InputSpec("rgb"), "phase contrast": InputSpec("grey"), "blood": InputSpec("rgb")}
    held_out: dict[str, list[Picture]] = {**sets, "nuclei": [one for one in nuclei if one.subset == "validation"]}
    sections = {"quality": quality_table(held_out)}
    print(sections["quality"], "\n", flush=True)
    sections["unlike"] = unlike_tables(sets, specs)
    print(sections["unlike"], "\n", flush=True)
    sections["answers"] = answers_table(arguments.bundle, Dataset.load(arguments.nuclei), arguments.images)
    print(sections["answers"])
    PAGE.write_text(replace_sections(PAGE.read_text(encoding="utf-8"), sections), encoding="utf-8")


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nuclei", type=Path, required=True, help="prepared data set with labels and split")
    parser.add_argument("--cells", type=Path, required=True, help="folder of phase contrast images")
    parser.add_argument("--blood", type=Path, required=True, help="folder of blood smear images")
    parser.add_argument("--blood-pairs", type=Path, help="table of images that show the same field")
    parser.add_argument(
        "--bundle", type=Path, default=ROOT / "service" / "monolayer_service" / "bundles" / "nuclei", help="nuclei"
    )
    parser.add_argument(
        "--images", type=Path, default=ROOT / "docs" / "models" / "nuclei" / "images.csv", help="what it was tuned on"
    )
    return parser.parse_args()


def answers_table(bundle: Path, dataset: Dataset, used_images: Path) -> str:
    """Score and interval of the network's answers on the validation images.

    What the card has not learnt is learnt here from the images its thresholds were tuned on.
    """
    card = read_card(bundle)
    session = ort.InferenceSession(bundle / MODEL_NAME, providers=["CPUExecutionProvider"])
    tuned_on = {row["ImageId"] for row in read_rows(used_images) if row["use"] == "tuning"}
    if card.score is None or card.confluency_uncertainty is None:
        tuning = [sample for sample in dataset.samples if sample.id in tuned_on]
        answers = [answer(session, card, dataset, sample) for sample in tuning]
        card = learn_from_answers([truth for truth, _ in answers], [found for _, found in answers], card)
    if card.score is None or card.confluency_uncertainty is None:
        raise SystemExit("there are too few tuning images in the data set to learn a score and an interval from")
    pairs = [answer(session, card, dataset, sample) for sample in dataset.subset("validation")]
    described = [describe_found(truth, found, card) for truth, found in pairs]
    features, iou = (np.concatenate(parts) for parts in zip(*described, strict=True))
    plain = mean_probability_scores(pairs, card)
    records = np.array([confluency_record(truth, found, card) for truth, found in pairs])
    widths = np.array([uncertainty_points(percent, card.confluency_uncertainty) for percent in records[:, 2]])
    errors = np.abs(records[:, 0] - records[:, 1])
    rows = {
        "images, objects": f"{len(pairs)}, {len(iou)}",
        "Spearman's correlation of score and IoU": f"{spearman(predict_iou(features, card.score), iou):.3f}",
        "the same of the mean foreground probability": f"{spearman(plain, iou):.3f}",
        "mean score, mean IoU": f"{predict_iou(features, card.score).mean():.3f}, {iou.mean():.3f}",
        "images whose true confluency lies in the interval": f"{100 * np.mean(errors <= widths):.1f} %",
        "half-width, median and largest": f"{np.median(widths):.1f}, {widths.max():.1f} points",
        "error of confluency, median and largest": f"{np.median(errors):.1f}, {errors.max():.1f} points",
    }
    return "\n".join(["| | |", "| --- | --- |", *(f"| {name} | {value} |" for name, value in rows.items())])


def answer(
    session: ort.InferenceSession, card: ModelCard, dataset: Dataset, sample: Sample
) -> tuple[LabelImage, Probabilities]:
    """True labels and the network's answer."""

    def predict(tiles: TileBatch) -> TileBatch:
        found: TileBatch = session.run(None, {"image": tiles})[0]
        return found

    pixels, truth, _ = dataset.read(sample)
    return truth, predict_probabilities(prepare(pixels, card), card, predict)


def mean_probability_scores(pairs: list[tuple[LabelImage, Probabilities]], card: ModelCard) -> np.ndarray:
    """The score of a card without a `score` block."""
    plain = card.model_copy(update={"score": None})
    return np.concatenate([interpret(found, plain).scores for _, found in pairs])


def spearman(a: np.ndarray, b: np.ndarray) -> float:
    return float(spearmanr(a, b).statistic)


if __name__ == "__main__":
    main()
