"""Which axis is which, and which plane is meant; nothing is guessed.

Letters are those of OME: T time, C channel, Z depth, Y rows, X columns, and S for the colour samples of a pixel (RGB,
with or without alpha). A channel is a picture of its own, a sample is a part of a colour: three channels are not RGB.
"""

from dataclasses import dataclass

from monolayer_core.errors import AmbiguousAxesError, OptionError
from monolayer_core.image_formats.stored import UNKNOWN_AXIS

_OPTIONS = {"T": "t", "C": "channel", "Z": "z"}
_NAMES = {"T": "time point", "C": "channel", "Z": "z plane", "S": "colour sample"}
LETTERS = "TCZYXS"


@dataclass(frozen=True)
class PlaneChoice:
    """What the caller says of axes and planes; indices count from 0."""

    axes: str | None = None
    channel: int | None = None
    z: int | None = None
    t: int | None = None

    def index(self, letter: str) -> int | None:
        """Give the index chosen along an axis, None where nothing was said."""
        return {"T": self.t, "C": self.channel, "Z": self.z}[letter]


def resolve_axes(shape: tuple[int, ...], stored: str, choice: PlaneChoice) -> str:
    """Give one letter for each axis of an array, from the caller or else from the file.

    The caller's letters may leave out axes of length 1. Where the file leaves one axis open and the caller chose an
    index along exactly one axis that the file does not have, that is the one.

    Raises
    ------
    OptionError
        The caller's letters do not fit the image.
    AmbiguousAxesError
        Neither says which axes are rows and columns.

    Examples
    --------
    >>> resolve_axes((3, 64, 64), "QQQ", PlaneChoice(axes="CYX"))
    'CYX'
    >>> resolve_axes((5, 64, 64), "QYX", PlaneChoice(z=2))
    'ZYX'
    """
    if choice.axes is not None:
        return _callers_axes(shape, choice.axes.upper())
    if "Y" not in stored or "X" not in stored:
        example = "ZYX or CYX" if len(shape) == 3 else "TCZYX"[-len(shape) :]
        raise AmbiguousAxesError(
            f"it is not known which axes of the shape {shape} are rows and columns: say it with axes, such as {example}"
        )
    if stored.count(UNKNOWN_AXIS) == 1:
        named = [letter for letter in _OPTIONS if choice.index(letter) is not None and letter not in stored]
        if len(named) == 1:
            return stored.replace(UNKNOWN_AXIS, named[0])
    return stored


def _callers_axes(shape: tuple[int, ...], letters: str) -> str:
    if set(letters) - set(LETTERS) or len(set(letters)) != len(letters) or not {"Y", "X"} <= set(letters):
        raise OptionError(f"axes={letters} must name Y and X and may name T, C, Z and S, each once")
    if len(letters) == len(shape):
        return letters
    if len(letters) == sum(length > 1 for length in shape):
        rest = iter(letters)
        return "".join(next(rest) if length > 1 else UNKNOWN_AXIS for length in shape)
    raise OptionError(f"axes={letters} names {len(letters)} axes, the image has {len(shape)}: its shape is {shape}")


def choose_plane(shape: tuple[int, ...], axes: str, choice: PlaneChoice) -> tuple[int | None, ...]:
    """Give an index for each axis that is not part of the picture, None for Y, X and S.

    Axes of length 1 need no choice. Where there is no channel axis, ``channel`` picks one colour sample.

    Raises
    ------
    AmbiguousAxesError
        There are several planes and none was chosen, or it is not known along what they are counted.
    OptionError
        An index lies outside the image.

    Examples
    --------
    >>> choose_plane((5, 3, 64, 64), "ZCYX", PlaneChoice(z=4, channel=1))
    (4, 1, None, None)
    """
    unknown = [length for letter, length in zip(axes, shape, strict=True) if letter == UNKNOWN_AXIS and length > 1]
    if len(unknown) == 1:
        raise AmbiguousAxesError(
            f"the image has {unknown[0]} planes and does not say what they are: choose one with one of channel, z and t"
        )
    if unknown:
        raise AmbiguousAxesError(f"it is not known what the axes of the shape {shape} are: name them with axes")
    lengths = dict(zip(axes, shape, strict=True))
    chosen: dict[str, int] = {}
    missing: list[str] = []
    for letter, option in _OPTIONS.items():
        axis = "S" if letter == "C" and "C" not in lengths and "S" in lengths else letter
        length, index = lengths.get(axis, 1), choice.index(letter)
        plural = "s" if length > 1 else ""
        if index is not None and not 0 <= index < length:
            raise OptionError(f"{option}={index} is outside the image, which has {length} {_NAMES[axis]}{plural}")
        if index is not None:
            chosen[axis] = index
        elif axis != "S" and length > 1:
            missing.append(f"the image has {length} {_NAMES[axis]}s: choose one with {option}=0..{length - 1}")
        elif axis != "S":
            chosen[axis] = 0
    if missing:
        raise AmbiguousAxesError("; ".join(missing))
    return tuple(None if letter in "YX" else 0 if letter == UNKNOWN_AXIS else chosen.get(letter) for letter in axes)
