"""Stems and endings, one table an irregular class."""

import pytest
from conjugation import Kind, Stem, attach
from endings import Style, Tense, adnominal, background, honored, question, quoted, statement

POLITE, PAST, FUTURE = Style.POLITE, Tense.PAST, Tense.FUTURE
NOW = Tense.PRESENT
ENDINGS = ("(아)요", "(아)ㅆ", "(으)면", "(으)ㄹ", "(스)ㅂ니다", "고")


def adjective(text: str, group: str = "") -> Stem:
    return Stem(text, group, Kind.ADJECTIVE)


@pytest.mark.parametrize(
    ("text", "group", "forms"),
    [
        # regular stems and vowel contractions
        ("먹", "", "먹어요 먹었 먹으면 먹을 먹습니다 먹고"),
        ("앉", "", "앉아요 앉았 앉으면 앉을 앉습니다 앉고"),
        ("가", "", "가요 갔 가면 갈 갑니다 가고"),
        ("오", "", "와요 왔 오면 올 옵니다 오고"),
        ("배우", "", "배워요 배웠 배우면 배울 배웁니다 배우고"),
        ("마시", "", "마셔요 마셨 마시면 마실 마십니다 마시고"),
        ("보내", "", "보내요 보냈 보내면 보낼 보냅니다 보내고"),
        ("켜", "", "켜요 켰 켜면 켤 켭니다 켜고"),
        ("쉬", "", "쉬어요 쉬었 쉬면 쉴 쉽니다 쉬고"),
        ("되", "", "돼요 됐 되면 될 됩니다 되고"),
        ("청소하", "", "청소해요 청소했 청소하면 청소할 청소합니다 청소하고"),
        # ㄷ, ㅂ, ㅅ
        ("듣", "ㄷ", "들어요 들었 들으면 들을 듣습니다 듣고"),
        ("걷", "ㄷ", "걸어요 걸었 걸으면 걸을 걷습니다 걷고"),
        ("닫", "", "닫아요 닫았 닫으면 닫을 닫습니다 닫고"),
        ("돕", "ㅂ", "도와요 도왔 도우면 도울 돕습니다 돕고"),
        ("눕", "ㅂ", "누워요 누웠 누우면 누울 눕습니다 눕고"),
        ("춥", "ㅂ", "추워요 추웠 추우면 추울 춥습니다 춥고"),
        ("입", "", "입어요 입었 입으면 입을 입습니다 입고"),
        ("짓", "ㅅ", "지어요 지었 지으면 지을 짓습니다 짓고"),
        ("낫", "ㅅ", "나아요 나았 나으면 나을 낫습니다 낫고"),
        ("웃", "", "웃어요 웃었 웃으면 웃을 웃습니다 웃고"),
        # ㅎ
        ("빨갛", "ㅎ", "빨개요 빨갰 빨가면 빨갈 빨갛습니다 빨갛고"),
        ("하얗", "ㅎ", "하얘요 하얬 하야면 하얄 하얗습니다 하얗고"),
        ("그렇", "ㅎ", "그래요 그랬 그러면 그럴 그렇습니다 그렇고"),
        ("좋", "", "좋아요 좋았 좋으면 좋을 좋습니다 좋고"),
        # 르, 러, 으
        ("모르", "르", "몰라요 몰랐 모르면 모를 모릅니다 모르고"),
        ("부르", "르", "불러요 불렀 부르면 부를 부릅니다 부르고"),
        ("빠르", "르", "빨라요 빨랐 빠르면 빠를 빠릅니다 빠르고"),
        ("푸르", "러", "푸르러요 푸르렀 푸르면 푸를 푸릅니다 푸르고"),
        ("쓰", "", "써요 썼 쓰면 쓸 씁니다 쓰고"),
        ("바쁘", "", "바빠요 바빴 바쁘면 바쁠 바쁩니다 바쁘고"),
        ("예쁘", "", "예뻐요 예뻤 예쁘면 예쁠 예쁩니다 예쁘고"),
        ("모으", "", "모아요 모았 모으면 모을 모읍니다 모으고"),
        # stems in ㄹ
        ("만들", "", "만들어요 만들었 만들면 만들 만듭니다 만들고"),
        ("살", "", "살아요 살았 살면 살 삽니다 살고"),
    ],
)
def test_each_class_of_stem_takes_each_link(text: str, group: str, forms: str) -> None:
    assert [attach(Stem(text, group), ending) for ending in ENDINGS] == forms.split()


@pytest.mark.parametrize(
    ("ending", "expected"),
    [
        ("는", "사는"),
        ("(으)니까", "사니까"),
        ("(으)시", "사시"),
        ("(으)러", "살러"),
        ("(으)ㅂ시다", "삽시다"),
        ("지만", "살지만"),
    ],
)
def test_final_rieul_drops_only_before_some_consonants(ending: str, expected: str) -> None:
    assert attach(Stem("살"), ending) == expected


@pytest.mark.parametrize(
    ("noun", "forms"),
    [
        ("학생", "학생이에요 학생이야 학생이었 학생이라서 학생입니다 학생이면 학생인 학생이라고 학생이고"),
        ("의사", "의사예요 의사야 의사였 의사라서 의사입니다 의사면 의사인 의사라고 의사고"),
    ],
)
def test_the_copula_follows_the_end_of_the_noun(noun: str, forms: str) -> None:
    stem = Stem(noun, "이다", Kind.COPULA)
    endings = ("(아)요", "(아)", "(아)ㅆ", "(아)서", "(스)ㅂ니다", "(으)면", "(으)ㄴ", "라고", "고")
    assert [attach(stem, ending) for ending in endings] == forms.split()


def test_the_negative_copula_has_its_own_polite_form() -> None:
    stem = Stem("아니", "아니다", Kind.COPULA)
    assert [attach(stem, ending) for ending in ("(아)요", "(아)", "(아)ㅆ", "(스)ㅂ니다")] == [
        "아니에요", "아니야", "아니었", "아닙니다",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("stem", "forms"),
    [
        (Stem("먹"), "먹어요 먹습니다 먹는다 먹어"),
        (Stem("만들"), "만들어요 만듭니다 만든다 만들어"),
        (Stem("가"), "가요 갑니다 간다 가"),
        (adjective("예쁘"), "예뻐요 예쁩니다 예쁘다 예뻐"),
        (Stem("있", kind=Kind.EXISTENCE), "있어요 있습니다 있다 있어"),
        (Stem("의사", "이다", Kind.COPULA), "의사예요 의사입니다 의사다 의사야"),
        (honored(Stem("읽")), "읽으세요 읽으십니다 읽으신다 읽으셔"),
        (Stem("드시", "시"), "드세요 드십니다 드신다 드셔"),
    ],
)
def test_statements_in_the_present_have_a_form_in_each_style(stem: Stem, forms: str) -> None:
    assert [statement(stem, style, NOW) for style in Style] == forms.split()


def test_statements_in_the_past_and_future_have_a_form_in_each_style() -> None:
    assert [statement(Stem("듣", "ㄷ"), style, PAST) for style in Style] == [
        "들었어요",
        "들었습니다",
        "들었다",
        "들었어",
    ]
    assert [statement(Stem("살"), style, FUTURE) for style in Style] == [
        "살 거예요",
        "살 겁니다",
        "살 것이다",
        "살 거야",
    ]


def test_honorific_past_is_contracted() -> None:
    assert statement(honored(Stem("돕", "ㅂ")), POLITE, PAST) == "도우셨어요"
    assert statement(Stem("주무시", "시"), Style.FORMAL, PAST) == "주무셨습니다"


def test_the_honorific_copula_is_contracted_after_a_vowel() -> None:
    teacher, doctor = (honored(Stem(noun, "이다", Kind.COPULA)) for noun in ("선생님", "의사"))
    assert statement(teacher, POLITE, NOW) == "선생님이세요"
    assert statement(doctor, POLITE, NOW) == "의사세요"
    assert statement(doctor, POLITE, PAST) == "의사셨어요"


def test_casual_questions_may_be_blunt() -> None:
    assert question(Stem("살"), Style.CASUAL, NOW, blunt=True) == "사니?"
    assert question(adjective("춥", "ㅂ"), Style.CASUAL, PAST, blunt=True) == "추웠니?"
    assert question(Stem("가"), Style.FORMAL, FUTURE) == "갈 겁니까?"


@pytest.mark.parametrize(
    ("stem", "present", "past", "linked", "told"),
    [
        (Stem("먹"), "먹는", "먹은", "먹는데", "먹는다고"),
        (Stem("듣", "ㄷ"), "듣는", "들은", "듣는데", "듣는다고"),
        (Stem("만들"), "만드는", "만든", "만드는데", "만든다고"),
        (Stem("굽", "ㅂ"), "굽는", "구운", "굽는데", "굽는다고"),
        (adjective("예쁘"), "예쁜", "예뻤던", "예쁜데", "예쁘다고"),
        (adjective("길"), "긴", "길었던", "긴데", "길다고"),
        (adjective("가깝", "ㅂ"), "가까운", "가까웠던", "가까운데", "가깝다고"),
        (adjective("빨갛", "ㅎ"), "빨간", "빨갰던", "빨간데", "빨갛다고"),
        (Stem("재미있", kind=Kind.EXISTENCE), "재미있는", "재미있었던", "재미있는데", "재미있다고"),
        (Stem("학생", "이다", Kind.COPULA), "학생인", "학생이었던", "학생인데", "학생이라고"),
    ],
)
def test_verbs_and_adjectives_differ_before_nouns_and_in_reports(
    stem: Stem, present: str, past: str, linked: str, told: str
) -> None:
    assert (adnominal(stem, NOW), adnominal(stem, PAST), background(stem, NOW), quoted(stem, NOW)) == (
        present,
        past,
        linked,
        told,
    )


def test_reports_of_past_and_future_keep_their_tense() -> None:
    assert quoted(Stem("가"), PAST) == "갔다고"
    assert quoted(Stem("가"), FUTURE) == "갈 거라고"
