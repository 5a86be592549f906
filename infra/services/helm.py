"""Values for Dagster's Helm chart: what `deployed/compose.yaml` says for one machine, for Kubernetes.

    helm repo add dagster https://dagster-io.github.io/helm
    helm upgrade --install datashop dagster/dagster --version 1.13.27 --values infra/dagster/deployed/helm-values.yaml

Secrets are Kubernetes secrets, made once by hand: `datashop-postgres` (postgresql-password), and `datashop-annotator`
(DATASHOP_ANNOTATOR_KEY) where the annotator asks for a key. Google's identity comes from the service account
`datashop`, bound by Workload Identity: no key file exists.
"""

from typing import Any

import yaml

from infra.clusters.cluster import checked_tag
from infra.settings import CloudSettings

HEADER = "# Made by infra/update-cluster-configs.py; infra/services/helm.py says how to use it.\n"


def rendered(tag: str, settings: CloudSettings) -> str:
    """Raises `ValueError` for a tag that is no commit."""
    return HEADER + yaml.dump(values(tag, settings), Dumper=_Plain, sort_keys=False, width=120)


class _Plain(yaml.SafeDumper):
    """Writes what stands in two places twice, for people to read."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002
        return True


def values(tag: str, settings: CloudSettings) -> dict[str, Any]:
    name, _, commit = settings.image(settings.dagster_region, "dagster", checked_tag(tag, "dagster")).rpartition(":")
    image = {"repository": name, "tag": commit, "pullPolicy": "IfNotPresent"}
    account = {"create": False, "name": "datashop", "annotations": {}}
    return {
        "global": {"postgresqlSecretName": "datashop-postgres", "serviceAccountName": "datashop"},
        "generatePostgresqlPasswordSecret": False,
        "serviceAccount": account,
        "dagsterWebserver": {"image": image, "service": {"type": "ClusterIP", "port": 80}, "enableReadOnly": True},
        "dagster-user-deployments": {
            "enabled": True,
            "enableSubchart": True,
            "deployments": [_code_location(image, settings)],
        },
        "dagsterDaemon": {
            "image": image,
            "runCoordinator": {"enabled": True, "type": "QueuedRunCoordinator", "config": {"queuedRunCoordinator": {}}},
            "runMonitoring": {"enabled": True, "startTimeoutSeconds": 600, "freeSlotsAfterRunEndSeconds": 5},
            "runRetries": {"enabled": True, "maxRetries": 3},
        },
        "concurrency": _concurrency(),
        "runLauncher": {
            "type": "K8sRunLauncher",
            "config": {"k8sRunLauncher": {"imagePullPolicy": "IfNotPresent", "failPodOnRunFailure": True}},
        },
        "computeLogManager": {
            "type": "GCSComputeLogManager",
            "config": {
                "gcsComputeLogManager": {"bucket": _bucket(settings), "prefix": "dagster", "uploadInterval": 30}
            },
        },
        "postgresql": {
            "enabled": False,  # a managed server, reached inside the network
            "postgresqlScheme": "postgresql+psycopg2",  # as in deployed/dagster.yaml
            "postgresqlHost": "datashop-postgres",
            "postgresqlUsername": "dagster",
            "postgresqlDatabase": "dagster",
            "service": {"port": 5432},
        },
        "pythonLogs": {"managedPythonLoggers": ["datashop"], "pythonLogLevel": "INFO"},  # how a training run goes
        "ingress": {"enabled": False},  # docs/clusters.md puts identity-aware access in front
        "telemetry": {"enabled": False},
    }


def _code_location(image: dict[str, str], settings: CloudSettings) -> dict[str, Any]:
    environment = {
        "DATASHOP_PROFILE": "gcp",
        "DATASHOP_ROOT": settings.root(settings.dagster_region),
        "DATASHOP_CHECKPOINTS": f"{settings.root(settings.dagster_region)}/checkpoints",
        "DATASHOP_ANNOTATOR": "endpoints",
        "DATASHOP_ANNOTATOR_URLS": "http://datashop-annotator:8000/v1",
        "RAY_ADDRESS": "ray://datashop-training:10001",
    }
    return {
        "name": "datashop",
        "image": image,
        "codeServerArgs": ["--module-name", "datashop_assets.definitions"],
        "port": 4000,
        "env": environment,
        "envSecrets": [{"name": "datashop-annotator", "optional": True}],
        "includeConfigInLaunchedRuns": {"enabled": True},
        "securityContext": {"runAsNonRoot": True, "allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
    }


def _concurrency() -> dict[str, Any]:
    one_a_prompt = {"key": "dagster/partition", "value": {"applyLimitPerUniqueValue": True}, "limit": 1}
    return {
        "enabled": True,
        "pools": {"defaultLimit": 1, "granularity": "op"},
        "runs": {"maxConcurrentRuns": 4, "tagConcurrencyLimits": [one_a_prompt]},
    }


def _bucket(settings: CloudSettings) -> str:
    return settings.root(settings.dagster_region).removeprefix("gs://").partition("/")[0]
