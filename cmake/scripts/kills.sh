#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Kills runs at random moments: SIGINT, SIGTERM, SIGHUP, SIGKILL, two signals in a row, to the program or to its worker.
# Right before each kill the finished cases are read from the files of the running program. After it: no process is left,
# every result file is valid, and each of those cases stands in its file with the same numbers; then --resume goes on, and
# they still do. A folder that is complete is put away and a new one begun.
# usage: kills.sh [kills]   (default 200; PROGRAM, EXPERIMENTS and SEED as below)
set -uo pipefail
set -m   # else the shell lets its background jobs ignore SIGINT
: "${BUILD:=build}"
: "${PROGRAM:=$BUILD/remeasure_fake}" "${EXPERIMENTS:=many-a many-b}" "${SEED:=$RANDOM}" "${LONGEST_MS:=900}"
kills=${1:-200}
die() { echo "kills: $*" >&2; exit 1; }
[ -x "$PROGRAM" ] || { echo "kills: $PROGRAM is missing: make build" >&2; exit 2; }
PROGRAM=$(realpath "$PROGRAM")
work=$(mktemp -d) || exit 2
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 2
RANDOM=$SEED
echo "seed $SEED (SEED=$SEED repeats the moments, as far as the machine does)"

children_of() { cat "/proc/$1/task/$1/children" 2>/dev/null; }
# A zombie has no command line: whoever has to wait for it is somebody else.
alive() { [ -n "$({ tr -d '\0' <"/proc/$1/cmdline"; } 2>/dev/null)" ]; }
gone() {  # pid what
  for _ in $(seq 100); do alive "$1" || return 0; sleep 0.05; done
  die "$2 (process $1) is still there 5 s after the kill"
}

# All lines of cases that ended, sorted: "experiment,case,..." without the summary of the run.
finished_lines() {
  [ -d results ] || return 0
  "$PROGRAM" report results --format csv --output "$work/all.csv" 2>"$work/report.err" || return 1
  awk -F, 'NR == FNR { if ($5 == "case" && $10 == "complete") done[$1 "," $2] = 1; next } ($1 "," $2) in done' \
    "$work/all.csv" "$work/all.csv" | sort
}

count_cases() { awk -F, '$5 == "case"' "$1" | wc -l; }

total=0 lost=0 rounds=0 parents=0 workers=0
: >ledger   # lines of all cases that were ever seen finished in this folder
: >seen     # of them those that were finished before some kill
declare -A by_signal=()

check_folder() {  # what happened
  # `report` refuses a folder without a record; so early a kill has nothing to lose.
  : >now
  if ls results/*.json >/dev/null 2>&1; then
    finished_lines >now || die "$1: a result file can't be read: $(cat "$work/report.err")"
  fi
  comm -23 ledger now >missing
  if [ -s missing ]; then
    lost=$((lost + $(count_cases missing)))
    echo "LOST after $1:" >&2; head -n 5 missing >&2
    exit_code=1
  fi
  mv now ledger
}

finish_folder() {  # whole | killed: how its last run ended
  total=$((total + $(count_cases seen)))
# A temporary file of the kill itself may be there: the next run removes it, and a run that wasn't killed leaves none.
  if [ "$1" = whole ] && [ -n "$(find results -name '*.partial')" ]; then
    die "temporary files are left by a run that ended by itself: $(ls -A results)"
  fi
  rounds=$((rounds + 1))
  rm -rf results; : >ledger; : >seen
}

exit_code=0
for ((kill = 1; kill <= kills; ++kill)); do
  # shellcheck disable=SC2086
  "$PROGRAM" run $EXPERIMENTS --data data --resume >out 2>err &
  parent=$!
  sleep "$(printf '0.%03d' $((RANDOM % LONGEST_MS)))"
  check_folder "reading beside a running program"
  sort -u ledger seen -o seen.next
  worker=$(children_of "$parent"); worker=${worker%% *}
  choice=$((RANDOM % 8))
  signals=(INT TERM HUP KILL "INT INT" "TERM KILL" KILL KILL)
  signal=${signals[$choice]}
  target=$parent name=parent
  if [ $((RANDOM % 3)) -eq 0 ] && [ -n "$worker" ]; then target=$worker name=worker; fi
  if ! alive "$parent"; then
    # It had ended by itself: a complete folder is checked and a new one begun, and the kill doesn't count.
    wait "$parent"; check_folder "a complete run"; finish_folder whole; kill=$((kill - 1)); continue
  fi
  mv seen.next seen
  for each in $signal; do builtin kill -s "$each" "$target" 2>/dev/null; done
  if [ "$name" = parent ]; then
    wait "$parent" 2>/dev/null; code=$?
    [ -z "$worker" ] || gone "$worker" "the worker of a killed parent"
    parents=$((parents + 1))
    case "$code" in
      0 | 5 | 129 | 130 | 137 | 143) ;;
      *) die "SIG$signal to the parent ended it with $code: $(tail -n 3 err)" ;;
    esac
  else
    wait "$parent" 2>/dev/null; code=$?   # the parent reports the case and goes on with the next
    workers=$((workers + 1))
    case "$code" in
      0 | 5) ;;
      *) die "SIG$signal to a worker ended the program with $code: $(tail -n 3 err)" ;;
    esac
  fi
  by_signal["$signal"]=$((${by_signal["$signal"]:-0} + 1))
  check_folder "kill $kill, SIG$signal to the $name"
  if [ "$(count_cases ledger)" -gt 0 ] && grep -q complete <(awk -F, '$5 == "run" { print $10 }' all.csv 2>/dev/null) &&
    ! awk -F, '$5 == "run" { print $10 }' all.csv | grep -qv '^complete$' &&
    [ "$(awk -F, '$5 == "run"' all.csv | wc -l)" -eq "$(wc -w <<<"$EXPERIMENTS")" ]; then
    finish_folder killed
  fi
done
# What is left unfinished must still be resumable to its end, with what was finished before.
# shellcheck disable=SC2086
"$PROGRAM" run $EXPERIMENTS --data data --resume >out 2>err || die "the last --resume ended with $?: $(tail -n 3 err)"
check_folder "the last --resume"
finish_folder whole
for signal in "${!by_signal[@]}"; do echo "  ${by_signal[$signal]} x $signal"; done | sort -rn
echo "  $parents to the program, $workers to its worker; $rounds folders run to their end"
echo "$kills kills, $total results finished before a kill, $lost lost"
exit "$exit_code"
