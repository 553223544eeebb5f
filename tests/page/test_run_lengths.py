"""The page decodes the run lengths that core writes, at full size and shrunk."""

import numpy as np

from monolayer_core.rle import encode_kaggle

PAINT = """async (cases) => {
    const { paintLabels } = await import("/page/rle.js");
    return cases.map(({ texts, height, width, factor }) => {
        const painted = paintLabels(texts, height, width, factor);
        return [painted.height, painted.width, Array.from(painted.labels)];
    });
}"""


def random_labels(random):
    height, width = random.integers(1, 40, 2)
    objects = int(random.integers(0, 9))
    coarse = random.integers(0, objects + 1, (height // 3 + 1, width // 3 + 1))
    labels = np.kron(coarse, np.ones((3, 3), int))[:height, :width]
    labels = np.where(random.random(labels.shape) < 0.05, random.integers(0, objects + 1, labels.shape), labels)
    present = np.unique(labels[labels > 0])
    return np.searchsorted(present, labels) * (labels > 0) + (labels > 0)


def shrunk(labels, factor):
    """Middle pixel of each block; objects that hold none get the block of their first pixel, in column-major order."""
    height, width = labels.shape
    rows = np.minimum(np.arange(0, height, factor) + factor // 2, height - 1)
    columns = np.minimum(np.arange(0, width, factor) + factor // 2, width - 1)
    small = labels[np.ix_(rows, columns)]
    for label in range(1, labels.max() + 1):
        is_middle = labels[np.ix_(rows, columns)] == label
        if is_middle.any():
            small[is_middle] = label
        else:
            column, row = np.argwhere(label == labels.T)[0]
            small[row // factor, column // factor] = label
    return small


def test_painted_labels_are_those_that_were_encoded(page):
    random = np.random.default_rng(1)
    images = [(random_labels(random), factor) for factor in (1, 1, 2, 3, 7) for _ in range(120)]
    cases = [
        {"texts": encode_kaggle(labels), "height": labels.shape[0], "width": labels.shape[1], "factor": factor}
        for labels, factor in images
    ]
    for (labels, factor), (height, width, painted) in zip(images, page.evaluate(PAINT, cases), strict=True):
        expected = shrunk(labels, factor)
        assert (height, width) == expected.shape
        np.testing.assert_array_equal(np.reshape(painted, expected.shape), expected)


def test_a_run_may_go_on_in_the_next_column(page):
    case = {"texts": ["2 5"], "height": 3, "width": 3, "factor": 1}
    assert page.evaluate(PAINT, [case]) == [[3, 3, [0, 1, 0, 1, 1, 0, 1, 1, 0]]]


def test_starts_above_32_bits_are_exact(page):
    runs = page.evaluate("""async () => {
        const { readRuns } = await import("/page/rle.js");
        return Array.from(readRuns("4294967297 3 9007199254740990 1"));
    }""")
    assert runs == [4294967296, 3, 9007199254740989, 1]


BROKEN = {
    "1 2 3": "no length",
    "1 2 2 1": "overlap",
    "0 1": "overlap",
    "5 0": "overlap",
    "1 -2": "hold",
    "1 2.5": "hold",
    "8 3": "leave the image",
}


def test_broken_run_lengths_are_refused(page):
    messages = page.evaluate(
        """async (texts) => {
            const { paintLabels } = await import("/page/rle.js");
            const complaint = (text) => {
                try { paintLabels([text], 3, 3); } catch (error) { return `${error.name}: ${error.message}`; }
            };
            return texts.map(complaint);
        }""",
        list(BROKEN),
    )
    for message, complaint in zip(messages, BROKEN.values(), strict=True):
        assert message.startswith("RangeError")
        assert complaint in message
