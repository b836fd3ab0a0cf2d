#!/usr/bin/env python3
"""Differential fuzzing of the log parsers against SWE-bench's own. Needs the package `swebench` 5.0.2 in the Python that
runs it (pip install swebench==5.0.2), and a build of the target `logparse_batch`.

    ninja -C build/release logparse_batch
    python tests/logparse/fuzz_against_reference.py --batch build/release/bin/logparse_batch

Real logs (../shared/data/eval_logs, where present) and the samples beside this file are cut, spliced, interleaved,
coloured, given CRLF ends, hostile bytes and words of the runner's own grammar; both sides read the same bytes, and the
script stops at the first difference: it saves the input, and says how to see it again. Half of the inputs are decoded as
a file is (universal newlines, U+FFFD), half are given to the parser as text.

    --count N         inputs for each distinct parser whose result is not empty (default 3000)
    --seed S          the same seed gives the same inputs
    --parser NAME     only this one; may be repeated
    --jobs N          worker processes
    --keep-going      a difference ends its own parser only
    --write-expected  write samples/expected.jsonl, what the reference reads in each sample, and end
    --coverage FILE   measure the reference's branch coverage (needs the package coverage; one process), as Markdown
"""
import argparse
import ast
import collections
import inspect
import io
import json
import multiprocessing
import os
import pathlib
import random
import re
import signal
import struct
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
SAMPLES = HERE / "samples"
SHARED = pathlib.Path(os.environ.get("AWM_SHARED_DATA", HERE.parent.parent.parent / "shared" / "data"))
LIMIT_SECONDS = 5  # for one parse of the reference: some of its expressions take cubic time

# Parser → its samples, as (file, version, instance id).
PYTEST = [("pytest.txt", "", ""), ("pytest_v2.txt", "", ""), ("seaborn.txt", "", "")]
SEEDS = {
    "parse_log_pytest": PYTEST,
    "parse_log_pytest_options": PYTEST,
    "parse_log_matplotlib": PYTEST,
    "parse_log_pytest_v2": PYTEST,
    "parse_log_seaborn": PYTEST,
    "parse_log_django": [("django.txt", "", "")],
    "parse_log_sympy": [("sympy.txt", "", "")],
    "parse_log_calypso": [("calypso.txt", "", "")],
    "parse_log_bpmn_js": [("bpmn_js.txt", "", "")],
    "parse_log_carbon": [("carbon.txt", "", "")],
    "parse_log_react_pdf": [("carbon.txt", "", "")],
    "parse_log_eslint": [("mocha_min.txt", "", ""), ("mocha_spec.txt", "", "")],
    "parse_log_grommet": [("grommet.txt", "", "")],
    "parse_log_highlightjs": [("mocha_spec.txt", "", "")],
    "parse_log_lighthouse": [("lighthouse_mocha.txt", "10.2", ""), ("lighthouse_json.txt", "2.3", ""),
                             ("carbon.txt", "5.0", ""), ("carbon.txt", "x", "")],
    "parse_log_next": [("next_v1.txt", "1.25", ""), ("next_v2.txt", "1.27", "")],
    "parse_log_openlayers": [("openlayers.txt", "", "")],
    "parse_log_prismjs": [("prismjs.txt", "", "")],
    "parse_log_quarto_cli": [("quarto_cli.txt", "", "")],
    "parse_log_chart_js": [("chart_js.txt", "", "")],
    "parse_log_marked": [("marked.txt", "", "")],
    "parse_log_p5js": [("p5js.txt", "", ""), ("mocha_spec.txt", "", "")],
    "parse_log_jest": [("jest.txt", "", "")],
    "parse_log_jest_json": [("jest_json.txt", "", "")],
    "parse_log_vitest": [("vitest.txt", "", "")],
    "parse_log_karma": [("karma.txt", "", "")],
    "parse_log_tap": [("tap.txt", "", "")],
    "parse_log_immutable_js": [("jest.txt", "", "immutable-js__immutable-js-2006"),
                               ("jest_json.txt", "", "immutable-js__immutable-js-2005"), ("jest.txt", "", "x-1")],
    "parse_log_redis": [("redis.txt", "", "")],
    "parse_log_jq": [("jq.txt", "", "")],
    "parse_log_doctest": [("doctest.txt", "", "")],
    "parse_log_micropython_test": [("micropython_test.txt", "", "")],
    "parse_log_googletest": [("googletest.txt", "", "")],
    "parse_log_gotest": [("gotest.txt", "", "")],
    "parse_log_maven": [("maven.txt", "", "")],
    "parse_log_ant": [("ant.txt", "", "")],
    "parse_log_gradle_custom": [("gradle_custom.txt", "", "")],
    "parse_log_phpunit": [("phpunit.txt", "", "")],
    "parse_log_minitest": [("minitest.txt", "", "")],
    "parse_log_cucumber": [("cucumber.txt", "", "")],
    "parse_log_ruby_unit": [("ruby_unit.txt", "", "")],
    "parse_log_rspec_transformed_json": [("rspec_transformed_json.txt", "", "")],
    "parse_log_jekyll": [("minitest.txt", "", "jekyll__jekyll-9141"), ("cucumber.txt", "", "jekyll__jekyll-8761"),
                         ("minitest.txt", "", "jekyll__jekyll-1"), ("minitest.txt", "", "jekyll")],
    "parse_log_cargo": [("cargo.txt", "", "")],
}
REAL = {"parse_log_pytest": ("pytest-dev", "pydata", "pallets"), "parse_log_pytest_options": ("psf", "pylint-dev"),
        "parse_log_matplotlib": ("matplotlib",), "parse_log_pytest_v2": ("astropy", "scikit-learn", "sphinx-doc"),
        "parse_log_seaborn": ("mwaskom",), "parse_log_django": ("django",), "parse_log_sympy": ("sympy",)}

# White space and digits as Unicode knows them, controls, bytes that are no UTF-8, and what looks like markup.
GLUE = ["\n", "\n", "\n", "\n\n", " ", " ", "  ", "    ", "\t", "\r\n", "\r", "\x0b", "\x0c", "\x1c", "\x85", "\xa0", "\u2028", "\u3000",
        "\u1680", "\u200b", "\u180e", "\ufeff", "0", "7", "12", "\u0663", "\uff11", "\U0001d7d8", "\u00b2", "\x00", "\x1b[31m",
        "\x1b[0m", "\x1b", "[1m", "a", "é", "ß", "漢", "\U0001f600", "e\u0301", "_", "(", ")", "[", "]", ":", ".", "...", "-", " - ", "=",
        "<", ">", "/", "\"", "'", "\\", "%", "…", "\ufffd", "(5ms)", "(5 ms)", "(1.5s)", "FAILED", "PASSED", "ok", "Error", "E", "F",
        "1) ", "\n  1) "]
BYTES = [b"\xff", b"\xc3", b"\xe2\x82", b"\xed\xa0\x80", b"\xf0\x9f\x98", b"\x80", b"\xc0\xaf", b"\xf4\x90\x80\x80", b"\xe2\x9c"]
WORDS = {
    "parse_log_calypso": [" ./node_modules/.bin/jest ", "Test Suites", "  ● ", "✓", "✕", " ✓ ", "  ✕ a (5ms)"],
    "parse_log_bpmn_js": ["2KPhantomJS 2.1 (Linux 0.0) ", "2KPhantomJS 2 (Linux x86_64) ", "Chrome Headless ", " (Linux x86_64) ",
                          "HeadlessChrome 1.2 (Linux 3.4) ", "FAILED\n", "Chrome", "Headless", "(Linux", "x86_64)"],
    "parse_log_carbon": ["PASS ", "FAIL ", " (5ms)", " (1.5 s)", " (2s)", "PASS", " (ms)"],
    "parse_log_eslint": ["  1)", "\n  2) ", "Error", "TypeError: x", "12)", " 3)"],
    "parse_log_grommet": ["PASS ", "FAIL ", " (5 ms)", " (1.5 s)", " (2s)", "PASS\n", "FAIL\n"],
    "parse_log_highlightjs": ["✓ ", "✔ ", "\n  3 passing", "1) ", "  suite", "(5ms)", "\n\t9 passing"],
    "parse_log_lighthouse": ["running 3 test files", "5 passing", "✔ ", "1) ", " (5ms)", " (5mms)", "./node_modules/.bin/mocha --reporter json",
                             '"passes": [', '"failures": [', '"fullTitle": "', '",\n', "]", "],", "PASS ", "FAIL "],
    "parse_log_next": [" xvfb-run ", "Starting browser Chrome", "TOTAL", "✗ ", "✓ ", "ERROR", "LOG", "AssertionError: #", "\n\n", "Running: a)",
                       ")\n\n\n  ", "    1) ", "    ✓ a (", "Check", "in", "AssertionError:"],
    "parse_log_openlayers": ["Chrome Headless 1.2 (Linux x86_64) ", "Chrome 1.2 (Linux x) ", " FAILED\n", "FAILED\n", "\n  1)", "Error:", "\ncase ",
                             ": mismatch", "case", "mismatch", "Chrome", "Headless", "(Linux", "x)"],
    "parse_log_prismjs": ["./node_modules/.bin/mocha tests/run.js --reporter json", '{"failures": [', '"passes": []', '"fullTitle": ', "}", "{", "null",
                          "NaN", "1.50", "-0", "1e400", "1e16", "123456789.25e-9", "true", '"\\ud83d\\ude00"', '"\\ud800"', '"\\u00e9\\n"', ",", "[]",
                          "-Infinity", '"a\\/b"', '{"failures": [], "passes": [{"fullTitle": "a"}]}',
                          './node_modules/.bin/mocha tests/run.js --reporter json {"failures": [{"fullTitle": "b"}], "passes": ""}'],
    "parse_log_quarto_cli": ["[smoke]", "[unit]", "/tmp/a1.qmd", "/tmp/b2/", "/tmp/", "...", "32mok", "31mFAILED", "ERRORS", "failures:", "test result:",
                             "passed", "failed", "steps", "34mINFO", "/tmp/é_"],
    "parse_log_chart_js": ["Chrome 1.2 (Linux) ", "FAILED", "FAILED\n", "Chrome", " 1.0 ", "(a)", ") ", "() "],
    "parse_log_marked": ["1) ", "\n2) ", "\n3)"],
    "parse_log_p5js": ["{", "}", "[", "]", "<a>", "</a>", "<b_1>", "</b_1>", "\n  1)", ":", "\n   x", "\n     y", "<", "</", "a>", "\n{\n", "\n}\n", "x" * 990],
    "parse_log_jest": ["✓ ", "✕ ", "○ ", " (5 ms)", " (5ms)", " (5  s)", " (ms)"],
    "parse_log_jest_json": ["[PASSED] ", "[FAILED] ", "[PASSED]", "[SKIPPED] "],
    "parse_log_vitest": ["✓ ", "× ", "↓ ", " 5ms", " 5 s", " 5m", " 5", " [skipped]", "ms", " s"],
    "parse_log_karma": ["Starting browser", "SUMMARY:", "✔ ", "✖ ", "  a", "    b", "      c", " ", "\n\n"],
    "parse_log_tap": ["ok 1 ", "not ok 2 ", "ok", "not ok", "1..2"],
    "parse_log_redis": ["[ok]: ", "[err]: ", "[skip]: ", "[ignore]: ", " (5 ms)", " in x.tcl", " in ", "in", "(5s)"],
    "parse_log_jq": ["PASS: ", "FAIL: ", "PASS:"],
    "parse_log_doctest": ["<doctest>", "</doctest>", "<TestCase name='a'>", "</TestCase>", '<SubCase name="b">', "</SubCase>",
                          '<Expression success="true"/>', '<Expression success="false"/>', "<!-- x -->", "<![CDATA[x]]>", "]]>", "&amp;", "&#65;", "&#x0;",
                          "&#xD800;", "&x;", ' xmlns="u"', ' xmlns:p="u"', "<p:TestCase/>", ' p:name="c"', "<?pi x?>", "<?xml?>", "--", ' name="d&lt;"', "<é/>",
                          "<a·b/>", ' a="1"', "<SubCase/>", "\uffff", "\ufffe", ' xml:lang="x"', ' xmlns=""', "<", ">", "/>",
                          '<doctest><TestCase name="a"><SubCase name="b"/></TestCase></doctest>'],
    "parse_log_micropython_test": ["pass  ", "FAIL ", "skip ", "pass"],
    "parse_log_googletest": ["[ OK ] ", "[  FAILED  ] ", "[OK]", " (5 ms)", "(", ")", "[", "[ RUN ]"],
    "parse_log_gotest": ["--- PASS: ", "--- FAIL: ", "--- SKIP: ", " (0.00s)", " (", ")", "()"],
    "parse_log_maven": ["-Dtest=", "-Dtest=a.B#c", "BUILD SUCCESS", "BUILD FAILURE", "BUILD SUCCESS\n", "\n+ mvn -Dtest=x\n"],
    "parse_log_ant": ["[junit] ", "[PASS] ", "[FAIL] ", "[ERR] ", "[junit] [PASS] "],
    "parse_log_gradle_custom": [" > ", " PASSED", " FAILED", "\nPASSED\n", "\nFAILED\n", ">", "\na > b\n", "a > b PASSED"],
    "parse_log_phpunit": ["✔ ", "✘ ", "↩ ", "Suite (Class)", " (", ")", "\nA (b)\n", "é (x)"],
    "parse_log_minitest": [". ", " = 0.1 s = .", "= F", "= E", "=", ".", "a. x = ."],
    "parse_log_cucumber": [" ..", " .F", " .", "F", "...", " ..F"],
    "parse_log_ruby_unit": ["test: ", ": .", ":\tE", ": F", ": O", ": Ok", ":", "\ntest: a: .", "E\u0301", ": Eé"],
    "parse_log_rspec_transformed_json": [" - passed", " - failed", " - pending", " - "],
    "parse_log_jekyll": [". ", "= .", "= F", " ..", " .F"],
    "parse_log_immutable_js": ["✓ ", "✕ ", "[PASSED] ", "[FAILED] ", " (5 ms)"],
    "parse_log_cargo": ["test ", " ... ", "ok", "FAILED", "ignored", "test a ... ok", "..."],
    "parse_log_django": [" ... ok", " ... OK", " ...  OK", " ... ", " ... skipped", " ... FAIL", " ... ERROR", "FAIL: ", "ERROR: ", "\nok", "\nok\n",
                         "--version is equivalent to version", "Testing against Django installed in ", " silenced).\nok\n", "Internal Server Error: /", "/\nok",
                         "System check identified no issues (0 silenced)\nok", "Applying sites.0002_alter_domain_unique...test_no_migrations", "\na ... "],
    "parse_log_sympy": [".py:", " _", "__ ", "test_", " ok", " F", " E", "\ntest_a ok"],
    "parse_log_seaborn": [" PASSED ", "PASSED ", "FAILED ", "a PASSED b"],
    "parse_log_matplotlib": ["MouseButton.LEFT", "MouseButton.RIGHT", "MouseButton.", "\nPASSED ", "\nFAILED ", " - "],
    "parse_log_pytest": ["\nPASSED ", "\nFAILED ", "\nSKIPPED [1] ", "\nERROR ", "\nXFAIL ", " - ", "[100%]", "SKIPPED [٣] x"],
    "parse_log_pytest_options": ["\nPASSED a[/b/c]", "\nFAILED ", "[/", "[//", "*", "]", "\nSKIPPED [1] ", " - "],
    "parse_log_pytest_v2": ["\nPASSED ", "\nFAILED ", " PASSED\n", " FAILED\n", "[31m", "[٣m", "\nSKIPPED [1] ", " - ", "xPASSED", " XFAIL", "\x1f", "\x7f"],
}


def registry():
    """Distinct parsers, each under the first of its names, and which names share it."""
    from swebench.harness.log_parsers import PARSER_REGISTRY

    names = collections.OrderedDict()
    for name, function in PARSER_REGISTRY.items():
        names.setdefault(function, []).append(name)
    return {shared[0]: (function, shared) for function, shared in names.items()}


class Spec:
    def __init__(self, version, instance_id):
        self.version = version
        self.instance_id = instance_id


class TooSlow(BaseException):
    pass


def on_alarm(*_):
    raise TooSlow


def decode(data, as_file):
    if as_file:
        return io.TextIOWrapper(io.BytesIO(data), encoding="utf-8", errors="replace").read()
    return data.decode("utf-8", "replace")


def reference(function, data, version, instance_id, as_file):
    """(entries or None where it raises, the exception)"""
    text = decode(data, as_file)
    signal.setitimer(signal.ITIMER_REAL, LIMIT_SECONDS)
    try:
        statuses = function(text, Spec(version, instance_id))
    except TooSlow:
        raise
    except Exception as error:  # whatever it raises: the sample of such a log is an error
        return None, repr(error)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
    return [(key_text(key), str(status)) for key, status in statuses.items()], ""


def key_text(key):
    if isinstance(key, str):
        return key.encode("utf-8", "surrogatepass")
    return next(iter(json.loads(json.dumps({key: 0})))).encode()


class Ours:
    def __init__(self, batch):
        self.process = subprocess.Popen([batch], stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def parse(self, name, data, version, instance_id, as_file):
        if not as_file:
            data = data.decode("utf-8", "replace").encode()
        parts = [struct.pack("<I", len(part)) + part for part in (name.encode(), version.encode(), instance_id.encode())]
        self.process.stdin.write(b"".join(parts) + bytes([as_file]) + struct.pack("<I", len(data)) + data)
        self.process.stdin.flush()
        count = self.number()
        if count == 0xFFFFFFFF:
            return None, self.string().decode()
        return [(self.string(), self.string().decode("utf-8", "surrogatepass")) for _ in range(count)], ""

    def number(self):
        data = self.process.stdout.read(4)
        if len(data) != 4:
            raise EOFError("logparse_batch ended")
        return struct.unpack("<I", data)[0]

    def string(self):
        return self.process.stdout.read(self.number())

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def seeds_of(name):
    found = [((SAMPLES / file).read_bytes(), version, instance) for file, version, instance in SEEDS[name]]
    index = SHARED / "eval_logs" / "index.jsonl"
    if name in REAL and index.is_file():
        rows = [json.loads(line) for line in index.read_text().splitlines()]
        for row in rows:
            if row["repo"].split("/")[0] in REAL[name]:
                found.append(((SHARED / "eval_logs" / row["dir"] / "test_output.txt").read_bytes(), "", ""))
    return found


class Mutator:
    def __init__(self, name, random_):
        self.name = name
        self.random = random_
        self.words = [word.encode() for word in WORDS.get(name, [])]
        self.glue = [word.encode() for word in GLUE] + BYTES
        self.seeds = seeds_of(name)
        lines = b"\n".join(data for data, _, _ in self.seeds).split(b"\n")
        self.lines = lines if len(lines) < 20000 else self.random.sample(lines, 20000)

    def token(self):
        return self.random.choice(self.words if self.words and self.random.random() < 0.6 else self.glue)

    def window(self, data):
        """A part of a log: whole when small, else some of its lines, now and then cut in the middle of a line."""
        if len(data) > 6000 and self.random.random() < 0.98:
            size = self.random.choice([300, 1000, 3000, 6000])
            start = self.random.randrange(len(data) - size)
            if self.random.random() < 0.8:
                start = data.rfind(b"\n", 0, start) + 1
            data = data[start:start + size]
        return data

    def soup(self):
        return b"".join(self.token() for _ in range(self.random.randrange(1, 40)))

    def line_soup(self):
        """Lines that look like results: an indentation, words of the runner, a plain word or two."""
        lines = []
        for _ in range(self.random.randrange(1, 14)):
            words = [self.random.choice(self.words) if self.words and self.random.random() < 0.7 else
                     self.random.choice([b"a", b"b c", b"x::y", b"t (1)", b"", b"d. e", b"7", b"f: g"])
                     for _ in range(self.random.randrange(1, 5))]
            lines.append(b" " * self.random.choice([0, 0, 0, 1, 2, 2, 3, 4, 4, 6]) +
                         self.random.choice([b"", b"", b" "]).join(words))
        return b"\n".join(lines)

    def json_value(self, depth):
        kind = self.random.randrange(9 if depth < 3 else 6)
        blank = self.random.choice(["", "", " ", "\n ", "\t", "\r\n"])
        if kind <= 2:
            return '"' + "".join(self.random.choice(["a", "b", " ", "é", "\\n", "\\u00e9", "\\ud83d\\ude00", "\\ud800", "\\udc00", "\\/", "\\\\", '\\"',
                                                     "\U0001f600", "\x7f", "\\b"]) for _ in range(self.random.randrange(4))) + '"'
        if kind == 3:
            return self.random.choice(["0", "-0", "7", "-12", "1.5", "1.50", "1e3", "1E+400", "-1e400", "1e-7", "1e-400", "0.0001", "1e15", "1e16", "1.5e22",
                                       "123456789012345678901234567890", "0.1", "5e-324", "1e22", "0e5", "-0.0"])
        if kind <= 5:
            return self.random.choice(["null", "true", "false", "NaN", "Infinity", "-Infinity"])
        if kind == 6:
            return "[" + blank + ("," + blank).join(self.json_value(depth + 1) for _ in range(self.random.randrange(3))) + blank + "]"
        return "{" + blank + ("," + blank).join(f'"{self.random.choice(["fullTitle", "err", "a"])}"{blank}:{blank}{self.json_value(depth + 1)}'
                                                for _ in range(self.random.randrange(3))) + blank + "}"

    def json_report(self):
        def tests():
            if self.random.random() < 0.03:
                return self.json_value(0)
            return "[" + ", ".join('{"title": "t", "fullTitle": %s, "x": %s}' % (self.json_value(0 if self.random.random() < 0.05 else 3), self.json_value(1))
                                   for _ in range(self.random.randrange(4))) + "]"

        parts = []
        for _ in range(self.random.randrange(1, 3)):
            members = [f'"{key}":{tests()}' for key in self.random.choice([("failures", "passes"), ("stats", "passes", "failures"), ("failures", "passes", "passes")])]
            if self.random.random() < 0.05:
                members.pop()
            parts.append("+ ./node_modules/.bin/mocha tests/run.js --reporter json" + self.random.choice(["\n", " ", " said }"]) +
                         "{" + ",\n".join(members) + "}" + self.random.choice(["", "\n", "\nend"]))
        return "".join(parts).encode()

    def xml_element(self, depth):
        if depth > 4 or self.random.random() < 0.25:
            return self.random.choice(["text", "&amp;", "&#65;", "&#x41;", "<!-- a -->", "<![CDATA[<]]>", "<?p q?>", " ", "é", "]]", "&lt;]]&gt;", "\t"])
        name = self.random.choice(["TestCase", "TestCase", "SubCase", "SubCase", "SubCase", "Expression", "Expression", "p:TestCase", "X", "é", "a.b-c"])
        attributes = "".join(self.random.choice(['', '', ' name="a"', " name = 'b &quot;c&quot;'", ' success="true"', ' success="true"', ' success="false"', ' name="d\ne"',
                                                 ' p:name="f"', ' xmlns="u"', ' xmlns=""', ' xml:space="x"', ' name="&#10;&#9;g"', ' name=" h\t"', ' line="1"'])
                             for _ in range(self.random.randrange(3)))
        if self.random.random() < 0.3:
            return f"<{name}{attributes}{self.random.choice(['', ' '])}/>"
        content = "".join(self.xml_element(depth + 1) for _ in range(self.random.randrange(4)))
        return f"<{name}{attributes}>{content}</{name}{self.random.choice(['', ' '])}>"

    def xml_report(self):
        root = self.random.choice(['<doctest xmlns:p="v">', '<doctest xmlns:p="v">', "<doctest binary='x' xmlns:p=\"w\" xmlns:q=\"w\">", "<doctest>", '<doctest xmlns="u">'])
        return ("said\n" + root + "".join(self.xml_element(0) for _ in range(self.random.randrange(6))) + "</doctest>\nbye").encode()

    def make(self):
        chosen, version, instance = self.random.choice(self.seeds)
        draw = self.random.random()
        if draw < 0.12:
            return self.soup(), version, instance
        if draw < 0.35:
            data = self.line_soup()
        elif self.name == "parse_log_prismjs" and draw < 0.85:
            data = self.json_report()
        elif self.name == "parse_log_doctest" and draw < 0.85:
            data = self.xml_report()
        else:
            data = self.window(chosen)
        if data is not chosen and self.random.random() < 0.4:
            return data, version, instance
        for _ in range(self.random.choice([0, 1, 1, 2, 3, 5, 8, 20])):
            data = self.change(data)
        return data, version, instance

    def change(self, data):
        kind = self.random.randrange(14)
        at = self.random.randrange(len(data) + 1)
        to = min(len(data), at + self.random.choice([1, 1, 2, 5, 20, 200]))
        if kind <= 3:  # words in between, often where a line or a word begins or ends
            if self.random.random() < 0.7:
                found = [match.start() for match in re.finditer(rb"[\s:()\[\]]", data[at:at + 200])]
                if found:
                    at += self.random.choice(found) + self.random.randrange(2)
            return data[:at] + self.token() + data[at:]
        if kind == 4:
            return data[:at] + data[to:]
        if kind == 5:
            return data[:at] + self.token() + data[to:]
        if kind == 6:  # truncated
            return data[:at] if self.random.random() < 0.7 else data[at:]
        if kind == 7:
            return data[:at] + bytes([self.random.randrange(256)]) + data[at + 1:]
        if kind == 8:  # lines of the corpus, interleaved
            lines = data.split(b"\n")
            for _ in range(self.random.randrange(1, 6)):
                lines.insert(self.random.randrange(len(lines) + 1), self.random.choice(self.lines))
            return b"\n".join(lines)
        if kind == 9:
            lines = data.split(b"\n")
            i = self.random.randrange(len(lines))
            operation = self.random.randrange(6)
            if operation == 0:
                del lines[i]
            elif operation == 1:
                lines.insert(i, lines[i])
            elif operation == 2:
                lines[i] = lines[i] + self.token()
            elif operation == 3:
                lines[i] = self.token() + lines[i]
            elif operation == 4:
                lines[i] = lines[i].strip() if self.random.random() < 0.5 else b" " * self.random.randrange(8) + lines[i]
            else:
                other = self.random.randrange(len(lines))
                lines[i], lines[other] = lines[other], lines[i]
            return b"\n".join(lines)
        if kind == 10:
            return data.replace(b"\n", self.random.choice([b"\r\n", b"\r", b"\n\r\n", b" \n", b"\n "]), self.random.choice([1, 3, -1]))
        if kind == 11:  # two writers: halves of lines exchanged
            lines = data.split(b"\n")
            i, j = self.random.randrange(len(lines)), self.random.randrange(len(lines))
            cut = self.random.randrange(len(lines[i]) + 1)
            lines[i], lines[j] = lines[i][:cut] + lines[j], lines[i][cut:]
            return b"\n".join(lines)
        if kind == 12:  # coloured
            lines = data.split(b"\n")
            i = self.random.randrange(len(lines))
            lines[i] = b"\x1b[3%dm" % self.random.randrange(8) + lines[i].replace(b" ", b"\x1b[0m ", self.random.randrange(3)) + b"\x1b[0m"
            return b"\n".join(lines)
        return data[:at] + data[at:to] * self.random.choice([2, 3]) + data[to:]


def fuzz(name, count, seed, batch, stop):
    """Fuzzes one parser. Returns (name, inputs, those not empty, those that raise, those too slow, difference or None)."""
    signal.signal(signal.SIGALRM, on_alarm)
    silence = open(os.devnull, "w")
    sys.stdout = silence  # some of the reference's parsers print
    function, _ = registry()[name]
    mutator = Mutator(name, random.Random(f"{seed}/{name}"))
    ours = Ours(batch)
    inputs = full = raised = slow = 0
    difference = None
    while full < count and inputs < count * 20 and not (stop is not None and stop.is_set()):
        data, version, instance = mutator.make()
        as_file = mutator.random.random() < 0.5
        inputs += 1
        try:
            expected, why = reference(function, data, version, instance, as_file)
        except TooSlow:
            slow += 1
            continue
        got, _ = ours.parse(name, data, version, instance, as_file)
        full += bool(expected)
        raised += expected is None
        if got != expected:
            difference = (data, version, instance, as_file, expected, got, why)
            if stop is not None:
                stop.set()
            break
    ours.close()
    return name, inputs, full, raised, slow, difference


def run_one(task):
    return fuzz(*task[:4], STOP)


def start_worker(stop):
    global STOP
    STOP = stop


def tell(name, difference):
    data, version, instance, as_file, expected, got, why = difference
    path = pathlib.Path(f"difference-{name}.log")
    path.write_bytes(data)
    print(f"\n{name}: ours differs from the reference's. Input: {path} ({len(data)} bytes, version {version!r}, instance {instance!r}, "
          f"{'decoded as a file' if as_file else 'as text'})")
    print(f"  reference: {'raises ' + why if expected is None else f'{len(expected)} tests'}; ours: {'refuses' if got is None else f'{len(got)} tests'}")
    if expected is not None and got is not None:
        for i in range(max(len(expected), len(got))):
            left = expected[i] if i < len(expected) else None
            right = got[i] if i < len(got) else None
            if left != right:
                print(f"  entry {i}: reference {left!r}\n            ours      {right!r}")
                break


def write_expected():
    rows = []
    for name, samples in SEEDS.items():
        function, _ = registry()[name]
        for file, version, instance in samples:
            output, sys.stdout = sys.stdout, io.StringIO()
            entries, why = reference(function, (SAMPLES / file).read_bytes(), version, instance, True)
            sys.stdout = output
            row = {"parser": name, "file": file, "version": version, "instance_id": instance}
            if entries is None:
                row["raises"] = why.split("(")[0]
            else:
                row["statuses"] = {key.decode(): status for key, status in entries}
            rows.append(row)
    (SAMPLES / "expected.jsonl").write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))
    print(f"{len(rows)} rows written")


def measure(names, count, seed, batch, path):
    import coverage

    stop = multiprocessing.get_context("fork").Event()
    rows = []
    output = sys.stdout
    import swebench.harness.log_parsers as parsers

    # The reference's modules were imported already; their functions are measured as they run.
    folder = pathlib.Path(parsers.__file__).parent
    for name in names:
        function, shared = registry()[name]
        measured = coverage.Coverage(branch=True, include=[str(folder / "*.py")], data_file=None)
        measured.start()
        result = fuzz(name, count, seed, batch, stop)
        measured.stop()
        sys.stdout = output
        file = inspect.getsourcefile(function)
        numbers = measured._analyze(file)
        taken = set(numbers.arcs_executed)
        # The parser and the functions that it called: imported before the measurement began, no other has left a trace.
        bodies = [(node.lineno, node.end_lineno) for node in ast.parse(pathlib.Path(file).read_text()).body if isinstance(node, ast.FunctionDef)]
        bodies = [(first, last) for first, last in bodies if any(first <= abs(arc[0]) <= last for arc in taken)]
        arcs = [arc for arc in numbers.arc_possibilities if any(first <= abs(arc[0]) <= last for first, last in bodies)]
        outgoing = collections.Counter(arc[0] for arc in arcs)
        branches = [arc for arc in arcs if outgoing[arc[0]] > 1]
        missing = [arc for arc in branches if arc not in taken]
        rows.append((name, result[1], result[2], len(branches) - len(missing), len(branches), missing))
        print(name, *result[1:5], f"{len(branches) - len(missing)}/{len(branches)}", missing, flush=True)
    with open(path, "w") as out:
        out.write("| parser | inputs | not empty | branches | not taken (from line, to line) |\n|---|---|---|---|---|\n")
        for name, inputs, full, taken, all_, missing in rows:
            out.write(f"| `{name}` | {inputs} | {full} | {taken} of {all_} | {', '.join(f'{a}→{b}' for a, b in missing)} |\n")


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--batch", default=str(HERE.parent.parent / "build/release/bin/logparse_batch"))
    options.add_argument("--count", type=int, default=3000)
    options.add_argument("--seed", default="1")
    options.add_argument("--parser", action="append")
    options.add_argument("--jobs", type=int, default=os.cpu_count())
    options.add_argument("--keep-going", action="store_true")
    options.add_argument("--write-expected", action="store_true")
    options.add_argument("--coverage")
    options = options.parse_args()
    try:
        parsers = registry()
    except ImportError:
        sys.exit("fuzz_against_reference.py needs SWE-bench's package: pip install swebench==5.0.2")
    signal.signal(signal.SIGALRM, on_alarm)
    if options.write_expected:
        return write_expected()
    for name in set(parsers) ^ set(SEEDS):
        sys.exit(f"{name} has no sample, or is not in the registry")
    names = options.parser or list(parsers)
    if options.coverage:
        return measure(names, options.count, options.seed, options.batch, options.coverage)
    context = multiprocessing.get_context("fork")
    stop = context.Event()
    start = time.time()
    total = total_full = 0
    failed = False
    print(f"{'parser':36} {'inputs':>8} {'not empty':>9} {'raise':>7} {'slow':>5}")
    with context.Pool(options.jobs, start_worker, (None if options.keep_going else stop,)) as pool:
        for name, inputs, full, raised, slow, difference in pool.imap_unordered(
                run_one, [(name, options.count, options.seed, options.batch) for name in names]):
            print(f"{name:36} {inputs:8} {full:9} {raised:7} {slow:5}", flush=True)
            total += inputs
            total_full += full
            if difference:
                failed = True
                tell(name, difference)
    print(f"{total} inputs, {total_full} with a result that is not empty, {time.time() - start:.0f} s, seed {options.seed}")
    if failed:
        sys.exit(1)
    print("no difference")


if __name__ == "__main__":
    main()
