"""Runs frames through the network on a PYNQ-type board: packing of beats, DMA, registers.

    network = Network("design.bit")
    integers = network.run(images)          # (N, *output shape), the same integers as the golden model's
    labels = integers.argmax(axis=1)
    network.bits = {"s1_conv1": 2}          # where layers choose their width at run time: from the next frame on
    integers = network.run(images, widths)  # and with widths of its own for each frame, (N, layers)

The design must hold the IP block and an AXI DMA in simple mode (no scatter-gather) whose stream widths are those of the
IP block. `python3 driver.py design.bit` sends the images beside this file and compares every integer with golden's.

Needs numpy, and on the board pynq. Reads network.json beside this file.
"""

import json
import sys
from pathlib import Path

import numpy as np

HERE = Path(__file__).resolve().parent

#: byte addresses of the registers
ID, VERSION, BUILD, IN_BEATS, OUT_BEATS, FRAMES_IN, FRAMES_OUT, INTERVAL, STATUS, CONTROL = range(0, 40, 4)
HOLD = 0x30  # while it is 1, widths that are written wait
LAYER_BITS = 0x40  # of the first of the layers that choose their width; the others follow
MAGIC, MAP_VERSION = 0x464C4F57, 2
FRAME_ERROR, SOFT_RESET = 1, 1


class Stream:
    """One side of the IP block: between tensors of integers and the bytes of its beats.

    Args:
        description: `input` or `output` of network.json.
    """

    def __init__(self, description):
        self.shape = tuple(description["shape"])
        self.lanes, self.beats = description["lanes"], description["beats"]
        self.beat_bytes, self.element_bytes = description["beat_bytes"], description["element_bytes"]
        self.width_bits, self.signed = description["width_bits"], description["signed"]
        self.fraction_bits = description["fraction_bits"]

    @property
    def frame_bytes(self):
        return self.beats * self.beat_bytes

    def pack(self, frames):
        """Integers (N, *shape) to uint8 (N, beats, bytes of a beat): lane 0 first, padding above the last lane."""
        frames = np.asarray(frames)
        if frames.shape[1:] != self.shape:
            raise ValueError(f"frames of shape {self.shape} are expected, not {frames.shape[1:]}")
        low = -(1 << self.width_bits - 1) if self.signed else 0
        if frames.size and not (low <= frames.min() and frames.max() < low + (1 << self.width_bits)):
            raise ValueError(f"values are {low} to {low + (1 << self.width_bits) - 1}")
        elements = np.ascontiguousarray(frames, dtype="<i8").view(np.uint8).reshape(-1, 8)[:, : self.element_bytes]
        used = self.lanes * self.element_bytes
        beats = np.zeros((len(frames), self.beats, self.beat_bytes), np.uint8)
        beats[:, :, :used] = elements.reshape(len(frames), self.beats, used)
        return beats

    def unpack(self, beats):
        """The inverse of `pack`: int64 (N, *shape)."""
        used = np.asarray(beats, np.uint8).reshape(-1, self.beat_bytes)[:, : self.lanes * self.element_bytes]
        elements = np.ascontiguousarray(used).reshape(-1, self.element_bytes)
        wide = np.zeros((len(elements), 8), np.uint8)
        wide[:, : self.element_bytes] = elements
        if self.signed:
            wide[:, self.element_bytes :] = np.where(elements[:, -1:] & 0x80, 0xFF, 0)
        return wide.reshape(-1).view("<i8").reshape(-1, *self.shape)


class Network:
    """The network in a design that is loaded into the chip.

    Args:
        bitstream: the design; its .hwh file lies beside it.
        ip: name of the IP block in the block design; `<ip>_0`, Vivado's choice, if not given.
        dma: name of the AXI DMA.
    """

    def __init__(self, bitstream, ip=None, dma="axi_dma_0"):
        import pynq

        description = json.loads((HERE / "network.json").read_text())
        self.input, self.output = Stream(description["input"]), Stream(description["output"])
        runtime = description["runtime"] or {"widths": [], "layers": []}
        self.widths, self._layers = tuple(runtime["widths"]), tuple(runtime["layers"])
        self._allocate = pynq.allocate
        self.overlay = pynq.Overlay(str(bitstream))
        self.registers = getattr(self.overlay, ip or f"{description['ip']}_0")
        self.dma = getattr(self.overlay, dma)
        expected = {
            "ID": (ID, MAGIC),
            "VERSION": (VERSION, MAP_VERSION),
            "BUILD": (BUILD, description["build"]),
            "IN_BEATS": (IN_BEATS, self.input.beats),
            "OUT_BEATS": (OUT_BEATS, self.output.beats),
        }
        for name, (address, value) in expected.items():
            found = self.registers.read(address)
            if found != value:
                raise RuntimeError(f"this driver belongs to another design: {name} is {found:#x}, expected {value:#x}")
        self.reset()

    def reset(self):
        """Empties the network and clears its counters and its error flag; no transfer may be under way."""
        self.registers.write(CONTROL, SOFT_RESET)
        while self.registers.read(CONTROL):
            pass

    @property
    def frames(self):
        """Frames that have gone in and come out since the last reset."""
        return self.registers.read(FRAMES_IN), self.registers.read(FRAMES_OUT)

    @property
    def interval_cycles(self):
        """Cycles between the ends of the last two results; the network's own rate where frames came fast enough."""
        return self.registers.read(INTERVAL)

    @property
    def bits(self):
        """The width of every layer that chooses one, by name: that of the next frame that begins.

        Set some of them by name, all in the order of their names, or all to one number. They change together, also
        while frames pass: no frame has some layers' new widths and others' old ones. After power-up every layer has
        the widest; `reset` does not change them.
        """
        return {name: self.registers.read(LAYER_BITS + 4 * i) for i, name in enumerate(self._layers)}

    @bits.setter
    def bits(self, wanted):
        if np.ndim(wanted) == 1:
            if len(wanted) != len(self._layers):
                raise ValueError(f"{len(wanted)} widths are given for {len(self._layers)} layers that choose theirs")
            wanted = zip(self._layers, wanted, strict=True)
        elif not hasattr(wanted, "items"):
            wanted = dict.fromkeys(self._layers, wanted)
        wanted = dict(wanted)
        unknown = [name for name in wanted if name not in self._layers]
        if unknown or not self._layers:
            raise ValueError(f"no layer {unknown} chooses its width; these do: {', '.join(self._layers) or 'none'}")
        # the hardware refuses others with an error on the bus, which ends the program
        illegal = {name: bits for name, bits in wanted.items() if bits not in self.widths}
        if illegal:
            raise ValueError(f"widths are {', '.join(map(str, self.widths))}, not {illegal}")
        self.registers.write(HOLD, 1)
        for name, bits in wanted.items():
            self.registers.write(LAYER_BITS + 4 * self._layers.index(name), int(bits))
        self.registers.write(HOLD, 0)

    def run(self, frames, widths=None):
        """Integers (N, *input shape) in, int64 (N, *output shape) out; the next frame goes in while one comes out.

        Args:
            widths: of the layers that choose theirs, for each frame, (N, layers) or a list of what `bits` takes; those
                that are set if not given. Frames with other widths follow each other like all others.

        Raises:
            RuntimeError: the hardware has seen a frame of the wrong length.
        """
        beats = self.input.pack(frames)
        count, size_in, size_out = len(beats), self.input.frame_bytes, self.output.frame_bytes
        if widths is not None and len(widths) != count:
            raise ValueError(f"{len(widths)} frames' widths are given for {count} frames")
        if count == 0:
            return np.zeros((0, *self.output.shape), np.int64)
        given = self._allocate(shape=(count * size_in,), dtype=np.uint8)
        taken = self._allocate(shape=(count * size_out,), dtype=np.uint8)

        def send(index):
            if widths is not None:
                self.bits = widths[index]  # the frame before has begun, so that it keeps its own
            self.dma.sendchannel.transfer(given, start=index * size_in, nbytes=size_in)

        try:
            given[:] = beats.reshape(-1)
            given.flush()
            self.dma.recvchannel.transfer(taken, start=0, nbytes=size_out)
            send(0)
            for index in range(1, count + 1):
                self.dma.sendchannel.wait()
                if index < count:
                    send(index)
                self.dma.recvchannel.wait()
                if index < count:
                    self.dma.recvchannel.transfer(taken, start=index * size_out, nbytes=size_out)
            taken.invalidate()
            if self.registers.read(STATUS) & FRAME_ERROR:
                raise RuntimeError("the network has seen a frame of the wrong length: reset() it")
            return self.output.unpack(np.array(taken))
        finally:
            given.freebuffer()
            taken.freebuffer()


def main(arguments):
    """Sends the images beside this file; 0 if every integer is golden's, 1 if one differs, 2 for a wrong call."""
    if len(arguments) != 1:
        print("usage: driver.py <design.bit>", file=sys.stderr)
        return 2
    network = Network(arguments[0])
    images, expected = np.load(HERE / "images.npy"), np.load(HERE / "expected.npy")
    widths = np.load(HERE / "widths.npy") if network.widths else None  # others with every frame
    outputs = network.run(images, widths)
    differing = int(np.count_nonzero(outputs != expected.reshape(outputs.shape)))
    print(f"{differing} of {outputs.size} integers differ; {len(images)} images, {network.interval_cycles} cycles each")
    return 1 if differing else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
