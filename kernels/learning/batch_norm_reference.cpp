// SPDX-License-Identifier: Apache-2.0
#include "kernels/learning/batch_norm_reference.h"

#include <Eigen/Core>
#include <cmath>
#include <stdexcept>

#include "kernels/learning/batch_norm_checks.h"
#include "kernels/parallel_tasks.h"

namespace remeasure::kernels {
namespace {

constexpr int kChunks = 8;  // sums are made in as many parts, whatever the number of threads

template <class Scalar>
using Row = Eigen::Array<Scalar, 1, Eigen::Dynamic>;

template <class Scalar>
auto row_of(const BatchNormShape& shape, std::span<const Scalar> values, std::size_t row) {
  return Eigen::Map<const Row<Scalar>>(values.data() + row * static_cast<std::size_t>(shape.channels),
                                       shape.channels);
}
template <class Scalar>
auto row_of(const BatchNormShape& shape, std::span<Scalar> values, std::size_t row) {
  return Eigen::Map<Row<Scalar>>(values.data() + row * static_cast<std::size_t>(shape.channels),
                                 shape.channels);
}
template <class Scalar>
Row<Scalar> row_of(const std::vector<Scalar>& channels) {
  return Eigen::Map<const Row<Scalar>>(channels.data(), static_cast<Eigen::Index>(channels.size()));
}
template <class Scalar>
Row<Scalar> row_of(std::span<const Scalar> channels) {
  return Eigen::Map<const Row<Scalar>>(channels.data(), static_cast<Eigen::Index>(channels.size()));
}
template <class Scalar>
std::vector<Scalar> vector_of(const Row<Scalar>& channels) {
  return {channels.data(), channels.data() + channels.size()};
}

/// Sum of add(i, sum) for i in [0, count), in kChunks parts.
template <class Scalar, class Add>
Row<Scalar> sum_over(std::size_t count, int width, int threads, const Add& add) {
  std::vector<Row<Scalar>> parts(kChunks, Row<Scalar>::Zero(width));
  for_each_row_block(kChunks, 1, threads, [&](int chunk, int, int) {
    Row<Scalar>& part = parts[static_cast<std::size_t>(chunk)];
    const std::size_t c = static_cast<std::size_t>(chunk);
    for (std::size_t i = count * c / kChunks; i < count * (c + 1) / kChunks; ++i) add(i, part);
  });
  Row<Scalar> total = parts[0];
  for (std::size_t c = 1; c < kChunks; ++c) total += parts[c];
  return total;
}

void check_arrays(const char* what, const BatchNormShape& shape, std::initializer_list<std::size_t> of_values,
                  std::initializer_list<std::size_t> of_channels) {
  for (const std::size_t size : of_values) check_equal(what, "an array of activations", size, shape.values());
  for (const std::size_t size : of_channels)
    check_equal(what, "an array of channels", size, static_cast<std::size_t>(shape.channels));
}

void check_sample(const char* what, const BatchNormShape& shape, const StatisticsSample& sample) {
  double weights = 0;
  for (const SampledRows& group : sample) {
    weights += group.weight;
    bool inside = !group.rows.empty();
    for (const std::int32_t row : group.rows)
      inside = inside && row >= 0 && static_cast<std::size_t>(row) < shape.rows();
    if (!inside)
      throw std::invalid_argument(std::string(what) + ": a group of " + std::to_string(group.rows.size()) +
                                  " sampled rows is empty or not inside of " + shape.text());
  }
  if (std::abs(weights - 1) > 1e-9)
    throw std::invalid_argument(std::string(what) + ": the weights of the sample's groups add up to " +
                                std::to_string(weights) + ", not 1");
}

}  // namespace

std::vector<std::int32_t> rows_of(const BatchNormShape& shape, const SampleBox& box) {
  check_box("rows_of", shape, box);
  std::vector<std::int32_t> rows;
  rows.reserve(box.rows());
  for (int n = box.image; n < box.image + box.images; ++n) {
    for (int y = box.y; y < box.y + box.height; ++y) {
      for (int x = box.x; x < box.x + box.width; ++x)
        rows.push_back((n * shape.height + y) * shape.width + x);
    }
  }
  return rows;
}

template <class Scalar>
std::vector<Scalar> ChannelStatistics<Scalar>::inverse_deviation() const {
  return vector_of<Scalar>((row_of(variance) + static_cast<Scalar>(kBatchNormEpsilon)).sqrt().inverse());
}

template <class Scalar>
ChannelStatistics<Scalar> statistics_reference(const BatchNormShape& shape, const StatisticsSample& sample,
                                               std::span<const Scalar> x, int threads) {
  check_arrays("statistics_reference", shape, {x.size()}, {});
  check_sample("statistics_reference", shape, sample);
  Row<Scalar> mean = Row<Scalar>::Zero(shape.channels), variance = mean;
  ChannelStatistics<Scalar> result;
  for (const SampledRows& group : sample) {
    const auto count = static_cast<Scalar>(group.rows.size()), weight = static_cast<Scalar>(group.weight);
    const auto row = [&](std::size_t i) { return row_of(shape, x, static_cast<std::size_t>(group.rows[i])); };
    const Row<Scalar> of_group = sum_over<Scalar>(group.rows.size(), shape.channels, threads,
                                                  [&](std::size_t i, Row<Scalar>& sum) { sum += row(i); }) /
                                 count;
    variance +=
        weight / count *
        sum_over<Scalar>(group.rows.size(), shape.channels, threads,
                         [&](std::size_t i, Row<Scalar>& sum) { sum += (row(i) - of_group).square(); });
    mean += weight * of_group;
    result.group_mean.push_back(vector_of<Scalar>(of_group));
  }
  result.mean = vector_of<Scalar>(mean);
  result.variance = vector_of<Scalar>(variance);
  return result;
}

template <class Scalar>
void normalize_reference(const BatchNormShape& shape, const ChannelStatistics<Scalar>& statistics,
                         const BatchNormParameters<Scalar>& parameters, std::span<const Scalar> x,
                         std::span<Scalar> y, int threads) {
  check_arrays("normalize_reference", shape, {x.size(), y.size()},
               {statistics.mean.size(), parameters.gamma.size(), parameters.beta.size()});
  const Row<Scalar> mean = row_of(statistics.mean), beta = row_of(parameters.beta);
  const Row<Scalar> scale = row_of(parameters.gamma) * row_of(statistics.inverse_deviation());
  for_each_row_block(1, static_cast<int>(shape.rows()), threads, [&](int, int first, int rows) {
    for (int r = first; r < first + rows; ++r) {
      auto to = row_of(shape, y, static_cast<std::size_t>(r));
      to = (row_of(shape, x, static_cast<std::size_t>(r)) - mean) * scale + beta;
      if (parameters.relu) to = to.max(Scalar(0));
    }
  });
}

template <class Scalar>
BatchNormGradients<Scalar> backward_reference(const BatchNormShape& shape, const StatisticsSample& sample,
                                              StatisticsGradient mode,
                                              const ChannelStatistics<Scalar>& statistics,
                                              const BatchNormParameters<Scalar>& parameters,
                                              std::span<const Scalar> x, std::span<const Scalar> gradient,
                                              int threads) {
  check_arrays("backward_reference", shape, {x.size(), gradient.size()},
               {statistics.mean.size(), parameters.gamma.size(), parameters.beta.size()});
  check_sample("backward_reference", shape, sample);
  const int channels = shape.channels;
  const Row<Scalar> mean = row_of(statistics.mean), inverse = row_of(statistics.inverse_deviation());
  const Row<Scalar> gamma = row_of(parameters.gamma), beta = row_of(parameters.beta);
  // The gradient before the ReLU, row by row, and the normalised activations.
  BatchNormGradients<Scalar> result{std::vector<Scalar>(gradient.begin(), gradient.end()), {}, {}};
  const std::span<Scalar> g(result.x);
  const auto normal = [&](std::size_t r) { return (row_of(shape, x, r) - mean) * inverse; };
  if (parameters.relu) {
    for_each_row_block(1, static_cast<int>(shape.rows()), threads, [&](int, int first, int rows) {
      for (int row = first; row < first + rows; ++row) {
        const auto r = static_cast<std::size_t>(row);
        auto of_row = row_of(shape, g, r);
        of_row = (normal(r) * gamma + beta > Scalar(0)).select(of_row, Scalar(0));
      }
    });
  }
  // Sums of the gradient and of its product with the normalised activations, side by side.
  const auto sums_over = [&](std::size_t count, const auto& row) {
    return sum_over<Scalar>(count, 2 * channels, threads, [&](std::size_t i, Row<Scalar>& sum) {
      const std::size_t r = row(i);
      sum.head(channels) += row_of(shape, g, r);
      sum.tail(channels) += row_of(shape, g, r) * normal(r);
    });
  };
  const Row<Scalar> all = sums_over(shape.rows(), [](std::size_t i) { return i; });
  result.beta = vector_of<Scalar>(all.head(channels));
  result.gamma = vector_of<Scalar>(all.tail(channels));
  // Shares of all groups are made before any is taken off: a row may be in several.
  std::vector<Row<Scalar>> sums;
  for (const SampledRows& group : sample) {
    sums.push_back(mode == StatisticsGradient::exact ? all : sums_over(group.rows.size(), [&](std::size_t i) {
      return static_cast<std::size_t>(group.rows[i]);
    }));
  }
  for (std::size_t k = 0; k < sample.size(); ++k) {
    const SampledRows& group = sample[k];
    const Scalar share = static_cast<Scalar>(group.weight) / static_cast<Scalar>(group.rows.size());
    const Row<Scalar> of_group = row_of(statistics.group_mean[k]);
    const Row<Scalar> constant = share * sums[k].head(channels),
                      slope = share * inverse * sums[k].tail(channels);
    const auto take_off = [&](std::size_t r) {
      row_of(shape, g, r) -= constant + (row_of(shape, x, r) - of_group) * slope;
    };
    if (mode == StatisticsGradient::estimated) {
      for (std::size_t r = 0; r < shape.rows(); ++r) take_off(r);
    } else {
      for (const std::int32_t row : group.rows) take_off(static_cast<std::size_t>(row));
    }
  }
  const Row<Scalar> scale = gamma * inverse;
  for_each_row_block(1, static_cast<int>(shape.rows()), threads, [&](int, int first, int rows) {
    for (int r = first; r < first + rows; ++r) row_of(shape, g, static_cast<std::size_t>(r)) *= scale;
  });
  return result;
}

#define RM_INSTANTIATE_BATCH_NORM(Scalar)                                                                   \
  template struct ChannelStatistics<Scalar>;                                                                \
  template ChannelStatistics<Scalar> statistics_reference(const BatchNormShape&, const StatisticsSample&,   \
                                                          std::span<const Scalar>, int);                    \
  template void normalize_reference(const BatchNormShape&, const ChannelStatistics<Scalar>&,                \
                                    const BatchNormParameters<Scalar>&, std::span<const Scalar>,            \
                                    std::span<Scalar>, int);                                                \
  template BatchNormGradients<Scalar> backward_reference(                                                   \
      const BatchNormShape&, const StatisticsSample&, StatisticsGradient, const ChannelStatistics<Scalar>&, \
      const BatchNormParameters<Scalar>&, std::span<const Scalar>, std::span<const Scalar>, int);
RM_INSTANTIATE_BATCH_NORM(float)
RM_INSTANTIATE_BATCH_NORM(double)

}  // namespace remeasure::kernels
