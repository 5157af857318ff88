"""The typed config: accepted and refused values, and the round trip through YAML."""

import unicodedata
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import ValidationError

from kotrans.config.loading import check_config, check_overrides, dump_config, known_keys, load_config
from kotrans.config.schema import Config
from kotrans.config.sections import CorpusConfig, Fields, SplitConfig
from kotrans.errors import ConfigError, DataError

STARTER: dict[str, Any] = {"name": "c", "corpora": [{"name": "starter"}]}


def config(**sections: Any) -> Config:
    return check_config(STARTER | sections, "c.yaml")


def refusal(values: dict[Any, Any]) -> str | None:
    """Returns the error message for values; None if they are a config."""
    try:
        check_config(values, "c.yaml")
    except ConfigError as error:
        return str(error)
    return None


def written(folder: Path, text: str) -> Path:
    (folder / "c.yaml").write_text(text, encoding="utf-8")
    return folder / "c.yaml"


def test_the_file_name_is_the_default_name_of_the_config(tmp_path: Path) -> None:
    assert load_config(written(tmp_path, "corpora: [{name: starter}]")).name == "c"
    assert load_config(written(tmp_path, "name: other\ncorpora: [{name: starter}]")).name == "other"


def test_a_config_is_immutable() -> None:
    with pytest.raises(ValidationError, match=r"frozen"):
        config().seed = 2  # type: ignore[misc]
    with pytest.raises(ValidationError, match=r"frozen"):
        config().encoder.layers = 2  # type: ignore[misc]


SETTINGS = st.fixed_dictionaries(
    {},
    optional={
        "seed": st.integers(0, 2**31 - 1),
        "search": st.fixed_dictionaries(
            {}, optional={"beam": st.integers(1, 1000), "length_penalty": st.floats(0, 1e6)}
        ),
        "training": st.fixed_dictionaries(
            {},
            optional={
                "learning_rate": st.floats(1e-300, 1e300),
                "betas": st.tuples(*[st.floats(0, 1, exclude_max=True)] * 2),
                "max_minutes": st.none() | st.floats(0.1, 1e9),
            },
        ),
        "corpora": st.lists(
            st.fixed_dictionaries({"name": st.text(min_size=1, max_size=5)}, optional={"weight": st.floats(0.01, 100)}),
            min_size=1, max_size=3, unique_by=lambda corpus: str(corpus["name"]),
        ),
    },
)  # fmt: skip


@pytest.mark.slow
@given(SETTINGS)
@example({"corpora": [{"name": "\x85"}]})
@example({"corpora": [{"name": "a\u2028b\ufeff\tc\n d"}]})
def test_a_dumped_config_loads_as_the_same_config(settings: dict[str, Any]) -> None:
    try:
        made = config(**settings)
    except ConfigError:
        return  # an invalid name
    assert check_config(yaml.safe_load(dump_config(made)), "again") == made


@given(st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.dates(),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(st.sampled_from([*known_keys(), "x", 3, None]), inner, max_size=3),
    max_leaves=8,
))  # fmt: skip
def test_any_yaml_value_is_a_config_or_an_error_of_one_line(value: object) -> None:
    for values in (value, {**STARTER, "search": value}, {**STARTER, "corpora": value}, {"corpora": [value]}):
        if isinstance(values, dict):
            message = refusal(values)
            assert message is None or message.startswith("c.yaml: ")
            assert "pydantic" not in str(message)


@pytest.mark.parametrize(
    ("sections", "message"),
    [
        ({"encodr": {}}, "encodr: unknown setting; did you mean encoder?"),
        (
            {"encoder": {"hiden_size": 1}},
            "encoder.hiden_size: unknown setting; did you mean encoder.hidden_size?",
        ),
        ({"search": {"epsilon": 1}}, "search.epsilon: unknown setting; did you mean training.epsilon?"),
        ({"beam": 1}, "beam: unknown setting; did you mean search.beam?"),
        ({"qqqqqqq": 1}, "qqqqqqq: unknown setting"),
        (
            {"corpora": [{"name": "a", "wieght": 2}]},
            "corpora.0.wieght: unknown setting; did you mean corpora.weight?",
        ),
        ({"encoder": None}, "encoder: should be a section of settings, but it is null"),
        (
            {"search": {"beam": "many"}},
            "search.beam: should be a valid integer, unable to parse string as an integer, but it is many",
        ),
        ({"search": {"beam": 0}}, "search.beam: should be greater than or equal to 1, but it is 0"),
        ({"encoder": {"cell": "GRU"}}, "encoder.cell: should be 'lstm', 'gru' or 'rnn', but it is GRU"),
        (
            {"seed": list(range(100))},
            "seed: should be a valid integer, but it is [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 1…",
        ),
        (
            {"training": {"learning_rate": float("inf")}},
            "training.learning_rate: should be a finite number, but it is .inf",
        ),
        (
            {"attention": {"score": "additive", "scale": True}},
            "attention: attention.scale is for `dot` and `general`, but attention.score is `additive`",
        ),
        ({"corpora": []}, "corpora: should not be empty, but it is []"),
    ],
)
def test_an_error_names_the_key_and_the_remedy(sections: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        config(**sections)
    assert str(caught.value) == f"c.yaml: {message}"


def test_all_errors_are_reported_together() -> None:
    with pytest.raises(ConfigError, match=r"c.yaml: encoder.layers: .*; c.yaml: sede: "):
        config(encoder={"layers": 0}, sede=1)


@pytest.mark.parametrize(
    ("override", "problem"),
    [
        ("trainng.max_updates=3", "trainng.max_updates: unknown setting; did you mean training.max_updates?"),
        ("search.beem=3", "search.beem: unknown setting; did you mean search.beam?"),
        ("search.beam=0", "search.beam: should be greater than or equal to 1, but it is 0"),
        ("encoder={layers: 0}", "encoder.layers: should be greater than or equal to 1, but it is 0"),
        ("seed.x=3", "seed: should be a valid integer, but it is {x: 3}"),
        ("search=5", "search: should be a section of settings, but it is 5"),
    ],
)
def test_an_invalid_override_is_reported_even_without_a_config(override: str, problem: str, tmp_path: Path) -> None:
    for check in (check_overrides, lambda overrides: load_config(written(tmp_path, "corpora: [{name: a}]"), overrides)):
        with pytest.raises(ConfigError) as caught:
            check([override])
        assert str(caught.value) == f"--set {problem}"


def test_overrides_that_depend_on_other_settings_are_checked_with_the_config(tmp_path: Path) -> None:
    path = written(tmp_path, "corpora: [{name: a}]\nattention: {max_source_length: 9}")
    for overrides in (["attention.score=location"], ["embeddings.tie=all", "tokenizer.joint=true"], ["name=2024"]):
        check_overrides(overrides)
        assert load_config(path, overrides)
    with pytest.raises(ConfigError, match=r"c.yaml: embeddings.tie is `all`"):
        load_config(path, ["embeddings.tie=all"])


def test_numbers_may_have_exponents_as_in_yaml_1_2(tmp_path: Path) -> None:
    text = "corpora: [{name: a}]\ntraining: {learning_rate: 4e-4, epsilon: 1e-8, betas: [0.9, 98e-2], max_updates: 2E3}"
    training = load_config(written(tmp_path, text), ["training.clip_norm=+.5e+1"]).training
    assert (training.learning_rate, training.epsilon, training.betas) == (0.0004, 1e-8, (0.9, 0.98))
    assert (training.max_updates, training.clip_norm) == (2000, 5.0)


@pytest.mark.parametrize("name", ["2024", "007", "1e5", "no", "on", "true", "1.50", "2024-02-30", "0x1F", "1_000"])
def test_names_are_text_even_if_they_look_like_other_types(name: str, tmp_path: Path) -> None:
    text = f"""
name: {name}
corpora:
  - name: {name}
    format: tsv
    fields: {{source: {name}, target: {name}}}
    splits: {{{name}: {{path: {name}}}, dev: {{path: [{name}]}}}}
    holdout: {{x{name}: 1}}
"""
    loaded = load_config(written(tmp_path, text), [f"name={name}"])
    (corpus,) = loaded.corpora
    assert (loaded.name, corpus.name, corpus.fields.source, corpus.fields.target) == (name,) * 4
    assert list(corpus.splits) == [name, "dev"]
    assert (corpus.splits[name].path, corpus.splits["dev"].path) == (Path(name), (Path(name),))
    assert load_config(written(tmp_path, dump_config(loaded))) == loaded


@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("내글.yaml", "내글"),
        (unicodedata.normalize("NFD", "내글.yaml"), "내글"),
        ("내 글 (2).yaml", "내-글-2"),
        ("日本.yaml", "日本"),
        ("_a.yaml", "a"),
    ],
)
def test_the_name_of_a_config_may_have_letters_of_any_script(file: str, name: str, tmp_path: Path) -> None:
    (tmp_path / file).write_text("corpora: [{name: starter}]", encoding="utf-8")
    assert load_config(tmp_path / file).name == name
    assert config(name=name).name == name


def test_dot_requires_equal_widths_of_memory_and_decoder() -> None:
    attention, sizes = {"score": "dot"}, {"encoder": {"hidden_size": 8}, "decoder": {"hidden_size": 16}}
    assert config(attention=attention, **sizes).memory_size == 16
    one_way = {"encoder": {"hidden_size": 16, "bidirectional": False}, "decoder": {"hidden_size": 16}}
    assert config(attention=attention, **one_way).memory_size == 16
    with pytest.raises(ConfigError, match=r"have 32.*decoder.hidden_size is 16.*decoder.hidden_size to 32"):
        config(attention=attention, encoder={"hidden_size": 16}, decoder={"hidden_size": 16})
    assert config(attention={"score": "general"}, encoder={"hidden_size": 16}, decoder={"hidden_size": 16})


def test_tying_all_requires_a_joint_vocabulary() -> None:
    assert config(embeddings={"tie": "all"}, tokenizer={"joint": True})
    assert config(embeddings={"tie": "decoder"})
    with pytest.raises(ConfigError, match=r"needs tokenizer.joint: true"):
        config(embeddings={"tie": "all"})


def test_a_lexical_model_requires_attention() -> None:
    assert config(decoder={"lexical": True})
    with pytest.raises(ConfigError, match=r"decoder.lexical needs attention, but attention.score is `none`"):
        config(decoder={"lexical": True}, attention={"score": "none"})


def test_location_requires_a_maximum_source_length() -> None:
    assert config(attention={"score": "location", "max_source_length": 50})
    with pytest.raises(ConfigError, match=r"needs attention.max_source_length"):
        config(attention={"score": "location"})


@pytest.mark.parametrize(
    "wrong",
    [
        {"format": "lines"},
        {"splits": {"train": {"path": "x"}}},
        {"format": "tsv", "splits": {"train": {"path": "x", "source": "y", "target": "z"}}},
        {"format": "lines", "splits": {"train": {"source": "y"}}},
        {"format": "lines", "splits": {"train": {}}},
        {"format": "docx", "splits": {"train": {"path": "x"}}},
        {"weight": 0},
    ],
)
def test_the_files_and_the_format_of_an_own_corpus_must_match(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=r"c.yaml: corpora.0"):
        config(corpora=[{"name": "own"} | wrong])
    assert config(corpora=[{"name": "own", "format": "tsv", "splits": {"train": {"path": "x"}}}])


def test_paths_of_own_files_survive_a_round_trip() -> None:
    train = SplitConfig(path=Path("a/b.tsv"))
    dev = SplitConfig(path=(Path("~/c.tsv"), Path("말뭉치/**/*.tsv")))
    corpus = CorpusConfig(name="own", format="tsv", splits={"train": train, "dev": dev})
    again = check_config(yaml.safe_load(dump_config(config(corpora=[corpus.model_dump()]))), "again")
    assert again.corpora == (corpus,)


@pytest.mark.parametrize("wrong", [[], 7, ["a", 7], "", {"a": "b"}, True])
def test_files_must_be_a_name_or_a_list_of_names(wrong: object) -> None:
    with pytest.raises(ConfigError, match=r"splits.train.path: should be a file, a pattern .* or a list of these$"):
        config(corpora=[{"name": "own", "format": "tsv", "splits": {"train": {"path": wrong}}}])


def test_a_path_with_backslashes_in_double_quotes_is_explained(tmp_path: Path) -> None:
    text = 'corpora: [{name: own, format: tsv, splits: {train: {path: "C:\\%s\\table.tsv"}}}]'
    with pytest.raises(ConfigError, match=r"control characters; .*: use single quotes, or / between folders"):
        load_config(written(tmp_path, text % "news"))
    with pytest.raises(ConfigError, match=r"c.yaml:1: .*a backslash .* use single quotes, or / between folders"):
        load_config(written(tmp_path, text % "data"))
    with pytest.raises(ConfigError, match=r"c.yaml:1: .*a backslash .* use single quotes, or / between folders"):
        load_config(written(tmp_path, text % "xyz"))
    assert load_config(written(tmp_path, text.replace('"', "'") % "data"))


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("a: [", "c.yaml:1: not valid YAML"),
        ("a: 1\nb: {c: 1, d: 2, c: 3}", "c.yaml:2: not valid YAML .duplicate key c"),
        ("corpora: !!python/object/apply:os.system [true]", "c.yaml:1: not valid YAML .could not determine"),
        ("words", "a mapping of sections, but this is a str"),
        ("seed: 2024-13-01", "c.yaml: not valid YAML .month must be in"),
        ("1: 2", "c.yaml: .*"),
        ("? [a]\n: 1", "c.yaml:1: not valid YAML .found unhashable key"),
        ("\x07", "c.yaml: not valid YAML .special characters are not allowed"),
    ],
)
def test_a_file_that_is_not_a_config_is_refused_with_the_line(text: str, problem: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=problem):
        load_config(written(tmp_path, text))


def test_an_anchor_may_be_merged(tmp_path: Path) -> None:
    text = "corpora: [{name: starter}]\nencoder: &small {layers: 2, hidden_size: 9}\ndecoder: {<<: *small, layers: 3}\n"
    loaded = load_config(written(tmp_path, text))
    assert (loaded.decoder.layers, loaded.decoder.hidden_size) == (3, 9)


def test_a_config_with_a_wrong_encoding_or_path_is_refused(tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_bytes("name: 나무".encode("cp949"))
    with pytest.raises(DataError, match=r"c.yaml:1: not UTF-8 text; it looks like cp949"):
        load_config(tmp_path / "c.yaml")
    with pytest.raises(DataError, match=r"no.yaml: there is no such file"):
        load_config(tmp_path / "no.yaml")


def test_retired_settings_are_ignored_in_files_and_refused_in_overrides(tmp_path: Path) -> None:
    older = written(tmp_path, "corpora: [{name: starter}]\nserve: {gather_ms: 4.0, port: 1234}")
    assert load_config(older).serve.port == 1234
    with pytest.raises(ConfigError, match=r"serve.gather_ms: unknown setting"):
        load_config(older, ["serve.gather_ms=1"])
    with pytest.raises(ConfigError, match=r"serve.gather_mz: unknown setting"):
        load_config(written(tmp_path, "corpora: [{name: starter}]\nserve: {gather_mz: 4.0}"))


@pytest.mark.parametrize(
    ("override", "problem"),
    [
        ("beam", "--set beam: write it as section.key=value"),
        ("=3", "--set =3: write it as"),
        ("search.beam=[", "--set search.beam=.: the value is not valid YAML"),
        ("seed=2025-02-30", "--set seed=2025-02-30: the value is not valid YAML"),
        ("seed.x=1", "--set seed.x=1: seed is not a section"),
        ("corpora.0.name=x", "corpora is not a section"),
        ("search.beem=1", "search.beem: unknown setting; did you mean search.beam"),
    ],
)
def test_a_malformed_override_is_refused(override: str, problem: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=problem):
        load_config(written(tmp_path, "seed: 1\ncorpora: [{name: starter}]"), [override])


@pytest.mark.slow
@pytest.mark.parametrize("text", ["a: " + "[" * 3000, "{a: " * 3000, "- " * 3000])
def test_a_config_nested_too_deeply_is_refused_in_one_line(text: str, tmp_path: Path) -> None:
    path = tmp_path / "deep.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError) as error:
        load_config(path)
    assert str(error.value) == f"{path}: not a config (lists or mappings nested too deeply)"
    with pytest.raises(ConfigError, match=r"^--set search\.beam=\[.*: the value is not valid YAML"):
        load_config(Path("configs/starter.yaml"), [f"search.beam={'[' * 3000}"])


def test_column_names_may_be_text_or_whole_numbers_only() -> None:
    fields = Fields.model_validate({"source": 2, "target": 1})
    assert (fields.source, fields.target, fields.sheet) == ("2", "1", None)
    for value in (True, 1.5, None):
        with pytest.raises(ValidationError):
            Fields.model_validate({"source": value})
