"""`datashop-webserver`: Dagster's webserver with all its options, for requests of its own pages and of programs alone.

Dagster's answers any Host and any Origin, and executes mutations by GET; 1.13 has no setting for it. What its command
serves is an ASGI application, which is wrapped in `SameOriginMiddleware` here. Images call it by Dagster's own name
too, so that what Dagster's Helm chart starts is this one.

The command has no public way to hand in an application, so a function of `dagster_webserver.cli` is replaced. An option
of `dagster-webserver` for middleware would replace that, or public names for its workspace options and its application:
the command of this module could then be its own.
"""

from typing import Any

from dagster_webserver import cli
from starlette.types import ASGIApp

from datashop_assets.same_origin import SameOriginMiddleware
from datashop_assets.settings import read_settings

# where a version of Dagster's makes its application elsewhere, this raises and nothing is served
_dagster_app = cli.create_app_from_workspace_process_context  # type: ignore[attr-defined]


def create_app(*arguments: Any, **options: Any) -> ASGIApp:
    """What `dagster_webserver` would serve, behind the checks of where a request comes from."""
    return SameOriginMiddleware(_dagster_app(*arguments, **options), read_settings().hosts)


def main() -> None:
    cli.create_app_from_workspace_process_context = create_app  # type: ignore[attr-defined,assignment]
    cli.main()  # type: ignore[no-untyped-call]


if __name__ == "__main__":
    main()
