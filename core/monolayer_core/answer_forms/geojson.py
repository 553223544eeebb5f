"""GeoJSON as QuPath reads it: one feature an object, its outline along the edges of its pixels.

Coordinates are pixels, x before y; the corner of the first pixel is (0, 0). Rings are closed and go round as RFC 7946
says. Names and types of the properties are those that QuPath writes itself.
"""

import io
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from uuid import NAMESPACE_OID, uuid5

from monolayer_core.answer_forms.object_table import flat_record
from monolayer_core.overlay import CLASS_COLOURS
from monolayer_core.pixel_edges import Polygon, trace_pixel_edges
from monolayer_core.row_runs import Int64Array, RowRuns

_NO_MEASUREMENTS = frozenset({"id", "class", "bbox", "centroid"})
"""What stands elsewhere in a feature, or follows from its outline."""


def encode_geojson(
    runs: RowRuns, records: Iterable[Mapping[str, Any]], class_names: Sequence[str], image_sha256: str
) -> bytes:
    """Write the objects of an image as a feature collection.

    Parameters
    ----------
    runs : RowRuns
        Objects 1 to N, each of at least one pixel.
    records : iterable of mapping
        What is known of each, as `object_columns.records_of` gives it. Numbers become measurements of the feature.
    class_names : sequence of str
        All classes; each has a colour of its own.
    image_sha256 : str
        Digest of the image. The identifier of a feature is made of it and of the outline, so that one object has one
        identifier however often it is found, and no two have the same.

    Returns
    -------
    bytes
        UTF-8. Geometries are polygons with their holes, or a multipolygon where an object hangs together by corners of
        its pixels alone; the area of each is the object's number of pixels.
    """
    classifications = {
        name: {"name": name, "color": list(CLASS_COLOURS[index % len(CLASS_COLOURS)])}
        for index, name in enumerate(class_names)
    }
    body = io.BytesIO()
    body.write(b'{"type":"FeatureCollection","features":[')
    separator = b""
    for record, polygons in zip(records, trace_pixel_edges(runs), strict=True):
        geometry = _text(_geometry(polygons))  # most of a feature: written once, for the identifier too
        properties = {
            "objectType": "detection",
            "name": str(record["id"]),
            "classification": classifications[record["class"]],
            "measurements": _measurements(record),
        }
        identifier = uuid5(NAMESPACE_OID, image_sha256 + geometry)
        feature = f'{{"type":"Feature","id":"{identifier}","geometry":{geometry},"properties":{_text(properties)}}}'
        body.write(separator + feature.encode())
        separator = b","
    body.write(b"]}")
    return body.getvalue()


def _geometry(polygons: Sequence[Polygon]) -> dict[str, Any]:
    coordinates = [[_closed(ring) for ring in (polygon.outer, *polygon.holes)] for polygon in polygons]
    if len(coordinates) == 1:
        return {"type": "Polygon", "coordinates": coordinates[0]}
    return {"type": "MultiPolygon", "coordinates": coordinates}


def _closed(ring: Int64Array) -> list[list[int]]:
    points: list[list[int]] = ring[:, ::-1].tolist()
    return [*points, points[0]]


def _measurements(record: Mapping[str, Any]) -> dict[str, float]:
    known = {name: value for name, value in record.items() if name not in _NO_MEASUREMENTS and value is not None}
    return flat_record(known)


def _text(value: Mapping[str, Any]) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
