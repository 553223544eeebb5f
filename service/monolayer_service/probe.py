"""``python -m monolayer_service.probe``: whether the service answers, as the image's health check asks.

It asks where the settings say that the service listens, past every proxy that the environment names. It is run every
few seconds beside the service, and so imports nothing that computes or serves.
"""

import ipaddress
import sys
from http.client import HTTPConnection, HTTPException

from pydantic import ValidationError

from monolayer_service.settings import Settings, problems_of

_PATIENCE_SECONDS = 2.0


def address_of(host: str) -> str:
    """Where to reach a service that listens on `host`: of all addresses (a wildcard) the loopback of that family.

    Examples
    --------
    >>> [address_of(host) for host in ("0.0.0.0", "::", "10.0.0.7", "localhost")]
    ['127.0.0.1', '::1', '10.0.0.7', 'localhost']
    """
    try:
        address = ipaddress.ip_address(host or "0.0.0.0")  # noqa: S104 - nothing is bound here
    except ValueError:  # a name
        return host
    if not address.is_unspecified:
        return host
    return "127.0.0.1" if address.version == 4 else "::1"


def failure(settings: Settings) -> str | None:
    """Say why the service counts as dead; None where it is alive."""
    connection = HTTPConnection(address_of(settings.host), settings.port, timeout=_PATIENCE_SECONDS)
    try:
        connection.request("GET", "/livez")
        status = connection.getresponse().status
    except (OSError, HTTPException) as error:
        return f"no answer from {connection.host} on port {connection.port}: {error!r}"
    finally:
        connection.close()
    return None if status == 200 else f"/livez answered with status {status}"


def main() -> int:
    """Entry point of the command: 0 where the service is alive, else 1 and the reason."""
    try:
        problem = failure(Settings())
    except ValidationError as error:
        problem = "\n".join(problems_of(error))
    if problem is None:
        return 0
    sys.stderr.write(f"{problem}\n")
    return 1


if __name__ == "__main__":
    sys.exit(main())
