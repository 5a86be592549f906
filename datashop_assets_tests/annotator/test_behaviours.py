"""Servers as they are met: every row of the table over real HTTP, proxies and certificates included."""

import datetime as dt
import ipaddress
import logging
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from datashop_assets.protocols.annotator import AnnotationRequest, Ended
from datashop_assets_tests.annotator.behaviours import (
    HANDLED_SERVER_BEHAVIOURS,
    BehavingServer,
    Behaviour,
    always,
    answered,
    models,
    proxy,
    without,
)
from datashop_assets_tests.annotator.fleets import HASTY, QUESTION
from datashop_assets_tests.annotator.hostile_server import MODEL
from datashop_assets_tests.conftest import free_port
from resources.annotator.endpoints.addresses import checked_url
from resources.annotator.endpoints.annotator import EndpointsAnnotator
from resources.annotator.endpoints.connections import proxy_for

UNHURRIED = replace(HASTY, deadline=30.0)  # requests are counted, and one that is late would be sent again
DOCUMENTS = [AnnotationRequest(f"document-{number}", f"worth {number % 6}", "made") for number in range(12)]
LISTED = models(MODEL)
NAME = "models.example"  # reached through a proxy alone


@pytest.fixture(autouse=True)
def direct(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "SSL_CERT_FILE"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


@pytest.mark.parametrize("behaviour", HANDLED_SERVER_BEHAVIOURS, ids=lambda one: one.name)
def test_a_run_does_with_a_server_what_the_table_says(behaviour: Behaviour, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "datashop.annotator")
    answers, error = [], ""
    with BehavingServer(behaviour.reply, behaviour.models) as server:
        try:
            for answer in EndpointsAnnotator([server.url], UNHURRIED).answer(DOCUMENTS, QUESTION):
                answers.append(answer)  # noqa: PERF402 - an error comes after some of them
        except ValueError as stopped:
            error = str(stopped)

    complete = [answer for answer in answers if answer.ended is Ended.COMPLETE]
    assert len(complete) == behaviour.answers
    assert len(server.requests) <= behaviour.requests
    assert bool(error) == (behaviour.answers == 0)
    assert all(answer.raw == f"Final score: {int(answer.id[9:]) % 6}" for answer in complete)
    assert {answer.otherwise for answer in complete} <= {behaviour.otherwise}
    said = "\n".join([error or caplog.text, *(answer.reason for answer in answers)])
    assert [part for part in behaviour.says if part not in said] == []
    assert "\x1b" not in said
    if error:  # it says why, and nothing else says it again
        assert "gets no more requests" not in caplog.text
        assert [part for part in behaviour.says if part in caplog.text] == []


def test_what_is_learnt_is_remembered_for_the_whole_run() -> None:
    with BehavingServer(without("max_tokens", "seed"), LISTED) as server:
        annotator = EndpointsAnnotator([server.url], UNHURRIED)
        for _ in range(3):
            assert len(list(annotator.answer(DOCUMENTS, QUESTION))) == 12

    assert len(server.requests) == 36 + 2


def test_what_one_endpoint_declines_of_every_text_another_answers() -> None:
    rejects = always(400, "the template does not render")
    with BehavingServer(rejects, LISTED) as broken, BehavingServer(answered, LISTED) as good:
        answers = list(EndpointsAnnotator([broken.url, good.url], UNHURRIED).answer(DOCUMENTS, QUESTION))

    assert Counter(answer.ended for answer in answers) == {Ended.COMPLETE: 12}
    assert len(broken.requests) <= 8


@pytest.mark.parametrize("behaviour", HANDLED_SERVER_BEHAVIOURS, ids=lambda one: one.name)
def test_an_examination_says_of_a_server_what_a_run_meets(behaviour: Behaviour) -> None:
    """But for what only comes later, or ends soon."""
    with BehavingServer(behaviour.reply, behaviour.models) as server:
        why = EndpointsAnnotator([server.url], UNHURRIED).examine(QUESTION)[server.url]

    soon = behaviour.name in ("quota of a minute", "overloaded", "a reply broken off", "accepted")
    assert bool(why) == (behaviour.answers == 0 or soon)


@pytest.mark.parametrize(
    ("pasted", "base"),
    [
        ("http://host:8000/v1/chat/completions", "http://host:8000/v1"),
        ("https://host/openai/v1/models/", "https://host/openai/v1"),
        ("http://host/chat/completions", "http://host/v1"),
    ],
)
def test_the_address_of_a_request_is_no_base_address(pasted: str, base: str) -> None:
    with pytest.raises(ValueError, match=f"give {base}$"):
        checked_url(pasted)


def test_a_base_address_that_lacks_its_end_is_told_with_the_one_that_answers() -> None:
    with BehavingServer(answered, LISTED) as server:
        wrong = server.url.replace("/v1", "/api")
        with pytest.raises(ValueError, match=f"status 404.*{server.url} lists models: give that one"):
            list(EndpointsAnnotator([wrong], UNHURRIED).answer(DOCUMENTS, QUESTION))


def certificate(folder: Path, name: str, days: int = 1) -> tuple[Path, Path]:
    """A self-signed certificate for `name` and its key, as files."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    alternative = x509.IPAddress(ipaddress.ip_address(name)) if name[0].isdigit() else x509.DNSName(name)
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=30))
        .not_valid_after(now + dt.timedelta(days=days))
        .add_extension(x509.SubjectAlternativeName([alternative]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    files = folder / "certificate.pem", folder / "key.pem"
    files[0].write_bytes(made.public_bytes(serialization.Encoding.PEM))
    unencrypted = serialization.NoEncryption()
    pem, form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    files[1].write_bytes(key.private_bytes(pem, form, unencrypted))
    return files


def test_a_certificate_that_nobody_knows_is_told_at_once_and_trusted_by_its_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = certificate(tmp_path, "127.0.0.1")
    with BehavingServer(answered, LISTED, files) as server:
        began = time.monotonic()
        with pytest.raises(ValueError, match=r"self-signed certificate; .*name it in SSL_CERT_FILE"):
            list(EndpointsAnnotator([server.url], UNHURRIED).answer(DOCUMENTS, QUESTION))
        assert time.monotonic() - began < 5
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "none.pem"))
        with pytest.raises(ValueError, match=r"now names .*none\.pem, and that is no file"):
            list(EndpointsAnnotator([server.url], UNHURRIED).answer(DOCUMENTS, QUESTION))
        monkeypatch.setenv("SSL_CERT_FILE", str(files[0]))
        assert len(list(EndpointsAnnotator([server.url], UNHURRIED).answer(DOCUMENTS, QUESTION))) == 12


@pytest.mark.parametrize(
    ("name", "days", "fix"),
    [("127.0.0.1", -1, "expired; renew the certificate"), ("other.example", 1, "put the name that the certificate")],
)
def test_a_certificate_that_does_not_hold_has_a_fix_of_its_own(
    name: str, days: int, fix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = certificate(tmp_path, name, days)
    monkeypatch.setenv("SSL_CERT_FILE", str(files[0]))
    with BehavingServer(answered, LISTED, files) as server, pytest.raises(ValueError, match=fix):
        list(EndpointsAnnotator([server.url], UNHURRIED).answer(DOCUMENTS, QUESTION))


def test_a_server_without_tls_is_told_so() -> None:
    with BehavingServer(answered, LISTED) as server, pytest.raises(ValueError, match="give http:// in its address"):
        list(EndpointsAnnotator([server.url.replace("http:", "https:")], UNHURRIED).answer(DOCUMENTS, QUESTION))


def test_requests_go_through_the_proxy_of_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = certificate(tmp_path, NAME)
    monkeypatch.setenv("SSL_CERT_FILE", str(files[0]))
    with BehavingServer(answered, LISTED, files) as safe, proxy(safe.port) as (address, lines):
        monkeypatch.setenv("HTTPS_PROXY", address.replace("http://", "http://me:secret@"))
        assert len(list(EndpointsAnnotator([f"https://{NAME}/v1"], UNHURRIED).answer(DOCUMENTS, QUESTION))) == 12
    assert set(lines) == {f"CONNECT {NAME}:443 HTTP/1.1"}

    with BehavingServer(answered, LISTED) as plain, proxy(plain.port) as (address, lines):
        monkeypatch.setenv("HTTP_PROXY", address)
        assert len(list(EndpointsAnnotator([f"http://{NAME}/v1"], UNHURRIED).answer(DOCUMENTS, QUESTION))) == 12
        assert len(list(EndpointsAnnotator([plain.url], UNHURRIED).answer(DOCUMENTS, QUESTION))) == 12  # itself: direct
    assert lines
    assert all(f"http://{NAME}/" in line for line in lines)


def test_a_proxy_that_refuses_or_is_not_there_is_told_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    with BehavingServer(answered, LISTED) as server, proxy(server.port, status=407) as (address, _):
        monkeypatch.setenv("HTTPS_PROXY", address.replace("http://", "http://me:secret@"))
        with pytest.raises(ValueError, match=r"answers 407 .*user and password into HTTPS_PROXY") as error:
            list(EndpointsAnnotator([f"https://{NAME}/v1"], UNHURRIED).answer(DOCUMENTS, QUESTION))
    assert "secret" not in str(error.value)
    monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{free_port()}")
    with pytest.raises(ValueError, match=r"nothing answers at the proxy .*correct HTTPS_PROXY"):
        list(EndpointsAnnotator([f"https://{NAME}/v1"], UNHURRIED).answer(DOCUMENTS, QUESTION))
    monkeypatch.setenv("HTTPS_PROXY", "socks5://127.0.0.1:1080")
    with pytest.raises(ValueError, match=r"only http:// and https:// proxies"):
        list(EndpointsAnnotator([f"https://{NAME}/v1"], UNHURRIED).answer(DOCUMENTS, QUESTION))


@pytest.mark.parametrize(
    ("no_proxy", "address", "direct"),
    [
        ("", "http://host.example/v1", False),
        ("host.example", "http://host.example:8000/v1", True),
        (".example", "http://host.example/v1", True),
        ("10.0.0.0/8", "http://10.2.3.4:8000/v1", True),
        ("10.0.0.0/8", "http://11.2.3.4:8000/v1", False),
        ("*", "http://host.example/v1", True),
        ("", "http://localhost:8000/v1", True),
        ("", "http://[::1]:8000/v1", True),
    ],
)
def test_what_no_proxy_names_is_reached_directly(
    no_proxy: str, address: str, direct: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "proxy.example:3128")
    monkeypatch.setenv("NO_PROXY", no_proxy)
    assert (proxy_for(address) is None) == direct
