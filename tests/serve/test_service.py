"""Responses of the service equal those of the translator, for all options and under load."""

import json
import socket
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from kotrans.config.loading import override_config
from kotrans.serve.schemas import Problem, TranslateResponse
from kotrans.storage.files import read_lines
from kotrans.translation.translator import Translator
from tests.serve.conftest import Service
from tests.tiny_run import TinyRun

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def lines(tiny_run: TinyRun) -> list[str]:
    long = " ".join(["저는 새 나무를 봅니다."] * 9)
    return [*read_lines(tiny_run.folder / "test.ko")[:20], "", long, "처음 보는 낱말 zebra 🌳", "나무"]


@pytest.fixture(scope="module")
def translator(tiny_run: TinyRun) -> Callable[[int], Translator]:
    """Loads the translator in this process with a beam size."""

    def load(beam: int) -> Translator:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("KOTRANS_RUNS", str(tiny_run.runs))
            return Translator.load("tiny", settings=[f"search.beam={beam}"])

    return load


def figure(client: httpx.Client, name: str) -> float:
    """A value of /metrics."""
    (line,) = [line for line in client.get("/metrics").text.splitlines() if line.startswith(f"{name} ")]
    return float(line.split()[1])


def test_concurrent_requests_are_batched_and_get_the_same_results_as_alone(
    service: Service, lines: list[str], translator: Callable[[int], Translator]
) -> None:
    requests = [(line, beam) for line in lines for beam in (1, 4)]
    start = threading.Barrier(len(requests))

    def send(line: str, beam: int) -> TranslateResponse:
        with service.client() as client:
            start.wait()
            body = {"text": line, "beam": beam, "n_best": beam, "attention": "all"}
            return TranslateResponse.model_validate_json(client.post("/translate", json=body).text)

    with service.client() as client:
        before = figure(client, "kotrans_batch_sentences_sum"), figure(client, "kotrans_batch_sentences_count")
        with ThreadPoolExecutor(len(requests)) as pool:
            answers = list(pool.map(lambda pair: send(*pair), requests))
        after = figure(client, "kotrans_batch_sentences_sum"), figure(client, "kotrans_batch_sentences_count")
    assert (after[0] - before[0]) / (after[1] - before[1]) > 2  # sentences per batch, on average
    for beam in (1, 4):
        alone = translator(beam)
        for line, answer in zip(lines, answers[(beam == 4) :: 2], strict=True):
            (expected,) = alone.translations([line], beam)
            (found,) = answer.translations
            assert (found.text, found.parts, answer.beam) == (expected.text, expected.parts, beam)
            assert [each.text for each in found.hypotheses] == [each.text for each in expected.hypotheses]
            for each, same in zip(found.hypotheses, expected.hypotheses, strict=True):
                assert each.score == pytest.approx(same.score, abs=1e-5)
                shown = each.attention or []
                assert [piece for part in shown for piece in part.target_pieces] == list(same.pieces)
                assert [piece for part in shown for piece in part.source_pieces] == (
                    list(expected.source_pieces) if shown else []
                )
                for part, weights in zip(shown, same.weights_of_parts, strict=True):
                    assert len(part.weights) == len(weights)
                    for row, expected_row in zip(part.weights, weights.tolist(), strict=True):
                        assert row == pytest.approx(expected_row, abs=2e-5)


def test_a_list_is_answered_in_order_and_without_attention_by_default(
    service: Service, lines: list[str], translator: Callable[[int], Translator]
) -> None:
    with service.client() as client:
        answer = TranslateResponse.model_validate_json(client.post("/translate", json={"text": lines * 4}).text)
        assert client.post("/translate", json={"text": []}).json()["translations"] == []
    assert [each.text for each in answer.translations] == [each.text for each in translator(5).translations(lines)] * 4
    assert {hypothesis.attention for each in answer.translations for hypothesis in each.hypotheses} == {None}
    assert answer.model.startswith("tiny/update-")


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"text": 3}, "text: should be a text or a list of texts"),
        ({"text": ["나무", *[0] * 200]}, "text: item 1 of the list should be a text"),
        ({"text": "나무", **{f"a{n}": 1 for n in range(60_000)}}, "a2: unknown field; and 59,997 more"),
        ({"text": "나무", "beams": 3}, "beams: unknown field; did you mean beam?"),
        ({"text": "나무", "y" * 10_000: 3}, f"{'y' * 100}…: unknown field"),
        ({"beam": 3}, 'text: missing; send the text as {"text": "안녕하세요."}'),
        ([{"text": "나무"}], "body: a list; send one object"),
        ("나무", "body: should be an object"),
        ({"text": "나무", "beam": "3"}, "beam: should be a valid integer"),
        ({"text": "나무", "beam": 21}, "beam: 21 exceeds the limit of 20"),
        ({"text": "나무", "beam": 2, "n_best": 3}, "n_best: 3 translations exceed the beam of 2"),
        ({"text": ["나무"] * 1025}, "1,025 texts exceed the limit of 1,024"),
        ({"text": ["네. " * 660] * 2}, "text: more than 1,024 sentences"),
        ({"text": ["나무", "나" * 2001]}, "line 2: 2,001 characters exceed the limit of 2,000"),
        (
            {
                "text": [("나무를 보고 의자를 사고 우유를 마시고 사과를 먹고 " * 80)[:1900]] * 5,
                "n_best": 3,
                "attention": "all",
            },
            "weights, which exceeds the limit of 1,000,000; request the attention of fewer sentences at once",
        ),
    ],
)
def test_an_invalid_request_gets_one_line_of_explanation(service: Service, body: object, message: str) -> None:
    with service.client() as client:
        response = client.post("/translate", json=body)
        assert response.status_code == 422
        assert message in Problem.model_validate_json(response.text).error
        malformed = client.post("/translate", content=b'{"text": ', headers={"content-type": "application/json"})
        assert (malformed.status_code, malformed.json()) == (
            400,
            {"error": "body: invalid JSON (Expecting value at character 9); send one JSON object"},
        )
        assert (client.get("/docs").status_code, client.get("/translate").status_code) == (404, 405)


def test_a_too_large_body_is_refused_while_the_client_is_still_sending(service: Service) -> None:
    with service.client() as client:
        declared = client.post("/translate", content=b"x" * 8_000_000, headers={"content-type": "application/json"})
        chunked = client.post("/translate", content=(b"x" * 100_000 for _ in range(80)))
        for response in (declared, chunked):
            assert response.status_code == 413
            assert "1000000 " in Problem.model_validate_json(response.text).error
        assert client.post("/translate", json={"text": "나무"}).status_code == 200


def test_disconnected_clients_do_not_affect_others(service: Service) -> None:
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
        end = time.monotonic() + 30
        while figure(client, "kotrans_waiting_sentences") and time.monotonic() < end:  # until the disconnect is noticed
            time.sleep(0.05)
        assert figure(client, "kotrans_waiting_sentences") == 0
        assert figure(client, 'kotrans_requests_total{path="/translate",status="0"}') > 0
        # Most of the 200 sentences are dropped before their turn.
        assert figure(client, "kotrans_batch_sentences_sum") - before < 200


def test_foreign_host_headers_are_refused_and_security_headers_are_set(service: Service) -> None:
    with service.client() as client:
        elsewhere = client.get("/", headers={"host": "elsewhere.example:8000"})
        assert elsewhere.status_code == 403
        assert "Host: elsewhere.example is not allowed" in Problem.model_validate_json(elsewhere.text).error
        assert client.get("/", headers={"host": "localhost:8000"}).status_code == 200
        assert client.get("/", headers={"host": "[::1]:8000"}).status_code == 200
        page = client.get("/")
    policy = page.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; script-src 'sha256-")
    assert "unsafe" not in policy
    assert page.headers["x-content-type-options"] == "nosniff"


def test_a_request_may_have_terms_and_a_beginning_beside_others_that_have_none(
    service: Service, lines: list[str], translator: Callable[[int], Translator], tmp_path: Path
) -> None:
    terms = {"나무": "apple", "새": "small"}
    (tmp_path / "terms.tsv").write_text("".join(f"{source}\t{target}\n" for source, target in terms.items()), "utf-8")
    texts = lines[:10]
    plain = translator(4)
    settings = [f"search.glossary={tmp_path / 'terms.tsv'}", "search.prefix=We"]
    bound = Translator.from_spec(replace(plain.spec, config=override_config(plain.spec.config, settings)))

    def send(**options: object) -> list[str]:
        with service.client() as client:
            answer = client.post("/translate", json={"text": texts, "beam": 4, **options})
            return [each.text for each in TranslateResponse.model_validate_json(answer.text).translations]

    with ThreadPoolExecutor(3) as pool:
        found = pool.submit(send, glossary=terms, prefix="We"), pool.submit(send)
    assert found[0].result() == bound.translate(texts)
    assert found[1].result() == plain.translate(texts)


def test_a_glossary_with_a_blank_term_is_refused(service: Service) -> None:
    with service.client() as client:
        answer = client.post("/translate", json={"text": "나무", "glossary": {"나무": " "}})
    assert answer.status_code == 422
    assert "glossary: '나무' has no translation" in Problem.model_validate_json(answer.text).error
