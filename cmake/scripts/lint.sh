#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The floors of the house, then clang-tidy over all host code. usage: lint.sh [path pattern]
set -u
: "${BUILD:=build}" "${JOBS:=$(nproc)}"
cmake/scripts/floors.sh || exit 1
command -v clang-tidy >/dev/null || { echo "lint: clang-tidy was not found: apt-get install clang-tidy" >&2; exit 2; }
git ls-files '*.cpp' | grep -E "${1:-.}" |
  xargs -P "$JOBS" -n 1 clang-tidy -p "$BUILD" --quiet --extra-arg=-Wno-unknown-warning-option
