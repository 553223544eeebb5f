"""The options of a request: one model, the same for every form of the body.

Options are query parameters. Each field carries its meaning, its unit, the method it acts on and the calls that know
it; the documentation, OpenAPI and the refusal of options that could not act are all made from that. ``echo.*`` takes
anything of the caller's and is given back unchanged.
"""

import difflib
import functools
from collections.abc import Collection, Iterable, Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.fields import FieldInfo

from monolayer_core.errors import OptionError
from monolayer_service.errors import UnknownOptionError
from monolayer_service.media_types import FORM_KINDS, JSON_FORMS, Form

Method = Literal["unet", "kmeans"]
Call = Literal["segment", "confluency", "submission", "preview"]

ECHO_PREFIX = "echo."
MAX_ECHO_CHARACTERS = 4096

MAX_IMAGE_ID_CHARACTERS = 255
_UNSEEN = r"\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069"
IMAGE_ID_PATTERN = f"^[^=+@{_UNSEEN}-][^{_UNSEEN}]*$"
"""The name goes into tables, headers and file names. No control characters, nor such as turn the direction of text and
make a name look like another one; and no beginning that spreadsheets take for that of a formula."""

_PATTERNS_IN_WORDS = {"image_id": "a name must not begin with = + - @ nor hold control characters"}


class Acts:
    """What an option acts on: the methods that read it (none named: both), and the calls and the forms that know it."""

    def __init__(
        self,
        *methods: Method,
        calls: tuple[Call, ...] = ("segment", "confluency", "submission"),
        forms: Collection[Form] = tuple(FORM_KINDS),
    ) -> None:
        self.methods = methods
        self.calls = calls
        self.forms = frozenset(forms)


SEGMENT: tuple[Call, ...] = ("segment",)
SINGLE: tuple[Call, ...] = ("segment", "confluency")
EVERY: tuple[Call, ...] = ("segment", "confluency", "submission", "preview")

Clusters = Annotated[int, Field(ge=2, le=8)] | Literal["auto"]
NameInFile = Annotated[str, Field(min_length=1, max_length=MAX_IMAGE_ID_CHARACTERS, pattern=f"^[^{_UNSEEN}]+$")]
IndexOrName = Annotated[Annotated[int, Field(ge=0)] | NameInFile, Field(union_mode="left_to_right")]
Depth = Annotated[int, Field(ge=0)] | Literal["max"]


class Options(BaseModel):
    """Everything a caller can say about one request besides the image."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    model: Annotated[str | None, Acts("unet")] = Field(
        None, max_length=64, description="Bundle that answers; without it the call's default bundle."
    )
    method: Annotated[Literal["auto", "unet", "kmeans"], Acts()] = Field(
        "auto",
        description="`unet` asks for the network, `kmeans` for clustering, `auto` for the network where there is one.",
    )
    fallback: Annotated[Literal["allow", "never"], Acts("unet")] = Field(
        "allow", description="Whether K-means may answer, announced, when no network can."
    )
    axes: Annotated[str | None, Acts(calls=EVERY)] = Field(
        None,
        pattern=r"^[A-Za-z]{2,6}$",
        description="Meaning of the array's axes, such as `YX` or `CYX`; else from the file.",
    )
    series: Annotated[IndexOrName | None, Acts(calls=EVERY)] = Field(
        None, description="Image to read of an OME-TIFF that holds several, from 0, or the name that the file gives it."
    )
    channel: Annotated[IndexOrName | None, Acts(calls=EVERY)] = Field(
        None, description="Channel to read, from 0, or the name that an OME-TIFF gives it."
    )
    z: Annotated[Depth | None, Acts(calls=EVERY)] = Field(
        None, description="Plane to read of a stack, from 0; `max` for the maximum of all, pixel by pixel."
    )
    t: Annotated[int | None, Acts(calls=EVERY)] = Field(None, ge=0, description="Time point to read, from 0.")
    pixel_size_um: Annotated[float | None, Acts()] = Field(
        None, gt=0, le=1e6, allow_inf_nan=False, description="Side of one pixel in micrometres; else from the file."
    )
    min_area_px: Annotated[int | None, Acts()] = Field(
        None,
        ge=0,
        le=2**31 - 1,
        description="Objects smaller than this many pixels are dropped; else from the model card.",
    )
    exclude_border: Annotated[bool, Acts()] = Field(
        False, description="Leave out objects that touch the image's border; confluency still counts them."
    )
    threshold: Annotated[float | None, Acts("unet")] = Field(
        None,
        ge=0,
        le=1,
        allow_inf_nan=False,
        description="Foreground above this probability, faint objects too; else the model card decides on both.",
    )
    clahe: Annotated[bool, Acts()] = Field(False, description="Equalise local contrast first.")
    flat_field: Annotated[bool, Acts()] = Field(False, description="Even out uneven illumination first.")
    clusters: Annotated[Clusters, Acts("kmeans")] = Field("auto", description="Number of clusters.")
    foreground: Annotated[Literal["auto", "bright", "dark", "texture"], Acts("kmeans")] = Field(
        "auto", description="What sets cells apart from the background."
    )
    tta: Annotated[bool, Acts("unet")] = Field(False, description="Average the network over flipped views; slower.")
    rle: Annotated[Literal["kaggle", "coco", "none"], Acts(calls=SEGMENT, forms=JSON_FORMS)] = Field(
        "kaggle", description="Form of the run lengths in the JSON answer."
    )
    measurements: Annotated[bool, Acts(calls=SEGMENT, forms=JSON_FORMS | {"table", "geojson"})] = Field(
        False,
        description="Add diameter, eccentricity, solidity and mean intensity of each object to the JSON answer, "
        "the table or the GeoJSON.",
    )
    polygons: Annotated[bool, Acts(calls=SEGMENT, forms=JSON_FORMS)] = Field(
        False, description="Add the outline of each object, through the centres of its pixels, to the JSON answer."
    )
    image_id: Annotated[str | None, Acts(calls=SINGLE)] = Field(
        None,
        min_length=1,
        max_length=MAX_IMAGE_ID_CHARACTERS,
        pattern=IMAGE_ID_PATTERN,
        description="Name of the image in the answer; else the file name's stem, else the start of its SHA-256.",
    )
    format: Annotated[Form | None, Acts(calls=SEGMENT)] = Field(
        None,
        description="Form of the answer; else by the `Accept` header. `csv` has Kaggle rows, `table` a row for each "
        "object; `geojson` is for QuPath, `rois` for ImageJ. `ndjson` tells how far it is, line by line, before the "
        "line of the JSON answer.",
    )
    on_error: Annotated[Literal["fail", "skip"], Acts(calls=("submission",))] = Field(
        "fail", description="Whether images that fail refuse the submission or are left out and named in `X-Skipped`."
    )
    echo: dict[str, str] = Field(default_factory=dict, description="Anything of the caller's, given back unchanged.")


def acts_of(field: FieldInfo) -> Acts:
    """Say what a field of `Options` acts on."""
    return next((note for note in field.metadata if isinstance(note, Acts)), Acts(calls=SINGLE))


@functools.cache
def known_names(call: Call) -> tuple[str, ...]:
    """Names of the query parameters a call knows, ``echo.*`` apart."""
    fields = Options.model_fields.items()
    return tuple(name for name, field in fields if name != "echo" and call in acts_of(field).calls)


def read_options(parameters: Iterable[tuple[str, str]], call: Call) -> Options:
    """Read and check the query parameters of one request.

    Parameters
    ----------
    parameters
        Names and values in the order of the query.
    call
        The call they were sent to; options it does not know are refused.

    Raises
    ------
    UnknownOptionError
        An option is not known, or not to this call; the message names the nearest known one.
    OptionError
        A value is out of range, an option is given twice, or cannot act with the chosen method.
    """
    values: dict[str, str] = {}
    echo: dict[str, str] = {}
    for name, value in parameters:
        is_echo = name.startswith(ECHO_PREFIX) and call in SINGLE
        target, key = (echo, name.removeprefix(ECHO_PREFIX)) if is_echo else (values, name)
        if key in target:
            raise OptionError(f"option {name} is given twice")
        target[key] = value
    _refuse_unknown(values, call)
    if sum(len(name) + len(value) for name, value in echo.items()) > MAX_ECHO_CHARACTERS:
        raise OptionError(f"echo.* may hold {MAX_ECHO_CHARACTERS} characters altogether")
    try:
        options = Options.model_validate({**values, "echo": echo})
    except ValidationError as error:
        raise OptionError(_explain(error)) from None
    _refuse_idle(options, values)
    return options


def refuse_idle_in(form: Form, options: Options) -> None:
    """Refuse options that the form of the answer has no place for; raises `OptionError`.

    ``echo.*`` is let pass: it is the caller's own, and some send it with every request.
    """
    for name in sorted(options.model_fields_set):
        if form not in acts_of(Options.model_fields[name]).forms:
            raise OptionError(f"option {name} does not act in an answer of the form {form}")


def network_options_given(options: Options) -> list[str]:
    """Names of the options that only a network reads and that the caller changed: K-means cannot honour them."""
    changed = options.model_dump(exclude_defaults=True)
    return sorted(name for name in changed if name in _ONLY_OF["unet"] and name not in _STEERING)


def _refuse_unknown(values: Mapping[str, str], call: Call) -> None:
    known = known_names(call)
    for name in values:
        if name in known:
            continue
        if name in Options.model_fields and name != "echo":
            raise UnknownOptionError(f"option {name} does not act in /v1/{call}")
        nearest = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
        hint = f"did you mean {nearest[0]}?" if nearest else f"known are {', '.join(known)}"
        raise UnknownOptionError(f"option {name!r} is not known: {hint}")


def _refuse_idle(options: Options, values: Mapping[str, str]) -> None:
    """Refuse what the chosen method would ignore: an option acts or is refused."""
    for name in values:
        if options.method == "kmeans" and name in _ONLY_OF["unet"]:
            raise OptionError(f"option {name} does not act with method=kmeans")
        if options.method != "kmeans" and name in _ONLY_OF["kmeans"]:
            raise OptionError(f"option {name} acts with method=kmeans only: add method=kmeans")
    if options.clahe and options.foreground == "texture":
        raise OptionError("option clahe does not act with foreground=texture, which looks at local contrast itself")


def _explain(error: ValidationError) -> str:
    """Say which option is wrong and why, in one sentence each."""
    reasons: dict[str, list[str]] = {}
    values: dict[str, str] = {}
    for item in error.errors():
        name = str(item["loc"][0])
        in_words = _PATTERNS_IN_WORDS.get(name) if item["type"] == "string_pattern_mismatch" else None
        reasons.setdefault(name, []).append(in_words or item["msg"])
        values[name] = str(item["input"])[:100]
    return "; ".join(f"option {name}: {' or '.join(why)}, not {values[name]!r}" for name, why in reasons.items())


def _only_of(method: Method) -> frozenset[str]:
    return frozenset(name for name, field in Options.model_fields.items() if acts_of(field).methods == (method,))


_ONLY_OF: dict[Method, frozenset[str]] = {"unet": _only_of("unet"), "kmeans": _only_of("kmeans")}
_STEERING = frozenset({"model", "fallback"})
"""Options that choose who answers; they have acted also when K-means answered in the end."""


def query_parameters(call: Call) -> list[dict[str, Any]]:
    """OpenAPI description of the query parameters a call knows."""
    properties = Options.model_json_schema()["properties"]
    parameters = [
        {
            "name": name,
            "in": "query",
            "required": False,
            "description": properties[name].pop("description"),
            "schema": properties[name],
        }
        for name in known_names(call)
    ]
    if call in SINGLE:
        parameters.append(
            {
                "name": f"{ECHO_PREFIX}*",
                "in": "query",
                "required": False,
                "description": "Any parameter whose name starts with `echo.` is given back in the answer's `echo`.",
                "schema": {"type": "string"},
            }
        )
    return parameters
