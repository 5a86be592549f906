"""A prompt folder, a root and a few documents, small enough that planning and the first stages take no time."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dagster as dg
import orjson
import yaml

from datashop_assets.core.checks import CheckRecord, keep_results, record_key
from datashop_assets.core.plan import Plan, PlannedStep
from datashop_assets.core.step import CheckResult, config_json
from datashop_assets.deployment import Deployment
from datashop_assets.graph import GRAPH, plan
from datashop_assets.orchestration.assets import PARTITIONS, assets, prompt_file
from datashop_assets.orchestration.prompts_compared import prompts_compared
from datashop_assets.prompts.store import PromptStore
from datashop_assets.protocols.annotator import Annotator, ModelNames
from datashop_assets.protocols.compute import Compute
from datashop_assets.storage.manifest import Manifest, content_digest
from datashop_assets.storage.root import Root
from datashop_assets.storage.stage_writer import StageWriter
from resources.annotator.names import ModelNamesOf
from resources.compute import LocalCompute
from resources.progress import RunLogProgress

ASSETS: list[Any] = [prompt_file, *assets(GRAPH), prompts_compared]  # the product's, where no cards are served
LIKELIHOOD = {"question": "{example} What is it about?", "answer_begins": "It is about", "targets": ["mathematics"]}


@dataclass(frozen=True)
class Workshop:
    place: Path

    @property
    def store(self) -> PromptStore:
        return PromptStore(self.place / "prompts", Root(str(self.place / "root")))

    @property
    def deployment(self) -> Deployment:
        """As the environment gives it where nothing is set: with the embedded annotator at hand."""
        return Deployment(self.store, ModelNamesOf("embedded"))

    @property
    def environment(self) -> dict[str, str]:
        """What a command needs to work here."""
        home = str(self.place / "home")
        return {"DATASHOP_ROOT": self.store.root.uri, "DATASHOP_PROMPTS": str(self.store.folder), "DAGSTER_HOME": home}

    def write(self, slug: str, **changes: Any) -> Path:
        """A prompt file over this workshop's documents; `changes` replace its fields."""
        fields = {
            "name": slug,
            "rubric": "Score {example}",
            "pretraining_pool": str(self.documents()),
            "annotation_sample": str(self.documents()),
            "annotator": {"likelihood": LIKELIHOOD},
        }
        path = self.place / "prompts" / f"{slug}.yaml"
        path.parent.mkdir(exist_ok=True)
        path.write_text(yaml.safe_dump({**fields, **changes}), encoding="utf-8")
        return path

    def documents(self) -> Path:
        path = self.place / "documents.jsonl"
        if not path.exists():
            rows = [{"id": f"d{n}", "text": f"Text number {n} about the sum of {n} and {n + 1}."} for n in range(200)]
            path.write_bytes(b"\n".join(orjson.dumps(row) for row in rows))
        return path

    def plan(self, slug: str, annotator: ModelNames | None = None) -> Plan:
        return plan(self.store.load(slug), self.store.root, annotator)

    def to_do(self, slug: str) -> list[str]:
        return self.plan(slug).to_do()

    def finish(self, slug: str, *stages: str) -> None:
        """Puts finished, empty stages in place (all of them where none is named), whose checks have passed."""
        planned = self.plan(slug)
        for name in stages or planned:
            self.put(slug, name)
            one = planned[name]
            passed = {check.name: CheckResult(passed=True, description="") for check in one.step.checks}
            key = record_key(one.step, planned.prompt, one.output.manifest.content_digest)
            record = CheckRecord(key=key, read={}, results=passed)
            keep_results(one.step, planned.prompt, planned.root, record)

    def put(self, slug: str, name: str, metrics: dict[str, Any] | None = None, **shards: Any) -> None:
        """Puts a finished stage in place that holds the given shards: name without ending -> (rows, schema)."""
        planned = self.plan(slug)[name]
        writer = StageWriter(planned.folder, self.place / "scratch")
        for shard, (rows, schema) in shards.items():
            writer.write_rows(f"{shard}.parquet", rows, schema)
        writer.close(_manifest(planned, writer, metrics or {}))
        self.store.root.record_made(slug, name, planned.digest)

    def put_bytes(self, slug: str, name: str, file: str, data: bytes) -> None:
        """Puts a finished stage in place that holds one file."""
        planned = self.plan(slug)[name]
        writer = StageWriter(planned.folder, self.place / "scratch")
        writer.put_bytes(file, data)
        writer.close(_manifest(planned, writer, {}))


def materialized(
    workshop: Workshop,
    instance: dg.DagsterInstance,
    *names: str,
    annotator: Annotator | None = None,
    compute: Compute | None = None,
    of: Sequence[dg.AssetsDefinition] = (),
) -> dg.ExecuteInProcessResult:
    """Materializes assets (the product's, or those of `of`) for the prompt `numbers`, as a run of the local profile."""
    if not instance.has_dynamic_partition(PARTITIONS, "numbers"):
        instance.add_dynamic_partitions(PARTITIONS, ["numbers"])
    return dg.materialize(
        of or ASSETS,
        instance=instance,
        partition_key="numbers",
        selection=dg.AssetSelection.assets(*names),
        resources={
            "storage": workshop.store,
            "annotator": annotator,
            "trainer": None,
            "compute": compute or LocalCompute(processes=1),
            "prices": None,
            "progress": RunLogProgress(),
        },
        raise_on_error=False,
    )


def _manifest(planned: PlannedStep, writer: StageWriter, metrics: dict[str, Any]) -> Manifest:
    files = writer.files()
    return Manifest(
        stage=planned.step.name,
        plan_digest=planned.digest,
        content_digest=content_digest(files),
        code_version=planned.step.version,
        config=config_json(planned.config),
        inputs={},
        files=files,
        metrics=metrics,
        seconds=0.5,
        finished_at="2026-01-01T00:00:00+00:00",
        versions={},
        machine={},
    )
