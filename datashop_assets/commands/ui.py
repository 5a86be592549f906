"""`datashop ui` and `datashop home`: Dagster's UI, and beside it the data cards, both for this machine alone."""

import os
import subprocess
import sys
import threading

import click

from datashop_assets.commands.shared import deployment, say

UI_EXAMPLES = """\b
Examples:
  datashop ui                                http://127.0.0.1:3000, cards on http://127.0.0.1:3001
  datashop ui --port 8080
"""
HOME_EXAMPLES = """\b
Examples:
  datashop home                              before Dagster's own commands, such as `dagster asset list`
"""


@click.command(epilog=UI_EXAMPLES)
@click.option("--port", default=3000, show_default=True, help="Of Dagster's UI; the cards are on the port after it.")
def ui(port: int) -> None:
    """Open what Datashop did in Dagster's UI, with the sensor that starts prompts. Ctrl-C ends it."""
    from datashop_assets.cards import card_server
    from datashop_assets.settings import CARDS
    from datashop_assets.shipped import shipped

    _prepare_home()
    dagster, cards = (f"http://127.0.0.1:{each}" for each in (port, port + 1))
    server = card_server(deployment(), port + 1, dagster)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    say(f"Dagster on {dagster}; prompts and their data cards on {cards}")
    quiet = ["-W", "ignore:Function `dev_command` is superseded"]  # by `dg dev`, which needs a project of its own kind
    command = [sys.executable, *quiet, "-m", "dagster", "dev", "-w", str(shipped("workspace.yaml")), "-h", "127.0.0.1"]
    environment = {**os.environ, CARDS: cards}
    try:
        done = subprocess.run([*command, "-p", str(port)], env=environment, check=False)  # noqa: S603 - a number is given
        sys.exit(done.returncode)
    except KeyboardInterrupt:
        sys.exit(130)
    finally:
        server.shutdown()


@click.command(epilog=HOME_EXAMPLES)
def home() -> None:
    """Make DAGSTER_HOME ready for the UI: its settings, and an end to runs whose process is gone."""
    _prepare_home()


def _prepare_home() -> None:
    from datashop_assets.orchestration.home import dagster_home
    from datashop_assets.orchestration.run_locks import end_dead_runs_here

    place = dagster_home()
    ended = end_dead_runs_here()
    say(f"Dagster's state is in {place}" + (f"; {len(ended)} dead runs were ended" if ended else ""))
