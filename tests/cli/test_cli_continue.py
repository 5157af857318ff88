"""`kotrans translate --out`: interruption, and resuming with --continue."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from kotrans.storage.files import read_lines
from tests.tiny_run import TinyRun, kotrans

pytestmark = pytest.mark.e2e

# Chunks of 32 lines, as a batch of 2 has them.
COMMAND = ["translate", "--beam", "1", "--set", "search.batch=2", "--n-best", "1"]


@pytest.fixture
def source(run: TinyRun, tmp_path: Path) -> Path:
    lines = read_lines(run.folder / "test.ko")
    path = tmp_path / "in.ko"
    path.write_text("".join(f"{line}\n" for line in (lines * 40)[:1500]), encoding="utf-8")
    return path


def test_a_killed_translation_resumes_to_the_same_bytes_as_an_uninterrupted_one(source: Path) -> None:
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
    partial.write_bytes(left + b"half a li")  # as after a crash of the machine
    result = kotrans(*COMMAND, "--file", source, "--out", out, "--continue")
    assert result.code == 0, result.err
    done = left.count(b"\n")
    assert f"resuming after line {done}\n" in result.err
    assert out.read_bytes() == whole.read_bytes()
    assert {path.name for path in out.parent.iterdir()} == {"in.ko", "out.en", "whole.en"}


def test_ctrl_c_keeps_the_finished_lines_and_prints_how_to_resume(source: Path) -> None:
    out, partial = source.with_name("out.en"), source.with_name("out.en.partial")
    command = [sys.executable, "-m", "kotrans", *COMMAND, "--file", str(source), "--out", str(out)]
    process = subprocess.Popen(command, stderr=subprocess.PIPE)
    while process.poll() is None and not (partial.exists() and partial.stat().st_size):
        time.sleep(0.002)
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate()
    assert process.returncode == 130
    assert f"{partial}: contains the finished lines; run the same command with --continue to resume" in stderr.decode()
    assert "Traceback" not in stderr.decode()
    assert partial.read_bytes().endswith(b"\n")


def test_lines_of_an_interrupted_translation_are_never_overwritten(source: Path) -> None:
    out, partial = source.with_name("out.en"), source.with_name("out.en.partial")
    partial.write_text("precious\n")
    result = kotrans(*COMMAND, "--file", source, "--out", out)
    assert result.code == 2
    assert "out.en.partial was left by an interrupted translation; resume it with --continue" in result.err
    assert partial.read_text() == "precious\n"
    assert not out.exists()


def test_continue_without_a_partial_file_starts_from_the_beginning(source: Path) -> None:
    out, again = source.with_name("out.en"), source.with_name("again.en")
    source.write_text("".join(f"{line}\n" for line in read_lines(source)[:40]), encoding="utf-8")
    assert kotrans(*COMMAND, "--file", source, "--out", out).code == 0
    assert kotrans(*COMMAND, "--file", source, "--out", again, "--continue").code == 0
    assert again.read_bytes() == out.read_bytes()


def interrupted(source: Path, out: Path, lines: int, *options: str) -> bytes:
    """Leaves `lines` lines of a failed translation, and returns the bytes of the complete one."""
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
def test_resuming_keeps_finished_lines_and_gives_the_bytes_of_an_uninterrupted_translation(
    lines: int, source: Path
) -> None:
    source.write_text("".join(f"{line}\n" for line in read_lines(source)[:100]), encoding="utf-8")
    out = source.with_name("out.en")
    whole = interrupted(source, out, lines)
    left = source.with_name("out.en.partial").read_bytes()
    assert left.count(b"\n") == lines
    marked = b"".join(b"MARK" + line for line in left.splitlines(keepends=True))  # finished lines are not rewritten
    source.with_name("out.en.partial").write_bytes(marked)
    result = kotrans(*COMMAND, "--file", source, "--out", out, "--continue")
    assert result.code == 0, result.err
    assert f"resuming after line {lines}\n" in result.err
    assert out.read_bytes() == marked + whole[len(left) :]


def test_a_pipe_resumes_like_a_file(source: Path) -> None:
    source.write_text("".join(f"{line}\n" for line in read_lines(source)[:100]), encoding="utf-8")
    out = source.with_name("out.en")
    whole = interrupted(source, out, 40)
    assert kotrans(*COMMAND, "--out", out, "--continue", stdin=source.read_bytes()).code == 0
    assert out.read_bytes() == whole


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--beam", "3"], "search.beam 1, but now it is 3"),
        (["--set", "search.length_penalty=0.5"], "search.length_penalty 1.0, but now it is 0.5"),
        (["--n-best", "2", "--beam", "2"], "--n-best 1, but now it is 2"),
        (["--json"], "--json False, but now it is True"),
        (["--run", "tiny/update-00000080"], "but now it is tiny/update-00000080"),
    ],
)
def test_resuming_with_another_command_is_refused_and_changes_nothing(
    options: list[str], message: str, source: Path
) -> None:
    source.write_text("".join(f"{line}\n" for line in read_lines(source)[:100]), encoding="utf-8")
    out, partial = source.with_name("out.en"), source.with_name("out.en.partial")
    interrupted(source, out, 40)
    left = partial.read_bytes()
    result = kotrans(*COMMAND, *options, "--file", source, "--out", out, "--continue")
    assert (result.code, result.out) == (2, "")
    assert result.err.splitlines()[1].startswith(f"error: --continue: {partial} was made with ")
    assert message in result.err
    assert len(result.err.splitlines()) == 2
    assert partial.read_bytes() == left
    assert not out.exists()


def test_resuming_with_another_input_is_refused_with_the_line_number(source: Path) -> None:
    lines = read_lines(source)[:100]
    source.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    out, partial = source.with_name("out.en"), source.with_name("out.en.partial")
    whole = interrupted(source, out, 40)
    for other, message in (
        ([*lines[:20], "다른 줄", *lines[21:]], "line 21 of the input is not the one"),
        (lines[:30], "the input ends after line 30, but"),
    ):
        source.write_text("".join(f"{line}\n" for line in other), encoding="utf-8")
        result = kotrans(*COMMAND, "--file", source, "--out", out, "--continue")
        assert result.code == 2
        assert message in result.err
        assert len(read_lines(partial)) == 40
    source.write_text("".join(f"{line}\n" for line in [*lines, lines[0]]), encoding="utf-8")  # more lines are allowed
    assert kotrans(*COMMAND, "--file", source, "--out", out, "--continue").code == 0
    assert out.read_bytes().startswith(whole)


def test_resuming_with_another_batch_size_gives_the_same_translation(source: Path) -> None:
    source.write_text("".join(f"{line}\n" for line in read_lines(source)[:100]), encoding="utf-8")
    out = source.with_name("out.en")
    whole = interrupted(source, out, 40)
    assert kotrans(*COMMAND, "--set", "search.batch=1", "--file", source, "--out", out, "--continue").code == 0
    assert out.read_bytes() == whole


@pytest.mark.parametrize("record", [None, "", "[", "[]\n", "3\n", "[" * 100_000])
def test_a_partial_file_with_a_missing_or_damaged_record_is_not_resumed(record: str | None, source: Path) -> None:
    partial = source.with_name("out.en.partial")
    partial.write_text("precious\n")
    if record is not None:
        partial.with_name("out.en.partial.jsonl").write_text(record)
    result = kotrans(*COMMAND, "--file", source, "--out", source.with_name("out.en"), "--continue")
    assert result.code == 2
    assert "out.en.partial.jsonl is missing or damaged" in result.err
    assert "Traceback" not in result.err
    assert partial.read_text() == "precious\n"


def test_two_processes_never_write_the_same_file(source: Path) -> None:
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


def test_messages_of_a_resumed_translation_have_line_numbers_of_the_whole_input(source: Path) -> None:
    lines = read_lines(source)[:64]
    lines[40] = " ".join(f"나무와 {number} 의자와" for number in range(60))
    source.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    out = source.with_name("out.en")
    interrupted(source, out, 33)
    result = kotrans(*COMMAND, "--file", source, "--out", out, "--continue")
    assert "resuming after line 33\n" in result.err
    assert "\nline 41: has a sentence longer than what the run was trained on" in result.err
    assert len(read_lines(out)) == 64


@pytest.mark.parametrize("more", [[], ["--out", "out.en", "--attention", "a.jsonl"]])
def test_continue_needs_out_and_no_attention(run: TinyRun, more: list[str]) -> None:
    result = kotrans(*COMMAND, "나무", "--continue", *more)
    assert result.code == 2
    assert "--continue: needs --out, and does not support --attention" in result.err
    assert not Path("out.en").exists()


def test_a_symbolic_link_is_kept_and_its_target_is_replaced(source: Path, tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    link, real = tmp_path / "link.en", tmp_path / "deep" / "real.en"
    real.write_text("from before\n")
    os.symlink(real, link)
    assert kotrans(*COMMAND, "나무", "--out", link).code == 0
    assert link.is_symlink()
    assert len(read_lines(real)) == 1
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["real.en"]
