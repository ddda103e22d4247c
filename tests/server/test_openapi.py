"""The server does what its OpenAPI description says, for whatever fits it and whatever does not."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlencode

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, assume, given, settings
from schemathesis import GenerationMode
from schemathesis.checks import (
    content_type_conformance,
    negative_data_rejection,
    not_a_server_error,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

import hybrid
from hybrid.server.connection import HEAD
from tests.server.conftest import WORDS, Running, documents, running

OPERATIONS = [
    ("GET", "/v1/indexes"), ("GET", "/v1/indexes/{index}"), ("POST", "/v1/indexes/{index}/search"),
    ("POST", "/v1/indexes/{index}/search-many"), ("POST", "/v1/indexes/{index}/explain"),
    ("POST", "/v1/indexes/{index}/candidates"), ("GET", "/v1/indexes/{index}/documents"),
    ("POST", "/v1/indexes/{index}/documents"), ("PUT", "/v1/indexes/{index}/documents"),
    ("DELETE", "/v1/indexes/{index}/documents"), ("POST", "/v1/indexes/{index}/delete"),
    ("GET", "/v1/indexes/{index}/stats"), ("GET", "/health"), ("GET", "/ready"), ("GET", "/metrics"),
]  # fmt: skip
CHECKS = [
    not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance,
    response_headers_conformance, negative_data_rejection,
]  # fmt: skip
MODES = [GenerationMode.POSITIVE, GenerationMode.NEGATIVE]


@pytest.fixture(scope="module")
def writable(tmp_path_factory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("described") / "words"
    hybrid.create(folder, documents(), WORDS).close()
    with running(folder, "--write") as server:
        yield server


@pytest.fixture(scope="module")
def description(writable) -> schemathesis.BaseSchema:
    loaded = schemathesis.openapi.from_dict(httpx.get(f"{writable.url}/openapi.json").json())
    loaded.config.update(base_url=writable.url)
    return loaded


def test_every_operation_is_here(description):
    found = [result.ok() for result in description.get_all_operations()]
    assert sorted((each.method.upper(), each.path) for each in found) == sorted(OPERATIONS)


@pytest.mark.parametrize("mode", MODES, ids=lambda mode: mode.value)
@pytest.mark.parametrize(("method", "path"), OPERATIONS)
def test_the_description_holds(description, method, path, mode):
    """Statuses, media types and bodies are those described, and nothing is answered with 500."""
    operation = description[path][method]
    takes = operation.body or operation.query
    if mode is GenerationMode.NEGATIVE and not takes:
        pytest.skip("it takes nothing that could be wrong")

    @given(case=operation.as_strategy(generation_mode=mode))
    @settings(
        max_examples=25, deadline=None, derandomize=True, database=None, phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    def holds(case):
        if mode is GenerationMode.POSITIVE and "index" in case.path_parameters:
            case.path_parameters["index"] = "words"  # else nearly all would end at its name
            if isinstance(case.body, dict):
                case.body.pop("deadline", None)  # a short one is answered 503, as it should be
        assume(len(urlencode(case.query or {}, doseq=True)) < HEAD - 1000)  # a longer head is not read
        case.call_and_validate(checks=CHECKS)

    holds()
