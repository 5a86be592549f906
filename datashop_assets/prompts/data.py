"""Where documents come from."""

from typing import Any

from pydantic import model_validator

from datashop_assets.datasets import fields_of_preset
from datashop_assets.prompts.secrets import Address
from datashop_assets.prompts.section import Section


class Data(Section):
    """Where documents come from: a preset's name, a URI or a glob, with the names of its fields.

    A preset brings the names of its own fields; those that are given replace them.
    """

    uri: Address = "embedded"
    text_field: str = "text"
    id_field: str = "id"
    source_field: str = "source"

    @model_validator(mode="before")
    @classmethod
    def _fields_of_the_preset(cls, given: Any) -> Any:
        if isinstance(given, dict) and isinstance(given.get("uri"), str):
            return {**fields_of_preset(given["uri"]), **given}
        return given
