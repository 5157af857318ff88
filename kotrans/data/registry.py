"""The public corpora that kotrans knows: typed entries of registry.yaml."""

from pathlib import Path, PurePosixPath
from typing import Annotated, Literal, Self

import yaml
from pydantic import Field, TypeAdapter, model_validator

from kotrans.config.sections import Fields, Format, Section, SplitFiles
from kotrans.storage.files import content_key

REGISTRY = Path(__file__).with_name("registry.yaml")

Hash = Annotated[str, Field(pattern=r"^[0-9a-f]+$")]


class RemoteFile(Section):
    """One file to download. With neither hash, whatever upstream has that day is taken and recorded."""

    url: str = Field(pattern=r"^https?://")
    """Where it is."""
    git_blob: Hash | None = Field(None, min_length=40, max_length=40)
    """The SHA-1 by which git names this content."""
    sha256: Hash | None = Field(None, min_length=64, max_length=64)
    """The SHA-256 of the content."""
    max_bytes: int = Field(gt=0)
    """A larger file is refused."""
    unpack: Literal["tar", "zip"] | None = None
    """The archive's kind; its members then lie in the cache instead of itself."""

    @property
    def name(self) -> str:
        """What the file is called in the cache and in a mirror: the last part of its URL."""
        return PurePosixPath(self.url).name


class Entry(Section):
    """A listed corpus."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9-]*$")
    title: str
    description: str
    licence: str
    homepage: str | None = None
    citation: str | None = None
    pairs: dict[str, int] = Field(default_factory=dict)
    """Pairs in each split, where upstream is versioned."""
    bundled: Literal["starter"] | None = None
    """It comes with kotrans, so there is nothing to fetch."""
    files: tuple[RemoteFile, ...] = ()
    format: Format
    fields: Fields = Fields()
    splits: dict[str, SplitFiles]
    """Files of each split, relative to the corpus's folder in the cache."""
    holdout: dict[str, int] = Field(default_factory=dict)
    """Splits to take out of `train`, with their numbers of pairs."""

    @model_validator(mode="after")
    def comes_from_somewhere(self) -> Self:
        if bool(self.files) == (self.bundled is not None):
            raise ValueError(f"{self.name} needs either `files` or `bundled`")
        return self

    def files_of_splits(self, folder: Path) -> dict[str, SplitFiles]:
        """The files of each split when the entry lies in that folder."""
        return {
            split: SplitFiles(**{side: folder / path for side, path in files if path is not None})
            for split, files in self.splits.items()
        }

    @property
    def key(self) -> str:
        """Names what is fetched: an entry with other files or hashes gets another place in the cache."""
        return content_key([file.model_dump() for file in self.files])


def load_registry(path: Path = REGISTRY) -> dict[str, Entry]:
    """The entries by name. The registry is part of kotrans, so a bad one is a bug and keeps its traceback."""
    values = yaml.safe_load(path.read_text(encoding="utf-8"))
    named = {name: {"name": name, **entry} for name, entry in values.items()}
    return TypeAdapter(dict[str, Entry]).validate_python(named)
