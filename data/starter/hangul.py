"""Hangul syllables: taking them apart, putting them together, and the particles that depend on their end."""

FIRST_SYLLABLE = 0xAC00
LAST_SYLLABLE = 0xD7A3
LEADS = "ㄱㄲㄴㄷㄸㄹㅁㅂㅃㅅㅆㅇㅈㅉㅊㅋㅌㅍㅎ"
VOWELS = "ㅏㅐㅑㅒㅓㅔㅕㅖㅗㅘㅙㅚㅛㅜㅝㅞㅟㅠㅡㅢㅣ"
FINALS = ("", *"ㄱㄲㄳㄴㄵㄶㄷㄹㄺㄻㄼㄽㄾㄿㅀㅁㅂㅄㅅㅆㅇㅈㅊㅋㅌㅍㅎ")

# The form after a consonant, and the form after a vowel.
PARTICLES = {
    "은": "는",
    "이": "가",
    "을": "를",
    "과": "와",
    "으로": "로",
    "이나": "나",
    "이라고": "라고",
    "이라는": "라는",
}
INVARIABLE = ("에게", "에서", "에", "하고", "보다", "도", "만", "의", "께서는", "께서", "께", "까지", "부터")


def split(syllable: str) -> tuple[str, str, str]:
    """Take one syllable apart into lead, vowel and final ("" when it has none)."""
    index = ord(syllable) - FIRST_SYLLABLE
    if not 0 <= index <= LAST_SYLLABLE - FIRST_SYLLABLE:
        raise ValueError(f"not a Hangul syllable: {syllable!r}")
    block, final = divmod(index, len(FINALS))
    lead, vowel = divmod(block, len(VOWELS))
    return LEADS[lead], VOWELS[vowel], FINALS[final]


def build(lead: str, vowel: str, final: str = "") -> str:
    """Put one syllable together; the inverse of split."""
    block = LEADS.index(lead) * len(VOWELS) + VOWELS.index(vowel)
    return chr(FIRST_SYLLABLE + block * len(FINALS) + FINALS.index(final))


def final_of(word: str) -> str:
    """Return the final consonant of the word's last syllable, "" when it ends in a vowel."""
    return split(word[-1])[2]


def with_final(word: str, final: str) -> str:
    """Replace the final consonant of the last syllable (with "" to drop it)."""
    lead, vowel, _ = split(word[-1])
    return word[:-1] + build(lead, vowel, final)


def lead_of(word: str) -> str:
    """Return the first consonant of the word, "" when it starts with a bare letter such as ㄴ."""
    return split(word[0])[0] if "가" <= word[0] <= "힣" else ""


def with_particle(word: str, particle: str) -> str:
    """Attach a particle, named by its form after a consonant, in the form the word's end asks for."""
    if particle in INVARIABLE:
        return word + particle
    final = final_of(word)
    # ㄹ counts as a vowel for 으로 alone: 서울로, but 서울은.
    after_vowel = final == "" or (particle == "으로" and final == "ㄹ")
    return word + (PARTICLES[particle] if after_vowel else particle)
