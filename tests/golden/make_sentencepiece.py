#!/usr/bin/env python3
"""Writes sentencepiece.json: two small BPE vocabularies and what the `sentencepiece` package (0.2) encodes with them.

The first has byte tokens, the second none, so that unknown characters show. Text is pseudo-random.
"""
import json
import pathlib
import random
import tempfile

import sentencepiece

WORDS = ("the cat sat on a mat then that hat and this than there other mother father rather gather weather "
         "caf\u00e9 na\u00efve stra\u00dfe \u00fcber \u65e5\u672c \u65e5\u672c\u8a9e 12 3.14 2024 (x) [y] {z}, a=b; it's").split()
CHARACTERS = list("aeht cns  .,1") + ["\u00e9", "\u65e5", "\u672c", "\U0001f642", "\u00f1", "\t", "\n", "  ", "\u2581"]


def sentences(seed, count):
    choose = random.Random(seed)
    for _ in range(count):
        yield " ".join(choose.choice(WORDS) for _ in range(choose.randint(2, 12)))


def texts():
    choose = random.Random(7)
    yield from ["", "a", " ", "  ", " a", "the", "the cat ", "\n", "\u65e5\u672c\u8a9e", "\U0001f642\U0001f642x\u00f1\u00f1",
                "</s>", "<s>the<unk>", "<0x41>", "a\tb\nc", "aaaaaaaaaaaaaaaaa", "the\u2581cat"]
    yield from sentences(8, 20)
    for _ in range(40):
        yield "".join(choose.choice(CHARACTERS) for _ in range(choose.randint(1, 25)))


def train(folder, byte_fallback, size):
    corpus = folder / "corpus.txt"
    corpus.write_text("\n".join(sentences(1, 600)))
    sentencepiece.SentencePieceTrainer.train(
        input=str(corpus), model_prefix=str(folder / "m"), vocab_size=size, model_type="bpe",
        byte_fallback=byte_fallback, normalization_rule_name="identity", remove_extra_whitespaces=False,
        minloglevel=2)
    return sentencepiece.SentencePieceProcessor(model_file=str(folder / "m.model"))


def case(byte_fallback, size):
    with tempfile.TemporaryDirectory() as folder:
        model = train(pathlib.Path(folder), byte_fallback, size)
    ids = range(model.get_piece_size())
    kind = lambda i: 2 if model.is_unknown(i) else 3 if model.is_control(i) else 6 if model.is_byte(i) else 1
    return {"tokens": [model.id_to_piece(i) for i in ids], "types": [kind(i) for i in ids],
            "scores": [model.get_score(i) for i in ids],
            "cases": [{"text": text, "ids": model.encode(text)} for text in texts()]}


out = pathlib.Path(__file__).with_name("sentencepiece.json")
out.write_text("[\n" + ",\n".join(json.dumps(case(*arguments), separators=(",", ":"))
                                  for arguments in [(True, 390), (False, 150)]) + "\n]\n")
