"""``python -m tests.fuzz.coverage_guided``: decoders and parsers under atheris, which looks for paths not taken yet.

Atheris has wheels for Linux on x86-64 only, so ``make test-fuzz`` keeps it in an environment of its own, and goes on
without where it cannot be had. What it finds it leaves in a file whose name begins with ``crash-``; give that file as
an argument to see it again.
"""

import argparse
import io
import logging
import sys
import tempfile
import warnings
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["monolayer_core", "tifffile"]):
    from monolayer_core.errors import MonolayerError
    from monolayer_core.image_io import ImageLimits, ReadOptions, decode_image
    from monolayer_core.rle import decode_coco, decode_kaggle
    from monolayer_core.submission import read_submission, validate_submission

from tests.fuzz.mutations import SOUND

LIMITS = ImageLimits(max_pixels=100_000)


def read_image(data: bytes) -> None:
    """One image, with options that its first byte chooses."""
    options = (ReadOptions(), ReadOptions(channel=0), ReadOptions(z=0), ReadOptions(axes="YX"), ReadOptions(axes="ZYX"))
    try:
        image = decode_image(data[1:], options[data[0] % len(options)] if data else options[0], LIMITS)
    except MonolayerError:
        return
    if image.pixels.size > 3 * LIMITS.max_pixels:
        raise AssertionError(f"more pixels than admitted: {image.pixels.shape}")


def read_text(data: bytes) -> None:
    """Run lengths of both kinds, and tables."""
    text = data.decode("utf-8", errors="replace")
    for parse in (
        lambda: decode_kaggle(text.splitlines(), 40, 50),
        lambda: decode_coco(text.splitlines(), 40, 50),
        lambda: read_submission(io.StringIO(text)),
        lambda: validate_submission(io.StringIO(text), {"a": (40, 50)}),
    ):
        try:
            parse()
        except MonolayerError:
            continue


TARGETS = {"images": read_image, "tables": read_text}
WORDS = [b"1 3 10 5", b"ImageId,EncodedPixels\na,1 3\nb,\n", b'"a","1 2 5 4"\n', b"1 1 2 1", b"oF0n1"]


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(description="coverage-guided fuzzing of the decoders")
    parser.add_argument("target", choices=TARGETS)
    parser.add_argument("--seconds", type=int, default=120)
    parser.add_argument("file", nargs="*", help="files to try once, instead of searching")
    arguments = parser.parse_args()
    logging.getLogger("tifffile").setLevel(logging.CRITICAL)
    logging.getLogger("imagecodecs").setLevel(logging.CRITICAL)
    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory() as folder:
        seeds = [b"\0" + data for made in SOUND.values() for data in made] if arguments.target == "images" else WORDS
        for number, data in enumerate(seeds):
            (Path(folder) / str(number)).write_bytes(data)
        flags = [f"-max_total_time={arguments.seconds}", "-timeout=10", "-rss_limit_mb=2048", "-max_len=20000"]
        atheris.Setup([sys.argv[0], *flags, *(arguments.file or [folder])], TARGETS[arguments.target])
        atheris.Fuzz()


if __name__ == "__main__":
    main()
