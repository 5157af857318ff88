"""The card: what a stranger must know of a model."""

from pathlib import Path

import pytest

from kotrans.config.loading import override_config
from kotrans.export.card import Provenance, card
from kotrans.runs.checkpoint import Checkpoint

FROM = Provenance("tiny/update-00000160", None, "2026-01-02T03:04:05+00:00")


def test_a_listed_corpus_has_its_licence_and_own_files_have_a_word_of_caution(checkpoint: Checkpoint) -> None:
    listed = override_config(checkpoint.config, ["corpora=[{name: starter}, {name: korean-english-news}]"])
    told = card(checkpoint._replace(config=listed), FROM, "fp32", {})
    assert "- Starter corpus of everyday sentences (`starter`), CC0-1.0." in told
    assert "(`korean-english-news`), CC-BY-SA-3.0. <https://" in told
    assert "- own: files of the one who trained it; ask them for the licence." in card(checkpoint, FROM, "fp32", {})


def test_own_files_under_a_listed_name_get_no_licence_from_the_list(checkpoint: Checkpoint) -> None:
    own = checkpoint.config.corpora[0].model_copy(update={"name": "starter"})
    told = card(checkpoint._replace(config=checkpoint.config.model_copy(update={"corpora": (own,)})), FROM, "fp32", {})
    assert "CC0" not in told
    assert "ask them for the licence" in told


@pytest.mark.parametrize(
    ("precision", "told"), [("fp32", "exactly as trained"), ("bf16", "bfloat16"), ("int8", "made float32 again")]
)
def test_the_card_says_what_when_how_large_and_how_stored(checkpoint: Checkpoint, precision: str, told: str) -> None:
    weights = sum(weight.numel() for weight in checkpoint.model.parameters())
    text = card(checkpoint, FROM, precision, {"model.safetensors": 12_345})  # type: ignore[arg-type]
    assert f"| weights | {weights:,}, " in text
    assert told in text
    assert "| exported | 2026-01-02 |" in text
    assert "| from | `tiny/update-00000160`, 160 updates |" in text
    assert "| `model.safetensors` | 12,345 |" in text
    assert "BLEU: not measured." in text


@pytest.mark.parametrize("figures", ["", "[]", "{}", "\udc80", '{"checkpoints": ["tiny/update-00000160"]}'])
def test_a_file_that_holds_no_figures_is_passed_over(checkpoint: Checkpoint, tmp_path: Path, figures: str) -> None:
    (tmp_path / "test.json").write_text(figures, encoding="utf-8", errors="surrogateescape")
    text = card(checkpoint, Provenance(FROM.name, tmp_path, FROM.date), "fp32", {})
    assert "BLEU: not measured." in text
