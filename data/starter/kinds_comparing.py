"""Sentences that compare two things or people."""

from clauses import Clause, Pair, said
from english import comparative
from hangul import with_particle
from kinds_describing import thing
from lexicon import Noun, Person, adjectives, nouns_in
from phrases import Phrase, Spoken
from scene import Scene


def comparison(scene: Scene) -> Pair:
    """이 가방이 저 가방보다 더 비싸요. 수학이 영어보다 더 어려워요."""
    found = [
        a
        for a in adjectives()
        if not a.describes & {"hall"}
        and not a.flags & {"color", "feel"}
        and a.en != "famous"
        and not a.before
        and not a.en.startswith(("be ", "have "))
    ]
    adjective = scene.rng.choice(found)
    if "person" in adjective.describes:
        first = scene.subject(lambda person: not person.elder)
        second = scene.third(lambda person: not person.elder)
    else:
        nouns = [noun for noun in nouns_in(*adjective.describes) if noun.number != "p"]
        if not nouns:
            return comparison(scene)
        first, second = _two_things(scene, scene.rng.choice(nouns))
    more = comparative(adjective.en)
    before = f"{with_particle(second.ko, '보다')} 더"
    phrase = Phrase(
        Spoken(before, adjective.stem), Spoken(before, adjective.honor), "be", f"{more} than {second.en}", "no"
    )
    return said(Clause(first, phrase), scene.style)


def _two_things(scene: Scene, noun: Noun) -> tuple[Person, Person]:
    """Returns this and that thing of a class, or two school subjects."""
    if "subject" in noun.classes:
        first, second = scene.rng.sample(nouns_in("subject"), 2)
        return thing(first, first.ko, first.en), thing(second, second.ko, second.en)
    return thing(noun, f"이 {noun.ko}", f"this {noun.en}"), thing(noun, f"그 {noun.ko}", f"that {noun.en}")
