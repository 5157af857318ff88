"""Sentences of one clause about actions: statements, moods, questions, requests."""

from clauses import Clause, Pair, said, subject, together, topic
from conjugation import attach
from endings import Style, Tense
from english import Agreement, sentence
from hangul import with_particle
from lexicon import Person, Verb
from phrases import Phrase, able, experienced, negated, obliged, planned, preceded, progressive, unable, wish
from scene import SPEAKER_ROLES, YOU, Scene, fits, i_am

ANY_TENSE = (Tense.PRESENT, Tense.PAST, Tense.PAST, Tense.PAST, Tense.FUTURE)
# The hearer in the polite styles: not named in Korean, honoured by -시-.
HEARER = Person("", "you", "you", "", SPEAKER_ROLES | {"hearer-honor"}, Agreement(2))
UNWILLED = {"chance", "feeling"}


def willed(verb: Verb) -> bool:
    """Returns true if the action is voluntary."""
    return not verb.flags & UNWILLED


def tense_for(scene: Scene, verb: Verb) -> Tense:
    """Returns a natural tense of the verb."""
    if "feeling" in verb.flags:
        return scene.rng.choice((Tense.PRESENT, Tense.PRESENT, Tense.PAST))
    allowed = [
        tense
        for tense in ANY_TENSE
        if tense is Tense.PAST
        or ("nohabit" not in verb.flags if tense is Tense.PRESENT else "chance" not in verb.flags)
    ]
    return scene.rng.choice(allowed)


def plain_clause(scene: Scene, who: Person, tense: Tense | None = None) -> Clause:
    """Returns a clause about an action of the subject, with a time."""
    verb = scene.verb(lambda verb: fits(verb, who))
    if (tense is Tense.PRESENT and "nohabit" in verb.flags) or (tense is Tense.FUTURE and not willed(verb)):
        return plain_clause(scene, who, tense)
    tense = tense or tense_for(scene, verb)
    return Clause(who, scene.timed(verb, scene.phrase(verb, who), tense), tense)


def statement(scene: Scene) -> Pair:
    """저는 어제 도서관에서 책을 읽었어요."""
    return said(plain_clause(scene, scene.subject()), scene.style)


def negation(scene: Scene) -> Pair:
    """지민 씨는 오늘 아침에 커피를 안 마셨어요. / 마시지 않았어요."""
    who = scene.subject()
    verb = scene.verb(lambda verb: fits(verb, who) and not verb.flags & {"chance", "big"})
    tense = tense_for(scene, verb)
    base = scene.phrase(verb, who, decorated=False, generic=tense is Tense.PRESENT)
    phrase = negated(base, scene.chance(0.5))
    if tense is not Tense.PRESENT:
        phrase = scene.timed(verb, phrase, tense, precise=False)
    return said(Clause(who, phrase, tense), scene.style)


def mood(scene: Scene) -> Pair:
    """저는 피아노를 배우고 싶어요. 아버지께서는 영어를 가르치실 수 있어요."""
    who = scene.subject()
    verb = scene.verb(lambda verb: fits(verb, who) and willed(verb))
    base = scene.phrase(verb, who)
    kind = scene.rng.choice(("wish", "wish", "duty", "duty", "plan"))
    tense = scene.rng.choice((Tense.PRESENT, Tense.PRESENT, Tense.PAST)) if kind != "plan" else Tense.PRESENT
    if kind == "wish":
        phrase = wish(base, third=who.agreement.person == 3)
    else:
        phrase = obliged(base) if kind == "duty" else planned(base)
    # Present wishes and duties concern the future.
    phrase = scene.timed(verb, phrase, Tense.FUTURE if tense is Tense.PRESENT else tense, precise=False)
    return said(Clause(who, phrase, tense), scene.style)


ABILITIES = (
    "speak", "ride a bicycle", "drive", "swim", "play {o}", "cook {o}", "make {o}", "bake {o}", "fix {o}",
    "teach {o}", "read {o}", "dance", "sing a song", "use {o}", "eat {o}",
)  # fmt: skip


def ability(scene: Scene) -> Pair:
    """제 여동생은 피아노를 칠 수 있어요. 저는 어제 숙제를 할 수 없었어요."""
    who = scene.subject()
    if scene.chance(0.5):
        verb = scene.verb(lambda verb: fits(verb, who) and verb.english in ABILITIES)
        phrase = scene.phrase(verb, who, decorated=False)
        return said(Clause(who, able(phrase, scene.chance(0.65))), scene.style)
    verb = scene.verb(
        lambda verb: fits(verb, who) and willed(verb) and "big" not in verb.flags and "{poss}" not in verb.english
    )
    phrase = scene.phrase(verb, who, decorated=False)
    tense = scene.rng.choice((Tense.PAST, Tense.PAST, Tense.FUTURE))
    phrase = able(phrase, False) if tense is Tense.FUTURE or scene.chance(0.3) else unable(phrase, scene.chance(0.6))
    return said(Clause(who, scene.timed(verb, phrase, tense, precise=False), tense), scene.style)


def ongoing(scene: Scene) -> Pair:
    """어머니께서는 지금 부엌에서 요리를 하고 계세요."""
    who = scene.subject()
    verb = scene.verb(lambda verb: fits(verb, who) and not verb.flags & {"state", "feeling", "big"})
    phrase = progressive(scene.phrase(verb, who))
    tense = Tense.PRESENT if scene.chance(0.75) else Tense.PAST
    if tense is Tense.PRESENT:
        return said(Clause(who, preceded(phrase, "지금", "now")), scene.style)
    return said(Clause(who, preceded(phrase, "그때", "then"), tense), scene.style)


def experience(scene: Scene) -> Pair:
    """저는 제주도로 여행을 간 적이 있어요."""
    who = scene.subject()
    heads = (
        "take a trip",
        "live",
        "eat",
        "read",
        "learn",
        "ride",
        "wear",
        "lose",
        "cook",
        "make",
        "win",
        "plant",
        "swim",
    )
    verb = scene.verb(lambda verb: "clocked" not in verb.flags and fits(verb, who) and verb.english.startswith(heads))
    phrase = scene.phrase(verb, who, decorated=False)
    return said(Clause(who, experienced(phrase, scene.chance(0.65))), scene.style)


def hearer(scene: Scene) -> Person:
    """Returns the addressee of a question: 너 in the casual style, otherwise unnamed."""
    return YOU if scene.style is Style.CASUAL else HEARER


def asked_about(scene: Scene) -> Person:
    """Returns the subject of a question; not family, which is the speaker's in statements only."""
    return scene.third(lambda person: "kin" not in person.roles)


def asked(scene: Scene, clause: Clause, korean_word: str = "", english_word: str = "") -> Pair:
    """Returns the clause as a question; the hearer of a polite question is not named."""
    named = topic(clause.who) if clause.who.ko else ""
    korean = together(named, korean_word, clause.question(scene.style, blunt=scene.chance(0.4)))
    return Pair(korean, clause.asked(english_word))


def question(scene: Scene) -> Pair:
    """어제 영화를 보셨어요? 지민 씨는 내일 학교에 가요?"""
    who = hearer(scene) if scene.chance(0.6) else asked_about(scene)
    clause = plain_clause(scene, who)
    if scene.chance(0.15):
        verb = scene.verb(lambda verb: fits(verb, who) and willed(verb) and "big" not in verb.flags)
        wanted = wish(scene.phrase(verb, who), third=who.agreement.person == 3)
        clause = Clause(who, scene.timed(verb, wanted, Tense.FUTURE, precise=False), Tense.PRESENT)
    return asked(scene, clause)


def who_question(scene: Scene) -> Pair:
    """누가 어제 피아노를 쳤어요?"""
    who = Person("누", "who", "-", "", SPEAKER_ROLES)
    verb = scene.verb(lambda verb: fits(verb, who) and not verb.flags & {"feeling"})
    tense = scene.rng.choice((Tense.PAST, Tense.PAST, Tense.FUTURE)) if willed(verb) else Tense.PAST
    clause = Clause(who, scene.timed(verb, scene.phrase(verb, who), tense), tense)
    return Pair(f"{subject(who)} {clause.question(scene.style, scene.chance(0.4))}", sentence(clause.english(), "?"))


def request(scene: Scene) -> Pair:
    """창문을 열어 주세요. / 열어 줘."""
    verb = scene.verb(lambda verb: "ask" in verb.flags and fits(verb, HEARER))
    phrase = scene.phrase(verb, HEARER, decorated=False)
    last = {Style.POLITE: "주세요", Style.FORMAL: "주십시오"}.get(scene.style, "줘")
    return Pair(f"{phrase.plain.form('(아)')} {last}.", sentence(f"please {phrase.bare}"))


def command(scene: Scene) -> Pair:
    """손을 씻으세요. 창문을 열지 마세요."""
    verb = scene.verb(lambda verb: fits(verb, HEARER) and willed(verb) and "big" not in verb.flags)
    phrase = scene.phrase(verb, HEARER)
    if scene.chance(0.35):
        last = {Style.POLITE: "마세요", Style.FORMAL: "마십시오"}.get(scene.style, "마")
        return Pair(f"{phrase.plain.form('지')} {last}.", sentence(f"don't {phrase.bare}"))
    if scene.style in (Style.PLAIN, Style.CASUAL):
        return Pair(f"{phrase.plain.form('(아)라')}.", sentence(phrase.bare))
    ending = "(아)요" if scene.style is Style.POLITE else "ㅂ시오"
    korean = (
        phrase.honor.form(ending)
        if ending == "(아)요"
        else phrase.honor.ending(lambda stem: attach(stem, "(으)ㅂ시오"))
    )
    return Pair(f"{korean}.", sentence(phrase.bare))


NOT_TOGETHER = (
    "use",
    "wear",
    "turn",
    "open",
    "close",
    "lie",
    "sit",
    "take medicine",
    "boil",
    "take a test",
    "give",
    "laugh",
    "sell",
    "order",
)


def together_verb(scene: Scene) -> Phrase:
    """Returns an action for a group, without 혼자 and similar adverbs."""

    def suits(verb: Verb) -> bool:
        shared = (
            not verb.english.startswith(NOT_TOGETHER) and "{w}" not in verb.english and "{poss}" not in verb.english
        )
        return shared and willed(verb) and not verb.flags & {"big", "clocked", "week"}

    verb = scene.verb(suits)
    return scene.phrase(verb, Person("", "we", "we", "", SPEAKER_ROLES), decorated=False)


def suggestion(scene: Scene) -> Pair:
    """우리 같이 영화를 볼까요? 공원에 가자. 점심을 먹읍시다."""
    phrase = together_verb(scene)
    time_ko, time_en = scene.rng.choice(
        (("", ""), ("내일", "tomorrow"), ("이번 주말에", "this weekend"), ("오늘", "today"))
    )
    phrase = preceded(phrase, together(time_ko, "같이"), together("together", time_en))
    if scene.chance(0.5):
        form = phrase.plain.form("(으)ㄹ까")
        return Pair(f"{form}{'요' if scene.style.humble else ''}?", sentence(f"shall we {phrase.bare}", "?"))
    form = phrase.plain.form("(으)ㅂ시다" if scene.style.humble else "자")
    return Pair(f"{form}.", sentence(f"let's {phrase.bare}"))


def also(scene: Scene) -> Pair:
    """지민 씨도 어제 영화를 봤어요."""
    clause = plain_clause(scene, scene.subject())
    who = with_particle(clause.who.ko, "께서" if clause.who.elder else "도") + ("도" if clause.who.elder else "")
    return Pair(f"{who} {clause.statement(scene.style)}.", sentence(f"{clause.english()} too"))


def promise(scene: Scene) -> Pair:
    """제가 창문을 열게요. 제가 커피를 사겠습니다."""
    who = i_am(scene.style)
    verb = scene.verb(lambda verb: fits(verb, who) and "ask" in verb.flags)
    phrase = scene.phrase(verb, who)
    ending = {Style.POLITE: "(으)ㄹ게요", Style.FORMAL: "겠습니다", Style.PLAIN: "겠다"}.get(scene.style, "(으)ㄹ게")
    return Pair(f"{subject(who)} {phrase.plain.form(ending)}.", sentence(f"I will {phrase.bare}"))


def permission(scene: Scene) -> Pair:
    """여기에서 사진을 찍어도 돼요?"""
    verb = scene.verb(
        lambda verb: fits(verb, YOU) and willed(verb) and not verb.flags & {"big", "goal", "ask", "clocked"}
    )
    phrase = scene.phrase(verb, Person("", "I", "I", "", SPEAKER_ROLES), decorated=False)
    phrase = preceded(phrase, *scene.rng.choice((("지금", "now"), ("여기에서", "here"))))
    last = {Style.POLITE: "돼요", Style.FORMAL: "됩니까"}.get(scene.style, "돼")
    return Pair(f"{phrase.plain.form('(아)도')} {last}?", sentence(f"may I {phrase.bare}", "?"))
