#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Measures with the real program how far `remeasure check` can be trusted, and prints both rates with their counts and
# 95 % intervals (Wilson):
#   A  one program compared with itself: rows that are `same` or `unclear`, at least 99 %. 50 smoke runs. Each is compared
#      with the one before it (with the first, one odd run would spoil every pair); and five with the five that alternate
#      with them.
#   B  a slowdown of 10 % of one variant (REMEASURE_PLANT, bench/plant.h) found as `worse` in its time or its speedup, at
#      least 95 % of 20 repeats. Five runs a side, taken in turns; the planted variant changes from repeat to repeat.
# usage: check_rates.sh [runs of A [repeats of B]]; exit 1 below a mark
#   RUNS_A_SIDE=5    WORK=folder to keep    JUDGE=1: compare the runs of WORK again, measure none
set -uo pipefail
: "${BUILD:=build}" "${RUNS_A_SIDE:=5}"
same_runs=${1:-50}; repeats=${2:-20}; side=$RUNS_A_SIDE
program=$(realpath "$BUILD")/remeasure
[ -x "$program" ] || { echo "check_rates: $program is missing: make build" >&2; exit 2; }
if [ -n "${WORK:-}" ]; then work=$WORK; mkdir -p "$work"; else work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; fi
work=$(realpath "$work"); cd "$work" || exit 2
rm -f rows.txt found.txt; touch rows.txt found.txt
unset REMEASURE_PLANT

die() { echo "check_rates: $*" >&2; exit 2; }

run() {  # out, then what to run
  local out=$1; shift
  [ -z "${JUDGE:-}" ] || return 0
  rm -rf "$out"
  "$program" run "$@" --out "$out" --data data >log 2>&1 || { tail -n 5 log >&2; die "remeasure run $* failed"; }
}

rows() {  # of a comparison: "outcome|kind|experiment|case|variant|quantity|before|after"; arguments of check
  "$program" check "$@" --format json >comparison.json
  [ $? -lt 2 ] || die "remeasure check $*: not 0 or 1"
  awk -F '"' '
    / "(after|before|case|experiment|outcome|quantity|variant)": / { value[$2] = $4 }
    / "variant": / {
      quantity = value["quantity"]; kind = "other"
      if (quantity == "time") kind = "time"
      else if (quantity ~ /^speedup/) kind = "speedup"
      else if (quantity ~ /memory/) kind = "memory"
      else if (quantity ~ /^(check|verdict|status|case|kernel|content)/) kind = "status, check or verdict"
      else if (quantity ~ / of /) kind = "accuracy"
      else kind = "metric"
      print value["outcome"] "|" kind "|" value["experiment"] "|" value["case"] "|" value["variant"] "|" quantity "|" value["before"] "|" value["after"]
    }' comparison.json
}

rate() {  # name, successes, trials
  awk -v name="$1" -v k="$2" -v n="$3" 'BEGIN {
    if (n == 0) { printf "  %-34s none\n", name; exit }
    z = 1.959964; p = k / n; d = 1 + z * z / n
    centre = (p + z * z / (2 * n)) / d; half = z * sqrt(p * (1 - p) / n + z * z / (4 * n * n)) / d
    low = centre - half; high = centre + half
    printf "  %-34s %6d of %6d  %6.2f %%  [%.2f, %.2f]\n", name, k, n, 100 * p, 100 * (low < 0 ? 0 : low), 100 * (high > 1 ? 1 : high)
  }'
}

summary() {  # marker of the comparisons in rows.txt
  local kind
  for kind in time speedup memory accuracy metric "status, check or verdict"; do
    rate "$kind" "$(grep -c "^$1|\(same\|unclear\)|$kind|" rows.txt)" "$(grep -c "^$1|[a-z]*|$kind|" rows.txt)"
  done
  rate "all" "$(grep -c "^$1|\(same\|unclear\)|" rows.txt)" "$(grep -c "^$1|" rows.txt)"
  echo "  of the times and speedups $(grep -cE "^$1\|same\|(time|speedup)" rows.txt) are same, $(grep -cE "^$1\|unclear\|(time|speedup)" rows.txt) unclear"
  grep -E "^$1\|(better|worse)\|" rows.txt | sed 's/^[^|]*|/  FALSE ALARM: /; s/|/ · /g'
}

load() { cut -d ' ' -f 1 /proc/loadavg; }
started=$SECONDS
echo "$(nproc) cores, load $(load); $(date -u +%FT%TZ)"
"$program" --version | head -n 1

for ((i = 1; i <= same_runs; ++i)); do
  run "same/$i" dfss topml log-bessel --filter '^(dfss|topml)/|^log-bessel/.*order=0'
  [ "$i" -eq 1 ] || rows "same/$i" --against "same/$((i - 1))" | sed "s/^/one|/" >>rows.txt
  echo "A $i/$same_runs, load $(load)" >&2
done
for ((first = 1; first + 2 * side - 1 <= same_runs; first += 2 * side)); do
  now=(); before=()
  for ((i = first; i < first + 2 * side; i += 2)); do before+=(--against "same/$i"); now+=("same/$((i + 1))"); done
  rows "${now[@]}" "${before[@]}" | sed "s/^/several|/" >>rows.txt
done

# Calls under a millisecond: beside other work a call of several is cut by the scheduler, the median of the few that fit
# a smoke run then moves by half, and `check` rightly says unclear.
plants=("dfss/n=128 pattern=2:4 heads=2/method" "log-bessel/function=I order=0 points=1024/method"
        "dfss/n=128 pattern=1:2 heads=2/method")
for ((i = 0; i < repeats; ++i)); do
  plant=${plants[i % ${#plants[@]}]}
  experiment=${plant%%/*}; test=${plant#*/}; test=${test%/*}; variant=${plant##*/}
  now=(); before=()
  for ((k = 1; k <= side; ++k)); do
    run "planted/$i/before-$k" "$experiment" --filter "/$test\$"
    REMEASURE_PLANT="$plant=1.10" run "planted/$i/now-$k" "$experiment" --filter "/$test\$"
    grep -q "on purpose" "planted/$i/now-$k/$experiment.json" || die "nothing was planted in $plant"
    before+=(--against "planted/$i/before-$k"); now+=("planted/$i/now-$k")
  done
  rows "${now[@]}" "${before[@]}" >planted.txt
  grep -E '^[a-z]+\|(time|speedup)\|' planted.txt | grep -E "\|$variant( on cpu)?\|(time|speedup)" >judged.txt
  echo "$(grep -q '^worse' judged.txt && echo found || echo missed)|$plant|$(awk -F '|' '{ printf "%s %s: %s -> %s; ", $1, $2, $7, $8 }' judged.txt)" >>found.txt
  echo "B $((i + 1))/$repeats, load $(load): $(tail -n 1 found.txt)" >&2
done

echo "A  one program compared with itself: same or unclear"
echo " one run a side, $((same_runs > 0 ? same_runs - 1 : 0)) comparisons"; summary one
echo " $side runs a side, $((same_runs / (2 * side))) comparisons"; summary several
echo "B  10 % slower, found as worse, $side runs a side"
for plant in "${plants[@]}"; do rate "${plant:0:34}" "$(grep -cF "found|$plant|" found.txt)" "$(grep -cF "|$plant|" found.txt)"; done
found=$(grep -c "^found" found.txt); rate "all" "$found" "$repeats"
sed -n 's/^missed|/  MISSED: /p' found.txt
echo "took $((SECONDS - started)) s, load now $(load)"

calm=$(grep -cE '^[a-z]+\|(same|unclear)\|' rows.txt); all=$(wc -l <rows.txt)
[ $((100 * calm)) -ge $((99 * all)) ] && [ $((100 * found)) -ge $((95 * repeats)) ] && { echo "both marks are met"; exit 0; }
echo "a mark is missed"; exit 1
