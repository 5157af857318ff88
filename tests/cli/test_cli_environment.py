"""What the command line sets for the libraries before it loads them, unless the user has set it."""

import os
import subprocess
import sys

import pytest


@pytest.mark.parametrize(
    ("given", "spin_count"),
    [({}, "10000"), ({"GOMP_SPINCOUNT": "7"}, "7"), ({"OMP_WAIT_POLICY": "passive"}, None)],
    ids=["nothing set", "another count", "a policy"],
)
def test_threads_spin_for_a_while_unless_the_user_says_how_they_wait(
    given: dict[str, str], spin_count: str | None
) -> None:
    program = "import os, sys, kotrans.cli; print(os.environ.get('GOMP_SPINCOUNT'), 'torch' in sys.modules)"
    kept = {name: value for name, value in os.environ.items() if name not in ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY")}
    result = subprocess.run(
        [sys.executable, "-c", program], env=kept | given, capture_output=True, text=True, check=True
    )
    assert result.stdout == f"{spin_count} False\n"
