"""Writes down a network layer by layer; the shapes, and what each layer reads, follow.

    net = Topology("name", "one line", (28, 28, 1))
    x = net.relu(net.conv(net.input, "conv1", 6, 5, batchnorm="conv1_bn"), "conv1_relu")
    x = net.flatten(net.max_pool(x, "pool1", 2))
    spec = net.spec(net.dense(x, "dense", 10))

Every method takes nodes and gives the new one. A mistake in a topology raises ValueError.
"""

from __future__ import annotations

from math import prod

from keras_models.spec import INPUT, ActivationLayer, ModelSpec, Node, WeightLayer

EDGE_BITS = 8
"""Width of the weights of first and last layers, of the operands of adds and of real inputs in a uniform network."""


class Topology:
    """A network in the making.

    Args:
        name: as users write it.
        description: one line.
        input_shape: of a raw sample: height, width, channels; or features.
        task: ``"classification"`` or ``"reconstruction"``.
    """

    def __init__(self, name: str, description: str, input_shape: tuple[int, ...], task: str = "classification") -> None:
        self._name, self._description, self._task = name, description, task
        self.input = Node(INPUT, "input", (), tuple(input_shape))
        self._nodes: dict[str, Node] = {INPUT: self.input}

    def spec(self, output: Node) -> ModelSpec:
        """The finished description; `output` must be the node that was added last."""
        if list(self._nodes.values())[-1] is not output:
            raise ValueError(f"{self._name}: {output.name} is not the last layer")
        return ModelSpec(self._name, self._description, tuple(self._nodes.values()), self._task)

    def conv(
        self, x: Node, name: str, filters: int, kernel: int | tuple[int, int], stride: int = 1, padding: str = "same",
        batchnorm: str | None = None, bits: int | None = None,
    ) -> Node:  # fmt: skip
        """A convolution; with a bias where no batch normalization follows."""
        return self._window("conv", x, name, filters, kernel, stride, padding, batchnorm, bits)

    def depthwise(
        self, x: Node, name: str, kernel: int | tuple[int, int], stride: int = 1, padding: str = "same",
        batchnorm: str | None = None, bits: int | None = None,
    ) -> Node:  # fmt: skip
        """A convolution of each channel alone; with a bias where no batch normalization follows."""
        return self._window("depthwise", x, name, x.shape[-1], kernel, stride, padding, batchnorm, bits)

    def dense(self, x: Node, name: str, units: int, batchnorm: str | None = None, bits: int | None = None) -> Node:
        """A dense layer on a vector; with a bias where no batch normalization follows."""
        if len(x.shape) != 1:
            raise ValueError(f"{name}: {x.name} is no vector")
        return self._weights("dense", x, name, (units,), (1, 1), 1, "valid", batchnorm, bits)

    def relu(self, x: Node, name: str, bits: int | None = None) -> Node:
        """A rectifying quantizer."""
        return self._add_node(name, "activation", (x,), x.shape, ActivationLayer(name, False, x.shape, bits))

    def signed(self, x: Node, name: str, bits: int | None = EDGE_BITS) -> Node:
        """A signed quantizer: behind real inputs, or on a branch before its add."""
        return self._add_node(name, "activation", (x,), x.shape, ActivationLayer(name, True, x.shape, bits))

    def add(self, name: str, left: Node, right: Node) -> Node:
        """The sum of two activations, which share one step."""
        for operand in (left, right):
            if operand.kind != "activation" or operand.shape != left.shape:
                raise ValueError(f"{name}: {operand.name} is no activation of the other operand's shape")
        return self._add_node(name, "add", (left, right), left.shape)

    def max_pool(self, x: Node, name: str, size: int | tuple[int, int]) -> Node:
        """The largest of each window; what is left over at the edges is dropped."""
        return self._pool("max_pool", x, name, size)

    def average_pool(self, x: Node, name: str, size: int | tuple[int, int] | None = None) -> Node:
        """The average of each window, of the whole image if no size is given."""
        return self._pool("average_pool", x, name, x.shape[:2] if size is None else size)

    def flatten(self, x: Node, name: str = "flatten") -> Node:
        """An image as a vector."""
        return self._add_node(name, "flatten", (x,), (prod(x.shape),))

    def _window(
        self, kind: str, x: Node, name: str, filters: int, kernel: int | tuple[int, int], stride: int, padding: str,
        batchnorm: str | None, bits: int | None,
    ) -> Node:  # fmt: skip
        height, width, _ = x.shape
        kernel = _pair(kernel)
        overhang = (0, 0) if padding == "same" else (kernel[0] - 1, kernel[1] - 1)
        size = tuple(-(-(side - over) // stride) for side, over in zip((height, width), overhang, strict=True))
        return self._weights(kind, x, name, (*size, filters), kernel, stride, padding, batchnorm, bits)

    def _weights(
        self, kind: str, x: Node, name: str, shape: tuple[int, ...], kernel: tuple[int, int], stride: int,
        padding: str, batchnorm: str | None, bits: int | None,
    ) -> Node:  # fmt: skip
        source, averaged = self._source(x, name)
        size = shape[:-1] or (1, 1)
        layer = WeightLayer(
            name, kind, kernel, stride, padding, x.shape[-1], shape[-1], size, source, batchnorm, bits, averaged
        )  # fmt: skip
        node = self._add_node(name, "weights", (x,), shape, layer)
        return node if batchnorm is None else self._add_node(batchnorm, "batchnorm", (node,), shape)

    def _source(self, x: Node, name: str) -> tuple[str, int]:
        """The quantizer behind which `x` lies, and how many of its values were averaged."""
        averaged = 1
        while x.kind in ("max_pool", "average_pool", "flatten"):
            averaged *= prod(x.size) if x.kind == "average_pool" else 1
            x = self._nodes[x.inputs[0]]
        if x.kind not in ("input", "activation"):
            raise ValueError(f"{name}: reads {x.name}, which has no quantizer behind it")
        if averaged & (averaged - 1):
            raise ValueError(f"{name}: reads an average of {averaged} values: put an activation behind the pooling")
        return x.name, averaged

    def _pool(self, kind: str, x: Node, name: str, size: int | tuple[int, int]) -> Node:
        size = _pair(size)
        height, width, channels = x.shape
        return self._add_node(name, kind, (x,), (height // size[0], width // size[1], channels), size=size)

    def _add_node(
        self, name: str, kind: str, inputs: tuple[Node, ...], shape: tuple[int, ...],
        layer: WeightLayer | ActivationLayer | None = None, size: tuple[int, int] = (1, 1),
    ) -> Node:  # fmt: skip
        if name in self._nodes:
            raise ValueError(f"{self._name}: two layers are called {name}")
        self._nodes[name] = node = Node(name, kind, tuple(x.name for x in inputs), shape, layer, size)
        return node


def _pair(value: int | tuple[int, int]) -> tuple[int, int]:
    return (value, value) if isinstance(value, int) else tuple(value)
