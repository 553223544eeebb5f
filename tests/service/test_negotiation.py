import pytest

from monolayer_service.errors import NotAcceptableError
from monolayer_service.negotiation import choose_form

FORMS = ("json", "csv", "table", "tiff", "overlay", "geojson", "rois", "coco", "ndjson")

OFFERED = (
    "gives application/json, text/csv, image/tiff, image/png, application/geo.json, application/zip, "
    "application/x-ndjson; none"
)


@pytest.mark.parametrize(
    ("accept", "form"),
    [
        ("", "json"),
        ("  ", "json"),
        ("*/*", "json"),
        ("application/*", "json"),
        ("image/*", "tiff"),
        ("IMAGE/PNG", "overlay"),
        ("text/csv;q=0.9, application/json;q=0.8", "csv"),
        ("text/csv;q=0.8, */*;q=0.9", "json"),
        ("application/json;q=0, */*", "csv"),
        ("image/png;q=0.5;level=1, image/tiff;q=0.4", "overlay"),
        ("application/xml, text/csv", "csv"),
        ("application/geo+json", "geojson"),
        ("application/zip", "rois"),
        ("application/x-ndjson", "ndjson"),
        ("text/*", "csv"),
        ("text/csv;q=nan, image/png;q=0.1", "overlay"),
        ("text/csv;q=inf, image/png;q=0.1", "overlay"),
        ("text/csv;q=1.001, image/png;q=0.1", "overlay"),
        ("text/csv;q=-1, image/png;q=0.1", "overlay"),
        ("text/csv;q=1.000, image/png;q=0.999", "csv"),
    ],
)
def test_the_most_wanted_form_is_given(accept, form):
    assert choose_form(accept, FORMS) == form


@pytest.mark.parametrize(
    "accept",
    ["application/xml", "application/json;q=0", "image/png;q=nonsense", "json", "*/*;q=nan", "*/*;q=inf", "*/*;q=2"],
)
def test_nothing_acceptable_is_refused_with_what_there_is(accept):
    with pytest.raises(NotAcceptableError, match=OFFERED):
        choose_form(accept, FORMS)


def test_the_option_wins():
    assert choose_form("application/xml", FORMS, "table") == "table"
