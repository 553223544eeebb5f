"""What is said about a submission table that somebody wants to hand in."""

import io

from monolayer_core.errors import ImageTooLargeError
from monolayer_core.submission import read_sizes, validate_submission
from monolayer_service.cancellation import Cancellation
from monolayer_service.options import MAX_IMAGE_ID_CHARACTERS
from monolayer_service.schemas import Finding, ValidationAnswer
from monolayer_service.uploads import UploadedTables

MAX_TABLE_BYTES = 256 * 2**20
MAX_ROWS = 500_000
"""Rows take up to a kilobyte of memory each, however short they are."""

MAX_FINDINGS = 1000


def validate_tables(tables: UploadedTables, cancellation: Cancellation) -> bytes:
    """Check a submission table as ``monolayer validate`` does; gives a `ValidationAnswer` as JSON.

    Raises
    ------
    ImageTooLargeError
        A table has more than `MAX_ROWS` rows.
    SubmissionError
        The table of sizes is malformed.
    """
    sizes = None if tables.sizes is None else read_sizes(_text(tables.sizes))
    check = validate_submission(_text(tables.submission), sizes, check=cancellation.check)
    findings = [
        Finding(
            message=problem.message,
            line=problem.line,
            image_id=None if problem.image_id is None else problem.image_id[:MAX_IMAGE_ID_CHARACTERS],
        )
        for problem in check.problems[:MAX_FINDINGS]
    ]
    answer = ValidationAnswer(
        valid=not check.problems,
        image_count=check.image_count,
        object_count=check.object_count,
        problem_count=len(check.problems),
        problems=findings,
    )
    return answer.model_dump_json().encode()


def _text(table: bytes) -> io.TextIOWrapper:
    if table.count(b"\n") + table.count(b"\r") > 2 * MAX_ROWS or len(table.splitlines()) > MAX_ROWS:
        raise ImageTooLargeError(f"the table has more than {MAX_ROWS} rows, the most that are checked at once")
    return io.TextIOWrapper(io.BytesIO(table), encoding="utf-8-sig", newline="")
