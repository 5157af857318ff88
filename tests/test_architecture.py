"""Rules of the layout that a program can check."""

import ast
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from graphlib import TopologicalSorter
from importlib.metadata import entry_points
from pathlib import Path

import pytest

import kotrans
from kotrans.cli import main

PACKAGE = Path(kotrans.__file__).parent
FILES = sorted(PACKAGE.rglob("*.py"))


# A package may import those above it.
PACKAGES = (
    "errors",
    "text",
    "storage",
    "config",
    "parallel",
    "model",
    "data",
    "runs",
    "engine",
    "search",
    "translation",
    "evaluation",
    "report",
    "training",
    "export",
    "serve",
    "bench",
    "cli",
    "__main__",
)
RANK = {name: rank for rank, name in enumerate(PACKAGES)}
LEAVES = ("bench", "serve", "export")
WITHOUT_TORCH = ("errors", "text", "storage", "config", "evaluation")


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


def files_of(package: str) -> list[Path]:
    return [path for path in FILES if own_name(path) == package]


def ids(path: Path) -> str:
    return path.relative_to(PACKAGE).as_posix()


def run_python(program: str) -> str:
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout


def test_nothing_lies_loose_beside_the_packages() -> None:
    assert {path.stem for path in PACKAGE.glob("*.py")} == {"__init__", "__main__", "errors"}
    assert {own_name(path) for path in FILES} - {"__init__"} == set(PACKAGES)


@pytest.mark.parametrize("package", [*PACKAGES, "__init__"])
def test_imports_go_up_the_list_of_packages_only(package: str) -> None:
    for path in files_of(package):
        own = own_name(path)
        for name in imported(path):
            root, *rest = name.split(".")
            if root == "kotrans" and path != PACKAGE / "__init__.py":
                assert rest, f"{name}: import from the module that defines it"
                assert rest[0] in RANK, f"{name}: import from the module that defines it"
                assert rest[0] == own or RANK[rest[0]] < RANK[own], f"{own} must not import {name}: {path}"
                assert rest[0] not in LEAVES or own in (rest[0], "cli"), f"only cli may import {name}"


def test_no_module_imports_itself_by_way_of_others() -> None:
    modules = {".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts): path for path in FILES}
    below = {
        name: {part for each in imported(path) for part in (each, each.rpartition(".")[0]) if part in modules} - {name}
        for name, path in modules.items()
    }
    TopologicalSorter(below).prepare()  # raises CycleError


def test_no_file_name_occurs_twice() -> None:
    counts = Counter(path.name for path in FILES if path.name != "__init__.py")
    assert [name for name, number in counts.items() if number > 1] == []


@pytest.mark.parametrize("package", sorted(path.parent for path in PACKAGE.rglob("*/__init__.py")), ids=ids)
def test_a_package_says_what_lives_there_and_exports_nothing_again(package: Path) -> None:
    tree = ast.parse((package / "__init__.py").read_text("utf-8"))
    assert len((ast.get_docstring(tree) or "").split()) >= 10
    assert package.name == "cli" or not list(imported(package / "__init__.py")), "import from the module itself"


@pytest.mark.parametrize("path", [path for path in FILES if own_name(path) in WITHOUT_TORCH], ids=ids)
def test_what_needs_no_torch_imports_none(path: Path) -> None:
    assert not [name for name in imported(path) if name.split(".")[0] in ("torch", "safetensors")]


@pytest.mark.parametrize(
    ("prefix", "never", "because"),
    [
        ("search", "kotrans.model", "it is tested with lookup tables over the Stepper protocol"),
        ("text", "kotrans.config", "it has functions of strings only"),
        ("training/loop.py", "kotrans.search", "validation comes to it as a function"),
    ],
)
def test_some_packages_do_not_import_all_that_they_may(prefix: str, never: str, because: str) -> None:
    files = [path for path in FILES if ids(path).startswith(prefix)]
    assert files
    for path in files:
        assert not [name for name in imported(path) if name.startswith(never)], because


def test_networks_take_plain_numbers_and_no_config() -> None:
    for path in (PACKAGE / "model").rglob("*.py"):
        assert path.name == "build.py" or not [name for name in imported(path) if name.startswith("kotrans.config")]


@pytest.mark.slow
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
    (script,) = entry_points(group="console_scripts", name="kotrans")
    assert script.load() is main


@pytest.mark.parametrize("package", [*PACKAGES, "__init__"])
def test_files_and_functions_fit_on_a_page(package: str) -> None:
    for path in files_of(package):
        assert len(path.read_text("utf-8").split("\n")) - 1 <= 400, path
        for function in functions(path):
            assert (function.end_lineno or 0) - function.lineno + 1 <= 60, f"{path}: {function.name} is too long"


@pytest.mark.parametrize("package", [*PACKAGES, "__init__"])
def test_modules_and_public_names_have_docstrings(package: str) -> None:
    for path in files_of(package):
        tree = ast.parse(path.read_text("utf-8"))
        assert ast.get_docstring(tree) or not tree.body, f"{path} has no docstring"
        for node in tree.body:
            if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_"):
                assert ast.get_docstring(node), f"{path}: {node.name} has no docstring"


@pytest.mark.parametrize("package", [*PACKAGES, "__init__"])
def test_only_the_command_line_prints_and_nothing_reads_code_from_files(package: str) -> None:
    for path in files_of(package):
        names = set(imported(path))
        assert not [
            name for name in names if name.split(".")[0] in ("pickle", "marshal", "shelve", "dill", "joblib")
        ], path
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if not isinstance(node, ast.Call):
                continue
            call = ast.unparse(node.func)
            assert call not in ("torch.load", "torch.save", "yaml.load", "yaml.unsafe_load", "eval", "exec"), (
                f"{path}: {call}"
            )
            assert call != "print", f"{path}: let the command line print"
            if call in ("np.load", "numpy.load"):
                assert "allow_pickle=False" in ast.unparse(node), path
        if own_name(path) not in ("cli", "__main__"):
            assert not [name for name in names if name.split(".")[0] == "typer"], path
