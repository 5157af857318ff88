"""The registry of public corpora: typed entries of registry.yaml."""

import re
from pathlib import Path, PurePosixPath
from typing import Annotated, Literal, Self

import yaml
from pydantic import Field, TypeAdapter, model_validator

from kotrans.config.sections import (
    Fields,
    FileNames,
    Format,
    HoldoutUnit,
    Markup,
    Section,
    SplitConfig,
    SplitFiles,
)
from kotrans.data.split_files import split_files
from kotrans.storage.files import content_key

REGISTRY = Path(__file__).with_name("registry.yaml")

_NOT_IN_NAMES = re.compile(r"[^\w.-]+")

Hash = Annotated[str, Field(pattern=r"^[0-9a-f]+$")]


class RemoteFile(Section):
    """One file to download. Without a hash, the current upstream version is accepted and recorded."""

    url: str = Field(pattern=r"^https?://")
    """Download address."""
    filename: str | None = None
    """The file name in the cache and in a mirror; the last part of the URL by default."""
    git_blob: Hash | None = Field(None, min_length=40, max_length=40)
    """Git blob id (SHA-1) of the content."""
    sha256: Hash | None = Field(None, min_length=64, max_length=64)
    """SHA-256 of the content."""
    versioned: bool = False
    """Whether the URL names a version, so that the hash of the first download is required from then on."""
    max_bytes: int = Field(gt=0)
    """Maximum size; larger files are refused."""
    unpack: Literal["tar", "zip"] | None = None
    """Type of the archive; its members are stored in the cache instead of the archive."""
    members: tuple[str, ...] = ()
    """Patterns of the members to unpack, in which `*` also matches `/`; all if empty."""
    top_folder: bool = True
    """False leaves out the first folder of the members' paths."""
    tree: Hash | None = Field(None, min_length=64, max_length=64)
    """SHA-256 over the sorted lines `BLOB PATH` of the unpacked members, where BLOB is the git blob id."""

    @property
    def name(self) -> str:
        """The file name in the cache and in a mirror."""
        return self.filename or PurePosixPath(self.url).name


class GitTree(Section):
    """Files of a commit on GitHub. The archive's bytes are not stable, so its content is verified."""

    repository: str = Field(pattern=r"^[\w.-]+/[\w.-]+$")
    """OWNER/NAME on GitHub."""
    commit: Hash = Field(min_length=40, max_length=40)
    members: tuple[str, ...] = Field(min_length=1)
    """Patterns of the files, in which `*` also matches `/`."""
    digest: Hash = Field(min_length=64, max_length=64)
    """SHA-256 over the sorted lines `BLOB PATH` of these files."""
    max_bytes: int = Field(gt=0)
    """Maximum size of the archive."""

    @property
    def archive(self) -> RemoteFile:
        """GitHub's archive of the commit."""
        return RemoteFile(
            url=f"https://codeload.github.com/{self.repository}/tar.gz/{self.commit}",
            filename=f"{self.repository.partition('/')[2]}-{self.commit}.tar.gz",
            max_bytes=self.max_bytes,
            unpack="tar",
            members=self.members,
            top_folder=False,
            tree=self.digest,
        )


class Entry(Section):
    """A listed corpus."""

    name: str
    title: str
    description: str
    licence: str
    remark: str | None = None
    """What the licence forbids, or what else a user should know before using the text."""
    homepage: str | None = None
    citation: str | None = None
    pairs: dict[str, int] = Field(default_factory=dict)
    """Pairs in each split, if upstream is versioned."""
    size: int | None = None
    """Bytes to download, if known."""
    bundled: Literal["starter"] | None = None
    """Set if the corpus is part of kotrans and needs no fetching."""
    files: tuple[RemoteFile, ...] = ()
    git: GitTree | None = None
    """Set if the files come from a commit of a Git repository."""
    format: Format
    fields: Fields | None = Fields()
    """None if only the config knows them."""
    markup: Markup = "none"
    split_sentences: bool = False
    splits: dict[str, SplitConfig]
    """Files of each split, relative to the corpus folder in the cache."""
    holdout: dict[str, int] = Field(default_factory=dict)
    """Splits to hold out of `train`, with their numbers of pairs."""
    holdout_by: HoldoutUnit = "sentence"

    @model_validator(mode="after")
    def comes_from_somewhere(self) -> Self:
        if (bool(self.files) + (self.git is not None) + (self.bundled is not None)) != 1:
            raise ValueError(f"{self.name} needs exactly one of `files`, `git` and `bundled`")
        return self

    @property
    def downloads(self) -> tuple[RemoteFile, ...]:
        """The files to download."""
        return (self.git.archive,) if self.git else self.files

    def files_of_splits(self, folder: Path) -> dict[str, tuple[SplitFiles, ...]]:
        """Returns the files of each split inside the corpus folder. Raises DataError if a pattern matches none."""

        def inside(names: FileNames) -> FileNames:
            if isinstance(names, tuple):
                return tuple(folder / name for name in names)
            return names and folder / names

        return {
            split: split_files(
                SplitConfig(source=inside(files.source), target=inside(files.target), path=inside(files.path)),
                f"corpus {self.name!r}: split {split}",
            )
            for split, files in self.splits.items()
        }

    def mentions(self, text: str) -> bool:
        """Returns true if a word of its name or description begins with a text, in any case."""
        described = "\n".join((self.name, self.title, self.description, self.licence, self.remark or ""))
        return re.search(rf"(?<![^\W_]){re.escape(text)}", described, re.IGNORECASE) is not None

    @property
    def folder_name(self) -> str:
        """The name of its folder in a mirror, and the beginning of that in the cache."""
        return _NOT_IN_NAMES.sub("-", self.name)

    @property
    def key(self) -> str:
        """Hash of the files' descriptions; part of the folder name in the cache."""
        return content_key([file.model_dump() for file in self.downloads])


def load_registry(path: Path = REGISTRY) -> dict[str, Entry]:
    """Returns the entries by name. An invalid registry is a bug, so its errors are not converted."""
    values = yaml.safe_load(path.read_text(encoding="utf-8"))
    named = {name: {"name": name, **entry} for name, entry in values.items()}
    return TypeAdapter(dict[str, Entry]).validate_python(named)
