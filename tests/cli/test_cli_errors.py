"""User errors: one line with where, what and what to do, and the exit code."""

import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest
import torch

from kotrans.cli import main
from kotrans.config.schema import Config
from tests.tiny_run import TinyRun, kotrans, write_config, write_pairs

pytestmark = pytest.mark.e2e

Arguments = list[str | Path]


class Mistake(NamedTuple):
    """A user error, prepared in an empty folder, and what its message must contain."""

    name: str
    make: Callable[[Path], Arguments]
    fragments: tuple[str, ...]
    code: int = 1


def of_config(text: str) -> Callable[[Path], Arguments]:
    def make(folder: Path) -> Arguments:
        (folder / "c.yaml").write_text(text, encoding="utf-8")
        return ["config", "show", "-c", folder / "c.yaml"]

    return make


def of_corpus(change: Callable[[Path], object], *more: str) -> Callable[[Path], Arguments]:
    """Runs `kotrans prepare` on a corpus after a change of its files."""

    def make(folder: Path) -> Arguments:
        write_pairs(folder)
        change(folder)
        return ["prepare", "-c", write_config(folder), *more]

    return make


def of_runs(*arguments: str) -> Callable[[Path], Arguments]:
    return lambda _: list(arguments)


def drop_last_line(folder: Path) -> None:
    path = folder / "train.en"
    path.write_text(path.read_text("utf-8").rsplit("\n", 2)[0] + "\n", encoding="utf-8")


def empty_both(folder: Path) -> None:
    for side in ("ko", "en"):
        (folder / f"train.{side}").write_text("", encoding="utf-8")


def as_cp949(folder: Path) -> None:
    (folder / "train.ko").write_text((folder / "train.ko").read_text("utf-8"), encoding="cp949")


def as_utf16(folder: Path) -> None:
    (folder / "train.ko").write_text((folder / "train.ko").read_text("utf-8"), encoding="utf-16")


def of_sentence(encoding: str) -> Callable[[Path], Arguments]:
    def make(folder: Path) -> Arguments:
        (folder / "in.txt").write_text("나무\n바다를 봅니다\n", encoding=encoding)
        return ["translate", "--file", folder / "in.txt"]

    return make


def of_unequal_files(option: str) -> Callable[[Path], Arguments]:
    def make(folder: Path) -> Arguments:
        (folder / "a").write_text("나무\n바다\n", encoding="utf-8")
        (folder / "b").write_text("tree\n", encoding="utf-8")
        return ["eval", option, folder / "a", "--reference", folder / "b"]

    return make


def set_of_seed(folder: Path) -> Arguments:
    return [*of_config(STARTER + "seed: 1")(folder), "--set", "seed.x=1"]


STARTER = "corpora: [{name: starter}]\n"
MISTAKES = [
    Mistake("missing config", lambda f: ["train", "-c", f / "no.yaml"], ("no.yaml: there is no such file", "check")),
    Mistake(
        "missing corpus file",
        of_corpus(lambda f: (f / "train.en").unlink()), ("train.en: there is no such file",),
    ),
    Mistake("missing input", lambda f: ["translate", "--file", f / "no.txt"], ("no.txt: there is no such file",)),
    Mistake("input is a folder", lambda f: ["translate", "--file", f], ("cannot be read",)),
    Mistake(
        "unknown key", of_config(STARTER + "encoder: {hiden_size: 8}"),
        ("c.yaml: encoder.hiden_size: unknown setting; did you mean encoder.hidden_size?",),
    ),
    Mistake(
        "unknown key by --set", lambda f: ["config", "show", "--set", "beam=3"], ("beam", "did you mean search.beam?")
    ),
    Mistake("key in another section", of_config(STARTER + "search: {epsilon: 1}"), ("did you mean training.epsilon?",)),
    Mistake("--set without a value", lambda f: ["config", "show", "--set", "x"], ("--set x: write it as",)),
    Mistake("--set into a plain value", set_of_seed, ("--set seed: should be a valid integer, but it is {x: 1}",)),
    Mistake(
        "wrong type",
        of_config(STARTER + "encoder: {layers: two}"), ("encoder.layers: should be a valid integer",),
    ),
    Mistake("out of bounds", of_config(STARTER + "dropout: {layers: 1.5}"), ("dropout.layers", "less than 1", "1.5")),
    Mistake("not finite", of_config(STARTER + "training: {learning_rate: .nan}"), ("training.learning_rate",)),
    Mistake("impossible moments", of_config(STARTER + "training: {betas: [0.9, 1.5]}"), ("training.betas.1",)),
    Mistake("section without settings", of_config(STARTER + "encoder: 3"), ("encoder: should be a section",)),
    Mistake("corpora is no list", of_config("corpora: starter"), ("corpora: should be a list, but it is starter",)),
    Mistake("no corpora", of_config("seed: 1"), ("corpora: is missing",)),
    Mistake("two mistakes", of_config(STARTER + "sede: 1\nencoder: {layers: 0}"), ("sede", "; ", "encoder.layers")),
    Mistake("a key twice", of_config(STARTER + "seed: 1\nseed: 2"), ("c.yaml:3: not valid YAML (duplicate key seed",)),
    Mistake("not YAML", of_config("corpora: [\nseed: {"), ("c.yaml:", "not valid YAML")),
    Mistake("a list as config", of_config("- 1\n- 2"), ("a config is a mapping of sections, but this is a list",)),
    Mistake("unknown score", of_config(STARTER + "attention: {score: aditive}"), ("attention.score", "'additive'")),
    Mistake(
        "dot of unequal widths",
        of_config(STARTER + "attention: {score: dot}\nencoder: {hidden_size: 8}\ndecoder: {hidden_size: 8}"),
        ("`dot` needs equal widths", "have 16", "decoder.hidden_size is 8", "set decoder.hidden_size to 16"),
    ),
    Mistake(
        "tie all without joint", of_config(STARTER + "embeddings: {tie: all}"), ("needs tokenizer.joint: true",)
    ),
    Mistake(
        "location without a limit", of_config(STARTER + "attention: {score: location}"),
        ("which needs attention.max_source_length; set it to 101, one more than batches.max_pieces",),
    ),
    Mistake("a corpus twice", of_config("corpora: [{name: a}, {name: a}]"), ("corpora lists 'a' twice",)),
    Mistake("name that is no folder", of_config(STARTER + "name: a b/c"), ("name: should be letters, digits",)),
    Mistake("unequal corpus", of_corpus(drop_last_line), ("480 lines", "479", "must")),
    Mistake("empty corpus", of_corpus(empty_both), ("train",)),
    Mistake("cp949 corpus", of_corpus(as_cp949), ("train.ko:1: not UTF-8", "cp949", "iconv")),
    Mistake("UTF-16 corpus", of_corpus(as_utf16), ("train.ko:1: not UTF-8", "UTF-16", "iconv")),
    Mistake("cp949 input", of_sentence("cp949"), ("in.txt:1: not UTF-8", "cp949", "iconv")),
    Mistake("UTF-16 input", of_sentence("utf-16"), ("in.txt:1: not UTF-8", "UTF-16", "iconv")),
    Mistake(
        "vocabulary too large", of_corpus(lambda f: None, "--set", "tokenizer.vocabulary_size=20000"),
        ("tokenizer.vocabulary_size: 20000", "set it to"),
    ),
    Mistake("unknown corpus of fetch", of_runs("fetch", "startr"), ("'startr'", "did you mean starter?")),
    Mistake("unknown corpus of eval", of_runs("eval", "--corpus", "jhee"), ("'jhee'", "did you mean jhe?")),
    Mistake("unknown run", of_runs("translate", "나무", "--run", "best"), ("no such run; existing runs: tiny",)),
    Mistake("nearly a run", of_runs("translate", "나무", "--run", "tinny"), ("no such run", "did you mean tiny?")),
    Mistake("unknown checkpoint", of_runs("translate", "나무", "--run", "tiny/x"), ("has no checkpoint x", "update-")),
    Mistake("unknown split", of_runs("eval", "--split", "tets"), ("no split 'tets'", "test")),
    Mistake("the split of training", of_runs("eval", "--split", "train"), ("no split 'train'", "dev")),
    Mistake("unequal files", of_unequal_files("--source"), ("has 2 lines", "has 1", "line N")),
    Mistake("unequal hypotheses", of_unequal_files("--hypothesis"), ("has 2 lines", "has 1", "line N")),
    Mistake("a setting of training", of_runs("translate", "나무", "--set", "seed=2"), ("--set seed=2", "`search`")),
    Mistake("more than the beam", of_runs("translate", "나무", "--n-best", "9"), ("search.beam keeps 5",), code=2),
    Mistake("sentences and a file", of_runs("translate", "나무", "--file", "x"), ("not both",), code=2),
    Mistake("--out is a folder", lambda f: ["translate", "나무", "--out", f], ("is a folder",), code=2),
    Mistake(
        "attention as text",
        of_runs("translate", "나무", "--attention", "a.txt"), (".jsonl, .pharaoh, .png or .svg",), code=2,
    ),
    Mistake("reference alone", of_runs("eval", "--reference", "x"), ("--source",), code=2),
    Mistake("source alone", of_runs("eval", "--source", "x"), ("--reference",), code=2),
    Mistake(
        "files and a split",
        of_runs("eval", "--source", "x", "--reference", "y", "--split", "dev"), ("not both",), 2,
    ),
    Mistake(
        "run of a hypothesis",
        of_runs("eval", "--run", "tiny", "--hypothesis", "x", "--reference", "y"), ("omit",), 2,
    ),
    Mistake(
        "name taken",
        lambda f: ["train", "-c", write_config(f), "--run", "tiny"], ("exists already", "--resume"), 2,
    ),
    Mistake("name of no folder", lambda f: ["train", "-c", write_config(f), "--run", "../x"], ("--run ../x",), 2),
]  # fmt: skip


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda mistake: mistake.name)
def test_a_user_error_is_reported_in_one_line(mistake: Mistake, run: TinyRun, tmp_path: Path) -> None:
    result = kotrans(*mistake.make(tmp_path))
    errors = [line for line in result.err.split("\n") if line.startswith("error: ")]
    assert result.code == mistake.code, result.err
    assert len(errors) == 1
    assert result.err.endswith(errors[0] + "\n")
    for fragment in mistake.fragments:
        assert fragment in errors[0]
    assert result.out == ""
    assert "Traceback" not in result.err


def test_commands_without_any_run_explain_how_to_train_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KOTRANS_RUNS", str(tmp_path / "none"))
    for command in (["translate", "나무"], ["eval"], ["average"]):
        result = kotrans(*command)
        assert (result.code, result.out) == (1, "")
        assert result.err.startswith(f"error: {tmp_path / 'none'}: no finished run yet; train one with `kotrans train`")
    assert kotrans("runs").out.endswith("no runs yet; train one with `kotrans train`\n")


@pytest.mark.parametrize("damage", ["changed", "cut", "gone", "tokenizer", "manifest"])
def test_a_damaged_checkpoint_is_refused_by_name(
    damage: str, tiny_run: TinyRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KOTRANS_RUNS", str(tmp_path))
    shutil.copytree(tiny_run.runs / "tiny", tmp_path / "tiny")
    (checkpoint, *_) = sorted((tmp_path / "tiny" / "checkpoints").iterdir(), reverse=True)
    weights = checkpoint / "model.safetensors"
    match damage:
        case "changed":
            weights.write_bytes(weights.read_bytes()[:-1] + b"\x7f")
        case "cut":
            weights.write_bytes(weights.read_bytes()[:100])
        case "gone":
            weights.unlink()
        case "tokenizer":
            (checkpoint / "tokenizer" / "source.model").write_bytes(b"x")
        case "manifest":
            (checkpoint / "manifest.json").write_text("{", encoding="utf-8")
    result = kotrans("translate", "나무", "--run", f"tiny/{checkpoint.name}")
    assert (result.code, result.out) == (1, "")
    assert result.err.startswith(f"error: {checkpoint}: this checkpoint is damaged")
    assert result.err.count("\n") == 1


def test_unknown_commands_and_options_exit_with_2() -> None:
    for command in (["--nonsense"], ["translte"], ["train", "--confg", "x"], ["translate", "--beam", "many"]):
        result = kotrans(*command)
        assert (result.code, result.out) == (2, "")
        assert "Error: " in result.err
        assert "Traceback" not in result.err


@pytest.mark.parametrize(
    ("command", "option", "setting"), [("translate", "--beam", "search.beam"), ("serve", "--port", "serve.port")]
)
def test_an_option_has_the_bounds_of_its_setting_and_is_named_in_the_error(
    command: str, option: str, setting: str, run: TinyRun
) -> None:
    section, _, key = setting.partition(".")
    bounds = Config.model_json_schema()["$defs"][f"{section.title()}Config"]["properties"][key]
    for wrong in (bounds["minimum"] - 1, bounds["maximum"] + 1):
        result = kotrans(command, option, str(wrong))
        assert (result.code, result.out) == (2, "")
        assert f"Invalid value for '{option}'" in result.err
        assert "config.yaml" not in result.err


def test_a_damaged_model_in_a_zip_is_refused(run: TinyRun, tmp_path: Path) -> None:
    path = tmp_path / "model.zip"
    assert kotrans("export", "tiny", path).code == 0
    with zipfile.ZipFile(path) as whole:
        files = {name: whole.read(name) for name in whole.namelist()}
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data[:-1] + b"\x7f" if name.endswith("model.safetensors") else data)
    result = kotrans("translate", "나무", "--model", path)
    assert result.code == 1
    assert result.err == (
        f"error: {path}: this checkpoint is damaged (model.safetensors is missing or not what was written); "
        "copy it again, or create it again with `kotrans export`\n"
    )


@pytest.mark.parametrize("command", ["arguments", "pipe", "eval", "score"])
def test_out_of_memory_is_reported_in_one_line_with_what_to_set(
    command: str, run: TinyRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def too_large(*_: object, **__: object) -> object:
        return torch.empty(2**60)  # raises the error of torch itself

    monkeypatch.setattr("kotrans.translation.translator.search", too_large)
    monkeypatch.setattr("kotrans.translation.translator.forced_decoding", too_large)
    commands: dict[str, Arguments] = {
        "arguments": ["translate", "나무"], "pipe": ["translate"], "eval": ["eval"], "score": ["score", "나무", "tree"],
    }  # fmt: skip
    result = kotrans(*commands[command], "--set", "search.batch=16", stdin="나무\n".encode())
    assert (result.code, result.out) == (1, "")
    assert result.err.split("\n")[-2] == (
        "error: out of memory (translating up to 16 sentences together with beam 5); "
        "use --set search.batch=2 or a smaller beam"
    )
    assert "Traceback" not in result.err


def test_a_bug_keeps_its_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> None:
        raise KeyError("ours")

    monkeypatch.setattr("kotrans.runs.runs_folder.all_runs", broken)
    monkeypatch.setattr("sys.argv", ["kotrans", "runs"])
    with pytest.raises(KeyError, match="ours"):
        main()


def test_a_path_that_cannot_be_written_is_reported_in_one_line(
    tiny_run: TinyRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("KOTRANS_RUNS", str(tmp_path / "file"))
    result = kotrans("prepare", "-c", tiny_run.folder / "tiny.yaml")
    assert result.code == 1
    assert result.err.startswith("error: ")
    assert result.err.count("\n") == 1
    assert str(tmp_path / "file") in result.err
