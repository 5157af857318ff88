"""Fetching from a local HTTP server."""

from __future__ import annotations

import hashlib
import io
import json
import shutil
import subprocess
import tarfile
import threading
import tracemalloc
import zipfile
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest

from kotrans.config.sections import SplitConfig
from kotrans.data.fetch import entry_folder, fetch
from kotrans.data.registry import Entry, RemoteFile, load_registry
from kotrans.data.verification import tree_digest
from kotrans.errors import FetchError
from kotrans.storage.files import read_lines

if TYPE_CHECKING:
    from tests.data.conftest import Site

pytestmark = pytest.mark.e2e

PARK = Path(__file__).parents[3] / "shared" / "corpora" / "korean-english-park"


def git_blob(data: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


def tar_gz(members: dict[str, str]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, text in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(text.encode())
            archive.addfile(info, io.BytesIO(text.encode()))
    return buffer.getvalue()


def entry_of(text: str, tmp_path: Path) -> Entry:
    path = tmp_path / "registry.yaml"
    path.write_text(text, encoding="utf-8")
    return next(iter(load_registry(path).values()))


@pytest.fixture
def news(site: Site, tmp_path: Path) -> Entry:
    """An entry like korean-english-news, with its own archives and blob ids."""
    files = []
    for split, count in {"train": 300, "dev": 3, "test": 5}.items():
        name = f"korean-english-park.{split}"
        korean = "".join(f"{split} 문장 {n}\n" for n in range(count))
        data = tar_gz({f"{name}.ko": korean, f"{name}.en": korean.replace("문장", "sentence")})
        site.files[f"/{name}.tar.gz"] = data
        files.append(f"{{url: '{site.url}/{name}.tar.gz', git_blob: '{git_blob(data)}', max_bytes: 9000, unpack: tar}}")
    splits = "\n".join(
        f"    {split}: {{source: korean-english-park.{split}.ko, target: korean-english-park.{split}.en}}"
        for split in ("train", "dev", "test")
    )
    head = "news:\n  title: News\n  description: Test.\n  licence: none\n  format: lines\n"
    return entry_of(f"{head}  files: [{', '.join(files)}]\n  splits:\n{splits}\n", tmp_path)


@pytest.fixture
def plain(site: Site, tmp_path: Path) -> Entry:
    """An entry with one unversioned TSV file."""
    rows = "".join(f"Sentence {n}.\t문장 {n}.\n" for n in range(20_000))
    site.files["/pairs.tsv"] = rows.encode()
    return entry_of(
        f"plain:\n  title: Plain\n  description: Test.\n  licence: none\n  format: tsv\n"
        f"  fields: {{source: '2', target: '1'}}\n"
        f"  files: [{{url: '{site.url}/pairs.tsv', max_bytes: 1_000_000}}]\n  splits: {{train: {{path: pairs.tsv}}}}\n",
        tmp_path,
    )


def test_all_archives_of_a_corpus_are_unpacked_and_recorded(news: Entry, site: Site, tmp_path: Path) -> None:
    seen: list[tuple[str, int, int | None]] = []
    folder = fetch(news, cache=tmp_path / "cache", progress=lambda *step: seen.append(step))
    assert read_lines(folder / "korean-english-park.train.ko")[-1] == "train 문장 299"
    record = json.loads((folder / "fetched.json").read_text())
    assert record["pairs"] == {"train": 300, "dev": 3, "test": 5}
    size = len(site.files["/korean-english-park.dev.tar.gz"])
    assert ("korean-english-park.dev.tar.gz", size, size) in seen
    assert [path.name for path in folder.parent.iterdir() if not path.name.endswith(".lock")] == [folder.name]


def test_a_cached_corpus_is_not_fetched_again(news: Entry, site: Site, tmp_path: Path) -> None:
    fetch(news, cache=tmp_path / "cache")
    site.requests.clear()
    fetch(news, cache=tmp_path / "cache")
    assert not site.requests


def test_a_download_resumes_after_a_broken_connection(plain: Entry, site: Site, tmp_path: Path) -> None:
    site.breaks = [200_000, 100_000]
    folder = fetch(plain, cache=tmp_path / "cache")
    assert (folder / "pairs.tsv").read_bytes() == site.files["/pairs.tsv"]
    ranges = [int(wanted.removeprefix("bytes=").removesuffix("-")) for _, wanted in site.requests if wanted]
    assert len(ranges) == 2
    assert 0 < ranges[0] < ranges[1]


def test_a_line_that_breaks_often_is_no_failure_as_long_as_something_arrives(
    plain: Entry, site: Site, tmp_path: Path
) -> None:
    site.breaks = [50_000] * 8
    folder = fetch(plain, cache=tmp_path / "cache")
    assert (folder / "pairs.tsv").read_bytes() == site.files["/pairs.tsv"]
    assert len(site.requests) == 9


def test_a_failed_fetch_resumes_the_next_time(plain: Entry, site: Site, tmp_path: Path) -> None:
    site.breaks = [100_000, 0, 0, 0, 0]
    with pytest.raises(FetchError, match="failed 4 times"):
        fetch(plain, cache=tmp_path / "cache")
    assert not entry_folder(plain, tmp_path / "cache").exists()
    site.requests.clear()
    folder = fetch(plain, cache=tmp_path / "cache")
    assert (folder / "pairs.tsv").read_bytes() == site.files["/pairs.tsv"]
    assert site.requests[0][1] is not None


@pytest.mark.parametrize("change", ["no ranges", "new version", "no tag", "other range", "compressed"])
def test_a_download_that_cannot_be_resumed_is_restarted(plain: Entry, site: Site, tmp_path: Path, change: str) -> None:
    if change == "no tag":
        site.tag = None
    site.compressed = change == "compressed"
    site.breaks = [100_000, 0, 0, 0, 0]
    with pytest.raises(FetchError):
        fetch(plain, cache=tmp_path / "cache")
    if change == "no ranges":
        site.ranges = False
    if change == "other range":
        site.shift = 7
    if change == "new version":
        site.tag = '"two"'
        site.files["/pairs.tsv"] = b"New.\t\xec\x83\x88\n" * 9
    folder = fetch(plain, cache=tmp_path / "cache")
    assert (folder / "pairs.tsv").read_bytes() == site.files["/pairs.tsv"]


def test_a_complete_partial_file_is_not_fetched_again(plain: Entry, site: Site, tmp_path: Path) -> None:
    parts = tmp_path / "cache" / f".{entry_folder(plain, tmp_path).name}.part"
    parts.mkdir(parents=True)
    (parts / "pairs.tsv").write_bytes(site.files["/pairs.tsv"])
    (parts / "pairs.tsv.validator").write_text('"one"')
    folder = fetch(plain, cache=tmp_path / "cache")
    assert (folder / "pairs.tsv").read_bytes() == site.files["/pairs.tsv"]
    assert len(site.requests) == 1


def test_a_request_to_a_busy_server_is_retried(plain: Entry, site: Site, tmp_path: Path) -> None:
    site.busy = 2
    assert fetch(plain, cache=tmp_path / "cache").is_dir()


@pytest.mark.parametrize("mode", ["gz", "bz2", "xz"])
def test_a_damaged_archive_without_a_hash_is_deleted(mode: str, site: Site, tmp_path: Path) -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=f"w:{mode}") as archive:  # type: ignore[call-overload]
        rows = "".join(f"Sentence {n * 7919 % 1000}.\t문장 {n}.\n" for n in range(2000)).encode()
        info = tarfile.TarInfo("pairs.tsv")
        info.size = len(rows)
        archive.addfile(info, io.BytesIO(rows))
    right = buffer.getvalue()
    wrong = bytearray(right)
    wrong[len(wrong) // 2] ^= 0xFF
    entry = entry_of(
        f"packed:\n  title: Packed\n  description: Test.\n  licence: none\n  format: tsv\n"
        f"  fields: {{source: '2', target: '1'}}\n  splits: {{train: {{path: pairs.tsv}}}}\n"
        f"  files: [{{url: '{site.url}/packed.tar', max_bytes: 1_000_000, unpack: tar}}]\n",
        tmp_path,
    )
    site.files["/packed.tar"] = bytes(wrong)
    with pytest.raises(FetchError, match=r"packed\.tar: a damaged tar archive"):
        fetch(entry, cache=tmp_path / "cache")
    assert [path.name for path in (tmp_path / "cache").iterdir() if path.suffix != ".lock"] == []
    site.files["/packed.tar"] = right  # as long, under the same tag
    assert (fetch(entry, cache=tmp_path / "cache") / "pairs.tsv").read_bytes() == rows


def test_verifying_a_large_file_needs_constant_memory(site: Site, tmp_path: Path) -> None:
    data = "Yes, it is.\t정말네.\n".encode() * 500_000  # 12 MB
    hashes = f"git_blob: '{git_blob(data)}'", f"sha256: '{hashlib.sha256(data).hexdigest()}'"
    (tmp_path / "pairs.tsv").write_bytes(data)
    for number, named in enumerate(hashes):
        entry = entry_of(
            f"large:\n  title: Large\n  description: Test.\n  licence: none\n  format: tsv\n"
            f"  fields: {{source: '2', target: '1'}}\n  splits: {{dev: {{path: pairs.tsv}}}}\n"
            f"  files: [{{url: '{site.url}/pairs.tsv', {named}, max_bytes: 99_000_000}}]\n",
            tmp_path,
        )
        tracemalloc.start()
        fetch(entry, cache=tmp_path / str(number), mirror=str(tmp_path))
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < len(data) / 4


def test_wrong_content_is_refused_with_both_hashes(news: Entry, site: Site, tmp_path: Path) -> None:
    path = "/korean-english-park.test.tar.gz"
    right, site.files[path] = site.files[path], tar_gz({"korean-english-park.test.ko": "다른 것\n"})
    message = f"git blob id {git_blob(site.files[path])}, expected {git_blob(right)}"
    with pytest.raises(FetchError, match=message):
        fetch(news, cache=tmp_path / "cache")
    assert not entry_folder(news, tmp_path / "cache").exists()
    (aside,) = (tmp_path / "cache").glob(".news-*.part/*.changed")
    assert aside.read_bytes() == site.files[path]
    site.files[path] = right
    assert fetch(news, cache=tmp_path / "cache").is_dir()


def test_changed_content_is_taken_on_request_without_fetching_it_again(news: Entry, site: Site, tmp_path: Path) -> None:
    path = "/korean-english-park.test.tar.gz"
    site.files[path] = tar_gz({f"korean-english-park.test.{side}": "다른 것\n" for side in ("ko", "en")})
    with pytest.raises(FetchError, match="use `kotrans fetch news --accept-changed`"):
        fetch(news, cache=tmp_path / "cache")
    site.requests.clear()
    folder = fetch(news, cache=tmp_path / "cache", accept_changed=True)
    assert path not in [requested for requested, _ in site.requests]
    assert read_lines(folder / "korean-english-park.test.ko") == ["다른 것"]
    files = {file["name"]: file for file in json.loads((folder / "fetched.json").read_bytes())["files"]}
    assert files[path[1:]]["sha256"] == hashlib.sha256(site.files[path]).hexdigest()


def test_the_first_content_of_a_versioned_file_is_required_from_then_on(
    plain: Entry, site: Site, tmp_path: Path
) -> None:
    entry = plain.model_copy(update={"files": (plain.files[0].model_copy(update={"versioned": True}),)})
    first = site.files["/pairs.tsv"]
    cache = tmp_path / "cache"
    shutil.rmtree(fetch(entry, cache=cache))
    site.files["/pairs.tsv"] = b"Other.\t\xeb\x8b\xa4\n"
    with pytest.raises(FetchError, match=f"has SHA-256 .*, expected {hashlib.sha256(first).hexdigest()}"):
        fetch(entry, cache=cache)
    shutil.rmtree(fetch(entry, cache=cache, accept_changed=True))
    assert read_lines(fetch(entry, cache=cache) / "pairs.tsv") == ["Other.\t다"]


def test_a_file_without_versions_may_change(plain: Entry, site: Site, tmp_path: Path) -> None:
    shutil.rmtree(fetch(plain, cache=tmp_path / "cache"))
    site.files["/pairs.tsv"] = b"Other.\t\xeb\x8b\xa4\n"
    assert read_lines(fetch(plain, cache=tmp_path / "cache") / "pairs.tsv") == ["Other.\t다"]


CATALOGUE = 'msgid ""\nmsgstr ""\n\nmsgid "Open the file"\nmsgstr "파일을 여세요"\n'


def of_commit(site: Site, digest: str) -> Entry:
    """An entry of two catalogues in a commit; the archive has other files, too."""
    members = dict.fromkeys(("docs-abc/b.po", "docs-abc/a/c.po"), CATALOGUE) | {"docs-abc/conf.py": "x = 1\n"}
    site.files["/owner/docs/tar.gz/abc"] = tar_gz(members)
    file = RemoteFile(
        url=f"{site.url}/owner/docs/tar.gz/abc", filename="docs-abc.tar.gz", max_bytes=10_000, unpack="tar",
        members=("*.po",), top_folder=False, tree=digest,
    )  # fmt: skip
    return Entry(
        name="docs", title="Docs", description="Test.", licence="MIT", files=(file,), format="po",
        splits={"train": SplitConfig(path=Path("**/*.po"))},
    )  # fmt: skip


def test_files_of_a_commit_are_verified_by_their_content_and_not_by_the_archive(site: Site, tmp_path: Path) -> None:
    blob = git_blob(CATALOGUE.encode())
    digest = hashlib.sha256(f"{blob} a/c.po\n{blob} b.po\n".encode()).hexdigest()
    folder = fetch(of_commit(site, digest), cache=tmp_path / "cache")
    assert {path.name for path in folder.rglob("*") if path.is_file()} == {"b.po", "c.po", "fetched.json"}
    assert json.loads((folder / "fetched.json").read_bytes())["pairs"] == {"train": 2}
    with pytest.raises(FetchError, match=f"has content digest {digest}, expected {'0' * 64}"):
        fetch(of_commit(site, "0" * 64), cache=tmp_path / "cache")
    assert fetch(of_commit(site, "0" * 64), cache=tmp_path / "cache", accept_changed=True).is_dir()


def test_a_tree_digest_is_that_of_git(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "c.po").write_text("one\n")
    (tmp_path / "b.po").write_text("two\n")
    for command in (["init", "-q"], ["add", "."], ["-c", "user.name=x", "-c", "user.email=x", "commit", "-qm", "x"]):
        subprocess.run(["git", "-C", tmp_path, *command], check=True)
    listed = subprocess.run(["git", "-C", tmp_path, "ls-tree", "-r", "HEAD"], capture_output=True, check=True).stdout
    lines = sorted(b"%b %b\n" % (line.split()[2], line.split(b"\t")[1]) for line in listed.splitlines())
    shutil.rmtree(tmp_path / ".git")
    assert tree_digest(tmp_path) == hashlib.sha256(b"".join(lines)).hexdigest()


def test_the_remark_of_a_licence_is_said_when_the_corpus_is_fetched(
    plain: Entry, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    entry = plain.model_copy(update={"licence": "CC-BY-NC-4.0", "remark": "Not for commercial use."})
    fetch(entry, cache=tmp_path / "cache")
    assert caplog.messages == ["plain (CC-BY-NC-4.0): Not for commercial use."]
    fetch(entry, cache=tmp_path / "cache")
    assert len(caplog.messages) == 1


CORPORA = Path(__file__).parents[3] / "shared" / "corpora"


@pytest.mark.skipif(not CORPORA.exists(), reason="needs the shared corpora")
@pytest.mark.parametrize(
    ("name", "mirror", "pairs"),
    [
        ("python-docs", "po", {"train": 36_660}),
        ("django-docs", "po", {"train": 5594}),
        ("godot-editor", "po", {"train": 10_661}),
        ("iwslt17", "iwslt17", {"dev": 1143, "test": 1429}),
    ],
)
def test_published_files_have_the_content_and_names_of_the_registry(
    name: str, mirror: str, pairs: dict[str, int], tmp_path: Path
) -> None:
    folder = fetch(load_registry()[name], cache=tmp_path, mirror=str(CORPORA / mirror))
    assert json.loads((folder / "fetched.json").read_text())["pairs"] == pairs


def test_a_file_joined_from_two_versions_is_fetched_again(news: Entry, site: Site, tmp_path: Path) -> None:
    path = "/korean-english-park.train.tar.gz"
    right, site.files[path] = site.files[path], b"x" * 2000
    site.breaks = [200, 0, 0, 0, 0]
    with pytest.raises(FetchError, match="failed 4 times"):
        fetch(news, cache=tmp_path / "cache")
    site.files[path] = right  # under the same tag as before
    assert fetch(news, cache=tmp_path / "cache").is_dir()


@pytest.mark.parametrize("says_length", [True, False])
def test_a_file_beyond_its_size_limit_is_refused(plain: Entry, site: Site, tmp_path: Path, says_length: bool) -> None:
    site.lengths = says_length
    site.files["/pairs.tsv"] = b"x" * 1_000_001
    seen: list[int] = []
    with pytest.raises(FetchError, match="exceeds the limit of 1,000,000 bytes"):
        fetch(plain, cache=tmp_path / "cache", progress=lambda name, done, total: seen.append(done))
    assert bool(seen) != says_length  # a declared length is checked before the first byte
    assert max(seen, default=0) <= 1_000_000
    assert not list((tmp_path / "cache").glob("*/*.tsv"))
    assert len(site.requests) == 1


def test_files_without_parallel_text_are_not_cached(plain: Entry, site: Site, tmp_path: Path) -> None:
    site.files["/pairs.tsv"] = b"<html>Try later</html>\n"
    with pytest.raises(FetchError, match=r"plain: the fetched files are not as expected .*pairs\.tsv:1: has 1 cells"):
        fetch(plain, cache=tmp_path / "cache")
    site.files["/pairs.tsv"] = "Yes, it is.\t정말네.\n".encode()  # as long, under the same tag
    assert fetch(plain, cache=tmp_path / "cache").is_dir()


def test_the_offline_error_has_url_cache_and_mirror(plain: Entry, tmp_path: Path) -> None:
    dead = plain.model_copy(update={"files": (plain.files[0].model_copy(update={"url": "http://127.0.0.1:9/a.tsv"}),)})
    with pytest.raises(FetchError) as caught:
        fetch(dead, cache=tmp_path / "cache")
    message = str(caught.value)
    assert message.startswith("http://127.0.0.1:9/a.tsv: cannot be reached (")
    assert "DIR/plain/ and use --mirror DIR or KOTRANS_MIRROR" in message
    assert str(entry_folder(dead, tmp_path / "cache")) in message
    assert "\n" not in message


def test_a_missing_page_is_not_retried(plain: Entry, site: Site, tmp_path: Path) -> None:
    site.files.clear()
    with pytest.raises(FetchError, match="HTTP 404"):
        fetch(plain, cache=tmp_path / "cache")
    assert len(site.requests) == 1


def test_a_mirror_url_has_a_folder_for_each_corpus(news: Entry, site: Site, tmp_path: Path) -> None:
    site.files = {f"/mirror/news{path}": data for path, data in site.files.items()}
    folder = fetch(news, cache=tmp_path / "cache", mirror=f"{site.url}/mirror/")
    assert len(read_lines(folder / "korean-english-park.dev.en")) == 3


@pytest.mark.parametrize("inner", ["news", "."])
def test_a_mirror_folder_has_the_files_in_the_corpus_or_directly(
    news: Entry, site: Site, tmp_path: Path, inner: str
) -> None:
    (tmp_path / "mirror" / inner).mkdir(parents=True, exist_ok=True)
    for path, data in site.files.items():
        (tmp_path / "mirror" / inner / path.lstrip("/")).write_bytes(data)
    site.files.clear()
    folder = fetch(news, cache=tmp_path / "cache", mirror=str(tmp_path / "mirror"))
    assert len(read_lines(folder / "korean-english-park.test.en")) == 5


def test_files_of_mirrors_are_verified(news: Entry, site: Site, tmp_path: Path) -> None:
    (tmp_path / "korean-english-park.train.tar.gz").write_bytes(b"something else")
    with pytest.raises(FetchError, match=r"park\.train\.tar\.gz: has git blob id"):
        fetch(news, cache=tmp_path / "cache", mirror=str(tmp_path))
    (tmp_path / "korean-english-park.train.tar.gz").write_bytes(b"x" * 9001)
    with pytest.raises(FetchError, match=r"park\.train\.tar\.gz: exceeds the limit of 9,000 bytes"):
        fetch(news, cache=tmp_path / "cache", mirror=str(tmp_path))
    with pytest.raises(FetchError, match="there is no such file in the mirror; check the mirror"):
        fetch(news, cache=tmp_path / "cache", mirror=str(tmp_path / "nowhere"))


def test_concurrent_fetches_of_a_corpus_succeed(plain: Entry, site: Site, tmp_path: Path) -> None:
    folders: list[Path] = []
    threads = [
        threading.Thread(target=lambda: folders.append(fetch(plain, cache=tmp_path / "cache"))) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(folders) == 4
    assert len(site.requests) == 1
    assert (folders[0] / "pairs.tsv").read_bytes() == site.files["/pairs.tsv"]


def test_a_cache_that_cannot_be_written_is_an_error(plain: Entry, tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file is in the way")
    with pytest.raises(
        FetchError, match=r"cache: File exists; the cache is .*; set KOTRANS_CACHE to use another folder"
    ):
        fetch(plain, cache=tmp_path / "cache")


@pytest.mark.skipif(not PARK.exists(), reason="needs the shared corpora")
def test_the_published_archives_have_the_ids_and_names_of_the_registry(tmp_path: Path) -> None:
    entry = load_registry()["korean-english-news"]
    held_out = {split: files for split, files in entry.splits.items() if split != "train"}
    entry = entry.model_copy(update={"files": entry.files[1:], "splits": held_out})
    folder = fetch(entry, cache=tmp_path, mirror=str(PARK / "original"))
    assert json.loads((folder / "fetched.json").read_text())["pairs"] == {"dev": 1000, "test": 2000}


def test_a_zip_is_unpacked(site: Site, plain: Entry, tmp_path: Path) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("pairs.tsv", "Yes.\t네.\n")
    site.files["/pairs.zip"] = buffer.getvalue()
    file = plain.files[0].model_copy(update={"url": f"{site.url}/pairs.zip", "unpack": "zip"})
    folder = fetch(plain.model_copy(update={"files": (file,)}), cache=tmp_path / "cache")
    assert read_lines(folder / "pairs.tsv") == ["Yes.\t네."]


def test_a_redirected_download_resumes_after_a_broken_connection(plain: Entry, site: Site, tmp_path: Path) -> None:
    site.files["/elsewhere"] = site.files.pop("/pairs.tsv")
    site.moved["/pairs.tsv"] = f"{site.url}/elsewhere"
    site.breaks = [200_000]
    folder = fetch(plain, cache=tmp_path / "cache")
    assert (folder / "pairs.tsv").read_bytes() == site.files["/elsewhere"]


@pytest.mark.parametrize("status", [401, 403])
def test_a_corpus_that_needs_an_account_says_what_to_do(plain: Entry, site: Site, tmp_path: Path, status: int) -> None:
    site.status = status
    gated = plain.model_copy(update={"homepage": "https://example.org/set"})
    message = f"answers HTTP {status} .*; open https://example.org/set in a browser, download its files there"
    with pytest.raises(FetchError, match=message):
        fetch(gated, cache=tmp_path / "cache")


def test_a_download_that_does_not_fit_on_the_disk_is_refused_before_it_begins(
    plain: Entry, site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[int] = []
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: SimpleNamespace(free=1000))
    with pytest.raises(FetchError, match=r"pairs\.tsv: needs [\d,]+ more bytes, but the disk of .* has only 1,000"):
        fetch(plain, cache=tmp_path / "cache", progress=lambda name, done, total: seen.append(done))
    assert not seen
