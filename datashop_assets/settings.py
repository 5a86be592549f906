"""Everything that Datashop reads from the environment: one model, read where definitions, a command or a runner begin.

What is asked, trained and kept stands in the prompt file; where that happens, and with which key, depends on the
machine and stands here. An empty variable counts as one that is not set. The tests compare .env.example with this
model; `python -m datashop_assets.settings > .env.example` writes it.
"""

import os
import re
import shlex
import sys
import textwrap
from collections.abc import Iterator
from typing import Annotated, Any, Literal, get_args

from pydantic import AliasChoices, Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, NoDecode, PydanticBaseSettingsSource, SettingsConfigDict

AnnotatorKind = Literal["embedded", "server", "endpoints", "ray-serve"]
ProfileName = Literal["local", "gpu", "gcp"]
ANNOTATORS: tuple[str, ...] = get_args(AnnotatorKind)
PROFILES: tuple[str, ...] = get_args(ProfileName)

KEY = "DATASHOP_ANNOTATOR_KEY"
PROFILE = "DATASHOP_PROFILE"
RAY = "RAY_ADDRESS"
ROOT = "DATASHOP_ROOT"
ANNOTATOR = "DATASHOP_ANNOTATOR"
URLS = "DATASHOP_ANNOTATOR_URLS"
CHECKPOINTS = "DATASHOP_CHECKPOINTS"
CARDS = "DATASHOP_CARDS"
DATA = "DATASHOP_DATA"
HOSTS = "DATASHOP_HOSTS"
DATA_HOME = "~/.local/share"  # of the user

EXAMPLE_TITLE = (
    "Every variable that Datashop reads, with its default or an example. Copy to .env, which `make` and Dagster read; "
    "keep secrets out of git."
)


def _variable(name: str, default: Any, description: str, example: str = "", **limits: Any) -> Any:
    """A field that is read from the environment variable `name`; `example` stands in .env.example for no default."""
    return Field(
        default=default,
        validation_alias=AliasChoices(name),
        description=description,
        examples=[example] if example else None,
        **limits,
    )


def _seconds(name: str, default: float, description: str) -> Any:
    return _variable(name, default, description, gt=0, lt=1e9, allow_inf_nan=False)


class Settings(BaseSettings):
    """One attribute a variable. Raises pydantic's `ValidationError`; `read_settings` says the same in plain words."""

    model_config = SettingsConfigDict(
        env_ignore_empty=True, case_sensitive=True, extra="ignore", frozen=True, populate_by_name=False
    )

    # where things are
    root: str | None = _variable(
        ROOT,
        None,
        "Where results go: a folder, or a bucket (gs://my-bucket/datashop). Default: datashop_root in the project",
        "./datashop_root",
    )
    prompts: str | None = _variable(
        "DATASHOP_PROMPTS", None, "The folder of prompt files. Default: prompts in the project", "./prompts"
    )
    dagster_home: str | None = _variable(
        "DAGSTER_HOME",
        None,
        "Dagster's own state: runs, events, schedules. Default: dagster_home in the project",
        "./dagster_home",
    )
    data: str | None = _variable(
        DATA,
        None,
        "Where the packages that serve as data are (sample texts, model weights). Default: share/datashop-data in the "
        "environment, else in the user's data folder",
    )
    prices: str | None = _variable(
        "DATASHOP_PRICES", None, "What hardware costs, for estimates. Default: infra/prices.yaml", "./infra/prices.yaml"
    )
    cards: str | None = _variable(
        CARDS, None, "The address of the data cards; `datashop ui` sets it for what it starts", "http://127.0.0.1:3001"
    )
    hosts: Annotated[tuple[str, ...], NoDecode] = _variable(
        HOSTS,
        (),
        "Names beside localhost under which a browser may reach the UI and the cards: those of a load balancer or "
        "proxy, separated by commas or blanks",
        "datashop.example.com",
    )
    cache_home: str = _variable("XDG_CACHE_HOME", "~/.cache", "The user's cache folder, used where results are remote")
    data_home: str = _variable("XDG_DATA_HOME", DATA_HOME, "The user's data folder")
    tpu_library: str | None = _variable(
        "TPU_LIBRARY_PATH",
        None,
        "libtpu.so, which compiles for TPUs that are not at hand. Default: the one that `make libtpu` installs",
    )

    # what the graph runs on
    profile: ProfileName = _variable(PROFILE, "local", "What the graph runs on: local, gpu or gcp (docs/clusters.md)")
    processes: int | None = _variable(
        "DATASHOP_PROCESSES",
        None,
        "How many processes work on shards at once on this machine. Default: one a core",
        "2",
        gt=0,
    )
    ray_address: str | None = _variable(
        RAY, None, "The Ray cluster that filters and trains. Default: none, this machine", "ray://HOST:10001"
    )

    # where documents are asked
    annotator: AnnotatorKind = _variable(
        ANNOTATOR,
        "embedded",
        "Where documents are asked: embedded, server, endpoints or ray-serve (docs/annotators.md)",
    )
    annotator_urls: Annotated[tuple[str, ...], NoDecode] = _variable(
        URLS,
        (),
        "Base addresses of endpoints, separated by commas or blanks; ray-serve://HOST:8265/NAME names an application",
        "http://one:8000/v1 http://two:8000/v1",
    )
    annotator_key: SecretStr = _variable(
        KEY, SecretStr(""), "The key for endpoints: a secret, set it in the environment rather than in a file"
    )
    annotator_key_variable: str = _variable(
        "DATASHOP_ANNOTATOR_KEY_VARIABLE", KEY, "The name of another variable that holds the key"
    )
    annotator_concurrency: int = _variable(
        "DATASHOP_ANNOTATOR_CONCURRENCY", 256, "Most requests under way at each endpoint", gt=0
    )
    annotator_deadline: float = _seconds("DATASHOP_ANNOTATOR_DEADLINE", 600.0, "Seconds a request may take")
    annotator_attempts: int = _variable("DATASHOP_ANNOTATOR_ATTEMPTS", 6, "Attempts a document is worth", gt=0)
    annotator_patience: float = _seconds(
        "DATASHOP_ANNOTATOR_PATIENCE", 300.0, "Seconds that documents wait while no endpoint answers at all"
    )

    # vLLM, as a server of this machine or on a Ray cluster
    vllm_python: str = _variable(
        "DATASHOP_VLLM_PYTHON", ".venv-vllm/bin/python", "The Python of the environment that a vLLM server runs in"
    )
    vllm_device: Literal["auto", "tpu", "gpu", "cpu"] = _variable(
        "DATASHOP_VLLM_DEVICE", "auto", "What that vLLM must be built for: tpu, gpu or cpu; auto takes any"
    )
    vllm_tensor_parallel_size: int = _variable(
        "DATASHOP_VLLM_TENSOR_PARALLEL_SIZE", 0, "Chips that a model is spread over; 0: as the model's name says", ge=0
    )
    vllm_max_model_len: int = _variable(
        "DATASHOP_VLLM_MAX_MODEL_LEN", 8192, "Tokens of prompt and reply together", gt=0
    )
    vllm_dtype: str = _variable("DATASHOP_VLLM_DTYPE", "auto", "The number format of the weights, as vLLM names it")
    vllm_revision: str = _variable("DATASHOP_VLLM_REVISION", "", "The model's revision on the hub")
    vllm_arguments: Annotated[tuple[str, ...], NoDecode] = _variable(
        "DATASHOP_VLLM_ARGUMENTS",
        (),
        "Further engine arguments, as a shell reads them",
        "--max-num-seqs 64 --kv-cache-dtype=fp8",
    )
    vllm_start_deadline: float = _seconds(
        "DATASHOP_VLLM_START_DEADLINE", 1800.0, "Seconds until a server or a Ray Serve application must be healthy"
    )

    # the Ray Serve application that the annotator `ray-serve` deploys
    serve_dashboard: str = _variable(
        "DATASHOP_SERVE_DASHBOARD", "127.0.0.1:8265", "The dashboard of the Ray cluster that serves the annotator"
    )
    serve_application: str = _variable("DATASHOP_SERVE_APPLICATION", "annotator", "The application's name there")
    serve_accelerator: str = _variable(
        "DATASHOP_SERVE_ACCELERATOR", "TPU-V6E", "Ray's name of the accelerator that each replica runs on"
    )
    serve_topology: str | None = _variable(
        "DATASHOP_SERVE_TOPOLOGY", None, "The TPU slice of each replica. Default: 2x4, and none for GPUs", "2x4"
    )
    serve_min_replicas: int = _variable("DATASHOP_SERVE_MIN_REPLICAS", 1, "The fewest replicas", ge=0)
    serve_max_replicas: int = _variable("DATASHOP_SERVE_MAX_REPLICAS", 8, "The most replicas", gt=0)
    serve_weights: str = _variable(
        "DATASHOP_SERVE_WEIGHTS", "", "A bucket's folder of weights; without it nodes ask the hub"
    )

    # where language models train
    mesh: str = _variable(
        "DATASHOP_MESH",
        "",
        "Devices along data, fsdp and tensor (docs/training.md). Default: one device",
        "fsdp=4,tensor=2",
    )
    training_workers: int = _variable(
        "DATASHOP_TRAINING_WORKERS", 1, "Workers of a Ray job: hosts of a TPU slice, else CPUs", gt=0
    )
    tpu_topology: str | None = _variable("DATASHOP_TPU_TOPOLOGY", None, "The TPU slice of a Ray job", "4x4")
    tpu_type: str | None = _variable("DATASHOP_TPU_TYPE", None, "Ray's name of its chips", "TPU-V6E")
    checkpoints: str | None = _variable(
        CHECKPOINTS,
        None,
        "A folder or bucket for checkpoints that outlives this machine. Default: the step's scratch folder, or for a "
        "Ray job DATASHOP_ROOT/checkpoints",
    )
    checkpoints_kept: int = _variable("DATASHOP_CHECKPOINTS_KEPT", 2, "How many of each seed are kept there", gt=0)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003
        init_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """The environment alone: `make` and Dagster put what .env holds there."""
        return (env_settings,)

    @field_validator("annotator_urls", "hosts", mode="before")
    @classmethod
    def _separate(cls, given: Any) -> Any:
        return tuple(dict.fromkeys(given.replace(",", " ").split())) if isinstance(given, str) else given

    @field_validator("hosts")
    @classmethod
    def _names_alone(cls, given: tuple[str, ...]) -> tuple[str, ...]:
        if wrong := [name for name in given if not re.fullmatch(r"[A-Za-z0-9.-]+", name)]:
            raise ValueError(
                f"write {wrong[0]!r} as a name alone, such as datashop.example.com, with no scheme or port"
            )
        return tuple(name.lower() for name in given)

    @field_validator("vllm_arguments", mode="before")
    @classmethod
    def _as_a_shell_reads(cls, given: Any) -> Any:
        try:
            return tuple(shlex.split(given)) if isinstance(given, str) else given
        except ValueError:  # "No closing quotation"
            raise ValueError("close the quotation") from None

    @model_validator(mode="before")
    @classmethod
    def _key_of_its_variable(cls, given: Any) -> Any:
        """The key that the variable named in DATASHOP_ANNOTATOR_KEY_VARIABLE holds, in place of this one's own."""
        variable = given.get("DATASHOP_ANNOTATOR_KEY_VARIABLE", KEY)
        key = os.environ.get(variable, "").strip()
        if not key and variable != KEY:
            raise ValueError(f"DATASHOP_ANNOTATOR_KEY_VARIABLE names {variable!r}, which is not set; set it to the key")
        if not (key.isascii() and key.isprintable()):
            raise ValueError(f"the key in {variable} holds a character that no HTTP header can; set it again")
        return {**given, KEY: key}


def read_settings() -> Settings:
    """The environment as it is now. Raises `ValueError` that names every wrong variable, its value and the fix."""
    try:
        return Settings()
    except ValidationError as error:
        raise ValueError("; ".join(map(_problem, error.errors()))) from None  # its own text would show a key


def variable_of(field: FieldInfo) -> str:
    """The environment variable that a field of `Settings` is read from."""
    assert isinstance(field.validation_alias, AliasChoices)
    return str(field.validation_alias.choices[0])


def _problem(error: ErrorDetails) -> str:
    if not error["loc"]:
        return re.sub(r"^Value error, ", "", error["msg"])
    name = str(error["loc"][0])
    field = next(each for each in Settings.model_fields.values() if variable_of(each) == name)
    return f"{name} is {error['input']!r}; {_fix(error, field)}"


def _fix(error: ErrorDetails, field: FieldInfo) -> str:
    if error["type"] == "literal_error":
        return f"use one of {', '.join(get_args(field.annotation))}"
    if error["type"] == "value_error":
        return re.sub(r"^Value error, ", "", error["msg"])
    least = "0 or more" if error["type"] == "greater_than_equal" else "above 0"
    return f"give a {'number' if field.annotation is float else 'whole number'} {least}"


def example_file() -> str:
    """The text of .env.example: every variable below its description, commented out."""
    return "\n\n".join("\n".join(paragraph) for paragraph in _paragraphs()) + "\n"


def _paragraphs() -> Iterator[list[str]]:
    yield _comment(EXAMPLE_TITLE)
    for field in Settings.model_fields.values():
        given = (field.examples or [""])[0] or ("" if isinstance(field.default, SecretStr) else field.default)
        value = f"{given:g}" if isinstance(given, float) else str("" if given is None else given)
        yield [*_comment(str(field.description)), f"# {variable_of(field)}={value}"]


def _comment(text: str) -> list[str]:
    return textwrap.wrap(text, 118, initial_indent="# ", subsequent_indent="# ", break_on_hyphens=False)


if __name__ == "__main__":
    sys.stdout.write(example_file())
