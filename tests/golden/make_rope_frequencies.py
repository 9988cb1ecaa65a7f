#!/usr/bin/env python3
"""Writes rope_frequencies.json: radians a token of each pair, from the published formulas (needs numpy).

Linear: arXiv 2306.15595. YaRN: arXiv 2309.00071, section 3. llama3: the model card code of Llama 3.1. Written per pair
and by wavelength, as the sources give them; the engine writes them by turns in the original context.
"""
import json
import math
import pathlib

import numpy as np


def plain(dimension, base):
    return 1.0 / base ** (np.arange(0, dimension, 2, dtype=np.float64) / dimension)


def llama3(dimension, base, factor, context):
    low_wavelength, high_wavelength = context / 1.0, context / 4.0
    out = []
    for frequency in plain(dimension, base):
        wavelength = 2 * math.pi / frequency
        if wavelength < high_wavelength:
            out.append(frequency)
        elif wavelength > low_wavelength:
            out.append(frequency / factor)
        else:
            smooth = (context / wavelength - 1.0) / (4.0 - 1.0)
            out.append((1 - smooth) * frequency / factor + smooth * frequency)
    return np.array(out)


def yarn(dimension, base, factor, context, beta_fast=32, beta_slow=1):
    def find_dimension(rotations):
        return dimension * math.log(context / (rotations * 2 * math.pi)) / (2 * math.log(base))

    low = max(math.floor(find_dimension(beta_fast)), 0)
    high = min(math.ceil(find_dimension(beta_slow)), dimension - 1)
    ramp = np.clip((np.arange(dimension // 2) - low) / max(high - low, 0.001), 0, 1)
    frequency = plain(dimension, base)
    return frequency / factor * ramp + frequency * (1 - ramp)


def case(scaling, dimension, base, factor=1.0, context=0, **more):
    if scaling == "llama3":
        frequency = llama3(dimension, base, factor, context)
    elif scaling == "yarn":
        frequency = yarn(dimension, base, factor, context, **more)
    else:
        frequency = plain(dimension, base) / factor
    magnitude = 0.1 * math.log(factor) + 1 if scaling == "yarn" else 1.0
    return dict(scaling=scaling, dimension=dimension, base=base, factor=factor, context=context, magnitude=magnitude,
                **more, inverse_frequency=[float(x) for x in frequency])


def main():
    cases = [
        case("none", 64, 100000.0),
        case("linear", 128, 10000.0, 8.0),  # LongChat 16K
        case("llama3", 128, 500000.0, 8.0, 8192),  # Llama 3.1
        case("llama3", 64, 500000.0, 32.0, 8192),  # Llama 3.2 1B
        case("yarn", 128, 1000000.0, 4.0, 32768),  # Qwen2.5 128K
        case("yarn", 128, 10000.0, 16.0, 4096),  # Yarn-Llama-2 64K
        case("yarn", 64, 10000.0, 2.0, 64, beta_fast=8.0, beta_slow=2.0),
    ]
    text = ",\n".join(json.dumps(c) for c in cases)
    (pathlib.Path(__file__).parent / "rope_frequencies.json").write_text(f"[\n{text}\n]\n")


if __name__ == "__main__":
    main()
