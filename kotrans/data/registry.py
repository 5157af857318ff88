"""The registry of public corpora: typed entries of registry.yaml."""

from pathlib import Path, PurePosixPath
from typing import Annotated, Literal, Self

import yaml
from pydantic import Field, TypeAdapter, model_validator

from kotrans.config.sections import Fields, Format, Section, SplitFiles
from kotrans.storage.files import content_key

REGISTRY = Path(__file__).with_name("registry.yaml")

Hash = Annotated[str, Field(pattern=r"^[0-9a-f]+$")]


class RemoteFile(Section):
    """One file to download. Without a hash, the current upstream version is accepted and recorded."""

    url: str = Field(pattern=r"^https?://")
    """Download address."""
    git_blob: Hash | None = Field(None, min_length=40, max_length=40)
    """Git blob id (SHA-1) of the content."""
    sha256: Hash | None = Field(None, min_length=64, max_length=64)
    """SHA-256 of the content."""
    max_bytes: int = Field(gt=0)
    """Maximum size; larger files are refused."""
    unpack: Literal["tar", "zip"] | None = None
    """Type of the archive; its members are stored in the cache instead of the archive."""

    @property
    def name(self) -> str:
        """The file name in the cache and in a mirror: the last part of the URL."""
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
    """Pairs in each split, if upstream is versioned."""
    bundled: Literal["starter"] | None = None
    """Set if the corpus is part of kotrans and needs no fetching."""
    files: tuple[RemoteFile, ...] = ()
    format: Format
    fields: Fields = Fields()
    splits: dict[str, SplitFiles]
    """Files of each split, relative to the corpus folder in the cache."""
    holdout: dict[str, int] = Field(default_factory=dict)
    """Splits to hold out of `train`, with their numbers of pairs."""

    @model_validator(mode="after")
    def comes_from_somewhere(self) -> Self:
        if bool(self.files) == (self.bundled is not None):
            raise ValueError(f"{self.name} needs either `files` or `bundled`")
        return self

    def files_of_splits(self, folder: Path) -> dict[str, SplitFiles]:
        """Returns the files of each split inside the corpus folder."""
        return {
            split: SplitFiles(**{side: folder / path for side, path in files if path is not None})
            for split, files in self.splits.items()
        }

    @property
    def key(self) -> str:
        """Hash of the files' descriptions; part of the folder name in the cache."""
        return content_key([file.model_dump() for file in self.files])


def load_registry(path: Path = REGISTRY) -> dict[str, Entry]:
    """Returns the entries by name. An invalid registry is a bug, so its errors are not converted."""
    values = yaml.safe_load(path.read_text(encoding="utf-8"))
    named = {name: {"name": name, **entry} for name, entry in values.items()}
    return TypeAdapter(dict[str, Entry]).validate_python(named)
