"""Corpora of which a model translates one side."""

import shutil
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path

import pytest

from kotrans.storage.files import read_lines, write_lines
from kotrans.storage.resumable_output import Made, ResumableOutput
from tests.tiny_run import TinyRun, kotrans

pytestmark = pytest.mark.e2e

CONFIG = """
corpora:
  - name: made
    format: lines
    translated: {{side: {side}, run: {run}, settings: [search.beam=1]}}
    splits:
      train: {{source: {folder}/some.ko, target: {folder}/some.en}}
      dev: {{source: {text}/dev.ko, target: {text}/dev.en}}
cleaning: {{min_hangul: 0, max_hangul_target: 1, equal_sides: false}}
tokenizer: {{vocabulary_size: 300}}
"""


def config_in(folder: Path, run: TinyRun, side: str = "target", name: str = "tiny") -> Path:
    """Writes a config whose text is a part of the run's, without the side that is to be made."""
    path = folder / "student.yaml"
    path.write_text(CONFIG.format(folder=folder, text=run.folder, side=side, run=name), "utf-8")
    given = "ko" if side == "target" else "en"
    write_lines(folder / f"some.{given}", read_lines(run.folder / "train.ko")[:200])
    return path


def test_the_missing_side_is_translated_before_the_text_is_read(run: TinyRun, tmp_path: Path) -> None:
    config = config_in(tmp_path, run)
    result = kotrans("clean", "-c", config)
    assert result.code == 0, result.err
    expected = kotrans(
        "translate", "--run", "tiny", "--beam", "1", "--no-split-sentences", "--file", tmp_path / "some.ko"
    )
    assert read_lines(tmp_path / "some.en") == expected.lines
    assert "train 2" in result.err or "train 1" in result.err


def test_the_source_side_is_made_from_the_target(run: TinyRun, tmp_path: Path) -> None:
    assert kotrans("clean", "-c", config_in(tmp_path, run, side="source")).code == 0
    assert len(read_lines(tmp_path / "some.ko")) == 200


def test_text_that_exists_is_not_translated_again(run: TinyRun, tmp_path: Path) -> None:
    config = config_in(tmp_path, run, name="nothing")
    shutil.copy(tmp_path / "some.ko", tmp_path / "some.en")
    assert kotrans("clean", "-c", config).code == 0


def test_an_interrupted_translation_is_continued(run: TinyRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = config_in(tmp_path, run)
    write = ResumableOutput.write

    def interrupted(output: ResumableOutput, made: Made, results: Iterable[tuple[str, str]]) -> None:
        def some() -> Iterator[tuple[str, str]]:
            yield from islice(results, 50)
            raise KeyboardInterrupt

        write(output, made, some())

    with monkeypatch.context() as patch:
        patch.setattr(ResumableOutput, "write", interrupted)
        assert kotrans("clean", "-c", config).code == 130
    assert not (tmp_path / "some.en").exists()
    result = kotrans("clean", "-c", config)
    assert "resuming after line 50" in result.err
    expected = kotrans("translate", "--run", "tiny", "--beam", "1", "--file", tmp_path / "some.ko")
    assert read_lines(tmp_path / "some.en") == expected.lines


def test_a_missing_run_is_an_error(run: TinyRun, tmp_path: Path) -> None:
    result = kotrans("clean", "-c", config_in(tmp_path, run, name="nothing"))
    assert result.code == 1
    assert "there is no such run" in result.err
    assert not (tmp_path / "some.en").exists()
