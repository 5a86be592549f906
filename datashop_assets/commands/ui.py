"""`datashop ui` and `datashop home`: Dagster's UI, and beside it the data cards, both for this machine alone."""

import os
import sys
import time
from functools import partial
from pathlib import Path

import click

from datashop_assets.commands.shared import complain, deployment, say, settings_here
from datashop_assets.settings import CARDS, Settings

LOOK_SECONDS = 0.5  # between looks at the services
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
    """Open what Datashop did in Dagster's UI, with the sensor that starts prompts. Ctrl-C ends it, and its runs.

    Only this machine can reach it, and no page of another site can: see DATASHOP_HOSTS for tunnels and proxies.
    """
    from datashop_assets.cards import serve_cards
    from datashop_assets.orchestration.runs import last_runs_at
    from datashop_assets.orchestration.services import dagster_services

    settings = settings_here()
    place = _prepare_home(settings)
    dagster, cards = (f"http://127.0.0.1:{each}" for each in (port, port + 1))
    say(f"Dagster on {dagster}, in half a minute; prompts and their data cards on {cards}")
    environment = {**os.environ, CARDS: cards}
    pages = serve_cards(deployment(settings), port + 1, dagster, partial(last_runs_at, place), settings.hosts)
    with pages, dagster_services(port, environment, say) as services:
        while all(service.running for service in services.values()):
            time.sleep(LOOK_SECONDS)
        time.sleep(LOOK_SECONDS)  # for its last words
        ended = [f"the {name} ended with {one.exit_code}" for name, one in services.items() if not one.running]
        complain(f"{' and '.join(ended)}; the lines above say why")
    sys.exit(1)


@click.command(epilog=HOME_EXAMPLES)
def home() -> None:
    """Make DAGSTER_HOME ready for the UI: its settings, and an end to runs whose process is gone."""
    _prepare_home(settings_here())


def _prepare_home(settings: Settings) -> Path:
    from datashop_assets.orchestration.home import home_folder, use_home
    from datashop_assets.orchestration.run_locks import end_dead_runs_here

    place = home_folder(settings)
    use_home(place)
    ended = end_dead_runs_here()
    say(f"Dagster's state is in {place}" + (f"; {len(ended)} dead runs were ended" if ended else ""))
    return place
