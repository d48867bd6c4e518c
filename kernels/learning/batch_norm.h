// SPDX-License-Identifier: Apache-2.0
//
// Batch normalisation whose statistics come from some of the activations: shapes, samples, the kernels' host
// interface and what they cost. Chen et al., "Batch Normalization Sampling", arXiv 1810.10962.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "kernels/device/device.h"
#include "kernels/device/float16.h"

namespace remeasure::kernels {

/// Activations in channels-last order, [images, height, width, channels]; a row is a pixel with its channels.
struct BatchNormShape {
  int images = 0, height = 0, width = 0, channels = 0;
  std::size_t rows() const {
    return static_cast<std::size_t>(images) * static_cast<std::size_t>(height) *
           static_cast<std::size_t>(width);
  }
  std::size_t values() const { return rows() * static_cast<std::size_t>(channels); }
  std::string text() const;  ///< "16x16x16x8"
};

/// The rows whose activations give the statistics: one rectangle of the maps of consecutive images.
struct SampleBox {
  int image = 0, images = 0, y = 0, height = 0, x = 0, width = 0;
  std::size_t rows() const {
    return static_cast<std::size_t>(images) * static_cast<std::size_t>(height) *
           static_cast<std::size_t>(width);
  }
  bool operator==(const SampleBox&) const = default;
};

/// What a draw depends on; two equal ones are the same sample.
struct SampleDraw {
  std::uint64_t seed = 1;
  int layer = 0, iteration = 0;
};

SampleBox every_row(const BatchNormShape& shape);
/// Batch sampling: one of `parts` images (at least one), whole, from a random first one on.
SampleBox sampled_images(const BatchNormShape& shape, int parts, const SampleDraw& draw);
/// Feature sampling: a rectangle of about one of `parts` pixels (a power of two; sides are halved in turn,
/// the height first, and rounded up) at one random place of all maps.
SampleBox sampled_features(const BatchNormShape& shape, int parts, const SampleDraw& draw);
/// The last `images` images: virtual ones, appended to a batch.
SampleBox last_images(const BatchNormShape& shape, int images);
/// Naive sampling: `count` different rows anywhere, in random order.
std::vector<std::int32_t> scattered_rows(const BatchNormShape& shape, std::size_t count,
                                         const SampleDraw& draw);

inline constexpr float kBatchNormEpsilon = 1e-5f;

/// How gradients pass the statistics. `exact`: the derivative; every output depends on them, so means of the
/// gradient over all rows are taken off, at the sampled rows, where the statistics come from. The other two
/// take those means over the sampled rows alone (the saving). `sampled`: as if only the sampled outputs
/// depended on the statistics. `estimated`: they stand for the means of the full batch's gradient, and are
/// taken off at all rows.
enum class StatisticsGradient { exact, sampled, estimated };

/// Working memory of a layer's launches. Tickets must be zero once, before the first launch.
struct BatchNormWorkspace {
  std::size_t partial_sums = 0;  ///< floats
  std::size_t tickets = 0;       ///< unsigned ints
};
BatchNormWorkspace batch_norm_workspace(const BatchNormShape& shape);

template <class Target>
struct BatchNormScratch {
  DeviceSpan<Target, float> partial_sums;
  DeviceSpan<Target, unsigned int> tickets;
};

/// Statistics of a channel and what the running averages of them become: running += momentum (new -
/// running); they may be empty. Variances are means of squares (divided by the number of sampled rows).
template <class Target>
struct BatchNormStatistics {
  DeviceSpan<Target, float> mean, inverse_deviation;  ///< [channels]
  DeviceSpan<Target, float> running_mean = {}, running_variance = {};
  float momentum = 0.1f;
};

/// mean, 1 / sqrt(variance + epsilon) of the box's rows.  x: [rows, channels], channels a multiple of 8
template <class Target>
void sampled_statistics(Stream<Target>& stream, const BatchNormShape& shape, const SampleBox& box,
                        DeviceSpan<Target, const half> x, const BatchNormStatistics<Target>& statistics,
                        const BatchNormScratch<Target>& scratch);
/// The same of the rows in a list.
template <class Target>
void scattered_statistics(Stream<Target>& stream, const BatchNormShape& shape,
                          DeviceSpan<Target, const std::int32_t> rows, DeviceSpan<Target, const half> x,
                          const BatchNormStatistics<Target>& statistics,
                          const BatchNormScratch<Target>& scratch);

/// The layer's parameters and the statistics of its forward pass, [channels] each.
template <class Target>
struct BatchNormLayer {
  DeviceSpan<Target, const float> mean, inverse_deviation, gamma, beta;
  bool relu = true;
};

/// y = max(0, gamma (x - mean) inverse_deviation + beta); without the maximum if the layer has no ReLU
template <class Target>
void normalize(Stream<Target>& stream, const BatchNormShape& shape, const BatchNormLayer<Target>& layer,
               DeviceSpan<Target, const half> x, DeviceSpan<Target, half> y);

/// Sums over rows of the gradient (through the ReLU) and of its product with the normalised activations,
/// [channels].
template <class Target>
struct GradientSums {
  DeviceSpan<Target, float> gradient, product;
};

/// Sums over the box's rows. Over all rows they are the gradients of beta and gamma.
template <class Target>
void gradient_sums(Stream<Target>& stream, const BatchNormShape& shape, const SampleBox& box,
                   const BatchNormLayer<Target>& layer, DeviceSpan<Target, const half> x,
                   DeviceSpan<Target, const half> gradient, const GradientSums<Target>& sums,
                   const BatchNormScratch<Target>& scratch);

/// x_gradient = gamma inverse_deviation (g - [row in box] (sums.gradient + x^ sums.product) / box.rows()).
/// StatisticsGradient::exact: `sums` are over all rows. sampled and estimated: over the box (and estimated
/// takes its shares off at every row); then those over all rows, the gradients of beta and gamma, are made in
/// passing and written to `parameters`.
template <class Target>
void input_gradient(Stream<Target>& stream, const BatchNormShape& shape, const SampleBox& box,
                    StatisticsGradient mode, const BatchNormLayer<Target>& layer,
                    DeviceSpan<Target, const half> x, DeviceSpan<Target, const half> gradient,
                    const GradientSums<Target>& sums, DeviceSpan<Target, half> x_gradient,
                    const GradientSums<Target>& parameters, const BatchNormScratch<Target>& scratch);

/// What a launch does: floating-point operations, and bytes of device memory, exactly.
struct BatchNormWork {
  double flops = 0, bytes = 0;
  BatchNormWork operator+(const BatchNormWork& other) const {
    return {flops + other.flops, bytes + other.bytes};
  }
};
BatchNormWork statistics_work(const BatchNormShape& shape, std::size_t sampled_rows, bool running,
                              bool scattered = false);
BatchNormWork normalize_work(const BatchNormShape& shape);
BatchNormWork gradient_sums_work(const BatchNormShape& shape, std::size_t sampled_rows, bool relu);
BatchNormWork input_gradient_work(const BatchNormShape& shape, std::size_t sampled_rows,
                                  StatisticsGradient mode, bool relu);

/// How a launch divides rows among blocks: a block takes `columns` vectors of 8 channels (a power of two, at
/// most 32) of 256 / columns rows at a time.
struct BatchNormGrid {
  int columns = 0, slabs = 0, row_blocks = 0;
  int rows_at_once() const { return 256 / columns; }
};
/// No more blocks than `most_blocks`, no fewer than `least_rows` rows for a thread while there are that many.
BatchNormGrid batch_norm_grid(const BatchNormShape& shape, std::size_t rows, int least_rows, int most_blocks);

// Launch shapes: reductions keep their parts few, since one block adds them up; what only writes takes more.
inline constexpr int kReduceRows = 4, kReduceBlocks = 264;  ///< 2 blocks on each of an H100's multiprocessors
inline constexpr int kWriteRows = 8, kWriteBlocks = 528;

}  // namespace remeasure::kernels
