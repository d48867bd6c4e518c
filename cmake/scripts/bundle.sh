#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Makes bundle/: program, tests, the libraries beyond glibc and CUDA's, recorded results, and `run` as its front.
# It runs on any x86-64 (v3) Linux with an NVIDIA driver and the CUDA libraries in a usual place: a toolkit under
# /usr/local/cuda*, the distribution's, or pip's site-packages/nvidia/*/lib.
set -euo pipefail
: "${JOBS:=$(nproc)}" "${BUNDLE:=bundle}" "${BUILD:=build-bundle}" "${MARCH:=x86-64-v3}"
limit_mib=64

generator=(); command -v ninja >/dev/null && generator=(-G Ninja)
cmake -S . -B "$BUILD" "${generator[@]}" -DCMAKE_BUILD_TYPE=Release -DREMEASURE_MARCH="$MARCH" >/dev/null
cmake --build "$BUILD" --parallel "$JOBS"

rm -rf "$BUNDLE"
mkdir -p "$BUNDLE/bin" "$BUNDLE/lib" "$BUNDLE/reports"
for program in remeasure remeasure_fake kernels_test datasets_test reports_test baselines_test bench_test experiments_test; do
  [ -x "$BUILD/$program" ] && install -s -m 755 "$BUILD/$program" "$BUNDLE/bin/$program"
done
# Without its symbols a record couldn't name the kernels that it launched.
install -m 755 "$BUILD/remeasure" "$BUNDLE/bin/remeasure"
strip --strip-debug "$BUNDLE/bin/remeasure"
# The checking engine names source lines: its tests need their line tables.
install -m 755 "$BUILD/kernels_test" "$BUNDLE/bin/kernels_test"
objcopy --compress-debug-sections "$BUNDLE/bin/kernels_test"
[ ! -d reports/recorded ] || cp -r reports/recorded "$BUNDLE/reports/recorded"
# Tests look beside themselves first, so that they pass where the sources aren't.
cp -r reports/testdata "$BUNDLE/bin/testdata"
install -m 755 "$BUILD/kernels/simt/libfake_nvml.so" "$BUNDLE/bin/libfake_nvml.so"
install -m 755 cmake/scripts/kills.sh "$BUNDLE/bin/kills.sh"
install -m 755 cmake/scripts/gpu_day.sh "$BUNDLE/gpu-day"

# Beyond glibc (the loader must match the machine's kernel and its libc) and CUDA (must match its driver).
skip='^(ld-linux|libc\.so|libm\.so|libdl|libpthread|librt|libresolv|linux-vdso|libcuda|libcublas|libcusolver|libcusparse|libcudnn|libnv|libcufft)'
for program in "$BUNDLE"/bin/*; do
  [ -f "$program" ] || continue
  case "$program" in *.sh | *.so) continue ;; esac
  ldd "$program" | awk '$3 ~ /^\// {print $1, $3}'
done | sort -u | while read -r name path; do
  grep -qE "$skip" <<<"$name" || cp -L "$path" "$BUNDLE/lib/$name"
done

cat > "$BUNDLE/run" <<'RUN'
#!/usr/bin/env bash
# Runs a program of this bundle with its own libraries and the CUDA libraries of this machine.
#   ./run remeasure doctor            ./run kernels_test "[gpu]"            ./run all-tests
#   ./run gpu-day                     all that needs a GPU, in half an hour; again to go on
set -u
here=$(cd "$(dirname "$0")" && pwd)
[ ! -f "$here/programs.tar.gz" ] || { tar -xzf "$here/programs.tar.gz" -C "$here" && rm "$here/programs.tar.gz"; } || exit 2
path="$here/lib"
for folder in /usr/local/cuda/lib64 /usr/local/cuda-*/lib64 /usr/lib/x86_64-linux-gnu /usr/local/nvidia/lib64 \
    $(python3 -c 'import glob,site,sys
for s in site.getsitepackages()+[site.getusersitepackages()]: print("\n".join(glob.glob(s+"/nvidia/*/lib")))' 2>/dev/null); do
  [ -d "$folder" ] && path="$path:$folder"
done
export LD_LIBRARY_PATH="$path${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"
export REMEASURE_RECORDED="${REMEASURE_RECORDED:-$here/reports/recorded}"
program=${1:-remeasure}; [ $# -gt 0 ] && shift
if [ "$program" = all-tests ]; then
  worst=0
  for test in "$here"/bin/*_test; do
    echo "== $(basename "$test")"; (cd "$here" && "$test" "$@") || worst=1
  done
  exit $worst
fi
[ "$program" != gpu-day ] || exec "$here/gpu-day" "$@"
[ "$program" != --with-libraries ] || exec "$@"   # a tool that starts a program of this bundle
[ -x "$here/bin/$program" ] || { echo "run: no program '$program'; there are: $(ls "$here/bin" | tr '\n' ' ')" >&2; exit 2; }
exec "$here/bin/$program" "$@"
RUN
chmod +x "$BUNDLE/run"
# Programs and libraries travel packed; the first call of run unpacks them.
tar -czf "$BUNDLE/programs.tar.gz" -C "$BUNDLE" bin lib
rm -r "$BUNDLE/bin" "$BUNDLE/lib"
size=$(du -sm "$BUNDLE" | cut -f1)
echo "bundle: $BUNDLE/ is $size MiB ($limit_mib at most); try it: $BUNDLE/run remeasure doctor"
[ "$size" -le "$limit_mib" ] || { echo "bundle: too large" >&2; exit 1; }
