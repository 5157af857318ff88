"""Checkpoints: their files, detection of damage, and exact restoring."""

import json
import os
import re
import shutil
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors import SafetensorError
from safetensors.torch import save_file

from kotrans.config.loading import dump_config
from kotrans.config.schema import Config
from kotrans.data.dataset import Position
from kotrans.data.stages import SilentReporter, tokenize
from kotrans.data.tokenizer import Tokenizer
from kotrans.errors import CheckpointError, DamagedError
from kotrans.model.build import build_model
from kotrans.runs.checkpoint import (
    TrainingState,
    load_checkpoint,
    load_tensors,
    open_weights,
    restore_training,
    save_checkpoint,
    save_weights,
    verify,
)
from kotrans.runs.progress import Progress
from kotrans.storage.files import sha256, write_json
from kotrans.storage.manifest import write_manifest
from kotrans.training.update import build_optimizer, start_ema
from tests.tiny_training import files_of_at_most, tiny_config, write_numbers

CPU = torch.device("cpu")
PROGRESS = Progress(
    update=7, position=Position(epoch=1, batch=3), target_tokens=99, minutes=1.5, best_update=5, best_bleu=2.5
)


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Config:
    return tiny_config(write_numbers(tmp_path_factory.mktemp("numbers")), training={"ema": 0.9})


@pytest.fixture(scope="module")
def tokenizer(config: Config, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tokenizer]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KOTRANS_RUNS", str(tmp_path_factory.mktemp("runs")))
        yield tokenize(config, SilentReporter())[2]


def trained_state(config: Config, tokenizer: Tokenizer) -> TrainingState:
    """A model after one step, with a moving average that differs from its weights."""
    model = build_model(config, tokenizer.source.size, tokenizer.target.size)
    ema = start_ema(model, config.training)
    optimizer = build_optimizer(model, config.training)
    sum((parameter**2).sum() for parameter in model.parameters()).backward()  # type: ignore[union-attr]
    optimizer.step()
    return TrainingState(model, ema, optimizer, PROGRESS)


@pytest.fixture(scope="module")
def saved(config: Config, tokenizer: Tokenizer, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("checkpoints") / "update-00000007"
    save_checkpoint(folder, trained_state(config, tokenizer), config, tokenizer)
    return folder


@pytest.fixture
def copy(saved: Path, tmp_path: Path) -> Path:
    return shutil.copytree(saved, tmp_path / saved.name)


FILES = [
    "average.safetensors", "config.yaml", "manifest.json", "model.safetensors", "optimizer.safetensors",
    "progress.json", "tokenizer/manifest.json", "tokenizer/source.model",
    "tokenizer/target.model",
]  # fmt: skip


def test_a_checkpoint_consists_of_these_files_and_no_pickle(saved: Path) -> None:
    found = sorted(path.relative_to(saved).as_posix() for path in saved.rglob("*") if path.is_file())
    assert found == FILES
    for path in saved.rglob("*"):
        if path.is_file():
            assert not path.read_bytes().startswith((b"\x80", b"PK")), (
                path
            )  # magic bytes of pickles and torch.save archives


FOR_TRAINING_ONLY = ("model.safetensors", "optimizer.safetensors")  # inference uses average.safetensors


def readers(name: str) -> list[Callable[[Path], object]]:
    """Functions that must find damage in the file: `verify` reads all files, `load_checkpoint` only those it needs."""
    return (
        [verify] if name in (*FOR_TRAINING_ONLY, "manifest.json") else [verify, lambda path: load_checkpoint(path, CPU)]
    )


@pytest.mark.parametrize("name", FILES)
def test_a_flipped_bit_is_found_in_every_file(name: str, copy: Path) -> None:
    data = bytearray((copy / name).read_bytes())
    draw = np.random.default_rng(0)
    for place in {0, len(data) - 1, *draw.integers(0, len(data), 6).tolist()}:
        damaged = data.copy()
        damaged[place] ^= 1 << int(draw.integers(0, 8))
        (copy / name).write_bytes(damaged)
        for read in readers(name):
            with pytest.raises(CheckpointError) as error:
                read(copy)
            assert str(error.value).startswith(f"{copy}: ")
            assert "\n" not in str(error.value)
    (copy / name).write_bytes(data)
    load_checkpoint(copy, CPU)


@pytest.mark.slow
def test_any_flipped_bit_of_the_manifest_is_found(copy: Path) -> None:
    data = (copy / "manifest.json").read_bytes()
    for place in range(len(data)):
        damaged = bytearray(data)
        damaged[place] ^= 1 << place % 8
        (copy / "manifest.json").write_bytes(damaged)
        with pytest.raises(CheckpointError):
            verify(copy)


@pytest.mark.parametrize("name", [name for name in FILES if name != "manifest.json"])
def test_damage_names_the_checkpoint_and_the_file(name: str, copy: Path) -> None:
    message = re.escape(f"{copy}: this checkpoint is damaged ({name} is missing or not what was written); use another")
    (copy / name).write_bytes((copy / name).read_bytes()[:-1])
    for read in readers(name):
        with pytest.raises(CheckpointError, match=message):
            read(copy)
    (copy / name).unlink()
    for read in readers(name):
        with pytest.raises(CheckpointError, match=message):
            read(copy)


def test_loading_for_inference_reads_only_its_files_and_draws_no_random_numbers(copy: Path) -> None:
    for name in FOR_TRAINING_ONLY:
        (copy / name).unlink()
    before = torch.get_rng_state()
    load_checkpoint(copy, CPU)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("manifest", ["", "[]", "{}", '{"format": 1}', '{"format": 1, "files": 3}', '"\udc80"'])
def test_an_invalid_manifest_is_damage(manifest: str, copy: Path) -> None:
    (copy / "manifest.json").write_text(manifest, encoding="utf-8", errors="surrogateescape")
    with pytest.raises(CheckpointError, match=r"damaged \(manifest.json"):
        verify(copy)


def test_a_folder_without_a_checkpoint_is_reported(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="there is no checkpoint here; `kotrans runs` lists the runs"):
        load_checkpoint(tmp_path, CPU)


def rewrite(folder: Path, change: dict[str, Any]) -> None:
    """Replaces the text of files and updates their hashes in the manifest."""
    manifest = json.loads((folder / "manifest.json").read_text("utf-8"))
    for name, text in change.items():
        (folder / name).write_text(text, encoding="utf-8")
        manifest["files"][name] = sha256(folder / name)
    write_json(folder / "manifest.json", manifest)


def test_a_checkpoint_of_another_version_is_refused(copy: Path) -> None:
    rewrite(copy, {"config.yaml": "name: tiny\nturbo: true\n"})
    with pytest.raises(CheckpointError, match=r"made by another version of kotrans .*turbo"):
        load_checkpoint(copy, CPU)
    write_json(copy / "manifest.json", {"format": 2, "files": {}})
    with pytest.raises(CheckpointError, match=r"made by another version of kotrans \(format 2\)"):
        load_checkpoint(copy, CPU)


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ({"decoder": {"hidden_size": 9}}, "has shape \\(.*\\), but \\(.*\\) by the config"),
        ({"attention": {"score": "general"}}, "the weights do not belong to the model that the config describes \\("),
    ],
    ids=["shape", "names"],
)
def test_weights_that_do_not_fit_the_config_are_refused_and_none_is_copied(
    section: dict[str, Any], message: str, copy: Path, config: Config, tokenizer: Tokenizer
) -> None:
    changed = tiny_config(Path("numbers"), training={"ema": 0.9}, **section)
    rewrite(copy, {"config.yaml": dump_config(changed)})
    with pytest.raises(CheckpointError, match=message):
        load_checkpoint(copy, CPU)
    state = trained_state(changed, tokenizer)
    before = [parameter.detach().clone() for parameter in state.model.parameters()]
    with pytest.raises(CheckpointError, match=message):
        restore_training(copy, state)
    assert all(map(torch.equal, before, state.model.parameters()))


def test_a_saved_state_is_restored_bitwise(saved: Path, config: Config, tokenizer: Tokenizer) -> None:
    original = trained_state(config, tokenizer)
    model = build_model(config.model_copy(update={"seed": 5}), tokenizer.source.size, tokenizer.target.size)
    empty = TrainingState(model, start_ema(model, config.training), build_optimizer(model, config.training), Progress())
    restored = restore_training(saved, empty)
    assert restored.progress == PROGRESS
    assert original.ema is not None
    assert restored.ema is not None
    for (name, one), two in zip(original.model.named_parameters(), restored.model.parameters(), strict=True):
        assert torch.equal(one, two), name
        assert torch.equal(original.ema[name], restored.ema[name]), name
        one_state, two_state = original.optimizer.state[one], restored.optimizer.state[two]
        assert one_state.keys() == two_state.keys()
        assert all(torch.equal(one_state[key], two_state[key]) for key in one_state), name


def test_inference_uses_the_ema(saved: Path, config: Config, tokenizer: Tokenizer) -> None:
    state, loaded = trained_state(config, tokenizer), load_checkpoint(saved, CPU)
    assert state.ema is not None
    assert not loaded.model.training
    assert (loaded.config, loaded.progress, loaded.tokenizer.fingerprint) == (config, PROGRESS, tokenizer.fingerprint)
    for name, parameter in loaded.model.named_parameters():
        assert torch.equal(parameter, state.ema[name])
    assert not all(map(torch.equal, loaded.model.parameters(), state.model.parameters()))


@pytest.mark.parametrize("tie", ["none", "decoder"])
def test_tied_weights_are_saved_once_and_tied_after_loading(
    tie: str, config: Config, tokenizer: Tokenizer, tmp_path: Path
) -> None:
    tied = config.model_copy(update={"embeddings": config.embeddings.model_copy(update={"tie": tie})})
    save_checkpoint(tmp_path / "tied", trained_state(tied, tokenizer), tied, tokenizer)
    names = load_tensors(tmp_path / "tied" / "model.safetensors").keys()
    shared = ("target_embedding.weight" in names) != ("softmax.weight" in names)
    model = load_checkpoint(tmp_path / "tied", CPU).model
    assert shared == (tie == "decoder") == (model.softmax.weight is model.target_embedding.weight)
    assert not list(model.buffers())  # buffers would not be saved


def test_weights_without_optimizer_can_be_used_but_not_resumed(
    saved: Path, tokenizer: Tokenizer, tmp_path: Path
) -> None:
    checkpoint = load_checkpoint(saved, CPU)
    weights = {name: parameter + 1 for name, parameter in checkpoint.model.named_parameters()}
    save_weights(tmp_path / "alone", weights, checkpoint)
    loaded = load_checkpoint(tmp_path / "alone", CPU)
    assert all(torch.equal(parameter, weights[name]) for name, parameter in loaded.model.named_parameters())
    with pytest.raises(CheckpointError, match="holds weights only; resume from a training checkpoint"):
        restore_training(tmp_path / "alone", trained_state(checkpoint.config, tokenizer))


def test_an_existing_checkpoint_is_never_overwritten(copy: Path, config: Config, tokenizer: Tokenizer) -> None:
    before = {path: path.read_bytes() for path in copy.rglob("*") if path.is_file()}
    with pytest.raises(CheckpointError, match=r"cannot be written \(File exists\)"):
        save_checkpoint(copy, trained_state(config, tokenizer), config, tokenizer)
    assert {path: path.read_bytes() for path in copy.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize("name", ["model.safetensors", "optimizer.safetensors", "tokenizer/target.model"])
def test_a_write_that_fails_midway_leaves_nothing(
    name: str, saved: Path, config: Config, tokenizer: Tokenizer, tmp_path: Path
) -> None:
    folder = tmp_path / "update-00000001"
    with files_of_at_most((saved / name).stat().st_size - 1), pytest.raises(CheckpointError) as error:
        save_checkpoint(folder, trained_state(config, tokenizer), config, tokenizer)
    assert str(error.value) == (f"{folder}: cannot be written (File too large); nothing was written")
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_recognized_in_the_message_of_safetensors(
    config: Config, tokenizer: Tokenizer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(tensors: dict[str, torch.Tensor], path: Path, metadata: dict[str, str] | None) -> None:
        raise SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)")

    monkeypatch.setattr("kotrans.runs.checkpoint.save_file", fail)
    with pytest.raises(CheckpointError, match="update-00000001: the disk is full; nothing was written"):
        save_checkpoint(tmp_path / "update-00000001", trained_state(config, tokenizer), config, tokenizer)


@pytest.mark.parametrize("umask", [0o022, 0o077, 0o002])
def test_file_permissions_follow_the_umask(umask: int, config: Config, tokenizer: Tokenizer, tmp_path: Path) -> None:
    before = os.umask(umask)
    try:
        save_checkpoint(tmp_path / "update-00000001", trained_state(config, tokenizer), config, tokenizer)
    finally:
        os.umask(before)
    paths = [path for path in (tmp_path / "update-00000001").rglob("*") if path.is_file()]
    assert len(paths) == len(FILES)
    assert {path.stat().st_mode & 0o777 for path in paths} == {0o666 & ~umask}


def other_tokenizer(tmp_path: Path) -> Tokenizer:
    """A tokenizer of the same size, trained on other text."""
    text = write_numbers(tmp_path / "other", longest=9)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KOTRANS_RUNS", str(tmp_path / "runs"))
        return tokenize(tiny_config(text), SilentReporter())[2]


def test_weights_with_another_tokenizer_are_refused(copy: Path, tokenizer: Tokenizer, tmp_path: Path) -> None:
    other = other_tokenizer(tmp_path)
    assert (other.source.size, other.target.size) == (tokenizer.source.size, tokenizer.target.size)
    shutil.rmtree(copy / "tokenizer")
    other.save(copy / "tokenizer")
    write_manifest(copy)  # with correct hashes
    with pytest.raises(CheckpointError) as error:
        load_checkpoint(copy, CPU)
    assert str(error.value) == (
        f"{copy}: its weights were trained with another tokenizer ({tokenizer.fingerprint}) than the one it contains "
        f"({other.fingerprint}); restore the original one, or copy the whole checkpoint again"
    )


def test_swapped_sides_of_a_tokenizer_are_damage(copy: Path) -> None:
    source, target = copy / "tokenizer" / "source.model", copy / "tokenizer" / "target.model"
    one, two = source.read_bytes(), target.read_bytes()
    source.write_bytes(two)
    target.write_bytes(one)
    write_manifest(copy)
    with pytest.raises(DamagedError, match=r"damaged \(tokenizer/source\.model is missing or not what was written"):
        load_checkpoint(copy, CPU)


def test_older_weights_without_a_tokenizer_fingerprint_are_loaded(copy: Path) -> None:
    save_file(load_tensors(copy / "average.safetensors"), copy / "average.safetensors")
    write_manifest(copy)
    load_checkpoint(copy, CPU)


NESTED = {"json": "[" * 100_000, "yaml": "a: " + "[" * 3000}


@pytest.mark.slow
@pytest.mark.parametrize("name", ["manifest.json", "progress.json", "config.yaml", "tokenizer/manifest.json"])
def test_a_file_that_is_nested_too_deeply_is_reported_in_one_line(name: str, copy: Path) -> None:
    (copy / name).write_text(NESTED[name.partition(".")[2]], encoding="utf-8")
    if name != "manifest.json":
        write_manifest(copy)
    with pytest.raises(CheckpointError) as error:
        load_checkpoint(copy, CPU)
    assert str(error.value).startswith(f"{copy}: ")
    assert "\n" not in str(error.value)


def test_too_little_memory_for_the_weights_is_reported(saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB.")

    monkeypatch.setattr(torch.nn.Module, "to", fail)
    with pytest.raises(CheckpointError, match=r"^out of memory \(the weights of .* on cpu\); use --set hardware"):
        load_checkpoint(saved, CPU)


def test_verifying_a_checkpoint_needs_little_memory(tmp_path: Path) -> None:
    (tmp_path / "optimizer.safetensors").write_bytes(bytes(30_000_000))
    write_manifest(tmp_path)
    tracemalloc.start()
    try:
        verify(tmp_path)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most < 3_000_000


def test_open_weights_reads_single_tensors(saved: Path, copy: Path) -> None:
    used = load_checkpoint(saved, CPU).model
    with open_weights(saved) as read:
        for name, parameter in used.named_parameters():
            assert torch.equal(read(name), parameter)
    (copy / "average.safetensors").write_bytes(b"")
    with pytest.raises(DamagedError), open_weights(copy):
        pass


def test_progress_files_of_older_versions_are_read() -> None:
    older = b'{"update": 7, "epoch": 1, "block": 0, "batch": 3, "best_value": 2.5, "best_bleu": 2.5}'
    assert Progress.parse(older) == Progress(update=7, position=Position(epoch=1, batch=3), best_bleu=2.5)
    assert Progress.parse(json.dumps(PROGRESS.as_dict()).encode()) == PROGRESS
