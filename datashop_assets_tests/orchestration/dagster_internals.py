"""What the tests take from Dagster's private modules, and no other module of theirs does.

- The workspace as the webserver loads it, to launch and execute again without a webserver that runs. A public function
  that makes a GraphQL context of a `workspace.yaml` would replace it.
- What the UI says of an output, such as unsynced. A public `DagsterInstance` method that gives the stale status of a
  partition would replace the resolver.
- The tags with which Dagster's own materializations say what they were made from; `reporting.py` repeats their names.
  An `input_data_versions` of `report_runless_asset_event` would replace both.
"""

from dagster._core.definitions.data_version import (
    INPUT_DATA_VERSION_TAG_PREFIX,
    INPUT_EVENT_POINTER_TAG_PREFIX,
    NULL_EVENT_POINTER,
    CachingStaleStatusResolver,
    StaleStatus,
)
from dagster._core.loader import LoadingContextForTest
from dagster._core.workspace.load import load_workspace_process_context_from_yaml_paths

__all__ = [
    "INPUT_DATA_VERSION_TAG_PREFIX",
    "INPUT_EVENT_POINTER_TAG_PREFIX",
    "NULL_EVENT_POINTER",
    "CachingStaleStatusResolver",
    "LoadingContextForTest",
    "StaleStatus",
    "load_workspace_process_context_from_yaml_paths",
]
