"""Requests generated from the OpenAPI document are answered as the document states."""

from typing import Any

import pytest
import requests
import schemathesis
from hypothesis import given, settings
from schemathesis import Case, GenerationMode
from schemathesis.checks import CHECKS, load_all_checks
from schemathesis.core.result import Ok
from schemathesis.schemas import BaseSchema

from tests.serve.conftest import Service

pytestmark = pytest.mark.e2e

load_all_checks()
# A schema cannot express that n_best is at most the beam, nor the limits: some valid requests are refused.
REFUSABLE: list[Any] = CHECKS.get_by_names(["positive_data_acceptance"])


@pytest.fixture(scope="module")
def described(service: Service) -> BaseSchema:
    with service.client() as client:
        schema = schemathesis.openapi.from_dict(client.get("/openapi.json").json())
    schema.config.update(base_url=service.url)
    return schema


@pytest.mark.parametrize("mode", list(GenerationMode))
def test_valid_and_invalid_requests_are_answered_as_documented(
    described: BaseSchema, service: Service, mode: GenerationMode
) -> None:
    called = []
    with requests.Session() as session:
        session.trust_env = False  # ignore proxy settings

        def send(case: Case[Any]) -> None:
            response = case.call_and_validate(session=session, excluded_checks=REFUSABLE)
            if "error" in (content := response.json() if "json" in response.headers["content-type"] else {}):
                assert "\n" not in content["error"]
            if isinstance(content, dict) and "translations" in content:
                assert isinstance(case.body, dict)
                text = case.body["text"]
                assert isinstance(text, str | list)
                assert len(content["translations"]) == (1 if isinstance(text, str) else len(text))
            called.append(case.operation.label)

        for found in described.get_all_operations():
            assert isinstance(found, Ok)
            operation = found.ok()
            edges = described.iter_coverage_cases(
                operation, generation_modes=[mode], generation_config=described.config.generation
            )
            for case in edges:  # boundary values, wrong types, other methods
                send(case)
            if mode is GenerationMode.POSITIVE or operation.body:  # without a body no request is invalid
                settings(max_examples=40)(given(case=operation.as_strategy(generation_mode=mode))(send))()
    without_body = {"GET /", "GET /health", "GET /metrics", "GET /languages"}
    assert {*without_body, "POST /translate", "POST /detect"} == set(called)
    assert len(called) > 50
    with service.client() as client:
        assert client.get("/health").json()["status"] == "ok"
