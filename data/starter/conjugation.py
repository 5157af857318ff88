"""Korean stems and endings.

An ending is written with its link in parentheses:
"(으)면" drops 으 after a vowel, "(아)서" follows vowel harmony, "(스)ㅂ니다" and "(느)ㄴ다"
insert their syllable after a consonant; an ending without a link ("고", "지만") is appended unchanged.
A bare letter after the link (ㄴ, ㄹ, ㅂ, ㅆ) becomes the final consonant of the syllable before it.
"""

from dataclasses import dataclass
from enum import Enum, auto

from hangul import build, final_of, lead_of, split, with_final

BRIGHT = "ㅏㅗㅑ"
# Two vowels that are always contracted when 아 or 어 follows a stem without a final consonant.
CONTRACTED = {"ㅗ": "ㅘ", "ㅜ": "ㅝ", "ㅣ": "ㅕ", "ㅚ": "ㅙ"}
SWALLOWING = "ㅏㅓㅐㅔㅕ"
BRIGHT_B_STEMS = ("돕", "곱")


class Kind(Enum):
    """The kind of a stem, which determines its forms with 는, 은 and in the plain style."""

    VERB = auto()
    ADJECTIVE = auto()
    EXISTENCE = auto()  # 있다, 없다 and words made from them: adjective in 있다, verb in 있는
    COPULA = auto()


@dataclass(frozen=True)
class Stem:
    """A stem without 다, and its class: "ㄷ", "ㅂ", "ㅅ", "ㅎ", "르", "러", "시", "past", "이다", "아니다" or ""."""

    text: str
    group: str = ""
    kind: Kind = Kind.VERB


def attach(stem: Stem, ending: str) -> str:
    """Returns the stem with the ending, all contractions and irregularities applied."""
    if stem.group == "이다":
        return _attach_to_copula(stem.text, ending)
    if ending.startswith("(아)"):
        return _attach_harmonic(stem, ending.removeprefix("(아)"))
    if ending.startswith("(으)"):
        return _attach_linked(stem, ending.removeprefix("(으)"))
    if ending.startswith(("(스)", "(느)")):
        return _attach_with_syllable(stem.text, ending)
    if final_of(stem.text) == "ㄹ" and lead_of(ending) == "ㄴ":
        return with_final(stem.text, "") + ending
    return stem.text + ending


def infinitive(stem: Stem) -> str:
    """Returns the 아/어 form: 먹어, 가, 도와, 몰라, 빨개."""
    text = stem.text
    if stem.group == "past":
        return text + "어"
    if text.endswith("하"):
        return text[:-1] + "해"
    if stem.group in ("ㄷ", "ㅂ", "ㅅ", "ㅎ", "르", "러"):
        return _irregular_infinitive(text, stem.group)
    lead, vowel, final = split(text[-1])
    if final:
        return text + _harmony(vowel)
    if vowel == "ㅡ":
        previous = split(text[-2])[1] if len(text) > 1 else "ㅡ"
        return text[:-1] + build(lead, "ㅏ" if previous in BRIGHT else "ㅓ")
    if vowel in SWALLOWING:
        return text
    if vowel in CONTRACTED:
        return text[:-1] + build(lead, CONTRACTED[vowel])
    return text + _harmony(vowel)


def _harmony(vowel: str) -> str:
    return "아" if vowel in BRIGHT else "어"


def _irregular_infinitive(text: str, group: str) -> str:
    lead, vowel, _ = split(text[-1])
    if group == "ㄷ":
        return with_final(text, "ㄹ") + _harmony(vowel)
    if group == "ㅂ":
        return with_final(text, "") + ("와" if text.endswith(BRIGHT_B_STEMS) else "워")
    if group == "ㅅ":
        return with_final(text, "") + _harmony(vowel)
    if group == "ㅎ":
        return text[:-1] + build(lead, "ㅒ" if vowel == "ㅑ" else "ㅐ")
    if group == "러":
        return text + "러"
    previous = split(text[-2])[1]
    return with_final(text[:-1], "ㄹ") + ("라" if previous in BRIGHT else "러")


def _attach_harmonic(stem: Stem, rest: str) -> str:
    if stem.group == "시" and rest == "요":
        return stem.text[:-1] + "세요"
    if stem.group == "아니다" and rest in ("요", "", "서"):
        return stem.text + {"요": "에요", "": "야", "서": "라서"}[rest]
    form = infinitive(stem) if stem.group != "아니다" else stem.text + "어"
    return with_final(form, "ㅆ") if rest == "ㅆ" else form + rest


def _attach_linked(stem: Stem, rest: str) -> str:
    base, needs_link = _linking_base(stem)
    if needs_link:
        base += "으"
    final = final_of(base)
    if rest[0] in "ㄴㄹㅂ":
        return with_final(base, rest[0]) + rest[1:]
    if final == "ㄹ" and lead_of(rest) in "ㄴㅅㅂ":
        base = with_final(base, "")
    return base + rest


def _linking_base(stem: Stem) -> tuple[str, bool]:
    """Returns the form of the stem before 으, and whether 으 is kept."""
    text = stem.text
    if stem.group == "ㄷ":
        return with_final(text, "ㄹ"), True
    if stem.group == "ㅂ":
        return with_final(text, "") + "우", False
    if stem.group == "ㅅ":
        return with_final(text, ""), True
    if stem.group == "ㅎ":
        return with_final(text, ""), False
    return text, final_of(text) not in ("", "ㄹ")


def _attach_with_syllable(text: str, ending: str) -> str:
    """Attaches (스)ㅂ니다 or (느)ㄴ다: the consonant joins a vowel or replaces ㄹ, otherwise the syllable is kept."""
    letter, rest = ending[3], ending[4:]
    if final_of(text) in ("", "ㄹ"):
        return with_final(text, letter) + rest
    return text + ("습" if letter == "ㅂ" else "는") + rest


def _attach_to_copula(noun: str, ending: str) -> str:
    """Attaches an ending to 이다 after a noun; 이 is dropped after a vowel where speakers drop it."""
    after_vowel = final_of(noun) == ""
    harmonic = {
        "(아)요": ("예요", "이에요"),
        "(아)": ("야", "이야"),
        "(아)ㅆ": ("였", "이었"),
        "(아)서": ("라서", "이라서"),
    }
    if ending in harmonic:
        return noun + harmonic[ending][0 if after_vowel else 1]
    if ending in ("(으)시", "(으)면", "다", "고", "지만", "니", "라고", "냐고"):
        return noun + ("" if after_vowel else "이") + ending.removeprefix("(으)")
    rest = ending.removeprefix("(으)").removeprefix("(스)")
    return noun + (with_final("이", rest[0]) + rest[1:] if rest[0] in "ㄴㄹㅂ" else "이" + rest)
