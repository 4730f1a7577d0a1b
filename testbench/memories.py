"""The weight and bias memories beside a `matvec`, `depthwise` or `serial_matvec`, as a model in Python."""

from __future__ import annotations

from cocotb.triggers import ReadOnly, RisingEdge


class Memories:
    """Weights and, where there are any, biases, which answer one cycle after their address, when enabled."""

    def __init__(self, weights: str, bias: str = "") -> None:
        self.weights, self.bias = ([int(line, 16) for line in text.split()] for text in (weights, bias))

    async def run(self, dut) -> None:
        while True:
            await ReadOnly()
            enable = int(dut.memory_enable.value) if dut.memory_enable.value.is_resolvable else 0
            weight_addr = dut.weight_addr.value.to_unsigned()
            bias_addr = dut.bias_addr.value.to_unsigned() if self.bias else 0
            await RisingEdge(dut.clk)
            if enable:
                # an address that is not in use may be out of range
                dut.weight_data.value = self.weights[weight_addr % len(self.weights)]
                if self.bias:
                    dut.bias_data.value = self.bias[bias_addr % len(self.bias)]
