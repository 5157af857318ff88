"""Help, version, completion, and the commands `config`, `runs` and `corpora`."""

import io
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from kotrans import __version__
from kotrans.cli import main
from kotrans.cli.options import find_config
from kotrans.config.loading import known_keys, load_config
from kotrans.storage import resources
from tests.tiny_run import TinyRun, kotrans

pytestmark = pytest.mark.e2e

COMMANDS = [
    "train",
    "translate",
    "serve",
    "eval",
    "compare",
    "score",
    "filter",
    "fetch",
    "clean",
    "tokenize",
    "prepare",
    "average",
    "export",
    "bench",
    "runs",
    "curves",
    "corpora",
    "config",
]


def test_the_version_is_that_of_the_package() -> None:
    assert kotrans("--version").out == f"kotrans {__version__}\n"


def test_help_lists_every_command_in_order_without_truncating_a_line() -> None:
    listed = kotrans("--help").out.split("Commands:\n")[1].rstrip("\n").split("\n")
    assert [line.split()[0] for line in listed] == COMMANDS
    assert all(line.endswith(".") and not line.endswith("...") for line in listed)


@pytest.mark.parametrize("command", [*COMMANDS, "config show", "config reference"])
def test_every_command_has_help_without_python_types(command: str) -> None:
    result = kotrans(*command.split(), "--help")
    assert result.code == 0
    assert f"Usage: kotrans {command}" in result.out
    assert not re.search(r"<[a-z]", result.out)


def test_without_a_command_help_is_shown_and_the_exit_code_is_2() -> None:
    result = kotrans()
    assert result.code == 2
    assert "Usage: kotrans" in result.out + result.err


def test_the_shell_completes_commands_options_runs_and_corpora(run: TinyRun) -> None:
    def completions(words: str) -> str:
        completion = {"_KOTRANS_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": str(words.count(" "))}
        program = "import sys; sys.argv = ['kotrans']; from kotrans.cli import main; main()"
        command = [sys.executable, "-c", program]
        return subprocess.run(command, env=os.environ | completion, capture_output=True, text=True, check=True).stdout

    assert completions("kotrans tra").split() == ["train", "translate"]
    assert "--resume" in completions("kotrans train --r").split()
    assert completions("kotrans translate --run ti").split() == ["tiny"]
    assert completions("kotrans eval --corpus jh").split() == ["jhe"]


@pytest.mark.parametrize("config", sorted(resources.configs().glob("*.yaml")), ids=lambda path: path.name)
def test_a_shown_config_can_be_loaded_again(config: Path, tmp_path: Path) -> None:
    shown = kotrans("config", "show", "-c", config, "--set", "search.beam=7")
    assert (shown.code, shown.err) == (0, "")
    (tmp_path / "again.yaml").write_text(shown.out, encoding="utf-8")
    assert load_config(tmp_path / "again.yaml") == load_config(config, ["search.beam=7"])
    assert kotrans("config", "show", "-c", tmp_path / "again.yaml").out == shown.out
    sections = yaml.safe_load(shown.out)
    assert sections["search"]["beam"] == 7
    assert sections["name"] == config.stem


def test_the_default_config_is_the_starter_config_in_any_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    starter = load_config(resources.configs() / "starter.yaml")
    assert find_config(None, None) == starter
    assert find_config(Path("configs/starter.yaml"), None) == find_config(Path("starter.yaml"), None) == starter
    assert load_config(resources.configs() / "starter.yaml").corpora[0].name == "starter"
    (tmp_path / "starter.yaml").write_text("corpora: [{name: mine}]")
    assert find_config(Path("starter.yaml"), None).corpora[0].name == "mine"
    assert find_config(None, None) == starter


def test_the_last_of_several_settings_overrides_the_file(tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text("corpora: [{name: starter}]\nencoder:\nsearch: {beam: 2}\n")
    shown = kotrans(
        "config", "show", "-c", tmp_path / "c.yaml", "--set", "search.beam=3", "--set", "search.beam=4",
        "--set", "encoder.layers=2", "--set", "training.max_minutes=1.5", "--set", "validation.patience=null",
    )  # fmt: skip
    values = yaml.safe_load(shown.out)
    assert (values["search"]["beam"], values["encoder"]["layers"]) == (4, 2)
    assert (values["training"]["max_minutes"], values["validation"]["patience"]) == (1.5, None)


def test_the_reference_has_a_row_for_every_setting() -> None:
    rows = kotrans("config", "reference").out.rstrip("\n").split("\n")[2:]
    named = {re.sub(r"\[\]|\.\*", "", row.split("`")[1]) for row in rows}
    settings = {key for key in known_keys() if not any(other.startswith(f"{key}.") for other in known_keys())}
    assert settings <= named
    assert all(row.count(" | ") == 3 for row in rows)
    assert all(len(row.rsplit(" | ", 1)[1]) > 5 for row in rows)


def test_runs_lists_status_updates_bleu_and_size(run: TinyRun) -> None:
    header, row = kotrans("runs").lines
    assert header.split()[:2] == ["run", "config"]
    record = json.loads((run.runs / "tiny" / "run.json").read_text("utf-8"))
    assert row.split()[:4] == ["tiny", "tiny", "finished", "160"]
    assert f"{record['best_bleu']:.2f}" in row
    assert " MB " in row


def test_the_last_line_of_training_agrees_with_the_record_of_the_run(run: TinyRun) -> None:
    record = json.loads((run.runs / "tiny" / "run.json").read_text("utf-8"))
    best = int(record["best"].removeprefix("update-"))
    assert f"best dev BLEU {record['best_bleu']:.2f} at update {best}\n" in run.trained.err


def test_corpora_lists_pairs_licence_and_whether_fetched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KOTRANS_CACHE", str(tmp_path))
    lines = kotrans("corpora").lines
    rows = {line.split()[0]: line for line in lines[1:]}
    assert {"starter", "korean-english-news", "jhe", "ntrex", "tatoeba"} <= set(rows)
    assert "embedded" in rows["starter"]
    assert "test 500" in rows["starter"]
    assert "train 94,123" in rows["korean-english-news"]
    assert "CC-BY-SA-3.0" in rows["korean-english-news"]
    assert "not fetched" in rows["jhe"]


class Terminal(io.TextIOWrapper):
    """A terminal with a given encoding."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("encoding", "written"),
    [("cp949", "cp949"), ("euc_kr", "euc_kr"), ("utf-8", "utf-8"), ("ascii", "utf-8"), ("cp437", "utf-8")],
)
def test_a_terminal_keeps_an_encoding_with_korean_and_gets_utf8_otherwise(
    encoding: str, written: str, run: TinyRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", terminal := Terminal(raw, encoding=encoding))
    monkeypatch.setattr(sys, "stderr", Terminal(io.BytesIO(), encoding=encoding))
    monkeypatch.setattr(sys, "argv", ["kotrans", "config", "show", "--set", "corpora=[{name: '말뭉치 — 하나'}]"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 0
    terminal.flush()
    shown = raw.getvalue().decode(written)
    assert "말뭉치 — 하나" in shown or "말뭉치 ? 하나" in shown


def test_a_warning_names_a_much_better_run_on_the_same_corpora_than_the_default_one(
    tiny_run: TinyRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("KOTRANS_RUNS", str(tmp_path))

    def copy(name: str, bleu: float | None, changed: str, config: str | None = None) -> None:
        shutil.copytree(tiny_run.runs / "tiny", tmp_path / name)
        record = json.loads((tmp_path / name / "run.json").read_text("utf-8"))
        record |= {"best_bleu": bleu, "changed": changed, "dataset": name}
        (tmp_path / name / "run.json").write_text(json.dumps(record), encoding="utf-8")
        if config is not None:
            (tmp_path / name / "config.yaml").write_text(config, encoding="utf-8")

    copy("good", 80.0, "2020")
    copy("nearly", 79.0, "2021")
    copy("last", 1.5, "2023")
    warning = (
        "warning: last is the run that finished last, with a dev BLEU of 1.50; "
        "good has 80.00 on the same corpora: use it with --run good\n"
    )
    assert kotrans("runs").err == warning
    kotrans("translate", "나무")
    assert caplog.messages == [warning.strip()]
    kotrans("translate", "나무", "--run", "last")
    assert len(caplog.messages) == 1
    copy("close", 76.0, "2024")
    assert kotrans("runs").err == ""
    copy("other", 1.0, "2025", "corpora: [{name: starter}]\n")
    assert kotrans("runs").err == ""
    copy("unmeasured", None, "2026")
    assert kotrans("runs").err == ""
    (tmp_path / "good" / "config.yaml").write_text("[", encoding="utf-8")
    assert kotrans("runs").err == ""
