"""`kotrans translate --out`: what an interruption leaves, and going on after it."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from kotrans.storage.files import read_lines
from tests.tiny_run import TinyRun, kotrans

# Chunks of 32 lines, as a batch of 2 has them.
COMMAND = ["translate", "--beam", "1", "--set", "search.batch=2", "--n-best", "1"]


@pytest.fixture
def source(run: TinyRun, tmp_path: Path) -> Path:
    lines = read_lines(run.folder / "test.ko")
    path = tmp_path / "in.ko"
    path.write_text("".join(f"{line}\n" for line in (lines * 40)[:1500]), encoding="utf-8")
    return path


def test_a_killed_translation_goes_on_to_the_bytes_of_one_that_was_not(source: Path) -> None:
    out, partial, whole = (source.with_name(name) for name in ("out.en", "out.en.partial", "whole.en"))
    assert kotrans(*COMMAND, "--file", source, "--out", whole).code == 0
    command = [sys.executable, "-m", "kotrans", *COMMAND, "--file", str(source), "--out", str(out)]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    while process.poll() is None and not (partial.exists() and partial.stat().st_size):
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    left = partial.read_bytes()
    assert not out.exists()
    assert whole.read_bytes().startswith(left)
    assert 0 < len(left) < len(whole.read_bytes())
    partial.write_bytes(left + b"half a li")  # as a crash of the whole machine may leave it
    result = kotrans(*COMMAND, "--file", source, "--out", out, "--continue")
    assert result.code == 0, result.err
    done = left.count(b"\n")
    assert f"going on after line {done}\n" in result.err
    assert out.read_bytes() == whole.read_bytes()
    assert {path.name for path in out.parent.iterdir()} == {"in.ko", "out.en", "whole.en"}


def test_ctrl_c_keeps_the_lines_that_are_done_and_tells_how_to_go_on(source: Path) -> None:
    out, partial = source.with_name("out.en"), source.with_name("out.en.partial")
    command = [sys.executable, "-m", "kotrans", *COMMAND, "--file", str(source), "--out", str(out)]
    process = subprocess.Popen(command, stderr=subprocess.PIPE)
    while process.poll() is None and not (partial.exists() and partial.stat().st_size):
        time.sleep(0.002)
    process.send_signal(signal.SIGINT)
    _, told = process.communicate()
    assert process.returncode == 130
    assert f"{partial}: has the lines that are done; the same command with --continue goes on" in told.decode()
    assert "Traceback" not in told.decode()
    assert partial.read_bytes().endswith(b"\n")


def test_lines_of_an_interrupted_translation_are_never_written_over(source: Path) -> None:
    out, partial = source.with_name("out.en"), source.with_name("out.en.partial")
    partial.write_text("precious\n")
    result = kotrans(*COMMAND, "--file", source, "--out", out)
    assert result.code == 2
    assert "out.en.partial was left by an interrupted translation; resume it with --continue" in result.err
    assert partial.read_text() == "precious\n"
    assert not out.exists()


def test_going_on_where_nothing_is_begins_at_the_beginning(source: Path) -> None:
    out, again = source.with_name("out.en"), source.with_name("again.en")
    source.write_text("".join(f"{line}\n" for line in read_lines(source)[:40]), encoding="utf-8")
    assert kotrans(*COMMAND, "--file", source, "--out", out).code == 0
    assert kotrans(*COMMAND, "--file", source, "--out", again, "--continue").code == 0
    assert again.read_bytes() == out.read_bytes()


def interrupted(source: Path, out: Path, lines: int, *options: str) -> bytes:
    """Leaves so many lines of a translation that fails after them; gives what the whole has."""
    whole = source.with_name("whole.en")
    text = source.read_bytes()
    assert kotrans(*COMMAND, *options, "--file", source, "--out", whole).code == 0
    source.write_bytes(b"".join(text.splitlines(keepends=True)[: -(-lines // 32) * 32]) + b"\xff\n")
    assert kotrans(*COMMAND, *options, "--file", source, "--out", out).code == 1
    source.write_bytes(text)
    partial = out.with_name(f"{out.name}.partial")
    partial.write_bytes(b"".join(partial.read_bytes().splitlines(keepends=True)[:lines]))
    return whole.read_bytes()


@pytest.mark.parametrize("lines", [1, 31, 32, 33, 75])
def test_no_line_that_is_done_is_lost_and_the_bytes_are_those_of_one_that_was_not_interrupted(
    lines: int, source: Path
) -> None:
    source.write_text("".join(f"{line}\n" for line in read_lines(source)[:100]), encoding="utf-8")
    out = source.with_name("out.en")
    whole = interrupted(source, out, lines)
    left = source.with_name("out.en.partial").read_bytes()
    assert left.count(b"\n") == lines
    marked = b"".join(b"MARK" + line for line in left.splitlines(keepends=True))  # what is there is not made again
    source.with_name("out.en.partial").write_bytes(marked)
    result = kotrans(*COMMAND, "--file", source, "--out", out, "--continue")
    assert result.code == 0, result.err
    assert f"going on after line {lines}\n" in result.err
    assert out.read_bytes() == marked + whole[len(left) :]


def test_a_pipe_goes_on_as_a_file_does(source: Path) -> None:
    source.write_text("".join(f"{line}\n" for line in read_lines(source)[:100]), encoding="utf-8")
    out = source.with_name("out.en")
    whole = interrupted(source, out, 40)
    assert kotrans(*COMMAND, "--out", out, "--continue", stdin=source.read_bytes()).code == 0
    assert out.read_bytes() == whole


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--beam", "3"], "search.beam 1, but now it is 3"),
        (["--set", "search.length_penalty=0.5"], "search.length_penalty 1.0, but now it is 0.5"),
        (["--n-best", "2", "--beam", "2"], "--n-best 1, but now it is 2"),
        (["--json"], "--json False, but now it is True"),
        (["--run", "tiny/update-00000080"], "but now it is tiny/update-00000080"),
    ],
)
def test_going_on_with_another_command_is_refused_and_changes_nothing(
    options: list[str], says: str, source: Path
) -> None:
    source.write_text("".join(f"{line}\n" for line in read_lines(source)[:100]), encoding="utf-8")
    out, partial = source.with_name("out.en"), source.with_name("out.en.partial")
    interrupted(source, out, 40)
    left = partial.read_bytes()
    result = kotrans(*COMMAND, *options, "--file", source, "--out", out, "--continue")
    assert (result.code, result.out) == (2, "")
    assert result.err.splitlines()[1].startswith(f"error: --continue: {partial} was made with ")
    assert says in result.err
    assert len(result.err.splitlines()) == 2
    assert partial.read_bytes() == left
    assert not out.exists()


def test_going_on_with_another_input_is_refused_by_line(source: Path) -> None:
    lines = read_lines(source)[:100]
    source.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    out, partial = source.with_name("out.en"), source.with_name("out.en.partial")
    whole = interrupted(source, out, 40)
    for other, says in (
        ([*lines[:20], "다른 줄", *lines[21:]], "line 21 of the input is not the one"),
        (lines[:30], "the input ends after line 30, but"),
    ):
        source.write_text("".join(f"{line}\n" for line in other), encoding="utf-8")
        result = kotrans(*COMMAND, "--file", source, "--out", out, "--continue")
        assert result.code == 2
        assert says in result.err
        assert len(read_lines(partial)) == 40
    source.write_text("".join(f"{line}\n" for line in [*lines, lines[0]]), encoding="utf-8")  # more is no other
    assert kotrans(*COMMAND, "--file", source, "--out", out, "--continue").code == 0
    assert out.read_bytes().startswith(whole)


def test_another_batch_is_the_same_translation(source: Path) -> None:
    source.write_text("".join(f"{line}\n" for line in read_lines(source)[:100]), encoding="utf-8")
    out = source.with_name("out.en")
    whole = interrupted(source, out, 40)
    assert kotrans(*COMMAND, "--set", "search.batch=1", "--file", source, "--out", out, "--continue").code == 0
    assert out.read_bytes() == whole


@pytest.mark.parametrize("record", [None, "", "[", "[]\n", "3\n", "[" * 100_000])
def test_lines_of_which_nothing_is_known_are_not_gone_on_with(record: str | None, source: Path) -> None:
    partial = source.with_name("out.en.partial")
    partial.write_text("precious\n")
    if record is not None:
        partial.with_name("out.en.partial.jsonl").write_text(record)
    result = kotrans(*COMMAND, "--file", source, "--out", source.with_name("out.en"), "--continue")
    assert result.code == 2
    assert "out.en.partial.jsonl is missing or damaged" in result.err
    assert "Traceback" not in result.err
    assert partial.read_text() == "precious\n"


def test_two_processes_never_write_one_file(source: Path) -> None:
    out, partial = source.with_name("out.en"), source.with_name("out.en.partial")
    command = [sys.executable, "-m", "kotrans", *COMMAND, "--out", str(out)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.DEVNULL)
    assert process.stdin
    process.stdin.write("나무\n".encode())
    process.stdin.flush()
    while process.poll() is None and not (partial.exists() and partial.stat().st_size):
        time.sleep(0.002)
    left = partial.read_bytes()
    for more in ([], ["--continue"]):
        result = kotrans(*COMMAND, "나무", "--out", out, *more)
        assert result.code == 2
        assert "out.en: another process is writing it" in result.err
    assert partial.read_bytes() == left
    process.stdin.write("바다\n".encode())
    process.stdin.close()
    assert process.wait() == 0
    assert len(read_lines(out)) == 2
    assert {path.name for path in out.parent.iterdir()} == {"in.ko", "out.en"}


def test_messages_count_the_lines_of_the_whole_input_when_it_goes_on(source: Path) -> None:
    lines = read_lines(source)[:64]
    lines[40] = " ".join(f"나무와 {number} 의자와" for number in range(60))
    source.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    out = source.with_name("out.en")
    interrupted(source, out, 33)
    result = kotrans(*COMMAND, "--file", source, "--out", out, "--continue")
    assert "going on after line 33\n" in result.err
    assert "\nline 41: has a sentence longer than what the run was trained on" in result.err
    assert len(read_lines(out)) == 64


@pytest.mark.parametrize("more", [[], ["--out", "out.en", "--attention", "a.jsonl"]])
def test_going_on_needs_a_file_to_go_on_with(run: TinyRun, more: list[str]) -> None:
    result = kotrans(*COMMAND, "나무", "--continue", *more)
    assert result.code == 2
    assert "--continue: goes on with --out, and cannot with --attention" in result.err
    assert not Path("out.en").exists()


def test_a_link_stays_one_and_its_file_grows_beside_what_it_leads_to(source: Path, tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    link, real = tmp_path / "link.en", tmp_path / "deep" / "real.en"
    real.write_text("from before\n")
    os.symlink(real, link)
    assert kotrans(*COMMAND, "나무", "--out", link).code == 0
    assert link.is_symlink()
    assert len(read_lines(real)) == 1
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["real.en"]
