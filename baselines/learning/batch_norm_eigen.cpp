// SPDX-License-Identifier: Apache-2.0
#include <Eigen/Core>
#include <stdexcept>
#include <string>
#include <vector>

#include "baselines/learning/batch_norm.h"
#include "kernels/parallel_tasks.h"

namespace remeasure::baselines {
namespace {

using Rows = Eigen::Array<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
using Row = Eigen::Array<float, 1, Eigen::Dynamic>;
constexpr int kBlocks = 16;  // of rows: sums are added up in their order, whatever the threads

struct Blocks {
  int rows, channels, threads;

  auto of(std::span<const float> values, int block) const {
    return Eigen::Map<const Rows>(values.data() + first(block) * channels, first(block + 1) - first(block),
                                  channels);
  }
  auto of(std::span<float> values, int block) const {
    return Eigen::Map<Rows>(values.data() + first(block) * channels, first(block + 1) - first(block),
                            channels);
  }
  template <class Body>
  void each(const Body& body) const {
    kernels::for_each_row_block(kBlocks, 1, threads, [&](int block, int, int) { body(block); });
  }
  /// Sum over the blocks of what `part` gives.
  template <class Part>
  Row sum(const Part& part) const {
    Rows parts(kBlocks, channels);
    each([&](int block) { parts.row(block) = part(block); });
    return parts.colwise().sum();
  }

 private:
  Eigen::Index first(int block) const { return static_cast<Eigen::Index>(rows) * block / kBlocks; }
};

Row row_of(std::span<const float> channels) {
  return Eigen::Map<const Row>(channels.data(), static_cast<Eigen::Index>(channels.size()));
}
void store(const Row& row, std::span<float> to) {
  std::copy(row.data(), row.data() + row.size(), to.begin());
}

Blocks blocks_of(const char* what, const kernels::BatchNormShape& shape, int threads,
                 std::initializer_list<std::size_t> of_values,
                 std::initializer_list<std::size_t> of_channels) {
  const auto require = [&](std::size_t size, std::size_t expected) {
    if (size != expected)
      throw std::invalid_argument(std::string(what) + ": an array of " + std::to_string(size) +
                                  " elements; " + std::to_string(expected) + " are expected for " +
                                  shape.text());
  };
  for (const std::size_t size : of_values) require(size, shape.values());
  for (const std::size_t size : of_channels) require(size, static_cast<std::size_t>(shape.channels));
  return {static_cast<int>(shape.rows()), shape.channels, threads};
}

}  // namespace

void batch_norm_eigen(const kernels::BatchNormShape& shape, std::span<const float> gamma,
                      std::span<const float> beta, std::span<const float> x, std::span<float> y,
                      std::span<float> mean, std::span<float> inverse_deviation, int threads) {
  const Blocks blocks = blocks_of("batch_norm_eigen", shape, threads, {x.size(), y.size()},
                                  {gamma.size(), beta.size(), mean.size(), inverse_deviation.size()});
  const auto count = static_cast<float>(shape.rows());
  const Row centre = blocks.sum([&](int b) -> Row { return blocks.of(x, b).colwise().sum(); }) / count;
  const Row variance = blocks.sum([&](int b) -> Row {
    return (blocks.of(x, b).rowwise() - centre).square().colwise().sum();
  }) / count;
  const Row inverse = (variance + kernels::kBatchNormEpsilon).sqrt().inverse();
  const Row scale = row_of(gamma) * inverse, shift = row_of(beta);
  blocks.each([&](int b) {
    blocks.of(y, b) = (((blocks.of(x, b).rowwise() - centre).rowwise() * scale).rowwise() + shift).max(0.0f);
  });
  store(centre, mean);
  store(inverse, inverse_deviation);
}

void batch_norm_backward_eigen(const kernels::BatchNormShape& shape, std::span<const float> gamma,
                               std::span<const float> beta, std::span<const float> mean,
                               std::span<const float> inverse_deviation, std::span<const float> x,
                               std::span<const float> gradient, const BatchNormGradientSpans& out,
                               int threads) {
  const Blocks blocks = blocks_of(
      "batch_norm_backward_eigen", shape, threads, {x.size(), gradient.size(), out.x.size()},
      {gamma.size(), beta.size(), mean.size(), inverse_deviation.size(), out.gamma.size(), out.beta.size()});
  const Row centre = row_of(mean), inverse = row_of(inverse_deviation), scale = row_of(gamma) * inverse,
            shift = row_of(beta);
  // Through the ReLU first.
  const Row sum = blocks.sum([&](int b) -> Row {
    auto to = blocks.of(out.x, b);
    const auto before = ((blocks.of(x, b).rowwise() - centre).rowwise() * scale).rowwise() + shift;
    to = (before > 0.0f).select(blocks.of(gradient, b), 0.0f);
    return to.colwise().sum();
  });
  const Row product = blocks.sum([&](int b) -> Row {
    return (blocks.of(out.x, b) * (blocks.of(x, b).rowwise() - centre)).colwise().sum();
  }) * inverse;
  const auto count = static_cast<float>(shape.rows());
  const Row constant = scale * sum / count, slope = scale * inverse * product / count;
  blocks.each([&](int b) {
    auto to = blocks.of(out.x, b);
    to = (to.rowwise() * scale).rowwise() - constant;
    to -= (blocks.of(x, b).rowwise() - centre).rowwise() * slope;
  });
  store(product, out.gamma);
  store(sum, out.beta);
}

}  // namespace remeasure::baselines
