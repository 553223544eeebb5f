"""The forms of answers: their media types, the ends of their file names, and whether ``Accept`` can ask for them."""

from dataclasses import dataclass
from typing import Literal

Form = Literal["json", "csv", "table", "tiff", "overlay", "geojson", "rois", "coco", "ndjson"]


@dataclass(frozen=True)
class FormKind:
    """One form.

    Attributes
    ----------
    media_type
        As ``Content-Type`` names it.
    suffix
        End of the file's name, behind the image's.
    by_accept
        Whether ``Accept`` can ask for it. Two forms have the media type of another one: the option ``format`` asks for
        them.
    """

    media_type: str
    suffix: str
    by_accept: bool = True

    @property
    def bare_type(self) -> str:
        """The media type without parameters."""
        return self.media_type.partition(";")[0]


FORM_KINDS: dict[Form, FormKind] = {
    "json": FormKind("application/json", ".json"),
    "csv": FormKind("text/csv; charset=utf-8", ".rle.csv"),
    "table": FormKind("text/csv; charset=utf-8", ".objects.csv", by_accept=False),
    "tiff": FormKind("image/tiff", ".labels.tif"),
    "overlay": FormKind("image/png", ".overlay.png"),
    "geojson": FormKind("application/geo+json", ".geojson"),
    "rois": FormKind("application/zip", ".rois.zip"),
    "coco": FormKind("application/json", ".coco.json", by_accept=False),
    "ndjson": FormKind("application/x-ndjson", ".ndjson"),
}
"""In the order in which equally welcome ones are chosen."""

JSON_FORMS: frozenset[Form] = frozenset({"json", "ndjson"})
"""Forms that hold the JSON answer, and with it all there is to say."""

RECORD_FORMS: frozenset[Form] = JSON_FORMS | {"table", "geojson", "rois", "coco"}
"""Forms that say something of each object besides where it is."""
