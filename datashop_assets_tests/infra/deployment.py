"""Dagster's services as processes of this machine: a PostgreSQL, a code location, a daemon and a webserver."""

import os
import pwd
import shutil
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from datashop_assets.orchestration.services import WEBSERVER
from datashop_assets_tests.conftest import free_port
from infra.clusters.cluster import PROJECT

DEPLOYED = PROJECT / "infra" / "dagster" / "deployed"
BIN = Path(sys.executable).parent
WORKSPACE = f"--workspace={DEPLOYED / 'workspace.yaml'}"
MODULE = "--module-name=datashop_assets.definitions"


def postgres_programs() -> Path:
    """Where Debian's package puts `initdb` and `pg_ctl`. Raises `FileNotFoundError` where it is not installed."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    if not found:
        raise FileNotFoundError("no PostgreSQL here: apt-get install postgresql")
    return found[-1].parent


@dataclass
class Postgres:
    """A server on loopback, run by a user who is not root, with its data in a folder of its own."""

    folder: Path
    password: str
    port: int = field(default_factory=free_port)

    def create(self) -> None:
        self.folder.mkdir()
        if os.geteuid() == 0:
            shutil.chown(self.folder, self._user())
        secret = self.folder / "password"
        secret.write_text(self.password)
        secret.chmod(0o644)
        options = ["--auth=scram-sha-256", "--username=dagster", f"--pwfile={secret}", "--no-sync"]
        self._run("initdb", f"--pgdata={self._data}", *options)
        secret.unlink()

    def start(self) -> None:
        options = f"-c listen_addresses=127.0.0.1 -c port={self.port} -c unix_socket_directories= -c fsync=off"
        log = f"--log={self.folder / 'log'}"
        self._run("pg_ctl", "start", "--wait", f"--pgdata={self._data}", log, f"--options={options}")

    def stop(self, mode: str = "fast") -> None:
        self._run("pg_ctl", "stop", "--wait", f"--pgdata={self._data}", f"--mode={mode}")

    def dump(self) -> bytes:
        """All that the server holds, as SQL."""
        command = [postgres_programs() / "pg_dump", "--host=127.0.0.1", f"--port={self.port}", "--username=dagster"]
        environment = {**os.environ, "PGPASSWORD": self.password}
        return subprocess.run([*command, "postgres"], env=environment, capture_output=True, check=True).stdout

    @property
    def _data(self) -> Path:
        return self.folder / "data"

    def _run(self, program: str, *arguments: str) -> None:
        user = self._user() if os.geteuid() == 0 else None
        command = [postgres_programs() / program, *arguments]
        subprocess.run(command, check=True, user=user, cwd=self.folder, stdout=subprocess.DEVNULL)

    @staticmethod
    def _user() -> str:
        return pwd.getpwnam("postgres").pw_name


@dataclass
class Deployment:
    """The services and their environment; each can be killed and started again."""

    folder: Path
    environment: dict[str, str]
    services: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    ports: dict[str, int] = field(default_factory=lambda: {"webserver": free_port(), "browse": free_port()})

    def start(self, name: str) -> None:
        with (self.folder / f"{name}.log").open("ab") as log:
            self.services[name] = subprocess.Popen(
                self._command(name),
                env=self.environment,
                cwd=self.folder,
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
            )

    def kill(self, name: str, by: signal.Signals = signal.SIGKILL) -> None:
        """Ends a service with all its processes."""
        service = self.services.pop(name)
        with suppress(ProcessLookupError):  # it ended by itself
            os.killpg(service.pid, by)
        service.wait()

    def ask(self, query: str, by: str = "webserver", **variables: Any) -> Any:
        """The answer to a GraphQL query, as a browser would send it."""
        body, address = orjson.dumps({"query": query, "variables": variables}), f"http://127.0.0.1:{self.ports[by]}"
        request = urllib.request.Request(f"{address}/graphql", body, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=30) as answer:
            found = orjson.loads(answer.read())
        assert "errors" not in found, found
        return found["data"]

    def ready(self, name: str = "webserver") -> bool:
        return self.services[name].poll() is None and self._answers(name)

    def _answers(self, name: str) -> bool:
        try:
            return bool(self.ask("{ repositoriesOrError { ... on RepositoryConnection { nodes { name } } } }", name))
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            return False

    def _command(self, name: str) -> Sequence[str | Path]:
        location = ["--host=127.0.0.1", f"--port={self.environment['DATASHOP_CODE_LOCATION_PORT']}"]
        pages = [sys.executable, "-P", WEBSERVER, "--host=127.0.0.1", f"--port={self.ports.get(name)}", WORKSPACE]
        return {
            "code-location": [BIN / "dagster", "code-server", "start", *location, MODULE],
            "daemon": [BIN / "dagster-daemon", "run", WORKSPACE],
            "webserver": pages,
            "browse": [*pages, "--read-only"],
        }[name]


def eventually(what: Callable[[], Any], seconds: float, failing: Callable[[], str] = lambda: "") -> Any:
    """The first value that is true. Raises `AssertionError` after `seconds` without one."""
    end = time.monotonic() + seconds
    while not (value := what()):
        assert time.monotonic() < end, f"not within {seconds} s. {failing()}"
        time.sleep(0.5)
    return value


@contextmanager
def deployed(folder: Path, postgres: Postgres, **environment: str) -> Iterator[Deployment]:
    """All three services, from the files that are deployed. Their logs stand in `folder`."""
    home = folder / "dagster_home"
    home.mkdir()
    shutil.copyfile(DEPLOYED / "dagster.yaml", home / "dagster.yaml")
    here = {
        "DAGSTER_HOME": str(home),
        "DAGSTER_POSTGRES_HOST": "127.0.0.1",
        "DAGSTER_POSTGRES_PORT": str(postgres.port),
        "DAGSTER_POSTGRES_USER": "dagster",
        "DAGSTER_POSTGRES_PASSWORD": postgres.password,
        "DAGSTER_POSTGRES_DB": "postgres",
        "DATASHOP_CODE_LOCATION_HOST": "127.0.0.1",
        "DATASHOP_CODE_LOCATION_PORT": str(free_port()),
    }
    deployment = Deployment(folder, {**os.environ, **here, **environment})
    try:
        for name in ("code-location", "daemon", "webserver"):
            deployment.start(name)
        eventually(deployment.ready, 90, lambda: (folder / "webserver.log").read_text()[-2000:])
        yield deployment
    finally:
        for name in list(deployment.services):
            deployment.kill(name)
