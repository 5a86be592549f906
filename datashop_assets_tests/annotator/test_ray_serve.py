"""An application of Ray Serve by its name. That it is found on a real cluster is in `graph/test_ray.py`."""

import pytest

from datashop_assets_tests.conftest import free_port
from resources.annotator.endpoints.addresses import checked_url
from resources.annotator.endpoints.ray_serve import located


def test_a_name_is_a_dashboard_and_an_application() -> None:
    assert checked_url(" ray-serve://127.0.0.1:8265/annotator/ ") == "ray-serve://127.0.0.1:8265/annotator"


@pytest.mark.parametrize("name", ["ray-serve://127.0.0.1:8265", "ray-serve://127.0.0.1:8265/", "ray-serve://h/a/b"])
def test_a_name_without_an_application_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="names no application; give ray-serve://HOST:8265/annotator"):
        checked_url(name)


def test_a_name_with_a_password_is_refused() -> None:
    with pytest.raises(ValueError, match="holds a user, password or query"):
        checked_url("ray-serve://me:secret@host:8265/annotator")


def test_addresses_are_taken_as_they_are() -> None:
    assert list(located(["http://one:8000/v1", "https://two/v1"])) == ["http://one:8000/v1", "https://two/v1"]


def test_a_dashboard_that_is_not_there_is_told_with_the_mend() -> None:
    with pytest.raises(ValueError, match=r"no dashboard of a Ray cluster answers there .*; `ray dashboard FILE`"):
        list(located([f"ray-serve://127.0.0.1:{free_port()}/annotator"]))
