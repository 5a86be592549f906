"""What is wrong with a machine, and how to fix it; the exit code, and colour only where it is wanted."""

import http.server
import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from datashop_assets import doctor
from datashop_assets.cli import main
from datashop_assets.doctor import Finding, annotator, profile
from datashop_assets.settings import Settings, read_settings

KEY = "a-secret"


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name, folder in {"DATASHOP_ROOT": "root", "DATASHOP_PROMPTS": "prompts", "DAGSTER_HOME": "home"}.items():
        monkeypatch.setenv(name, str(tmp_path / folder))
    (tmp_path / "prompts").mkdir()
    return tmp_path


@pytest.fixture
def no_accelerator(monkeypatch: pytest.MonkeyPatch) -> Callable[[Finding], None]:
    """jax takes 5 s to say what it finds: another finding stands in its place."""

    def instead(found: Finding) -> None:
        monkeypatch.setitem(doctor.EXAMINATIONS, "accelerator", lambda _: found)  # type: ignore[arg-type]

    instead(Finding("accelerator", "note", "not looked for"))
    return instead


@pytest.fixture
def endpoint() -> Iterator[str]:
    """An address that lists its models to whoever has the key."""

    class Models(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            known = self.path == "/v1/models" and self.headers["Authorization"] == f"Bearer {KEY}"
            self.send_response(200 if known else 401)
            self.end_headers()

        def log_message(self, *_: object) -> None: ...

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Models)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/v1"
    server.shutdown()
    server.server_close()


def findings(exit_code: int) -> dict[str, dict[str, str]]:
    found = CliRunner().invoke(main, ["doctor", "--json"])
    assert found.exit_code == exit_code
    return {check["name"]: check for check in json.loads(found.stdout)["checks"]}


@pytest.mark.usefixtures("no_accelerator")
def test_missing_data_packages_are_told_with_their_fix_once(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DATASHOP_ANNOTATOR", raising=False)
    monkeypatch.setenv("DATASHOP_DATA", str(place / "nothing"))
    found = CliRunner().invoke(main, ["doctor"])
    assert found.exit_code == 1
    assert found.output.count("datashop data") == 1
    assert "as for the data packages, or set DATASHOP_ANNOTATOR" in " ".join(found.output.split())


@pytest.mark.usefixtures("no_accelerator")
def test_a_root_that_cannot_be_written_is_found(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert not [check for check in findings(0).values() if check["state"] == "bad"]
    (place / "file").write_text("")
    monkeypatch.setenv("DATASHOP_ROOT", str(place / "file"))
    found = findings(1)
    assert found["storage"]["state"] == "bad"
    assert "DATASHOP_ROOT" in found["storage"]["fix"]
    assert found["prompts"]["state"] == "good"


@pytest.mark.usefixtures("no_accelerator")
def test_an_empty_folder_to_begin_in_is_no_fault(place: Path) -> None:
    (place / "prompts").rmdir()
    found = findings(0)["prompts"]
    assert found["state"] == "note"
    assert "`datashop new-prompt` makes it" in found["fix"]


@pytest.mark.usefixtures("no_accelerator")
@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"DATASHOP_PROFILE": "gpu"}, "set it to server or endpoints"),
        ({"DATASHOP_PROFILE": "gcp", "DATASHOP_ANNOTATOR": "endpoints"}, "RAY_ADDRESS is not set"),
        ({"DATASHOP_PROFILE": "gpu", "DATASHOP_ANNOTATOR": "server", "RAY_ADDRESS": "ray://x:1"}, "would not use"),
    ],
)
def test_a_profile_that_does_not_fit_is_found(
    given: dict[str, str], says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    found = findings(1)["profile"]
    assert (found["state"], says in found["message"]) == ("bad", True)
    assert "DATASHOP_PROFILE" in found["fix"]


def test_a_variable_that_is_wrong_is_the_one_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATASHOP_PROFILE", "cluster")
    (found,) = findings(1).values()
    assert (found["name"], found["state"]) == ("settings", "bad")
    assert "DATASHOP_PROFILE is 'cluster'; use one of local, gpu, gcp" in found["message"]


def test_a_machine_without_an_accelerator_is_bad_for_the_profile_gpu_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "DEVICES", 'print(\'[["cpu", "cpu"]]\')')
    assert doctor.accelerator(read_settings()).state == "note"
    monkeypatch.setenv("DATASHOP_PROFILE", "gpu")
    assert doctor.accelerator(read_settings()).state == "bad"
    assert profile(read_settings()).state == "bad"


def test_an_annotator_without_an_address_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATASHOP_ANNOTATOR", "endpoints")
    assert annotator(read_settings()).state == "bad"
    assert "DATASHOP_ANNOTATOR_URLS" in annotator(read_settings()).message


def test_addresses_are_asked_whether_they_are_there(endpoint: str, monkeypatch: pytest.MonkeyPatch) -> None:
    nobody = "http://127.0.0.1:9/v1"
    monkeypatch.setenv("DATASHOP_ANNOTATOR", "endpoints")
    monkeypatch.setenv("DATASHOP_ANNOTATOR_URLS", endpoint)
    assert (annotator(read_settings()).state, "401" in annotator(read_settings()).message) == ("bad", True)
    monkeypatch.setenv("DATASHOP_ANNOTATOR_KEY", KEY)
    assert annotator(read_settings()).state == "good"
    monkeypatch.setenv("DATASHOP_ANNOTATOR_URLS", f"{endpoint} {nobody}")
    found = annotator(read_settings())
    assert (found.state, nobody in found.message, KEY in found.message) == ("note", True, False)


def test_an_examination_that_breaks_is_itself_a_finding() -> None:
    def broken(_: Settings) -> Finding:
        raise RuntimeError("no such device")

    broken_first = doctor.examine(read_settings, {"storage": broken, "prompts": doctor.EXAMINATIONS["prompts"]})
    assert (broken_first[0].state, broken_first[0].message) == ("bad", "RuntimeError: no such device")
    assert broken_first[1].state == "good"


def test_colour_is_left_out_where_it_is_not_wanted(no_accelerator: Callable[[Finding], None]) -> None:
    no_accelerator(Finding("accelerator", "bad", "x", "y"))
    for wish, coloured in (
        ({"FORCE_COLOR": "1", "NO_COLOR": None}, True),
        ({"FORCE_COLOR": "1", "NO_COLOR": "1"}, False),
    ):
        output = CliRunner().invoke(main, ["doctor"], env=wish, color=True).output
        assert ("\x1b[31m" in output) is coloured
