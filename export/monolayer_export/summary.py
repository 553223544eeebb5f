"""What the command says at the end."""

from pathlib import Path

from rich.console import Console
from rich.table import Table

from monolayer_core.model_card import MODEL_NAME, Agreement, ModelCard
from monolayer_export.export import ExportReport
from monolayer_export.graph import count_operators
from monolayer_export.halo import HaloMeasurement


def print_summary(report: ExportReport, bundle: Path, console: Console) -> None:
    """Print what was made and the numbers that speak for it."""
    card = report.card
    size = "any" if card.dynamic_size else "fixed"
    operators = count_operators(report.model)
    table = Table(title=f"{card.name} {card.version}", show_header=False, title_justify="left")
    table.add_row("bundle", str(bundle))
    table.add_row(
        "network", f"{(bundle / MODEL_NAME).stat().st_size / 1e6:.1f} MB, SHA-256 {card.files[MODEL_NAME][:16]}"
    )
    table.add_row("operators", ", ".join(f"{count} {operator}" for operator, count in operators.most_common()))
    table.add_row("image", f"uint8, {card.channels}, {size} height and width, multiples of {card.divisor}")
    table.add_row("outputs", ", ".join(output.name for output in card.outputs))
    table.add_row("tile sides", ", ".join(str(side) for side in card.tile_sides))
    table.add_row("parity", describe_parity(report))
    table.add_row("halo", describe_halo(report.halo))
    table.add_row("measured on", report.images.origin)
    _add_precisions(table, card)
    console.print(table)
    if report.halo.curve:
        console.print(_curve_table(report.halo))


def print_precisions(card: ModelCard, bundle: Path, console: Console) -> None:
    """Print what became of the files of lower precision of a bundle."""
    table = Table(title=f"{card.name} {card.version}", show_header=False, title_justify="left")
    table.add_row("bundle", str(bundle))
    _add_precisions(table, card)
    console.print(table)


def _add_precisions(table: Table, card: ModelCard) -> None:
    if card.int8:
        default = "the default on a CPU" if card.int8.default_on_cpu else "not the default on a CPU"
        table.add_row("int8", f"{default}: {card.int8.reason}; {describe_agreement(card.int8.agreement)}")
    if card.float16:
        table.add_row("float16", describe_agreement(card.float16.agreement))


def describe_agreement(agreement: Agreement) -> str:
    """One line on how a file of lower precision compares with the float32 one.

    Examples
    --------
    >>> describe_agreement(Agreement(images=8, subset="tuning", level_difference=0.3, confluency_difference=0.06,
    ...                              kaggle_score_float32=0.5774, kaggle_score=0.58))
    '8 tuning images: 0.30 levels, 0.06 points of confluency apart, Kaggle score 0.5774 -> 0.5800'
    """
    distance = (
        f"{agreement.images} {agreement.subset} images: {agreement.level_difference:.2f} levels, "
        f"{agreement.confluency_difference:.2f} points of confluency apart"
    )
    if agreement.kaggle_score is None:
        return distance
    return f"{distance}, Kaggle score {agreement.kaggle_score_float32:.4f} -> {agreement.kaggle_score:.4f}"


def describe_parity(report: ExportReport) -> str:
    """One line on how close ONNX and Keras are."""
    largest = max(result.float_difference for result in report.parity)
    differing = sum(result.differing for result in report.parity)
    values = sum(result.values for result in report.parity)
    return f"{len(report.parity)} cases within {largest:.1e}; {differing} of {values} uint8 values differ by one level"


def describe_halo(halo: HaloMeasurement) -> str:
    """One line on the halo and whether it was measured."""
    if halo.sufficient:
        return f"{halo.halo} pixels"
    return f"{halo.halo} pixels, the widest that fits; not shown to suffice"


def _curve_table(halo: HaloMeasurement) -> Table:
    table = Table(title="pixels that differ by more than 1/255 between tiled and untiled", title_justify="left")
    for heading in ("tile", "halo", "all images", "worst image"):
        table.add_column(heading, justify="right")
    for point in halo.curve:
        table.add_row(
            str(point.side), str(point.halo), f"{100 * point.differing:.3f} %", f"{100 * point.worst_image:.3f} %"
        )
    return table
