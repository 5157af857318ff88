"""Everyday expressions: greetings, thanks, yes and no."""

from clauses import Pair
from endings import Style
from kinds_describing import job
from kinds_numbers import name, weather
from kinds_simple import mood, negation, statement
from lexicon import people
from scene import Scene

# English, then 해요체, 합니다체 and 해체; a dash if a style has no such expression.
MEETING = """
Hello. | 안녕하세요? | 안녕하십니까? | 안녕?
Nice to meet you. | 만나서 반가워요. | 만나서 반갑습니다. | 만나서 반가워.
Long time no see. | 오랜만이에요. | 오랜만입니다. | 오랜만이야.
"""
WELFARE = """
Welcome. | 어서 오세요. | 어서 오십시오. | 어서 와.
How are you? | 잘 지내세요? | 잘 지내십니까? | 잘 지내?
I am doing well. | 저는 잘 지내요. | 저는 잘 지냅니다. | 나는 잘 지내.
What is your name? | 이름이 뭐예요? | 성함이 어떻게 되십니까? | 이름이 뭐야?
"""
REPLIES = """
Thank you. | 고마워요. | 감사합니다. | 고마워.
I am sorry. | 미안해요. | 죄송합니다. | 미안해.
It is okay. | 괜찮아요. | 괜찮습니다. | 괜찮아.
That is right. | 맞아요. | 맞습니다. | 맞아.
I understand. | 알겠어요. | 알겠습니다. | 알겠어.
Of course. | 물론이에요. | 물론입니다. | 물론이지.
Congratulations. | 축하해요. | 축하합니다. | 축하해.
Happy birthday. | 생일 축하해요. | 생일 축하합니다. | 생일 축하해.
I am not sure. | 잘 모르겠어요. | 잘 모르겠습니다. | 잘 모르겠어.
"""
PARTING = """
Goodbye. | 안녕히 가세요. | 안녕히 가십시오. | 잘 가.
Good night. | 안녕히 주무세요. | 안녕히 주무십시오. | 잘 자.
See you tomorrow. | 내일 봐요. | 내일 뵙겠습니다. | 내일 봐.
See you later. | 나중에 봐요. | 나중에 뵙겠습니다. | 나중에 봐.
Have a nice weekend. | 주말 잘 보내세요. | 주말 잘 보내십시오. | 주말 잘 보내.
Have a nice day. | 좋은 하루 보내세요. | 좋은 하루 보내십시오. | 좋은 하루 보내.
Be careful. | 조심하세요. | 조심하십시오. | 조심해.
"""
TURNING = """
Excuse me. | 실례합니다. | 실례합니다. | -
Hey. | 저기요. | - | 야.
"""
ASKING = """
Please wait a moment. | 잠깐만 기다려 주세요. | 잠시만 기다려 주십시오. | -
Please say that again. | 다시 말씀해 주세요. | 다시 말씀해 주십시오. | -
Please speak slowly. | 천천히 말씀해 주세요. | 천천히 말씀해 주십시오. | -
Please help me. | 도와주세요. | 도와주십시오. | 도와줘.
What time is it now? | 지금 몇 시예요? | 지금 몇 시입니까? | 지금 몇 시야?
Where is the restroom? | 화장실이 어디예요? | 화장실이 어디입니까? | 화장실이 어디야?
How much is it? | 얼마예요? | 얼마입니까? | 얼마야?
"""
EXCHANGES = ((MEETING, WELFARE), (REPLIES, PARTING), (TURNING, ASKING))
STYLES = (Style.POLITE, Style.FORMAL, Style.CASUAL)
YES = {Style.POLITE: "네", Style.FORMAL: "네", Style.CASUAL: "응"}
NO = {Style.POLITE: "아니요", Style.FORMAL: "아니요", Style.CASUAL: "아니"}


def expressions(table: str, style: Style) -> list[Pair]:
    """Returns the expressions of a table in a style."""
    rows = [line.split(" | ") for line in table.strip().splitlines()]
    column = 1 + STYLES.index(style)
    return [Pair(row[column], row[0]) for row in rows if row[column] != "-"]


def expression(scene: Scene) -> Pair:
    """실례합니다. / 감사합니다. 내일 뵙겠습니다."""
    first, second = (expressions(table, scene.style) for table in scene.rng.choice(EXCHANGES))
    opener, closer = scene.rng.choice(first), scene.rng.choice(second)
    if scene.chance(0.4):
        return opener if scene.chance(0.4) else closer
    return Pair(f"{opener.ko} {closer.ko}", f"{opener.en} {closer.en}")


def greeted(scene: Scene) -> Pair:
    """안녕하세요? 저는 학생이에요."""
    opener = scene.rng.choice(expressions(MEETING, scene.style))
    rest = scene.rng.choice((job, name, weather, mood))(scene)
    return Pair(f"{opener.ko} {rest.ko}", f"{opener.en} {rest.en}")


def answer(scene: Scene) -> Pair:
    """네, 저는 매일 커피를 마셔요. / 아니요, 저는 커피를 안 마셔요."""
    if scene.chance(0.5):
        rest = statement(scene)
        return Pair(f"{YES[scene.style]}, {rest.ko}", f"Yes, {continued(rest.en)}")
    rest = negation(scene)
    return Pair(f"{NO[scene.style]}, {rest.ko}", f"No, {continued(rest.en)}")


def continued(english: str) -> str:
    """Returns a sentence for use after a comma: in lower case unless it begins with a name or I."""
    capital = {"I"} | {person.en for person in people() if "name" in person.roles}
    first = english.partition(" ")[0].removesuffix("'s")
    return english if first in capital else english[0].lower() + english[1:]
