"""``monolayer``, and ``python -m monolayer_client``: the command line."""

import sys


def main() -> None:
    """Run the command line, or say what is missing for it."""
    try:
        from monolayer_client.cli.app import app
    except ModuleNotFoundError as error:
        if error.name not in {"rich", "typer"}:
            raise
        sys.exit(f"the command line needs {error.name}: pip install 'monolayer-client[cli]'")
    app()


if __name__ == "__main__":
    main()
