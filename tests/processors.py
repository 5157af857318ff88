"""Markers for tests that need features of the processor."""

import pytest

from kotrans.model.kernels.products import multiplies_int8

INT8 = pytest.mark.skipif(not multiplies_int8(), reason="this processor does not add products in int8 exactly")
