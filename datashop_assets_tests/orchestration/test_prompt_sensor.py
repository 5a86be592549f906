"""What the prompt sensor asks for, tick by tick, with the real instance that a daemon would use."""

from collections.abc import Sequence

import dagster as dg
import pytest

from datashop_assets.definitions import definitions
from datashop_assets.graph import GRAPH
from datashop_assets.orchestration import reporting
from datashop_assets.orchestration.assets import PROMPTS
from datashop_assets.orchestration.launching import _origin
from datashop_assets.orchestration.pinning import VERSION
from datashop_assets.orchestration.sensor import SENSOR, prompt_sensor
from datashop_assets.prompts.versions import PromptVersions, version_of
from datashop_assets_tests.environment import settings_of
from datashop_assets_tests.orchestration.dagster_internals import (
    INPUT_DATA_VERSION_TAG_PREFIX,
    INPUT_EVENT_POINTER_TAG_PREFIX,
    NULL_EVENT_POINTER,
    CachingStaleStatusResolver,
    LoadingContextForTest,
    StaleStatus,
)
from datashop_assets_tests.orchestration.workshop import LIKELIHOOD, Workshop

SECOND_RATE = ("control_lm_second_rate", "matched_lm_second_rate", "trained_lm_second_rate", "sensitivity")
OPTIONAL = ("pool_embeddings", "keep_certificate", *SECOND_RATE)  # that the prompt of the tests does not ask for
ALL = [name for name in GRAPH.names if name not in OPTIONAL]


class Daemon:
    """Ticks as Dagster's daemon does: partitions first, then runs by unused keys, then the cursor."""

    def __init__(self, workshop: Workshop, instance: dg.DagsterInstance) -> None:
        self.workshop, self.instance = workshop, instance
        self.cursor: str | None = None
        self.used: list[str] = []

    def tick(self, dies_before: str = "") -> list[tuple[str, list[str]]]:
        """Evaluates once and returns the runs that start: (prompt, stages)."""
        result = self.evaluate()
        if dies_before == "partitions":
            return []
        for request in result.dynamic_partitions_requests or []:
            self.instance.add_dynamic_partitions(request.partitions_def_name, list(request.partition_keys))
        if dies_before == "runs":
            return []
        started = [run for run in result.run_requests or [] if run.run_key not in self.used]
        self.used += [run.run_key for run in started]
        if dies_before != "cursor":
            self.cursor = result.cursor
        return [(run.partition_key, [key.to_user_string() for key in run.asset_selection]) for run in started]

    def evaluate(self) -> dg.SensorResult:
        resources = {"storage": self.workshop.store, "annotator": self.workshop.deployment.annotator}
        with dg.build_sensor_context(instance=self.instance, cursor=self.cursor, resources=resources) as context:
            result = prompt_sensor(GRAPH)(context)
        assert isinstance(result, dg.SensorResult)
        return result

    def evaluate_and_keep(self) -> dg.SensorResult:
        """Evaluates once and saves the cursor."""
        result = self.evaluate()
        self.cursor = result.cursor
        return result

    def reported(self) -> list[tuple[str, dg.AssetMaterialization]]:
        """Evaluates once; what it reports as materialized: step and event, in order."""
        before = self._last()
        self.evaluate_and_keep()
        found = []
        for name in GRAPH.names:
            wanted = dg.AssetRecordsFilter(asset_key=dg.AssetKey(name), after_storage_id=before)
            for record in self.instance.fetch_materializations(wanted, limit=10).records:
                assert record.asset_materialization is not None
                found.append((record.storage_id, record.asset_materialization))
        return [(event.asset_key.to_user_string(), event) for _, event in sorted(found, key=lambda one: one[0])]

    def _last(self) -> int:
        """The number of the latest event of all."""
        return max((record.storage_id for name in GRAPH.names for record in self._records(name)), default=0)

    def _records(self, name: str) -> Sequence[dg.EventLogRecord]:
        return self.instance.fetch_materializations(dg.AssetKey(name), limit=1).records

    @property
    def partitions(self) -> list[str]:
        return sorted(self.instance.get_dynamic_partitions(PROMPTS.name))


@pytest.fixture
def daemon(workshop: Workshop, instance: dg.DagsterInstance) -> Daemon:
    return Daemon(workshop, instance)


@pytest.fixture
def stored(workshop: Workshop, stored_instance: dg.DagsterInstance) -> Daemon:
    return Daemon(workshop, stored_instance)


def test_a_new_prompt_gets_a_partition_and_a_run_of_everything(daemon: Daemon) -> None:
    daemon.workshop.write("numbers")
    assert daemon.tick() == [("numbers", ALL)]
    assert daemon.partitions == ["numbers"]


def test_the_same_state_starts_nothing_twice(daemon: Daemon) -> None:
    daemon.workshop.write("numbers")
    daemon.tick()
    assert daemon.tick() == []


def test_a_prompt_that_is_not_automatic_gets_a_partition_and_no_run(daemon: Daemon) -> None:
    daemon.workshop.write("numbers", automatic=False)
    assert daemon.tick() == []
    assert daemon.partitions == ["numbers"]


def test_nothing_starts_for_what_is_finished(daemon: Daemon) -> None:
    daemon.workshop.write("numbers")
    daemon.workshop.finish("numbers")
    assert daemon.tick() == []
    assert "Nothing to do" in (daemon.evaluate().skip_reason.skip_message or "")


def test_only_what_is_missing_or_stale_is_asked_for(daemon: Daemon) -> None:
    daemon.workshop.write("numbers", keep={"fraction": 0.1})
    daemon.workshop.finish("numbers")
    daemon.tick()
    daemon.workshop.write("numbers", keep={"fraction": 0.2})
    assert daemon.tick() == [
        ("numbers", ["filtered_pool", "blind_test", "matched_lm", "trained_lm", "evaluation", "data_card"])
    ]


@pytest.mark.parametrize("moment", ["partitions", "runs", "cursor"])
def test_a_daemon_that_dies_in_a_tick_loses_no_prompt_and_starts_none_twice(daemon: Daemon, moment: str) -> None:
    daemon.workshop.write("numbers")
    runs = daemon.tick(dies_before=moment) + daemon.tick() + daemon.tick()
    assert runs == [("numbers", ALL)]
    assert daemon.partitions == ["numbers"]


def test_an_edit_taken_back_is_made_again_when_its_first_run_came_to_nothing(daemon: Daemon) -> None:
    runs = []
    for rubric in ("A {example}", "B {example}", "A {example}"):
        daemon.workshop.write("numbers", rubric=rubric)
        runs += daemon.tick()
    assert len(runs) == 3
    assert len(set(daemon.used)) == 3


def test_an_edit_taken_back_to_what_is_finished_starts_nothing(daemon: Daemon) -> None:
    daemon.workshop.write("numbers", rubric="A {example}")
    daemon.tick()
    daemon.workshop.finish("numbers")
    daemon.workshop.write("numbers", rubric="B {example}")
    assert len(daemon.tick()) == 1
    daemon.workshop.write("numbers", rubric="A {example}")
    assert daemon.tick() == []
    daemon.workshop.write("numbers", rubric="B {example}")
    assert len(daemon.tick()) == 1, "B was asked for once and is still not there"


def test_a_failed_run_is_left_to_retries_until_the_prompt_is_edited(daemon: Daemon) -> None:
    daemon.workshop.write("numbers")
    daemon.tick()
    daemon.workshop.finish("numbers", "pretraining_pool", "annotation_sample")  # then the run failed
    assert daemon.tick() == []
    daemon.workshop.write("numbers", rubric="Better: {example}")
    (prompt, stages), *others = daemon.tick()
    assert (prompt, others) == ("numbers", [])
    assert stages == [name for name in ALL if name not in ("pretraining_pool", "annotation_sample")]


def test_results_that_were_removed_are_made_again(daemon: Daemon) -> None:
    daemon.workshop.write("numbers")
    daemon.tick()
    daemon.workshop.finish("numbers")
    daemon.tick()
    daemon.workshop.plan("numbers")["evaluation"].folder.remove()
    assert daemon.tick() == [("numbers", ["evaluation"])]


def test_a_bad_file_is_named_and_the_others_go_on(daemon: Daemon) -> None:
    daemon.workshop.write("numbers")
    daemon.workshop.write("broken", rubric="no example")
    daemon.workshop.write("adrift", pretraining_pool="/nowhere/at/all.jsonl")
    assert daemon.tick() == [("numbers", ALL)]
    daemon.workshop.finish("numbers")
    said = daemon.evaluate().skip_reason.skip_message or ""
    assert "broken.yaml" in said
    assert "adrift" in said
    assert daemon.partitions == ["adrift", "numbers"]


def test_the_daemon_accepts_the_tick(workshop: Workshop, stored_instance: dg.DagsterInstance) -> None:
    workshop.write("numbers")
    repository = definitions(settings_of({}), storage=workshop.store).get_repository_def()
    reference = stored_instance.get_ref()
    resources = {"storage": workshop.store, "annotator": workshop.deployment.annotator}
    with dg.build_sensor_context(
        instance_ref=reference, instance=stored_instance, repository_def=repository, resources=resources
    ) as context:
        tick = prompt_sensor(GRAPH).evaluate_tick(context)
    (request,) = tick.run_requests or []
    assert request.partition_key == "numbers"
    assert request.tags["dagster/partition"] == "numbers"


def test_a_prompt_file_is_observed_once_for_each_of_its_versions(daemon: Daemon) -> None:
    versions = []
    for rubric in ("A {example}", "A {example}", "B {example}"):
        daemon.workshop.write("numbers", rubric=rubric)
        daemon.evaluate_and_keep()
        records = daemon.instance.fetch_observations(dg.AssetKey("prompt_file"), limit=10).records
        versions.append([one.asset_observation.tags["dagster/data_version"] for one in records])
    assert [len(set(seen)) for seen in versions] == [len(seen) for seen in versions] == [1, 1, 2]


def test_events_say_what_they_were_made_from_in_dagsters_own_tags() -> None:
    assert reporting.INPUT_VERSION == INPUT_DATA_VERSION_TAG_PREFIX
    assert reporting.INPUT_EVENT == INPUT_EVENT_POINTER_TAG_PREFIX
    assert reporting.NONE_YET == NULL_EVENT_POINTER


def test_what_was_made_elsewhere_is_reported_as_reused(daemon: Daemon) -> None:
    daemon.workshop.write("numbers")
    daemon.workshop.finish("numbers")
    reported = daemon.reported()
    planned = daemon.workshop.plan("numbers")
    assert [(name, event.tags["dagster/data_version"]) for name, event in reported] == [
        (name, planned[name].digest if name in planned else "not requested") for name in GRAPH.names
    ]
    made = [event for name, event in reported if name in planned]
    assert all(event.metadata["reused"].value is True and event.partition == "numbers" for event in made)
    assert daemon.reported() == []


def test_a_step_that_a_prompt_does_not_ask_for_is_reported_before_anything_is_made(daemon: Daemon) -> None:
    """Dagster warns before it materializes what stands downstream of a step that was never materialized."""
    daemon.workshop.write("numbers")
    reported = dict(daemon.reported())
    assert set(reported) == set(GRAPH.names) - set(daemon.workshop.plan("numbers"))
    assert {event.metadata["requested"].value for event in reported.values()} == {False}
    assert "sensitivity" in reported
    assert unsynced(daemon) == []


def test_dagster_calls_unsynced_what_an_edit_makes_another_and_nothing_else(daemon: Daemon) -> None:
    daemon.workshop.write("numbers", keep={"fraction": 0.1})
    daemon.workshop.finish("numbers")
    assert unsynced(daemon) == []
    daemon.workshop.write("numbers", keep={"fraction": 0.2})
    again = ["filtered_pool", "blind_test", "matched_lm", "trained_lm", "evaluation", "data_card"]
    assert unsynced(daemon) == again == daemon.workshop.to_do("numbers")
    daemon.workshop.finish("numbers", *again)
    reported = daemon.reported()
    assert [name for name, event in reported if "reused" in event.metadata] == again
    assert {name for name, event in reported if "requested" in event.metadata}.isdisjoint(
        daemon.workshop.plan("numbers")
    )
    assert unsynced(daemon) == []


def test_nothing_is_reported_of_a_prompt_while_a_run_of_it_goes_on(daemon: Daemon) -> None:
    daemon.workshop.write("numbers")
    daemon.workshop.finish("numbers")
    tags = dict(PROMPTS.get_tags_for_partition_key("numbers"))
    job = dg.GraphDefinition("job", node_defs=[]).to_job()
    run = daemon.instance.create_run_for_job(job, tags=tags)
    assert daemon.reported() == []
    daemon.instance.report_run_failed(run)
    assert daemon.reported() != []


def test_a_damaged_output_is_reported_by_the_check_usable_and_again_when_it_is_whole(daemon: Daemon) -> None:
    daemon.workshop.write("numbers")
    daemon.workshop.finish("numbers")
    daemon.evaluate_and_keep()
    folder = daemon.workshop.plan("numbers")["encoder"].folder
    whole = folder.read("manifest.json")
    folder.write("manifest.json", whole[:50])
    (damaged,) = usable(daemon.evaluate_and_keep())
    assert (damaged.asset_key, damaged.check_name, damaged.passed) == (dg.AssetKey("encoder"), "usable", False)
    assert f"numbers: damaged: {folder.uri}/manifest.json cannot be read" in (damaged.description or "")
    folder.write("manifest.json", whole)
    (again,) = usable(daemon.evaluate_and_keep())
    assert again.passed


def test_a_stale_output_is_reported_by_the_check_usable(daemon: Daemon) -> None:
    daemon.workshop.write("numbers", keep={"fraction": 0.1})
    daemon.workshop.finish("numbers")
    daemon.evaluate_and_keep()
    daemon.workshop.write("numbers", keep={"fraction": 0.2})
    said = {one.asset_key.to_user_string(): one.description for one in usable(daemon.evaluate_and_keep())}
    assert list(said) == ["filtered_pool", "blind_test", "matched_lm", "trained_lm", "evaluation", "data_card"]
    assert said["filtered_pool"] == (
        "numbers: stale: the prompt, its sources or the code changed, or it was removed; `datashop run numbers` makes "
        "it again"
    )


def test_shared_stages_of_a_second_prompt_are_reported_as_reused_for_it(daemon: Daemon) -> None:
    daemon.workshop.write("numbers")
    daemon.workshop.finish("numbers")
    daemon.evaluate_and_keep()
    daemon.workshop.write("second", rubric="Another {example}")
    shared = [name for name, one in daemon.workshop.plan("second").items() if one.usable]
    assert {"pretraining_pool", "pool_tokens", "control_lm"} <= set(shared)
    reported = daemon.reported()
    assert [name for name, event in reported if "reused" in event.metadata] == shared
    assert all(event.partition == "second" for _, event in reported)
    assert {name for name, event in reported if "requested" in event.metadata} == set(GRAPH.names) - set(
        daemon.workshop.plan("second")
    )


def test_what_is_wrong_with_one_prompt_is_said_again_after_a_run_of_another(daemon: Daemon) -> None:
    """A run evaluates the check `usable` for its own prompt, and Dagster shows the latest evaluation."""
    daemon.workshop.write("numbers")
    daemon.workshop.finish("numbers")
    folder = daemon.workshop.plan("numbers")["encoder"].folder
    folder.write("manifest.json", folder.read("manifest.json")[:50])

    def tick() -> list[tuple[str, bool]]:
        found = usable(daemon.evaluate_and_keep())
        for one in found:
            daemon.instance.report_runless_asset_event(one)
        return [(one.asset_key.to_user_string(), one.passed) for one in found]

    assert tick() == [("encoder", False)]
    assert tick() == []
    of_another = dg.AssetCheckEvaluation(
        dg.AssetKey("encoder"), "usable", passed=True, metadata={}, description="it is"
    )
    daemon.instance.report_runless_asset_event(of_another)
    assert tick() == [("encoder", False)]
    assert tick() == []


def test_a_run_is_asked_for_one_version_of_the_prompt_which_is_kept(daemon: Daemon) -> None:
    daemon.workshop.write("numbers", rubric="A {example}")
    (request,) = daemon.evaluate().run_requests or []
    daemon.workshop.write("numbers", rubric="B {example}")
    kept = PromptVersions(daemon.workshop.store.root, "numbers").load(request.tags[VERSION])
    assert kept.rubric == "A {example}"


def queued(daemon: Daemon, by_sensor: bool = True, **tags: str) -> str:
    """A run of the prompt as it is now, which waits in the queue as a daemon leaves it."""
    job = dg.GraphDefinition("job", node_defs=[]).to_job()
    (request,) = daemon.evaluate_and_keep().run_requests or []
    given = {**request.tags, **PROMPTS.get_tags_for_partition_key("numbers"), **tags}
    given |= {"dagster/sensor_name": SENSOR} if by_sensor else {}
    origin = _origin()
    queued = dg.DagsterRunStatus.QUEUED
    return daemon.instance.create_run_for_job(job, tags=given, status=queued, remote_job_origin=origin).run_id


def status(daemon: Daemon, run_id: str) -> dg.DagsterRunStatus:
    run = daemon.instance.get_run_by_id(run_id)
    assert run is not None
    return run.status


def test_an_edit_cancels_the_run_that_the_sensor_started_and_asks_for_another(stored: Daemon) -> None:
    stored.workshop.write("numbers", rubric="A {example}")
    run = queued(stored)
    stored.evaluate_and_keep()
    assert status(stored, run) is dg.DagsterRunStatus.QUEUED
    stored.workshop.write("numbers", rubric="B {example}")
    (request,) = stored.evaluate_and_keep().run_requests or []
    assert status(stored, run) is dg.DagsterRunStatus.CANCELED
    said = [str(entry.dagster_event) for entry in stored.instance.all_logs(run)]
    assert any("The prompt file was edited: a run of it as it is now takes this one's place." in one for one in said)
    assert request.tags[VERSION] == version_of(stored.workshop.store.load("numbers"))


def test_an_edit_that_changes_no_digest_supersedes_a_run_too(stored: Daemon) -> None:
    """As of a gate or a budget: the run that goes on would judge by the old ones."""
    stored.workshop.write("numbers")
    run = queued(stored)
    stored.workshop.write("numbers", annotator={"likelihood": LIKELIHOOD, "budget": {"tokens": 500}})
    before = stored.cursor
    result = stored.evaluate_and_keep()
    assert status(stored, run) is dg.DagsterRunStatus.CANCELED
    stored.cursor = before  # of a daemon that died before it saved it
    again = stored.evaluate_and_keep()
    assert [one.run_key for one in again.run_requests or []] == [one.run_key for one in result.run_requests or []] != []


def test_a_prompt_that_is_no_longer_automatic_stops_what_the_sensor_started(stored: Daemon) -> None:
    stored.workshop.write("numbers")
    run = queued(stored)
    stored.workshop.write("numbers", automatic=False)
    assert not stored.evaluate_and_keep().run_requests
    assert status(stored, run) is dg.DagsterRunStatus.CANCELED


@pytest.mark.parametrize("kind", ["a person's", "a person's repetition", "of a file that is gone", "of a broken file"])
def test_no_other_run_is_cancelled(stored: Daemon, kind: str) -> None:
    stored.workshop.write("numbers", rubric="A {example}")
    tags = {"dagster/parent_run_id": "an older one"} if kind == "a person's repetition" else {}
    run = queued(stored, by_sensor=kind != "a person's", **tags)
    if kind == "of a file that is gone":
        (stored.workshop.place / "prompts" / "numbers.yaml").unlink()
    else:
        stored.workshop.write("numbers", rubric="nothing" if kind == "of a broken file" else "B {example}")
    stored.evaluate_and_keep()
    assert status(stored, run) is dg.DagsterRunStatus.QUEUED


def test_a_retry_of_a_superseded_run_is_cancelled(stored: Daemon) -> None:
    stored.workshop.write("numbers", rubric="A {example}")
    run = queued(stored, **{"dagster/parent_run_id": "the first", "dagster/retry_number": "1"})
    stored.workshop.write("numbers", rubric="B {example}")
    stored.evaluate_and_keep()
    assert status(stored, run) is dg.DagsterRunStatus.CANCELED


def usable(result: dg.SensorResult) -> list[dg.AssetCheckEvaluation]:
    return [event for event in result.asset_events if isinstance(event, dg.AssetCheckEvaluation)]


def unsynced(daemon: Daemon) -> list[str]:
    """After a tick, the steps that Dagster's UI shows as unsynced for the prompt `numbers`."""
    daemon.tick()
    resolver = CachingStaleStatusResolver(
        daemon.instance, definitions(settings_of({})).resolve_asset_graph(), LoadingContextForTest(daemon.instance)
    )
    return [name for name in GRAPH.names if resolver.get_status(dg.AssetKey(name), "numbers") is StaleStatus.STALE]
