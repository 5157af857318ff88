"""The LibreTranslate API, with a real LibreTranslate client."""

from urllib.error import HTTPError

import pytest
from hypothesis import given
from hypothesis import strategies as st
from libretranslatepy import LibreTranslateAPI

from kotrans.serve.libretranslate import detect, split_html
from tests.serve.light import client, light_service

pytestmark = pytest.mark.e2e


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "*")


def test_a_real_client_translates_detects_and_lists_languages() -> None:
    with light_service() as url:
        service = LibreTranslateAPI(url)
        assert service.translate("가 나\n다", "ko", "en") == "가 나\n다"
        assert service.detect("안녕하세요 hello")[0]["language"] == "ko"
        assert [each["code"] for each in service.languages()] == ["ko", "en"]
        with pytest.raises(HTTPError) as refused:
            service.translate("hello", "en", "fr")
        assert refused.value.code == 400
        assert refused.value.read() == b'{"error":"source: en is not supported; use ko or auto"}'


def test_a_real_client_sends_the_token_as_api_key() -> None:
    with light_service(token="secret") as url:
        assert LibreTranslateAPI(url, "secret").translate("가", "ko", "en") == "가"
        assert LibreTranslateAPI(url, "secret").languages()
        for key in ("wrong", None):
            with pytest.raises(HTTPError) as refused:
                LibreTranslateAPI(url, key).translate("가", "ko", "en")
            assert refused.value.code == 401
            assert (b"wrong" if key else b"missing") in refused.value.read()


def test_json_forms_and_queries_are_equivalent() -> None:
    request = {"q": "가 & 나", "source": "auto", "target": "en", "format": "text"}
    with light_service() as url, client(url) as http:
        answers = [http.post("/translate", **{how: request}).json() for how in ("json", "data", "params")]  # type: ignore[arg-type]
        detected = {"confidence": 100.0, "language": "ko"}
        assert answers == [{"translatedText": "가 & 나", "detectedLanguage": detected}] * 3
        several = http.post("/translate", json={"q": ["가", "나"], "source": "ko", "alternatives": 2}).json()
        assert several == {"translatedText": ["가", "나"], "alternatives": [[], []]}
        assert http.post("/translate", json={"q": "가", "target": "ja"}).status_code == 400
        assert http.post("/translate", data={"q": "가", "alternatives": "many"}).status_code == 400


def test_html_tags_are_kept_in_place() -> None:
    html = '<p class="a">가 &lt; 나</p>\n<!-- 다 --><script>if (a < b) {}</script> 라<br/>'
    with light_service() as url, client(url) as http:
        answer = http.post("/translate", json={"q": html, "format": "html"}).json()
    assert answer["translatedText"] == html
    assert [line for line in split_html(html).lines if line] == ["가 < 나", "라"]


@given(text=st.text(st.sampled_from("<>/!-ab \n가script="), max_size=60))
def test_splitting_and_joining_html_changes_only_white_space_inside_text(text: str) -> None:
    split = split_html(text)
    assert len(split.breaks) == len(split.lines) - 1
    assert split.join(list(split.lines)).split() == text.split()


def test_the_language_is_detected_from_the_letters() -> None:
    assert detect("파일을 Visual Studio Code로 엽니다.").language == "ko"
    assert detect("The word 안녕 means hello.").language == "en"
    assert detect("123").confidence == 0
