#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Everything in one command: runs all experiments, writes all reports, compares with the recorded reference.
# Ends with the worst exit code of its steps (README: exit codes); 3 (nothing comparable) is no failure here.
set -uo pipefail
: "${BUILD:=build}" "${OUT:=results}" "${DATA:=data}" "${SIZE:=smoke}"

step() { echo "+ $*"; "$@"; }

step "$BUILD/remeasure" run --all --size "$SIZE" --out "$OUT" --data "$DATA" --resume
run=$?
if [ "$run" -eq 2 ] || [ "$run" -ge 128 ]; then exit "$run"; fi
step "$BUILD/remeasure" report "$OUT" || exit $?
step "$BUILD/remeasure" check "$OUT"
check=$?

echo
echo "results     $OUT/*.json"
echo "page        $OUT/index.html"
echo "tables      $OUT/report.md, $OUT/results.csv, $OUT/junit.xml"
echo "datasets    $DATA/"
"$BUILD/remeasure" report "$OUT" --format not-run
for code in 4 5 2 1; do
  if [ "$run" -eq "$code" ] || [ "$check" -eq "$code" ]; then exit "$code"; fi
done
exit 0
