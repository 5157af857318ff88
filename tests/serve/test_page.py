"""The page in a real browser: it shows the response of the API."""

import shutil
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from kotrans.serve.schemas import Attention, TranslateResponse
from tests.serve.conftest import Service

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page, Route

playwright = pytest.importorskip("playwright.sync_api", reason="the page is tested with playwright")

pytestmark = pytest.mark.e2e

SENTENCE, OTHER = "저는 작은 고양이를 봅니다.", "우리는 새 의자를 찾습니다."
BROWSERS = ("chromium", "chromium-browser", "google-chrome")


@pytest.fixture(scope="module")
def browser() -> Iterator["Browser"]:
    found = next((path for name in BROWSERS if (path := shutil.which(name))), None)
    with playwright.sync_playwright() as running:
        try:
            launched = running.chromium.launch(executable_path=found, args=["--no-sandbox"])
        except playwright.Error as error:
            pytest.skip(f"no browser: install chromium ({str(error).strip().splitlines()[0]})")
        yield launched
        launched.close()


@pytest.fixture
def page(browser: "Browser", service: Service) -> Iterator["Page"]:
    """The open page; it must send requests only to the service, and log no errors."""
    context = browser.new_context(locale="en-US")
    opened = context.new_page()
    requests: list[str] = []
    errors: list[str] = []
    opened.on("request", lambda request: requests.append(request.url))
    opened.on("pageerror", lambda error: errors.append(str(error)))
    opened.on("console", lambda message: errors.append(message.text))
    opened.goto(service.url)
    yield opened
    assert [url for url in requests if not url.startswith((service.url, "data:"))] == []
    assert [each for each in errors if "Failed to load resource" not in each] == []
    context.close()


def translated(service: Service, *lines: str) -> TranslateResponse:
    with service.client() as client:
        body = {"text": list(lines), "beam": 5, "n_best": 3, "attention": "all"}
        return TranslateResponse.model_validate_json(client.post("/translate", json=body).text)


def attention_of(answer: TranslateResponse, line: int, hypothesis: int = 0) -> Attention:
    attention = answer.translations[line].hypotheses[hypothesis].attention
    assert attention is not None
    (of_sentence,) = attention
    return of_sentence


def write(page: "Page", text: str) -> None:
    """Types the text and waits for its translation."""
    with page.expect_response("**/translate") as response:
        page.get_by_label("Korean", exact=True).press_sequentially(text, delay=5)
    response.value.finished()
    page.locator(".pair").nth(text.count("\n")).wait_for()


def words(page: "Page", line: int, side: str) -> list[str]:
    return [each.replace("∎end of sentence", "</s>") for each in page.locator(
        f".word[data-line='{line}'][data-side={side}]").all_text_contents()]  # fmt: skip


def highlighted(page: "Page", side: str) -> list[int]:
    return [int(each.get_attribute("data-index") or "") for each in page.locator(f".{side} .word.highlighted").all()]


def expected(weights: list[float]) -> list[int]:
    """The words with at least half of the largest weight."""
    return [i for i, weight in enumerate(weights) if weight and weight >= max(weights) / 2]


def test_hovering_over_a_word_highlights_the_words_with_the_largest_attention_weights(
    page: "Page", service: Service
) -> None:
    write(page, f"{SENTENCE}\n{OTHER}")
    answer = translated(service, SENTENCE, OTHER)
    for line in (0, 1):
        attention = attention_of(answer, line)
        assert words(page, line, "target") == attention.target_words
        assert words(page, line, "source") == attention.source_words
        for index, row in enumerate(attention.word_weights):
            page.locator(f".word[data-line='{line}'][data-side=target][data-index='{index}']").hover()
            assert highlighted(page, "source") == expected(row)
            assert highlighted(page, "target") == []
        for index in range(len(attention.source_words)):
            page.locator(f".word[data-line='{line}'][data-side=source][data-index='{index}']").focus()
            assert highlighted(page, "target") == expected([row[index] for row in attention.word_weights])
    page.mouse.move(0, 0)
    page.get_by_label("Korean", exact=True).focus()
    assert highlighted(page, "target") == highlighted(page, "source") == []


def test_the_heat_map_and_the_candidates_are_those_of_the_response_and_follow_the_selection(
    page: "Page", service: Service
) -> None:
    write(page, SENTENCE)
    answer = translated(service, SENTENCE)
    (best, second, *_) = answer.translations[0].hypotheses
    assert page.locator("#list button span:first-child").all_text_contents() == [
        each.text for each in answer.translations[0].hypotheses
    ]
    assert page.locator("#list .score").first.text_content() == f"{best.score:.3f}"
    assert page.locator("#announcement").text_content() == best.text
    page.locator("#list button").nth(1).click()
    attention = attention_of(answer, 0, 1)
    assert words(page, 0, "target") == attention.target_words
    shown = [
        [float(cell or 0) for cell in row.locator("td").all_text_contents()] for row in page.locator("tbody tr").all()
    ]
    for row, weights in zip(shown, attention.word_weights, strict=True):
        assert row == pytest.approx([100 * weight for weight in weights], abs=0.51)
    assert second.text in (page.locator("#list [aria-pressed=true]").text_content() or "")


def test_the_page_completes_the_beginning_that_was_typed(page: "Page") -> None:
    write(page, SENTENCE)
    with page.expect_response("**/translate") as response:
        page.get_by_label("Translation begins with").fill("We wait for")
    response.value.finished()
    page.wait_for_function("document.querySelector('.target').textContent.startsWith('Wewaitfor')")
    with page.expect_response("**/translate") as response:
        page.get_by_label("Translation begins with").fill("")
    assert "prefix" not in (response.value.request.post_data or "")


def test_every_word_is_reachable_by_keyboard_and_the_language_can_be_switched(page: "Page") -> None:
    write(page, SENTENCE)
    for _ in range(4):  # past two select boxes and the beginning to the first English word
        page.keyboard.press("Tab")
    for index in (0, 1, 2):
        assert page.evaluate("document.activeElement.dataset.index") == str(index)
        assert page.locator("#word-weights").text_content() not in ("", None)
        page.keyboard.press("ArrowRight")
    page.keyboard.press("Home")
    assert page.evaluate("document.activeElement.dataset.index") == "0"
    page.get_by_role("button", name="한국어").click()
    assert page.evaluate("document.documentElement.lang") == "ko"
    assert page.get_by_label("한국어", exact=True).input_value() == SENTENCE
    unnamed = "e => !e.labels?.length && !e.textContent.trim()"
    controls = "[...document.querySelectorAll('button,select,textarea,input')]"
    assert page.evaluate(f"{controls}.filter({unnamed}).length") == 0


def test_the_response_to_a_superseded_request_is_dropped(page: "Page", service: Service) -> None:
    page.add_init_script("AbortController.prototype.abort = () => {}")  # lets the late response arrive
    page.reload()
    held: list[Route] = []

    def hold(route: "Route") -> None:
        if SENTENCE in str(route.request.post_data_json):
            held.append(route)
        else:
            route.continue_()

    page.route("**/translate", hold)
    korean = page.get_by_label("Korean", exact=True)
    with page.expect_request("**/translate"):
        korean.fill(SENTENCE)
    korean.fill(OTHER)
    newer = translated(service, OTHER).translations[0].text
    page.locator("#announcement", has_text=newer).wait_for(state="attached")
    (late,) = held
    with page.expect_response("**/translate") as response:
        late.continue_()
    response.value.finished()
    page.evaluate("() => new Promise(resolve => setTimeout(resolve, 50))")
    assert page.locator("#announcement").text_content() == newer
    korean.fill("")
    page.locator(".pair").wait_for(state="detached")


@pytest.mark.parametrize(
    ("status", "shown"),
    [
        (0, "No response from the service"),
        (401, "This service requires a token"),
        (422, "The request is not valid. (reason)"),
        (504, "The translation took too long"),
    ],
)
def test_errors_are_explained(page: "Page", status: int, shown: str) -> None:
    page.route(
        "**/translate",
        lambda route: route.fulfill(status=status, json={"error": "reason"}) if status else route.abort(),
    )
    page.get_by_label("Korean", exact=True).fill(SENTENCE)
    page.get_by_role("alert").get_by_text(shown).wait_for()
    assert page.locator("#token-form").is_visible() == (status == 401)


@pytest.mark.parametrize("width", [200, 240])
def test_a_wide_heat_map_scrolls_without_widening_the_page(page: "Page", width: int) -> None:
    page.set_viewport_size({"width": width, "height": 800})
    page.get_by_label("Korean").fill("새 나무와 큰 의자와 작은 사과와 오래된 우유와 " * 6 + "바다를 봅니다.")
    page.wait_for_selector("#map td")
    of_map = page.locator("#map").evaluate("map => map.getBoundingClientRect().right")
    assert of_map > width, "the map is not wider than the page: nothing was tested"
    assert page.evaluate("document.documentElement.scrollWidth") == width
