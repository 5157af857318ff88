"""`kotrans translate`: one output line per input line, from arguments, files, pipes and the prompt."""

import json
import os
import select
import subprocess
import sys
import time
import unicodedata
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import pytest

if sys.platform != "win32":
    import pty
    import termios

from kotrans.storage.files import read_lines
from kotrans.text.normalization import normalize
from kotrans.text.passthrough import has_korean
from kotrans.translation.translator import Translator
from tests.tiny_run import TinyRun, kotrans

pytestmark = pytest.mark.e2e

KOREAN = "저는 새 나무를 봅니다."
OTHER = "우리는 큰 바다를 찾습니다."
COMMAND = [sys.executable, "-m", "kotrans", "translate"]


@pytest.fixture(scope="module")
def strange_lines() -> list[str]:
    """2,000 lines with unusual characters and lengths."""
    kinds = [
        KOREAN,
        "",
        OTHER,
        "   ",
        unicodedata.normalize("NFD", KOREAN),
        "나무 🌳 👩\u200d👩\u200d👧 바다 🎉",
        "\u200b",
    ]
    kinds += [
        "나무\x00바다",
        "나무\u2028바다\u2029사과\x85우유",
        "\x1b[31m나무\x07",
        "a" * 40,
        "\ufeff나무",
        "나무\t바다",
    ]
    kinds += ["<s> </s> <pad> ▁ \ufdd0", "漢字 ελληνικά"]
    lines = [kinds[i % len(kinds)] for i in range(2000)]
    lines[700] = " ".join(f"나무를 {n}번 보고" for n in range(625))
    lines[1400] = "가" * 5000
    return lines


@pytest.fixture(scope="module")
def strange_result(strange_lines: list[str], tiny_run: TinyRun) -> list[str]:
    """Their translations, from a file with a byte order mark and "\\r\\n" to another file."""
    source, target = tiny_run.folder / "strange.ko", tiny_run.folder / "strange.en"
    source.write_bytes(b"\xef\xbb\xbf" + "".join(line + "\r\n" for line in strange_lines).encode())
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KOTRANS_RUNS", str(tiny_run.runs))
        result = kotrans("translate", "--file", source, "--out", target, "--beam", "1")
    assert (result.code, result.out) == (0, ""), result.err
    assert "line 701: has a sentence longer than what the run was trained on" in result.err
    assert "\r" not in target.read_bytes().decode()
    return read_lines(target)


def test_two_thousand_strange_lines_stay_two_thousand(strange_lines: list[str], strange_result: list[str]) -> None:
    assert len(strange_result) == len(strange_lines) == 2000
    for line, translation in zip(strange_lines, strange_result, strict=True):
        assert bool(translation) <= bool(line.strip("\u200b "))
        assert len(translation.splitlines()) <= 1
        if has_korean(line):
            assert all(character.isprintable() for character in translation)
        else:
            assert translation == normalize(line)


def test_equal_lines_have_equal_translations_wherever_they_stand(
    strange_lines: list[str], strange_result: list[str]
) -> None:
    found: dict[str, set[str]] = {}
    for line, translation in zip(strange_lines, strange_result, strict=True):
        found.setdefault(unicodedata.normalize("NFC", line).strip("\ufeff"), set()).add(translation)
    assert {line: texts for line, texts in found.items() if len(texts) > 1} == {}
    assert len({next(iter(texts)) for texts in found.values()}) > 3


def test_arguments_files_and_pipes_give_the_same_translations(run: TinyRun, tmp_path: Path) -> None:
    lines = [KOREAN, "", OTHER]
    text = "".join(line + "\n" for line in lines)
    (tmp_path / "in.txt").write_text(text, encoding="utf-8")
    arguments = kotrans("translate", *lines)
    assert arguments.code == 0
    assert len(arguments.lines) == 3
    assert arguments.lines[1] == ""
    assert arguments.lines[0] != arguments.lines[2]
    assert kotrans("translate", "--file", tmp_path / "in.txt").out == arguments.out
    assert kotrans("translate", stdin=text.encode()).out == arguments.out
    assert kotrans("translate", stdin=b"\xef\xbb\xbf" + text.replace("\n", "\r\n").encode()).out == arguments.out
    assert kotrans("translate", stdin=text.removesuffix("\n").encode()).out == arguments.out
    assert kotrans("translate", "\n".join(lines)).out == arguments.out
    assert kotrans("translate", "--file", tmp_path / "in.txt", "--out", tmp_path / "deep" / "out.txt").out == ""
    assert (tmp_path / "deep" / "out.txt").read_text("utf-8") == arguments.out


def test_empty_input_gives_no_output_and_a_blank_line_gives_a_blank_line(run: TinyRun) -> None:
    assert kotrans("translate", stdin=b"").out == ""
    assert kotrans("translate", stdin=b"\n").out == "\n"
    assert kotrans("translate", "").out == "\n"


def test_standard_error_names_the_run_and_its_checkpoint(run: TinyRun) -> None:
    (best,) = {path.name for path in (run.runs / "tiny" / "checkpoints").iterdir()} & {
        json.loads((run.runs / "tiny" / "run.json").read_text("utf-8"))["best"]
    }
    assert kotrans("translate", KOREAN).err == f"run tiny/{best}\n"
    first = "update-00000080"
    assert kotrans("translate", KOREAN, "--run", f"tiny/{first}").err == f"run tiny/{first}\n"
    assert kotrans("translate", KOREAN, "--run", "tiny/last").err == "run tiny/update-00000160\n"


def test_an_ensemble_of_a_run_with_itself_is_the_run(run: TinyRun) -> None:
    alone = kotrans("translate", KOREAN, OTHER, "--n-best", "3")
    together = kotrans("translate", KOREAN, OTHER, "--n-best", "3", "--run", "tiny", "--run", "tiny")
    assert together.out == alone.out
    assert together.err.count("tiny/") == 2
    other = kotrans("translate", KOREAN, OTHER, "--run", "tiny/update-00000080", "--run", "tiny/update-00000160")
    assert len(other.lines) == 2


def test_n_best_prints_pairs_of_text_and_score_best_first(run: TinyRun) -> None:
    one = kotrans("translate", KOREAN, OTHER)
    for line, best in zip(kotrans("translate", KOREAN, OTHER, "--n-best", "4").lines, one.lines, strict=True):
        cells = line.split("\t")
        assert len(cells) == 8
        scores = [float(score) for score in cells[1::2]]
        assert cells[0] == best
        assert scores == sorted(scores, reverse=True)
    assert kotrans("translate", "", "--n-best", "2").out == "\t0.0000\n"


def test_beam_is_the_same_as_setting_search_beam(run: TinyRun) -> None:
    greedy = kotrans("translate", KOREAN, OTHER, "--beam", "1")
    assert kotrans("translate", KOREAN, OTHER, "--set", "search.beam=1").out == greedy.out


def test_attention_as_json_has_one_record_per_line_including_long_and_blank_ones(run: TinyRun, tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    lines = [KOREAN, "", " ".join([KOREAN] * 6)]
    result = kotrans("translate", *lines, "--attention", path)
    records = [json.loads(line) for line in read_lines(path)]
    assert [record["source"] for record in records] == lines
    assert [record["translation"] for record in records] == result.lines
    assert records[1]["weights"] == []
    for record in (records[0], records[2]):
        assert len(record["weights"]) == len(record["target_pieces"])
        for row in record["weights"]:
            assert len(row) == len(record["source_pieces"])
            assert sum(row) == pytest.approx(1, abs=1e-4)
    assert records[0]["source_pieces"].count("</s>") == 1
    assert records[2]["source_pieces"].count("</s>") > 1
    assert "".join(records[2]["source_pieces"]).replace("</s>", "").replace("▁", " ").strip() == lines[2]


def test_attention_as_images_has_one_image_per_line_that_is_not_blank(run: TinyRun, tmp_path: Path) -> None:
    assert kotrans("translate", KOREAN, "--attention", tmp_path / "one.svg").code == 0
    assert (tmp_path / "one.svg").read_text("utf-8").startswith("<?xml")
    result = kotrans("translate", KOREAN, "", OTHER, "--attention", tmp_path / "two.png")
    assert len(result.lines) == 3
    assert sorted(path.name for path in tmp_path.glob("*.png")) == ["two-1.png", "two-2.png"]
    assert (tmp_path / "two-1.png").read_bytes().startswith(b"\x89PNG")
    many = kotrans("translate", *[KOREAN] * 21, "--attention", tmp_path / "many.png")
    assert (many.code, many.out) == (2, "")
    assert "too many" in many.err
    assert not list(tmp_path.glob("many*"))


def test_a_failure_keeps_the_earlier_output_file(run: TinyRun, tmp_path: Path) -> None:
    (tmp_path / "in.txt").write_bytes("나무\n바다\n".encode() * 800 + b"\xff\n")
    (tmp_path / "out.txt").write_text("from before\n")
    (tmp_path / "a.jsonl").write_text("from before\n")
    result = kotrans(
        "translate", "--file", tmp_path / "in.txt", "--out", tmp_path / "out.txt", "--beam", "1",
        "--attention", tmp_path / "a.jsonl",
    )  # fmt: skip
    assert result.code == 1
    assert "in.txt:1601: not UTF-8" in result.err
    assert (tmp_path / "out.txt").read_text() == "from before\n"
    assert (tmp_path / "a.jsonl").read_text() == "from before\n"
    left = ["a.jsonl", "in.txt", "out.txt", "out.txt.partial", "out.txt.partial.jsonl"]
    assert sorted(path.name for path in tmp_path.iterdir()) == left
    assert len(read_lines(tmp_path / "out.txt.partial")) == 1024  # all lines read before the error


def test_out_replaces_the_file_and_may_be_the_input(run: TinyRun, tmp_path: Path) -> None:
    path = tmp_path / "text.txt"
    path.write_text(KOREAN + "\n", encoding="utf-8")
    expected = kotrans("translate", KOREAN).out
    assert kotrans("translate", "--file", path, "--out", path).code == 0
    assert path.read_text("utf-8") == expected


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_is_reported_in_one_line_for_files_and_standard_output(run: TinyRun, tmp_path: Path) -> None:
    result = kotrans("translate", KOREAN, "--out", "/dev/full")
    assert result.code == 1
    assert result.err.endswith("\nerror: /dev/full: the disk is full; it is unchanged\n")
    with Path("/dev/full").open("w") as full:
        ended = subprocess.run([*COMMAND, KOREAN], stdout=full, stderr=subprocess.PIPE, check=False)
    assert ended.returncode == 1
    assert ended.stderr.decode().split("\n")[1:] == [
        "error: output: No space left on device; check the path, its permissions and the free space", ""
    ]  # fmt: skip


def test_a_closed_pipe_gives_no_traceback(run: TinyRun) -> None:
    process = subprocess.Popen(
        [*COMMAND, "--beam", "1"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdin
    assert process.stdout
    assert process.stderr
    process.stdout.close()
    process.stdin.write(f"{KOREAN}\n".encode() * 1500)
    process.stdin.close()
    assert process.stderr.read().decode().startswith("run tiny/")
    process.stderr.close()
    assert process.wait() == 1


def test_arguments_that_are_not_utf8_are_refused(run: TinyRun) -> None:
    result = kotrans("translate", KOREAN, "나\udcff무")
    assert result.code == 2
    assert result.err.endswith("error: sentence 2: not UTF-8 text; put it into a file and give --file\n")


def test_a_pipe_gets_each_translation_before_the_next_line_is_written(run: TinyRun) -> None:
    expected = kotrans("translate", KOREAN, "", OTHER).lines
    with subprocess.Popen(COMMAND, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        assert process.stdin
        assert process.stdout
        for line, translation in zip((KOREAN, "", OTHER), expected, strict=True):
            process.stdin.write(f"{line}\n".encode())
            process.stdin.flush()
            assert process.stdout.readline().decode() == f"{translation}\n"
        process.stdin.close()
        assert process.stdout.read() == b""
    assert process.returncode == 0


def test_a_wrong_option_ends_the_process_while_it_waits_for_input(run: TinyRun) -> None:
    command = [*COMMAND, "--n-best", "9"]  # more than the beam: an error after the model is loaded
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stderr
        stderr = process.stderr.read().decode()
        assert process.wait() == 2
    assert "search.beam keeps 5" in stderr
    assert "Fatal" not in stderr


def test_lines_unlike_the_training_text_give_one_warning(run: TinyRun) -> None:
    odd = "배고파 죽겠다 ㅠㅠ"
    unfamiliar = "mostly unlike the training text; do not trust the translation\n"
    assert kotrans("translate", KOREAN).err.count("\n") == 1
    assert kotrans("translate", odd).err.endswith(f"\nwarning: {unfamiliar}")
    result = kotrans("translate", stdin="\n".join([KOREAN, odd, "", KOREAN]).encode())
    assert result.err.endswith(f"\nwarning: 1 of 4 lines is {unfamiliar.strip()} (line 2)\n")
    result = kotrans("translate", "--json", *[KOREAN, odd, odd] * 7)
    assert result.err.endswith(f"\nwarning: 14 of 21 lines are {unfamiliar.strip()} (line 2 first)\n")
    assert len(result.lines) == 21
    assert result.err.count("warning") == 1


def test_a_file_has_a_progress_bar_on_a_terminal_only(run: TinyRun, tmp_path: Path) -> None:
    source, out = tmp_path / "in.ko", tmp_path / "out.en"
    source.write_text(f"{KOREAN}\n" * 40, encoding="utf-8")
    shown, code = on_a_terminal(["--file", str(source), "--out", str(out)], [])
    assert code == 0
    assert "0/40" in shown
    assert len(read_lines(out)) == 40
    shown, code = on_a_terminal(["--file", str(source)], [], out)
    assert (code, "0/40" in shown) == (0, True)
    shown, code = on_a_terminal(["--file", str(source)], [])  # which shows the translations
    assert (code, "/40" in shown) == (0, False)
    assert kotrans("translate", "--file", source, "--out", out).err.count("\n") == 1


LOCALES = [
    {"LC_ALL": "C"},
    {"LC_ALL": "ko_KR.EUC-KR"},
    {"PYTHONIOENCODING": "ascii"},
    {"LC_ALL": "POSIX", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
]


@pytest.mark.parametrize("locale", LOCALES, ids=lambda locale: " ".join(f"{k}={v}" for k, v in locale.items()))
def test_korean_is_read_and_written_in_utf8_in_any_locale(locale: dict[str, str], run: TinyRun) -> None:
    expected = kotrans("translate", "--json", KOREAN).out
    kept = {key: os.environ[key] for key in ("PATH", "PYTHONPATH", "KOTRANS_RUNS", "SYSTEMROOT") if key in os.environ}
    ended = subprocess.run([*COMMAND, "--json", KOREAN], env=kept | locale, capture_output=True, check=False)
    assert ended.stdout.decode("utf-8") == expected, ended.stderr
    assert ended.returncode == 0


def test_a_pipe_that_is_not_utf8_is_refused_with_the_line_number(run: TinyRun) -> None:
    result = kotrans("translate", stdin="나무\n바다\n".encode() + "나무".encode("cp949"))
    assert result.code == 1
    assert result.err.endswith(
        "error: standard input:3: not UTF-8 text; it looks like cp949 (EUC-KR): "
        "convert it with `iconv -f cp949 -t utf-8`\n"
    )


def on_a_terminal(arguments: list[str], typed: list[str], stdout: Path | None = None) -> tuple[str, int]:
    """Runs `kotrans translate` on a pseudo-terminal, types a line per prompt, and returns output and exit code."""
    if sys.platform == "win32":
        pytest.skip("needs a pseudo-terminal")
    child, terminal = pty.fork()
    if child == 0:
        if stdout is not None:
            os.dup2(os.open(stdout, os.O_WRONLY | os.O_CREAT), 1)
        os.execv(sys.executable, [*COMMAND, *arguments])
    termios.tcsetwinsize(terminal, (24, 80))
    shown, prompts, deadline = b"", 0, time.monotonic() + 120
    while time.monotonic() < deadline:
        if not select.select([terminal], [], [], 10)[0]:
            if prompts == len(typed) and typed[-1:] == ["\x03"]:
                os.write(terminal, b"\x03")  # Python may miss one just before it starts to wait
            continue
        try:
            data = os.read(terminal, 65536)
        except OSError:  # the process has ended
            break
        shown += data
        if shown.count(b"> ") > prompts and prompts < len(typed):
            os.write(terminal, typed[prompts].encode())
            prompts += 1
    os.close(terminal)
    return shown.decode(), os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def test_a_terminal_gets_a_prompt(run: TinyRun) -> None:
    expected = kotrans("translate", KOREAN, OTHER).lines
    shown, code = on_a_terminal([], [f"{KOREAN}\n", f"{OTHER}\n", "\x04"])
    assert code == 0
    assert "Type a Korean sentence" in shown
    assert all(translation in shown for translation in expected)


def test_the_prompt_is_not_written_to_redirected_output(run: TinyRun, tmp_path: Path) -> None:
    expected = kotrans("translate", KOREAN, OTHER).out
    shown, code = on_a_terminal([], [f"{KOREAN}\n", f"{OTHER}\n", "\n"], tmp_path / "out.txt")
    assert code == 0
    assert shown.count("> ") == 3
    assert (tmp_path / "out.txt").read_text("utf-8") == expected


def test_ctrl_c_at_the_prompt_exits_without_traceback(run: TinyRun) -> None:
    shown, code = on_a_terminal([], ["\x03"])
    assert code in (130, -2)  # -2 if the second one arrives while Python exits
    assert "Traceback" not in shown
    assert shown.endswith("\n")


@pytest.mark.parametrize(
    ("option", "message"),
    [
        (["--out", "x"], "--out and --attention need input text"),
        (["--attention", "x.png"], "--out and --attention need input text"),
        (["--json"], "--json needs input text: give sentences, --file, or standard input"),
    ],
)
def test_out_attention_and_json_are_refused_at_the_prompt(run: TinyRun, option: list[str], message: str) -> None:
    shown, code = on_a_terminal(option, [])
    assert (code, shown.splitlines()) == (2, [shown.strip()])
    assert f"error: {message}" in shown


def test_lines_are_read_lazily(tiny_run: TinyRun, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KOTRANS_RUNS", str(tiny_run.runs))
    taken: list[str] = []

    def endless() -> Iterator[str]:
        while True:
            taken.append(KOREAN)
            yield KOREAN

    translator = Translator.load("tiny", settings=["search.batch=4", "search.beam=1"])
    assert len(list(islice(translator.translations(endless()), 10))) == 10
    assert len(taken) <= 64
