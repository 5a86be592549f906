"""The one partitions definition: a partition is a prompt, its key the prompt's slug.

All assets share it (assets of different dynamic definitions cannot stand in one run). Slugs are checked by
`prompts.checked_slug`, because Dagster checks no key and a comma in one breaks backfills.
"""

import dagster as dg

NAME = "prompts"
PROMPTS = dg.DynamicPartitionsDefinition(name=NAME)
