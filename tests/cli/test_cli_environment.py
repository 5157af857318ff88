"""Environment variables that the command line sets for libraries before it loads them."""

import os
import subprocess
import sys

import pytest

pytestmark = pytest.mark.e2e


@pytest.mark.parametrize(
    ("given", "spin_count"),
    [({}, "10000"), ({"GOMP_SPINCOUNT": "7"}, "7"), ({"OMP_WAIT_POLICY": "passive"}, None)],
    ids=["nothing set", "another count", "a policy"],
)
def test_the_spin_count_is_set_unless_the_user_has_set_it_or_a_wait_policy(
    given: dict[str, str], spin_count: str | None
) -> None:
    program = "import os, sys, kotrans.cli; print(os.environ.get('GOMP_SPINCOUNT'), 'torch' in sys.modules)"
    kept = {name: value for name, value in os.environ.items() if name not in ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY")}
    result = subprocess.run(
        [sys.executable, "-c", program], env=kept | given, capture_output=True, text=True, check=True
    )
    assert result.stdout == f"{spin_count} False\n"
