// SPDX-License-Identifier: Apache-2.0
//
// Batch normalisation backward where the statistics came from the rows of a sample S (Chen et al., "Batch
// Normalization Sampling", arXiv 1810.10962, section 3.3; the three forms are ours, as the abstract doesn't
// fix one).
//
//   for (c) {
//     for (r in R) { G += g[r, c]; P += g[r, c] normal(r, c); }      // R: all rows (exact), S (others)
//     for (r) {
//       d = g[r, c];
//       if (r in S) d -= (G + normal(r, c) P) / |S|;                 // estimated: at every r
//       x_gradient[r, c] = gamma[c] inverse_deviation[c] d;
//     }
//   }                // normal(r, c) = (x[r, c] - mean[c]) inverse_deviation[c]; g is 0 where the ReLU was
//
// Optimisation: the ReLU's mask is computed again from x, so nothing is kept of the forward pass but x. Where
// R = S, the gradients of beta and gamma, which need all rows, are summed in the second pass, which reads all
// of x and g anyway. In the exact form without ReLU x is read at sampled rows alone.
//
// Launch: as batch_norm.cu, two launches. With s = |S| / rows, bytes a value: sampled 4 s + 6; exact 10, and
// 8 + 2 s without ReLU. Limits as there.
#include "kernels/learning/batch_norm_checks.h"
#include "kernels/learning/batch_norm_tile.h"

namespace remeasure::kernels {
namespace {

constexpr int kAhead = 2;  // pairs of loads in flight

struct LayerView {
  const float *mean, *inverse_deviation, *gamma, *beta;
};
struct SumsView {
  float *gradient, *product;
};

/// Rows from which the statistics' share is taken off.
struct CorrectedRows {
  BoxMembership box;
  bool every;
  RM_DEVICE bool operator()(int row) const { return every || box(row); }
};

/// The gradient before the ReLU. `centred` is x - mean; the same expression as in normalize_kernel.
template <bool kRelu>
RM_DEVICE inline float through_relu(float gradient, float centred, float scale, float beta) {
  if constexpr (kRelu) return scale * centred + beta > 0.0f ? gradient : 0.0f;
  return gradient;
}

RM_DEVICE void write_sums(int columns, int vectors, const float* totals, const float* inverse_deviation,
                          const SumsView& sums) {
  const int of_slab = static_cast<int>(threadIdx.x);
  const int channel = static_cast<int>(blockIdx.x) * columns * kBatchNormVector + of_slab;
  if (of_slab >= columns * kBatchNormVector || channel >= vectors * kBatchNormVector) return;
  const int column = of_slab / kBatchNormVector, e = of_slab % kBatchNormVector;
  sums.gradient[channel] = totals[e * columns + column];
  sums.product[channel] = totals[(8 + e) * columns + column] * inverse_deviation[channel];
}

template <bool kRelu>
__global__ void __launch_bounds__(kBatchNormThreads, 2)
    gradient_sums_kernel(int count, BoxRows rows, int columns, int vectors, LayerView layer,
                         const half* __restrict__ x, const half* __restrict__ gradient, float* parts,
                         unsigned int* tickets, SumsView out) {
  RM_DYNAMIC_SHARED(float, totals);
  const BatchNormPlace place(columns, vectors);
  const uint4* const from = reinterpret_cast<const uint4*>(x);
  const uint4* const gradient_from = reinterpret_cast<const uint4*>(gradient);
  float sums[16] = {};
  if (place.exists()) {
    float mean[8], scale[8] = {}, beta[8] = {};
    load8(layer.mean, place.vector, mean);
    if constexpr (kRelu) {
      float inverse_deviation[8];
      load8(layer.inverse_deviation, place.vector, inverse_deviation);
      load8(layer.gamma, place.vector, scale);
      load8(layer.beta, place.vector, beta);
#pragma unroll
      for (int e = 0; e < 8; ++e) scale[e] *= inverse_deviation[e];
    }
    for (int begin = place.first_row; begin < count; begin += kAhead * place.row_step) {
      uint4 packed[kAhead], packed_gradient[kAhead];
#pragma unroll
      for (int u = 0; u < kAhead; ++u) {
        const int i = begin + u * place.row_step;
        if (i >= count) break;
        const std::size_t at = place.at(rows(i));
        packed[u] = from[at];
        packed_gradient[u] = gradient_from[at];
      }
#pragma unroll
      for (int u = 0; u < kAhead; ++u) {
        if (begin + u * place.row_step >= count) break;
        float values[8], gradients[8];
        unpack8(packed[u], values);
        unpack8(packed_gradient[u], gradients);
#pragma unroll
        for (int e = 0; e < 8; ++e) {
          const float centred = values[e] - mean[e];
          const float g = through_relu<kRelu>(gradients[e], centred, scale[e], beta[e]);
          sums[e] += g;
          sums[8 + e] += g * centred;
        }
      }
    }
  }
  if (sum_over_rows(columns, sums, parts, tickets, totals))
    write_sums(columns, vectors, totals, layer.inverse_deviation, out);
}

template <bool kRelu, bool kParameters>
__global__ void __launch_bounds__(kBatchNormThreads, 2)
    input_gradient_kernel(int count, int sampled_rows, CorrectedRows corrected, int columns, int vectors,
                          LayerView layer, SumsView sums_of, const half* __restrict__ x,
                          const half* __restrict__ gradient, half* __restrict__ x_gradient, float* parts,
                          unsigned int* tickets, SumsView parameters) {
  RM_DYNAMIC_SHARED(float, totals);
  const BatchNormPlace place(columns, vectors);
  const uint4* const from = reinterpret_cast<const uint4*>(x);
  const uint4* const gradient_from = reinterpret_cast<const uint4*>(gradient);
  uint4* const to = reinterpret_cast<uint4*>(x_gradient);
  float sums[16] = {};
  if (place.exists()) {
    float mean[8], scale[8], beta[8] = {}, constant[8], slope[8];
    {
      float inverse_deviation[8];
      const float each = 1.0f / static_cast<float>(sampled_rows);
      load8(layer.mean, place.vector, mean);
      load8(layer.inverse_deviation, place.vector, inverse_deviation);
      load8(layer.gamma, place.vector, scale);
      load8(sums_of.gradient, place.vector, constant);
      load8(sums_of.product, place.vector, slope);
      if constexpr (kRelu) load8(layer.beta, place.vector, beta);
#pragma unroll
      for (int e = 0; e < 8; ++e) {
        scale[e] *= inverse_deviation[e];
        const float share = scale[e] * each;
        constant[e] *= share;
        slope[e] *= share * inverse_deviation[e];
      }
    }
    for (int begin = place.first_row; begin < count; begin += kAhead * place.row_step) {
      uint4 packed[kAhead] = {}, packed_gradient[kAhead];
      bool in_sample[kAhead] = {};
#pragma unroll
      for (int u = 0; u < kAhead; ++u) {
        const int row = begin + u * place.row_step;
        if (row >= count) break;
        in_sample[u] = corrected(row);
        const std::size_t at = place.at(row);
        packed_gradient[u] = gradient_from[at];
        if (kRelu || kParameters || in_sample[u]) packed[u] = from[at];
      }
#pragma unroll
      for (int u = 0; u < kAhead; ++u) {
        const int row = begin + u * place.row_step;
        if (row >= count) break;
        float values[8], gradients[8];
        unpack8(packed[u], values);
        unpack8(packed_gradient[u], gradients);
#pragma unroll
        for (int e = 0; e < 8; ++e) {
          float centred = 0.0f;
          if (kRelu || kParameters || in_sample[u]) centred = values[e] - mean[e];
          const float g = through_relu<kRelu>(gradients[e], centred, scale[e], beta[e]);
          if constexpr (kParameters) {
            sums[e] += g;  // of all rows
            sums[8 + e] += g * centred;
          }
          float d = scale[e] * g;
          if (in_sample[u]) d -= constant[e] + slope[e] * centred;
          gradients[e] = d;
        }
        const uint4 result = pack8(gradients);
        to[place.at(row)] = result;
      }
    }
  }
  if constexpr (kParameters) {
    if (sum_over_rows(columns, sums, parts, tickets, totals))
      write_sums(columns, vectors, totals, layer.inverse_deviation, parameters);
  }
}

template <class Target>
LayerView view_of(const BatchNormLayer<Target>& layer) {
  return {layer.mean.data(), layer.inverse_deviation.data(), layer.gamma.data(), layer.beta.data()};
}
template <class Target>
SumsView view_of(const GradientSums<Target>& sums) {
  return {sums.gradient.data(), sums.product.data()};
}

}  // namespace

template <class Target>
void gradient_sums(Stream<Target>& stream, const BatchNormShape& shape, const SampleBox& box,
                   const BatchNormLayer<Target>& layer, DeviceSpan<Target, const half> x,
                   DeviceSpan<Target, const half> gradient, const GradientSums<Target>& sums,
                   const BatchNormScratch<Target>& scratch) {
  check_shape("gradient_sums", shape);
  check_box("gradient_sums", shape, box);
  check_layer<Target>("gradient_sums", shape, layer, {x.size(), gradient.size()});
  check_sizes("gradient_sums", shape, {}, {sums.gradient.size(), sums.product.size()}, scratch);
  const BatchNormGrid grid = batch_norm_grid(shape, box.rows(), kReduceRows, kReduceBlocks);
  launch({.name = "gradient_sums",
          .grid = dim3(static_cast<unsigned>(grid.slabs), static_cast<unsigned>(grid.row_blocks)),
          .block = kBatchNormThreads,
          .shared_bytes = sum_over_rows_bytes<16>(grid.columns)},
         stream, layer.relu ? gradient_sums_kernel<true> : gradient_sums_kernel<false>,
         static_cast<int>(box.rows()), BoxRows(shape, box), grid.columns, shape.channels / kBatchNormVector,
         view_of(layer), x.data(), gradient.data(), scratch.partial_sums.data(), scratch.tickets.data(),
         view_of(sums));
}

template <class Target>
void input_gradient(Stream<Target>& stream, const BatchNormShape& shape, const SampleBox& box,
                    StatisticsGradient mode, const BatchNormLayer<Target>& layer,
                    DeviceSpan<Target, const half> x, DeviceSpan<Target, const half> gradient,
                    const GradientSums<Target>& sums, DeviceSpan<Target, half> x_gradient,
                    const GradientSums<Target>& parameters, const BatchNormScratch<Target>& scratch) {
  check_shape("input_gradient", shape);
  check_box("input_gradient", shape, box);
  check_layer<Target>("input_gradient", shape, layer, {x.size(), gradient.size(), x_gradient.size()});
  check_sizes("input_gradient", shape, {}, {sums.gradient.size(), sums.product.size()}, scratch);
  const bool with_parameters = mode != StatisticsGradient::exact;
  if (with_parameters)
    check_sizes("input_gradient", shape, {}, {parameters.gradient.size(), parameters.product.size()},
                scratch);
  const BatchNormGrid grid = with_parameters
                                 ? batch_norm_grid(shape, shape.rows(), kReduceRows, kReduceBlocks)
                                 : batch_norm_grid(shape, shape.rows(), kWriteRows, kWriteBlocks);
  const auto run = [&](auto kernel) {
    launch({.name = "input_gradient",
            .grid = dim3(static_cast<unsigned>(grid.slabs), static_cast<unsigned>(grid.row_blocks)),
            .block = kBatchNormThreads,
            .shared_bytes = with_parameters ? sum_over_rows_bytes<16>(grid.columns) : 0},
           stream, kernel, static_cast<int>(shape.rows()), static_cast<int>(box.rows()),
           CorrectedRows{BoxMembership(shape, box), mode == StatisticsGradient::estimated}, grid.columns,
           shape.channels / kBatchNormVector, view_of(layer), view_of(sums), x.data(), gradient.data(),
           x_gradient.data(), scratch.partial_sums.data(), scratch.tickets.data(), view_of(parameters));
  };
  if (with_parameters)
    run(layer.relu ? input_gradient_kernel<true, true> : input_gradient_kernel<false, true>);
  else
    run(layer.relu ? input_gradient_kernel<true, false> : input_gradient_kernel<false, false>);
}

template void gradient_sums(Stream<CompiledTarget>&, const BatchNormShape&, const SampleBox&,
                            const BatchNormLayer<CompiledTarget>&, DeviceSpan<CompiledTarget, const half>,
                            DeviceSpan<CompiledTarget, const half>, const GradientSums<CompiledTarget>&,
                            const BatchNormScratch<CompiledTarget>&);
template void input_gradient(Stream<CompiledTarget>&, const BatchNormShape&, const SampleBox&,
                             StatisticsGradient, const BatchNormLayer<CompiledTarget>&,
                             DeviceSpan<CompiledTarget, const half>, DeviceSpan<CompiledTarget, const half>,
                             const GradientSums<CompiledTarget>&, DeviceSpan<CompiledTarget, half>,
                             const GradientSums<CompiledTarget>&, const BatchNormScratch<CompiledTarget>&);

}  // namespace remeasure::kernels
