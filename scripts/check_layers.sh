#!/usr/bin/env bash
# scripts/check_layers.sh: a room includes only itself and the rooms that its CMakeLists.txt names, or that those name; heavy headers stay in sources.
set -euo pipefail
cd "$(dirname "$0")/.."
exec python3 - <<'PY'
import pathlib, re, sys

rooms = {}
for cmake in sorted(pathlib.Path("src").glob("*/CMakeLists.txt")):
    text = cmake.read_text()
    for name, body in re.findall(r"awm_room\((\w+)(.*?)\)\n", text, re.S):
        named = re.search(r"\bROOMS\s+((?:\w+\s*)+?)(?:\b(?:LIBS|PRIVATE_LIBS|SOURCES)\b|$)", body, re.S)
        rooms[name] = set(named.group(1).split()) if named else set()

def reach(name, seen=None):
    seen = seen if seen is not None else set()
    for lower in rooms.get(name, ()):
        if lower not in seen:
            seen.add(lower)
            reach(lower, seen)
    return seen

problems = []
for name in rooms:
    if name in reach(name):
        problems.append(f"src/{name}/CMakeLists.txt: the room is below itself")
heavy = {"nlohmann/json.hpp": {"src/base/json.h"}, "CLI/CLI.hpp": set(), "httplib.h": set(), "toml++/toml.h": set(), "toml.hpp": set()}
for path in sorted(pathlib.Path("src").glob("*/*")):
    if path.suffix not in (".h", ".cpp"):
        continue
    own = path.parts[1]
    allowed = reach(own) | {own}
    if own == "cli":
        allowed = set(rooms) | {"cli"}
    if own == "sandbox":
        allowed |= {"helper"}  # the wire protocol alone, which the build holds
    for number, line in enumerate(path.read_text().splitlines(), 1):
        found = re.match(r'\s*#\s*include\s+["<]([^">]+)[">]', line)
        if not found:
            continue
        target = found.group(1)
        room = target.split("/")[0]
        if room in rooms and "/" in target and room not in allowed:
            problems.append(f"{path}:{number}: {own} includes {target}, and does not name the room {room}")
        if own == "sandbox" and room == "helper" and target != "helper/wire.h":
            problems.append(f"{path}:{number}: only the helper's wire protocol is for others")
        if path.suffix == ".h" and target in heavy and str(path) not in heavy[target]:
            problems.append(f"{path}:{number}: {target} is heavy: include it in sources")
print("\n".join(problems), end="\n" if problems else "")
sys.exit(1 if problems else 0)
PY
