"""English inflection, articles, agreement, negation and questions."""

from dataclasses import dataclass
from enum import Enum, auto

# base: (past, participle)
IRREGULAR = {
    row.split()[0]: (row.split()[1], row.split()[2])
    for row in """be was been|become became become|begin began begun|borrow borrowed borrowed|bring brought brought
break broke broken|build built built|buy bought bought|catch caught caught|choose chose chosen|come came come
cut cut cut|do did done|draw drew drawn|drink drank drunk|drive drove driven|eat ate eaten|find found found
forget forgot forgotten|get got gotten|give gave given|go went gone|grow grew grown|hang hung hung|have had had
hear heard heard|hurt hurt hurt|keep kept kept|know knew known|leave left left|lend lent lent|lie lay lain
lose lost lost|make made made|meet met met|pay paid paid|put put put|read read read|ride rode ridden|run ran run
say said said|see saw seen|sell sold sold|send sent sent|sing sang sung|sit sat sat|sleep slept slept
speak spoke spoken|spend spent spent|stand stood stood|swim swam swum|take took taken|teach taught taught
tell told told|think thought thought|throw threw thrown|wear wore worn|win won won|write wrote written""".replace(
        "\n", "|"
    ).split("|")
}
DOUBLED = ("plan", "get", "run", "sit", "swim", "win", "put", "cut", "stop", "shop", "forget", "chat")
IRREGULAR_PLURALS = {"child": "children", "person": "people", "fish": "fish", "knife": "knives", "cell": "cells"}
# Words whose first letter and first sound differ in kind (vowel or consonant).
CONSONANT_SOUND = ("university", "uniform", "useful", "used")
VOWEL_SOUND = ("hour", "honest")
BE_PRESENT = {(1, False): "am", (3, False): "is"}
BE_NEGATIVE = {"am": "am not", "is": "isn't", "are": "aren't", "was": "wasn't", "were": "weren't"}
MODALS = {"can": ("can", "could"), "will": ("will", "would")}
MODAL_NEGATIVE = {"can": "can't", "could": "couldn't", "will": "won't", "would": "wouldn't"}

WEEKDAYS = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"]
MONTHS = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
]
SHORT_ADJECTIVES = (
    "small", "cute", "cheap", "light", "long", "short", "thick", "fast", "slow", "clean", "quiet", "bright", "dark",
    "warm", "fresh", "red", "blue", "white", "black", "kind", "smart", "tall", "sweet", "cold",
)  # fmt: skip
# The head of a phrase such as "have seen the sea", as against the verb have.
PERFECT_AUXILIARY = "have done"


class Time(Enum):
    """English tenses; PERFECT and CONDITIONAL replace PAST and FUTURE after 'said'."""

    PRESENT = auto()
    PAST = auto()
    FUTURE = auto()
    PERFECT = auto()
    CONDITIONAL = auto()


@dataclass(frozen=True)
class Agreement:
    """Person and number of a subject."""

    person: int = 3
    plural: bool = False


def past(verb: str) -> str:
    """Returns the simple past."""
    return IRREGULAR[verb][0] if verb in IRREGULAR else _regular_past(verb)


def participle(verb: str) -> str:
    """Returns the past participle."""
    return IRREGULAR[verb][1] if verb in IRREGULAR else _regular_past(verb)


def _regular_past(verb: str) -> str:
    if verb.endswith("e"):
        return verb + "d"
    if verb.endswith("y") and verb[-2] not in "aeiou":
        return verb[:-1] + "ied"
    return verb + (verb[-1] if verb in DOUBLED else "") + "ed"


def gerund(verb: str) -> str:
    """Returns the -ing form."""
    if verb == "be":
        return "being"
    if verb.endswith("ie"):
        return verb[:-2] + "ying"
    if verb.endswith("e") and not verb.endswith("ee"):
        return verb[:-1] + "ing"
    return verb + (verb[-1] if verb in DOUBLED else "") + "ing"


def third_person(verb: str) -> str:
    """Returns the third person singular present."""
    if verb in ("have", "be"):
        return {"have": "has", "be": "is"}[verb]
    return plural(verb)


def plural(noun: str) -> str:
    """Returns the plural of a noun; of a phrase, the plural of its last word."""
    first, space, last = noun.rpartition(" ")
    if last in IRREGULAR_PLURALS:
        return first + space + IRREGULAR_PLURALS[last]
    if last.endswith(("s", "sh", "ch", "x", "z")) or last in ("potato", "tomato", "go", "do"):
        return noun + "es"
    if last.endswith("y") and last[-2] not in "aeiou":
        return noun[:-1] + "ies"
    return noun + "s"


def comparative(adjective: str) -> str:
    """Returns the English comparative."""
    if adjective.endswith("y"):
        return adjective[:-1] + "ier"
    if adjective in ("big", "thin", "hot", "sad"):
        return f"{adjective}{adjective[-1]}er"
    if adjective in SHORT_ADJECTIVES:
        return adjective + ("r" if adjective.endswith("e") else "er")
    return f"more {adjective}"


def with_article(phrase: str) -> str:
    """Prepends a or an to the phrase, by sound."""
    first = phrase.split()[0].lower()
    vowel = (first[0] in "aeiou" and not first.startswith(CONSONANT_SOUND)) or first.startswith(VOWEL_SOUND)
    return f"{'an' if vowel else 'a'} {phrase}"


def _be(agreement: Agreement, time: Time) -> str:
    if time is Time.PAST:
        singular = not agreement.plural and agreement.person != 2
        return "was" if singular else "were"
    return BE_PRESENT.get((agreement.person, agreement.plural), "are")


def auxiliary(verb: str, agreement: Agreement, time: Time) -> tuple[str, str]:
    """Returns the auxiliary that a negation or question needs, and the form of the verb after it.

    The second part is "" if the verb is its own auxiliary (be, can).
    """
    if verb == "can" and time in (Time.FUTURE, Time.CONDITIONAL):
        verb = "be able to"
    if time is Time.FUTURE or time is Time.CONDITIONAL:
        return ("will" if time is Time.FUTURE else "would"), verb
    if verb == PERFECT_AUXILIARY:
        third = agreement.person == 3 and not agreement.plural
        return ("had" if time in (Time.PAST, Time.PERFECT) else "has" if third else "have"), ""
    if time is Time.PERFECT:
        return "had", participle("be") + " able to" if verb == "can" else participle(verb)
    if verb == "be":
        return _be(agreement, time), ""
    if verb in MODALS:
        return MODALS[verb][0 if time is Time.PRESENT else 1], ""
    if time is Time.PAST:
        return "did", verb
    third = agreement.person == 3 and not agreement.plural
    return ("does" if third else "do"), verb


def negated(helper: str) -> str:
    """Returns the negative of an auxiliary, contracted if possible."""
    return BE_NEGATIVE.get(helper) or MODAL_NEGATIVE.get(helper) or f"{helper}n't"


def verb_group(verb: str, agreement: Agreement, time: Time, negative: bool = False, adverb: str = "") -> str:
    """Returns the finite verb with its negation and an adverb such as "often" in its position."""
    helper, main = auxiliary(verb, agreement, time)
    if negative:
        return _words(negated(helper), adverb, main)
    if helper in ("do", "does", "did"):
        simple = past(verb) if time is Time.PAST else third_person(verb) if helper == "does" else verb
        return _words(adverb, simple)
    return _words(helper, adverb, main)


def inverted(
    verb: str, subject: str, agreement: Agreement, time: Time, negative: bool = False, adverb: str = ""
) -> str:
    """Returns a question up to the main verb: "does Jimin often eat"."""
    helper, main = auxiliary(verb, agreement, time)
    return _words(negated(helper) if negative else helper, subject, adverb, main)


def sentence(text: str, mark: str = ".") -> str:
    """Returns the sentence with a capital letter and a final mark."""
    return text[0].upper() + text[1:] + mark


def _words(*parts: str) -> str:
    return " ".join(part for part in parts if part)
