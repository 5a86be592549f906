"""Dagster's services on this machine, as `dagster dev` starts them, but with the webserver of `webserver.py`.

A code server holds the graph and executes runs, the daemon runs sensor and queue, the webserver shows both. They are
children of this process: they end with it, and with them the runs that they execute.
"""

import sys
import sysconfig
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from subprocess import PIPE

import yaml

from datashop_assets.processes.child import ChildProcess
from datashop_assets.shipped import shipped

GRACE = 20.0  # seconds in which a service ends by itself; the daemon finishes its tick


@contextmanager
def dagster_services(port: int, environment: Mapping[str, str]) -> Iterator[Mapping[str, ChildProcess]]:
    """The services by name, the webserver on `port` of 127.0.0.1; what they print goes into pipes."""
    module, location = _code_location()
    with tempfile.TemporaryDirectory(prefix="datashop-") as folder:
        server, workspace = Path(folder) / "code-server", Path(folder) / "workspace.yaml"
        where = {"grpc_server": {"socket": str(server), "location_name": location}}
        workspace.write_text(yaml.safe_dump({"load_from": [where]}))
        dagster, daemon = [sys.executable, "-m", "dagster"], str(Path(sysconfig.get_path("scripts")) / "dagster-daemon")
        webserver = [sys.executable, "-m", "datashop_assets.orchestration.webserver", "--host=127.0.0.1"]
        definitions = [f"--module-name={module}", f"--location-name={location}"]
        commands = {
            "code server": [*dagster, "code-server", "start", f"--socket={server}", *definitions],
            "daemon": [daemon, "run", f"--workspace={workspace}"],
            "webserver": [*webserver, f"--port={port}", f"--workspace={workspace}"],
        }
        services: dict[str, ChildProcess] = {}
        try:
            for name, command in commands.items():
                services[name] = ChildProcess(command, environment, PIPE, GRACE)
            yield services
        finally:
            for service in services.values():
                service.ask_to_stop()
            for service in services.values():
                service.stop()


def _code_location() -> tuple[str, str]:
    """The module and the name of the location in the workspace that Dagster's own commands are given."""
    (location,) = yaml.safe_load(shipped("workspace.yaml").read_text())["load_from"]
    return location["python_module"]["module_name"], location["python_module"]["location_name"]
