"""`datashop prune`: what it lists, what it removes, and what it never touches."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import dagster as dg
import pytest
from click.testing import CliRunner, Result

from datashop_assets.cli import main
from datashop_assets.orchestration.assets import PROMPTS
from datashop_assets.orchestration.home import home_folder, use_home
from datashop_assets.settings import read_settings
from datashop_assets.storage.folders import Folder
from datashop_assets.storage.leases import Owner, lease
from datashop_assets_tests.orchestration.workshop import Workshop

MADE_AGAIN = [
    "blind_test",
    "data_card",
    "evaluation",
    "filtered_pool",
    "matched_lm",
    "trained_lm",
]  # after an edit of `keep`


@pytest.fixture
def workshop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workshop:
    made = Workshop(tmp_path)
    for name, value in made.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("datashop_assets.storage.leases.BEATS", 0.05)
    monkeypatch.setattr("datashop_assets.storage.leases.EXPIRES", 0.5)
    return made


@pytest.fixture
def edited(workshop: Workshop) -> Workshop:
    """A prompt that was finished, edited, and finished again."""
    for fraction in (0.1, 0.2):
        workshop.write("numbers", keep={"fraction": fraction})
        workshop.finish("numbers")
    return workshop


def prune(*options: str) -> Result:
    done = CliRunner().invoke(main, ["prune", *options])
    assert done.exit_code == 0, done.output
    return done


def listed() -> dict[str, list[str]]:
    """Kind -> places under the root, of what is listed."""
    found = json.loads(prune("--json").stdout)
    assert found["bytes"] == sum(one["bytes"] for one in found["waste"])
    kinds: dict[str, list[str]] = {}
    for one in found["waste"]:
        kinds.setdefault(one["kind"], []).append(one["place"].partition("/root/")[2])
    return kinds


@contextmanager
def dagster_instance() -> Iterator[dg.DagsterInstance]:
    use_home(home_folder(read_settings()))
    with dg.DagsterInstance.get() as instance:
        yield instance


def stages(workshop: Workshop) -> set[str]:
    return {str(path) for path in Path(workshop.store.root.uri).glob("stages/*/*")}


def test_stages_of_an_older_version_are_listed_with_their_size_and_removed_when_asked(edited: Workshop) -> None:
    needed = {planned.folder.uri for planned in edited.plan("numbers").values()}
    old = stages(edited) - needed
    assert sorted(place.split("/")[1] for place in listed()["stage"]) == MADE_AGAIN
    said = prune().stdout
    assert "Nothing was removed" in said
    assert all(place in said for place in old)
    assert stages(edited) == needed | old
    assert "freed" in prune("--yes").stdout
    assert stages(edited) == needed
    assert listed() == {}
    assert "There is nothing that no prompt needs." in prune().stdout


def test_what_another_prompt_names_is_kept(edited: Workshop) -> None:
    old = next(place for place in listed()["stage"] if place.startswith("stages/filtered_pool/"))
    edited.write("reads-it", pretraining_pool=f"{edited.store.root.uri}/{old}/*.jsonl", automatic=False)
    (edited.place / "root" / old / "a.jsonl").write_text('{"id": "a", "text": "a"}\n')
    assert old not in listed()["stage"]


def test_nothing_is_listed_while_a_prompt_cannot_be_read(edited: Workshop) -> None:
    edited.write("broken", rubric="no example")
    done = CliRunner().invoke(main, ["prune", "--yes"])
    assert done.exit_code == 2
    assert "what these prompts need is not known, so nothing is removed" in done.output
    assert "broken.yaml" in done.output
    assert len(stages(edited)) == len(edited.plan("numbers")) + len(MADE_AGAIN)


def test_what_is_kept_of_a_prompt_that_is_gone_goes_with_its_partition(workshop: Workshop) -> None:
    for slug in ("numbers", "gone"):
        workshop.write(slug)
        workshop.finish(slug)
    with dagster_instance() as instance:
        instance.add_dynamic_partitions(PROMPTS.name, ["gone", "numbers"])
    (workshop.place / "prompts" / "gone.yaml").unlink()
    assert listed()["records"] == ["prompts/gone"]
    assert "partitions of Dagster without a prompt: gone" in prune("--yes").stdout
    assert not (workshop.place / "root" / "prompts" / "gone").exists()
    assert workshop.store.root.stages_made("numbers") == set(workshop.plan("numbers"))
    with dagster_instance() as instance:
        assert instance.get_dynamic_partitions(PROMPTS.name) == ["numbers"]


def test_pointers_and_verdicts_of_steps_that_a_prompt_no_longer_asks_for_are_removed(workshop: Workshop) -> None:
    workshop.write("numbers")
    workshop.finish("numbers")
    records = workshop.store.root.prompt("numbers")
    records.write("made/keep_certificate", b"0" * 32)
    records.write("checks/keep_certificate", b"{}")
    assert listed()["records"] == ["prompts/numbers"]
    prune("--yes")
    assert not [name for name in records.names() if name.endswith("/keep_certificate")]
    assert workshop.store.root.stages_made("numbers") == set(workshop.plan("numbers"))


def test_scratch_of_what_goes_on_is_kept_and_other_scratch_is_not(workshop: Workshop) -> None:
    workshop.write("numbers")
    workshop.finish("numbers", "rubric")
    root, planned = workshop.store.root, workshop.plan("numbers")
    places = {name: root.scratch(name, planned[name].digest) for name in ("rubric", "encoder")}
    places["unknown"] = root.scratch("encoder", "0" * 32)
    for place in places.values():
        (place / "checkpoint").mkdir(parents=True)
        (place / "checkpoint" / "weights").write_bytes(b"0" * 1000)
    wanted = {str(places[name].relative_to(root.uri)) for name in ("rubric", "unknown")}
    assert set(listed()["scratch"]) == wanted
    prune("--yes")
    assert {name for name, place in places.items() if place.exists()} == {"encoder"}


def test_what_was_set_aside_as_damaged_is_removed(workshop: Workshop) -> None:
    workshop.write("numbers")
    root = workshop.store.root
    root.damaged.child("encoder", f"{'0' * 32}-20260101T000000").write("manifest.json", b"{")
    root.answers.child("1" * 32).write("damaged/part.jsonl.zst", b"{")
    root.answers.child("1" * 32).write("part.jsonl.zst", b"whole")
    assert [place.split("/")[0] for place in listed()["damaged"]] == ["damaged", "answers"]
    prune("--yes")
    assert (root.damaged.folders(), root.answers.child("1" * 32).names()) == (["encoder"], ["part.jsonl.zst"])
    assert listed() == {}


def test_what_a_living_owner_has_leased_is_left_alone_with_all_of_its_prompt(edited: Workshop) -> None:
    old = Folder(f"{edited.store.root.uri}/{listed()['stage'][0]}")
    edited.write("gone")
    edited.store.root.record_made("gone", *old.uri.split("/")[-2:])
    (edited.place / "prompts" / "gone.yaml").unlink()
    with lease(old, "gone"):
        found = json.loads(prune("--json").stdout)
        assert old.uri in found["in_use"]
        assert "for 'gone'" in found["in_use"][old.uri]
        assert not [one for one in found["waste"] if one["place"] in (old.uri, edited.store.root.prompt("gone").uri)]
        prune("--yes")
        assert old.exists("manifest.json")
    prune("--yes")
    assert not old.exists("manifest.json")


def test_the_lease_of_a_dead_owner_keeps_nothing(edited: Workshop) -> None:
    old = Folder(f"{edited.store.root.uri}/{listed()['stage'][0]}")
    old.write("lease.json", Owner(id="x", machine="elsewhere ", process=1, prompt="gone").model_dump_json().encode())
    done = prune("--yes")
    assert "1 stages have a lease: watching" in done.stderr
    assert not Path(old.uri).exists()


def test_what_somebody_begins_to_make_while_it_is_removed_is_left(
    edited: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    from datashop_assets import pruning

    found = pruning.find_waste(edited.deployment)
    first = found.waste[0].folder
    begun, said = threading.Event(), list[str]()

    def make() -> None:
        with lease(first):
            begun.set()
            threading.Event().wait(1)

    maker = threading.Thread(target=make)
    maker.start()
    begun.wait()
    pruning.remove(found, said.append)
    maker.join()
    assert said == [f"left {first.uri}, which is in use now"]
    assert first.exists("manifest.json")


def test_what_a_run_that_goes_on_has_made_is_left_alone(edited: Workshop) -> None:
    edited.write("numbers", keep={"fraction": 0.3})
    assert len(listed()["stage"]) == 2 * len(MADE_AGAIN)
    with dagster_instance() as instance:
        job = dg.GraphDefinition("job", node_defs=[]).to_job()
        run = instance.create_run_for_job(job, tags=dict(PROMPTS.get_tags_for_partition_key("numbers")))
        assert len(listed()["stage"]) == len(MADE_AGAIN), "what the run made last is needed by what it makes next"
        instance.report_run_failed(run)
    assert len(listed()["stage"]) == 2 * len(MADE_AGAIN)


def test_older_versions_of_a_prompt_are_removed_and_the_present_one_is_kept(workshop: Workshop) -> None:
    from datashop_assets.prompts.versions import Pin, PromptVersions

    versions = PromptVersions(workshop.store.root, "numbers")
    for rubric in ("A {example}", "B {example}"):
        workshop.write("numbers", rubric=rubric)
        version = versions.keep(workshop.store.load("numbers"))
        versions.pin(f"run-{version[:4]}", Pin(version=version, steps={}))
    assert len(workshop.store.root.prompt("numbers").names()) == 4
    prune("--yes")
    assert workshop.store.root.prompt("numbers").names() == [f"versions/{version}.json"]


@pytest.mark.parametrize(
    ("count", "said"),
    [(0, "0 bytes"), (999, "999 bytes"), (1000, "1.0 kB"), (2_500_000, "2.5 MB"), (10**16, "10000.0 TB")],
)
def test_sizes_are_said_for_people(count: int, said: str) -> None:
    from datashop_assets.commands.prune import size

    assert size(count) == said
