// SPDX-License-Identifier: Apache-2.0
#include "kernels/convolution/convfirst_block.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <stdexcept>

namespace remeasure::kernels {
namespace {

constexpr std::size_t kSharedLimit = 227 * 1024;  // of a block, sm_90 with opt-in
constexpr int kMultiprocessors = 132;             // of an H200
constexpr int kGridRows = 65'535;                 // of gridDim.y

int ceil_div(int a, int b) {
  return (a + b - 1) / b;
}

void refuse(const char* caller, const BlockShape& shape, std::size_t element_bytes) {
  const bool channels = shape.channels == 32 || shape.channels == 64 || shape.channels == 128 ||
                        (element_bytes == 2 && (shape.channels == 256 || shape.channels == 512));
  if (!channels) {
    throw std::invalid_argument(
        fmt::format("{}: {} channels of {} bytes; the kernel takes 32, 64, 128, and 256 and 512 of 2 bytes",
                    caller, shape.channels, element_bytes));
  }
  if (shape.kernel != 3)
    throw std::invalid_argument(
        fmt::format("{}: a kernel of {}; the fused one is 3 x 3", caller, shape.kernel));
  if (shape.hidden() % 64 != 0)
    throw std::invalid_argument(
        fmt::format("{}: {} hidden channels aren't a multiple of 64", caller, shape.hidden()));
  if (shape.batch > kGridRows)
    throw std::invalid_argument(fmt::format("{}: a batch of {}, at most {}", caller, shape.batch, kGridRows));
}

}  // namespace

std::size_t convfirst_shared_bytes(const BlockShape& shape, const ConvFirstTiling& tiling,
                                   std::size_t element_bytes) {
  const auto row = [&](int columns) {
    return std::max<std::size_t>(64, static_cast<std::size_t>(columns) * element_bytes);
  };
  const auto pixels = static_cast<std::size_t>(convfirst_pixels(shape.channels, element_bytes));
  const int chunk = convfirst_chunk(shape.channels, element_bytes);
  const std::size_t pixel = row(shape.channels), hidden = row(chunk);
  const auto ring = static_cast<std::size_t>(convfirst_ring_rows(tiling) * (tiling.columns + 2));
  return pixel * (ring + pixels + static_cast<std::size_t>(chunk)) +
         hidden * (pixels + static_cast<std::size_t>(shape.channels));
}

void check_convfirst_tiling(const char* caller, const BlockShape& shape, const ConvFirstTiling& tiling,
                            std::size_t element_bytes) {
  check_block(caller, Block::convfirst, shape);
  refuse(caller, shape, element_bytes);
  const int pixels = convfirst_pixels(shape.channels, element_bytes);
  if (tiling.columns < 1 || tiling.rows < 1 || tiling.band_steps < 1 ||
      tiling.columns * tiling.rows > pixels ||
      convfirst_shared_bytes(shape, tiling, element_bytes) > kSharedLimit) {
    throw std::invalid_argument(
        fmt::format("{}: steps of {} x {} pixels, {} a band; at least 1, {} pixels at most, and {} bytes of "
                    "shared memory",
                    caller, tiling.rows, tiling.columns, tiling.band_steps, pixels, kSharedLimit));
  }
}

ConvFirstTiling convfirst_tiling(const BlockShape& shape, std::size_t element_bytes) {
  check_block("convfirst_tiling", Block::convfirst, shape);
  refuse("convfirst_tiling", shape, element_bytes);
  const int pixels = convfirst_pixels(shape.channels, element_bytes);
  std::optional<ConvFirstTiling> best;
  int fewest = 0;
  for (int tiles = 1; tiles <= shape.width; ++tiles) {
    const int columns = ceil_div(shape.width, tiles);
    if (columns > pixels) continue;
    for (int steps = ceil_div(shape.height, std::max(1, pixels / columns)); steps <= shape.height; ++steps) {
      const ConvFirstTiling tiling{columns, ceil_div(shape.height, steps), steps};
      const int all = tiles * ceil_div(shape.height, tiling.rows);
      if (best && all >= fewest) break;
      if (convfirst_shared_bytes(shape, tiling, element_bytes) > kSharedLimit) continue;
      best = tiling, fewest = all;
    }
  }
  if (!best)
    throw std::invalid_argument(fmt::format("convfirst_tiling: no tile of a {} x {} x {} picture fits",
                                            shape.height, shape.width, shape.channels));
  // Bands as long as they can be while every multiprocessor has as many blocks as fit.
  const std::size_t resident = kSharedLimit / convfirst_shared_bytes(shape, *best, element_bytes);
  const auto wanted = static_cast<long long>(kMultiprocessors * std::min<std::size_t>(resident, 4));
  const int in_column = ceil_div(shape.height, best->rows);
  const long long columns = static_cast<long long>(shape.batch) * best->column_tiles(shape);
  const long long bands = std::clamp<long long>((wanted + columns / 2) / columns, 1, in_column);
  best->band_steps = ceil_div(in_column, static_cast<int>(bands));
  return *best;
}

BlockWork convfirst_work(const BlockShape& shape, const ConvFirstTiling& tiling, std::size_t element_bytes,
                         bool convolution_only) {
  BlockWork work;
  const double c = shape.channels, hidden = shape.hidden();
  const bool split = element_bytes == 4;
  // fp32: three products, and six differences of a lane for each 16 x 8 x 8.
  const auto product = [&](double macs) {
    return split ? 6 * macs + macs * 6 * 32 / (16 * 8 * 8) : 2 * macs;
  };
  for (int x = 0; x < shape.width; x += tiling.columns) {
    const int columns = std::min(tiling.columns, shape.width - x);
    const int read_columns = std::min(x + columns + 1, shape.width) - std::max(x - 1, 0);
    for (int band = 0; band < shape.height; band += tiling.band_rows()) {
      const int end = std::min(band + tiling.band_rows(), shape.height);
      work.activations_read += c * read_columns * (std::min(end + 1, shape.height) - std::max(band - 1, 0));
      for (int y = band; y < end; y += tiling.rows) {
        const int pixels = columns * std::min(tiling.rows, end - y);
        const double whole = 16.0 * ceil_div(pixels, 16);
        work.flops += product(whole * c * 9 * kGroupWidth) + whole * c;
        if (convolution_only) continue;
        work.flops += 2 * product(whole * c * hidden) + whole * hidden * 7 + 2.0 * pixels * c;
        work.special += whole * hidden;
      }
    }
  }
  work.flops *= shape.batch, work.special *= shape.batch, work.activations_read *= shape.batch;
  work.activations_written = static_cast<double>(shape.elements());
  const BlockSizes sizes = block_sizes(Block::convfirst, shape);
  const auto bytes = static_cast<double>(element_bytes);
  work.bytes = bytes * 2 * static_cast<double>(shape.elements()) +
               bytes * static_cast<double>(convolution_only ? sizes.filter : sizes.weights()) +
               4 * static_cast<double>(convolution_only ? sizes.filter_bias : sizes.biases());
  return work;
}

}  // namespace remeasure::kernels
