"""The service answers as the translator does, whatever it is asked and however."""

import json
import socket
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from kotrans.files import read_lines
from kotrans.pipeline.translation import load_runs
from kotrans.serve.messages import Health, Problem, TranslateResponse
from kotrans.translate import BatchTranslator
from tests.serve.conftest import Service
from tests.tiny_run import TinyRun

Jsons = SearchStrategy[Any]


@pytest.fixture(scope="module")
def lines(tiny_run: TinyRun) -> list[str]:
    long = " ".join(["저는 새 나무를 봅니다."] * 9)
    return [*read_lines(tiny_run.folder / "test.ko")[:20], "", long, "처음 보는 낱말 zebra 🌳", "나무"]


@pytest.fixture(scope="module")
def translator(tiny_run: TinyRun) -> Callable[[int], BatchTranslator]:
    """The translator in this process, by beam."""

    def load(beam: int) -> BatchTranslator:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("KOTRANS_RUNS", str(tiny_run.runs))
            return load_runs(["tiny"], [f"search.beam={beam}"]).translator

    return load


def figure(client: httpx.Client, name: str) -> float:
    """A figure of /metrics."""
    (line,) = [line for line in client.get("/metrics").text.splitlines() if line.startswith(f"{name} ")]
    return float(line.split()[1])


def schema_values(schema: dict[str, Any], document: dict[str, Any]) -> Jsons:
    """Values that a schema of the OpenAPI document allows."""
    if "$ref" in schema:
        return schema_values(document["components"]["schemas"][schema["$ref"].rpartition("/")[2]], document)
    if "anyOf" in schema:
        return st.one_of([schema_values(each, document) for each in schema["anyOf"]])
    if schema["type"] == "object":
        values = {name: schema_values(each, document) for name, each in schema["properties"].items()}
        needed = schema.get("required", [])
        optional = {name: value for name, value in values.items() if name not in needed}
        return st.fixed_dictionaries({name: values[name] for name in needed}, optional=optional)
    if schema["type"] == "array":
        return st.lists(schema_values(schema["items"], document), max_size=4)
    korean = st.text(st.sampled_from("가나다라 저는나무를봅니다.\n\u200b🌳a"), max_size=20)
    return {
        "string": st.text(max_size=20) | korean,
        "integer": st.integers(schema.get("minimum"), 25) | st.integers(schema.get("minimum")),
        "boolean": st.booleans(),
        "null": st.none(),
    }[schema["type"]]


def checked(response: httpx.Response, document: dict[str, Any]) -> TranslateResponse | Problem:
    """What the answer says; it must be one that the document knows of."""
    assert str(response.status_code) in document["paths"]["/translate"]["post"]["responses"], response.text
    if response.status_code == 200:
        return TranslateResponse.model_validate_json(response.text)
    return Problem.model_validate_json(response.text)


@pytest.mark.parametrize("kind", [bytes, json.dumps])
def test_whatever_is_sent_is_answered_as_the_openapi_document_says(service: Service, kind: Callable[..., Any]) -> None:
    with service.client() as client:
        document = client.get("/openapi.json").json()
        body = document["paths"]["/translate"]["post"]["requestBody"]["content"]["application/json"]["schema"]
        leaves = st.none() | st.booleans() | st.integers() | st.floats() | st.text()
        anything = st.recursive(leaves, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=5)
        broken = st.one_of(
            st.binary(max_size=60),
            st.integers(1, 40).map(lambda depth: b"[" * 10 ** (depth // 10)),
            st.sampled_from(
                [b'{"text": 1e999}', b'{"text": "a", "beam": 1' + b"0" * 5000 + b"}", b'{"text": "\\ud800"}']
            ),
        )
        given_by_schema = schema_values(body, document)
        examples = broken if kind is bytes else given_by_schema | given_by_schema | anything

        @settings(max_examples=40)
        @given(example=examples)
        def answers(example: Any) -> None:
            content = example if kind is bytes else json.dumps(example).encode()
            response = client.post("/translate", content=content, headers={"content-type": "application/json"})
            assert response.status_code in (200, 400, 422)
            told = checked(response, document)
            if isinstance(told, TranslateResponse):
                text = json.loads(content)["text"]
                assert len(told.translations) == (1 if isinstance(text, str) else len(text))
            else:
                assert "\n" not in told.error

        answers()
        assert Health.model_validate_json(client.get("/health").text).status == "ok"


def test_requests_that_come_together_are_batched_and_each_gets_what_it_would_get_alone(
    service: Service, lines: list[str], translator: Callable[[int], BatchTranslator]
) -> None:
    asked = [(line, beam) for line in lines for beam in (1, 4)]
    start = threading.Barrier(len(asked))

    def ask(line: str, beam: int) -> TranslateResponse:
        with service.client() as client:
            start.wait()
            body = {"text": line, "beam": beam, "n_best": beam, "attention": True}
            return TranslateResponse.model_validate_json(client.post("/translate", json=body).text)

    with service.client() as client:
        before = figure(client, "kotrans_batch_sentences_sum"), figure(client, "kotrans_batch_sentences_count")
        with ThreadPoolExecutor(len(asked)) as pool:
            answers = list(pool.map(lambda pair: ask(*pair), asked))
        after = figure(client, "kotrans_batch_sentences_sum"), figure(client, "kotrans_batch_sentences_count")
    assert after[0] - before[0] == len(asked)
    assert after[1] - before[1] < len(asked) / 2
    for beam in (1, 4):
        alone = translator(beam)
        for line, answer in zip(lines, answers[(beam == 4) :: 2], strict=True):
            (expected,) = alone.translate([line], beam)
            (found,) = answer.translations
            assert (found.text, found.parts, answer.beam) == (expected.text, expected.parts, beam)
            assert [each.text for each in found.hypotheses] == [each.text for each in expected.hypotheses]
            for each, same in zip(found.hypotheses, expected.hypotheses, strict=True):
                assert each.score == pytest.approx(same.score, abs=1e-5)
                if each.attention is None:
                    assert same.weights is None
                else:
                    assert same.weights is not None
                    assert each.attention.target_pieces == list(same.pieces)
                    for row, weights in zip(each.attention.weights, same.weights.tolist(), strict=True):
                        assert row == pytest.approx(weights, abs=2e-5)


def test_a_list_is_answered_in_its_order_and_without_being_asked_says_no_attention(
    service: Service, lines: list[str], translator: Callable[[int], BatchTranslator]
) -> None:
    with service.client() as client:
        answer = TranslateResponse.model_validate_json(client.post("/translate", json={"text": lines * 4}).text)
        assert client.post("/translate", json={"text": []}).json()["translations"] == []
    assert [each.text for each in answer.translations] == [each.text for each in translator(5).translate(lines)] * 4
    assert {hypothesis.attention for each in answer.translations for hypothesis in each.hypotheses} == {None}
    assert answer.model.startswith("tiny/update-")


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ({"text": 3}, "text.str: should be a valid string"),
        ({"text": "나무", "beams": 3}, "beams: extra inputs are not permitted"),
        ({"text": "나무", "beam": 21}, "beam: 21, but at most 20 is taken"),
        ({"text": "나무", "beam": 2, "n_best": 3}, "n_best: 3 translations of a beam of 2"),
        ({"text": ["나무"] * 257}, "257 sentences, but at most 256"),
        ({"text": ["나무", "나" * 2001]}, "sentence 2: 2001 characters, but at most 2000"),
    ],
)
def test_what_cannot_be_is_told_in_one_line(service: Service, body: object, says: str) -> None:
    with service.client() as client:
        response = client.post("/translate", json=body)
        assert response.status_code == 422
        assert says in Problem.model_validate_json(response.text).error
        unread = client.post("/translate", content=b'{"text": ', headers={"content-type": "application/json"})
        assert (unread.status_code, unread.json()) == (
            422,
            {"error": "body: not JSON (Expecting value at character 9); mend it"},
        )
        assert (client.get("/docs").status_code, client.get("/translate").status_code) == (404, 405)


def test_a_body_that_is_too_large_is_refused_though_the_client_is_still_sending(service: Service) -> None:
    with service.client() as client:
        declared = client.post("/translate", content=b"x" * 8_000_000, headers={"content-type": "application/json"})
        chunked = client.post("/translate", content=(b"x" * 100_000 for _ in range(80)))
        for response in (declared, chunked):
            assert response.status_code == 413
            assert "1000000 " in Problem.model_validate_json(response.text).error
        assert client.post("/translate", json={"text": "나무"}).status_code == 200


def test_clients_that_leave_do_no_harm(service: Service) -> None:
    parts = urlsplit(service.url)
    with service.client() as client:
        before = figure(client, "kotrans_batch_sentences_sum")
    body = json.dumps({"text": ["저는 새 나무를 봅니다."] * 200, "beam": 20}).encode()
    whole = b"POST /translate HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    whole += b"Content-Length: %d\r\n\r\n" % len(body) + body
    for sent in (b"", b"POST /tran", whole[:150], whole[: len(whole) // 2], whole, b"\x00\xff\r\n\r\n"):
        with socket.create_connection((parts.hostname or "", parts.port or 0)) as connection:
            connection.sendall(sent)
    with service.client() as client:
        assert client.post("/translate", json={"text": "나무"}).status_code == 200
        assert figure(client, 'kotrans_requests_total{path="/translate",status="0"}') > 0
        assert figure(client, "kotrans_waiting_sentences") == 0
        # Nobody waits for most of the 200 sentences any more by the time it is their turn.
        assert figure(client, "kotrans_batch_sentences_sum") - before < 200


def test_only_this_machine_is_meant_and_browsers_are_kept_on_a_short_lead(service: Service) -> None:
    with service.client() as client:
        assert client.get("/", headers={"host": "elsewhere.example:8000"}).status_code == 403
        assert client.get("/", headers={"host": "localhost:8000"}).status_code == 200
        assert client.get("/", headers={"host": "[::1]:8000"}).status_code == 200
        page = client.get("/")
    policy = page.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; script-src 'sha256-")
    assert "unsafe" not in policy
    assert page.headers["x-content-type-options"] == "nosniff"
