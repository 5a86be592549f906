"""The asset that compares prompts leaves out what cannot be compared, and says so."""

from pathlib import Path

import dagster as dg

from datashop_assets.orchestration.prompts_compared import make_plans, prompts_compared
from datashop_assets_tests.orchestration.workshop import Workshop


def test_a_prompt_whose_source_cannot_be_listed_does_not_end_the_comparison_of_the_others(
    workshop: Workshop, tmp_path: Path
) -> None:
    workshop.write("numbers")
    workshop.write("nowhere", pretraining_pool=str(tmp_path / "nowhere"))

    plans, problems = make_plans(workshop.store, None)
    assert [one.prompt.slug for one in plans] == ["numbers"]
    assert str(tmp_path / "nowhere") in problems["nowhere"]

    resources = {"storage": workshop.store, "annotator": workshop.deployment.annotator}
    with dg.instance_for_test() as instance:
        made = dg.materialize([prompts_compared], instance=instance, resources=resources)
        said = [entry.user_message for entry in instance.all_logs(made.run_id)]
    assert made.success
    (event,) = made.asset_materializations_for_node("prompts_compared")
    assert event.metadata["prompts"].value == 0
    assert any("nowhere: cannot be planned and is left out" in line for line in said)
