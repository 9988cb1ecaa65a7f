#!/usr/bin/env python3
"""Writes toy/*.gguf, tiny models of every architecture, and toy/logits.json, what they say (pip install gguf numpy).

Numpy in float64, from the published descriptions: Llama 2 (arXiv 2307.09288), Mistral 7B (2310.06825), Qwen2
(2407.10671), Qwen3 (2505.09388), rotary embedding (2104.09864), linear scaling (2306.15595), YaRN (2309.00071), the
llama3 rule of Llama 3.1's model card code. All models are computed in the layout of their published weights, where a
head turns in halves. Only writing a llama file reorders rows for pairs of neighbours, as GGUF wants it, so the two
conventions check each other.

logits.json, for each model: the prompt, the logits after it, the mean negative log-likelihood (nats) of its tokens,
and two scales for a tolerance, as the largest change of any logit of any position:
  rounding  by float32 rounding of what a backend stores ("reference") or adds ("cpu"), drawn at random 32 times
  mistakes  by getting one thing wrong
"""
import dataclasses
import json
import math
import pathlib

import gguf
import numpy as np

LAYERS, TOKENS, PROMPT, RANKS = 2, 64, 24, 2
UNIT = 2.0**-24  # half a unit in the last place of 1, float32


@dataclasses.dataclass
class Model:
    name: str
    architecture: str
    heads: int
    kv_heads: int
    head_dim: int
    embedding: int = 32
    feed_forward: int = 64
    base: float = 10000.0
    epsilon: float = 1e-4  # so large that it counts
    tied: bool = True
    bias: bool = False
    head_norm: bool = False
    explicit_head_dim: bool = False
    scaling: str = "none"  # linear, llama3, yarn
    factor: float = 1.0
    original: int = 0  # tokens that the unscaled model was trained for
    beta_fast: float = 32.0
    formats: tuple = ("F16", "F16", "F16")  # attention, feed-forward, embedding
    # These are mistakes.
    magnitude: bool = True
    neighbours: bool = False  # rotates (2i, 2i + 1) in weights made for halves
    dealt_heads: bool = False  # query head h reads KV head h % kv_heads


MODELS = [
    Model("llama_rope_freqs", "llama", 4, 2, 8, base=1000.0, tied=False, scaling="llama3", factor=8.0, original=64),
    Model("llama_yarn", "llama", 4, 1, 16, embedding=64, scaling="yarn", factor=4.0, original=64, beta_fast=4.0,
          base=100.0, formats=("Q8_0", "Q8_0", "Q8_0")),
    Model("llama_linear", "llama", 4, 4, 8, scaling="linear", factor=4.0, formats=("F32", "Q8_0", "Q8_0")),
    Model("mistral", "llama", 4, 2, 16, feed_forward=96, base=1e6, tied=False, explicit_head_dim=True,
          formats=("F16", "Q8_0", "F16")),
    Model("qwen2", "qwen2", 4, 2, 16, embedding=64, base=1e6, bias=True,
          formats=("Q8_0", "Q8_0", "Q8_0")),
    Model("qwen3", "qwen3", 4, 2, 16, feed_forward=96, base=1e6, head_norm=True,
          explicit_head_dim=True, formats=("F16", "Q8_0", "F32")),
]


def make_weights(model, random):
    """Names of GGUF -> (format, blocks, their numbers), rows in published order."""
    weights = {}

    def matrix(name, form, rows, cols, scale):
        kind = gguf.GGMLQuantizationType[form]
        blocks = gguf.quants.quantize(random.normal(0, scale, (rows, cols)).astype(np.float32), kind)
        weights[name] = kind, blocks, gguf.quants.dequantize(blocks, kind).astype(np.float64)

    def vector(name, numbers):
        numbers = numbers.astype(np.float32)
        weights[name] = gguf.GGMLQuantizationType.F32, numbers, numbers.astype(np.float64)

    def gain(name, size):
        vector(name, random.uniform(0.5, 1.5, size))

    attention, feed_forward, embedding = model.formats
    wide, query, key = model.embedding, model.heads * model.head_dim, model.kv_heads * model.head_dim
    # Rows are so small that the epsilon of the norms counts.
    matrix("token_embd.weight", embedding, TOKENS, wide, 0.1)
    gain("output_norm.weight", wide)
    if not model.tied:
        matrix("output.weight", embedding, TOKENS, wide, 0.3)
    for layer in range(LAYERS):
        at = f"blk.{layer}."
        gain(at + "attn_norm.weight", wide)
        gain(at + "ffn_norm.weight", wide)
        matrix(at + "attn_q.weight", attention, query, wide, 1.5 / wide**0.5)
        matrix(at + "attn_k.weight", attention, key, wide, 1.5 / wide**0.5)
        matrix(at + "attn_v.weight", attention, key, wide, 1.0 / wide**0.5)
        matrix(at + "attn_output.weight", attention, wide, query, 1.0 / query**0.5)
        matrix(at + "ffn_gate.weight", feed_forward, model.feed_forward, wide, 1.0 / wide**0.5)
        matrix(at + "ffn_up.weight", feed_forward, model.feed_forward, wide, 1.0 / wide**0.5)
        matrix(at + "ffn_down.weight", feed_forward, wide, model.feed_forward, 1.0 / model.feed_forward**0.5)
        if model.bias:
            for part, size in (("q", query), ("k", key), ("v", key)):
                vector(f"{at}attn_{part}.bias", random.normal(0, 0.5, size))
        if model.head_norm:
            gain(at + "attn_q_norm.weight", model.head_dim)
            gain(at + "attn_k_norm.weight", model.head_dim)
    return weights


class Exact:
    def store(self, x):
        return x

    def sum(self, x, magnitudes, terms):
        return x


class Rounded:
    """Random float32 rounding: of what is stored, of the sums of two ranks and, if sums are floats, of each of their
    terms: sqrt(terms) * UNIT * (sum of magnitudes) is how far they drift (Higham and Mary, SIAM J. Sci. Comput. 41,
    2019)."""

    def __init__(self, random, float_sums):
        self.random, self.float_sums = random, float_sums

    def store(self, x):
        return x * (1 + UNIT * self.random.uniform(-1, 1, x.shape))

    def sum(self, x, magnitudes, terms):
        roundings = RANKS + (math.sqrt(terms) if self.float_sums else 0)
        return x + roundings * UNIT * magnitudes * self.random.uniform(-1, 1, x.shape)


def linear(rounding, x, weight):
    return rounding.sum(x @ weight.T, np.abs(x) @ np.abs(weight).T, weight.shape[1])


def rms_norm(rounding, x, gain, epsilon):
    mean = rounding.sum((x**2).mean(-1, keepdims=True), (x**2).mean(-1, keepdims=True), x.shape[-1])
    return rounding.store(x / np.sqrt(mean + np.float32(epsilon)) * gain)


def llama3_frequency(model, frequency):
    wavelength = 2 * math.pi / frequency
    if wavelength < model.original / 4:
        return frequency
    if wavelength > model.original / 1:
        return frequency / model.factor
    smooth = (model.original / wavelength - 1) / (4 - 1)
    return (1 - smooth) * frequency / model.factor + smooth * frequency


def yarn_frequencies(model, frequency):
    def pair_of(rotations):
        return model.head_dim * math.log(model.original / (rotations * 2 * math.pi)) / (2 * math.log(model.base))

    low = max(math.floor(pair_of(model.beta_fast)), 0)
    high = min(math.ceil(pair_of(1)), model.head_dim - 1)
    ramp = np.clip((np.arange(model.head_dim // 2) - low) / (high - low), 0, 1)
    return frequency / model.factor * ramp + frequency * (1 - ramp)


def frequencies(model):
    """Radians a token of each pair."""
    plain = model.base ** (-np.arange(0, model.head_dim, 2) / model.head_dim)
    if model.scaling == "linear":
        return plain / model.factor
    if model.scaling == "llama3":
        return np.array([llama3_frequency(model, f) for f in plain])
    return yarn_frequencies(model, plain) if model.scaling == "yarn" else plain


def rotate(model, x):
    """x: [tokens, heads, head_dim]."""
    angle = np.arange(len(x))[:, None, None] * frequencies(model)
    scaled = model.scaling == "yarn" and model.magnitude
    size = 0.1 * math.log(model.factor) + 1 if scaled else 1.0
    cosine, sine = size * np.cos(angle), size * np.sin(angle)
    half = model.head_dim // 2
    first, second = (x[..., 0::2], x[..., 1::2]) if model.neighbours else (x[..., :half], x[..., half:])
    turned = first * cosine - second * sine, second * cosine + first * sine
    return np.stack(turned, -1).reshape(x.shape) if model.neighbours else np.concatenate(turned, -1)


def attention(model, rounding, x, weight):
    def project(part, heads):
        out = linear(rounding, x, weight(f"attn_{part}.weight"))
        if model.bias:
            out = rounding.store(out + weight(f"attn_{part}.bias"))
        return out.reshape(len(x), heads, model.head_dim)

    def turned(part, heads):
        out = project(part, heads)
        if model.head_norm:
            out = rms_norm(rounding, out, weight(f"attn_{part}_norm.weight"), model.epsilon)
        return rounding.store(rotate(model, out))

    query, key, value = turned("q", model.heads), turned("k", model.kv_heads), project("v", model.kv_heads)
    head = np.arange(model.heads)
    reads = head % model.kv_heads if model.dealt_heads else head // (model.heads // model.kv_heads)
    key, value = key[:, reads], value[:, reads]
    products, sizes = (np.einsum("thd,shd->hts", f(query), f(key)) for f in (lambda y: y, np.abs))
    scores = rounding.sum(products, sizes, model.head_dim) / math.sqrt(model.head_dim)
    scores = np.where(np.tri(len(x), dtype=bool), scores, -np.inf)
    share = np.exp(scores - scores.max(-1, keepdims=True))
    share = rounding.store(share / share.sum(-1, keepdims=True))
    mixed, sizes = (np.einsum("hts,shd->thd", share, f(value)) for f in (lambda y: y, np.abs))
    mixed = rounding.sum(mixed, sizes, len(x)).reshape(len(x), -1)
    return linear(rounding, mixed, weight("attn_output.weight"))


def feed_forward(rounding, x, weight):
    gate = linear(rounding, x, weight("ffn_gate.weight"))
    up = linear(rounding, x, weight("ffn_up.weight"))
    return linear(rounding, rounding.store(gate / (1 + np.exp(-gate)) * up), weight("ffn_down.weight"))


def logits(model, weights, tokens, rounding=Exact()):
    """[tokens, TOKENS]"""
    x = weights["token_embd.weight"][2][tokens]
    for layer in range(LAYERS):
        def weight(name):
            return weights[f"blk.{layer}.{name}"][2]

        normed = rms_norm(rounding, x, weight("attn_norm.weight"), model.epsilon)
        x = rounding.store(x + attention(model, rounding, normed, weight))
        normed = rms_norm(rounding, x, weight("ffn_norm.weight"), model.epsilon)
        x = rounding.store(x + feed_forward(rounding, normed, weight))
    normed = rms_norm(rounding, x, weights["output_norm.weight"][2], model.epsilon)
    return linear(rounding, normed, weights["token_embd.weight" if model.tied else "output.weight"][2])


def mistakes(model):
    yield "epsilon", dict(epsilon=0.0)
    yield "neighbours", dict(neighbours=True)
    yield "frequency base", dict(base=model.base * 2)
    if 1 < model.kv_heads < model.heads:
        yield "heads dealt out", dict(dealt_heads=True)
    if not model.tied:
        yield "tied", dict(tied=True)
    if model.scaling != "none":
        yield "no scaling", dict(scaling="none")
    if model.scaling == "yarn":
        yield "as linear", dict(scaling="linear")
        yield "no magnitude", dict(magnitude=False)
        yield "default beta_fast", dict(beta_fast=32.0)
    if model.scaling == "llama3":
        yield "as linear", dict(scaling="linear")
    if model.bias:
        yield "no bias", dict(bias=False)
    if model.head_norm:
        yield "no head norm", dict(head_norm=False)


def write_settings(model, writer):
    writer.add_name(model.name)
    writer.add_quantization_version(2)
    writer.add_block_count(LAYERS)
    writer.add_context_length(256)
    writer.add_embedding_length(model.embedding)
    writer.add_feed_forward_length(model.feed_forward)
    writer.add_head_count(model.heads)
    writer.add_head_count_kv(model.kv_heads)
    writer.add_rope_freq_base(model.base)
    writer.add_layer_norm_rms_eps(model.epsilon)
    if model.architecture == "llama":
        writer.add_rope_dimension_count(model.head_dim)
        writer.add_vocab_size(TOKENS)
    if model.explicit_head_dim:
        writer.add_key_length(model.head_dim)
        writer.add_value_length(model.head_dim)
    if model.scaling in ("linear", "yarn"):
        writer.add_rope_scaling_type(gguf.RopeScalingType(model.scaling))
        writer.add_rope_scaling_factor(model.factor)
    if model.scaling == "yarn":
        writer.add_rope_scaling_orig_ctx_len(model.original)
        writer.add_float32(f"{model.architecture}.rope.scaling.yarn_beta_fast", model.beta_fast)


def write_vocabulary(writer):
    tokens = [chr(c) for c in range(ord(">"), ord("z") + 1)] + ["<|im_start|>", "<|im_end|>", "ab"]
    assert len(tokens) == TOKENS
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("smollm")
    writer.add_token_list(tokens)
    writer.add_token_types([1] * (TOKENS - 3) + [3, 3, 1])
    writer.add_token_merges(["a b"])
    writer.add_bos_token_id(TOKENS - 3)
    writer.add_eos_token_id(TOKENS - 2)
    writer.add_add_bos_token(False)


def neighbours_from_halves(rows, heads):
    """Row i of a head's first half beside row i of its second."""
    halves = rows.reshape(heads, 2, -1, rows.shape[-1])
    return np.ascontiguousarray(halves.transpose(0, 2, 1, 3)).reshape(rows.shape)


def write_model(model, weights, path):
    writer = gguf.GGUFWriter(path, model.architecture)
    write_settings(model, writer)
    write_vocabulary(writer)
    for name, (kind, blocks, _) in weights.items():
        if model.architecture == "llama" and name.endswith(("attn_q.weight", "attn_k.weight")):
            blocks = neighbours_from_halves(blocks, model.heads if "attn_q" in name else model.kv_heads)
        writer.add_tensor(name, blocks, raw_dtype=kind)
    if model.scaling == "llama3":
        plain = frequencies(dataclasses.replace(model, scaling="none"))
        writer.add_tensor("rope_freqs.weight", (plain / frequencies(model)).astype(np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def describe(model, weights, random):
    tokens = random.integers(0, TOKENS, PROMPT)
    exact = logits(model, weights, tokens)
    log_sum = np.log(np.exp(exact).sum(-1))
    nll = (log_sum[:-1] - exact[np.arange(PROMPT - 1), tokens[1:]]).mean()

    def change(other):
        return float(f"{np.abs(other - exact).max():.3g}")

    rounding = {
        backend: max(change(logits(model, weights, tokens, Rounded(random, float_sums))) for _ in range(32))
        for backend, float_sums in (("reference", False), ("cpu", True))
    }
    wrong = {
        name: change(logits(dataclasses.replace(model, **changes), weights, tokens))
        for name, changes in mistakes(model)
    }
    return dict(prompt=tokens.tolist(), mean_nll=round(nll, 9), rounding=rounding, mistakes=wrong,
                last_logits=[round(x, 9) for x in exact[-1].tolist()])


def main():
    folder = pathlib.Path(__file__).parent / "toy"
    folder.mkdir(exist_ok=True)
    golden = {}
    for seed, model in enumerate(MODELS):
        random = np.random.default_rng(seed + 1)
        weights = make_weights(model, random)
        write_model(model, weights, folder / f"{model.name}.gguf")
        golden[model.name] = describe(model, weights, random)
    lines = (f"{json.dumps(name)}: {json.dumps(model)}" for name, model in golden.items())
    (folder / "logits.json").write_text("{\n" + ",\n".join(lines) + "\n}\n")


if __name__ == "__main__":
    main()
