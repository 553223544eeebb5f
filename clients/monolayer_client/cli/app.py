"""``monolayer``: one command per intention."""

import stamina.instrumentation
import typer

from monolayer_client.cli.confluency import confluency
from monolayer_client.cli.plate import plate
from monolayer_client.cli.score import score
from monolayer_client.cli.segment import segment
from monolayer_client.cli.series import series
from monolayer_client.cli.stats import stats
from monolayer_client.cli.submit import submit
from monolayer_client.cli.validate import validate
from monolayer_client.cli.verify import verify
from monolayer_client.cli.watch import watch

app = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False, rich_markup_mode=None, add_completion=False)


@app.callback()
def start() -> None:
    """Masks, counts and confluency of microscope images, from a Monolayer service.

    The service is looked for at http://127.0.0.1:8000; --url or the environment variable MONOLAYER_URL name another.

    \b
    Examples:
      monolayer segment frame.tif                       one image
      monolayer confluency plate1/*.tif --out numbers   many images, a summary at the end
      monolayer watch D:/acquisition --out numbers      images as they appear in a folder
      monolayer stats segmented -o stats.png            counts and areas by class
      monolayer series numbers -o growth.html           curves and doubling times
      monolayer plate numbers -o plate.html             figures by well, and a heat map
      monolayer submit stage1_test -o submission.csv    a Kaggle submission; run again to go on
      monolayer validate submission.csv
      monolayer score submission.csv --truth stage1_solution.csv
      monolayer verify segmented --images stage1_test   does the service still say the same?
    """  # noqa: D301 - \b tells click to keep the lines as they are
    stamina.instrumentation.set_on_retry_hooks([])  # its log lines would run into the progress bar


app.command()(segment)
app.command()(confluency)
app.command()(watch)
app.command()(submit)
app.command()(validate)
app.command()(score)
app.command()(stats)
app.command()(series)
app.command()(plate)
app.command()(verify)
