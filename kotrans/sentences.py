"""A line of text cut into its sentences."""

import re

_CLOSING = "\"'”’»›)\\]}」』】〉》"
# End marks, what closes with them, white space, and soon a word: otherwise it is a number, an address, a name. No part
# of it looks far or twice, so that a line of a million full stops takes no longer than another.
_END = re.compile(rf"(?<![.!?…。？！])[.!?…。？！]++[{_CLOSING}]*+(\s++)(?=\W{{0,20}}\w)")
# After these a full stop ends no sentence: initials, numbers of lists and chapters, abbreviations.
_NO_END = re.compile(
    r"(?:(?:^|[\s(\[])(?:[A-Za-z]|\d{1,3}(?:\.\d{1,3})*|(?:[A-Za-z]\.)+[A-Za-z]|"
    r"(?i:mr|mrs|ms|dr|prof|st|vs|etc|no|vol|fig|jr|sr|inc|ltd|co|corp|al|cf|approx|dept|est|ca))|^[가나다라마바사아자차카타파하])\.$"
)
_LONGEST = 20  # of these


def split_sentences(line: str) -> list[tuple[str, str]]:
    """The sentences of a line, each with the white space behind it; joined they are the line again.

    A sentence ends with an end mark before white space, in Korean as in English: `-다.`, `-요?`, `…`. Not with the stop
    of an initial (`J. Kim`), a number in front (`3. 다음`), or an abbreviation (`Dr. Kim`).
    """
    sentences, start = [], 0
    for end in _END.finditer(line):
        if not _NO_END.search(line[max(start, end.start(1) - _LONGEST) : end.start(1)]):
            sentences.append((line[start : end.start(1)], end[1]))
            start = end.end()
    return [*sentences, (line[start:], "")]
