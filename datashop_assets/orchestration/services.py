"""Dagster's services on this machine, as `dagster dev` starts them, but with the webserver of `webserver.py`.

A code server holds the graph and executes runs, the daemon runs sensor and queue, the webserver shows both. They are
children of this process: they end with it, and with them the runs that they execute.
"""

import sys
import sysconfig
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from subprocess import PIPE

import click
import yaml

from datashop_assets.processes.child import ChildProcess
from datashop_assets.shipped import shipped

WEBSERVER = Path(__file__).with_name("webserver.py")
GRACE = 20.0  # seconds in which a service ends by itself; the daemon finishes its tick
START_SECONDS = 120.0  # for the code server; the others complain while it does not answer
POLL_SECONDS = 0.2


@contextmanager
def dagster_services(
    port: int, environment: Mapping[str, str], say: Callable[[str], object]
) -> Iterator[Mapping[str, ChildProcess]]:
    """The services by name, the webserver on `port` of 127.0.0.1. What they print is handed to `say` line by line.

    They are started even where the code server is late: they show why.
    """
    module, location = _code_location()
    with tempfile.TemporaryDirectory(prefix="datashop-") as folder:
        server, workspace = Path(folder) / "code-server", Path(folder) / "workspace.yaml"
        where = {"grpc_server": {"socket": str(server), "location_name": location}}
        workspace.write_text(yaml.safe_dump({"load_from": [where]}))
        dagster, daemon = [sys.executable, "-m", "dagster"], str(Path(sysconfig.get_path("scripts")) / "dagster-daemon")
        webserver = [sys.executable, "-P", str(WEBSERVER), "--host=127.0.0.1"]
        definitions = [f"--module-name={module}", f"--location-name={location}"]
        commands = {
            "code server": [
                *dagster,
                "code-server",
                "start",
                f"--socket={server}",
                "--log-level=warning",
                *definitions,
            ],
            "daemon": [daemon, "run", f"--workspace={workspace}"],
            "webserver": [*webserver, f"--port={port}", f"--workspace={workspace}"],
        }
        services: dict[str, ChildProcess] = {}
        try:
            for name, command in commands.items():
                services[name] = ChildProcess(command, environment, PIPE, GRACE)
                threading.Thread(target=_repeat, args=(services[name].output, say), daemon=True).start()
                _wait(server, services["code server"])
            yield services
        finally:
            for service in services.values():
                service.ask_to_stop()
            for service in services.values():
                service.stop()


def _repeat(lines: Iterable[bytes], say: Callable[[str], object]) -> None:
    """Without colours, which a service means for a terminal, and without what else a terminal would obey."""
    for line in lines:
        say(click.unstyle(line.decode("utf-8", "replace")).rstrip())


def _wait(server: Path, process: ChildProcess) -> None:
    end = time.monotonic() + START_SECONDS
    while process.running and not server.exists() and time.monotonic() < end:
        time.sleep(POLL_SECONDS)


def _code_location() -> tuple[str, str]:
    """The module and the name of the location in the workspace that Dagster's own commands are given."""
    (location,) = yaml.safe_load(shipped("workspace.yaml").read_text())["load_from"]
    return location["python_module"]["module_name"], location["python_module"]["location_name"]
