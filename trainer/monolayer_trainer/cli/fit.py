"""``monolayer-train fit``: one network."""

from typing import Annotated

import typer

from monolayer_trainer.cli.arguments import Data, Run
from monolayer_trainer.cli.console import explained
from monolayer_trainer.cli.fit_options import FitOptions
from monolayer_trainer.cli.option_groups import taking

TAKEN_UP = frozenset({"data", "run", "resume", "epochs", "minutes", "patience"})
"""What ``fit --resume`` takes from the command line; all else is as the run was begun."""


@taking(FitOptions)
def fit(
    context: typer.Context,
    data: Data,
    run: Run,
    *,
    options: FitOptions,
    resume: Annotated[
        bool,
        typer.Option(
            "--resume", help="Continue the run; of the other options only epochs, minutes and patience count."
        ),
    ] = False,
) -> None:
    """Train a network on a prepared data set."""
    from monolayer_trainer.fit import fit as fit_network
    from monolayer_trainer.fit import resume as resume_fit

    if resume:
        refuse_on_resume(context)
        with explained():
            resume_fit(data, run, epochs=options.epochs, minutes=options.minutes, patience=options.patience)
        return
    with explained():
        fit_network(data, run, options.config(data, run))


def refuse_on_resume(context: typer.Context) -> None:
    """Refuse what a run that goes on would ignore: only its duration can be changed.

    Raises
    ------
    typer.BadParameter
        Another option was given.
    """
    given = [
        f"--{name.replace('_', '-')}"
        for name in context.params
        if name not in TAKEN_UP and (source := context.get_parameter_source(name)) and source.name == "COMMANDLINE"
    ]
    if given:
        raise typer.BadParameter(
            f"a resumed run keeps the configuration it was begun with: leave out {', '.join(given)}"
        )
