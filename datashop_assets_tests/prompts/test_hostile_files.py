"""Prompt files that would stop, exhaust or end what reads them: each is one problem, and the others go on."""

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datashop_assets.prompts.parsing import MAX_BYTES, MAX_PROBLEMS, PromptError
from datashop_assets.prompts.prompt import load_prompt
from datashop_assets.prompts.section import hide_secrets, without_secrets
from datashop_assets.prompts.store import PromptStore
from datashop_assets.storage.root import Root
from datashop_assets_tests.prompts.test_prompt import GOOD

DIGITS = "9" * 10_000
SECONDS = 20.0  # on a machine with other work; a text that takes quadratic time takes minutes


def _folder(path: Path) -> None:
    path.mkdir()


def _link_to_nothing(path: Path) -> None:
    path.symlink_to(path.with_name("nothing"))


def _link_to_itself(path: Path) -> None:
    path.symlink_to(path)


NO_FILES = {
    "pipe": (os.mkfifo, "no regular file"),
    "zeros": (lambda path: path.symlink_to("/dev/zero"), "no regular file"),
    "terminal": (lambda path: path.symlink_to("/dev/tty"), "no regular file"),
    "folder": (_folder, "no regular file"),
    "link to nothing": (_link_to_nothing, "cannot be read: No such file"),
    "link to itself": (_link_to_itself, "cannot be read: Too many levels"),
    "endless": (lambda path: path.write_bytes(b"#" * (MAX_BYTES + 1)), "at most 1,000,000 bytes"),
}


@pytest.mark.parametrize(("make", "said"), NO_FILES.values(), ids=NO_FILES)
def test_what_is_no_file_is_a_problem_and_the_others_go_on(
    tmp_path: Path, make: Callable[[Path], object], said: str
) -> None:
    folder = tmp_path / "prompts"
    folder.mkdir()
    make(folder / "bad.yaml")
    (folder / "tides.yaml").write_text(GOOD)
    store = PromptStore(folder, Root(str(tmp_path / "root")))
    assert store.slugs() == ["tides"]
    assert list(store.problems()) == ["bad"]
    assert said in str(store.problems()["bad"])
    assert str(folder / "bad.yaml") in str(store.problems()["bad"])


def test_a_link_to_a_file_is_the_file(tmp_path: Path) -> None:
    """As Kubernetes mounts them."""
    (tmp_path / "data").write_text(GOOD)
    (tmp_path / "tides.yaml").symlink_to(tmp_path / "data")
    assert load_prompt(tmp_path / "tides.yaml").name == "Tides"


def test_what_a_stored_prompt_is_not_is_a_problem_too(tmp_path: Path) -> None:
    (tmp_path / "prompts").mkdir()
    store = PromptStore(tmp_path / "prompts", Root(str(tmp_path / "root")))
    place = tmp_path / "root" / "prompts" / "tides"
    place.mkdir(parents=True)
    os.mkfifo(place / "prompt.yaml")
    assert "no regular file" in str(store.problems()["tides"])


@pytest.mark.parametrize(
    "number", [DIGITS, f"0x{DIGITS}", f"0b{'1' * 40_000}", f"1{':0' * 10_000}", f"[1, 0x{DIGITS}]"]
)
@pytest.mark.parametrize("field", ["about", "unknown", "heldout_fraction"])
def test_a_number_of_thousands_of_digits_is_a_problem(tmp_path: Path, field: str, number: str) -> None:
    file = tmp_path / "tides.yaml"
    file.write_text(f"{GOOD}{field}: {number}\n")
    with pytest.raises(
        PromptError, match=r"quote it if it is text|a number of some|digits|not a number to base 10"
    ) as caught:
        load_prompt(file)
    assert len(str(caught.value)) < 1000


@pytest.mark.parametrize("lines", [f"training: {{seeds: 0x{DIGITS}}}\n", f"keep: {{fraction: 1{'0' * 400}.0}}\n"])
def test_a_number_that_no_computer_holds_is_a_problem_where_it_stands(tmp_path: Path, lines: str) -> None:
    file = tmp_path / "tides.yaml"
    file.write_text(GOOD + lines)
    with pytest.raises(PromptError, match=r"training\.seeds|keep"):
        load_prompt(file)


def test_many_unknown_fields_are_counted(tmp_path: Path) -> None:
    file = tmp_path / "tides.yaml"
    file.write_text(GOOD + "".join(f"field{number}: 1\n" for number in range(60_000)))
    began = time.monotonic()
    with pytest.raises(PromptError, match="and 59,980 more; correct these first") as caught:
        load_prompt(file)
    assert time.monotonic() - began < 3 * SECONDS
    assert len(caught.value.problems) == MAX_PROBLEMS + 1
    assert len(str(caught.value)) < 20_000


def test_many_values_that_json_cannot_hold_are_counted(tmp_path: Path) -> None:
    file = tmp_path / "tides.yaml"
    file.write_text(f"{GOOD}about: [{'.nan, ' * 5000}1]\n")
    with pytest.raises(PromptError, match="and 4,980 more"):
        load_prompt(file)


@pytest.mark.parametrize(
    "text",
    [
        "://" + ":" * 900_000,
        "?key" * 200_000,
        "'key" * 200_000,
        "?" * 900_000,
        "https://" * 100_000,
        "'key': \"" * 90_000,
    ],
    ids=["colons", "queries", "quotes", "marks", "schemes", "pairs"],
)
def test_secrets_are_looked_for_in_a_time_that_grows_with_the_text(text: str) -> None:
    began = time.monotonic()
    hide_secrets(text)
    without_secrets_or_not(text)
    assert time.monotonic() - began < SECONDS


def without_secrets_or_not(address: str) -> bool:
    try:
        without_secrets(address)
    except ValueError:
        return False
    return True


NAMES = st.text("abz.-_", min_size=1, max_size=8)


@given(NAMES, NAMES, st.sampled_from(["key", "api_token", "X-Secret", "passwd"]))
def test_secrets_are_still_found(host: str, value: str, name: str) -> None:
    secret = f"planted{value}"
    for address in (
        f"https://me:{secret}@{host}/x",
        f"s3://{secret}:x@{host}",
        f"https://{secret}@{host}",
        f"https://{host}/f?{name}={secret}",
        f"https://{host}/f?a=1&x{name}y={secret}&b=2",
        f"https://{host}/f?a?{name}={secret}",
        f"ftp://a:b:{secret}@{host}",
    ):
        assert not without_secrets_or_not(address), address
        assert secret not in hide_secrets(address), address
    assert secret not in hide_secrets(repr({f"my{name}": secret, "other": 1}))


EXITS = {
    "at import": "raise SystemExit(3)",
    "another way": "class Stop(BaseException): pass\nraise Stop('enough')",
    "when made": (
        "class P:\n    answers = ('1',)\n    def __init__(self): raise SystemExit('bye')\n"
        "    def parse(self, reply): ..."
    ),
    "when it reads": "import sys\nclass P:\n    answers = ('1',)\n    def parse(self, reply): sys.exit(4)",
    "when it reads its answers": (
        "import sys\nfrom datashop_assets.protocols.processor import Parsed\nclass P:\n    answers = ('1',)\n"
        "    def parse(self, reply): return sys.exit(4) if reply else Parsed(None, 'empty')"
    ),
}


@pytest.mark.parametrize("source", EXITS.values(), ids=EXITS)
def test_a_processor_that_exits_is_a_problem_of_its_prompt(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str, request: pytest.FixtureRequest
) -> None:
    module = f"exits_{abs(hash(request.node.name))}"
    (tmp_path / f"{module}.py").write_text(source)
    monkeypatch.syspath_prepend(str(tmp_path))
    folder = tmp_path / "prompts"
    folder.mkdir()
    (folder / "bad.yaml").write_text(f"{GOOD}processor: {{type: '{module}:P'}}\n")
    (folder / "tides.yaml").write_text(GOOD)
    store = PromptStore(folder, Root(str(tmp_path / "root")))
    assert store.slugs() == ["tides"]
    assert f"{module}:P" in str(store.problems()["bad"])
    sys.modules.pop(module, None)


def test_ctrl_c_is_no_fault_of_a_processor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "interrupted.py").write_text("raise KeyboardInterrupt")
    monkeypatch.syspath_prepend(str(tmp_path))
    file = tmp_path / "bad.yaml"
    file.write_text(f"{GOOD}processor: {{type: 'interrupted:P'}}\n")
    with pytest.raises(KeyboardInterrupt):
        load_prompt(file)
