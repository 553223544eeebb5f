"""Objects cut by windows are whole again, with the sums of the whole."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from monolayer_core.instances import relabel
from monolayer_core.row_runs import find_row_runs
from monolayer_core.window_objects import WindowObjects

label_images = hnp.arrays(
    np.int32, hnp.array_shapes(min_dims=2, max_dims=2, max_side=12), elements=st.sampled_from([0, 1, 2, 2, 5, 9])
)


@given(label_images, st.integers(1, 13), st.integers(1, 13), st.randoms(use_true_random=False))
def test_runs_areas_sums_and_edges_are_those_of_the_whole(labels, tall, wide, random):
    height, width = labels.shape
    plane = np.arange(labels.size, dtype=np.uint8).reshape(labels.shape)
    regions = [
        (slice(top, min(top + tall, height)), slice(left, min(left + wide, width)))
        for top in range(0, height, tall)
        for left in range(0, width, wide)
    ]
    random.shuffle(regions)
    objects = WindowObjects(height, width, 9)
    for region in regions:
        objects.add(region, labels[region], {"plane": np.ascontiguousarray(plane[region])})
    masks = [labels == number for number in range(10)]
    assert objects.areas_px[1:].tolist() == [int(mask.sum()) for mask in masks[1:]]
    assert objects.sums["plane"][1:].tolist() == [int(plane[mask].sum()) for mask in masks[1:]]
    expected_means = [plane[mask].mean() if mask.any() else 0 for mask in masks[1:]]
    np.testing.assert_allclose(objects.means("plane")[1:], expected_means, rtol=1e-12)
    edge = np.unique(np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]]))
    assert np.flatnonzero(objects.at_edge[1:]).tolist() == (edge[edge > 0] - 1).tolist()

    is_kept = np.ones(10, dtype=bool)
    is_kept[2] = False
    runs, former = objects.keep(is_kept)
    expected = find_row_runs(relabel(np.where(labels == 2, 0, labels)))
    for name in ("labels", "y", "x", "lengths"):
        np.testing.assert_array_equal(getattr(runs, name), getattr(expected, name))
    assert runs.count == expected.count == former.size
    np.testing.assert_array_equal(np.append(0, former)[runs.paint()], np.where(labels == 2, 0, labels))
