#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The floors of the house (CONTRIBUTING): includes run downward only, PTX and __CUDACC__ stay in kernels/device.
set -u
fault=0
say() { echo "$1"; fault=1; }

allowed() {  # room -> rooms that it may include, as a regular expression
  case "$1" in
    kernels) echo 'kernels/' ;;
    datasets) echo 'datasets/' ;;
    reports) echo 'reports/' ;;
    baselines) echo 'baselines/|kernels/' ;;
    bench) echo 'bench/|reports/|datasets/|kernels/(device|simt)/' ;;
    experiments) echo 'bench/|reports/|datasets/|kernels/|baselines/|experiments/' ;;
  esac
}
rooms='(kernels|datasets|reports|baselines|bench|experiments)/'
for room in kernels datasets reports baselines bench experiments; do
  while IFS= read -r hit; do
    say "floors: $hit"
  done < <(git ls-files -co --exclude-standard "$room" | grep -E '\.(h|cpp|cu)$' |
    xargs -r grep -HnE "^#include \"$rooms" | grep -vE "#include \"($(allowed "$room"))")
done
while IFS= read -r hit; do
  say "outside kernels/device: $hit"
done < <(git ls-files -co --exclude-standard -- '*.h' '*.cpp' '*.cu' | grep -v '^kernels/device/' |
  xargs -r grep -HnE '__CUDACC__|\b(wgmma|mma\.sync|mma\.sp|ldmatrix\.sync|cp\.async)\.[a-z]+[.:;]')
while IFS= read -r file; do
  head -n 1 "$file" | grep -q 'SPDX-License-Identifier: Apache-2.0' || say "no SPDX line: $file"
done < <(git ls-files -co --exclude-standard -- '*.h' '*.cpp' '*.cu')
[ "$fault" -eq 0 ] && echo "floors: includes run downward, PTX stays in kernels/device"
exit "$fault"
