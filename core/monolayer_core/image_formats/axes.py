"""Which axis is which, and which plane is meant; nothing is guessed.

Letters are those of OME: T time, C channel, Z depth, Y rows, X columns, and S for the colour samples of a pixel (RGB,
with or without alpha). A channel is a picture of its own, a sample is a part of a colour: three channels are not RGB.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Literal, TypeAlias

from monolayer_core.errors import AmbiguousAxesError, ImageTooLargeError, OptionError
from monolayer_core.image_formats.stored import UNKNOWN_AXIS

MAXIMUM: Final = "max"
"""In place of an index: the highest value along the axis, pixel by pixel."""

Position: TypeAlias = int | Literal["max"] | None
"""Where along an axis the image lies; None where the axis is part of the picture."""

MAX_PROJECTED = 1 << 16

_OPTIONS = {"T": "t", "C": "channel", "Z": "z"}
_NAMES = {"T": "time point", "C": "channel", "Z": "z plane", "S": "colour sample"}
LETTERS = "TCZYXS"
_LISTED_NAMES = 20
_LISTED_CHARACTERS = 40  # of each


@dataclass(frozen=True)
class PlaneChoice:
    """What the caller says of axes and planes; indices count from 0, a channel may be named, z may be `MAXIMUM`."""

    axes: str | None = None
    channel: int | str | None = None
    z: int | Literal["max"] | None = None
    t: int | None = None

    def along(self, letter: str) -> int | str | None:
        """Give what was chosen along an axis, None where nothing was said."""
        return {"T": self.t, "C": self.channel, "Z": self.z}[letter]


@dataclass(frozen=True)
class ChosenPlane:
    """Which plane of a file was taken; None along axes that the file does not have.

    `channel` counts colour samples where one of them was chosen; `channel_name` is the file's. `series` counts the
    images of the file's description where there are several.
    """

    t: int | None = None
    channel: int | None = None
    channel_name: str | None = None
    z: int | Literal["max"] | None = None
    series: int | None = None
    series_name: str | None = None


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
        named = [letter for letter in _OPTIONS if choice.along(letter) is not None and letter not in stored]
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


def choose_plane(
    shape: tuple[int, ...],
    axes: str,
    choice: PlaneChoice,
    channel_names: Sequence[str] = (),
    only: Mapping[str, int] = MappingProxyType({}),
) -> tuple[Position, ...]:
    """Give a position for each axis: an index, `MAXIMUM` along Z, None for Y, X and S.

    Axes of length 1 need no choice, nor those of which the file holds `only` one index. Where there are colour samples
    and no channels to choose from, ``channel`` picks one of the colours, of which alpha is none.

    Raises
    ------
    AmbiguousAxesError
        There are several planes and none was chosen, or it is not known along what they are counted, or several
        channels have the name.
    OptionError
        An index lies outside the image, or no channel has the name.
    ImageTooLargeError
        The maximum is asked for of more than `MAX_PROJECTED` planes.

    Examples
    --------
    >>> choose_plane((5, 3, 64, 64), "ZCYX", PlaneChoice(z=4, channel=1))
    (4, 1, None, None)
    >>> choose_plane((5, 2, 64, 64), "ZCYX", PlaneChoice(z="max", channel="DAPI"), ["GFP", "DAPI"])
    ('max', 1, None, None)
    """
    _refuse_unknown(shape, axes)
    lengths = dict(zip(axes, shape, strict=True))
    chosen: dict[str, Position] = {}
    missing: list[str] = []
    for letter, option in _OPTIONS.items():
        length, wanted = lengths.get(letter, 1), choice.along(letter)
        names = channel_names if letter == "C" else ()
        chosen[letter] = 0
        if letter == "C" and length == 1 and "S" in lengths and wanted is not None and wanted not in names:
            colours = count_colours(lengths["S"])
            chosen["S"] = _position(option, wanted, "S", colours, names if isinstance(wanted, str) else ())
        elif wanted is not None:
            chosen[letter] = _position(option, wanted, letter, length, names)
        elif letter in only:
            chosen[letter] = only[letter]
        elif length > 1:
            missing.append(f"the image has {length} {_NAMES[letter]}s: choose one with {_ways(option, length, names)}")
    if missing:
        raise AmbiguousAxesError("; ".join(missing))
    return tuple(None if letter in "YX" else 0 if letter == UNKNOWN_AXIS else chosen.get(letter) for letter in axes)


def count_colours(samples: int) -> int:
    """Say how many of the samples of a pixel are colours: the second of two and the fourth of four are alpha.

    Examples
    --------
    >>> [count_colours(samples) for samples in (1, 2, 3, 4)]
    [1, 1, 3, 3]
    """
    return samples - 1 if samples in (2, 4) else samples


def describe_choice(axes: str, positions: tuple[Position, ...], channel_names: Sequence[str] = ()) -> ChosenPlane:
    """Say which plane the positions of `choose_plane` stand for.

    Examples
    --------
    >>> describe_choice("ZCYX", ("max", 1, None, None), ["GFP", "DAPI"])
    ChosenPlane(t=None, channel=1, channel_name='DAPI', z='max', series=None, series_name=None)
    """
    at = dict(zip(axes, positions, strict=True))
    sample, channel, t = at.get("S"), at.get("C"), at.get("T")
    return ChosenPlane(
        t if isinstance(t, int) else None,
        sample if isinstance(sample, int) else channel if isinstance(channel, int) else None,
        channel_names[channel] if isinstance(channel, int) and channel_names else None,
        at.get("Z"),
    )


def _refuse_unknown(shape: tuple[int, ...], axes: str) -> None:
    unknown = [length for letter, length in zip(axes, shape, strict=True) if letter == UNKNOWN_AXIS and length > 1]
    if len(unknown) == 1:
        last = unknown[0] - 1
        raise AmbiguousAxesError(
            f"the image has {unknown[0]} planes and does not say what they are: choose one with one of "
            f"channel=0..{last}, z=0..{last} and t=0..{last}, or take their maximum with z={MAXIMUM}"
        )
    if unknown:
        raise AmbiguousAxesError(f"it is not known what the axes of the shape {shape} are: name them with axes")


def _position(option: str, wanted: int | str, axis: str, length: int, names: Sequence[str]) -> Position:
    """Find what an option says along an axis of some length."""
    if axis == "Z" and wanted == MAXIMUM:
        if length > MAX_PROJECTED:
            raise ImageTooLargeError(f"the maximum of {length} z planes is not taken, of {MAX_PROJECTED} at most")
        return MAXIMUM if length > 1 else 0
    if isinstance(wanted, int) and 0 <= wanted < length:
        return wanted
    alike = [index for index, name in enumerate(names) if name == str(wanted)]
    if len(alike) == 1:
        return alike[0]
    if alike:
        raise AmbiguousAxesError(
            f"the image has {len(alike)} channels of the name {wanted!r}: choose one with {_ways(option, length)}"
        )
    if isinstance(wanted, str):
        known = f"its channels are {listed(names)}" if names else "its channels have no names"
        raise OptionError(
            f"the image has no {_NAMES[axis]} {wanted!r}: {known}"
            + (f"; choose one with {_ways(option, length)}" if length > 1 else "")
        )
    plural = "s" if length > 1 else ""
    known = f": {listed(names)}" if names else ""
    raise OptionError(f"{option}={wanted} is outside the image, which has {length} {_NAMES[axis]}{plural}{known}")


def _ways(option: str, length: int, names: Sequence[str] = ()) -> str:
    """Say how a plane along an axis can be chosen."""
    ways = f"{option}=0..{length - 1}"
    if option == "z":
        return f"{ways}, or take their maximum with z={MAXIMUM}"
    return f"{ways} or by name: {listed(names)}" if names else ways


def listed(names: Sequence[str]) -> str:
    """List names in a message: not more, and not more of each, than one wants to read."""
    listed = ", ".join(name[:_LISTED_CHARACTERS] or "(no name)" for name in names[:_LISTED_NAMES])
    return f"{listed} …" if len(names) > _LISTED_NAMES else listed
