"""An experiment from a script, on the documents and the annotator that come with Datashop.

Run it as it stands: `python examples/tutorial.py`. It makes the same stages in the same folders as a prompt file would;
run it twice and the second time everything is reused.
"""

import polars as pl

import datashop_assets
from datashop_assets.datasets import EMBEDDED
from datashop_assets.runner import DatashopRunner, DatashopRunnerConfig

RUBRIC = r"""
Score this text from 0 to 5 for its use in studying mathematics. Formulas such as $\frac{n(n+1)}{2}$ may stand in it.

{example}

Give your reasons, then write: "Final score: N".
"""

config = DatashopRunnerConfig(
    experiment_name="tutorial",
    annotator_model_name="smollm2-135m-instruct",
    pretraining_data_path=EMBEDDED,
    annotator_data_path=EMBEDDED,
    data_filter_prompt=RUBRIC,
    dataset_output_processor_config_kwargs={"processor_type": "finalscore0-5"},
    # This annotator is too small for the rubric: it is asked for the subject instead, and its score is for topic.
    likelihood={
        "question": "Document:\n{example}\n\nWhat school subject does this document belong to?",
        "answer_begins": "This document is useful for studying",
        "targets": ["mathematics"],
    },
    settings={
        "annotator": {"documents": 120, "second_round": {"documents": 40}},
        "keep": {"fraction": 0.082},
        "training": {"steps": 60, "seeds": 2},
        "evaluation": {"gold": ["Mathematics", "sympy", "mpmath"]},
    },
)


def main() -> None:
    runner = DatashopRunner(config)
    runner.run_eval_cluster_steps()  # up to the encoder
    runner.run_all_steps()

    answers = datashop_assets.open_stage("tutorial", "annotations").polars()
    print(answers.group_by("status").len())
    print(answers.sort("expected_score").select("expected_score", pl.col("text").str.slice(0, 60)).tail(5))
    print(datashop_assets.open_stage("tutorial", "evaluation").metrics["verdict"])
    print(datashop_assets.open_stage("tutorial", "data_card").metrics["path"])


if __name__ == "__main__":
    main()
