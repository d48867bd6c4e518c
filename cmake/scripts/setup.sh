#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Installs what is missing from the distribution's packages (Debian 12 and 13, Ubuntu 24.04) and says what it does.
# The CUDA toolkit is never installed here: where nvcc is, it is used; where it isn't, everything runs without it.
set -euo pipefail

packages=(
  g++ cmake ninja-build make ccache git pkg-config ca-certificates
  libeigen3-dev libhdf5-dev zlib1g-dev libfmt-dev libcli11-dev catch2 libbenchmark-dev nlohmann-json3-dev
  libboost-dev libboost-context-dev
  libgsl-dev      # a baseline of log-bessel
  gnuplot-nox     # plots of the HTML page
)

if ! command -v apt-get >/dev/null || ! command -v dpkg-query >/dev/null; then
  echo "setup: this system has no apt-get. Install the equivalents of: ${packages[*]}" >&2
  exit 2
fi

missing=()
for package in "${packages[@]}"; do
  status=$(dpkg-query -W -f='${Status}' "$package" 2>/dev/null || true)
  [ "$status" = "install ok installed" ] || missing+=("$package")
done

if [ ${#missing[@]} -eq 0 ]; then
  echo "setup: all ${#packages[@]} packages are installed, nothing to do"
else
  echo "setup: installing ${#missing[@]} of ${#packages[@]} packages: ${missing[*]}"
  sudo=()
  if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null || { echo "setup: needs root or sudo to install: ${missing[*]}" >&2; exit 2; }
    sudo=(sudo)
  fi
  export DEBIAN_FRONTEND=noninteractive
  install=("${sudo[@]}" apt-get install -y -qq --no-install-recommends -o Dpkg::Use-Pty=0 "${missing[@]}")
  # The package lists may be missing or old: refreshed first, and an install without them is still tried.
  "${sudo[@]}" apt-get update -qq || echo "setup: apt-get update failed, trying with the lists that are here" >&2
  log=$(mktemp); trap 'rm -f "$log"' EXIT
  if ! "${install[@]}" >"$log" 2>&1; then
    tail -n 20 "$log" >&2
    echo "setup: the installation failed (above). Mend the package sources, then run 'make setup' again." >&2
    exit 2
  fi
fi

nvcc=$(command -v nvcc || ls /usr/local/cuda/bin/nvcc 2>/dev/null || true)
if [ -n "$nvcc" ]; then
  echo "setup: CUDA toolkit found ($nvcc): the CUDA side will be built"
else
  echo "setup: no CUDA toolkit: kernels run on the SIMT engine only (install CUDA >= 12 to build the GPU side)"
fi
