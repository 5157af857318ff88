"""The card of an exported model: architecture, training data, quality, files, and usage."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kotrans.config.schema import Config, SearchConfig
from kotrans.config.sections import CorpusConfig
from kotrans.data.named_sources import entry_of_source
from kotrans.data.registry import load_registry
from kotrans.export.quantization import Precision
from kotrans.runs.model_files import ModelFiles
from kotrans.storage.resources import VERSION

_STORED = {
    "fp32": "float32, exactly as trained",
    "bf16": "matrices in bfloat16, vectors in float32; computed in float32",
    "int8": "matrices in int8 with a float32 scale per row, vectors in float32; converted to float32 when loaded",
}


@dataclass(frozen=True)
class Provenance:
    """The origin of an exported model."""

    name: str
    """RUN/CHECKPOINT, or the path of an exported model."""
    evaluation: Path | None
    """The run's evaluation folder; None for an exported model."""
    date: str
    """Of the export, in ISO format."""


def card(model: ModelFiles, provenance: Provenance, precision: Precision, sizes: dict[str, int]) -> str:
    """Returns the card in Markdown. sizes: bytes of each file."""
    config = model.config
    return "\n".join(
        [
            f"# {config.name}", "",
            f"A Korean→English translation model: {_architecture(config)}. It runs with kotrans {VERSION}.", "",
            *_rows("", "", (
                ("exported", provenance.date[:10]),
                ("from", f"`{provenance.name}`, {model.progress.update:,} updates"),
                ("weights", f"{sum(weight.size for weight in model.weights.values()):,}, {_STORED[precision]}"),
                ("vocabularies", f"{model.tokenizer.source.size:,} Korean, "
                                 f"{model.tokenizer.target.size:,} English pieces"),
            )), "",
            "## Quality", "", *_quality(provenance, config.search, precision), "",
            "## Data", "", *_data(config.corpora), "",
            "## Files", "", *_rows("file", "bytes", ((f"`{name}`", f"{size:,}") for name, size in sizes.items())), "",
            "## Use", "", "```sh",
            'kotrans translate --model THIS-FOLDER "안녕하세요?"',
            "kotrans eval --model THIS-FOLDER --source FILE --reference FILE",
            "```", "",
        ]
    )  # fmt: skip


def _architecture(config: Config) -> str:
    encoder, decoder = config.encoder, config.decoder
    direction = "bidirectional" if encoder.bidirectional else "unidirectional"
    attention = "a fixed context" if config.attention.score == "none" else f"{config.attention.score} attention"
    return (
        f"{direction} {encoder.cell.upper()} encoder of {encoder.layers} × {encoder.hidden_size}, "
        f"{attention}, {decoder.cell.upper()} decoder of {decoder.layers} × {decoder.hidden_size}, "
        f"embeddings of {config.embeddings.size}"
    )


def _quality(provenance: Provenance, search: SearchConfig, precision: Precision) -> Iterator[str]:
    figures = dict(_evaluations(provenance, search))
    if not figures:
        yield "BLEU: not measured."
        return
    for name, each in figures.items():
        measured = f"{each['pairs']:,} pairs, measured {each['date'][:10]}"
        yield f"- {name}: BLEU {each['bleu']:.2f} ({measured}), `{each['signatures']['bleu']}`"
    if precision != "fp32":
        yield ""
        yield "Measured with the weights as trained, in float32."


def _evaluations(provenance: Provenance, search: SearchConfig) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yields test sets and figures that `kotrans eval` wrote for exactly this checkpoint and search, in fp32.

    Other files are ignored.
    """
    expected = {"checkpoints": [provenance.name], "precision": "fp32"}
    expected_search = search.model_copy(update={"split_sentences": search.splits_pairs})
    needed = {"pairs", "bleu", "signatures", "date"}
    for path in sorted(provenance.evaluation.glob("*.json")) if provenance.evaluation else ():
        try:
            figures = json.loads(path.read_bytes())
            # Earlier versions wrote no `split_sentences` and split sources.
            used = SearchConfig(**{"split_sentences": True} | figures["search"] | {"batch": search.batch})
            if (
                used == expected_search
                and needed <= figures.keys()
                and expected == {key: figures[key] for key in expected}
            ):
                yield path.stem.removesuffix(f".{provenance.name.rpartition('/')[2]}"), figures
        except (ValueError, KeyError, TypeError, OSError, RecursionError):
            continue


def _data(corpora: tuple[CorpusConfig, ...]) -> Iterator[str]:
    listed = load_registry()
    for corpus in corpora:
        entry = None if corpus.splits else listed.get(corpus.name) or entry_of_source(corpus.name)
        if entry is None:
            yield f"- {corpus.name}: files of whoever trained the model; ask them for the licence."
        else:
            home = f" <{entry.homepage}>" if entry.homepage else ""
            remark = f" {entry.remark}" if entry.remark else ""
            yield f"- {entry.title} (`{entry.name}`), {entry.licence}.{home}{remark}"


def _rows(left: str, right: str, rows: Any) -> Iterator[str]:
    yield f"| {left} | {right} |"
    yield "| --- |" + " --- |" * (right.count("|") + 1)
    yield from (f"| {name} | {value} |" for name, value in rows)
