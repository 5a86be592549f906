"""Python's door: an experiment from a script, without a Dagster instance.

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

It makes the same stages in the same folders as Dagster and the terminal do: what one door made, the others reuse.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from datashop_assets.annotations.stage import ANNOTATIONS
from datashop_assets.filtered_pool.stage import FILTERED_POOL, POOL_SCORES
from datashop_assets.graph.planning import Planned, plan, up_to
from datashop_assets.graph.running import Outcome, run_stage
from datashop_assets.graph.stage import Tools
from datashop_assets.graph.stages import GRAPH
from datashop_assets.prompts.prompt import Prompt, parse_prompt
from datashop_assets.prompts.store import PromptStore, default_prompts
from datashop_assets.storage.root import Root, default_root

logger = logging.getLogger("datashop")  # which Dagster shows


@dataclass(frozen=True)
class DatashopRunnerConfig:
    """One experiment. The first six fields are those of the original Datashop; every other setting of a prompt
    file can be given in `settings`, in the form it has there (`{"keep": {"fraction": 0.05}}`).

    `annotator_model_name` is a model's short name, its name on a hub or a path. With `likelihood` (see
    `prompts.likelihood.Likelihood`) the annotator is asked that question instead of writing a reply to
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
        tools: Tools | None = None,
        prompts: Path | None = None,
    ) -> None:
        self.config = config
        self.root = root or default_root()
        self.prompt = config.prompt()
        self._tools = tools
        PromptStore(prompts or default_prompts(), self.root).keep(self.prompt)

    def run_eval_cluster_steps(self) -> dict[str, Outcome]:
        """Everything the encoder needs, and the encoder: what the original ran on its vLLM cluster."""
        return self.run(*up_to("encoder"))

    def run_all_steps(self) -> dict[str, Outcome]:
        """The whole graph, to the data card. Stages that are there are reused."""
        return self.run(*(stage.name for stage in GRAPH))

    def run(self, *stages: str) -> dict[str, Outcome]:
        """Makes the named stages, which stand in the order of the graph.

        Raises `ValueError` where a gate stops a run, as a blocking check does in Dagster. What is made is kept.
        """
        if self._tools is None:
            self._tools = local_tools()
        planned, outcomes = self.plan(), dict[str, Outcome]()
        for name in stages:
            outcomes[name] = run_stage(name, planned, self.prompt.slug, self.root, self._tools)
            if name == ANNOTATIONS.name:
                self._pass_gates(outcomes[name])
            if name in (POOL_SCORES.name, FILTERED_POOL.name):
                _count_again(name, planned)
        return outcomes

    def _pass_gates(self, annotations: Outcome) -> None:
        from datashop_assets.annotations.passing import pass_gates

        for warning in pass_gates(self.prompt.annotator, annotations.output):
            logger.warning("%s: %s", self.prompt.slug, warning)

    def plan(self) -> dict[str, Planned]:
        return plan(self.prompt, self.root)


def _count_again(name: str, planned: Mapping[str, Planned]) -> None:
    """What Dagster's `pool_fully_scored` and `keep_count_exact` look at. Raises `ValueError`."""
    from datashop_assets.filtered_pool.audit import miskept, unscored

    pool, scores, tokens, kept = (
        planned[stage].output for stage in ("pretraining_pool", POOL_SCORES.name, "pool_tokens", FILTERED_POOL.name)
    )
    wrong = unscored(pool, scores) if name == POOL_SCORES.name else miskept(kept.metrics["rule"], kept, scores, tokens)
    if wrong:
        raise ValueError(f"{name} is not exact: {'; '.join(wrong)}; remove its folder and run it again")


def local_tools() -> Tools:
    """The tools of the `local` profile, as the environment names them, with progress bars on the terminal."""
    from resources.annotator.resource import AnnotatorResource
    from resources.compute import default_compute
    from resources.progress import TerminalProgress
    from resources.training import default_trainer

    progress = TerminalProgress()
    return Tools(AnnotatorResource(progress.say), default_trainer(), default_compute(), progress)


def _processor(options: Mapping[str, Any]) -> dict[str, Any]:
    rest = dict(options)
    kind = rest.pop("processor_type", None)
    return {"processor": {"type": kind, "options": rest}} if kind else {}
