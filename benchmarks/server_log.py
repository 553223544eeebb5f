"""What the service wrote to its log."""

import json
from pathlib import Path


def bad_lines(log: Path) -> list[str]:
    """The lines of level error or above, and those that are no JSON, such as a traceback on its way out.

    Examples
    --------
    >>> import tempfile
    >>> log = Path(tempfile.mkdtemp()) / "log"
    >>> _ = log.write_text('{"level": "info", "event": "a"}\\n{"level": "error", "event": "b"}\\nTrace')
    >>> bad_lines(log)
    ['{"level": "error", "event": "b"}', 'Trace']
    """
    return [line for line in log.read_text(encoding="utf-8").splitlines() if not _is_good(line)]


def _is_good(line: str) -> bool:
    try:
        level = json.loads(line)["level"]
    except (ValueError, KeyError, TypeError):
        return False
    return level in ("debug", "info", "warning")
