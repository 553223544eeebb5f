"""How often images are called unlike the training images, by the kind a network was trained on and the kind shown."""

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt
from benchmarks.image_sets import InputSpec, Picture

from monolayer_core.likeness import describe, distances, features_of
from monolayer_core.pipeline import prepare
from monolayer_trainer.likeness import fit_described

FOLDS = 5

Described = dict[str, npt.NDArray[np.float64]]


def describe_all(sets: dict[str, Sequence[Picture]], spec: InputSpec) -> Described:
    """Features ``(image, feature)`` of every image as a network with this input sees it."""
    return {
        name: np.array([describe(prepare(picture.read(), spec)) for picture in pictures])
        for name, pictures in sets.items()
    }


def folds_of(pictures: Sequence[Picture]) -> Iterator[npt.NDArray[np.bool_]]:
    """Which images are held out: those of the validation side, or in turn each fifth of the groups."""
    if any(picture.subset for picture in pictures):
        yield np.array([picture.subset == "validation" for picture in pictures])
        return
    _, groups = np.unique([picture.group for picture in pictures], return_inverse=True)
    fold_of_group = np.random.default_rng(1).permutation(groups.max() + 1) % FOLDS
    for fold in range(FOLDS):
        yield fold_of_group[groups] == fold


def flags_of(own: str, sets: dict[str, Sequence[Picture]], spec: InputSpec) -> dict[str, list[tuple[str, bool]]]:
    """Modality and flag of each image shown, by set; of the network's own kind those held out."""
    described = describe_all(sets, spec)
    groups = np.array([picture.group for picture in sets[own]])
    names = features_of(1 if spec.channels == "grey" else 3)
    flags: dict[str, list[tuple[str, bool]]] = {name: [] for name in sets}
    for is_held_out in folds_of(sets[own]):
        likeness = fit_described(described[own][~is_held_out], list(groups[~is_held_out]), names)
        if likeness is None:
            raise SystemExit(f"there are too few groups of {own}")
        for name, pictures in sets.items():
            shown = is_held_out if name == own else np.ones(len(pictures), dtype=np.bool_)
            flagged = distances(described[name][shown], likeness) > likeness.max_distance
            modalities = [picture.modality for picture, chosen in zip(pictures, shown, strict=True) if chosen]
            flags[name] += zip(modalities, flagged.tolist(), strict=True)
    return flags


def unlike_tables(sets: dict[str, Sequence[Picture]], specs: dict[str, InputSpec]) -> str:
    """One row a network, one column the kind of images shown, in percent; then its own kind by modality."""
    lines = ["| flagged, % | " + " | ".join(f"shown {name}" for name in sets) + " |", "| --- |" + " --- |" * len(sets)]
    own_kind = []
    for own, spec in specs.items():
        flags = flags_of(own, sets, spec)
        percent = [f"{100 * np.mean([flag for _, flag in flags[name]]):.1f}" for name in sets]
        lines.append(f"| trained on {own} | " + " | ".join(percent) + " |")
        for modality in sorted({modality for modality, _ in flags[own]}):
            found = [flag for kind, flag in flags[own] if kind == modality]
            own_kind.append(f"{modality} {sum(found)} of {len(found)}")
    return "\n".join([*lines, "", f"Held-out images of the own kind that were flagged: {', '.join(own_kind)}."])
