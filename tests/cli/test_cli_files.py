"""Input files: compressed, with `~`, with names in another Unicode normalisation form."""

import gzip
import json
import logging
import lzma
import re
import shutil
import subprocess
import sys
import unicodedata
from pathlib import Path

import pytest

from kotrans.storage.files import read_lines, write_lines
from tests.tiny_run import TinyRun, kotrans, write_config, write_pairs

pytestmark = pytest.mark.e2e


def nfd(text: str) -> str:
    return unicodedata.normalize("NFD", text)


@pytest.fixture
def folder(run: TinyRun, tmp_path: Path) -> Path:
    """A few pairs of the test split."""
    for side in ("ko", "en"):
        write_lines(tmp_path / f"a.{side}", read_lines(run.folder / f"test.{side}")[:5])
    return tmp_path


def test_compressed_text_is_translated_evaluated_scored_and_compared(folder: Path) -> None:
    for side, pack in (("ko", gzip.compress), ("en", lzma.compress)):
        (folder / f"b.{side}").write_bytes(pack((folder / f"a.{side}").read_bytes()))
    plain = kotrans("translate", "--file", folder / "a.ko").lines
    assert len(plain) == 5
    assert kotrans("translate", "--file", folder / "b.ko").lines == plain
    both = [kotrans("score", "--source", folder / f"{n}.ko", "--target", folder / f"{n}.en").out for n in "ab"]
    assert both[0] == both[1]
    evaluated = [
        kotrans("eval", "--json", "--source", folder / f"{n}.ko", "--reference", folder / f"{n}.en") for n in "ab"
    ]
    assert [result.code for result in evaluated] == [0, 0], evaluated[1].err
    assert len({json.loads(result.out)["bleu"] for result in evaluated}) == 1
    hypotheses = [option for n in "ab" for option in ("--hypothesis", folder / f"{n}.en")]
    assert kotrans("compare", *hypotheses, "--reference", folder / "b.en", "--source", folder / "b.ko").code == 0


def test_a_binary_file_is_refused(folder: Path) -> None:
    (folder / "train.parquet").write_bytes(b"PAR1\x00\x01")
    result = kotrans("translate", "--file", folder / "train.parquet")
    assert (result.code, result.out) == (1, "")
    assert "train.parquet: is Parquet, not text; write it as JSON Lines" in result.err


def test_files_are_found_by_tilde_and_in_the_other_normalisation_form(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(folder))
    for side in ("ko", "en"):
        (folder / f"a.{side}").rename(folder / nfd(f"말뭉치.{side}"))
    source, reference = "~/말뭉치.ko", "~/말뭉치.en"
    assert kotrans("eval", "--source", source, "--reference", reference).code == 0
    assert kotrans("score", "--source", source, "--target", reference).code == 0
    assert kotrans("translate", "--file", source, "--out", "~/번역.en").code == 0
    assert kotrans("translate", "--file", source, "--out", nfd("~/번역.en"), "--attention", "~/주의.jsonl").code == 0
    made = {path.name for path in folder.iterdir()} - {nfd("말뭉치.ko"), nfd("말뭉치.en")}
    assert made == {"번역.en", "주의.jsonl"}
    assert kotrans("export", "tiny", "~/모델").code == 0
    assert kotrans("translate", "--model", nfd("~/모델"), "나무").code == 0
    again = kotrans("export", "tiny", nfd("~/모델"))
    assert again.code == 2
    assert "exists already" in again.err


def test_a_run_is_found_in_either_normalisation_form_and_never_created_twice(run: TinyRun, tmp_path: Path) -> None:
    shutil.copytree(run.runs / "tiny", run.runs / nfd("실험"))
    try:
        assert kotrans("translate", "--run", "실험", "나무").code == 0
        assert kotrans("translate", "--run", "실험/update-00000080", "나무").code == 0
        assert "run 실험" in unicodedata.normalize("NFC", kotrans("eval", "--run", "실험").err)
        write_pairs(tmp_path)
        taken = kotrans("train", "-c", write_config(tmp_path), "--run", "실험")
        assert taken.code == 2
        assert "exists already; continue it with --resume" in taken.err
    finally:
        shutil.rmtree(run.runs / nfd("실험"))


def test_a_config_with_a_korean_name_names_its_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KOTRANS_RUNS", str(tmp_path / "runs"))
    write_pairs(tmp_path)
    write_config(tmp_path, nfd("내글"))
    trained = kotrans("train", "-c", tmp_path / "내글.yaml", "--set", "training.max_updates=2")
    assert trained.code == 0, trained.err
    assert (tmp_path / "runs" / "내글" / "run.json").is_file()


def test_an_unknown_setting_is_reported_before_torch_is_imported(tmp_path: Path) -> None:
    program = """
import sys
from kotrans.cli import main
sys.argv = ["kotrans", "train", "-c", "no such file", "--set", "trainng.max_updates=5"]
try:
    main()
except SystemExit as end:
    print(end.code, sorted({"torch", "numpy", "sentencepiece", "sacrebleu"} & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=tmp_path)
    assert done.stdout == "1 []\n"
    assert done.stderr == ("error: --set trainng.max_updates: unknown setting; did you mean training.max_updates?\n")


def test_clean_shows_the_pairs_of_each_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KOTRANS_RUNS", str(tmp_path / "runs"))
    write_pairs(tmp_path)
    for side in ("ko", "en"):
        lines = read_lines(tmp_path / f"train.{side}")
        write_lines(tmp_path / f"train.1.{side}", lines[:100])
        write_lines(tmp_path / f"train.2.{side}", lines[100:])
    config = write_config(tmp_path)
    text = config.read_text(encoding="utf-8")
    config.write_text(text.replace("/train.ko", "/train.*.ko").replace("/train.en", "/train.*.en"), encoding="utf-8")
    result = kotrans("clean", "-c", config)
    assert result.code == 0, result.err
    assert re.findall(r"^own +train +\S+/(train\.\d\.ko) +(\d+)$", result.out, re.MULTILINE) == [
        ("train.1.ko", "100"),
        ("train.2.ko", "380"),
    ]


def test_eval_reports_pairs_that_occur_in_the_training_text(
    run: TinyRun, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for side, line in (("ko", "처음 보는 문장입니다."), ("en", "A sentence seen for the first time.")):
        write_lines(folder / f"c.{side}", [read_lines(run.folder / f"train.{side}")[7].upper(), line])
    with caplog.at_level(logging.WARNING):
        result = kotrans("eval", "--json", "--source", folder / "c.ko", "--reference", folder / "c.en")
    assert json.loads(result.out)["seen_in_training"] == [1]
    assert "file.c: 1 of 2 pairs, or one of their sides with four or more words, are in the text" in caplog.text
    own = json.loads(kotrans("eval", "--json").out)
    assert "seen_in_training" not in own
