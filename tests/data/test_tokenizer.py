"""Training of tokenizers, and text to pieces and back."""

import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from kotrans.config.sections import TokenizerConfig
from kotrans.data.subword_training import learn_models
from kotrans.data.tokenizer import (
    BOS,
    EOS,
    PAD,
    UNK,
    Tokenizer,
    TokenizerManifest,
    tokenizer_key,
    train_tokenizer,
)
from kotrans.errors import ConfigError, DataError
from kotrans.storage.files import sha256, write_lines
from kotrans.text.normalization import normalize
from tests.small_corpus import sentences, small_tokenizer

BPE = TokenizerConfig(vocabulary_size=330)
UNIGRAM = TokenizerConfig(vocabulary_size=330, model="unigram")
CONFIGS = {
    "bpe": BPE,
    "unigram": UNIGRAM,
    "joint": TokenizerConfig(vocabulary_size=400, joint=True),
    "nfkc": TokenizerConfig(vocabulary_size=330, normalization="nfkc"),
}


@pytest.fixture(scope="module")
def tokenizers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Tokenizer]:
    return {name: small_tokenizer(tmp_path_factory.mktemp(name), config) for name, config in CONFIGS.items()}


@pytest.fixture
def text(tmp_path: Path) -> tuple[Path, Path]:
    source, target = sentences(400, seed=1)
    write_lines(tmp_path / "ko", source)
    write_lines(tmp_path / "en", target)
    return tmp_path / "ko", tmp_path / "en"


@pytest.mark.slow
@example("<s></s>")
@example("</s> <pad><unk> <0x41>")
@example("▁ a▁b \ufdd0 \ufdd00 \ufdd01")
@example("  두  칸 \u3000 \x00끝\u200b ")
@example("half \ufffd character")
@example("🧑‍💻 ⁇ ▅ \ud800 \U0010ffff")
@given(st.text())
def test_any_line_is_decoded_to_its_normalized_text_and_has_no_special_id(
    tokenizers: dict[str, Tokenizer], line: str
) -> None:
    for vocabulary in (tokenizers["bpe"].source, tokenizers["unigram"].target, tokenizers["joint"].source):
        (ids,) = vocabulary.encode([line])
        assert vocabulary.decode(ids) == normalize(line).replace("\ufffd", "")
        assert not {PAD, BOS, EOS, UNK} & set(ids)


def test_nfkc_changes_what_unicode_calls_compatible_and_nothing_else(tokenizers: dict[str, Tokenizer]) -> None:
    vocabulary = tokenizers["nfkc"].source
    (ids,) = vocabulary.encode(["Ａ１㎏ 가나다"])
    assert vocabulary.decode(ids) == "A1kg 가나다"


def test_every_vocabulary_has_the_configured_size_and_the_special_ids_first(tokenizers: dict[str, Tokenizer]) -> None:
    for name, tokenizer in tokenizers.items():
        for vocabulary in (tokenizer.source, tokenizer.target):
            assert vocabulary.pieces([PAD, BOS, EOS, UNK]) == ["<pad>", "<s>", "</s>", "<unk>"]
            assert vocabulary.size == CONFIGS[name].vocabulary_size


@pytest.mark.parametrize("model", ["bpe", "unigram"])
def test_every_digit_is_a_piece_with_split_digits(model: Literal["bpe", "unigram"], tmp_path: Path) -> None:
    lines = [f"{line} 2022 3.11" for line in sentences(200, seed=1)[0]]
    write_lines(tmp_path / "text", lines)
    pieces = {}
    for split_digits in (False, True):
        config, folder = (
            TokenizerConfig(vocabulary_size=330, model=model, split_digits=split_digits),
            tmp_path / str(split_digits),
        )
        train_tokenizer(config, tmp_path / "text", tmp_path / "text", folder, seed=1)
        vocabulary = Tokenizer.load(folder).source
        ids = vocabulary.encode([*lines, "20220"])
        pieces[split_digits] = {piece for line in ids for piece in vocabulary.pieces(line) if re.search(r"\d", piece)}
        if model == "bpe":
            assert vocabulary.sample(ids, 0.0, seed=1) == ids
    assert {len(piece) for piece in pieces[True]} == {1}
    assert max(len(piece) for piece in pieces[False]) > 2


def test_decoding_ignores_special_ids(tokenizers: dict[str, Tokenizer]) -> None:
    vocabulary = tokenizers["bpe"].source
    (ids,) = vocabulary.encode(["밥을 먹었어요"])
    assert vocabulary.decode([BOS, *ids, EOS, PAD]) == "밥을 먹었어요"
    assert vocabulary.decode(np.array([BOS, *ids, EOS], dtype=np.uint16).tolist()) == "밥을 먹었어요"
    assert vocabulary.decode([BOS, UNK, EOS]) == ""


def test_a_blank_line_has_no_pieces(tokenizers: dict[str, Tokenizer]) -> None:
    assert tokenizers["bpe"].source.encode(["", " \t\u200b"]) == [[], []]
    assert tokenizers["bpe"].source.encode([]) == []


def test_a_joint_vocabulary_is_shared_by_both_sides(tokenizers: dict[str, Tokenizer]) -> None:
    assert tokenizers["joint"].joint
    assert tokenizers["joint"].source is tokenizers["joint"].target
    assert not tokenizers["bpe"].joint


@pytest.mark.slow
@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
def test_the_same_text_and_settings_give_the_same_model_bytes(
    config: TokenizerConfig, text: tuple[Path, Path], tmp_path: Path
) -> None:
    here = train_tokenizer(config, *text, tmp_path / "here", seed=1)
    script = (
        "import sys, pathlib\n"
        "from kotrans.config.sections import TokenizerConfig\n"
        "from kotrans.data.tokenizer import train_tokenizer\n"
        "config, *paths = sys.argv[1:]\n"
        "train_tokenizer(TokenizerConfig.model_validate_json(config), *map(pathlib.Path, paths), seed=1)\n"
    )
    there = str(tmp_path / "there")
    subprocess.run([sys.executable, "-c", script, config.model_dump_json(), *map(str, text), there], check=True)
    assert TokenizerManifest.read(tmp_path / "there") == here


def test_too_many_lines_are_sampled_reproducibly(text: tuple[Path, Path], tmp_path: Path) -> None:
    first, again, other = (
        train_tokenizer(BPE, *text, tmp_path / name, seed=seed, max_lines=300)
        for name, seed in (("a", 1), ("b", 1), ("c", 2))
    )
    assert first.source.lines == 300
    assert first.models == again.models != other.models


def test_too_many_bytes_are_sampled(text: tuple[Path, Path], tmp_path: Path) -> None:
    limit = text[0].stat().st_size * 3 // 4
    assert train_tokenizer(BPE, *text, tmp_path / "made", seed=1, max_bytes=limit).source.lines in (299, 300)


def test_the_key_depends_on_text_settings_and_seed_but_not_on_sampling(text: tuple[Path, Path], tmp_path: Path) -> None:
    source, target = map(sha256, text)
    inputs = {"source": source, "target": target}
    key = tokenizer_key(BPE, inputs, seed=1)
    assert key == train_tokenizer(BPE, *text, tmp_path / "made", seed=1).key
    assert key == tokenizer_key(BPE.model_copy(update={"sampling": 0.1}), inputs, seed=1)
    others = {
        tokenizer_key(UNIGRAM, inputs, seed=1),
        tokenizer_key(BPE, inputs, seed=2),
        tokenizer_key(BPE, {"source": target, "target": source}, seed=1),
    }
    assert len(others | {key}) == 4


@pytest.mark.parametrize("model", ["bpe", "unigram"])
@pytest.mark.parametrize("joint", [False, True])
def test_a_vocabulary_larger_than_the_text_allows_is_refused_with_the_largest_that_works(
    model: str, joint: bool, text: tuple[Path, Path], tmp_path: Path
) -> None:
    config = TokenizerConfig.model_validate({"model": model, "joint": joint, "vocabulary_size": 5000})
    with pytest.raises(
        ConfigError,
        match=r"^tokenizer\.vocabulary_size: 5000 is more .*, which is \d+; set it to (\d+ or less$|about \d+; )",
    ) as caught:
        train_tokenizer(config, *text, tmp_path / "made", seed=1)
    largest = int(str(caught.value).split("which is ")[1].split(";")[0])
    assert not (tmp_path / "made").exists()
    train_tokenizer(config.model_copy(update={"vocabulary_size": largest}), *text, tmp_path / "made", seed=1)
    with pytest.raises(ConfigError, match="is more than the training text allows"):
        train_tokenizer(config.model_copy(update={"vocabulary_size": largest + 1}), *text, tmp_path / "more", seed=1)


@pytest.mark.slow
def test_the_recommended_vocabulary_has_frequent_pieces_and_room_for_the_characters(tmp_path: Path) -> None:
    random = np.random.default_rng(1)
    few, many = ([chr(0xAC00 + 7 * i) for i in range(count)] for count in (300, 1500))
    for name, syllables, offered in (("few", few, range(1100, 1101)), ("many", many, range(1700, 2300))):
        lines = [" ".join("".join(random.choice(syllables, 4)) for _ in range(12)) for _ in range(417)]
        write_lines(tmp_path / name, lines)
        paths = tmp_path / name, tmp_path / name
        with pytest.raises(
            ConfigError, match=r"set it to about \d+; with more pieces, many would be too rare"
        ) as caught:
            train_tokenizer(BPE.model_copy(update={"vocabulary_size": 60_000}), *paths, tmp_path / "made", seed=1)
        size = int(str(caught.value).split("about ")[1].split(";")[0])
        assert size in offered
        train_tokenizer(BPE.model_copy(update={"vocabulary_size": size}), *paths, tmp_path / f"{name}.made", seed=1)


class Interrupted:
    """A text that raises an error while it is read."""

    lines = 0

    def __init__(self, error: BaseException) -> None:
        self.error = error

    def __iter__(self) -> Iterator[str]:
        yield from sentences(50, seed=1)[0]
        raise self.error


@pytest.mark.parametrize("error", [KeyboardInterrupt(), DataError("train.ko:7: damaged"), OSError(5, "Input/output")])
def test_an_error_while_sentencepiece_reads_is_raised_unchanged(error: BaseException) -> None:
    with pytest.raises(type(error)) as caught:
        learn_models(BPE, {"source": [Interrupted(error)]}, {})  # type: ignore[list-item]
    assert caught.value is error


def test_ctrl_c_while_sentencepiece_reads_is_a_keyboard_interrupt() -> None:
    def interrupted() -> Iterator[str]:
        yield from sentences(50, seed=1)[0]
        signal.raise_signal(signal.SIGINT)
        yield "never"

    with pytest.raises(KeyboardInterrupt):
        learn_models(BPE, {"source": [interrupted()]}, {})  # type: ignore[list-item]


def test_an_error_of_sentencepiece_is_reported_with_its_reason(tmp_path: Path) -> None:
    write_lines(tmp_path / "ko", ["가" * 33_000])
    with pytest.raises(DataError, match=r"^tokenizer: sentencepiece cannot learn pieces from this text \(.*\)$"):
        train_tokenizer(BPE, tmp_path / "ko", tmp_path / "ko", tmp_path / "made", seed=1)


def test_a_line_with_an_overlong_word_is_skipped_and_counted(tmp_path: Path) -> None:
    source, target = sentences(400, seed=1)
    write_lines(tmp_path / "ko", [*source, "가나다라마바사" * 10_000, "▁" * 32_001])
    write_lines(tmp_path / "en", target)
    manifest = train_tokenizer(BPE, tmp_path / "ko", tmp_path / "en", tmp_path / "made", seed=1)
    assert (manifest.source.left_out, manifest.source.lines, manifest.target.left_out) == (2, 400, 0)
    assert "bytes, 2 lines with an overlong word skipped; target" in manifest.summary
    assert Tokenizer.load(tmp_path / "made").manifest == manifest


def test_text_too_small_for_any_vocabulary_is_refused(tmp_path: Path) -> None:
    write_lines(tmp_path / "ko", ["가"])
    write_lines(tmp_path / "en", ["a"])
    with pytest.raises(ConfigError, match=r"which is 26\d; even the minimum, 300, requires more text"):
        train_tokenizer(BPE, tmp_path / "ko", tmp_path / "en", tmp_path / "made", seed=1)


def test_a_vocabulary_too_small_for_the_characters_is_refused_with_a_fitting_size(tmp_path: Path) -> None:
    write_lines(tmp_path / "ko", ["".join(chr(0xAC00 + 28 * i + j) for j in range(10)) for i in range(12)])
    write_lines(tmp_path / "en", sentences(400, seed=1)[1])
    paths = tmp_path / "ko", tmp_path / "en"
    with pytest.raises(
        ConfigError, match=r"^tokenizer\.vocabulary_size: 330 has no room .* set it to \d+ or"
    ) as caught:
        train_tokenizer(BPE, *paths, tmp_path / "made", seed=1)
    least = int(str(caught.value).split("set it to ")[1].split()[0])
    with pytest.raises(ConfigError, match="has no room"):
        train_tokenizer(BPE.model_copy(update={"vocabulary_size": least - 1}), *paths, tmp_path / "less", seed=1)
    train_tokenizer(BPE.model_copy(update={"vocabulary_size": least}), *paths, tmp_path / "made", seed=1)


def test_empty_text_is_refused(text: tuple[Path, Path], tmp_path: Path) -> None:
    write_lines(tmp_path / "blank", ["", "  "])
    with pytest.raises(DataError, match="blank: no text"):
        train_tokenizer(BPE, tmp_path / "blank", text[1], tmp_path / "made", seed=1)


def test_sentencepiece_prints_nothing(
    text: tuple[Path, Path], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    train_tokenizer(UNIGRAM, *text, tmp_path / "made", seed=1)
    Tokenizer.load(tmp_path / "made").source.encode(["▅\t▁"])
    assert capfd.readouterr() == ("", "")


def test_a_very_long_line_is_used_for_training(tmp_path: Path) -> None:
    source, target = sentences(400, seed=1)
    write_lines(tmp_path / "ko", [*source, "뷁쀍" * 15_000])
    write_lines(tmp_path / "en", target)
    train_tokenizer(BPE, tmp_path / "ko", tmp_path / "en", tmp_path / "made", seed=1)
    vocabulary = Tokenizer.load(tmp_path / "made").source
    assert len(vocabulary.encode(["뷁쀍" * 100])[0]) < 100


def test_statistics_are_those_of_the_training_text(text: tuple[Path, Path], tmp_path: Path) -> None:
    manifest = train_tokenizer(BPE, *text, tmp_path / "made", seed=1)
    lines = text[0].read_text(encoding="utf-8").split("\n")[:-1]
    pieces = sum(len(ids) for ids in Tokenizer.load(tmp_path / "made").source.encode(lines))
    assert manifest.source.pieces_per_word == pytest.approx(pieces / sum(len(line.split()) for line in lines))
    assert manifest.source.byte_share == 0
    assert manifest.summary.startswith("source 330 pieces, ")
    write_lines(tmp_path / "rare", [*lines, "뷁"])
    rare = train_tokenizer(
        BPE.model_copy(update={"character_coverage": 0.99}), tmp_path / "rare", text[1], tmp_path / "second", seed=1
    )
    assert 3 / (pieces + 10) <= rare.source.byte_share < 0.1


def test_a_saved_tokenizer_loads_as_the_same(tokenizers: dict[str, Tokenizer], tmp_path: Path) -> None:
    for name, tokenizer in tokenizers.items():
        tokenizer.save(tmp_path / name)
        again = Tokenizer.load(tmp_path / name)
        assert again.fingerprint == tokenizer.fingerprint
        assert again.source.encode(["밥을 먹었어요"]) == tokenizer.source.encode(["밥을 먹었어요"])
    assert len({tokenizer.fingerprint for tokenizer in tokenizers.values()}) == len(tokenizers)


@pytest.mark.parametrize("name", ["source.model", "target.model", "manifest.json"])
def test_a_damaged_or_missing_file_is_named(name: str, tokenizers: dict[str, Tokenizer], tmp_path: Path) -> None:
    tokenizers["bpe"].save(tmp_path)
    (tmp_path / name).write_bytes((tmp_path / name).read_bytes()[:-3])
    with pytest.raises(DataError, match=f"{name}: damaged; delete .* and run `kotrans tokenize` again"):
        Tokenizer.load(tmp_path)
    (tmp_path / name).unlink()
    with pytest.raises(DataError, match=f"{name}: there is no such file"):
        Tokenizer.load(tmp_path)


@pytest.mark.parametrize("name", ["bpe", "nfkc"])
@given(lines=st.lists(st.text(max_size=20), max_size=5), seed=st.integers(0, 2**31))
def test_sampling_keeps_the_text(tokenizers: dict[str, Tokenizer], name: str, lines: list[str], seed: int) -> None:
    vocabulary = tokenizers[name].source
    ids = vocabulary.encode(lines)
    sampled = vocabulary.sample(ids, 0.3, seed)
    assert [vocabulary.decode(line) for line in sampled] == [vocabulary.decode(line) for line in ids]


def test_sampling_is_a_pure_function_of_its_arguments(tokenizers: dict[str, Tokenizer]) -> None:
    vocabulary = tokenizers["bpe"].source
    ids = vocabulary.encode(sentences(50, seed=7)[0])
    first = vocabulary.sample(ids, 0.2, seed=5)
    tokenizers["nfkc"].target.sample([[5, 6, 7]], 0.9, seed=3)
    assert vocabulary.sample(ids, 0.2, seed=5) == first
    assert vocabulary.sample(ids, 0.2, seed=6) != first
    assert vocabulary.sample(ids, 0.4, seed=5) != first


def test_another_process_samples_the_same_pieces(tokenizers: dict[str, Tokenizer], tmp_path: Path) -> None:
    tokenizers["bpe"].save(tmp_path)
    ids = tokenizers["bpe"].source.encode(sentences(50, seed=7)[0])
    code = (
        "from pathlib import Path; from kotrans.data.tokenizer import Tokenizer\n"
        f"print(Tokenizer.load(Path({str(tmp_path)!r})).source.sample({ids}, 0.2, seed=5))"
    )
    drawn = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    assert drawn.strip() == str(tokenizers["bpe"].source.sample(ids, 0.2, seed=5))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["bpe", "nfkc"])
@given(st.lists(st.text(alphabet=st.sampled_from("가나다밥을먹었어요학교 abAB1.뷁😀"), max_size=20), max_size=5))
def test_without_dropout_the_pieces_equal_those_of_sentencepiece(
    tokenizers: dict[str, Tokenizer], name: str, lines: list[str]
) -> None:
    vocabulary = tokenizers[name].source
    ids = vocabulary.encode([*lines, *sentences(3, seed=7)[0]])
    assert vocabulary.sample(ids, 0.0, seed=1) == ids


def test_stronger_bpe_dropout_gives_more_pieces(tokenizers: dict[str, Tokenizer]) -> None:
    vocabulary = tokenizers["bpe"].source
    ids = vocabulary.encode(sentences(50, seed=7)[0])
    counts = [sum(map(len, vocabulary.sample(ids, strength, seed=1))) for strength in (0.0, 0.2, 0.6)]
    assert counts[0] == sum(map(len, ids)) < counts[1] < counts[2]


def test_a_line_with_an_unknown_piece_is_not_resampled(tmp_path: Path) -> None:
    tokenizer = small_tokenizer(tmp_path, TokenizerConfig(vocabulary_size=300, byte_fallback=False))
    ids = tokenizer.source.encode(["뷁 밥을 먹었어요 학교에 갔습니다"])
    assert UNK in ids[0]
    assert all(tokenizer.source.sample(ids, 0.5, seed) == ids for seed in range(5))
