"""Options that several commands share, written once as the fields of a dataclass.

Typer reads the options of a command from its signature. `taking` puts the fields of a dataclass there, in the place of
one parameter: a new field is a new option of every command that takes the group.
"""

import functools
import inspect
from collections.abc import Callable
from dataclasses import MISSING, fields
from typing import Any, TypeAlias, get_type_hints

Command: TypeAlias = Callable[..., None]


def taking(group: type[Any]) -> Callable[[Command], Command]:
    """Give a command the fields of `group` as options.

    Parameters
    ----------
    group
        A dataclass whose fields have defaults and are annotated as Typer's options are.

    Returns
    -------
    Callable
        Decorator of a function with one parameter annotated with `group`. Typer finds the fields in its place, and the
        function is given the dataclass.
    """

    def decorate(command: Command) -> Command:
        hints = get_type_hints(group, include_extras=True)
        options = [
            inspect.Parameter(
                field.name,
                inspect.Parameter.KEYWORD_ONLY,
                annotation=hints[field.name],
                default=inspect.Parameter.empty if field.default is MISSING else field.default,
            )
            for field in fields(group)
        ]
        signature = inspect.signature(command, eval_str=True)
        (taker,) = (name for name, parameter in signature.parameters.items() if parameter.annotation is group)
        parameters: list[inspect.Parameter] = []
        for name, parameter in signature.parameters.items():
            parameters.extend(options if name == taker else [parameter])

        @functools.wraps(command)
        def run(**given: Any) -> None:  # noqa: ANN401 - whatever the options are
            command(**{taker: group(**{option.name: given.pop(option.name) for option in options})}, **given)

        run.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined] # read by inspect
        run.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
        return run

    return decorate
