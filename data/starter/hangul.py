"""Hangul syllables: decomposition, composition, and particles that depend on the final consonant."""

FIRST_SYLLABLE = 0xAC00
LAST_SYLLABLE = 0xD7A3
LEADS = "ㄱㄲㄴㄷㄸㄹㅁㅂㅃㅅㅆㅇㅈㅉㅊㅋㅌㅍㅎ"
VOWELS = "ㅏㅐㅑㅒㅓㅔㅕㅖㅗㅘㅙㅚㅛㅜㅝㅞㅟㅠㅡㅢㅣ"
FINALS = ("", *"ㄱㄲㄳㄴㄵㄶㄷㄹㄺㄻㄼㄽㄾㄿㅀㅁㅂㅄㅅㅆㅇㅈㅊㅋㅌㅍㅎ")

# Particles: the form after a consonant and after a vowel.
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
    """Decomposes a syllable into initial, vowel and final consonant ("" if it has none)."""
    index = ord(syllable) - FIRST_SYLLABLE
    if not 0 <= index <= LAST_SYLLABLE - FIRST_SYLLABLE:
        raise ValueError(f"not a Hangul syllable: {syllable!r}")
    block, final = divmod(index, len(FINALS))
    lead, vowel = divmod(block, len(VOWELS))
    return LEADS[lead], VOWELS[vowel], FINALS[final]


def build(lead: str, vowel: str, final: str = "") -> str:
    """Composes a syllable; inverse of `split`."""
    block = LEADS.index(lead) * len(VOWELS) + VOWELS.index(vowel)
    return chr(FIRST_SYLLABLE + block * len(FINALS) + FINALS.index(final))


def final_of(word: str) -> str:
    """Returns the final consonant of the word's last syllable, "" if it ends in a vowel."""
    return split(word[-1])[2]


def with_final(word: str, final: str) -> str:
    """Replaces the final consonant of the last syllable ("" removes it)."""
    lead, vowel, _ = split(word[-1])
    return word[:-1] + build(lead, vowel, final)


def lead_of(word: str) -> str:
    """Returns the first consonant of the word, "" if it starts with a single letter such as ㄴ."""
    return split(word[0])[0] if "가" <= word[0] <= "힣" else ""


def with_particle(word: str, particle: str) -> str:
    """Attaches a particle, given in its form after a consonant, in the form that the word requires."""
    if particle in INVARIABLE:
        return word + particle
    final = final_of(word)
    # ㄹ counts as a vowel only for 으로: 서울로, but 서울은.
    after_vowel = final == "" or (particle == "으로" and final == "ㄹ")
    return word + (PARTICLES[particle] if after_vowel else particle)
