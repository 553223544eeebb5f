import pytest

from monolayer_core.errors import OptionError
from monolayer_service.errors import UnknownOptionError
from monolayer_service.options import (
    Options,
    known_names,
    network_options_given,
    query_parameters,
    read_options,
    refuse_idle_in,
)


def read(call="segment", **query):
    return read_options([(name, str(value)) for name, value in query.items()], call)


def test_no_options_are_the_defaults():
    assert read() == Options()


def test_values_are_read_from_text():
    options = read(threshold="0.25", min_area_px="7", tta="true", exclude_border="1", z="2")
    assert (options.threshold, options.min_area_px, options.tta, options.exclude_border, options.z) == (
        0.25,
        7,
        True,
        True,
        2,
    )


@pytest.mark.parametrize(("text", "clusters"), [("auto", "auto"), ("2", 2), ("8", 8)])
def test_clusters_are_a_number_or_auto(text, clusters):
    assert read(method="kmeans", clusters=text).clusters == clusters


@pytest.mark.parametrize("text", ["1", "9", "two", "2.5", ""])
def test_other_clusters_are_refused(text):
    with pytest.raises(OptionError, match="option clusters"):
        read(method="kmeans", clusters=text)


@pytest.mark.parametrize(("text", "z"), [("0", 0), ("17", 17), ("max", "max")])
def test_z_is_an_index_or_the_maximum(text, z):
    assert read(z=text).z == z


@pytest.mark.parametrize("text", ["-1", "MAX", "mean", "1.5", ""])
def test_another_z_is_refused(text):
    with pytest.raises(OptionError, match="option z"):
        read(z=text)


@pytest.mark.parametrize(
    ("text", "channel"), [("0", 0), ("488", 488), ("DAPI", "DAPI"), ("-1", "-1"), ("GFP & Ω", "GFP & Ω")]
)
def test_a_channel_is_an_index_or_a_name(text, channel):
    assert read(channel=text).channel == channel


@pytest.mark.parametrize("text", ["", "a\nb", "x" * 256], ids=["empty", "two lines", "long"])
def test_what_can_be_no_channel_is_refused(text):
    with pytest.raises(OptionError, match="option channel"):
        read(channel=text)


@pytest.mark.parametrize(
    ("name", "nearest"), [("thresold", "threshold"), ("min_area", "min_area_px"), ("excludeborder", "exclude_border")]
)
def test_an_unknown_option_names_the_nearest_one(name, nearest):
    with pytest.raises(UnknownOptionError, match=f"did you mean {nearest}"):
        read(**{name: 1})


def test_an_option_of_another_call_is_refused_with_that_reason():
    with pytest.raises(UnknownOptionError, match="rle does not act in /v1/confluency"):
        read("confluency", rle="coco")


def test_the_field_that_collects_echoes_is_no_option_itself():
    with pytest.raises(UnknownOptionError):
        read(echo="a")


def test_echoes_are_collected_by_their_names():
    options = read_options([("echo.a", "1"), ("echo.b.c", "2")], "confluency")
    assert options.echo == {"a": "1", "b.c": "2"}


def test_a_submission_has_no_place_for_echoes():
    with pytest.raises(UnknownOptionError):
        read_options([("echo.a", "1")], "submission")


@pytest.mark.parametrize("pair", [("tta", "1"), ("echo.a", "1")], ids=["option", "echo"])
def test_an_option_given_twice_is_refused(pair):
    with pytest.raises(OptionError, match="twice"):
        read_options([pair, pair], "segment")


@pytest.mark.parametrize("name", ["model", "fallback", "threshold", "tta"])
def test_options_of_networks_are_refused_with_kmeans(name):
    value = {"model": "nuclei", "fallback": "never", "threshold": 0.5, "tta": True}[name]
    with pytest.raises(OptionError, match=f"{name} does not act with method=kmeans"):
        read(method="kmeans", **{name: value})


def test_clahe_is_refused_where_texture_would_ignore_it():
    assert read(method="kmeans", foreground="dark", clahe="true").clahe
    with pytest.raises(OptionError, match="clahe does not act with foreground=texture"):
        read(method="kmeans", foreground="texture", clahe="true")


@pytest.mark.parametrize("method", ["auto", "unet"])
@pytest.mark.parametrize("name", ["clusters", "foreground"])
def test_options_of_kmeans_are_refused_with_networks(name, method):
    value = {"clusters": 3, "foreground": "dark"}[name]
    with pytest.raises(OptionError, match="add method=kmeans"):
        read(method=method, **{name: value})


@pytest.mark.parametrize("name", ["rle", "measurements", "polygons"])
def test_options_of_the_json_answer_are_refused_in_other_forms(name):
    options = read(**{name: "coco" if name == "rle" else "true"})
    refuse_idle_in("json", options)
    with pytest.raises(OptionError, match=f"{name} does not act"):
        refuse_idle_in("tiff", options)


def test_only_options_that_were_changed_and_need_a_network_count_as_ignored():
    assert network_options_given(read(threshold=0.5, tta="true", min_area_px=3, model="nuclei")) == ["threshold", "tta"]
    assert network_options_given(read(tta="false")) == []


def test_a_message_does_not_repeat_a_long_value_whole():
    with pytest.raises(OptionError) as caught:
        read(threshold="9" * 5000)
    assert len(str(caught.value)) < 300


def test_every_option_is_known_to_some_call_and_described():
    known = {name for call in ("segment", "confluency", "submission") for name in known_names(call)}
    assert known == set(Options.model_fields) - {"echo"}
    assert all(field.description for field in Options.model_fields.values())


def test_openapi_lists_what_a_call_knows():
    names = [parameter["name"] for parameter in query_parameters("submission")]
    assert "on_error" in names
    assert "rle" not in names
    assert all(parameter["description"] and parameter["schema"] for parameter in query_parameters("segment"))


def test_a_name_that_is_refused_is_told_in_words():
    with pytest.raises(OptionError) as error:
        read_options([("image_id", "-control")], "segment")
    assert str(error.value) == (
        "option image_id: a name must not begin with = + - @ nor hold control characters, not '-control'"
    )
