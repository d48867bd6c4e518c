// SPDX-License-Identifier: Apache-2.0
//
// Twin quantisation as the last step of softmax and GELU (Yuan et al., "PTQ4ViT", ECCV 2022, section 3.2).
//
//   for (r < rows) codes[r, :] = twin_code(softmax(scale * scores[r, :]));      for (i < n) codes[i] =
//   twin_code(gelu(x[i]));
//
// Optimisation: the activation is written once, as one byte, instead of written as a float, read, and written
// as a byte: 5 bytes per value move instead of 13. A warp holds a row of the softmax in registers; GELU moves
// 16 bytes in and 4 out per thread. Launch: a warp per row, 8 rows per block; 256 threads of 4 values. Per
// value: 5 bytes, about 5 operations and an exponential (or error function): bound by memory. quantize_planes
// and weighted_error are the parts of the unfused calibration, plain loops over memory.
#include "kernels/precision/twin_codes.h"

#include <algorithm>
#include <stdexcept>
#include <string>

#include "kernels/device/kernel.h"

namespace remeasure::kernels {
namespace {

template <int kPerLane>
__global__ void __launch_bounds__(256)
    softmax_twin_kernel(long long rows, int columns, int stride, float scale, int bits,
                        TwinQuantizer<float> quantizer, const float* __restrict__ scores,
                        std::uint8_t* __restrict__ codes) {
  const long long row = static_cast<long long>(blockIdx.x) * 8 + warp_id();
  if (row >= rows) return;  // a whole warp
  const int lane = lane_id();
  float x[kPerLane], largest = -FLT_MAX;
#pragma unroll
  for (int i = 0; i < kPerLane; ++i) {
    const int column = lane + 32 * i;
    if (column >= columns) continue;
    x[i] = scores[row * columns + column];
    largest = max(largest, x[i]);
  }
  largest = warp_max(largest);
  float sum = 0;
#pragma unroll
  for (int i = 0; i < kPerLane; ++i) {
    if (lane + 32 * i >= columns) continue;
    x[i] = expf(scale * (x[i] - largest));
    sum += x[i];
  }
  const float inverse = 1.0f / warp_sum(sum);
#pragma unroll
  for (int i = 0; i < kPerLane; ++i) {
    const int column = lane + 32 * i;
    if (column >= stride) continue;
    std::uint8_t code = 0;
    if (column < columns) code = packed_code(quantizer, x[i] * inverse, bits);
    codes[row * stride + column] = code;
  }
}

__global__ void __launch_bounds__(256)
    gelu_twin_kernel(long long quads, int bits, TwinQuantizer<float> quantizer, const float4* __restrict__ x,
                     std::uint32_t* __restrict__ codes) {
  const long long i = static_cast<long long>(blockIdx.x) * 256 + threadIdx.x;
  if (i >= quads) return;
  const float4 four = x[i];
  const float values[4] = {four.x, four.y, four.z, four.w};
  std::uint32_t packed = 0;
#pragma unroll
  for (int j = 0; j < 4; ++j) {
    const float value = 0.5f * values[j] * (1.0f + erff(values[j] * 0.70710678f));
    packed |= static_cast<std::uint32_t>(packed_code(quantizer, value, bits)) << (8 * j);
  }
  codes[i] = packed;
}

__global__ void __launch_bounds__(256)
    quantize_planes_kernel(long long n, int planes, TwinQuantizer<float> quantizer,
                           const half* __restrict__ x, std::int8_t* __restrict__ codes) {
  const long long i = static_cast<long long>(blockIdx.x) * 256 + threadIdx.x;
  if (i >= n) return;
  const half stored = x[i];
  const float value = static_cast<float>(stored);
  const std::int32_t code = quantizer.code(value);
  const bool low = planes == 2 && quantizer.is_low(value);
  if (planes == 2) codes[i] = static_cast<std::int8_t>(low ? code : 0);
  codes[(planes - 1) * n + i] = static_cast<std::int8_t>(low ? 0 : code);
}

__global__ void __launch_bounds__(256)
    weighted_error_kernel(ErrorShape shape, const std::int32_t* __restrict__ products,
                          const float* __restrict__ fixed_step, const float* __restrict__ target,
                          const float* __restrict__ gradient, float* __restrict__ partials) {
  const int line = static_cast<int>(blockIdx.x) * kErrorLinesPerBlock + warp_id(),
            planes = shape.varied_planes * shape.fixed_planes;
  float sum = 0;
  if (line < shape.lines) {
    for (int column = lane_id(); column < shape.columns; column += 32) {
      float y = 0;
      for (int plane = 0; plane < planes; ++plane) {
        const std::int32_t product =
            products[(static_cast<long long>(plane) * shape.lines + line) * shape.stride + column];
        const int place = shape.fixed_by_line ? line % shape.fixed_steps : column;
        const float of_fixed = fixed_step[(shape.fixed_planes == 2 ? plane : 0) * shape.fixed_steps + place];
        y += static_cast<float>(product) *
             (shape.varied_step[shape.varied_planes == 2 ? plane : 0] * of_fixed);
      }
      const long long at = static_cast<long long>(line) * shape.target_stride + column;
      const float wanted = target[at], weight = gradient[at];
      const float error = (y - wanted) * weight;
      sum += error * error;
    }
  }
  sum = block_sum(sum);
  if (threadIdx.x == 0) partials[blockIdx.x] = sum;
}

}  // namespace

template <class Target>
void softmax_twin_codes(Stream<Target>& stream, std::size_t rows, int columns, int stride, float scale,
                        int shift, int bits, DeviceSpan<Target, const float> scores,
                        DeviceSpan<Target, std::uint8_t> codes) {
  if (columns < 1 || columns > 1024 || stride < columns || stride % 16 != 0 || bits < 2 || bits > 8) {
    throw std::invalid_argument("softmax_twin_codes: rows of " + std::to_string(columns) + " scores in " +
                                std::to_string(stride) + " codes of " + std::to_string(bits) +
                                " bits; it takes 1 to 1024, a multiple of 16 codes, 2 to 8 bits");
  }
  if (scores.size() != rows * static_cast<std::size_t>(columns) ||
      codes.size() != rows * static_cast<std::size_t>(stride)) {
    throw std::invalid_argument("softmax_twin_codes: an array's size doesn't fit the rows");
  }
  if (rows == 0) return;
  const auto run = [&](auto kernel) {
    launch({.name = "softmax_twin_codes", .grid = blocks_for(rows, 8), .block = 256}, stream, kernel,
           static_cast<long long>(rows), columns, stride, scale, bits, softmax_quantizer<float>(shift, bits),
           scores.data(), codes.data());
  };
  if (stride <= 128)
    run(softmax_twin_kernel<4>);
  else if (stride <= 256)
    run(softmax_twin_kernel<8>);
  else
    run(softmax_twin_kernel<32>);
}

template <class Target>
void gelu_twin_codes(Stream<Target>& stream, float high_step, int bits, DeviceSpan<Target, const float> x,
                     DeviceSpan<Target, std::uint8_t> codes) {
  if (x.size() % 4 != 0 || codes.size() != x.size() || bits < 2 || bits > 8) {
    throw std::invalid_argument("gelu_twin_codes: " + std::to_string(x.size()) +
                                " values must be a multiple of 4, as many as codes, bits 2 to 8");
  }
  if (x.empty()) return;
  const auto quads = static_cast<long long>(x.size() / 4);
  launch({.name = "gelu_twin_codes", .grid = blocks_for(quads, 256), .block = 256}, stream, gelu_twin_kernel,
         quads, bits, gelu_quantizer<float>(high_step, bits), reinterpret_cast<const float4*>(x.data()),
         reinterpret_cast<std::uint32_t*>(codes.data()));
}

template <class Target>
void quantize_planes(Stream<Target>& stream, const TwinQuantizer<float>& quantizer, int planes,
                     DeviceSpan<Target, const half> x, DeviceSpan<Target, std::int8_t> codes) {
  if (planes < 1 || planes > 2 || codes.size() != static_cast<std::size_t>(planes) * x.size()) {
    throw std::invalid_argument("quantize_planes: codes of 1 or 2 planes, each as long as x");
  }
  if (x.empty()) return;
  launch({.name = "quantize_planes", .grid = blocks_for(x.size(), 256), .block = 256}, stream,
         quantize_planes_kernel, static_cast<long long>(x.size()), planes, quantizer, x.data(), codes.data());
}

template <class Target>
void weighted_error(Stream<Target>& stream, const ErrorShape& shape,
                    DeviceSpan<Target, const std::int32_t> products,
                    DeviceSpan<Target, const float> fixed_step, DeviceSpan<Target, const float> target,
                    DeviceSpan<Target, const float> gradient, DeviceSpan<Target, float> partials) {
  const auto planes = static_cast<std::size_t>(shape.varied_planes * shape.fixed_planes),
             lines = static_cast<std::size_t>(shape.lines);
  if (shape.lines < 1 || shape.columns < 1 || shape.stride < shape.columns ||
      shape.target_stride < shape.columns || planes > 2 ||
      products.size() != planes * lines * static_cast<std::size_t>(shape.stride) ||
      fixed_step.size() != static_cast<std::size_t>(shape.fixed_planes * shape.fixed_steps) ||
      partials.size() != weighted_error_blocks(shape)) {
    throw std::invalid_argument("weighted_error: an array's size doesn't fit the shape");
  }
  launch({.name = "weighted_error", .grid = blocks_for(shape.lines, kErrorLinesPerBlock), .block = 256},
         stream, weighted_error_kernel, shape, products.data(), fixed_step.data(), target.data(),
         gradient.data(), partials.data());
}

template void softmax_twin_codes(Stream<CompiledTarget>&, std::size_t, int, int, float, int, int,
                                 DeviceSpan<CompiledTarget, const float>,
                                 DeviceSpan<CompiledTarget, std::uint8_t>);
template void gelu_twin_codes(Stream<CompiledTarget>&, float, int, DeviceSpan<CompiledTarget, const float>,
                              DeviceSpan<CompiledTarget, std::uint8_t>);
template void quantize_planes(Stream<CompiledTarget>&, const TwinQuantizer<float>&, int,
                              DeviceSpan<CompiledTarget, const half>,
                              DeviceSpan<CompiledTarget, std::int8_t>);
template void weighted_error(Stream<CompiledTarget>&, const ErrorShape&,
                             DeviceSpan<CompiledTarget, const std::int32_t>,
                             DeviceSpan<CompiledTarget, const float>, DeviceSpan<CompiledTarget, const float>,
                             DeviceSpan<CompiledTarget, const float>, DeviceSpan<CompiledTarget, float>);

}  // namespace remeasure::kernels
