"""What can go wrong, by what the caller can do about it: change the request, wait, or report a bug."""

from typing import TypedDict, Unpack

from monolayer_core.errors import MonolayerError


class Details(TypedDict, total=False):
    """What is known of the answer, see `ClientError`."""

    service_code: str | None
    status: int | None
    request_id: str | None


class ClientError(MonolayerError):
    """Base of all errors of this package.

    Attributes
    ----------
    service_code : str or None
        The service's machine-readable code, such as ``image_too_large``; None where there was no answer to read.
    status : int or None
        HTTP status of the answer.
    request_id : str or None
        What to quote when reporting the error.
    """

    code = "client_error"

    def __init__(self, message: str, **details: Unpack[Details]) -> None:
        super().__init__(message)
        self.service_code = details.get("service_code")
        self.status = details.get("status")
        self.request_id = details.get("request_id")


class RefusedError(ClientError):
    """The image, an option or the address must be changed; asking again gives the same answer."""

    code = "refused"


class RefusedOptionsError(RefusedError):
    """An option is refused, whatever the image."""

    code = "options_refused"


class UnavailableError(ClientError):
    """Nothing is wrong with the request: the service is full, starting, or cannot be reached. Ask again later.

    `retry_after_s` is the pause the service asked for, in seconds, None where it named none.
    """

    code = "unavailable"

    def __init__(self, message: str, *, retry_after_s: float | None = None, **details: Unpack[Details]) -> None:
        super().__init__(message, **details)
        self.retry_after_s = retry_after_s


class ServiceFaultError(ClientError):
    """The service failed or gave an answer that cannot be read: report it, with the request id."""

    code = "service_fault"


class InputError(ClientError):
    """A file or folder given to the command line cannot be used; the service was not asked."""

    code = "invalid_input"
