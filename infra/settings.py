"""`infra/settings.yaml`: whose project, which regions, and the names that follow from them."""

from pathlib import Path
from typing import Annotated

import yaml
from pydantic import BaseModel, ConfigDict, StringConstraints

FILE = Path(__file__).with_name("settings.yaml")
Project = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]{4,28}[a-z0-9]$")]  # as GCP names projects
Name = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]*$")]


class CloudSettings(BaseModel):
    """Raises `pydantic.ValidationError` for a name that the cloud would refuse."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    project: Project
    repository: Name
    regions: tuple[Name, ...]
    bucket: str
    nodes_account: Project  # service accounts are named as projects are
    dagster_region: Name

    def image(self, region: str, name: str, tag: str) -> str:
        """The full name of an image. Raises `ValueError` for a region to which no image is pushed."""
        if region not in self.regions:
            raise ValueError(f"no image is pushed to {region!r}; {FILE.name} names {', '.join(self.regions)}")
        return f"{region}-docker.pkg.dev/{self.project}/{self.repository}/{name}:{tag}"

    @property
    def identity(self) -> str:
        """What the workers of clusters may do is what this account may do."""
        return f"{self.nodes_account}@{self.project}.iam.gserviceaccount.com"

    def root(self, region: str) -> str:
        """`DATASHOP_ROOT` of the clusters of a region."""
        return f"gs://{self.bucket.format(project=self.project, region=region)}/datashop"


def settings(file: Path = FILE) -> CloudSettings:
    return CloudSettings.model_validate(yaml.safe_load(file.read_text(encoding="utf-8")))
