// SPDX-License-Identifier: Apache-2.0
#include "kernels/learning/batch_norm.h"

#include <algorithm>
#include <bit>
#include <numeric>
#include <stdexcept>

#include "kernels/device/philox.h"

namespace remeasure::kernels {
namespace {

constexpr int kThreads = 256, kVector = 8, kSums = 16;

/// In [0, count): number `which` of a draw.
int drawn(const SampleDraw& draw, int which, int count) {
  const Philox4 random =
      philox(draw.seed, static_cast<std::uint64_t>(draw.iteration), static_cast<std::uint64_t>(draw.layer));
  return static_cast<int>(std::uint64_t{random.word[which]} * static_cast<std::uint64_t>(count) >> 32);
}

double channels_of(const BatchNormShape& shape) {
  return static_cast<double>(shape.channels);
}

/// Threads of a launch that have channels of their own.
double threads_of(const BatchNormShape& shape, const BatchNormGrid& grid) {
  return channels_of(shape) / kVector * grid.rows_at_once() * grid.row_blocks;
}

/// column_sums of `values` values in `columns` columns.
double column_sum_flops(int columns, int values) {
  const int width = std::min(columns, 32), speakers = kThreads / 32 * width;
  const int distances = std::countr_zero(32u / static_cast<unsigned>(width));
  return static_cast<double>(values) * (kThreads * distances + speakers - columns);
}

/// sum_over_rows of all slabs, and the values that it hands on through memory.
BatchNormWork sum_over_rows_work(const BatchNormGrid& grid) {
  BatchNormWork work{column_sum_flops(grid.columns, kSums) * grid.row_blocks * grid.slabs, 0};
  if (grid.row_blocks == 1) return work;
  const double parts = static_cast<double>(kSums) * grid.columns * grid.row_blocks * grid.slabs;
  work.flops += parts + column_sum_flops(kSums * grid.columns / 4, 4) * grid.slabs;
  work.bytes = 2 * sizeof(float) * parts + 2 * sizeof(unsigned int) * static_cast<double>(grid.slabs);
  return work;
}

}  // namespace

std::string BatchNormShape::text() const {
  return std::to_string(images) + "x" + std::to_string(height) + "x" + std::to_string(width) + "x" +
         std::to_string(channels);
}

SampleBox every_row(const BatchNormShape& shape) {
  return {0, shape.images, 0, shape.height, 0, shape.width};
}

SampleBox sampled_images(const BatchNormShape& shape, int parts, const SampleDraw& draw) {
  SampleBox box = every_row(shape);
  box.images = std::max(1, shape.images / parts);
  box.image = drawn(draw, 0, shape.images - box.images + 1);
  return box;
}

SampleBox sampled_features(const BatchNormShape& shape, int parts, const SampleDraw& draw) {
  SampleBox box = every_row(shape);
  for (bool of_height = true; parts > 1; parts /= 2, of_height = !of_height) {
    int& side = of_height ? box.height : box.width;
    side = (side + 1) / 2;
  }
  box.y = drawn(draw, 0, shape.height - box.height + 1);
  box.x = drawn(draw, 1, shape.width - box.width + 1);
  return box;
}

SampleBox last_images(const BatchNormShape& shape, int images) {
  SampleBox box = every_row(shape);
  box.image = shape.images - images;
  box.images = images;
  return box;
}

std::vector<std::int32_t> scattered_rows(const BatchNormShape& shape, std::size_t count,
                                         const SampleDraw& draw) {
  if (count > shape.rows())
    throw std::invalid_argument("scattered_rows: " + std::to_string(count) + " different rows of " +
                                std::to_string(shape.rows()));
  // The first `count` places of a shuffle (Fisher and Yates).
  std::vector<std::int32_t> rows(shape.rows());
  std::iota(rows.begin(), rows.end(), 0);
  const auto stream =
      static_cast<std::uint64_t>(draw.iteration) << 32 | static_cast<std::uint32_t>(draw.layer);
  for (std::size_t i = 0; i < count; ++i) {
    const Philox4 random = philox(draw.seed, i, stream);
    const std::size_t other = i + (std::uint64_t{random.word[0]} * (rows.size() - i) >> 32);
    std::swap(rows[i], rows[other]);
  }
  rows.resize(count);
  return rows;
}

BatchNormGrid batch_norm_grid(const BatchNormShape& shape, std::size_t rows, int least_rows,
                              int most_blocks) {
  const int vectors = shape.channels / kVector;
  BatchNormGrid grid;
  grid.columns = std::min(32, static_cast<int>(std::bit_ceil(static_cast<unsigned>(vectors))));
  grid.slabs = (vectors + grid.columns - 1) / grid.columns;
  const auto of_block = static_cast<std::size_t>(grid.rows_at_once() * least_rows);
  const std::size_t wanted = (rows + of_block - 1) / of_block;
  grid.row_blocks =
      static_cast<int>(std::min(wanted, static_cast<std::size_t>(std::max(1, most_blocks / grid.slabs))));
  return grid;
}

BatchNormWorkspace batch_norm_workspace(const BatchNormShape& shape) {
  const BatchNormGrid grid = batch_norm_grid(shape, shape.rows(), kReduceRows, kReduceBlocks);
  return {static_cast<std::size_t>(grid.slabs) * static_cast<std::size_t>(grid.row_blocks) *
              static_cast<std::size_t>(kSums * grid.columns),
          static_cast<std::size_t>(grid.slabs)};
}

BatchNormWork statistics_work(const BatchNormShape& shape, std::size_t sampled_rows, bool running,
                              bool scattered) {
  const BatchNormGrid grid = batch_norm_grid(shape, sampled_rows, kReduceRows, kReduceBlocks);
  const double values = static_cast<double>(sampled_rows) * channels_of(shape);
  // Difference, its sum, square, its sum; at the end 9 a channel, and 6 for running averages.
  return sum_over_rows_work(grid) +
         BatchNormWork{4 * values + (running ? 15 : 9) * channels_of(shape),
                       2 * values + 4 * (running ? 6 : 2) * channels_of(shape) +
                           (scattered ? 4 * static_cast<double>(sampled_rows) : 0)};
}

BatchNormWork normalize_work(const BatchNormShape& shape) {
  const BatchNormGrid grid = batch_norm_grid(shape, shape.rows(), kWriteRows, kWriteBlocks);
  const auto values = static_cast<double>(shape.values());
  return {3 * values + kVector * threads_of(shape, grid), 4 * values + 16 * channels_of(shape)};
}

BatchNormWork gradient_sums_work(const BatchNormShape& shape, std::size_t sampled_rows, bool relu) {
  const BatchNormGrid grid = batch_norm_grid(shape, sampled_rows, kReduceRows, kReduceBlocks);
  const double values = static_cast<double>(sampled_rows) * channels_of(shape);
  return sum_over_rows_work(grid) +
         BatchNormWork{
             (relu ? 6 : 4) * values + (relu ? kVector * threads_of(shape, grid) : 0) + channels_of(shape),
             4 * values + 4 * (relu ? 6 : 4) * channels_of(shape)};
}

BatchNormWork input_gradient_work(const BatchNormShape& shape, std::size_t sampled_rows,
                                  StatisticsGradient mode, bool relu) {
  const bool parameters = mode != StatisticsGradient::exact;
  const auto values = static_cast<double>(shape.values());
  const double corrected =
      mode == StatisticsGradient::estimated ? values : static_cast<double>(sampled_rows) * channels_of(shape);
  const double reads_x = relu || parameters ? values : corrected;
  const BatchNormGrid grid = batch_norm_grid(shape, shape.rows(), parameters ? kReduceRows : kWriteRows,
                                             parameters ? kReduceBlocks : kWriteBlocks);
  BatchNormWork work{
      values + reads_x + 3 * corrected + (relu ? 2 : 0) * values + 41 * threads_of(shape, grid),
      4 * values + 2 * reads_x + 4 * (relu ? 6 : 5) * channels_of(shape)};
  if (parameters)
    work = work + sum_over_rows_work(grid) +
           BatchNormWork{3 * values + channels_of(shape), 8 * channels_of(shape)};
  return work;
}

}  // namespace remeasure::kernels
