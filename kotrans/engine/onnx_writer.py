"""Writes ONNX models: the protocol buffer messages of onnx.proto, version 17 of the operators.

The format is small and stable. Writing it here makes graphs in milliseconds, and a translator needs no package for it.
Weights stay outside of the model: a session receives the arrays themselves, so that they are not copied.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Self, Union

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
Attribute = Union[int, float, str, Sequence[int], Sequence[str], "Graph"]

_IR_VERSION = 8
_OPSETS = {"": 17, "com.microsoft": 1}
_DTYPES = {
    np.dtype(np.float32): 1, np.dtype(np.uint8): 2, np.dtype(np.int8): 3, np.dtype(np.int32): 6,
    np.dtype(np.int64): 7, np.dtype(np.bool_): 9, np.dtype(np.float64): 11,
}  # fmt: skip
_LARGEST_INLINE = 1024  # bytes; a larger array is passed to the session
_EXTERNAL = 1  # TensorProto.DataLocation


class Graph:
    """A graph under construction. Values are named by strings, as in ONNX.

    A weight that occurs in several places is stored once: arrays are identified by their name.
    """

    def __init__(self, name: str, prefix: str = "", outer: Self | None = None) -> None:
        """prefix: of the names of values, which must be unique also in subgraphs. outer: the graph of a subgraph."""
        self.weights: dict[str, Array] = {}
        """Arrays to pass to the session, by name."""
        self.outputs: list[str] = []
        self._name = name
        self._prefix = prefix
        self._outer = outer
        self._nodes: list[bytes] = []
        self._constants: dict[str, Array] = {}
        self._inputs: list[bytes] = []
        self._output_infos: list[bytes] = []
        self._count = 0

    def input(self, name: str, dtype: npt.DTypeLike, shape: Sequence[int | str]) -> str:
        """Declares an input; a string in the shape names a dimension that varies. Returns the name."""
        self._inputs.append(_value_info(name, dtype, shape))
        return name

    def output(self, value: str, name: str, dtype: npt.DTypeLike = np.float32, *, rank: int = 2) -> None:
        """Makes a value an output with this name. rank: its number of dimensions."""
        self._nodes.append(_node("Identity", [value], [name], {}, ""))
        self._output_infos.append(_value_info(name, dtype, [""] * rank))
        self.outputs.append(name)

    def array(self, array: "Array | np.generic") -> str:
        """Returns a constant; a large one becomes one of `weights`."""
        if self._outer is not None:
            return self._outer.array(array)
        name, array = self.fresh("array"), np.asarray(array, order="C")
        if array.nbytes > _LARGEST_INLINE:
            self.weights[name] = array
        else:
            self._constants[name] = array
        return name

    def integers(self, *values: int) -> str:
        """Returns a constant of int64 (n,)."""
        return self.array(np.array(values, np.int64))

    def op(self, kind: str, *inputs: str, domain: str = "", **attributes: Attribute) -> str:
        """Adds an operator with one output and returns that; an empty input is left out."""
        (output,) = self.ops(kind, *inputs, outputs=1, domain=domain, **attributes)
        return output

    def ops(self, kind: str, *inputs: str, outputs: int, domain: str = "", **attributes: Attribute) -> list[str]:
        """Adds an operator with several outputs and returns them."""
        names = [self.fresh(kind) for _ in range(outputs)]
        self._nodes.append(_node(kind, inputs, names, attributes, domain))
        return names

    def range_of(self, value: str) -> str:
        """Returns 0 … n-1 (n,) for a value (n, ...)."""
        zero, one = (self.array(np.array(each, np.int64)) for each in (0, 1))
        length = self.op("Gather", self.op("Shape", value), zero, axis=0)
        return self.op("Range", zero, length, one)

    def subgraph(self, name: str) -> "Graph":
        """Returns a new graph for an operator such as Scan. It may use the values of this graph, also its arrays."""
        return Graph(name, self.fresh(name) + "/", self)

    def message(self, *, with_weights: bool = False) -> bytes:
        """Returns the GraphProto; the weights of a subgraph are in the graph around it."""
        parts = [_field(1, node) for node in self._nodes] + [_field(2, self._name)]
        inside = self._constants | (self.weights if with_weights else {})
        parts += [_field(5, _tensor(array, name) + _field(9, array.tobytes())) for name, array in inside.items()]
        parts += [] if with_weights else [_field(5, _external(array, name)) for name, array in self.weights.items()]
        parts += [_field(11, each) for each in self._inputs]
        return b"".join(parts + [_field(12, each) for each in self._output_infos])

    def model(self, *, with_weights: bool = False) -> bytes:
        """Returns the ModelProto. with_weights: includes the values of `weights`."""
        opsets = [_field(8, _field(1, domain) + _field(2, version)) for domain, version in _OPSETS.items()]
        return _field(1, _IR_VERSION) + _field(7, self.message(with_weights=with_weights)) + b"".join(opsets)

    def fresh(self, kind: str) -> str:
        """Returns a new name for a value."""
        self._count += 1
        return f"{self._prefix}{kind}_{self._count}"


def _node(
    kind: str, inputs: Sequence[str], outputs: Sequence[str], attributes: Mapping[str, Attribute], domain: str
) -> bytes:
    """Returns a NodeProto."""
    parts = [_field(1, name) for name in inputs] + [_field(2, name) for name in outputs] + [_field(4, kind)]
    parts += [_field(5, _attribute(name, value)) for name, value in attributes.items()]
    return b"".join(parts) + _field(7, domain)


def _attribute(name: str, value: Attribute) -> bytes:
    """Returns an AttributeProto."""
    match value:
        case int():
            return _field(1, name) + _field(3, value) + _field(20, 2)
        case float():
            return _field(1, name) + _varint(2 << 3 | 5) + np.float32(value).tobytes() + _field(20, 1)
        case str():
            return _field(1, name) + _field(4, value) + _field(20, 3)
        case Graph():
            return _field(1, name) + _field(6, value.message()) + _field(20, 5)
    if any(isinstance(each, str) for each in value):
        return _field(1, name) + b"".join(_field(9, each) for each in value) + _field(20, 8)
    return _field(1, name) + b"".join(_field(8, each) for each in value) + _field(20, 7)


def _value_info(name: str, dtype: npt.DTypeLike, shape: Sequence[int | str]) -> bytes:
    """Returns a ValueInfoProto of a tensor; "" is a dimension without a name."""
    dimensions = [_field(1, _field(1 if isinstance(each, int) else 2, each) if each != "" else b"") for each in shape]
    tensor = _field(1, _DTYPES[np.dtype(dtype)]) + _field(2, b"".join(dimensions))
    return _field(1, name) + _field(2, _field(1, tensor))


def _tensor(array: Array, name: str) -> bytes:
    """Returns a TensorProto without its values."""
    dimensions = b"".join(_field(1, size) for size in array.shape)
    return dimensions + _field(2, _DTYPES[array.dtype]) + _field(8, name)


def _external(array: Array, name: str) -> bytes:
    """Returns a TensorProto whose values the session receives."""
    location = _field(13, _field(1, "location") + _field(2, name))
    return _tensor(array, name) + location + _field(14, _EXTERNAL)


def _field(number: int, value: int | str | bytes) -> bytes:
    """Returns a field of a message: an integer, or a string or message with its length."""
    if isinstance(value, int):
        return _varint(number << 3) + _varint(value % 2**64)
    data = value.encode() if isinstance(value, str) else value
    return _varint(number << 3 | 2) + _varint(len(data)) + data


def _varint(value: int) -> bytes:
    parts = bytearray()
    while value > 127:
        parts.append(value & 127 | 128)
        value >>= 7
    parts.append(value)
    return bytes(parts)
