"""Finite, joining and quoting forms of a stem in the four speech styles."""

from enum import Enum, auto

from conjugation import Kind, Stem, attach


class Style(Enum):
    """The speech styles of the corpus."""

    POLITE = auto()  # 해요체
    FORMAL = auto()  # 합니다체
    PLAIN = auto()  # 한다체
    CASUAL = auto()  # 해체

    @property
    def humble(self) -> bool:
        """True if the speaker is 저 (and names have 씨)."""
        return self in (Style.POLITE, Style.FORMAL)


class Tense(Enum):
    """The time of the event of a clause."""

    PRESENT = auto()
    PAST = auto()
    FUTURE = auto()


FUTURE_STATEMENT = {Style.POLITE: "거예요", Style.FORMAL: "겁니다", Style.PLAIN: "것이다", Style.CASUAL: "거야"}
FUTURE_QUESTION = {Style.POLITE: "거예요", Style.FORMAL: "겁니까", Style.CASUAL: "거야"}


def tensed(stem: Stem, tense: Tense) -> Stem:
    """Returns the stem with 았/었 in the past tense, otherwise unchanged."""
    if tense is Tense.PAST:
        return Stem(attach(stem, "(아)ㅆ"), "past", stem.kind)
    return stem


def honored(stem: Stem) -> Stem:
    """Returns the stem with (으)시."""
    return Stem(attach(stem, "(으)시"), "시", stem.kind)


def statement(stem: Stem, style: Style, tense: Tense) -> str:
    """Returns the declarative form, without the full stop."""
    if tense is Tense.FUTURE:
        return f"{attach(stem, '(으)ㄹ')} {FUTURE_STATEMENT[style]}"
    stem = tensed(stem, tense)
    if style is Style.PLAIN:
        return _plain(stem)
    return attach(stem, {Style.POLITE: "(아)요", Style.FORMAL: "(스)ㅂ니다", Style.CASUAL: "(아)"}[style])


def question(stem: Stem, style: Style, tense: Tense, blunt: bool = False) -> str:
    """Returns the interrogative form with its mark; `blunt` selects -니 in the casual style."""
    if tense is Tense.FUTURE:
        last = "거니" if blunt and style is Style.CASUAL else FUTURE_QUESTION[style]
        return f"{attach(stem, '(으)ㄹ')} {last}?"
    ending = {Style.POLITE: "(아)요", Style.FORMAL: "(스)ㅂ니까", Style.CASUAL: "니" if blunt else "(아)"}[style]
    return attach(tensed(stem, tense), ending) + "?"


def adnominal(stem: Stem, tense: Tense) -> str:
    """Returns the form before a noun: 먹는, 먹은, 먹을; 예쁜; 있는, 있던."""
    if tense is Tense.FUTURE:
        return attach(stem, "(으)ㄹ")
    if tense is Tense.PAST:
        return attach(stem, "(으)ㄴ") if stem.kind is Kind.VERB else attach(tensed(stem, tense), "던")
    return attach(stem, "는" if stem.kind in (Kind.VERB, Kind.EXISTENCE) else "(으)ㄴ")


def background(stem: Stem, tense: Tense) -> str:
    """Returns the -는데/-(으)ㄴ데 form."""
    stem = tensed(stem, tense)
    verbal = stem.group == "past" or stem.kind in (Kind.VERB, Kind.EXISTENCE)
    return attach(stem, "는데" if verbal else "(으)ㄴ데")


def quoted(stem: Stem, tense: Tense) -> str:
    """Returns the statement form before 하다 or 말하다: 간다고, 갔다고, 갈 거라고, 학생이라고."""
    if tense is Tense.FUTURE:
        return f"{attach(stem, '(으)ㄹ')} 거라고"
    stem = tensed(stem, tense)
    if stem.group in ("이다", "아니다"):
        return attach(stem, "라고")
    return f"{_plain(stem)}고"


def joined(stem: Stem, ending: str, tense: Tense) -> str:
    """Returns the stem with an ending that follows 았/었 (고, 지만, (으)니까, 기 때문에)."""
    return attach(tensed(stem, tense), ending)


def _plain(stem: Stem) -> str:
    return attach(stem, "(느)ㄴ다" if stem.group != "past" and stem.kind is Kind.VERB else "다")
