"""`kotrans translate --out`: what an interruption leaves, and going on after it."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from kotrans.files import read_lines
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
    done = left.count(b"\n") // 32 * 32
    assert f"going on after line {done}\n" in result.err
    assert out.read_bytes() == whole.read_bytes()
    assert not partial.exists()


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
    assert (
        "out.en.partial is there from an interrupted translation; go on after its lines with --continue" in result.err
    )
    assert partial.read_text() == "precious\n"
    assert not out.exists()


def test_going_on_where_nothing_is_begins_at_the_beginning(source: Path) -> None:
    out, again = source.with_name("out.en"), source.with_name("again.en")
    source.write_text("".join(f"{line}\n" for line in read_lines(source)[:40]), encoding="utf-8")
    assert kotrans(*COMMAND, "--file", source, "--out", out).code == 0
    assert kotrans(*COMMAND, "--file", source, "--out", again, "--continue").code == 0
    assert again.read_bytes() == out.read_bytes()


def test_messages_count_the_lines_of_the_whole_input_when_it_goes_on(source: Path) -> None:
    lines = read_lines(source)[:64]
    lines[40] = "나무를 봅니다 " * 30
    source.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    out = source.with_name("out.en")
    source.with_name("out.en.partial").write_text("done\n" * 33)
    result = kotrans(*COMMAND, "--file", source, "--out", out, "--continue")
    assert "going on after line 32\n" in result.err
    assert "\nline 41: has a sentence longer than what the run was trained on" in result.err
    assert read_lines(out)[:32] == ["done"] * 32
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
