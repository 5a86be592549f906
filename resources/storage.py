"""Where prompts and results are. Steps, sensor and checks get the prompt store; its `root` is where results go."""

from pathlib import Path

import dagster as dg
from pydantic import Field

from datashop_assets.prompts.store import PromptStore
from datashop_assets.storage.root import CACHE_HOME, Root


class StorageResource(dg.ConfigurableResource[PromptStore]):
    """The root under which results go, and the folder of prompt files."""

    root: str = Field(description="A folder, or a bucket such as gs://my-bucket/datashop")
    prompts: str = Field(description="The folder of prompt files")
    cache: str = Field(
        default="",
        description="A local folder for what can be made again; empty: below a local root, else in the next folder",
    )
    cache_home: str = Field(default=CACHE_HOME, description="The user's cache folder")
    data: str = Field(default="", description="The folder of the data packages; empty: where they are installed")

    def create_resource(self, context: dg.InitResourceContext) -> PromptStore:  # noqa: ARG002
        return PromptStore(Path(self.prompts), self.bound_root)

    @property
    def bound_root(self) -> Root:
        """The root, as steps, sensor and checks get it."""
        return Root(self.root, self.cache, cache_home=self.cache_home, data_folder=self.data)
