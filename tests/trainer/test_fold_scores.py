"""What the folds teach together."""

import pytest

from monolayer_core.confluency_uncertainty import ConfluencyRecord
from monolayer_trainer.fold_scores import coverage_over_folds


def record(error: float) -> ConfluencyRecord:
    return ConfluencyRecord(true_percent=50.0, predicted_percent=50.0 + error, uncertain_percent=10.0)


def test_an_image_is_covered_where_its_error_is_no_larger_than_those_of_the_other_folds():
    # Two folds of twelve errors: of the second every image is covered by what the first teaches, not the other way.
    wide, narrow = [record(10.0)] * 12, [record(-1.0)] * 12
    assert coverage_over_folds(wide + narrow, [1] * 12 + [2] * 12) == pytest.approx(0.5)
    assert coverage_over_folds(narrow + narrow, [1] * 12 + [2] * 12) == 1.0


def test_too_few_images_teach_no_interval():
    assert coverage_over_folds([record(1.0)] * 12, [1] * 6 + [2] * 6) is None
