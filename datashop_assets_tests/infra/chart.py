"""The values of Dagster's Helm chart that are set here, as its schema has them in 1.13, and none besides.

The chart's own schema (helm/dagster/schema in Dagster's repository) takes unknown keys in many places; this one takes
none anywhere.
"""

# ruff: noqa: N815 - names are those of the chart

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

Text = Annotated[str, StringConstraints(min_length=1)]
Count = Annotated[int, Field(ge=1)]
Seconds = Annotated[int, Field(ge=1)]
Off = Literal[False]
On = Literal[True]


class Closed(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class Image(Closed):
    repository: Text
    tag: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{7,40}$")]
    pullPolicy: Literal["Always", "IfNotPresent", "Never"]


class ServiceAccount(Closed):
    create: Off
    name: Text
    annotations: dict[str, str]


class Global(Closed):
    postgresqlSecretName: Text
    serviceAccountName: Text


class WebService(Closed):
    type: Literal["ClusterIP"]  # reached inside the cluster only
    port: int


class Webserver(Closed):
    image: Image
    service: WebService
    enableReadOnly: On


class EnvironmentSecret(Closed):
    name: Text
    optional: bool


class Switch(Closed):
    enabled: bool


class Capabilities(Closed):
    drop: list[Literal["ALL"]]


class SecurityContext(Closed):
    runAsNonRoot: On
    allowPrivilegeEscalation: Off
    capabilities: Capabilities


class CodeLocation(Closed):
    name: Text
    image: Image
    codeServerArgs: list[str]
    port: int
    env: dict[str, Text]
    envSecrets: list[EnvironmentSecret]
    includeConfigInLaunchedRuns: Switch
    securityContext: SecurityContext


class CodeLocations(Closed):
    enabled: On
    enableSubchart: On
    deployments: Annotated[list[CodeLocation], Field(min_length=1)]


class QueueConfig(Closed):
    queuedRunCoordinator: dict[str, int]


class Queue(Closed):
    enabled: On
    type: Literal["QueuedRunCoordinator"]
    config: QueueConfig


class Monitoring(Closed):
    enabled: On
    startTimeoutSeconds: Seconds
    freeSlotsAfterRunEndSeconds: Seconds


class Retries(Closed):
    enabled: On
    maxRetries: Count


class Daemon(Closed):
    image: Image
    runCoordinator: Queue
    runMonitoring: Monitoring
    runRetries: Retries


class Pools(Closed):
    defaultLimit: Count
    granularity: Literal["op", "run"]


class EachValue(Closed):
    applyLimitPerUniqueValue: On


class TagLimit(Closed):
    key: Text
    value: EachValue
    limit: Count


class Runs(Closed):
    maxConcurrentRuns: Count
    tagConcurrencyLimits: list[TagLimit]


class Concurrency(Closed):
    enabled: On
    pools: Pools
    runs: Runs


class K8sRunLauncher(Closed):
    imagePullPolicy: Literal["Always", "IfNotPresent", "Never"]
    failPodOnRunFailure: bool


class RunLauncherConfig(Closed):
    k8sRunLauncher: K8sRunLauncher


class RunLauncher(Closed):
    type: Literal["K8sRunLauncher"]
    config: RunLauncherConfig


class GCSLogs(Closed):
    bucket: Text
    prefix: Text
    uploadInterval: Seconds


class LogsConfig(Closed):
    gcsComputeLogManager: GCSLogs


class Logs(Closed):
    type: Literal["GCSComputeLogManager"]
    config: LogsConfig


class Port(Closed):
    port: int


class Postgres(Closed):
    enabled: Off  # a managed server
    postgresqlScheme: Literal["postgresql+psycopg2"]
    postgresqlHost: Text
    postgresqlUsername: Text
    postgresqlDatabase: Text
    service: Port


class PythonLogs(Closed):
    managedPythonLoggers: list[str]
    pythonLogLevel: Literal["CRITICAL", "ERROR", "WARNING", "INFO", "DEBUG"]


class Values(Closed):
    model_config = ConfigDict(extra="forbid", strict=True, populate_by_name=False)

    globally: Annotated[Global, Field(alias="global")]
    generatePostgresqlPasswordSecret: Off
    serviceAccount: ServiceAccount
    dagsterWebserver: Webserver
    user_deployments: Annotated[CodeLocations, Field(alias="dagster-user-deployments")]
    dagsterDaemon: Daemon
    concurrency: Concurrency
    runLauncher: RunLauncher
    computeLogManager: Logs
    postgresql: Postgres
    pythonLogs: PythonLogs
    ingress: Switch
    telemetry: Switch
