#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# A bundle's whole GPU day, `bundle/run gpu-day`: everything that needs a GPU once, in order, each step with a limit of its own.
# A step that fails or isn't possible here stops nothing. Called again it goes on where it was: finished steps stay,
# steps that ran out of time are repeated, and experiments resume case by case.
#   GPU_DAY_WORK    logs, results, profiles between calls       (gpu-day-work/ in the bundle)
#   OUT             where the tars and summary.txt go            ($GPU_DAY_WORK/out)
#   GPU_DAY_CALL    seconds after which this call begins no step (1700)
#   GPU_DAY_PAPER   seconds for all experiments at paper size    (900)
#   GPU_DAY_STEPS   only these steps
set -u
here=$(cd "$(dirname "$0")" && pwd)
: "${GPU_DAY_WORK:=$here/gpu-day-work}" "${GPU_DAY_CALL:=1700}" "${GPU_DAY_PAPER:=900}"
: "${OUT:=$GPU_DAY_WORK/out}"
: "${GPU_DAY_STEPS:=doctor gpu-tests memcheck racecheck synccheck initcheck paper ceilings profile report}"
work=$GPU_DAY_WORK
mkdir -p "$work/logs" "$work/status" "$work/results" "$work/data" "$work/profiles" "$work/scratch" "$OUT" || exit 2
begin=$SECONDS
kMaxFiles=8 kMaxPartBytes=$((16 * 1024 * 1024))

remeasure() { "$here/run" remeasure "$@"; }
# The program itself, for tools that start it; they find its libraries by the environment that `run` sets.
program=$here/bin/remeasure
export REMEASURE_RECORDED="${REMEASURE_RECORDED:-$here/reports/recorded}"
has_gpu() { remeasure doctor --out "$work/results" --data "$work/data" | grep -qE "^ok +GPU "; }
find_tool() { command -v "$1" || ls -1 /usr/local/cuda/bin/"$1" /usr/local/cuda-*/bin/"$1" /opt/nvidia/nsight-compute/*/"$1" 2>/dev/null | tail -n 1; }

# 77: not possible here, and the last line of the log says why.
cant() { echo "not possible here: $*"; return 77; }

step_doctor() { remeasure doctor --out "$work/results" --data "$work/data"; }

step_gpu_tests() {
  has_gpu || { cant "no NVIDIA GPU that the driver lists"; return; }
  local worst=0 test
  for test in "$here"/bin/*_test; do
    echo "== $(basename "$test")"
    (cd "$work/scratch" && timeout 240 "$here/run" "$(basename "$test")" "[gpu]") || worst=1
  done
  return $worst
}

# Smoke runs of every experiment under one tool of compute-sanitizer; workers are its children.
sanitize() {
  local tool=$1 sanitizer
  sanitizer=$(find_tool compute-sanitizer)
  [ -n "$sanitizer" ] || { cant "compute-sanitizer was not found; it comes with the CUDA toolkit"; return; }
  has_gpu || { cant "no NVIDIA GPU that the driver lists"; return; }
  "$here/run" --with-libraries "$sanitizer" --tool "$tool" --target-processes all --error-exitcode 99 "$program" run --all --size smoke \
    --min-time 0.001 --out "$work/scratch/$tool" --data "$work/data"
  local code=$?
  if grep -hE 'ERROR SUMMARY: [1-9]|RACECHECK SUMMARY: [1-9]' "$work/logs/$tool.log" "$work/scratch/$tool"/*.log 2>/dev/null; then return 99; fi
  return $code
}

step_paper() {
  has_gpu || { cant "no NVIDIA GPU that the driver lists; a CPU's run: run remeasure run --all --size paper"; return; }
  local budget=()
  remeasure run --help | grep -q -- --budget && budget=(--budget "$GPU_DAY_PAPER")
  remeasure run --all --size paper --resume --out "$work/results" --data "$work/data" "${budget[@]}"
}

step_ceilings() {
  remeasure ceilings --data "$work/data" && remeasure ceilings --json --data "$work/data" >"$work/results/ceilings.txt"
}

# The three rows of our kernels that are furthest from their floor: "experiment<TAB>case<TAB>variant".
furthest_kernels() {
  remeasure report "$work/results" --format csv 2>/dev/null | python3 -c '
import csv, sys
rows = [r for r in csv.DictReader(sys.stdin) if r.get("quantity") == "share of floor" and r.get("variant", "").startswith("kernel")
        and r.get("where", r.get("on", "")) == "gpu"]
rows.sort(key=lambda r: float(r["value"]))
for r in rows[:3]: print(r["experiment"], r["case"], r["variant"], sep="\t")'
}

step_profile() {
  local ncu; ncu=$(find_tool ncu)
  [ -n "$ncu" ] || { cant "ncu was not found; it comes with Nsight Compute"; return; }
  has_gpu || { cant "no NVIDIA GPU that the driver lists"; return; }
  local list; list=$(furthest_kernels)
  [ -n "$list" ] || { cant "no kernel has a floor yet: the step 'paper' comes first"; return; }
  local worst=0 number=0 experiment case variant
  while IFS=$'\t' read -r experiment case variant; do
    number=$((number + 1))
    echo "== $experiment, $case, $variant"
    "$here/run" --with-libraries timeout 100 "$ncu" --set full --target-processes all --launch-skip 8 --launch-count 8 --force-overwrite \
      --export "$work/profiles/$number-$experiment" "$program" run "$experiment" --size paper --filter "$(sed 's/[][().*+?^$|\\]/\\&/g' <<<"$experiment/$case")\$" \
      --variant "$variant@gpu" --min-time 0.001 --out "$work/scratch/ncu-$number" --data "$work/data" || worst=1
  done <<<"$list"
  return $worst
}

step_report() {
  ls "$work/results"/*.json >/dev/null 2>&1 || { cant "no results yet"; return; }
  remeasure report "$work/results" --format all
}

limit_of() {
  case "$1" in
    doctor) echo 60 ;; gpu-tests) echo 420 ;; memcheck) echo 240 ;; racecheck | synccheck | initcheck) echo 180 ;;
    paper) echo $((GPU_DAY_PAPER + 60)) ;; ceilings) echo 180 ;; profile) echo 300 ;; *) echo 60 ;;
  esac
}

run_step() {
  local name=$1 limit began=$SECONDS code left
  local log=$work/logs/$name.log status=$work/status/$name
  case "$(cut -d' ' -f1 "$status" 2>/dev/null)" in passed | failed) return ;; esac
  left=$((GPU_DAY_CALL - (SECONDS - begin)))
  if [ "$left" -le 0 ]; then echo "waits 0 this call's time was over" >"$status"; return; fi
  limit=$(limit_of "$name"); [ "$limit" -le "$left" ] || limit=$left
  echo "+ $name (at most $limit s)" >&2
  # A process of its own, so that `timeout` can end all that it started.
  timeout --kill-after=10 "$limit" "$here/gpu-day" --step "$name" >"$log" 2>&1
  code=$?
  local took=$((SECONDS - began)) why
  why=$(tail -n 1 "$log" | tr -d '\r' | cut -c1-120)
  case $code in
    0) echo "passed $took" >"$status" ;;
    77) echo "impossible $took ${why#not possible here: }" >"$status" ;;
    124 | 137) echo "unfinished $took ran out of its $limit s; call again to go on" >"$status" ;;
    *) echo "failed $took exit code $code: $why" >"$status" ;;
  esac
}

# One tar per kind, in parts of at most 16 MiB, at most 8 files with the summary.
pack() {
  rm -f "$OUT"/*.tar.gz* "$OUT/summary.txt"
  local kind files=1
  for kind in logs results profiles; do
    [ -n "$(ls -A "$work/$kind")" ] || continue
    tar -C "$work" -czf "$work/scratch/$kind.tar.gz" "$kind"
    if [ "$(stat -c %s "$work/scratch/$kind.tar.gz")" -le "$kMaxPartBytes" ]; then
      mv "$work/scratch/$kind.tar.gz" "$OUT/"
    else
      split -b "$kMaxPartBytes" -d -a 1 "$work/scratch/$kind.tar.gz" "$OUT/$kind.tar.gz."
      rm "$work/scratch/$kind.tar.gz"
    fi
  done
  for kind in "$OUT"/*.tar.gz*; do
    [ -e "$kind" ] || continue
    files=$((files + 1))
    if [ "$files" -gt "$kMaxFiles" ]; then echo "left out, too much for $kMaxFiles files: $(basename "$kind"); it is in $work"; rm "$kind"; fi
  done
}

summary() {
  printf '%-12s %-11s %6s  %s\n' step status seconds why
  local name status took why
  for name in $GPU_DAY_STEPS; do
    read -r status took why <"$work/status/$name" 2>/dev/null || { status=waits took=0 why=; }
    printf '%-12s %-11s %6s  %s\n' "$name" "$status" "$took" "$why"
  done
}

if [ "${1:-}" = --step ]; then
  case "$2" in
    memcheck | racecheck | synccheck | initcheck) sanitize "$2" ;;
    *) "step_${2//-/_}" ;;
  esac
  exit
fi
[ $# -eq 0 ] || { echo "gpu-day takes no arguments; settings are variables, see the head of $0" >&2; exit 2; }
for name in $GPU_DAY_STEPS; do
  case " doctor gpu-tests memcheck racecheck synccheck initcheck paper ceilings profile report " in
    *" $name "*) run_step "$name" ;;
    *) echo "gpu-day: no step '$name'" >&2; exit 2 ;;
  esac
done
left_out=$(pack)
{ summary; [ -z "$left_out" ] || echo "$left_out"; } | tee "$OUT/summary.txt"
echo "written to $OUT: $(cd "$OUT" && ls | tr '\n' ' ')"
grep -lq '^failed' "$work"/status/* && exit 1
exit 0
