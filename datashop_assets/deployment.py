"""A deployment: where prompt files and results are, and which annotator is at hand.

All that a plan depends on beside the prompt. Dagster has the same as resources, so that a run, the sensor, a command,
the card server and Python say the same of every step.
"""

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from datashop_assets.core.plan import Plan
from datashop_assets.core.status import DeploymentStatus, StepStatus, step_status, with_stops
from datashop_assets.graph import plan
from datashop_assets.prompts.store import PromptStore, default_prompts
from datashop_assets.protocols.annotator import ModelNames
from datashop_assets.settings import Settings
from datashop_assets.storage.root import Root, default_root
from resources.annotator.names import ModelNamesOf


@dataclass(frozen=True)
class Deployment:
    """`annotator` says what its models are called: what another revision of a model answered is stale."""

    prompts: PromptStore
    annotator: ModelNames

    @classmethod
    def of(cls, settings: Settings, *, root: Root | None = None, prompts: Path | None = None) -> Self:
        """As the settings say, but for what is given."""
        store = PromptStore(prompts or default_prompts(settings), _leased(root or default_root(settings)))
        return cls(store, ModelNamesOf(settings.annotator, settings.vllm_revision))

    @property
    def root(self) -> Root:
        return self.prompts.root

    def plan(self, slug: str) -> Plan:
        """What there is of a prompt, and what a run would make.

        Raises `PromptError` for a file that is missing or wrong, and what a source raises that cannot be listed.
        """
        return plan(self.prompts.load(slug), self.root, self.annotator)

    def status(self, slugs: Collection[str] = ()) -> DeploymentStatus:
        """The state of every step of `slugs`, or of all prompts; then also what is wrong with files that are none."""
        states: dict[str, dict[str, StepStatus]] = {}
        problems = {} if slugs else {slug: str(error) for slug, error in self.prompts.problems().items()}
        for slug in slugs or self.prompts.slugs():
            try:
                steps = {name: step_status(planned) for name, planned in self.plan(slug).items()}
                states[slug] = with_stops(steps, self.root.prompt(slug))
            except Exception as error:  # noqa: BLE001 - whatever a source raises stops its own prompt only, and is said
                problems[slug] = str(error) if slug in str(error) else f"{slug}: {error}"
        return DeploymentStatus(prompts=states, problems=problems)


def _leased(root: Root) -> Root:
    """The root; in a bucket of Google Cloud one whose leases go through the same client as in Dagster."""
    if not root.uri.startswith("gs://") or root.create_only is not None:
        return root
    from resources.google_cloud_storage import google_cloud_root

    return google_cloud_root(root)
