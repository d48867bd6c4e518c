// SPDX-License-Identifier: Apache-2.0
//
// One layer of apnn-tc, a matrix product or a convolution: its inputs, its oracles, and how a CPU runs it.
#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <numeric>
#include <string>
#include <vector>

#include "baselines/precision/low_bit_layer.h"
#include "datasets/precision/low_bit_codes.h"
#include "experiments/vocabulary.h"
#include "kernels/precision/apnn.h"
#include "kernels/precision/bit_planes.h"
#include "kernels/precision/low_bit_reference.h"

namespace remeasure::experiments::apnn {

using kernels::Encoding;
using kernels::LowBitShape;
using kernels::Requantise;

using Run = std::function<void()>;

/// Codes, and their planes as both the kernels and the method on a CPU take them.
struct LayerInputs {
  datasets::LowBitCodesData data;
  std::vector<std::uint32_t> activations, weights;
  kernels::LowBitCodes codes() const { return {data.activations, data.weights}; }
};

inline const char* data_encoding(Encoding encoding) {
  return encoding == Encoding::unsigned_codes   ? "and"
         : encoding == Encoding::signed_weights ? "mixed"
                                                : "xor";
}

inline datasets::Parameters parameters_of(const LowBitShape& s, std::uint64_t seed) {
  return datasets::low_bit_codes({.images = s.images,
                                  .extent = s.height,
                                  .channels = s.channels,
                                  .outputs = s.outputs,
                                  .kernel = s.kernel,
                                  .weight_bits = s.weight_bits,
                                  .activation_bits = s.activation_bits,
                                  .encoding = data_encoding(s.encoding)},
                                 seed);
}

inline LayerInputs inputs_of(const LowBitShape& shape, datasets::LowBitCodesData data) {
  LayerInputs in{std::move(data), {}, {}};
  in.activations = kernels::activation_planes(shape, in.data.activations);
  in.weights = kernels::weight_planes(shape, in.data.weights);
  return in;
}
inline LayerInputs load(Trial& t, const LowBitShape& shape, std::uint64_t seed) {
  const datasets::Opened opened = t.open(datasets::low_bit_codes_definition, parameters_of(shape, seed));
  return inputs_of(shape, read_low_bit_codes(*opened.reader));
}

/// Rows that are compared: all, or of a large problem 128 with the borders of tiles among them.
inline std::vector<std::size_t> checked_rows(const LowBitShape& shape) {
  const auto all = static_cast<std::size_t>(shape.rows());
  std::vector<std::size_t> rows(all);
  std::iota(rows.begin(), rows.end(), std::size_t{0});
  if (static_cast<double>(shape.sums()) * shape.inner() <= 1e10) return rows;
  rows.clear();
  for (const std::size_t place :
       {std::size_t{0}, std::size_t{63}, std::size_t{64}, all - 65, all - 64, all - 1})
    rows.push_back(place);
  for (std::size_t i = 0; i < 122; ++i) rows.push_back(i * 2'654'435'761u % all);
  std::sort(rows.begin(), rows.end());
  rows.erase(std::unique(rows.begin(), rows.end()), rows.end());
  return rows;
}

/// `values` of these rows, [rows][outputs].
inline OracleOutput oracle_of(const LowBitShape& shape, const std::vector<std::size_t>& rows,
                              std::vector<double> values) {
  OracleOutput output{.values = std::move(values), .scale = {}, .indices = {}};
  if (rows.size() == static_cast<std::size_t>(shape.rows())) return output;
  const auto outputs = static_cast<std::size_t>(shape.outputs);
  for (const std::size_t row : rows) {
    for (std::size_t i = 0; i < outputs; ++i) output.indices.push_back(row * outputs + i);
  }
  return output;
}

/// Sums whose activations are less by `offset`: 8-bit codes as int8.
inline std::vector<double> shifted(const LowBitShape& shape, const LayerInputs& in, std::vector<double> sums,
                                   int offset) {
  const auto outputs = static_cast<std::size_t>(shape.outputs),
             inner = static_cast<std::size_t>(shape.inner());
  for (std::size_t output = 0; output < outputs; ++output) {
    double weights = 0;
    for (std::size_t k = 0; k < inner; ++k)
      weights += kernels::weight_value<double>(shape.encoding, in.data.weights[output * inner + k]);
    for (std::size_t i = output; i < sums.size(); i += outputs) sums[i] -= offset * weights;
  }
  return sums;
}

struct LayerCase {
  LowBitShape shape;
  const InputSets<LayerInputs>& in;
  bool simt = true;

  Requantise then() const { return {.bits = shape.activation_bits, .pool = false}; }
  bool is_product() const { return shape.kernel == 1; }
  /// A few microseconds: a launch alone, or one behind a flushed cache, would measure those.
  bench::Quote quote() const {
    if (static_cast<double>(shape.sums()) * shape.inner() > 2e9) return {};
    return {.mode = "graph", .because = "a few microseconds each, in a network one behind the other"};
  }
};

inline std::vector<Accept> exact(const std::string& output) {
  return {{.output = output,
           .metric = ErrorMetric::mismatches,
           .limit = 0,
           .reason = "integers: any difference is an error"}};
}

inline std::vector<float> values_of(const LowBitShape& shape, const std::vector<std::uint8_t>& codes,
                                    bool weights) {
  std::vector<float> values;
  values.reserve(codes.size());
  for (const std::uint8_t code : codes) {
    values.push_back(weights ? kernels::weight_value<float>(shape.encoding, code)
                             : kernels::activation_value<float>(shape.encoding, code));
  }
  return values;
}

inline double macs(const LowBitShape& shape) {
  return static_cast<double>(shape.sums()) * shape.inner();
}
inline double plane_bytes(const LowBitShape& shape) {
  return 4.0 * static_cast<double>(shape.activation_words() + shape.weight_words());
}

inline void declare_host(Trial& t, const LayerCase& c) {
  t.host({.name = "eigen",
          .what = "MatrixXf product of the values",
          .dtype = "f32",
          .accept = exact("sums"),
          .work = {.flops = 2 * macs(c.shape),
                   .bytes = 4.0 * static_cast<double>(c.shape.activation_codes() + c.shape.weight_codes() +
                                                      c.shape.sums())}},
         [c](HostBench& b) -> Run {
           const LayerInputs& in = c.in[b.set()];
           const auto& x = b.own<std::vector<float>>(values_of(c.shape, in.data.activations, false));
           const auto& w = b.own<std::vector<float>>(values_of(c.shape, in.data.weights, true));
           const auto activations = b.input(x), weights = b.input(w);
           const auto sums = b.output<float>("sums", c.shape.sums());
           return [=] { baselines::low_bit_layer_eigen(c.shape, activations, weights, sums); };
         });
  t.host({.name = "method",
          .what = "popcounts of 64-bit words, a pair of planes at a time",
          .dtype = "b1",
          .accept = exact("sums"),
          .work = {.flops = 0, .bytes = plane_bytes(c.shape) + 4.0 * static_cast<double>(c.shape.sums())}},
         [c](HostBench& b) -> Run {
           const LayerInputs& in = c.in[b.set()];
           const auto activations = b.input(in.activations), weights = b.input(in.weights);
           const auto sums = b.output<std::int32_t>("sums", c.shape.sums());
           return [=] { kernels::low_bit_popcount(c.shape, activations, weights, sums); };
         });
}

}  // namespace remeasure::experiments::apnn
