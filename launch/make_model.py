#!/usr/bin/env python3
"""Writes a GGUF model of random weights: any shape, any format, no download.

usage: make_model.py SHAPE TYPE OUT [--tied | --untied] [--pure] [--seed 0]

The weights are blocks of random bits, valid in their format, with scales that
keep activations near one, so the file costs what a trained one of its shape
costs to load and to run, and says nothing. Formats stand where llama.cpp's
quantizer puts them without an importance matrix: a Q4_0 file has its output
matrix in Q6_K, a Q4_K_M file has Q6_K in half of its layers too.

Needs the Python packages gguf and numpy:
  python3 -m venv gguf && gguf/bin/pip install gguf
  gguf/bin/python launch/make_model.py 1B Q4_K_M model.gguf
"""
import argparse
import collections
import itertools
import math
import os
import shutil
import statistics
import sys

try:
    import gguf
    import numpy as np
    MISSING = None
except ImportError as error:
    MISSING = error

Shape = collections.namedtuple(
    "Shape", "layers width heads kv_heads head_dim feed_forward words "
    "context rope_base tied")
SHAPES = {
    "tiny": Shape(2, 256, 4, 2, 64, 512, 512, 2048, 10000.0, True),
    "1B": Shape(16, 2048, 32, 8, 64, 8192, 49152, 131072, 500000.0, True),
    "3B": Shape(28, 3072, 24, 8, 128, 8192, 49152, 131072, 500000.0, True),
    "7B": Shape(32, 4096, 32, 32, 128, 11008, 49152, 4096, 10000.0, False),
}
# A type of file, and the format of most of its matrices.
TYPES = {
    "F32": "F32", "F16": "F16", "BF16": "BF16", "Q4_0": "Q4_0",
    "Q4_1": "Q4_1", "Q5_0": "Q5_0", "Q5_1": "Q5_1", "Q8_0": "Q8_0",
    "Q4_K_S": "Q4_K", "Q4_K_M": "Q4_K", "Q5_K_S": "Q5_K", "Q5_K_M": "Q5_K",
    "Q6_K": "Q6_K", "IQ4_NL": "IQ4_NL", "IQ4_XS": "IQ4_XS",
}
ROUND = 1 << 22  # numbers made at once; a multiple of any block


class Failure(Exception):
    """What a user can do something about."""


class Parser(argparse.ArgumentParser):
    def error(self, message):
        raise Failure(message)


def parse_arguments():
    parser = Parser(prog="make_model.py", description=__doc__,
                    formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("shape", metavar="SHAPE", type=one_of(SHAPES),
                        help=", ".join(SHAPES))
    parser.add_argument("type", metavar="TYPE", type=one_of(TYPES),
                        help=", ".join(TYPES))
    parser.add_argument("out", metavar="OUT", help="the file to write")
    tied = parser.add_mutually_exclusive_group()
    tied.add_argument("--tied", action="store_true", default=None,
                      help="the embedding is the output matrix too "
                      "(default for all shapes but 7B)")
    tied.add_argument("--untied", dest="tied", action="store_false",
                      help="an output matrix of its own (default for 7B)")
    parser.add_argument("--pure", action="store_true",
                        help="every matrix in the format of most")
    parser.add_argument("--seed", type=seed, default=0,
                        help="0 or more: other weights (default: 0)")
    return parser.parse_args()


def one_of(names):
    def find(text):
        for name in names:
            if name.lower() == text.lower():
                return name
        raise argparse.ArgumentTypeError(
            "'%s', legal are %s" % (text, ", ".join(names)))
    return find


def seed(text):
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(
            "'%s', whole numbers from 0 are legal" % text)
    return int(text)


# --- which format a matrix has ----------------------------------------------

def has_more_bits(layer, layers):
    """The layers whose values and last matrices _M files keep finer: the first
    and the last eighth, and each third between."""
    eighth = layers // 8
    return (layer < eighth or layer >= 7 * layers // 8 or
            (layer - eighth) % 3 == 2)


def format_of(name, layer, file_type, shape):
    """Of the matrix `name` of a layer, or of the whole model (layer None)."""
    common = TYPES[file_type]
    if name == "output" or (name == "token_embd" and shape.tied):
        return common if common in ("F32", "F16", "BF16", "Q8_0") else "Q6_K"
    if name not in ("attn_v", "ffn_down"):
        return common
    if file_type in ("Q4_K_M", "Q5_K_M"):
        return "Q6_K" if has_more_bits(layer, shape.layers) else common
    finer = layer < shape.layers // 8
    if name == "attn_v":
        finer = layer < 4
        if file_type.startswith("IQ4"):
            finer = shape.heads >= 4 * shape.kv_heads
    if file_type in ("Q4_K_S", "IQ4_NL", "IQ4_XS") and finer:
        return "Q5_K"
    return common


def tensors_of(shape, file_type, pure):
    """Name, [rows, columns] or [size], format, and deviation of each."""
    queries, keys = (heads * shape.head_dim
                     for heads in (shape.heads, shape.kv_heads))
    width, hidden = shape.width, shape.feed_forward
    residual = 1 / math.sqrt(2 * shape.layers)  # the sum of all stays near one
    matrices = [("attn_q", queries, width, 1), ("attn_k", keys, width, 1),
                ("attn_v", keys, width, 1),
                ("attn_output", width, queries, residual),
                ("ffn_gate", hidden, width, 1), ("ffn_up", hidden, width, 1),
                ("ffn_down", width, hidden, residual)]

    def matrix(name, rows, columns, gain, layer=None):
        prefix = "" if layer is None else "blk.%d." % layer
        kind = (TYPES[file_type] if pure else
                format_of(name, layer, file_type, shape))
        return (prefix + name + ".weight", [rows, columns], kind,
                gain / math.sqrt(columns))

    yield matrix("token_embd", shape.words, width, 1)
    for layer in range(shape.layers):
        for norm in ("attn_norm", "ffn_norm"):
            yield "blk.%d.%s.weight" % (layer, norm), [width], "F32", None
        for parts in matrices:
            yield matrix(*parts, layer)
    yield "output_norm.weight", [width], "F32", None
    if not shape.tied:
        yield matrix("output", shape.words, width, 1)


# --- random blocks ----------------------------------------------------------

class Blocks:
    """Random blocks of a quantized format, of a given standard deviation.

    All bits of a block are drawn but those of its 16-bit scales, and those
    that would make a block that no quantizer writes: numbers are centerd, as
    trained weights are, and no group of a block is lost in the others."""

    # Where a block has its scale, and its minimum in units of that scale.
    SCALES = {"Q4_0": (0, None), "Q4_1": (0, (2, -7.5)), "Q5_0": (0, None),
              "Q5_1": (0, (2, -15.5)), "Q8_0": (0, None),
              "Q4_K": (0, (2, 7.5)), "Q5_K": (0, (2, 15.5)),
              "Q6_K": (208, None), "IQ4_NL": (0, None), "IQ4_XS": (0, None)}

    def __init__(self, name):
        self.kind = gguf.GGMLQuantizationType[name]
        self.name = name
        self.scale, self.minimum = self.SCALES[name]
        self.size, self.bytes = gguf.GGML_QUANT_SIZES[self.kind]
        # The deviation at scale one follows from what the format means.
        sample = self.draw(np.random.default_rng(0), 2000)
        self.put_scales(sample, np.ones(len(sample), np.float32))
        self.unit = float(np.sqrt(np.mean(np.square(
            gguf.dequantize(sample, self.kind), dtype=np.float64))))

    def draw(self, random, count):
        blocks = np.frombuffer(random.bytes(count * self.bytes), np.uint8)
        blocks = blocks.reshape(count, self.bytes).copy()
        if self.name in ("Q4_K", "Q5_K"):
            # Eight scales and eight minima of six bits, packed: minima equal
            # scales, which are 32 and more.
            blocks[:, 4:8] |= 0xA0
            blocks[:, 8:12] = blocks[:, 4:8]
            blocks[:, 12:16] = (blocks[:, 12:16] & 15) * 17
        elif self.name == "Q6_K":  # sixteen scales: 64 to 127, -128 to -65
            scales = blocks[:, 192:208]
            scales[:] = np.where(scales < 128, scales | 64, scales & 191)
        elif self.name == "Q8_0":  # symmetric: no -128
            numbers = blocks[:, 2:]
            numbers[numbers == 128] = 129
        return blocks

    def put_scales(self, blocks, scales):
        places = [(self.scale, scales)]
        if self.minimum:
            places.append((self.minimum[0], scales * self.minimum[1]))
        for offset, values in places:
            blocks[:, offset:offset + 2] = values.astype("<f2").view(
                np.uint8).reshape(-1, 2)

    def make(self, random, count, deviation):
        """Bytes of so many numbers, whole blocks."""
        blocks = self.draw(random, count // self.size)
        scales = random.uniform(0.75, 1.25, len(blocks)).astype(np.float32)
        # Quantizers let a scale be negative where they have no minimum.
        if not self.minimum and self.name != "Q8_0":
            scales *= random.choice(np.array([-1, 1], np.float32), len(blocks))
        self.put_scales(blocks, scales * np.float32(deviation / self.unit))
        return blocks.reshape(-1)


class Numbers:
    """Normal numbers in F32, F16 or BF16: each one of 65,536 quantiles, drawn
    by 16 bits, which is some four times faster than to draw a normal number."""

    def __init__(self, name):
        self.kind = gguf.GGMLQuantizationType[name]
        self.quantiles = np.array(
            [statistics.NormalDist().inv_cdf((i + 0.5) / 65536)
             for i in range(65536)], np.float32)

    def make(self, random, count, deviation):
        """Bytes of so many numbers."""
        values = gguf.quantize(self.quantiles * np.float32(deviation),
                               self.kind).view(np.uint8)
        values = values.reshape(65536, -1)
        values = values.view("<u%d" % values.shape[1]).reshape(-1)
        drawn = np.frombuffer(random.bytes(2 * count), "<u2")
        return values[drawn].view(np.uint8)


def maker_of(name):
    return Blocks(name) if name in Blocks.SCALES else Numbers(name)


def fill(tensor, random, makers):
    """The bytes of a tensor, made in parts of bounded size."""
    _, dimensions, name, deviation = tensor
    if deviation is None:
        return np.ones(dimensions, np.float32)
    count = math.prod(dimensions)
    data = np.empty(bytes_of(tensor), np.uint8)
    done = 0
    for first in range(0, count, ROUND):
        part = min(ROUND, count - first)
        made = makers[name].make(random, part, deviation)
        data[done:done + len(made)] = made
        done += len(made)
    return data


def bytes_of(tensor):
    size, width = gguf.GGML_QUANT_SIZES[gguf.GGMLQuantizationType[tensor[2]]]
    return math.prod(tensor[1]) // size * width


# --- the file ---------------------------------------------------------------

def vocabulary(words):
    """Tokens and merges of a byte-level BPE: the end of text, all bytes, pairs
    of letters, and words of two pairs, spread over the alphabet."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in printable]
    alphabet = [chr(byte) for byte in printable]
    alphabet += [chr(256 + i) for i in range(len(others))]
    letters = "abcdefghijklmnopqrstuvwxyz"
    pairs = list(itertools.product(letters, letters))
    joined = [left + right for left, right in pairs]
    count = len(joined)**2
    fours = (divmod(i * 7919 % count, len(joined)) for i in range(count))
    made = itertools.chain(pairs, ((joined[i], joined[j]) for i, j in fours))
    merges = list(itertools.islice(made, words - 1 - 256))
    tokens = ["<|endoftext|>"] + alphabet + [a + b for a, b in merges]
    return tokens, [a + " " + b for a, b in merges]


def write_metadata(writer, shape, arguments):
    writer.add_name("random %s %s" % (arguments.shape, arguments.type))
    kind = ("ALL_" if arguments.type == "F32" else "MOSTLY_") + arguments.type
    writer.add_file_type(gguf.LlamaFileType[kind])
    writer.add_quantization_version(gguf.GGML_QUANT_VERSION)
    writer.add_block_count(shape.layers)
    writer.add_context_length(shape.context)
    writer.add_embedding_length(shape.width)
    writer.add_feed_forward_length(shape.feed_forward)
    writer.add_head_count(shape.heads)
    writer.add_head_count_kv(shape.kv_heads)
    writer.add_key_length(shape.head_dim)
    writer.add_value_length(shape.head_dim)
    writer.add_rope_dimension_count(shape.head_dim)
    writer.add_rope_freq_base(shape.rope_base)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_vocab_size(shape.words)
    tokens, merges = vocabulary(shape.words)
    types = [gguf.TokenType.CONTROL]
    types += [gguf.TokenType.NORMAL] * (len(tokens) - 1)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list(tokens)
    writer.add_token_types(types)
    writer.add_token_merges(merges)
    writer.add_bos_token_id(0)
    writer.add_eos_token_id(0)
    writer.add_add_bos_token(False)


def write_model(path, shape, arguments):
    """Returns bytes of each format."""
    tensors = list(tensors_of(shape, arguments.type, arguments.pure))
    total = sum(map(bytes_of, tensors))
    free = shutil.disk_usage(os.path.dirname(path) or ".").free
    if total > free:
        raise Failure("%s: %.2f GB are needed, %.2f GB are free" %
                      (path, total / 1e9, free / 1e9))
    writer = gguf.GGUFWriter(path, "llama")
    write_metadata(writer, shape, arguments)
    held = collections.Counter()
    for tensor in tensors:
        name, dimensions, kind, _ = tensor
        writer.add_tensor_info(name, dimensions, np.dtype(np.float32),
                               bytes_of(tensor),
                               gguf.GGMLQuantizationType[kind])
        held[kind] += bytes_of(tensor)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    makers = {kind: maker_of(kind) for kind in held}
    for i, tensor in enumerate(tensors):
        random = np.random.default_rng([arguments.seed, i])
        writer.write_tensor_data(fill(tensor, random, makers))
    writer.close()
    return held


def main():
    arguments = parse_arguments()
    if MISSING:
        raise Failure(
            "a Python package is missing (%s): python3 -m venv gguf && "
            "gguf/bin/pip install gguf, then run this script with "
            "gguf/bin/python" % MISSING)
    shape = SHAPES[arguments.shape]
    if arguments.tied is not None:
        shape = shape._replace(tied=arguments.tied)
    if os.path.exists(arguments.out) and not os.path.isfile(arguments.out):
        raise Failure(arguments.out + ": exists and is no regular file")
    part = arguments.out + ".part"  # no half a model by the name of one
    try:
        held = write_model(part, shape, arguments)
        os.replace(part, arguments.out)
    except OSError as error:
        raise Failure("%s: %s" % (arguments.out, error.strerror)) from error
    finally:
        if os.path.exists(part):
            os.remove(part)
    print("%s: %.2f GB, %s" % (
        arguments.out, os.path.getsize(arguments.out) / 1e9,
        ", ".join("%s %.0f %%" % (kind, 100 * size / sum(held.values()))
                  for kind, size in held.most_common())))


if __name__ == "__main__":
    try:
        main()
    except Failure as failure:
        print("make_model:", failure, file=sys.stderr)
        sys.exit(1)
