"""The service answers as the translator does, whatever it is asked and however."""

import json
import socket
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

import httpx
import pytest

from kotrans.serve.schemas import Problem, TranslateResponse
from kotrans.storage.files import read_lines
from kotrans.translation.translator import Translator
from tests.serve.conftest import Service
from tests.tiny_run import TinyRun


@pytest.fixture(scope="module")
def lines(tiny_run: TinyRun) -> list[str]:
    long = " ".join(["저는 새 나무를 봅니다."] * 9)
    return [*read_lines(tiny_run.folder / "test.ko")[:20], "", long, "처음 보는 낱말 zebra 🌳", "나무"]


@pytest.fixture(scope="module")
def translator(tiny_run: TinyRun) -> Callable[[int], Translator]:
    """The translator in this process, by beam."""

    def load(beam: int) -> Translator:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("KOTRANS_RUNS", str(tiny_run.runs))
            return Translator.load("tiny", settings=[f"search.beam={beam}"])

    return load


def figure(client: httpx.Client, name: str) -> float:
    """A figure of /metrics."""
    (line,) = [line for line in client.get("/metrics").text.splitlines() if line.startswith(f"{name} ")]
    return float(line.split()[1])


def test_requests_that_come_together_are_batched_and_each_gets_what_it_would_get_alone(
    service: Service, lines: list[str], translator: Callable[[int], Translator]
) -> None:
    asked = [(line, beam) for line in lines for beam in (1, 4)]
    start = threading.Barrier(len(asked))

    def ask(line: str, beam: int) -> TranslateResponse:
        with service.client() as client:
            start.wait()
            body = {"text": line, "beam": beam, "n_best": beam, "attention": "all"}
            return TranslateResponse.model_validate_json(client.post("/translate", json=body).text)

    with service.client() as client:
        before = figure(client, "kotrans_batch_sentences_sum"), figure(client, "kotrans_batch_sentences_count")
        with ThreadPoolExecutor(len(asked)) as pool:
            answers = list(pool.map(lambda pair: ask(*pair), asked))
        after = figure(client, "kotrans_batch_sentences_sum"), figure(client, "kotrans_batch_sentences_count")
    assert (after[0] - before[0]) / (after[1] - before[1]) > 2  # sentences at a time, on average
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


def test_a_list_is_answered_in_its_order_and_without_being_asked_says_no_attention(
    service: Service, lines: list[str], translator: Callable[[int], Translator]
) -> None:
    with service.client() as client:
        answer = TranslateResponse.model_validate_json(client.post("/translate", json={"text": lines * 4}).text)
        assert client.post("/translate", json={"text": []}).json()["translations"] == []
    assert [each.text for each in answer.translations] == [each.text for each in translator(5).translations(lines)] * 4
    assert {hypothesis.attention for each in answer.translations for hypothesis in each.hypotheses} == {None}
    assert answer.model.startswith("tiny/update-")


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ({"text": 3}, "text: should be a text or a list of texts"),
        ({"text": ["나무", *[0] * 200]}, "text: item 1 of the list should be a text"),
        ({"text": "나무", **{f"a{n}": 1 for n in range(60_000)}}, "a2: there is no such field; and 59,997 more"),
        ({"text": "나무", "beams": 3}, "beams: there is no such field; did you mean beam?"),
        ({"text": "나무", "y" * 10_000: 3}, f"{'y' * 100}…: there is no such field"),
        ({"beam": 3}, 'text: missing; send the text as {"text": "안녕하세요."}'),
        ([{"text": "나무"}], "body: a list; send one object"),
        ("나무", "body: should be an object"),
        ({"text": "나무", "beam": "3"}, "beam: should be a valid integer"),
        ({"text": "나무", "beam": 21}, "beam: 21, but at most 20 is taken"),
        ({"text": "나무", "beam": 2, "n_best": 3}, "n_best: 3 translations of a beam of 2"),
        ({"text": ["나무"] * 1025}, "1,025 sentences, but at most 1,024"),
        ({"text": ["네. " * 660] * 2}, "text: more than 1,024 sentences"),
        ({"text": ["나무", "나" * 2001]}, "line 2: 2,001 characters, but at most 2,000"),
        (
            {
                "text": [("나무를 보고 의자를 사고 우유를 마시고 사과를 먹고 " * 80)[:1900]] * 5,
                "n_best": 3,
                "attention": "all",
            },
            "weights, but at most 1,000,000 are made; ask for the attention of fewer sentences at once",
        ),
    ],
)
def test_what_cannot_be_is_told_in_one_line(service: Service, body: object, says: str) -> None:
    with service.client() as client:
        response = client.post("/translate", json=body)
        assert response.status_code == 422
        assert says in Problem.model_validate_json(response.text).error
        unread = client.post("/translate", content=b'{"text": ', headers={"content-type": "application/json"})
        assert (unread.status_code, unread.json()) == (
            400,
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
        elsewhere = client.get("/", headers={"host": "elsewhere.example:8000"})
        assert elsewhere.status_code == 403
        assert "the header `Host` names elsewhere.example" in Problem.model_validate_json(elsewhere.text).error
        assert client.get("/", headers={"host": "localhost:8000"}).status_code == 200
        assert client.get("/", headers={"host": "[::1]:8000"}).status_code == 200
        page = client.get("/")
    policy = page.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; script-src 'sha256-")
    assert "unsafe" not in policy
    assert page.headers["x-content-type-options"] == "nosniff"
