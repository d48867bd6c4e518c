// SPDX-License-Identifier: Apache-2.0
//
// Kernel matrix of quantum states, measured. Havlicek et al., Nature 567 (2019), arXiv 1804.11326, "Quantum
// kernel estimation".
//
//   for (r) for (c) {
//     product = sum_z a[r][z] * conj(b[c][z]);
//     K = (1 - p)^2 |product|^2 + (1 - (1 - p)^2) / 2^n;          // depolarising noise
//     gram[r][c] = shots ? binomial(shots, K) / shots : K;
//   }
//
// Optimisation. The complex product is never stored: |.|^2, noise and shots are its epilogue. Tensor cores,
// and float accuracy by three TF32 products (large x large + large x small + small x large). A lane holds
// real and imaginary part of an amplitude in k and k + 4 of the fragment: that product is the real part, and
// with a turned by -i, a change of registers and signs, the imaginary one. cp.async brings the next 16
// amplitudes while these are multiplied; rows are swizzled so that 8-byte reads of four rows lie in all banks
// once. A symmetric matrix has its tiles above the diagonal computed and all mirrored. Launch: a block of 4
// warps per tile of 64 x 64 entries.   Flops and bytes: gram_abs2_work (24.5 an amplitude and entry). Limits:
// rows, columns < 2^20. Few tiles of many amplitudes don't fill a GPU: there is no split along the
// amplitudes.
#include <stdexcept>
#include <string>

#include "kernels/device/copy.h"
#include "kernels/device/kernel.h"
#include "kernels/device/mma.h"
#include "kernels/science/binomial_draw.h"
#include "kernels/science/gram_tile.h"

namespace remeasure::kernels {
namespace {

using Mma = Mma16x8x8Tf32;

constexpr int kRowBytes = kGramStep * 8, kChunksPerRow = kRowBytes / 16;
constexpr int kTileBytes = kGramTile * kRowBytes;
static_assert(kChunksPerRow == 8, "the swizzle is for rows of all 32 banks");

/// Byte of an amplitude in a tile: pairs of 16-byte chunks change places by the row.
RM_DEVICE constexpr int tile_offset(int row, int chunk) {
  return row * kRowBytes + (chunk ^ 2 * (row % 4)) * 16;
}

/// Amplitudes [first, first + 16) of 64 rows; zeros beyond the ends.
RM_DEVICE inline void load_tile(unsigned char* tile, const float* __restrict__ states, int first_row,
                                int rows, long long first, long long amplitudes) {
#pragma unroll
  for (int i = 0; i < kGramTile * kChunksPerRow / kGramThreads; ++i) {
    const int chunk = static_cast<int>(threadIdx.x) + i * kGramThreads;
    const int row = chunk / kChunksPerRow, at = chunk % kChunksPerRow;
    const bool inside = first_row + row < rows && first + 2 * at < amplitudes;
    const long long source = inside ? (first_row + row) * amplitudes + first + 2 * at : 0;
    copy_async<16>(tile + tile_offset(row, at), states + 2 * source, inside ? 16 : 0);
  }
}

RM_DEVICE inline float2 amplitude(const unsigned char* tile, int row, int index) {
  return *reinterpret_cast<const float2*>(tile + tile_offset(row, index / 2) + index % 2 * 8);
}

/// value = large + small to 22 bits.
RM_DEVICE inline void split(float value, std::uint32_t& large, std::uint32_t& small) {
  large = to_tf32(value);
  small = to_tf32(value - __uint_as_float(large));
}

struct Operand {
  std::uint32_t large[4], small[4];
};
/// a times -i: real and imaginary registers change places, and the new imaginary ones their sign.
RM_DEVICE inline void turn(const std::uint32_t (&a)[4], std::uint32_t (&turned)[4]) {
  turned[0] = a[2];
  turned[1] = a[3];
  turned[2] = a[0] ^ 0x80000000u;
  turned[3] = a[1] ^ 0x80000000u;
}

struct Tile {
  int row, column;  // in tiles
};
RM_DEVICE inline Tile tile_of(long long number, int row_tiles, bool symmetric) {
  if (!symmetric) return {static_cast<int>(number % row_tiles), static_cast<int>(number / row_tiles)};
  int column = static_cast<int>((sqrt(8.0 * static_cast<double>(number) + 1) - 1) / 2);
  while (static_cast<long long>(column) * (column + 1) / 2 > number) --column;
  while (static_cast<long long>(column + 1) * (column + 2) / 2 <= number) ++column;
  return {static_cast<int>(number - static_cast<long long>(column) * (column + 1) / 2), column};
}

/// One body for the 32 places of the unrolled epilogue: inlined, it was most of the kernel's code.
__attribute__((noinline)) RM_DEVICE int draw(int shots, float probability, std::uint64_t seed,
                                             long long entry) {
  return binomial_draw(shots, static_cast<double>(probability), seed, static_cast<std::uint64_t>(entry));
}

template <bool kSymmetric, bool kShots>
__global__ void __launch_bounds__(kGramThreads, 2)
    gram_kernel(int rows, int columns, int row_tiles, long long amplitudes, float keep, float noise_floor,
                int shots, std::uint64_t seed, const float* __restrict__ a, const float* __restrict__ b,
                float* __restrict__ gram) {
  RM_DYNAMIC_SHARED(unsigned char, shared);  // two stages of a tile of a and one of b
  const Tile tile = tile_of(blockIdx.x, row_tiles, kSymmetric);
  const int first_row = tile.row * kGramTile, first_column = tile.column * kGramTile;
  const int lane = lane_id(), warp_row = warp_id() / 2 * 32, warp_column = warp_id() % 2 * 32;
  const int group = lane / 4, place = lane % 4;
  float real[2][4][4] = {}, imaginary[2][4][4] = {};

  const auto load = [&](int stage, long long first) {
    unsigned char* const at = shared + stage * 2 * kTileBytes;
    load_tile(at, a, first_row, rows, first, amplitudes);
    load_tile(at + kTileBytes, b, first_column, columns, first, amplitudes);
  };
  load(0, 0);
  int stage = 0;
#pragma unroll 1
  for (long long first = 0; first < amplitudes; first += kGramStep, stage ^= 1) {
    copy_async_wait_all();
    __syncthreads();  // this stage has landed for all, and all are done with the other one
    if (first + kGramStep < amplitudes) load(stage ^ 1, first + kGramStep);
    const unsigned char* const rows_tile = shared + stage * 2 * kTileBytes;
    const unsigned char* const columns_tile = rows_tile + kTileBytes;
#pragma unroll 1  // unrolled, the steps overlap until registers spill
    for (int step = 0; step < kGramStep / 4; ++step) {
      Operand left[2];
#pragma unroll
      for (int m = 0; m < 2; ++m) {
#pragma unroll
        for (int half = 0; half < 2; ++half) {
          const float2 value = amplitude(rows_tile, warp_row + 16 * m + 8 * half + group, 4 * step + place);
          split(value.x, left[m].large[half], left[m].small[half]);
          split(value.y, left[m].large[2 + half], left[m].small[2 + half]);
        }
      }
#pragma unroll
      for (int n = 0; n < 4; ++n) {
        const float2 value = amplitude(columns_tile, warp_column + 8 * n + group, 4 * step + place);
        std::uint32_t large[2], small[2];
        split(value.x, large[0], small[0]);
        split(value.y, large[1], small[1]);
#pragma unroll
        for (int m = 0; m < 2; ++m) {
          std::uint32_t turned[4];
          // From zero, and added in float: tensor cores cut their sums off, which over thousands of steps
          // would be a drift of 1e-5 and more.
          float re[4] = {}, im[4] = {};
          Mma::multiply(re, left[m].small, large, re);
          Mma::multiply(re, left[m].large, small, re);
          Mma::multiply(re, left[m].large, large, re);
          turn(left[m].small, turned);
          Mma::multiply(im, turned, large, im);
          turn(left[m].large, turned);
          Mma::multiply(im, turned, small, im);
          Mma::multiply(im, turned, large, im);
#pragma unroll
          for (int r = 0; r < 4; ++r) {
            real[m][n][r] += re[r];
            imaginary[m][n][r] += im[r];
          }
        }
      }
    }
  }
#pragma unroll
  for (int m = 0; m < 2; ++m) {
#pragma unroll
    for (int n = 0; n < 4; ++n) {
#pragma unroll
      for (int r = 0; r < 4; ++r) {
        const MatrixPosition at = Mma::c(lane, r);
        const int row = first_row + warp_row + 16 * m + at.row,
                  column = first_column + warp_column + 8 * n + at.column;
        if (row >= rows || column >= columns || (kSymmetric && row > column)) continue;
        const float re = real[m][n][r], im = imaginary[m][n][r];
        float value = keep * (re * re + im * im) + noise_floor;
        const long long entry = static_cast<long long>(row) * columns + column;
        if constexpr (kShots) {
          value = static_cast<float>(static_cast<double>(draw(shots, value, seed, entry)) / shots);
        }
        gram[entry] = value;
        if (kSymmetric && row < column) gram[static_cast<long long>(column) * columns + row] = value;
      }
    }
  }
}

__global__ void abs2_kernel(long long entries, int columns, bool symmetric,
                            const float2* __restrict__ products, float* __restrict__ gram) {
  const long long entry = static_cast<long long>(blockIdx.x) * blockDim.x + threadIdx.x;
  if (entry >= entries) return;
  const long long row = entry / columns, column = entry % columns;
  const float2 value = products[symmetric && row > column ? column * columns + row : entry];
  gram[entry] = value.x * value.x + value.y * value.y;
}

void check_sizes(const char* what, const GramShape& shape, std::size_t gram) {
  constexpr int kMost = 1 << 20;
  if (shape.rows < 1 || shape.columns < 1 || shape.rows >= kMost || shape.columns >= kMost ||
      shape.qubits < 1 || shape.qubits > kMostQubits || (shape.symmetric && shape.rows != shape.columns) ||
      gram != shape.entries()) {
    throw std::invalid_argument(std::string(what) + ": " + std::to_string(shape.rows) + " x " +
                                std::to_string(shape.columns) + (shape.symmetric ? " symmetric" : "") +
                                " entries of " + std::to_string(shape.qubits) + " qubits (1 to " +
                                std::to_string(kMostQubits) + "), gram of " + std::to_string(gram));
  }
}

}  // namespace

template <class Target>
void gram_abs2(Stream<Target>& stream, const GramShape& shape, const Measurement& measurement,
               DeviceSpan<Target, const float> a, DeviceSpan<Target, const float> b,
               DeviceSpan<Target, float> gram) {
  check_sizes("gram_abs2", shape, gram.size());
  const std::size_t row_values = 2 * shape.amplitudes();
  if (a.size() != static_cast<std::size_t>(shape.rows) * row_values ||
      b.size() != static_cast<std::size_t>(shape.columns) * row_values ||
      (shape.symmetric && a.data() != b.data()) || measurement.shots < 0 ||
      !(measurement.depolarising >= 0) || measurement.depolarising > 1) {
    throw std::invalid_argument(
        "gram_abs2: states of " + std::to_string(a.size()) + " and " + std::to_string(b.size()) +
        " floats, shots " + std::to_string(measurement.shots) + ", depolarising " +
        std::to_string(measurement.depolarising) + "; a symmetric matrix has the same states twice");
  }
  const GramTiles tiles = gram_tiles(shape);
  const auto run = [&]<bool kSymmetric, bool kShots>() {
    launch({.name = "gram_abs2",
            .grid = static_cast<unsigned>(tiles.count),
            .block = kGramThreads,
            .shared_bytes = 4 * kTileBytes},
           stream, gram_kernel<kSymmetric, kShots>, shape.rows, shape.columns, tiles.rows,
           static_cast<long long>(shape.amplitudes()), static_cast<float>(measurement.keep()),
           static_cast<float>(measurement.noise_floor(shape.qubits)), measurement.shots, measurement.seed,
           a.data(), b.data(), gram.data());
  };
  if (shape.symmetric) {
    if (measurement.shots > 0)
      run.template operator()<true, true>();
    else
      run.template operator()<true, false>();
  } else {
    if (measurement.shots > 0)
      run.template operator()<false, true>();
    else
      run.template operator()<false, false>();
  }
}

template <class Target>
void abs2_of_products(Stream<Target>& stream, const GramShape& shape,
                      DeviceSpan<Target, const float> products, DeviceSpan<Target, float> gram) {
  check_sizes("abs2_of_products", shape, gram.size());
  if (products.size() != 2 * shape.entries()) {
    throw std::invalid_argument("abs2_of_products: products of " + std::to_string(products.size()) +
                                " floats for " + std::to_string(shape.entries()) + " entries");
  }
  launch({.name = "abs2_of_products", .grid = blocks_for(shape.entries(), 256), .block = 256}, stream,
         abs2_kernel, static_cast<long long>(shape.entries()), shape.columns, shape.symmetric,
         reinterpret_cast<const float2*>(products.data()), gram.data());
}

template void gram_abs2(Stream<CompiledTarget>&, const GramShape&, const Measurement&,
                        DeviceSpan<CompiledTarget, const float>, DeviceSpan<CompiledTarget, const float>,
                        DeviceSpan<CompiledTarget, float>);
template void abs2_of_products(Stream<CompiledTarget>&, const GramShape&,
                               DeviceSpan<CompiledTarget, const float>, DeviceSpan<CompiledTarget, float>);

}  // namespace remeasure::kernels
