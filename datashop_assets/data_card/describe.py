"""What the UI shows of a card: the card itself, as Markdown, without its YAML head."""

from collections.abc import Mapping

from datashop_assets.storage.stage_folder import StageFolder


def describe(folder: StageFolder) -> Mapping[str, str]:
    """Title -> markdown."""
    text = folder.file("card.md").read_text()
    return {"card": text.split("\n---\n", 1)[-1].strip()}
