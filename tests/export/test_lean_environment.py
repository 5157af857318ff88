"""An exported model translates where neither PyTorch nor most of the other dependencies are installed."""

import os
import re
import subprocess
import sys
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

from kotrans.storage.files import read_lines
from tests.docs.pages import ROOT
from tests.tiny_run import TinyRun, kotrans

pytestmark = pytest.mark.e2e

# Arguments: the modules that cannot be imported, with commas between them, and the code.
PROGRAM = """
import sys
missing = {*sys.argv.pop(1).split(",")}

class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in missing:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Missing())
exec(sys.argv.pop(1))
"""
COMMAND = "from kotrans.cli import main; main()"
SERVICE = "import kotrans.serve.server, kotrans.serve.application, kotrans.serve.worker"


def packages(page: str) -> set[str]:
    """Returns the packages that a file of docs installs with `pip install --no-deps`."""
    commands = (ROOT / "docs" / page).read_text("utf-8").replace("\\\n", " ")
    found = re.search(r"install [^\n]*--no-deps -c constraints.txt([\w\- ]+)", commands)
    assert found
    return set(found[1].split())


def run_with(installed: set[str], code: str, *arguments: str) -> str:
    """Runs code in a process that cannot import the modules of other packages than these."""
    missing = [
        module
        for module, owners in packages_distributions().items()
        if not {"kotrans", *installed} & {re.sub("[_.]", "-", owner.lower()) for owner in owners}
    ]
    assert "torch" in missing
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, ",".join(missing), code, *arguments], cwd=ROOT, check=False,
        env=os.environ | {"PYTHONWARNINGS": "error"}, capture_output=True, encoding="utf-8",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("name", ["model", "model.zip"])
def test_an_exported_model_translates_and_scores_with_the_packages_of_the_documentation(
    name: str, run: TinyRun, tmp_path: Path
) -> None:
    model = str(tmp_path / name)
    assert kotrans("export", "tiny", model).code == 0
    source, target = read_lines(run.folder / "test.ko")[:3], read_lines(run.folder / "test.en")[0]
    for command in (
        ["translate", *source],
        ["translate", "--n-best", "2", "--json", "--file", str(run.folder / "test.ko")],
        ["score", source[0], target],
    ):
        expected = kotrans(*command, "--model", model)
        assert expected.out
        assert run_with(packages("export.md"), COMMAND, *command, "--model", model) == expected.out


def test_the_service_runs_with_the_packages_of_the_dockerfile_which_are_those_of_the_pages() -> None:
    run_with(packages("Dockerfile"), SERVICE)
    assert packages("Dockerfile") == packages("export.md") | packages("serving.md")
