"""The Python entry point: an experiment from a script, without a Dagster instance.

    from datashop_assets.datasets import datashop_dclm_annotation_subset, datashop_dclm_pretraining_subset
    from datashop_assets.runner import DatashopRunner, DatashopRunnerConfig

    runner = DatashopRunner(DatashopRunnerConfig(
        experiment_name="finemath-replication",
        annotator_model_name="Llama-3.3-70B-Instruct",
        pretraining_data_path=datashop_dclm_pretraining_subset,
        annotator_data_path=datashop_dclm_annotation_subset,
        data_filter_prompt=PROMPT,
        dataset_output_processor_config_kwargs={"processor_type": "finalscore0-5"},
    ))
    runner.run_eval_cluster_steps()  # up to the encoder
    runner.run_all_steps()           # to the data card

It makes the same stages in the same folders as Dagster and the terminal do: what one made, the others reuse.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from datashop_assets.core.build import BlockedError, Outcome, make_step
from datashop_assets.core.plan import Plan
from datashop_assets.core.step import Resources
from datashop_assets.costs import prices_file
from datashop_assets.deployment import Deployment
from datashop_assets.encoder.results import EncoderResult
from datashop_assets.graph import GRAPH, plan
from datashop_assets.prompts.prompt import Prompt, parse_prompt
from datashop_assets.protocols.annotator import Closable
from datashop_assets.settings import Settings, read_settings
from datashop_assets.storage.root import Root

logger = logging.getLogger("datashop")  # which Dagster shows


@dataclass(frozen=True)
class DatashopRunnerConfig:
    """One experiment. The first six fields are those of the original Datashop; every other setting of a prompt
    file can be given in `settings`, in the form it has there (`{"keep": {"fraction": 0.05}}`).

    `annotator_model_name` is a model's short name, its name on a hub or a path. With `likelihood` (see
    `prompts.annotator_settings.Likelihood`) the annotator is asked that question instead of writing a reply to
    `data_filter_prompt`.
    """

    experiment_name: str
    annotator_model_name: str
    pretraining_data_path: str
    annotator_data_path: str
    data_filter_prompt: str
    dataset_output_processor_config_kwargs: Mapping[str, Any] = field(default_factory=dict)
    likelihood: Mapping[str, Any] | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)

    def prompt(self) -> Prompt:
        """The prompt that a file with the same settings would give. Raises `PromptError`."""
        settings = dict(self.settings)
        annotator = {"model": self.annotator_model_name, **settings.pop("annotator", {})}
        if self.likelihood is not None:
            annotator |= {"scoring": "likelihood", "likelihood": dict(self.likelihood)}
        fields = {
            "name": self.experiment_name,
            "automatic": False,
            "rubric": self.data_filter_prompt,
            "pretraining_pool": self.pretraining_data_path,
            "annotation_sample": self.annotator_data_path,
            "annotator": {"scoring": "generate", **annotator},
            **_processor(self.dataset_output_processor_config_kwargs),
            **settings,
        }
        return parse_prompt(fields, self.experiment_name, f"experiment {self.experiment_name!r}")


class DatashopRunner:
    """Runs an experiment. The other arguments are for those who bring their own storage, prompts or annotator."""

    def __init__(
        self,
        config: DatashopRunnerConfig,
        root: Root | None = None,
        resources: Resources | None = None,
        prompts: Path | None = None,
    ) -> None:
        self.config = config
        self.prompt = config.prompt()
        self._resources = resources
        self._settings = read_settings()
        self._deployment = Deployment.of(self._settings, root=root, prompts=prompts)
        self._deployment.prompts.keep(self.prompt)

    @property
    def root(self) -> Root:
        return self._deployment.root

    def run_eval_cluster_steps(self) -> dict[str, Outcome]:
        """Everything the encoder needs, and the encoder: what the original ran on its vLLM cluster."""
        return self.run(*GRAPH.up_to(EncoderResult.step))

    def run_all_steps(self) -> dict[str, Outcome]:
        """The whole graph, to the data card. Outputs that are there are reused."""
        return self.run(*GRAPH.names)

    def run(self, *steps: str) -> dict[str, Outcome]:
        """Makes the named steps in the order of the graph; those that the prompt does not ask for are left out.

        Raises `ValueError` for a name that is no step, and `BlockedError` where a gate stops a run, as a blocking
        check does in Dagster. What is made is kept.
        """
        if self._resources is None:
            self._resources = local_resources(self._settings)
        named = {GRAPH.step(name).name for name in steps}
        planned, outcomes = self.plan(), dict[str, Outcome]()
        try:
            for name in GRAPH.names:
                if name not in named or name not in planned:
                    continue
                outcomes[name] = made = make_step(name, planned, self._resources)
                if not planned.asks_after(name, steps):
                    self._close_annotator()
                for check, found in made.checks.items():
                    if not found.passed:
                        waived = f" (waived: {found.waived})" if found.waived else ""
                        logger.warning("%s: %s: %s: %s%s", self.prompt.slug, name, check, found.description, waived)
                if any(found.stops for found in made.checks.values()):
                    raise BlockedError.of(f"{name} of {self.prompt.slug!r} stops the run", made.checks, made.output.uri)
        except BaseException:  # Ctrl-C, too: a model server would outlive the run
            self._close_annotator()
            raise
        return outcomes

    def _close_annotator(self) -> None:
        if self._resources is not None and isinstance(self._resources.annotator, Closable):
            self._resources.annotator.close()

    def plan(self) -> Plan:
        """What there is and what a run would make."""
        own = self._resources.annotator if self._resources else None
        return plan(self.prompt, self.root, own or self._deployment.annotator)


def local_resources(settings: Settings) -> Resources:
    """The resources of the `local` profile, with progress bars on the terminal."""
    from datashop_assets.orchestration import profiles
    from resources.progress import TerminalProgress

    progress = TerminalProgress()
    annotator = profiles.annotator(settings).saying(progress.say)
    return Resources(annotator, profiles.trainer(settings), profiles.compute(settings), prices_file(settings), progress)


def _processor(options: Mapping[str, Any]) -> dict[str, Any]:
    rest = dict(options)
    kind = rest.pop("processor_type", None)
    return {"processor": {"type": kind, "options": rest}} if kind else {}
