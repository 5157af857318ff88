"""Normalization of a line."""

import re
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kotrans.text.normalization import has_invisible, is_hangul, normalize, normalize_except_spaces

# Includes lone surrogates, and prefers characters that normalization treats specially.
CHARACTERS = st.one_of(
    st.characters(),
    st.characters(categories=["Cc", "Cf", "Cs", "Zs", "Zl", "Zp", "Mn"]),
    st.sampled_from("\u200d👩👧❤️🐈⬛↔ᄒ\u1161\u11ab가e\u0301\u115f\u1160\u3164\uffa0\x00\n\r\u2028\ufeff\u00ad"),
)
ENTITIES = st.sampled_from(
    ["&amp;", "&quot;", "&amp;amp;", "&nbsp;", "&#39;", "&#x1F600;", "&#7;", "&#0;", "&shy;", "&am"]
)
LINES = st.lists(st.one_of(CHARACTERS, CHARACTERS, ENTITIES, st.sampled_from("&;#")), max_size=30).map("".join)


@given(LINES)
def test_normalization_is_idempotent_and_never_longer_than_nfc(line: str) -> None:
    once = normalize(line)
    assert normalize(once) == once
    assert len(once) <= len(unicodedata.normalize("NFC", line))


@given(LINES)
def test_normalized_text_is_nfc_with_single_spaces_and_no_invisible_characters(line: str) -> None:
    text = normalize(line)
    assert unicodedata.is_normalized("NFC", text)
    assert text == " ".join(text.split())
    assert len(text.splitlines()) <= 1
    for before, character in zip(" " + text, text, strict=False):
        if character == "\u200d":  # the joiner of emoji, which may follow a variation selector
            assert before == "\ufe0f" or unicodedata.category(before) in ("So", "Sk", "Sm", "Cn")
        else:
            assert unicodedata.category(character) not in ("Cc", "Cf", "Cs", "Zl", "Zp")
    assert not has_invisible(text)


@given(LINES)
def test_composed_and_decomposed_text_are_normalized_alike(line: str) -> None:
    assert normalize(unicodedata.normalize("NFD", line)) == normalize(line)


@given(LINES)
def test_legible_text_is_normalized_text_with_its_white_space(line: str) -> None:
    text = normalize_except_spaces(line)
    assert normalize(text) == normalize(line)
    if "&" not in line:
        assert [c for c in text if c.isspace()] == [
            c for c in re.sub("[\x00\u115f\u1160\u3164\uffa0]", " ", unicodedata.normalize("NFC", line)) if c.isspace()
        ]


@given(st.text(st.characters(categories=["L", "N"]), min_size=1))
def test_letters_and_digits_are_kept(word: str) -> None:
    if not set("\u115f\u1160\u3164\uffa0") & set(word):  # Hangul fillers have the category of letters
        assert normalize(f"  {word}\t") == unicodedata.normalize("NFC", word)


@pytest.mark.parametrize("picture", ["👩‍👩‍👧", "❤️‍🔥", "🐈‍⬛", "🙂‍↔️", "🏳️‍🌈", "👨🏽‍⚕️"])
def test_joined_emoji_stay_joined(picture: str) -> None:
    assert "\u200d" in picture
    assert normalize(f"나무 {picture}입니다") == f"나무 {picture}입니다"
    assert not has_invisible(f"나무 {picture}")


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ("나\u200d무", "나무"),
        ("나\u200b무\ufeff", "나무"),
        ("soft\u00adhyphen", "softhyphen"),
        ("나무\x00바다\u2028사과\x85우유\u3000의자", "나무 바다 사과 우유 의자"),
        ("\x1b[31m나무\x07", "[31m나무"),
        ("\u1112\u1161\u11ab글", "한글"),
        ("\u1100\u200b\u1161", "가"),
        ("\ud800나무", "나무"),
        (" \t\r\n\u200b ", ""),
        ("", ""),
    ],
)
def test_invisible_characters_are_removed(line: str, text: str) -> None:
    assert normalize(line) == text


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ("그는 &quot;응&quot;이라고 했다.", '그는 "응"이라고 했다.'),
        ("He said &quot;yes&quot; &amp;amp; left.", 'He said "yes" & left.'),
        ("&#39;a&#x27; &lt;b&gt; &hellip;", "'a' <b> …"),
        ("a&nbsp;b&#10;c&Tab;d", "a b c d"),
        ("&am\u200bp;lt;", "<"),
        ("soft&shy;hyphen", "softhyphen"),
        ("AT&T &copy 2020 &unknown; a&b;", "AT&T &copy 2020 &unknown; a&b;"),
        ("a&#7;&#0;&#xFFFE;&#xD800;&#9999999;&#x80;", "a€"),
    ],
)
def test_html_entities_are_decoded(line: str, text: str) -> None:
    assert normalize(line) == text


def test_hangul_is_syllables_and_jamo_of_all_blocks() -> None:
    assert all(map(is_hangul, "가힣ㄱㅎㅏ\u1100\u11ff\ua960\ud7b0"))
    assert not any(map(is_hangul, "a1漢あ ⓗ"))
