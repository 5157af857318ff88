"""The card of an exported model."""

from pathlib import Path

import pytest

from kotrans.config.loading import override_config
from kotrans.export.card import Provenance, card
from kotrans.runs.model_files import ModelFiles

FROM = Provenance("tiny/update-00000160", None, "2026-01-02T03:04:05+00:00")


def test_the_card_has_the_licence_of_a_listed_corpus_and_a_note_on_own_files(model: ModelFiles) -> None:
    listed = override_config(model.config, ["corpora=[{name: starter}, {name: korean-english-news}]"])
    text = card(model._replace(config=listed), FROM, "fp32", {})
    assert "- Starter corpus of everyday sentences (`starter`), CC0-1.0." in text
    assert "(`korean-english-news`), CC-BY-SA-3.0. <https://" in text
    assert "- own: files of whoever trained the model; ask them for the licence." in card(model, FROM, "fp32", {})


def test_the_card_says_what_the_licence_of_a_corpus_forbids(model: ModelFiles) -> None:
    listed = override_config(model.config, ["corpora=[{name: ted2020}, {name: 'opus:QED/v2.0a'}]"])
    text = card(model._replace(config=listed), FROM, "fp32", {})
    assert "(`ted2020`), CC-BY-NC-ND-4.0. <https://opus.nlpl.eu/TED2020> TED's terms allow research" in text
    assert "(`opus:QED/v2.0a`), research only. <https://opus.nlpl.eu/QED> Public for research purposes only." in text


def test_own_files_with_the_name_of_a_listed_corpus_do_not_have_its_licence(model: ModelFiles) -> None:
    own = model.config.corpora[0].model_copy(update={"name": "starter"})
    text = card(model._replace(config=model.config.model_copy(update={"corpora": (own,)})), FROM, "fp32", {})
    assert "CC0" not in text
    assert "ask them for the licence" in text


@pytest.mark.parametrize(
    ("precision", "stored"),
    [("fp32", "exactly as trained"), ("bf16", "bfloat16"), ("int8", "converted to float32 when loaded")],
)
def test_the_card_has_size_precision_date_and_origin(model: ModelFiles, precision: str, stored: str) -> None:
    weights = sum(weight.size for weight in model.weights.values())
    text = card(model, FROM, precision, {"model.safetensors": 12_345})  # type: ignore[arg-type]
    assert f"| weights | {weights:,}, " in text
    assert stored in text
    assert "| exported | 2026-01-02 |" in text
    assert "| from | `tiny/update-00000160`, 160 updates |" in text
    assert "| `model.safetensors` | 12,345 |" in text
    assert "BLEU: not measured." in text


@pytest.mark.parametrize("figures", ["", "[]", "{}", "\udc80", '{"models": ["tiny/update-00000160"]}'])
def test_a_file_without_figures_is_ignored(model: ModelFiles, tmp_path: Path, figures: str) -> None:
    (tmp_path / "test.json").write_text(figures, encoding="utf-8", errors="surrogateescape")
    text = card(model, Provenance(FROM.name, tmp_path, FROM.date), "fp32", {})
    assert "BLEU: not measured." in text
