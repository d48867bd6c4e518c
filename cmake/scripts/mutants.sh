#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Plants the bugs listed in {kernels,baselines,bench,reports}/**/*.mutants, one at a time, and runs the test that must catch
# each. The room decides which test program that is: kernels_test, baselines_test, bench_test or reports_test.
# A mutant: blank-line separated blocks of
#   mutant: <name>          file: <source>        replace: <exact text, once in the file>
#   with: <text>            caught by: <exact test name>
#   through: <source>       where `file` is a header: the one source that is compiled with it
#   runs: <program>         where the test runs another program: that one has the bug too
# Only the mutated file is compiled and linked ahead of the libraries, so a mutant takes seconds.
# usage: mutants.sh [pattern]   (part of a mutant's name or file; default all)
set -uo pipefail
: "${BUILD:=build}"
pattern=${1:-}
root=$(pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
caught=0; escaped=0; broken=0

die() { echo "mutants: $*" >&2; exit 2; }
[ -f "$BUILD/build.ninja" ] || die "$BUILD is no Ninja build folder: install ninja-build, then make clean build"

# Commands as the build would run them, without the compiler cache.
link_command() { ninja -C "$BUILD" -t commands "$1" | grep -E -- "-o $1( |\$)" | tail -n 1; }

compile_command() {  # test program, source -> the checked build's command for a .cu, the host library's for a .cpp
  local library='(kernels_host|engine_simt_checked|baselines|bench|reports|[a-z]+_test)'
  case "$2" in *.cu) library=kernels_simt_checked ;; esac
  ninja -C "$BUILD" -t commands "$1" | grep -E "/$library\.dir" | grep -F -- "-c $root/$2" | head -n 1
}

judge() {
  local name=$1 file=$2 old=$3 new=$4 test=$5
  case "$name $file" in *"$pattern"*) ;; *) return ;; esac
  [ -f "$file" ] || { echo "BROKEN   $name: no file $file"; broken=$((broken + 1)); return; }
  local text; text=$(cat "$file"; printf x); text=${text%x}
  local rest=${text#*"$old"}
  if [ "$rest" = "$text" ]; then echo "BROKEN   $name: text not found in $file"; broken=$((broken + 1)); return; fi
  if [ "${rest#*"$old"}" != "$rest" ]; then echo "BROKEN   $name: text found twice in $file"; broken=$((broken + 1)); return; fi
  local before=${text%%"$old"*}
  # A source is compiled from a copy; a header is laid over the original, before it on the include path.
  local mutant="$work/mutant.${file##*.}" source=$file include="$root/$(dirname "$file")"
  if [ -n "$through" ]; then
    source=$through; include="$work/over"; rm -rf "$include"; mkdir -p "$include/$(dirname "$file")"
    mutant="$include/$file"
  fi
  printf '%s%s%s' "$before" "$new" "$rest" > "$mutant"
  [ -z "$through" ] || mutant=$root/$source
  local program=${list%%/*}_test
  [ -x "$BUILD/$program" ] || die "$BUILD/$program is missing: make build"
  local compile; compile=$(compile_command "$program" "$source")
  [ -n "$compile" ] || { echo "BROKEN   $name: $source isn't compiled into $program"; broken=$((broken + 1)); return; }
  local object; object=$(sed -E 's#.* -o ([^ ]+) .*#\1#' <<<"$compile")
  compile=${compile/"-c $root/$source"/"-c $mutant"}
  compile=${compile/" -I"/" -I$include -I"}
  compile=$(sed -E "s# -o [^ ]+# -o $work/mutant.o#; s# -MF [^ ]+# -MF $work/mutant.d#; s# -MT [^ ]+##; s# -Werror##g" <<<"$compile")
  if ! (cd "$BUILD" && eval "$compile") >"$work/log" 2>&1; then
    echo "BROKEN   $name: doesn't compile"; sed 's/^/         /' "$work/log" | head -n 5; broken=$((broken + 1)); return
  fi
  rm -f "$work/$program" ${helper:+"$work/$helper"}
  local link each
  for each in "$program" ${helper:+"$helper"}; do
    link=$(link_command "$each")
    link=${link%% && cd *}                        # the discovery of tests after linking isn't wanted
    link=${link/" $object "/" "}   # a test's own object; a library's stays and is not needed
    link=${link/"-o $each"/"$work/mutant.o -o $work/$each"}
    if ! (cd "$BUILD" && eval "$link") >"$work/log" 2>&1; then
      echo "BROKEN   $name: $each doesn't link"; sed 's/^/         /' "$work/log" | head -n 5; broken=$((broken + 1)); return
    fi
  done
  # Catch2 reads commas and brackets in a name as syntax.
  local spec=${test//\\/\\\\}; spec=${spec//,/\\,}; spec=${spec//\[/\\[}
  if ! "$BUILD/$program" "$spec" >"$work/log" 2>&1; then
    echo "BROKEN   $name: the test \"$test\" fails or doesn't exist without the mutant"; broken=$((broken + 1)); return
  fi
  timeout 300 "$work/$program" "$spec" >"$work/log" 2>&1
  case $? in
    0) echo "ESCAPED  $name ($file): \"$test\" passes"; escaped=$((escaped + 1)) ;;
    124) echo "caught   $name  <-  $test (it hung until the timeout)"; caught=$((caught + 1)) ;;
    *) echo "caught   $name  <-  $test"; caught=$((caught + 1)) ;;
  esac
  rm -f ${helper:+"$work/$helper"}  # a test takes the one beside it
}

shopt -s nullglob
for list in kernels/*/*.mutants baselines/*/*.mutants bench/*.mutants reports/*.mutants; do
  name=""; file=""; old=""; new=""; test=""; through=""; helper=""
  while IFS= read -r line || [ -n "$line" ]; do
    case "$line" in
      "mutant: "*) name=${line#mutant: } ;;
      "file: "*) file=${line#file: } ;;
      "replace: "*) old=${line#replace: } ;;
      "with: "*) new=${line#with: } ;;
      "with:") new="" ;;
      "through: "*) through=${line#through: } ;;
      "runs: "*) helper=${line#runs: } ;;
      "caught by: "*) test=${line#caught by: }
        [ -n "$name" ] && [ -n "$file" ] && [ -n "$old" ] || die "$list: incomplete block before '$line'"
        judge "$name" "$file" "$old" "$new" "$test"; name=""; file=""; old=""; new=""; through=""; helper="" ;;
      "" | "#"*) ;;
      *) die "$list: can't read the line '$line'" ;;
    esac
  done < "$list"
done
echo "$caught caught, $escaped escaped, $broken broken"
[ $((caught + escaped + broken)) -gt 0 ] || die "no mutant matches '$pattern'"
[ "$escaped" -eq 0 ] && [ "$broken" -eq 0 ]
