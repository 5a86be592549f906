"""Storage in a bucket of Google Cloud, through dagster-gcp. Loading it takes some seconds, so a local root does not."""

from dataclasses import dataclass

from dagster_gcp import GCSResource
from pydantic import Field

from datashop_assets.storage.root import Root
from resources.storage import StorageResource


class GoogleCloudStorage(StorageResource):
    """The root in a bucket of Google Cloud Storage, and the folder of prompt files.

    Files are read and written by gcsfs. What must be created by one writer alone (leases) is created by the client of
    `gcs`, with `if_generation_match=0`: of many at once, the service lets one succeed.
    """

    gcs: GCSResource = Field(description="The client: its project, else the one of the environment's credentials")

    @property
    def bound_root(self) -> Root:
        """The root, whose leases go through the client."""
        return Root(self.root, self.cache, CreateIfAbsent(self.gcs.project), self.cache_home, self.data)


@dataclass(frozen=True)
class CreateIfAbsent:
    """Creates an object unless there is one. It travels with a folder to other processes, as no resource can."""

    project: str | None

    def __call__(self, address: str, data: bytes) -> bool:
        """Raises `google.api_core.exceptions.GoogleAPIError` for what the service refuses."""
        from google.api_core.exceptions import PreconditionFailed

        bucket, _, name = address.removeprefix("gs://").partition("/")
        client = GCSResource(project=self.project).get_client()
        try:
            client.bucket(bucket).blob(name).upload_from_string(data, if_generation_match=0)
        except PreconditionFailed:
            return False
        return True


def google_cloud_root(root: Root) -> Root:
    """The same root as the resource gives it, outside Dagster: with the environment's credentials."""
    return GoogleCloudStorage(
        root=root.uri,
        prompts="",
        cache=root.cache_folder,
        cache_home=root.cache_home,
        data=root.data_folder,
        gcs=GCSResource(),
    ).bound_root
