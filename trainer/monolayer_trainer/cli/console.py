"""What a command says where it cannot go on."""

from collections.abc import Iterator
from contextlib import contextmanager

import typer


@contextmanager
def explained() -> Iterator[None]:
    """Turn an error a user can mend into its message and exit status 1."""
    from pydantic import ValidationError

    from monolayer_core.errors import MonolayerError

    try:
        yield
    except ValidationError as error:
        lines = (f"{'.'.join(map(str, part['loc'])) or 'options'}: {part['msg']}" for part in error.errors())
        typer.echo("error: " + "; ".join(lines), err=True)
    except (MonolayerError, MemoryError) as error:
        typer.echo(f"error: {error}", err=True)
    else:
        return
    raise typer.Exit(1)
