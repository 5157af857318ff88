"""`kotrans export`, and commands that load exported models."""

import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import torch

from kotrans.config.schema import HardwareConfig
from kotrans.runs.checkpoint import load_checkpoint, load_tensors
from kotrans.storage.files import read_lines
from tests.tiny_run import TinyRun, kotrans
from tests.tiny_training import files_of_at_most

pytestmark = pytest.mark.e2e

CPU = torch.device("cpu")


def translations(run: TinyRun, *which: str | Path) -> str:
    """Translates the test split, n best with scores."""
    result = kotrans("translate", *which, "--file", run.folder / "test.ko", "--n-best", "3")
    assert result.code == 0, result.err
    return result.out


def export(run: TinyRun, out: Path, *options: str) -> Path:
    """Exports `tiny`."""
    result = kotrans("export", "tiny", out, *options)
    assert result.code == 0, result.err
    return out


def test_an_exported_model_translates_exactly_as_its_run(run: TinyRun, tmp_path: Path) -> None:
    trained = translations(run, "--run", "tiny")
    assert len(set(trained.split("\n"))) > 20
    for out in (tmp_path / "folder", tmp_path / "packed.zip"):
        assert translations(run, "--model", export(run, out)) == trained
    export(run, tmp_path / "by-option", "--zip")
    assert zipfile.is_zipfile(tmp_path / "by-option")
    assert translations(run, "--model", tmp_path / "by-option") == trained


def test_a_zip_made_by_another_program_is_the_same_model(run: TinyRun, tmp_path: Path) -> None:
    folder = export(run, tmp_path / "folder")
    packed = shutil.make_archive(str(tmp_path / "again"), "zip", folder)
    assert translations(run, "--model", Path(packed)) == translations(run, "--run", "tiny")


def test_an_exported_model_needs_nothing_else(run: TinyRun, tmp_path: Path) -> None:
    line = read_lines(run.folder / "test.ko")[0]
    wanted = kotrans("translate", "--run", "tiny", line).out
    export(run, tmp_path / "packed.zip")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (tmp_path / "packed.zip").rename(elsewhere / "packed.zip")
    found = subprocess.run(
        [sys.executable, "-m", "kotrans", "translate", "--model", "packed.zip", line],
        cwd=elsewhere,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2]), "KOTRANS_RUNS": "no-runs-here"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert (found.stdout, found.stderr) == (wanted, "run packed.zip\n")
    assert [path.name for path in elsewhere.iterdir()] == ["packed.zip"]


@pytest.mark.parametrize("precision", ["bf16", "int8"])
def test_weights_of_lower_precision_translate_nearly_the_same(run: TinyRun, tmp_path: Path, precision: str) -> None:
    out = export(run, tmp_path / "out", "--precision", precision)
    stored = load_tensors(out / "model.safetensors")
    kinds = {tensor.dtype for tensor in stored.values()}
    assert kinds == {torch.float32, torch.bfloat16 if precision == "bf16" else torch.int8}
    ours, theirs = translations(run, "--model", out).split("\n"), translations(run, "--run", "tiny").split("\n")
    same = sum(one.split("\t")[0] == other.split("\t")[0] for one, other in zip(ours, theirs, strict=True))
    assert same >= 0.8 * len(theirs)


def test_a_checkpoint_by_name_and_the_latest_run_can_be_exported(run: TinyRun, tmp_path: Path) -> None:
    named = kotrans("export", "tiny/update-00000080", tmp_path / "named")
    assert named.err == "run tiny/update-00000080\n"
    assert load_checkpoint(tmp_path / "named", CPU).progress.update == 80
    latest = kotrans("export", tmp_path / "latest")
    assert latest.code == 0
    assert translations(run, "--model", tmp_path / "latest") == translations(run, "--run", "tiny")


def test_the_command_lists_every_file_with_its_size(run: TinyRun, tmp_path: Path) -> None:
    result = kotrans("export", "tiny", tmp_path / "out")
    listed = {name: int(size.replace(",", "")) for size, name in (line.split() for line in result.lines[:-1])}
    files = {path.relative_to(tmp_path / "out").as_posix(): path for path in (tmp_path / "out").rglob("*.*")}
    assert listed == {name: path.stat().st_size for name, path in files.items() if name != "manifest.json"}
    assert result.lines[-1].split() == [f"{sum(listed.values()):,}", "bytes", "in", str(tmp_path / "out")]


@pytest.mark.parametrize("kind", ["file", "folder", "zip"])
def test_an_existing_file_folder_or_zip_is_never_overwritten(run: TinyRun, tmp_path: Path, kind: str) -> None:
    out = tmp_path / ("out.zip" if kind == "zip" else "out")
    kept = out / "kept" if kind == "folder" else out
    kept.parent.mkdir(exist_ok=True)
    kept.write_text("mine")
    result = kotrans("export", "tiny", out)
    assert (result.code, result.err.split("\n")[1:]) == (
        2, [f"error: {out}: exists already; use another name, or remove it first", ""]
    )  # fmt: skip
    assert kept.read_text() == "mine"


@pytest.mark.parametrize("name", ["out", "out.zip"])
def test_a_dangling_link_is_not_overwritten(run: TinyRun, tmp_path: Path, name: str) -> None:
    (tmp_path / name).symlink_to(tmp_path / "nowhere")
    result = kotrans("export", "tiny", tmp_path / name)
    assert (result.code, [path.name for path in tmp_path.iterdir()]) == (2, [name])
    assert "exists already; use another name" in result.err


@pytest.mark.parametrize("name", ["out", "out.zip"])
def test_a_full_disk_leaves_no_files(run: TinyRun, best: Path, tmp_path: Path, name: str) -> None:
    with files_of_at_most((best / "model.safetensors").stat().st_size - 1):
        result = kotrans("export", "tiny", tmp_path / name)
    assert result.code == 1
    assert "nothing was exported" in result.err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "message", "code"),
    [
        (["nobody", "out"], "there is no such run; existing runs: tiny", 1),
        (["tiny/update-1", "out"], "has no checkpoint update-1; available:", 1),
        (["tiny", "out", "more"], "export takes [RUN] OUT, but there are 3 names", 2),
    ],
)
def test_wrong_arguments_give_an_error_of_one_line(
    run: TinyRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], message: str, code: int
) -> None:
    monkeypatch.chdir(tmp_path)
    result = kotrans("export", *arguments)
    assert (result.code, result.out, result.err.count("\n")) == (code, "", 1)
    assert message in result.err
    assert list(tmp_path.iterdir()) == []


def test_a_missing_model_is_an_error(run: TinyRun, tmp_path: Path) -> None:
    missing = kotrans("translate", "--model", tmp_path / "no", "나무")
    assert (missing.code, missing.err) == (
        1, f"error: {tmp_path / 'no'}: there is no such file or folder; use one that `kotrans export` wrote\n"
    )  # fmt: skip
    (tmp_path / "empty").mkdir()
    assert "there is no checkpoint here" in kotrans("translate", "--model", tmp_path / "empty", "나무").err


def test_weights_that_are_not_finite_are_not_exported(run: TinyRun, tmp_path: Path) -> None:
    from kotrans.runs.checkpoint import save_weights

    checkpoint = load_checkpoint(export(run, tmp_path / "good"), CPU)
    weights = {name: weight.detach().clone() for name, weight in checkpoint.model.named_parameters()}
    next(iter(weights.values()))[0] = torch.nan
    save_weights(tmp_path / "bad", weights, checkpoint)
    result = kotrans("export", tmp_path / "bad", tmp_path / "out")
    assert result.code == 1
    assert "holds numbers that are not finite; export an earlier checkpoint" in result.err
    assert not (tmp_path / "out").exists()


def test_an_export_has_no_paths_or_hardware_settings_of_the_training_machine(run: TinyRun, tmp_path: Path) -> None:
    out = export(run, tmp_path / "out")
    assert load_checkpoint(out, CPU).config.hardware == HardwareConfig()
    for path in out.rglob("*.*"):
        assert str(run.folder).encode() not in path.read_bytes(), path


def test_the_card_has_the_score_of_this_checkpoint_or_says_that_it_was_not_measured(
    run: TinyRun, tmp_path: Path
) -> None:
    runs = shutil.copytree(run.runs, tmp_path / "runs", ignore=shutil.ignore_patterns("evaluation"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KOTRANS_RUNS", str(runs))
        before = (export(run, tmp_path / "before") / "README.md").read_text("utf-8")
        scored = kotrans("eval", "--run", "tiny", "--source", run.folder / "test.ko", "--reference",
                         run.folder / "test.en")  # fmt: skip
        after = (export(run, tmp_path / "after", "--precision", "int8") / "README.md").read_text("utf-8")
        kotrans("export", "tiny/update-00000080", tmp_path / "other")
    assert "BLEU: not measured." in before
    bleu, signature = re.findall(r"^BLEU +(\S+)  (\S+)$", scored.out, re.MULTILINE)[0]
    pairs = len(read_lines(run.folder / "test.en"))
    assert re.search(rf"^- file\.test\.\w{{12}}: BLEU {bleu} \({pairs} pairs, measured ", after, re.MULTILINE)
    assert f"`{signature}`" in after
    assert "Measured with the weights as trained, in float32." in after
    assert "BLEU: not measured." in (tmp_path / "other" / "README.md").read_text("utf-8")


def test_eval_scores_a_model_and_writes_nothing_into_it(run: TinyRun, tmp_path: Path) -> None:
    files: list[str | Path] = ["--source", run.folder / "test.ko", "--reference", run.folder / "test.en"]
    out = export(run, tmp_path / "out")
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    result = kotrans("eval", "--model", out, *files)
    assert result.code == 0, result.err
    assert "written to" not in result.out
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before
    trained = kotrans("eval", "--run", "tiny/last", *files)
    assert result.out.split("\n")[2:5] == trained.out.split("\n")[2:5]


def test_a_run_and_its_export_make_an_ensemble_that_is_the_run(run: TinyRun, tmp_path: Path) -> None:
    both = translations(run, "--run", "tiny", "--model", export(run, tmp_path / "out"))
    assert [re.sub(r"\t-[\d.]+", "", line) for line in both.split("\n")] == [
        re.sub(r"\t-[\d.]+", "", line) for line in translations(run, "--run", "tiny").split("\n")
    ]


@pytest.mark.parametrize("name", ["README.md", "config.yaml", "model.safetensors", "progress.json"])
def test_a_changed_file_is_found(run: TinyRun, tmp_path: Path, name: str) -> None:
    from kotrans.errors import CheckpointError
    from kotrans.runs.checkpoint import verify

    out = export(run, tmp_path / "out", "--precision", "int8")
    data = bytearray((out / name).read_bytes())
    data[len(data) // 2] ^= 1
    (out / name).write_bytes(data)
    with pytest.raises(CheckpointError, match=name):
        verify(out)
    if name != "README.md":
        result = kotrans("translate", "--model", out, "나무")
        assert (result.code, result.out) == (1, "")
        assert f"damaged ({name} is missing or not what was written)" in result.err


def test_int8_weights_without_their_scales_are_damage(run: TinyRun, tmp_path: Path) -> None:
    from safetensors.torch import save_file

    from kotrans.storage.manifest import write_manifest

    out = export(run, tmp_path / "out", "--precision", "int8")
    stored = load_tensors(out / "model.safetensors")
    save_file(
        {name: tensor for name, tensor in stored.items() if not name.endswith("/scale")}, out / "model.safetensors"
    )
    (out / "manifest.json").unlink()
    write_manifest(out)
    result = kotrans("translate", "--model", out, "나무")
    assert (result.code, json.dumps(result.out)) == (1, '""')
    assert "damaged (model.safetensors" in result.err
