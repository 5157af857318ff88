"""The grammar is a folder of scripts; its tests import its modules as the scripts do."""

import sys
from pathlib import Path

STARTER = Path(__file__).resolve().parents[2] / "data" / "starter"
if str(STARTER) not in sys.path:
    sys.path.insert(0, str(STARTER))
