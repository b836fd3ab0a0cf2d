#!/usr/bin/env python3
"""Writes src/logparse/unicode_tables.cpp from the Python that runs it (3.12: Unicode 15.0): which characters beyond
ASCII are decimal digits, and which are alphanumeric, as ranges; and which its expat lets start and continue an XML name.

    python3.12 tests/logparse/make_unicode_tables.py > src/logparse/unicode_tables.cpp
"""
import sys
import unicodedata
from xml.parsers import expat


def characters():
    for code in range(0x80, 0x110000):
        if not 0xD800 <= code <= 0xDFFF:
            yield code, chr(code)


def ranges(holds):
    found = []
    for code, text in characters():
        if holds(text):
            if found and found[-1][1] == code - 1:
                found[-1][1] = code
            else:
                found.append([code, code])
    return found


def well_formed(text):
    try:
        expat.ParserCreate().Parse(text, True)
    except expat.ExpatError:
        return False
    return True


def table(name, what, rows):
    print(f"// {what}")
    print(f"const std::array<CodeRange, {len(rows)}> {name}_rows = {{{{")
    line = "   "
    for first, last in rows:
        cell = f" {{{first:#x}, {last:#x}}},"
        if len(line) + len(cell) > 118:
            print(line)
            line = "   "
        line += cell
    print(line)
    print("}};\n")


def main():
    print("// Written by tests/logparse/make_unicode_tables.py with Python "
          f"{sys.version_info.major}.{sys.version_info.minor}, Unicode {unicodedata.unidata_version}.")
    print('#include "logparse/unicode_tables.h"\n\n#include <array>\n\nnamespace awm::python {\nnamespace {\n')
    print("// clang-format off")
    tables = {
        "digit": ("str.isdecimal() beyond ASCII: re's \\d", ranges(str.isdecimal)),
        "alnum": ("str.isalnum() beyond ASCII: re's \\w", ranges(str.isalnum)),
        "name_start": ("What may start an XML name", ranges(lambda c: well_formed(f"<{c}/>"))),
        "name": ("What may stand in an XML name", ranges(lambda c: well_formed(f"<a{c}/>"))),
    }
    for name, (what, rows) in tables.items():
        table(name, what, rows)
    print("// clang-format on\n\n}  // namespace\n")
    for name in tables:
        print(f"std::span<const CodeRange> {name}_ranges() {{\n  return {name}_rows;\n}}")
    print("\n}  // namespace awm::python")


if __name__ == "__main__":
    main()
