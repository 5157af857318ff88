"""English inflection, articles, agreement and questions; numbers in both languages."""

import pytest
from counting import english as number_word
from counting import native, native_counting, sino
from english import (
    PERFECT_AUXILIARY,
    Agreement,
    Time,
    comparative,
    gerund,
    inverted,
    participle,
    past,
    plural,
    third_person,
    verb_group,
    with_article,
)

ME, YOU, SHE, WE, THEY = Agreement(1), Agreement(2), Agreement(3), Agreement(1, True), Agreement(3, True)


@pytest.mark.parametrize(
    ("verb", "forms"),
    [
        ("walk", "walks walked walked walking"),
        ("study", "studies studied studied studying"),
        ("play", "plays played played playing"),
        ("watch", "watches watched watched watching"),
        ("like", "likes liked liked liking"),
        ("plan", "plans planned planned planning"),
        ("swim", "swims swam swum swimming"),
        ("write", "writes wrote written writing"),
        ("lie", "lies lay lain lying"),
        ("go", "goes went gone going"),
        ("do", "does did done doing"),
        ("have", "has had had having"),
        ("be", "is was been being"),
    ],
)
def test_verbs_have_their_third_person_past_participle_and_gerund(verb: str, forms: str) -> None:
    assert [third_person(verb), past(verb), participle(verb), gerund(verb)] == forms.split()


@pytest.mark.parametrize(
    ("singular", "expected"),
    [("book", "books"), ("watch", "watches"), ("puppy", "puppies"), ("child", "children"), ("potato", "potatoes"),
     ("phone number", "phone numbers"), ("toy", "toys"), ("glass", "glasses")],
)  # fmt: skip
def test_nouns_have_their_plural(singular: str, expected: str) -> None:
    assert plural(singular) == expected


@pytest.mark.parametrize(
    ("phrase", "expected"),
    [("apple", "an apple"), ("bag", "a bag"), ("old bag", "an old bag"), ("umbrella", "an umbrella"),
     ("university", "a university"), ("hour", "an hour"), ("used car", "a used car")],
)  # fmt: skip
def test_the_article_follows_the_sound(phrase: str, expected: str) -> None:
    assert with_article(phrase) == expected


@pytest.mark.parametrize(
    ("base", "expected"),
    [("tall", "taller"), ("big", "bigger"), ("heavy", "heavier"), ("cute", "cuter"), ("expensive", "more expensive")],
)
def test_adjectives_have_their_comparative(base: str, expected: str) -> None:
    assert comparative(base) == expected


@pytest.mark.parametrize(
    ("verb", "who", "time", "negative", "adverb", "expected"),
    [
        ("eat", SHE, Time.PRESENT, False, "", "eats"),
        ("eat", ME, Time.PRESENT, False, "often", "often eat"),
        ("eat", SHE, Time.PRESENT, True, "", "doesn't eat"),
        ("eat", THEY, Time.PAST, True, "", "didn't eat"),
        ("eat", SHE, Time.FUTURE, True, "", "won't eat"),
        ("eat", SHE, Time.PERFECT, False, "", "had eaten"),
        ("eat", SHE, Time.CONDITIONAL, False, "", "would eat"),
        ("be", ME, Time.PRESENT, True, "", "am not"),
        ("be", YOU, Time.PRESENT, False, "always", "are always"),
        ("be", WE, Time.PAST, True, "", "weren't"),
        ("can", ME, Time.PAST, True, "", "couldn't"),
        ("can", ME, Time.FUTURE, True, "", "won't be able to"),
        (PERFECT_AUXILIARY, SHE, Time.PRESENT, False, "never", "has never"),
    ],
)
def test_the_verb_agrees_and_its_negation_finds_an_auxiliary(
    verb: str, who: Agreement, time: Time, negative: bool, adverb: str, expected: str
) -> None:
    assert verb_group(verb, who, time, negative, adverb) == expected


@pytest.mark.parametrize(
    ("verb", "time", "negative", "expected"),
    [
        ("eat", Time.PRESENT, False, "does Jimin eat"),
        ("eat", Time.PAST, True, "didn't Jimin eat"),
        ("eat", Time.FUTURE, False, "will Jimin eat"),
        ("be", Time.PRESENT, False, "is Jimin"),
        ("can", Time.PRESENT, False, "can Jimin"),
    ],
)
def test_questions_put_the_auxiliary_first(verb: str, time: Time, negative: bool, expected: str) -> None:
    assert inverted(verb, "Jimin", SHE, time, negative) == expected


@pytest.mark.parametrize(
    ("number", "alone", "before_counter"),
    [(1, "하나", "한"), (4, "넷", "네"), (10, "열", "열"), (11, "열하나", "열한"), (20, "스물", "스무"),
     (21, "스물하나", "스물한"), (34, "서른넷", "서른네"), (99, "아흔아홉", "아흔아홉")],
)  # fmt: skip
def test_native_numbers_shorten_before_a_counter(number: int, alone: str, before_counter: str) -> None:
    assert (native(number), native_counting(number)) == (alone, before_counter)


def test_native_numbers_end_at_ninety_nine() -> None:
    with pytest.raises(ValueError, match="1 to 99"):
        native(100)


@pytest.mark.parametrize(
    ("number", "korean", "english"),
    [(7, "칠", "seven"), (10, "십", "ten"), (15, "십오", "fifteen"), (110, "백십", "one hundred ten"),
     (2500, "이천오백", "two thousand five hundred"), (10_000, "만", "ten thousand"),
     (35_000, "삼만 오천", "thirty-five thousand"), (990_000, "구십구만", "nine hundred ninety thousand")],
)  # fmt: skip
def test_large_numbers_are_read_in_both_languages(number: int, korean: str, english: str) -> None:
    assert (sino(number), number_word(number)) == (korean, english)
