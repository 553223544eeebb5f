"""Options that say which service to ask and what to ask it for, the same in all commands that ask one."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from enum import StrEnum
from typing import Annotated

import typer

from monolayer_client.async_client import AsyncClient
from monolayer_client.cli.console import err

Url = Annotated[str, typer.Option("--url", envvar="MONOLAYER_URL", help="Address of the service.")]
Concurrency = Annotated[int, typer.Option("--concurrency", "-c", min=1, max=64, help="Images under way at a time.")]
Patience = Annotated[
    float, typer.Option("--patience", min=0, help="Seconds to go on asking a service that is full or out of reach.")
]
Model = Annotated[str | None, typer.Option("--model", help="Bundle that answers, else the service's default.")]
PixelSize = Annotated[
    float | None, typer.Option("--pixel-size-um", min=0, help="Side of a pixel in micrometres, else from the file.")
]
Settings = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="NAME=VALUE",
        help="Any other option of the service, such as min_area_px=30, clahe=true, clusters=3 or echo.plate=7; "
        "may be given several times. The service's /docs lists them.",
    ),
]


class Method(StrEnum):
    """Who finds the objects."""

    auto = "auto"
    unet = "unet"
    kmeans = "kmeans"


MethodOption = Annotated[
    Method, typer.Option("--method", help="The network, K-means, or the network where there is one.")
]

_OF_THE_COMMANDS = frozenset({"image_id", "format", "rle", "on_error"})


def collect_options(
    model: str | None, method: Method, pixel_size_um: float | None, settings: Sequence[str] | None
) -> dict[str, object]:
    """Put the options of a command together as query parameters; what was not given is left out.

    Raises
    ------
    typer.BadParameter
        One of the `settings` is not ``NAME=VALUE``, or names something that the command decides.
    """
    options: dict[str, object] = {}
    if model is not None:
        options["model"] = model
    if method is not Method.auto:
        options["method"] = method.value
    if pixel_size_um is not None:
        options["pixel_size_um"] = pixel_size_um
    for setting in settings or ():
        name, sign, value = setting.partition("=")
        if not sign or not name:
            raise typer.BadParameter(f"--set takes NAME=VALUE, not {setting!r}")
        if name in _OF_THE_COMMANDS:
            raise typer.BadParameter(f"{name} cannot be set: the command decides it")
        options[name] = value
    return options


def make_client(url: str, patience_s: float) -> AsyncClient:
    """Make the client of a command; the place where tests put one that needs no port."""
    try:
        return AsyncClient(url, patience_s=patience_s)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error


@asynccontextmanager
async def connected(url: str, patience_s: float) -> AsyncIterator[AsyncClient]:
    """Give a client of a service that has answered once, having said so where one must wait for it.

    Raises
    ------
    UnavailableError
        There was no answer within the patience.
    """
    async with make_client(url, patience_s) as client:
        if not await client.is_ready():
            err().print(f"the service at {client.url} is not ready; asking it for up to {patience_s:g} s", markup=False)
        await client.version()
        yield client


def described(options: Mapping[str, object]) -> str:
    """Options in one line, for messages."""
    return ", ".join(f"{name}={value}" for name, value in options.items()) or "default options"
