"""Compares our tokens with tiktoken's own on random hostile texts.

    pip install tiktoken && python3 fuzz_tokens.py PATH/TO/token_ids PATH/TO/cl100k_base.bin [TEXTS] [SEED]

With "write:FILE" in place of the program it writes texts with tiktoken's ids, a JSON object a line: tests/memory/data/tokens.jsonl.

tiktoken downloads its ranks; here it gets them from the file in src/memory/data, so that nothing but its code is the judge.
"""
import json
import random
import subprocess
import sys

import tiktoken

PATTERN = r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,3}+| ?[^\s\p{L}\p{N}]++[\r\n]*+|\s++$|\s*[\r\n]|\s+(?!\S)|\s"


def ranks(path):
    blob, tokens, at = open(path, "rb").read(), {}, 0
    while at < len(blob):
        size = blob[at]
        tokens[blob[at + 1 : at + 1 + size]] = len(tokens)
        at += 1 + size
    return tokens


def main():
    program, blob = sys.argv[1:3]
    count = int(sys.argv[3]) if len(sys.argv) > 3 else 20000
    chance = random.Random(int(sys.argv[4]) if len(sys.argv) > 4 else 1)
    judge = tiktoken.Encoding("cl100k_base", pat_str=PATTERN, mergeable_ranks=ranks(blob), special_tokens={})
    bits = [" ", "  ", "\n", "\r\n", "\r", "\t", "\v", "\f", "\x85", "\xa0", "\u1680", "\u2003", "\u2028", "\u202f", "\u3000", "\ufeff"]
    bits += ["'", "'s", "'S", "'\u017f", "'\u017fx", "'ll", "'lL", "'ve", "'re", "'d", "'x", "\u2019s", "\u017f", "\u212a", "e\u0301", "\u200d"]
    bits += ["1", "12", "1234567", "\u0663", "\u2167", "\xbd", "a", "the", "Hello", "a" * 16, "=" * 40, "\u4e2d\u6587", "\ud55c\uad6d", "\U0001f469\u200d\U0001f4bb"]
    bits += ["def f(x):\n        return x\n", "{{name}}", "/", "_", "__init__", "...", "!?", "<|endoftext|>", "\x00", "\x1b[0m", "http://", "\ufffd"]

    def point():
        while True:
            value = chance.randrange(chance.choice([0x100, 0x3000, 0x20000, 0x110000]))
            if not 0xD800 <= value < 0xE000:
                return chr(value)

    texts = ["".join(chance.choice(bits) if chance.random() < 0.7 else point() for _ in range(chance.randrange(1, 40))) for _ in range(count)]
    if program.startswith("write:"):
        texts += [unit * 300 for unit in ["a", "=", " ", "\n", "ab", "a1", "\u4e2d", "x\n", "1", " \n x"]]
        with open(program[6:], "w") as out:
            for text in texts:
                out.write(json.dumps({"text": text, "ids": judge.encode_ordinary(text)}) + "\n")
        return
    texts += [unit * 20000 for unit in ["a", "=", " ", "\n", "ab", "a1", "\u4e2d", "x\n", "1", " \n x"]]
    texts += ["".join(map(chr, range(first, first + 0x400))) for first in range(0, 0x110000, 0x400) if not 0xD800 <= first < 0xE000]
    texts += ["".join(chance.choice("abcdefgh ij'") for _ in range(2000)) for _ in range(200)]
    texts += ["".join(chance.choice("aeinrst") for _ in range(chance.randrange(100, 400))) for _ in range(2000)]
    answer = subprocess.run([program], input="".join(json.dumps(text) + "\n" for text in texts).encode(), stdout=subprocess.PIPE, check=True)
    wrong = 0
    for text, line in zip(texts, answer.stdout.decode().split("\n")):
        theirs = judge.encode_ordinary(text)
        if list(map(int, line.split())) != theirs:
            wrong += 1
            if wrong <= 10:
                print(f"differs on {text[:200]!r}\n  ours   {line[:300]}\n  theirs {theirs[:50]}")
    print(f"{len(texts)} texts, {wrong} differ")
    sys.exit(1 if wrong else 0)


main()
