"""Where documents come from."""

from datashop_assets.prompts.section import Section


class Data(Section):
    """Where documents come from: a preset's name, a URI or a glob, with the names of its fields."""

    uri: str = "embedded"
    text_field: str = "text"
    id_field: str = "id"
    source_field: str = "source"
