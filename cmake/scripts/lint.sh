#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The floors of the house, then clang-tidy over the host code. A file that passed is looked at again only when it, a project
# header that it includes, .clang-tidy or clang-tidy's version has changed. usage: lint.sh [path pattern]
set -u
: "${BUILD:=build}" "${JOBS:=$(nproc)}"
cmake/scripts/floors.sh || exit 1
command -v clang-tidy >/dev/null || { echo "lint: clang-tidy was not found: apt-get install clang-tidy" >&2; exit 2; }
started=$SECONDS
passed=$BUILD/lint
mkdir -p "$passed"

# What each file includes of ours, and the hash of what it holds.
declare -A includes hash seen
while IFS=: read -r file line; do
  name=${line#*\"}
  includes[$file]+=" ${name%\"*}"
done < <(git ls-files '*.h' '*.cpp' '*.cu' | xargs grep -HoE '^#include "[^"]+"')
mapfile -t files < <(git ls-files '*.h' '*.cpp' '*.cu')
mapfile -t hashes < <(printf '%s\n' "${files[@]}" | git hash-object --stdin-paths)
for i in "${!files[@]}"; do hash[${files[i]}]=${hashes[i]}; done
rules=$(cat .clang-tidy <(clang-tidy --version) | git hash-object --stdin)

visit() {  # marks a file and all that it includes
  local file
  for file in "$@"; do
    [ -n "${seen[$file]:-}" ] && continue
    seen[$file]=1
    # shellcheck disable=SC2086
    visit ${includes[$file]:-}
  done
}

due=() keys=()
for file in $(git ls-files '*.cpp' | grep -E "${1:-.}"); do
  seen=()
  visit "$file"
  key=$(for part in "${!seen[@]}"; do echo "$part ${hash[$part]:-}"; done | sort | { cat; echo "$rules"; } | git hash-object --stdin)
  [ -e "$passed/$key" ] || { due+=("$file"); keys+=("$key"); }
done

check() {  # file, key
  clang-tidy -p "$BUILD" --quiet --extra-arg=-Wno-unknown-warning-option "$1" 2>&1 |
    grep -vE '^[0-9]+ warnings? (and [0-9]+ errors? )?generated\.$'
  [ "${PIPESTATUS[0]}" -eq 0 ] && touch "$passed/$2"
}
export -f check
export BUILD passed
status=0
for i in "${!due[@]}"; do printf '%s\0%s\0' "${due[i]}" "${keys[i]}"; done |
  xargs -0 -r -P "$JOBS" -n 2 bash -c 'check "$@"' lint || status=1
echo "lint: ${#due[@]} files looked at in $((SECONDS - started)) s, the others passed before"
exit $status
