"""Storage in a bucket of Google Cloud: what only one writer may create, and leases on top of it."""

import threading
import uuid
from functools import partial

import dagster as dg
import pytest
from dagster_gcp import GCSResource

from datashop_assets.deployment import Deployment
from datashop_assets.orchestration import profiles
from datashop_assets.prompts.store import PromptStore
from datashop_assets.storage.folders import Folder
from datashop_assets.storage.leases import lease
from datashop_assets.storage.root import Root
from datashop_assets_tests.environment import settings_of
from resources.compute import LocalCompute
from resources.google_cloud_storage import GoogleCloudStorage
from resources.storage import StorageResource


@pytest.fixture
def store(gcs_bucket: str) -> PromptStore:
    storage = GoogleCloudStorage(
        root=f"{gcs_bucket}/{uuid.uuid4().hex}", prompts="prompts", gcs=GCSResource(project="tests")
    )
    with dg.build_init_resource_context() as context:
        return storage.create_resource(context)


def test_of_many_writers_at_once_one_creates(store: PromptStore) -> None:
    folder, created = store.root.stage("annotations", "0" * 32), list[bool]()
    writers = [
        threading.Thread(target=lambda n=n: created.append(folder.create("lease.json", f"{n}".encode())))
        for n in range(8)
    ]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert sorted(created) == [False] * 7 + [True]
    assert len(folder.read("lease.json")) == 1


def test_a_lease_is_held_by_one_and_freed_at_its_end(store: PromptStore) -> None:
    folder = store.root.stage("annotations", "1" * 32)
    with lease(folder) as held:
        assert not held.waited
        assert not folder.create("lease.json", b"another")
    assert folder.create("lease.json", b"another")


def test_a_bucket_of_google_cloud_is_reached_through_its_own_resource() -> None:
    in_bucket = profiles.storage(settings_of({"DATASHOP_ROOT": "gs://bucket/datashop"}))
    assert isinstance(in_bucket, GoogleCloudStorage)
    assert type(profiles.storage(settings_of({"DATASHOP_ROOT": "/somewhere"}))) is StorageResource


def test_commands_and_python_take_leases_by_the_same_client(gcs_bucket: str) -> None:
    root = Root(f"{gcs_bucket}/{uuid.uuid4().hex}")
    assert root.create_only is None
    here = Deployment.of(settings_of({}), root=root).root
    assert here.create_only is not None
    folder = here.stage("annotations", "2" * 32)
    assert folder.create("lease.json", b"one")
    assert not folder.create("lease.json", b"another")


def created(name: str, folder: Folder) -> bool:
    return folder.create(name, b"by a process")


@pytest.mark.parametrize("root", ["the resource's", "a command's"])
def test_the_client_travels_to_other_processes_with_a_folder(store: PromptStore, gcs_bucket: str, root: str) -> None:
    found = store.root
    if root == "a command's":
        found = Deployment.of(settings_of({}), root=Root(f"{gcs_bucket}/{uuid.uuid4().hex}")).root
    folder = found.stage("pool_scores", "3" * 32)
    assert not folder.exists("lease.json")  # the folder has been used when it travels
    processes = LocalCompute(processes=2, worth_it=0.0)
    names = ["lease.json", "lease.json", "other.json"]
    assert sorted(processes.map(partial(created, folder=folder), names)) == [False, True, True]
