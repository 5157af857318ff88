"""The OpenAPI document against the service: what is made of the one is answered by the other as it says there."""

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

load_all_checks()
# A schema cannot say that n_best is at most the beam, nor how much a service takes, so that some of what it allows
# is refused.
REFUSABLE: list[Any] = CHECKS.get_by_names(["positive_data_acceptance"])


@pytest.fixture(scope="module")
def described(service: Service) -> BaseSchema:
    with service.client() as client:
        schema = schemathesis.openapi.from_dict(client.get("/openapi.json").json())
    schema.config.update(base_url=service.url)
    return schema


@pytest.mark.parametrize("mode", list(GenerationMode))
def test_what_the_document_allows_and_what_it_does_not_is_answered_as_it_says(
    described: BaseSchema, service: Service, mode: GenerationMode
) -> None:
    asked = []
    with requests.Session() as session:
        session.trust_env = False  # whatever proxy this machine has

        def ask(case: Case[Any]) -> None:
            response = case.call_and_validate(session=session, excluded_checks=REFUSABLE)
            if "error" in (told := response.json() if "json" in response.headers["content-type"] else {}):
                assert "\n" not in told["error"]
            if isinstance(told, dict) and "translations" in told:
                assert isinstance(case.body, dict)
                text = case.body["text"]
                assert isinstance(text, str | list)
                assert len(told["translations"]) == (1 if isinstance(text, str) else len(text))
            asked.append(case.operation.label)

        for found in described.get_all_operations():
            assert isinstance(found, Ok)
            operation = found.ok()
            edges = described.iter_coverage_cases(
                operation, generation_modes=[mode], generation_config=described.config.generation
            )
            for case in edges:  # the largest, the smallest, a wrong type, another method
                ask(case)
            if mode is GenerationMode.POSITIVE or operation.body:  # without a body nothing can be wrong
                settings(max_examples=40)(given(case=operation.as_strategy(generation_mode=mode))(ask))()
    pages = {"GET /", "GET /health", "GET /metrics", "GET /languages"}
    assert {*pages, "POST /translate", "POST /detect"} == set(asked)
    assert len(asked) > 50
    with service.client() as client:
        assert client.get("/health").json()["status"] == "ok"
