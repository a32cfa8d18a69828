"""`newszop deploy`: what runs the system elsewhere, printed."""

from pathlib import Path

import typer

from service import deploy
from service.commands.output import say

app = typer.Typer(help="What runs the system elsewhere, printed.", no_args_is_help=True)


@app.callback()
def group() -> None:
    """Keep the command's name, although it is the only one."""


@app.command()
def kubernetes() -> None:
    """Print manifests for Kubernetes, to be changed and applied."""
    say(Path(deploy.__file__).with_name("kubernetes.yaml").read_text().rstrip())
