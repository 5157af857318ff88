"""Corpora that are named by where they are: `opus:NAME/VERSION` and `hf:OWNER/NAME@REVISION/PATH`."""

import re
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from kotrans.config.sections import Format, SplitConfig
from kotrans.data.registry import Entry, RemoteFile
from kotrans.errors import ConfigError

OPUS = Path(__file__).with_name("opus.yaml")

_MAX_BYTES = 20_000_000_000
_OPUS = re.compile(r"opus:(?P<name>[A-Za-z0-9][\w.-]*)/(?P<version>v?[A-Za-z0-9][\w.-]*)")
_HUB = re.compile(
    r"hf:(?P<dataset>[\w-][\w.-]*/[\w-][\w.-]*)@(?P<revision>[\w-][\w.-]*)/(?P<path>[\w-][\w.-]*(?:/[\w-][\w.-]*)*)"
)
_FORMATS: dict[str, Format] = {
    ".parquet": "parquet", ".jsonl": "jsonl", ".json": "json", ".csv": "csv", ".tsv": "tsv", ".tmx": "tmx",
    ".xlsx": "xlsx", ".po": "po",
}  # fmt: skip


def entry_of_source(name: str) -> Entry | None:
    """Returns the entry of an `opus:` or `hf:` name, or None for any other name.

    Raises ConfigError if the name is not complete.
    """
    if name.startswith("opus:"):
        return _opus_entry(name)
    if name.startswith("hf:"):
        return _hub_entry(name)
    return None


@cache
def known_opus() -> dict[str, Entry]:
    """Returns the Korean–English corpora of OPUS that kotrans has a description of, by their `opus:` names."""
    return {name: _opus_entry(name) for name in _opus_descriptions()}


@cache
def _opus_descriptions() -> dict[str, dict[str, Any]]:
    values: dict[str, dict[str, Any]] = yaml.safe_load(OPUS.read_text(encoding="utf-8"))
    return {f"opus:{name}": description for name, description in values.items()}


def _opus_entry(name: str) -> Entry:
    found = _OPUS.fullmatch(name)
    if not found:
        raise ConfigError(f"corpus {name!r}: is not of the form opus:NAME/VERSION, such as opus:wikimedia/v20230407")
    corpus, version = found["name"], found["version"]
    file = RemoteFile(
        url=f"https://object.pouta.csc.fi/OPUS-{corpus}/{version}/moses/en-ko.txt.zip",
        versioned=True,
        max_bytes=_MAX_BYTES,
        unpack="zip",
        members=(f"{corpus}.en-ko.en", f"{corpus}.en-ko.ko", "README", "LICENSE"),
    )
    described = _opus_descriptions().get(name) or {
        "title": f"{corpus} {version} of OPUS",
        "licence": "unknown",
        "remark": "kotrans knows nothing about its licence; read README and LICENSE in the folder of the corpus",
    }
    return Entry(
        name=name,
        description="From OPUS (Tiedemann 2012), line-aligned.",
        homepage=f"https://opus.nlpl.eu/{corpus}",
        citation="Jörg Tiedemann. 2012. Parallel Data, Tools and Interfaces in OPUS. In Proceedings of LREC 2012.",
        files=(file,),
        format="lines",
        splits={"train": SplitConfig(source=Path(f"{corpus}.en-ko.ko"), target=Path(f"{corpus}.en-ko.en"))},
        **described,
    )


def _hub_entry(name: str) -> Entry:
    found = _HUB.fullmatch(name)
    if not found:
        raise ConfigError(
            f"corpus {name!r}: is not of the form hf:OWNER/NAME@REVISION/PATH, such as "
            "hf:Helsinki-NLP/opus-100@REVISION/en-ko/train-00000-of-00001.parquet"
        )
    dataset, path = found["dataset"], Path(found["path"])
    format = _FORMATS.get(path.suffix)
    if format is None:
        raise ConfigError(f"corpus {name!r}: {path.name} has no format that kotrans reads ({', '.join(_FORMATS)})")
    page = f"https://huggingface.co/datasets/{dataset}"
    return Entry(
        name=name,
        title=f"{dataset} of the Hugging Face Hub",
        description=f"The file {path.as_posix()} at revision {found['revision']}.",
        licence="see its page",
        remark=f"read the licence on {page}",
        homepage=page,
        files=(
            RemoteFile(
                url=f"{page}/resolve/{found['revision']}/{path.as_posix()}",
                versioned=True,
                max_bytes=_MAX_BYTES,
            ),
        ),
        format=format,
        fields=None,
        splits={"train": SplitConfig(path=Path(path.name))},
    )
