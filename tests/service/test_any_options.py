"""Whatever text is given for whatever option: it is read, or refused with one of the known errors."""

import typing

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monolayer_core.errors import OptionError
from monolayer_service.errors import respond_to
from monolayer_service.media_types import FORM_KINDS
from monolayer_service.options import (
    ECHO_PREFIX,
    MAX_ECHO_CHARACTERS,
    Call,
    Options,
    acts_of,
    known_names,
    read_options,
    refuse_idle_in,
)

CALLS = typing.get_args(Call)
NAMES = [name for name in Options.model_fields if name != "echo"]

BOOLEANS = st.booleans()
INDICES = st.integers(0, 2**40)
PLAIN_NAMES = st.text(st.characters(categories=["L", "N"]), min_size=1, max_size=60)
VALID = {
    "model": PLAIN_NAMES,
    "method": st.sampled_from(["auto", "unet", "kmeans"]),
    "fallback": st.sampled_from(["allow", "never"]),
    "axes": st.text("TZCYXStzcyxs", min_size=2, max_size=6),
    "series": INDICES | st.text(st.characters(categories=["L"]), min_size=1, max_size=60),
    "channel": INDICES | st.text(st.characters(categories=["L"]), min_size=1, max_size=60),
    "z": INDICES | st.just("max"),
    "t": INDICES,
    "pixel_size_um": st.floats(0, 1e6, exclude_min=True),
    "min_area_px": st.integers(0, 2**31 - 1),
    "exclude_border": BOOLEANS,
    "threshold": st.floats(0, 1),
    "clahe": BOOLEANS,
    "flat_field": BOOLEANS,
    "clusters": st.integers(2, 8) | st.just("auto"),
    "foreground": st.sampled_from(["auto", "bright", "dark", "texture"]),
    "tta": BOOLEANS,
    "rle": st.sampled_from(["kaggle", "coco", "none"]),
    "measurements": BOOLEANS,
    "polygons": BOOLEANS,
    "image_id": PLAIN_NAMES,
    "format": st.sampled_from(list(FORM_KINDS)),
    "on_error": st.sampled_from(["fail", "skip"]),
}
"""What each option may be, written down once more."""


def as_text(value):
    """Write a value as it stands in a query."""
    if isinstance(value, bool):
        return str(value).lower()
    return repr(value) if isinstance(value, float) else str(value)


WORDS = ["true", "1", "on", "max", "auto", "kmeans", "nan", "inf", "1e309", "-0", "1_0", "None", "0x1", "٣", "\x00"]
TEXTS = (
    st.text(max_size=300)
    | st.sampled_from(WORDS)
    | st.integers().map(str)
    | st.floats().map(repr)
    | st.one_of(*VALID.values()).map(as_text)
    | st.integers(1, 6000).map(lambda count: "9" * count)
)
ANY_NAMES = st.sampled_from(NAMES) | st.just("echo.plate") | st.text(max_size=30)
VALID_QUERIES = st.fixed_dictionaries({}, optional=VALID)


def query_of(options):
    """Write all that was given as a query; ``echo.*`` apart."""
    given = [(name, as_text(getattr(options, name))) for name in options.model_fields_set if name != "echo"]
    return given + [(ECHO_PREFIX + name, text) for name, text in options.echo.items()]


def may_be_together(values):
    """Whether every option acts beside the others."""
    methods = {method for name in values for method in acts_of(Options.model_fields[name]).methods}
    wanted = {"kmeans"} if values.get("method") == "kmeans" else {"unet"}
    return methods <= wanted and not (values.get("clahe") and values.get("foreground") == "texture")


def test_every_option_is_tried():
    assert list(VALID) == NAMES


def read_or_refused(query, call):
    """Read options; or give what the caller is told, where that is one of the known errors."""
    try:
        return read_options(query, call), ""
    except OptionError as error:
        answer = respond_to(error)
        return None, f"{answer.status_code} {answer.body.decode()}"


@given(call=st.sampled_from(CALLS), query=st.lists(st.tuples(ANY_NAMES, TEXTS), max_size=4))
def test_any_text_is_read_or_refused(call, query):
    options, refusal = read_or_refused(query, call)
    if options is None:
        assert refusal.startswith("422 ")
        assert len(refusal) < 5000
    else:
        assert read_options(query_of(options), call) == options


@given(name=st.sampled_from(NAMES), text=TEXTS)
def test_any_text_for_one_option_is_read_or_refused(name, text):
    acts = acts_of(Options.model_fields[name])
    method = [("method", "kmeans")] if acts.methods == ("kmeans",) else []
    options, refusal = read_or_refused([*method, (name, text)], acts.calls[0])
    if options is None:
        assert f"option {name}: " in refusal
    else:
        assert read_options([*method, (name, as_text(getattr(options, name)))], acts.calls[0]) == options


@given(call=st.sampled_from(CALLS), values=VALID_QUERIES)
def test_what_is_valid_is_read_as_it_was_meant(call, values):
    values = {name: value for name, value in values.items() if name in known_names(call)}
    query = [(name, as_text(value)) for name, value in values.items()]
    if may_be_together(values):
        options = read_options(query, call)
        assert {name: getattr(options, name) for name in values} == values
        assert options.model_fields_set - {"echo"} == values.keys()
    else:
        with pytest.raises(OptionError, match=r"does not act|acts with"):
            read_options(query, call)


@given(values=VALID_QUERIES.filter(may_be_together), form=st.sampled_from(list(FORM_KINDS)))
def test_a_form_has_a_place_for_an_option_or_refuses_it(values, form):
    names = sorted(set(values) & set(known_names("segment")))
    options = read_options([(name, as_text(values[name])) for name in names], "segment")
    idle = [name for name in names if form not in acts_of(Options.model_fields[name]).forms]
    if idle:
        with pytest.raises(OptionError, match=f"option {idle[0]} does not act in an answer of the form {form}"):
            refuse_idle_in(form, options)
    else:
        refuse_idle_in(form, options)


@given(echo=st.dictionaries(st.text(max_size=20), st.text(max_size=100), max_size=5))
def test_what_is_sent_along_comes_back_unchanged(echo):
    assert sum(len(name) + len(text) for name, text in echo.items()) <= MAX_ECHO_CHARACTERS
    options = read_options([(ECHO_PREFIX + name, text) for name, text in echo.items()], "segment")
    assert options.echo == echo
