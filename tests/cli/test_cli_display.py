"""Progress of training: a live bar on a terminal, plain lines elsewhere."""

import io
import re

import pytest

from kotrans.cli.display import StageDisplay, TrainingDisplay
from kotrans.training.events import DevFigures, Sample, Updated, Validated
from tests.tiny_run import TinyRun

pytestmark = pytest.mark.e2e


class Terminal(io.StringIO):
    """A standard error that is a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """A clock that the test sets."""
    now = [1000.0]
    monkeypatch.setattr("kotrans.cli.display.time.monotonic", lambda: now[0])
    monkeypatch.setattr("tqdm.std.time", lambda: now[0])
    return now


def updated(update: int, share: float) -> Updated:
    return Updated(update, 2, 3.25, 21.5, 4000, 0.5, 0.0012, 1.0, share)


def show(events: list[Updated | Validated], clock: list[float]) -> None:
    with TrainingDisplay() as display:
        for event in events:
            clock[0] += 6
            display(event)


VALIDATED = Validated(20, DevFigures(7.5, 31.25, (Sample("나무", "tree", "a tree"),)), True, 0, 3.0)


@pytest.mark.parametrize("columns", [80, 160])
def test_the_bar_fits_any_width(columns: int, clock: list[float], monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    monkeypatch.setattr("tqdm.std._screen_shape_wrapper", lambda: lambda file: (columns, 40))
    show([updated(10, 0.10), updated(20, 0.20), updated(30, 0.30)], clock)
    *_, shown = [state for state in terminal.getvalue().split("\r") if "30%" in state]
    for part in ("loss 3.25", "perplexity 21.5", "8,000 tokens/s", "lr 0.0012", "00:42 left"):
        assert part in shown
    assert ("|######  " in shown) == (columns == 160)
    assert len(shown.rstrip("\n")) <= columns


def test_the_remaining_time_of_a_resumed_run_is_measured_from_the_resume(
    clock: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    show([updated(80, 0.80), updated(81, 0.81), updated(82, 0.82)], clock)
    *_, shown = [state for state in terminal.getvalue().split("\r") if "82%" in state]
    assert "01:48 left" in shown  # 0.18 at 0.01 in 6 seconds


def test_the_bar_appears_with_the_first_update_and_disappears_after_the_last(
    clock: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    with TrainingDisplay() as display:
        assert terminal.getvalue() == ""
        display(updated(1, 0.5))
        display(VALIDATED)
    last = terminal.getvalue().rsplit("\r", 2)
    assert last[-1].strip() == ""


@pytest.mark.parametrize("live", [True, False])
def test_a_validation_remains_on_the_screen_with_its_samples(
    live: bool, clock: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    screen = Terminal() if live else io.StringIO()
    monkeypatch.setattr("sys.stderr", screen)
    show([updated(10, 0.1), VALIDATED], clock)
    assert "update 20: dev BLEU 31.25, perplexity 7.50 (best so far; 3 s)\n" in screen.getvalue()
    assert "    나무\n    → a tree\n    = tree\n" in screen.getvalue()


def test_without_a_terminal_there_is_a_plain_line_every_ten_seconds(
    clock: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    log = io.StringIO()
    monkeypatch.setattr("sys.stderr", log)
    show([updated(10 * n, 0.1 * n) for n in range(1, 10)], clock)
    lines = log.getvalue().rstrip("\n").split("\n")
    assert len(lines) == 4  # after 12, 24, 36 and 48 of 54 seconds
    assert lines[0] == (
        " 20% epoch 2 update 20: loss 3.250, perplexity 21.5, 8,000 target tokens/s, learning rate 0.0012"
    )
    assert "\r" not in log.getvalue()
    assert "\x1b" not in log.getvalue()


def test_a_log_of_training_is_plain_text(tiny_run: TinyRun) -> None:
    log = tiny_run.trained.err
    assert not set("\r\x1b") & set(log)
    for line in (
        r"corpus    \S+$",
        r"tokenizer \S+$",
        r"dataset   \S+$",
        r"run       \S+/tiny$",
        r"update 160: dev BLEU",
    ):
        assert re.search(line, log, re.MULTILINE)
    assert re.search(r"[\d,]+ parameters on cpu in (fp32|bf16), 1 threads; \d+ batches per epoch, [\d.]+% padding", log)
    assert "finished  160 updates" in log


def test_the_bar_of_a_stage_disappears_at_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    display = StageDisplay()
    display.progress("encode", 10, 100)
    assert "encode: " in terminal.getvalue()
    display.progress("encode", 100, 100)
    display.progress("file.tar.gz", 4000, None)
    display.close()
    assert terminal.getvalue().rsplit("\r", 2)[-1].strip() == ""
