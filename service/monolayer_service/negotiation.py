"""Which form of the answer a caller gets: the ``format`` option decides, else the ``Accept`` header."""

from collections.abc import Sequence

from monolayer_service.errors import NotAcceptableError
from monolayer_service.media_types import FORM_KINDS, Form


def choose_form(accept: str, forms: Sequence[Form], asked: Form | None = None) -> Form:
    """Choose among the forms a call can give.

    Parameters
    ----------
    accept
        The ``Accept`` header; empty means anything.
    forms
        What the call gives; the first is given to a caller who takes anything.
    asked
        The ``format`` option, which wins.

    Raises
    ------
    NotAcceptableError
        None of the forms has an accepted media type.

    Examples
    --------
    >>> choose_form("text/csv;q=0.5, image/*", ("json", "csv", "tiff", "overlay"))
    'tiff'
    """
    if asked is not None:
        return asked
    if not accept.strip():
        return forms[0]
    ranges = [_parse_range(part) for part in accept.split(",") if part.strip()]
    known = [form for form in forms if FORM_KINDS[form].by_accept]
    qualities = {form: _quality(FORM_KINDS[form].bare_type, ranges) for form in known}
    best = max(known, key=lambda form: qualities[form])  # of equals the first, the call's own order
    if qualities[best] <= 0:
        offered = ", ".join(FORM_KINDS[form].bare_type for form in known)
        raise NotAcceptableError(f"this call gives {offered}; none of them is accepted")
    return best


def _parse_range(part: str) -> tuple[str, float]:
    media_range, *parameters = (piece.strip().lower() for piece in part.split(";"))
    weights = [parameter.removeprefix("q=") for parameter in parameters if parameter.startswith("q=")]
    try:
        weight = float(weights[0]) if weights else 1.0
    except ValueError:
        return media_range, 0.0
    return media_range, weight if 0 <= weight <= 1 else 0.0  # not a number lies in no range


def _quality(media_type: str, ranges: Sequence[tuple[str, float]]) -> float:
    """Weight of the most specific range that covers a media type (RFC 9110, 12.5.1); 0 where none does."""
    for candidate in (media_type, f"{media_type.partition('/')[0]}/*", "*/*"):
        weights = [weight for media_range, weight in ranges if media_range == candidate]
        if weights:
            return max(weights)
    return 0.0
