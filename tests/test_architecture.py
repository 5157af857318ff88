"""The house rules that a program can check."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import kotrans

PACKAGE = Path(kotrans.__file__).parent
FILES = sorted(PACKAGE.rglob("*.py"))


def own_name(path: Path) -> str:
    """The package or module of kotrans that a file belongs to."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imported(path: Path) -> Iterator[str]:
    """Dotted names of all that a file imports, anywhere in it."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: write imports in full"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def functions(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def ids(path: Path) -> str:
    return path.relative_to(PACKAGE).as_posix()


def run_python(program: str) -> str:
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout


def test_no_module_imports_itself_by_way_of_others() -> None:
    """The order of the packages is checked once every module has its room; until then, that there is an order."""
    modules = {".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts): path for path in FILES}
    used = {name: {each for each in imported(path)} for name, path in modules.items()}
    below = {
        name: {part for each in names for part in (each, each.rpartition(".")[0]) if part in modules and part != name}
        for name, names in used.items()
    }
    TopologicalSorter(below).prepare()


def test_networks_take_plain_numbers_and_no_config() -> None:
    for path in (PACKAGE / "model").glob("*.py"):
        assert path.name == "build.py" or not [name for name in imported(path) if name.startswith("kotrans.config")]


def test_the_command_line_answers_without_torch() -> None:
    heavy = "sorted({'torch', 'numpy', 'pydantic', 'matplotlib', 'sentencepiece', 'sacrebleu'} & set(sys.modules))"
    assert run_python(f"import sys, kotrans; print({heavy})") == "[]\n"
    program = f"""
import sys
from kotrans.cli import main
sys.argv = ["kotrans", *sys.argv[1:], "--help"]
try:
    main()
except SystemExit as end:
    print(end.code, {heavy})
"""
    assert run_python(program).endswith("\n0 []\n")
    for command in ("config", "runs", "corpora"):
        light = (
            program.replace('"--help"', '"config", "show"')
            if command == "config"
            else program.replace("--help", command)
        )
        assert "torch" not in run_python(light).rsplit("\n", 2)[-2]


def test_the_console_script_is_the_function_that_the_tests_call() -> None:
    pyproject = (PACKAGE.parent / "pyproject.toml").read_text("utf-8")
    assert 'kotrans = "kotrans.cli:main"' in pyproject


@pytest.mark.parametrize("path", FILES, ids=ids)
def test_files_and_functions_fit_on_a_page(path: Path) -> None:
    assert len(path.read_text("utf-8").split("\n")) - 1 <= 300
    for function in functions(path):
        assert (function.end_lineno or 0) - function.lineno + 1 <= 50, f"{function.name} is too long"


@pytest.mark.parametrize("path", FILES, ids=ids)
def test_every_function_is_annotated(path: Path) -> None:
    for function in functions(path):
        assert function.returns is not None, f"{function.name} says not what it returns"
        arguments = function.args
        named = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs, arguments.vararg, arguments.kwarg]
        bare = [each.arg for each in named if each and each.annotation is None and each.arg not in ("self", "cls")]
        assert not bare, f"{function.name}: {bare}"


@pytest.mark.parametrize("path", FILES, ids=ids)
def test_whatever_others_may_call_says_what_it_does(path: Path) -> None:
    tree = ast.parse(path.read_text("utf-8"))
    assert ast.get_docstring(tree) or not tree.body, "the module has no docstring"
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_"):
            assert ast.get_docstring(node), f"{node.name} has no docstring"


@pytest.mark.parametrize("path", FILES, ids=ids)
def test_only_the_command_line_prints_and_nothing_reads_code_from_files(path: Path) -> None:
    names = set(imported(path))
    assert not [name for name in names if name.split(".")[0] in ("pickle", "marshal", "shelve", "dill", "joblib")]
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if not isinstance(node, ast.Call):
            continue
        call = ast.unparse(node.func)
        assert call not in ("torch.load", "torch.save", "yaml.load", "yaml.unsafe_load", "eval", "exec"), call
        assert call != "print", "let the command line print"
        if call in ("np.load", "numpy.load"):
            assert "allow_pickle=False" in ast.unparse(node)
    if own_name(path) not in ("cli", "__main__"):
        assert not [name for name in names if name.split(".")[0] == "typer"]


def test_no_module_is_a_drawer_for_what_has_no_place() -> None:
    drawers = {"utils", "util", "helpers", "helper", "common", "misc", "constants", "types", "base", "core"}
    assert not drawers & {path.stem for path in FILES}


def test_packages_export_nothing_again() -> None:
    for path in FILES:
        if path.name == "__init__.py" and path.parent not in (PACKAGE, PACKAGE / "cli"):
            assert not list(imported(path)), f"{path}: import from the module itself"
