// SPDX-License-Identifier: Apache-2.0
//
// A gated long convolution of flashfftconv: its data, its oracle, what each way of computing it allocates,
// and the paper's cost model.
#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <vector>

#include "datasets/random.h"
#include "datasets/sequences/long_convolution.h"
#include "experiments/vocabulary.h"
#include "kernels/sequences/monarch_outer.h"
#include "kernels/sequences/monarch_reference.h"

namespace remeasure::experiments::flashfftconv_problem {

using kernels::ConvolutionShape;
using kernels::MonarchFactors;
using kernels::Signal;

enum class Mode {
  plain,   ///< circular, no gates
  gated,   ///< circular, both gates
  causal,  ///< padded to twice the length, both gates
};
inline const char* to_string(Mode mode) {
  return mode == Mode::plain ? "plain" : mode == Mode::gated ? "gated" : "causal";
}

inline bool has_factors(std::size_t points) {
  for (const std::size_t each : {256, 512, 1024, 4096, 8192, 16'384, 32'768}) {
    if (each == points) return true;
  }
  return false;
}

/// More points than a block's shared memory holds: an outer DFT around fused rows.
inline bool is_outer(const ConvolutionShape& shape) {
  return shape.points() > 32'768;
}
inline MonarchFactors factors_of(const ConvolutionShape& shape) {
  return is_outer(shape) ? kernels::monarch_outer_factors(shape.points())
                         : kernels::monarch_factors(shape.points());
}

/// As the kernel runs it: packed where half the transform has factors.
inline ConvolutionShape shape_of(Mode mode, int batch, int channels, int length) {
  const int transform = mode == Mode::causal ? 2 * length : length;
  const bool packed = has_factors(static_cast<std::size_t>(transform) / 2);
  return {batch, channels, length, transform, 0, packed ? Signal::packed : Signal::real};
}
/// The same convolution of real numbers that aren't packed, for libraries.
inline ConvolutionShape unpacked(ConvolutionShape shape) {
  shape.signal = Signal::real;
  return shape;
}

struct Inputs {
  std::vector<float> u, pregate, postgate, filter, lowpass;
};

/// Files hold at most 2^20 values an array; larger cases repeat them row by row.
inline Inputs load(Trial& t, const ConvolutionShape& shape, bool gated, std::uint64_t seed) {
  const auto length = static_cast<std::size_t>(shape.length),
             channels = static_cast<std::size_t>(shape.channels);
  const std::size_t most = std::max<std::size_t>(1, (std::size_t{1} << 20) / length);
  const std::size_t stored_channels = std::min(channels, most);
  const std::size_t stored_batch =
      std::clamp<std::size_t>(most / stored_channels, 1, static_cast<std::size_t>(shape.batch));
  const datasets::Opened opened =
      t.open(datasets::long_convolution_definition,
             datasets::long_convolution(stored_batch, stored_channels, length, seed));
  const datasets::LongConvolution data = read_long_convolution(*opened.reader);
  const auto repeated = [&](const std::vector<float>& rows, std::size_t count) {
    std::vector<float> result(count * length);
    for (std::size_t i = 0; i < result.size(); ++i) result[i] = rows[i % rows.size()];
    return result;
  };
  const std::size_t rows = static_cast<std::size_t>(shape.batch) * channels;
  Inputs in{.u = repeated(data.u, rows),
            .pregate = {},
            .postgate = {},
            .filter = repeated(data.filter, channels),
            .lowpass = data.lowpass};
  if (gated) in.pregate = repeated(data.pregate, rows), in.postgate = repeated(data.postgate, rows);
  return in;
}

/// In double by Eigen's FFT, on at most eight sequences, the first and the last among them.
inline OracleOutput oracle_of(const ConvolutionShape& shape, const Inputs& in) {
  const auto length = static_cast<std::size_t>(shape.length),
             channels = static_cast<std::size_t>(shape.channels);
  const std::size_t rows = static_cast<std::size_t>(shape.batch) * channels,
                    count = std::min<std::size_t>(rows, 8);
  OracleOutput output;
  for (std::size_t i = 0; i < count; ++i) {
    const std::size_t row = count < 2 ? 0 : i * (rows - 1) / (count - 1);
    const auto part = [&](const std::vector<float>& values) {
      return values.empty() ? std::span<const float>() : std::span(values).subspan(row * length, length);
    };
    const auto y = kernels::convolution_oracle(
        static_cast<std::size_t>(shape.transform), part(in.u), part(in.pregate),
        std::span(in.filter).subspan(row % channels * length, length), part(in.postgate));
    output.values.insert(output.values.end(), y.begin(), y.end());
    for (std::size_t n = 0; n < length; ++n) output.indices.push_back(row * length + n);
  }
  return output;
}

// --- memory ---

/// Peaks of the allocators, in bytes, for one channel (all but the kernel's tables grow with the channels).
/// The chain is what the authors' benchmark runs with gradients on, in which nothing that a local name or a
/// later backward pass refers to is freed:
///   u_gate = pregate.float() * u.float(); u_f = fft(u_gate, N); y_f = u_f * k_f; y = (ifft(y_f).real[:L] *
///   postgate.float()).half()
/// Workspace of the transforms is not in it.
struct MemoryPeaks {
  double chain = 0, kernel = 0;
  double ratio() const { return chain / kernel; }
};

inline MemoryPeaks memory_peaks(int batch, int length, int transform, int channels) {
  const auto b = static_cast<std::size_t>(batch), l = static_cast<std::size_t>(length),
             n = static_cast<std::size_t>(transform);
  using Halves = DeviceBuffer<Simt, half>;
  using Floats = DeviceBuffer<Simt, float>;
  MemoryPeaks peaks;
  Device<Simt> device;
  MemoryLedger& ledger = device.ledger();
  {
    const Halves u(device, b * l), pregate(device, b * l), postgate(device, b * l);
    const Floats k_f(device, 2 * n), wide_pregate(device, b * l), wide_u(device, b * l),
        u_gate(device, b * l);
    const Floats u_f(device, 2 * b * n), y_f(device, 2 * b * n), inverse(device, 2 * b * n);
    const Floats wide_postgate(device, b * l), product(device, b * l);
    const Halves y(device, b * l);
    peaks.chain = static_cast<double>(ledger.peak());
  }
  ledger.reset_peak();
  {
    Stream<Simt> stream(device);
    const ConvolutionShape shape =
        shape_of(transform == length ? Mode::gated : Mode::causal, batch, 1, length);
    std::unique_ptr<kernels::MonarchPlan<Simt, half>> plan;
    std::unique_ptr<kernels::MonarchOuterPlan<Simt, half>> outer;
    if (is_outer(shape))
      outer = std::make_unique<kernels::MonarchOuterPlan<Simt, half>>(stream, factors_of(shape));
    else
      plan = std::make_unique<kernels::MonarchPlan<Simt, half>>(stream, factors_of(shape));
    const double tables = static_cast<double>(ledger.peak());
    const Halves u(device, b * l), pregate(device, b * l), postgate(device, b * l), y(device, b * l);
    const Halves filter(device, shape.points() * (shape.signal == Signal::packed ? 4 : 2));
    const Halves planes(device, is_outer(shape) ? 2 * b * n : 0);
    peaks.kernel = static_cast<double>(ledger.peak()) - tables + tables / channels;
  }
  return peaks;
}

// --- the cost model (equation 2) ---

struct Rates {
  double tensor = 0, scalar = 0;  ///< FLOP/s
  double memory = 0, shared = 0;  ///< bytes/s
};
/// Data sheet of the H100 SXM: fp16 tensor cores dense, fp32 cores, HBM3; shared memory 128 bytes per cycle
/// and SM, 132 SMs, 1.755 GHz.
inline constexpr Rates kH100{989e12, 67e12, 3.35e12, 128 * 132 * 1.755e9};

/// Seconds of one sequence: 16 N N_i per stage at the rate of tensor cores where N_i >= 16, 4 N bytes moved
/// per stage; the intermediate of a stage lies in shared memory as long as 4 N bytes fit there.
inline double modelled_seconds(const MonarchFactors& factors, const Rates& rates) {
  const double n = static_cast<double>(factors.size());
  const double bandwidth = 4 * n <= 227.0 * 1024 ? rates.shared : rates.memory;
  double seconds = 4 * n / rates.memory;
  for (int i = 0; i < factors.order(); ++i) {
    seconds += 16 * n * factors.factor(i) / (factors.factor(i) >= 16 ? rates.tensor : rates.scalar) +
               4 * n / bandwidth;
  }
  return seconds;
}

/// As equal as powers of two can be, larger ones first.
inline MonarchFactors balanced_factors(std::size_t size, int order) {
  int bits = 0;
  while ((std::size_t{1} << bits) < size) ++bits;
  std::vector<int> factors;
  for (int i = order; i > 0; --i) {
    const int share = (bits + i - 1) / i;
    factors.push_back(1 << share);
    bits -= share;
  }
  return MonarchFactors(factors);
}

inline int modelled_best_order(std::size_t size) {
  int best = 2;
  for (const int order : {3, 4}) {
    if (modelled_seconds(balanced_factors(size, order), kH100) <
        modelled_seconds(balanced_factors(size, best), kH100))
      best = order;
  }
  return best;
}

// --- dropped frequencies ---

/// Keeps the lowest 1 - S of a half spectrum, and the mirrored frequencies, in natural order.
inline std::vector<double> half_spectrum_mask(std::size_t transform, double sparsity) {
  std::vector<double> mask(transform, 0.0);
  const double kept = (1 - sparsity) * static_cast<double>(transform / 2);
  for (std::size_t k = 0; k < transform; ++k) {
    if (static_cast<double>(std::min(k, transform - k)) < kept || sparsity == 0) mask[k] = 1;
  }
  return mask;
}

/// Relative L2 change of y for white u when the filter's top frequencies are dropped, over all channels.
inline double sparse_change(std::span<const float> u, std::span<const float> filters, std::size_t length,
                            double sparsity) {
  const std::vector<double> mask = half_spectrum_mask(length, sparsity);
  double change = 0, scale = 0;
  for (std::size_t h = 0; (h + 1) * length <= filters.size(); ++h) {
    const auto filter = filters.subspan(h * length, length);
    const std::vector<double> full = kernels::convolution_oracle(length, u, {}, filter, {});
    const std::vector<double> cut = kernels::convolution_oracle(length, u, {}, filter, {}, mask);
    for (std::size_t i = 0; i < length; ++i)
      change += (cut[i] - full[i]) * (cut[i] - full[i]), scale += full[i] * full[i];
  }
  return std::sqrt(change / scale);
}

inline std::vector<float> white(std::size_t size, std::uint64_t seed) {
  const datasets::Philox random(seed, 99);
  std::vector<float> values(size);
  for (std::size_t i = 0; i < size; ++i) values[i] = static_cast<float>(random.normal(i));
  return values;
}

}  // namespace remeasure::experiments::flashfftconv_problem
