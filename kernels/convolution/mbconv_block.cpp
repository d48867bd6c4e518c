// SPDX-License-Identifier: Apache-2.0
#include "kernels/convolution/mbconv_block.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <stdexcept>

namespace remeasure::kernels {
namespace {

constexpr std::size_t kSharedLimit = 227 * 1024;  // of a block, sm_90 with opt-in
constexpr int kGridRows = 65'535;                 // of gridDim.y

int whole_tiles(int pixels) {
  return (pixels + 15) / 16;
}

void refuse(const char* caller, const BlockShape& shape, std::size_t element_bytes) {
  const bool channels = shape.channels == 32 || shape.channels == 64 || shape.channels == 128 ||
                        (element_bytes == 2 && shape.channels == 256);
  if (!channels) {
    throw std::invalid_argument(
        fmt::format("{}: {} channels of {} bytes; the kernel takes 32, 64, 128, and 256 of 2 bytes", caller,
                    shape.channels, element_bytes));
  }
  if (shape.kernel != 3 && shape.kernel != 5)
    throw std::invalid_argument(
        fmt::format("{}: a kernel of {}; the fused one is 3 or 5", caller, shape.kernel));
  if (shape.batch > kGridRows)
    throw std::invalid_argument(fmt::format("{}: a batch of {}, at most {}", caller, shape.batch, kGridRows));
}

bool fits(const BlockShape& shape, const MbConvTiling& tiling, std::size_t element_bytes) {
  return tiling.rows >= 1 && tiling.columns >= 1 && tiling.rows * tiling.columns <= kMbConvPixels &&
         tiling.halo_rows(shape.kernel) * tiling.halo_columns(shape.kernel) <= kMbConvHaloPixels &&
         mbconv_shared_bytes(shape, tiling, element_bytes) <= kSharedLimit;
}

/// visit(rows, columns, halo rows and columns within the picture) of each tile of one picture.
template <class Visit>
void for_each_tile(const BlockShape& shape, const MbConvTiling& tiling, const Visit& visit) {
  const int reach = shape.kernel / 2;
  const auto within = [&](int first, int count, int extent) {
    return std::min(first + count + reach, extent) - std::max(first - reach, 0);
  };
  for (int y = 0; y < shape.height; y += tiling.rows) {
    for (int x = 0; x < shape.width; x += tiling.columns) {
      const int rows = std::min(tiling.rows, shape.height - y),
                columns = std::min(tiling.columns, shape.width - x);
      visit(rows, columns, within(y, rows, shape.height) * within(x, columns, shape.width));
    }
  }
}

}  // namespace

std::size_t mbconv_shared_bytes(const BlockShape& shape, const MbConvTiling& tiling,
                                std::size_t element_bytes) {
  const auto row = [&](int columns) {
    return std::max<std::size_t>(64, static_cast<std::size_t>(columns) * element_bytes);
  };
  const auto halo = static_cast<std::size_t>(
      16 * whole_tiles(tiling.halo_rows(shape.kernel) * tiling.halo_columns(shape.kernel)));
  return row(shape.channels) * (halo + kMbConvChunk) +
         row(kMbConvChunk) * (halo + kMbConvPixels + static_cast<std::size_t>(shape.channels));
}

void check_mbconv_tiling(const char* caller, const BlockShape& shape, const MbConvTiling& tiling,
                         std::size_t element_bytes) {
  check_block(caller, Block::mbconv, shape);
  refuse(caller, shape, element_bytes);
  if (!fits(shape, tiling, element_bytes)) {
    throw std::invalid_argument(fmt::format(
        "{}: tiles of {} x {} pixels; at least 1, at most {}, {} with their halo, and {} bytes of "
        "shared memory",
        caller, tiling.rows, tiling.columns, kMbConvPixels, kMbConvHaloPixels, kSharedLimit));
  }
}

MbConvTiling mbconv_tiling(const BlockShape& shape, std::size_t element_bytes) {
  check_block("mbconv_tiling", Block::mbconv, shape);
  refuse("mbconv_tiling", shape, element_bytes);
  std::optional<MbConvTiling> best;
  int fewest = 0;
  for (int rows = 1; rows <= std::min(shape.height, kMbConvPixels); ++rows) {
    for (int columns = 1; columns <= std::min(shape.width, kMbConvPixels / rows); ++columns) {
      const MbConvTiling tiling{rows, columns};
      if (!fits(shape, tiling, element_bytes)) continue;
      int products = 0;  // of 16 pixels: expansions and projections
      for_each_tile(shape, tiling, [&](int r, int c, int) {
        products += whole_tiles((r + shape.kernel - 1) * (c + shape.kernel - 1)) + whole_tiles(r * c);
      });
      if (!best || products < fewest) best = tiling, fewest = products;
    }
  }
  if (!best)
    throw std::invalid_argument(fmt::format("mbconv_tiling: no tile of {} channels fits", shape.channels));
  return *best;
}

BlockWork mbconv_work(const BlockShape& shape, const MbConvTiling& tiling, std::size_t element_bytes) {
  BlockWork work;
  const double c = shape.channels, hidden = shape.hidden(), taps = shape.kernel * shape.kernel;
  const bool split = element_bytes == 4;
  // fp32: three products, and six differences of a lane for each 16 x 8 x 8.
  const auto product = [&](double macs) {
    return split ? 6 * macs + macs * 6 * 32 / (16 * 8 * 8) : 2 * macs;
  };
  for_each_tile(shape, tiling, [&](int rows, int columns, int read) {
    const int pixels = rows * columns;
    const double halo = 16.0 * whole_tiles((rows + shape.kernel - 1) * (columns + shape.kernel - 1));
    work.flops += product((halo + 16.0 * whole_tiles(pixels)) * c * hidden) + halo * hidden * 7 +
                  pixels * hidden * (2 * taps + 6) + 2 * pixels * c;
    work.special += (halo + pixels) * hidden;
    work.activations_read += c * read;
  });
  work.flops *= shape.batch, work.special *= shape.batch, work.activations_read *= shape.batch;
  work.activations_written = static_cast<double>(shape.elements());
  const BlockSizes sizes = block_sizes(Block::mbconv, shape);
  const auto bytes = static_cast<double>(element_bytes);
  work.bytes = bytes * (2 * static_cast<double>(shape.elements()) + static_cast<double>(sizes.weights())) +
               4 * static_cast<double>(sizes.biases());
  return work;
}

}  // namespace remeasure::kernels
