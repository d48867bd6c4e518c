// SPDX-License-Identifier: Apache-2.0
//
// What surrounds the transforms of a convolution by FFT: time is the slow axis of a layer and must be the
// fast one of a sequence.
//
//   for (b) for (h) for (t) sequences[b * neurons + h, t] = t < steps ? current[b, t, h] : 0;   // pad
//   for (i) for (k) spectra[i, k] *= response[k] * scale;
//   for (b) for (t) for (h) membrane[b, t, h] = sequences[b * neurons + h, t];                  // crop
//
// Optimisation: both transpositions go through a 32 x 33 tile of shared memory, so that reads and writes are
// of neighbours. Launch: (neurons / 32, length / 32, batch) blocks of 32 x 8; multiply: a thread per bin, 256
// per block. Bound by memory. Limits: batch <= 65535, length <= 2^21.
#include <stdexcept>
#include <string>

#include "kernels/device/kernel.h"
#include "kernels/spiking/sequence_layout.h"

namespace remeasure::kernels {
namespace {

constexpr int kTile = 32;
constexpr int kRows = 8;  // of threads

/// One tile of (time, neuron) of a batch entry. kPad: from layer to sequences; else back.
template <bool kPad>
__global__ void __launch_bounds__(kTile* kRows)
    transpose_kernel(int steps, int neurons, int length, const float* __restrict__ from,
                     float* __restrict__ to) {
  RM_SHARED(float, tile, [kTile][kTile + 1]);
  const int neuron0 = static_cast<int>(blockIdx.x) * kTile, time0 = static_cast<int>(blockIdx.y) * kTile;
  const std::size_t entry = blockIdx.z;
  const auto in_layer = [&](int t, int h) {
    return (entry * static_cast<std::size_t>(steps) + static_cast<std::size_t>(t)) *
               static_cast<std::size_t>(neurons) +
           static_cast<std::size_t>(h);
  };
  const auto in_sequences = [&](int t, int h) {
    return (entry * static_cast<std::size_t>(neurons) + static_cast<std::size_t>(h)) *
               static_cast<std::size_t>(length) +
           static_cast<std::size_t>(t);
  };
  const int x = static_cast<int>(threadIdx.x);
  for (int y = static_cast<int>(threadIdx.y); y < kTile; y += kRows) {
    const int t = time0 + (kPad ? y : x), h = neuron0 + (kPad ? x : y);
    const bool inside = t < steps && h < neurons;
    if constexpr (kPad)
      tile[y][x] = inside ? from[in_layer(t, h)] : 0.0f;
    else
      tile[y][x] = inside ? from[in_sequences(t, h)] : 0.0f;
  }
  __syncthreads();
  for (int y = static_cast<int>(threadIdx.y); y < kTile; y += kRows) {
    const int t = time0 + (kPad ? x : y), h = neuron0 + (kPad ? y : x);
    const float value = tile[x][y];
    if (h >= neurons) continue;
    if constexpr (kPad) {
      if (t < length) to[in_sequences(t, h)] = value;
    } else {
      if (t < steps) to[in_layer(t, h)] = value;
    }
  }
}

__global__ void multiply_kernel(int bins, float scale, const float2* __restrict__ response,
                                float2* __restrict__ spectra) {
  const int bin = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
  if (bin >= bins) return;
  float2* at = spectra + static_cast<std::size_t>(blockIdx.y) * static_cast<std::size_t>(bins) + bin;
  const float2 a = *at, b = response[bin];
  float2 product;
  product.x = (a.x * b.x - a.y * b.y) * scale;
  product.y = (a.x * b.y + a.y * b.x) * scale;
  *at = product;
}

template <class Target, bool kPad>
void transpose(const char* name, Stream<Target>& stream, const SpikingShape& shape, std::size_t length,
               std::size_t layer, std::size_t sequences, const float* from, float* to) {
  const std::size_t all =
      static_cast<std::size_t>(shape.batch) * static_cast<std::size_t>(shape.neurons) * length;
  if (shape.batch <= 0 || shape.batch > 65'535 || length < static_cast<std::size_t>(shape.steps) ||
      length > std::size_t{1} << 21 || layer != shape.values() || sequences != all) {
    throw std::invalid_argument(std::string(name) + ": batch " + std::to_string(shape.batch) + ", " +
                                std::to_string(shape.steps) + " steps in sequences of " +
                                std::to_string(length) + "; layer of " + std::to_string(layer) + " (needs " +
                                std::to_string(shape.values()) + "), sequences of " +
                                std::to_string(sequences) + " (needs " + std::to_string(all) + ")");
  }
  const std::size_t times = kPad ? length : static_cast<std::size_t>(shape.steps);
  launch({.name = name,
          .grid = dim3(blocks_for(shape.neurons, kTile), blocks_for(times, kTile),
                       static_cast<unsigned>(shape.batch)),
          .block = dim3(kTile, kRows)},
         stream, transpose_kernel<kPad>, shape.steps, shape.neurons, static_cast<int>(length), from, to);
}

}  // namespace

template <class Target>
void pad_sequences(Stream<Target>& stream, const SpikingShape& shape, std::size_t length,
                   DeviceSpan<Target, const float> current, DeviceSpan<Target, float> sequences) {
  transpose<Target, true>("pad_sequences", stream, shape, length, current.size(), sequences.size(),
                          current.data(), sequences.data());
}

template <class Target>
void crop_sequences(Stream<Target>& stream, const SpikingShape& shape, std::size_t length,
                    DeviceSpan<Target, const float> sequences, DeviceSpan<Target, float> membrane) {
  transpose<Target, false>("crop_sequences", stream, shape, length, membrane.size(), sequences.size(),
                           sequences.data(), membrane.data());
}

template <class Target>
void multiply_spectra(Stream<Target>& stream, std::size_t bins, float scale,
                      DeviceSpan<Target, const float> response, DeviceSpan<Target, float> spectra) {
  const std::size_t count = bins == 0 ? 0 : spectra.size() / (2 * bins);
  if (bins == 0 || bins > std::size_t{1} << 21 || response.size() != 2 * bins ||
      spectra.size() != 2 * bins * count || count > 65'535) {
    throw std::invalid_argument("multiply_spectra: " + std::to_string(bins) + " bins, response of " +
                                std::to_string(response.size()) + ", spectra of " +
                                std::to_string(spectra.size()) + " floats (at most 65535 sequences)");
  }
  if (count == 0) return;
  launch({.name = "multiply_spectra",
          .grid = dim3(blocks_for(bins, 256), static_cast<unsigned>(count)),
          .block = 256},
         stream, multiply_kernel, static_cast<int>(bins), scale,
         reinterpret_cast<const float2*>(response.data()), reinterpret_cast<float2*>(spectra.data()));
}

template void pad_sequences(Stream<CompiledTarget>&, const SpikingShape&, std::size_t,
                            DeviceSpan<CompiledTarget, const float>, DeviceSpan<CompiledTarget, float>);
template void crop_sequences(Stream<CompiledTarget>&, const SpikingShape&, std::size_t,
                             DeviceSpan<CompiledTarget, const float>, DeviceSpan<CompiledTarget, float>);
template void multiply_spectra(Stream<CompiledTarget>&, std::size_t, float,
                               DeviceSpan<CompiledTarget, const float>, DeviceSpan<CompiledTarget, float>);

}  // namespace remeasure::kernels
