"""Held-out splits."""

import random
from hashlib import blake2b
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kotrans.config.sections import CleaningConfig
from kotrans.data import holdout
from kotrans.data.cleaning import PairRules, sentence_key
from kotrans.data.formats.pairs import Pairs
from kotrans.errors import DataError
from kotrans.text.normalization import normalize


def hold_out(pairs: Pairs, wanted: dict[str, int], where: str) -> dict[str, Pairs]:
    """Returns all splits, including the rest as `train`."""
    with TemporaryDirectory() as folder:
        pairs_of = zip(pairs.source, pairs.target, strict=True)
        splits, train = holdout.hold_out(pairs_of, wanted, where, Path(folder) / "scratch")
        return splits | {"train": Pairs.of(train)}


def corpus_of(count: int) -> Pairs:
    return Pairs([f"문장 {n}번입니다." for n in range(count)], [f"This is sentence {n}." for n in range(count)])


def together(pairs: Pairs) -> set[tuple[str, str]]:
    return set(zip(*pairs, strict=True))


def test_splits_have_the_requested_sizes_and_train_the_rest_in_order() -> None:
    whole = corpus_of(500)
    splits = hold_out(whole, {"dev": 30, "test": 40}, "own")
    assert {name: len(pairs.source) for name, pairs in splits.items()} == {"dev": 30, "test": 40, "train": 430}
    assert set.union(*map(together, splits.values())) == together(whole)
    numbers = [int(line.split()[1].removesuffix("번입니다.")) for line in splits["train"].source]
    assert numbers == sorted(numbers)


def test_order_does_not_matter() -> None:
    whole = corpus_of(500)
    order = random.Random(1).sample(range(500), 500)
    shuffled = Pairs([whole.source[i] for i in order], [whole.target[i] for i in order])
    one, other = hold_out(whole, {"test": 240, "dev": 230}, "own"), hold_out(shuffled, {"dev": 230, "test": 240}, "own")
    assert one["dev"] == other["dev"]
    assert one["test"] == other["test"]


def test_a_split_stays_nearly_the_same_when_upstream_grows() -> None:
    before, after = (hold_out(corpus_of(count), {"dev": 200, "test": 200}, "own") for count in (2000, 2100))
    for split in ("dev", "test"):
        # A twentieth more pairs push out about a twentieth of 200; 30 is more than six standard deviations above.
        assert len(together(before[split]) - together(after[split])) < 30
    assert len(together(before["dev"]) & together(after["test"])) < 5


@given(st.lists(st.tuples(st.integers(0, 12), st.integers(0, 12)), min_size=1, max_size=60), st.integers(1, 5))
def test_no_sentence_occurs_in_two_splits(links: list[tuple[int, int]], wanted: int) -> None:
    pairs = Pairs([f"문장 {a}" for a, _ in links], [f"Sentence {b}" for _, b in links])
    try:
        splits = hold_out(pairs, {"dev": wanted, "test": wanted}, "own")
    except DataError:
        return
    for side in (0, 1):
        lines = [set(split[side]) for split in splits.values()]
        assert sum(map(len, lines)) == len(set.union(*lines))
    assert all(0.9 * wanted <= len(splits[name].source) <= wanted for name in ("dev", "test"))


def test_spellings_of_one_sentence_stay_together() -> None:
    pairs = Pairs(["가.", "가!", "나."], ["Go.", "Go on.", "I"])
    splits = hold_out(pairs, {"dev": 1}, "own")
    assert together(splits["dev"]) == {("나.", "I")}


def test_with_two_translations_of_everything_a_split_is_nearly_full() -> None:
    once = corpus_of(100)
    twice = Pairs(once.source * 2, once.target + [line.lower() for line in once.target])
    assert len(hold_out(twice, {"dev": 21}, "own")["dev"].source) == 20


def test_too_few_pairs_are_an_error_with_fitting_sizes() -> None:
    with pytest.raises(DataError) as caught:
        hold_out(corpus_of(20), {"dev": 30, "test": 1}, "own")
    assert str(caught.value) == (
        "own: holdout requires 30 pairs for dev, but that many cannot be separated from the 20 that cleaning keeps "
        "without sharing a sentence; use a smaller number, for example holdout: {dev: 2, test: 1}"
    )
    with pytest.raises(DataError, match=r"from the 3 .*; use a smaller number, there are too few for any split"):
        hold_out(corpus_of(3), {"dev": 30}, "own")


def test_pairs_that_cleaning_drops_are_never_held_out_and_do_not_link_groups(tmp_path: Path) -> None:
    good = corpus_of(30)
    bad = [
        ("나무입니다.", ""),
        ("", "A tree."),
        ("same", "same"),
        ("This is it.", "이것입니다."),
        ("가" * 9999, "a"),
    ] * 4
    pairs = [pair for pairs in zip(zip(*good, strict=True), bad) for pair in pairs]  # noqa: B905
    pairs += [pair for pair in zip(*good, strict=True) if pair not in pairs]
    rules = PairRules(CleaningConfig())
    splits, train = holdout.hold_out(pairs, {"dev": 12, "test": 12}, "own", tmp_path / "scratch", rules=rules)
    held_out = [pair for split in splits.values() for pair in zip(*split, strict=True)]
    assert len(held_out) == 24
    assert not [pair for pair in held_out if rules(*pair)]
    left = list(train)
    assert [pair for pair in left if pair in bad] == bad
    assert sorted(left + held_out) == sorted(pairs)


def simple_definition(pairs: Pairs, wanted: dict[str, int]) -> dict[str, list[tuple[str, str]]] | None:
    """Takes groups in order of rank where they fit; None if a split stays too small."""
    rows = list(zip(*pairs, strict=True))
    same = [(sentence_key(normalize(source)), sentence_key(normalize(target))) for source, target in rows]
    groups: list[list[int]] = []
    for row in range(len(rows)):
        near = [
            group for group in groups if any(a == b for i in group for a, b in zip(same[i], same[row], strict=True))
        ]
        groups = [group for group in groups if group not in near] + [[row, *(i for group in near for i in group)]]
    splits = {}
    for split in sorted(wanted):

        def rank(row: int, split: str = split) -> bytes:
            return blake2b(f"{split}\n{same[row][1]}".encode(), digest_size=16).digest()

        taken: list[int] = []
        for group in sorted(groups, key=lambda group: min(map(rank, group))):
            if len(taken) + len(group) <= wanted[split]:
                taken += sorted(group, key=lambda row: (rank(row), rows[row]))
                groups.remove(group)
        if len(taken) < 0.9 * wanted[split]:
            return None
        splits[split] = [rows[row] for row in taken]
    return splits | {"train": [rows[row] for row in sorted(row for group in groups for row in group)]}


LINKS = st.lists(st.tuples(st.integers(0, 25), st.integers(0, 25)), min_size=1, max_size=50)


@given(LINKS, st.integers(1, 9), st.integers(1, 9))
def test_held_out_groups_are_those_of_the_simple_definition(links: list[tuple[int, int]], dev: int, test: int) -> None:
    pairs = Pairs([f"문장 {a}" for a, _ in links], [f"Sentence {b}" for _, b in links])
    wanted = {"dev": dev, "test": test}
    expected = simple_definition(pairs, wanted)
    if expected is None:
        with pytest.raises(DataError, match="holdout requires"):
            hold_out(pairs, wanted, "own")
    else:
        splits = hold_out(pairs, wanted, "own")
        assert {name: list(zip(*split, strict=True)) for name, split in splits.items()} == expected


def test_the_text_is_unchanged(tmp_path: Path) -> None:
    odd = [("\ufeff가\r", " a\u2028b\x00 "), ("나\x1c\x85", "c\r"), ("", "\ufeff"), ("다", "d")]
    splits, train = holdout.hold_out(odd, {"dev": 1}, "own", tmp_path / "scratch")
    assert sorted([*train, *zip(*splits["dev"], strict=True)]) == sorted(odd)


def of_documents(sizes: dict[str, int], wanted: dict[str, int]) -> dict[str, Pairs]:
    """Holds out of a corpus in which every pair says which document it is of."""
    pairs = [(f"{name} 문장 {n}", f"{name} sentence {n}") for name, size in sizes.items() for n in range(size)]
    with TemporaryDirectory() as folder:
        splits, train = holdout.hold_out(pairs, wanted, "own", Path(folder) / "scratch", documents=sizes)
        return splits | {"train": Pairs.of(train)}


@pytest.mark.parametrize("seed", range(5))
def test_documents_are_held_out_as_a_whole_and_in_order(seed: int) -> None:
    draw = random.Random(seed)
    sizes = {f"file-{seed}-{n}": draw.randint(0, 30) for n in range(60)}
    splits = of_documents(sizes, {"dev": 100, "test": 80})
    found = {split: {line.split()[0] for line in pairs.source} for split, pairs in splits.items()}
    assert not found["dev"] & found["test"]
    assert not found["train"] & (found["dev"] | found["test"])
    assert 90 <= len(splits["dev"].source) <= 100
    for name in found["dev"]:
        assert [line for line in splits["dev"].target if line.startswith(f"{name} ")] == [
            f"{name} sentence {n}" for n in range(sizes[name])
        ]


def test_the_order_of_documents_does_not_decide_which_are_held_out() -> None:
    sizes = {f"file-{n}": 10 for n in range(40)}
    one, other = (of_documents(dict(order), {"dev": 50}) for order in (sizes.items(), reversed(sizes.items())))
    assert together(one["dev"]) == together(other["dev"])


def test_documents_that_are_all_too_large_are_an_error() -> None:
    with pytest.raises(DataError, match="cannot be separated"):
        of_documents({"one": 500, "two": 500}, {"dev": 100})
