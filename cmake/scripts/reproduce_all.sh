#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Everything in one command: runs all experiments, writes all reports, compares with the recorded reference. The last lines
# say where everything is, and what was not run and why. Ends with the worst exit code of its steps; 3 (nothing
# comparable: no reference for this machine) is said loudly, but is no failure here. CHECK_FLAGS goes to `check`,
# BUDGET (480s, 8m) to `run`.
set -uo pipefail
: "${BUILD:=build}" "${OUT:=results}" "${DATA:=data}" "${SIZE:=smoke}"
summary=$(mktemp) || exit 2
trap 'rm -f "$summary"' EXIT

step() { echo "+ $*" >&2; "$@"; }

# With a budget a second call goes on where the first one stopped.
budget=()
if [ -n "${BUDGET:-}" ]; then budget=(--budget "$BUDGET" --resume); fi
step "$BUILD/remeasure" run --all --size "$SIZE" --out "$OUT" --data "$DATA" ${budget[@]+"${budget[@]}"} >"$summary"
run=$?
if [ "$run" -eq 2 ] || [ "$run" -ge 128 ]; then cat "$summary"; exit "$run"; fi
step "$BUILD/remeasure" report "$OUT" --format all >/dev/null || exit $?
# shellcheck disable=SC2086
step "$BUILD/remeasure" check "$OUT" ${CHECK_FLAGS:-}
check=$?

echo
sed '/^results  /,$d' "$summary"
grep '^budget spent' "$summary"
echo "page     $OUT/index.html"
echo "tables   $OUT/report.md, $OUT/results.csv, $OUT/junit.xml; on the terminal: $BUILD/remeasure report $OUT"
echo "results  $OUT/*.json (a record and a log per experiment)"
echo "data     $DATA/"
for code in 4 5 2 1; do
  if [ "$run" -eq "$code" ] || [ "$check" -eq "$code" ]; then exit "$code"; fi
done
exit 0
