#!/usr/bin/env bash
# Line coverage of the quick tests by folder; fails where frontend, ir, passes or engine is under 85 %.
#   scripts/coverage.sh          builds, runs the tests, reports
#   scripts/coverage.sh report   reports on the last run
set -euo pipefail
cd "$(dirname "$0")/.."
if [ "${1:-}" != report ]; then
	scripts/setup.sh --coverage
	cmake --preset coverage >/dev/null
	cmake --build --preset coverage -j "$(nproc)" >build/coverage.log 2>&1 || { tail -n 40 build/coverage.log; exit 1; }
	find build/coverage -name '*.gcda' -delete
	ctest --test-dir build/coverage -L quick -j "$(nproc)" >build/coverage-test.log 2>&1 || { tail -n 20 build/coverage-test.log; exit 1; }
fi
gcovr --root . --object-directory build/coverage --exclude 'build/.*' --exclude 'tests/.*' --gcov-ignore-parse-errors \
	--json-summary build/coverage.json --txt build/coverage.txt >/dev/null 2>build/coverage.err || { tail -n 5 build/coverage.err; exit 1; }
/usr/bin/python3 - <<'PY'
import collections
import json
import sys

lines = collections.defaultdict(lambda: [0, 0])
for f in json.load(open("build/coverage.json"))["files"]:
    folder = f["filename"].split("/")[0]
    lines[folder][0] += f["line_covered"]
    lines[folder][1] += f["line_total"]
low = 0
for folder, (covered, total) in sorted(lines.items()):
    share = 100 * covered / total
    wanted = folder in ("frontend", "ir", "passes", "engine")
    low += wanted and share < 85
    print(f"{folder:10} {share:5.1f} %  {covered} of {total} lines{'' if not wanted or share >= 85 else '  (under 85)'}")
sys.exit(low > 0)
PY
