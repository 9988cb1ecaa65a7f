#!/usr/bin/env python3
"""Writes quant/<FORMAT>.bin: blocks and the numbers that the `gguf` package expands them to (pip install gguf).

A file is [uint32 number of values | blocks | float32 values], little-endian. Blocks: quantised normal numbers where
the package can quantise; random bytes with scales that are ordinary, zero, subnormal, negative and the largest.
"""
import pathlib

import gguf
import numpy as np

FORMATS = ["F32", "F16", "BF16", "Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0", "Q4_K", "Q5_K", "Q6_K",
           "IQ4_NL", "IQ4_XS"]
SCALE_OFFSETS = {"Q4_0": [0], "Q4_1": [0, 2], "Q5_0": [0], "Q5_1": [0, 2], "Q8_0": [0], "Q4_K": [0, 2],
                 "Q5_K": [0, 2], "Q6_K": [208], "IQ4_NL": [0], "IQ4_XS": [0]}
# These are ordinary, zero, minus zero, least subnormal, a negative subnormal, least normal, minus ordinary, largest, smallest.
SCALES = np.array([0x2E66, 0x0000, 0x8000, 0x0001, 0x83FF, 0x0400, 0xB123, 0x7BFF, 0xFBFF], np.uint16)
# These are the same kinds of single numbers, and infinities.
F32 = np.array([0, 0x80000000, 1, 0x807FFFFF, 0x00800000, 0x3F800000, 0xC0490FDB, 0x7F7FFFFF, 0xFF7FFFFF, 0x7F800000,
                0xFF800000, 0x33333333], np.uint32)


def single_numbers(name):
    if name == "F32":
        return F32.view(np.uint8)
    if name == "BF16":
        return (F32 >> 16).astype(np.uint16).view(np.uint8)
    return np.array([0, 0x8000, 1, 0x83FF, 0x0400, 0x3C00, 0xC248, 0x7BFF, 0xFBFF, 0x7C00, 0xFC00, 0x3555],
                    np.uint16).view(np.uint8)


def blocks_of(name, random):
    kind = gguf.GGMLQuantizationType[name]
    size, width = gguf.GGML_QUANT_SIZES[kind]
    if size == 1:
        return single_numbers(name)
    blocks = random.integers(0, 256, (len(SCALES), width), dtype=np.uint8)
    for i, offset in enumerate(SCALE_OFFSETS[name]):
        blocks[:, offset:offset + 2] = np.roll(SCALES, i).view(np.uint8).reshape(-1, 2)
    if size == 32 and not name.startswith("IQ"):
        values = random.normal(0, 0.05, (2, size)).astype(np.float32)
        blocks = np.concatenate([blocks, gguf.quantize(values, kind)])
    return blocks.reshape(-1)


def main():
    folder = pathlib.Path(__file__).parent / "quant"
    folder.mkdir(exist_ok=True)
    for name in FORMATS:
        blocks = blocks_of(name, np.random.default_rng(7))
        values = gguf.dequantize(blocks, gguf.GGMLQuantizationType[name]).reshape(-1).astype("<f4")
        assert not np.isnan(values).any(), name
        data = np.uint32(values.size).tobytes() + blocks.tobytes() + values.tobytes()
        (folder / f"{name}.bin").write_bytes(data)


if __name__ == "__main__":
    main()
