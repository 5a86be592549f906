"""A resource whose own values are the defaults of its fields, for the launchpad."""

from copy import copy
from typing import Any, TypeVar, cast

import dagster as dg
from pydantic import create_model

Resource = TypeVar("Resource", bound=dg.ConfigurableResource[Any])


def with_defaults(resource: Resource) -> Resource:
    """The same resource, of a class of the same name, each of whose fields has for its default what it is set to.

    Dagster takes what a resource was made with as one default for all of its fields together: a run that sets one field
    in the launchpad would get the class's defaults for the others, and be refused where a field has none. An `EnvVar`
    stays one, and is read when a run starts.
    """
    kind = type(resource)
    fields: dict[str, Any] = {}
    for name, declared in kind.model_fields.items():
        field = copy(declared)
        field.default = getattr(resource, name)
        fields[name] = (field.annotation, field)
    made = create_model(kind.__name__, __base__=kind, __doc__=kind.__doc__, __module__=kind.__module__, **fields)
    return cast(Resource, made())
