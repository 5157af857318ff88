"""Validation: perplexity, BLEU, the weights it uses, and that it does not change training."""

import math
from pathlib import Path
from typing import Any

import pytest
import torch

from kotrans.config.schema import Config
from kotrans.data.batching import Batch
from kotrans.data.stages import PreparedData, SilentReporter, prepare
from kotrans.errors import DataError
from kotrans.model.build import build_model
from kotrans.model.seq2seq import Seq2Seq
from kotrans.runs.run import Run
from kotrans.storage.files import write_lines
from kotrans.training.events import DevFigures, Event, Updated, Validated
from kotrans.training.loop import Trainer
from kotrans.training.validation import Validation
from kotrans.translation.postprocess import PreparedLine
from kotrans.translation.translator import Translator
from tests.tiny_training import build_trainer, final_state, tiny_config, train_tiny, write_numbers

pytestmark = pytest.mark.e2e

CPU = torch.device("cpu")


def measure(config: Config) -> tuple[PreparedData, Seq2Seq, Validation]:
    prepared = prepare(config, SilentReporter())
    model = build_model(config, prepared.tokenizer.source.size, prepared.tokenizer.target.size).eval()
    return prepared, model, Validation(prepared, config, CPU, "fp32")


@pytest.mark.parametrize("tokens", [16, 100, 5000])
def test_perplexity_does_not_depend_on_batching(tokens: int, runs: Path, text: Path) -> None:
    _, model, validation = measure(tiny_config(text, batches={"tokens": tokens}))
    nll, pieces = 0.0, 0
    with torch.no_grad():
        for i in range(len(validation.dataset)):
            batch = Batch.of([validation.dataset.source(i)], [validation.dataset.target(i)])
            logits, _ = model(batch.source, batch.source_mask, batch.inputs)  # (1, T, V)
            nll -= float(logits[0].log_softmax(-1)[range(batch.labels.size(1)), batch.labels[0]].sum())
            pieces += batch.labels.size(1)
        assert validation.perplexity(model) == pytest.approx(math.exp(nll / pieces), rel=1e-5)


def test_bleu_and_samples_use_the_first_sentences(runs: Path, text: Path) -> None:
    _, model, validation = measure(tiny_config(text, validation={"sentences": 4, "samples": 2}))
    with torch.no_grad():
        figures = validation(model)
    lines = (text / "dev.ko").read_text("utf-8").splitlines(), (text / "dev.en").read_text("utf-8").splitlines()
    assert (validation.sources, validation.references) == (lines[0][:4], lines[1][:4])
    assert [(sample.source, sample.reference) for sample in figures.samples] == [
        (lines[0][i], lines[1][i]) for i in (1, 3)
    ]


def test_references_are_normalized_as_in_evaluation(runs: Path, tmp_path: Path) -> None:
    text = write_numbers(tmp_path / "text")
    lines = (text / "dev.en").read_text("utf-8").splitlines()
    write_lines(text / "dev.en", [f"\u200b{line}\u00a0" for line in lines])
    _, _, validation = measure(tiny_config(text))
    assert validation.references == lines


def test_dev_lines_are_not_split_into_sentences(runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = write_numbers(tmp_path / "text")
    write_lines(text / "dev.ko", ["삼 오. 칠 이."] * 2)
    write_lines(text / "dev.en", ["5 3. 2 7."] * 2)
    found, prepare_lines = list[int](), Translator.prepare

    def watched(*arguments: Any, **named: Any) -> list[PreparedLine]:
        lines = prepare_lines(*arguments, **named)
        found.extend(len(line.parts) for line in lines)
        return lines

    monkeypatch.setattr(Translator, "prepare", watched)
    for splits, parts in ((None, 1), (False, 1), (True, 2)):
        _, model, validation = measure(tiny_config(text, search={"split_sentences": splits}))
        found.clear()
        with torch.no_grad():
            validation(model)
        assert found == [parts, parts]


def test_an_empty_dev_split_is_refused_before_training(runs: Path, tmp_path: Path) -> None:
    text = write_numbers(tmp_path / "text")
    write_lines(text / "dev.ko", ["", "이"])
    write_lines(text / "dev.en", ["2", ""])
    with pytest.raises(DataError, match="the dev split has no pair with both sides"):
        train_tiny(tiny_config(text), Run(runs / "run"))
    assert not (runs / "run").exists()


def test_validations_do_not_change_training(runs: Path, text: Path) -> None:
    weights = []
    for name, every in (("often", 1), ("once", 100)):
        run = Run(runs / name)
        train_tiny(tiny_config(text, validation={"every": every}, training={"ema": 0.9}), run)
        state = final_state(run)
        weights.append({name: value for name, value in state.items() if not name.startswith("progress/")})
    assert weights[0] == weights[1]


def test_validation_uses_the_ema_and_training_its_own_weights(runs: Path, text: Path) -> None:
    trained: list[torch.Tensor] = []

    def weights(trainer: Trainer) -> list[torch.Tensor]:
        return [parameter.detach().clone() for parameter in trainer.state.model.parameters()]

    def validate(model: Seq2Seq) -> DevFigures:
        assert not model.training
        assert not torch.is_grad_enabled()
        average = trainer.state.ema
        assert average is not None
        for name, parameter in model.named_parameters():
            assert torch.equal(parameter, average[name])
        assert not all(map(torch.equal, model.parameters(), trained))
        return DevFigures(2.0, 1.0, ())

    def listen(event: Event) -> None:
        if isinstance(event, Updated):
            trained[:] = weights(trainer)
        elif isinstance(event, Validated):
            assert all(map(torch.equal, weights(trainer), trained))

    trainer = build_trainer(tiny_config(text, training={"ema": 0.9}), Run(runs / "run"), validate, listen)
    assert trainer.train().progress.best_perplexity == 2.0
