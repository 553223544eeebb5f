"""``python -m monolayer_service.openapi [FILE]``: write the description of the HTTP interface.

The file in ``clients/`` is what client authors read; a contract test fails when the application no longer agrees with
it.
"""

import json
import sys
from pathlib import Path

from monolayer_service.app import create_app
from monolayer_service.settings import Settings


def render_openapi() -> str:
    """Write the OpenAPI document of an application with default settings, one value a line."""
    return json.dumps(create_app(Settings()).openapi(), indent=2, ensure_ascii=False) + "\n"


def main() -> None:
    """Write the document to the file named on the command line, else to standard output."""
    text = render_openapi()
    if len(sys.argv) > 1:
        Path(sys.argv[1]).write_text(text, encoding="utf-8")
    else:
        sys.stdout.write(text)


if __name__ == "__main__":
    main()
