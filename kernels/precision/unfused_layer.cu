// SPDX-License-Identifier: Apache-2.0
//
// Patches and requantisation around a library's matrix product: the unfused form of a low-bit layer (what
// section 5 of Feng et al., "APNN-TC", SC 2021, arXiv 2106.12169, fuses).
//
//   for (row) for (tap) for (channel) matrix[row][tap][channel] = value(codes[pixel(row, tap)][channel]) -
//   offset; for (row) for (output) codes[row][output] = max over the window of clip(floor(sums * alpha +
//   beta), 0, 2^bits - 1);
//
// Optimisation: one thread per element, neighbouring threads neighbouring channels: whole sectors on both
// sides where channels are many. Nothing is reused but through the cache. Launch: 256 threads a block, a
// thread per element of the result. Per launch: patches no flops, requantisation 2 flops per sum; bytes: what
// is read and written once. Limits: fewer than 2^31 elements.
#include "kernels/precision/unfused_layer.h"

#include "kernels/device/kernel.h"
#include "kernels/precision/quantize.h"

namespace remeasure::kernels {
namespace {

constexpr int kThreads = 256;

RM_DEVICE int global_thread() {
  return static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
}

template <class Element>
__global__ void __launch_bounds__(kThreads)
    patches_kernel(LowBitShape shape, int offset, int row_elements, const std::uint8_t* __restrict__ codes,
                   Element* __restrict__ matrix) {
  const int i = global_thread();
  const int rows = shape.images * shape.out_height * shape.out_width;
  const int row = i / row_elements, k = i % row_elements;
  if (row >= rows) return;
  const int channel = k % shape.channels, tap = k / shape.channels;
  const int column = row % shape.out_width, line = row / shape.out_width % shape.out_height;
  const int image = row / (shape.out_width * shape.out_height);
  const int y = line * shape.stride - shape.pad + tap / shape.kernel,
            x = column * shape.stride - shape.pad + tap % shape.kernel;
  const bool exists =
      tap < shape.kernel * shape.kernel && y >= 0 && y < shape.height && x >= 0 && x < shape.width;
  int value = 0;
  if (exists) {
    const int code =
        codes[static_cast<long long>((image * shape.height + y) * shape.width + x) * shape.channels +
              channel];
    value = activation_value<int>(shape.encoding, code) - offset;
  }
  matrix[i] = static_cast<Element>(static_cast<float>(value));
}

RM_DEVICE float as_float(std::int32_t sum) {
  return static_cast<float>(sum);
}
RM_DEVICE float as_float(float sum) {
  return sum;
}
RM_DEVICE float as_float(half sum) {
  return static_cast<float>(sum);
}

template <class Sum>
__global__ void __launch_bounds__(kThreads)
    requantise_kernel(LowBitShape shape, Requantise to, int elements, const Sum* __restrict__ sums,
                      const float* __restrict__ alpha, const float* __restrict__ beta,
                      std::uint8_t* __restrict__ codes) {
  const int i = global_thread();
  if (i >= elements) return;
  const int output = i % shape.outputs, row = i / shape.outputs;
  const CodeRange range = unsigned_codes(to.bits);
  const float scale = alpha[output], offset = beta[output];
  const auto code_of = [&](int of_row) {
    return clipped_code<Rounding::floor>(
        fmaf(as_float(sums[static_cast<long long>(of_row) * shape.outputs + output]), scale, offset), range);
  };
  int code;
  if (to.pool) {
    const int width = shape.out_width / 2, height = shape.out_height / 2;
    const int x = row % width, y = row / width % height, image = row / (width * height);
    const int first = (image * shape.out_height + 2 * y) * shape.out_width + 2 * x;
    code = max(max(code_of(first), code_of(first + 1)),
               max(code_of(first + shape.out_width), code_of(first + shape.out_width + 1)));
  } else {
    code = code_of(row);
  }
  codes[i] = static_cast<std::uint8_t>(code);
}

__global__ void __launch_bounds__(kThreads)
    picture_kernel(IntervalQuantizer<float> quantizer, int values, const float* __restrict__ picture,
                   std::uint8_t* __restrict__ codes) {
  const int i = global_thread();
  if (i < values) codes[i] = static_cast<std::uint8_t>(quantizer.code(picture[i]));
}

}  // namespace

template <class Target, class Element>
void layer_patches(Stream<Target>& stream, const LowBitShape& shape, int offset,
                   DeviceSpan<Target, const std::uint8_t> codes, DeviceSpan<Target, Element> matrix) {
  check_low_bit_shape("layer_patches", shape);
  const std::size_t elements =
      static_cast<std::size_t>(shape.rows()) * static_cast<std::size_t>(patch_row(shape));
  check_low_bit_sizes("layer_patches", {{"codes", codes.size(), shape.activation_codes()},
                                        {"the matrix", matrix.size(), elements}});
  if (elements > INT32_MAX)
    throw std::invalid_argument("layer_patches: the matrix has 2^31 elements or more");
  launch({.name = "layer_patches", .grid = blocks_for(elements, kThreads), .block = kThreads}, stream,
         patches_kernel<Element>, shape, offset, patch_row(shape), codes.data(), matrix.data());
}

template <class Target, class Sum>
void requantise_sums(Stream<Target>& stream, const LowBitShape& shape, const Requantise& to,
                     DeviceSpan<Target, const Sum> sums, DeviceSpan<Target, const float> alpha,
                     DeviceSpan<Target, const float> beta, DeviceSpan<Target, std::uint8_t> codes) {
  check_low_bit_shape("requantise_sums", shape);
  check_requantise("requantise_sums", shape, to);
  const auto outputs = static_cast<std::size_t>(shape.outputs);
  const std::size_t elements = static_cast<std::size_t>(requantised_rows(shape, to)) * outputs;
  check_low_bit_sizes("requantise_sums", {{"sums", sums.size(), shape.sums()},
                                          {"alpha", alpha.size(), outputs},
                                          {"beta", beta.size(), outputs},
                                          {"codes", codes.size(), elements}});
  launch({.name = "requantise_sums", .grid = blocks_for(elements, kThreads), .block = kThreads}, stream,
         requantise_kernel<Sum>, shape, to, static_cast<int>(elements), sums.data(), alpha.data(),
         beta.data(), codes.data());
}

template <class Target>
void quantise_picture(Stream<Target>& stream, float low, float high, int bits,
                      DeviceSpan<Target, const float> picture, DeviceSpan<Target, std::uint8_t> codes) {
  check_low_bit_sizes("quantise_picture", {{"codes", codes.size(), picture.size()}});
  launch({.name = "quantise_picture", .grid = blocks_for(picture.size(), kThreads), .block = kThreads},
         stream, picture_kernel, IntervalQuantizer<float>{low, high, unsigned_codes(bits)},
         static_cast<int>(picture.size()), picture.data(), codes.data());
}

#define RM_INSTANTIATE(Element, Sum)                                                                         \
  template void layer_patches(Stream<CompiledTarget>&, const LowBitShape&, int,                              \
                              DeviceSpan<CompiledTarget, const std::uint8_t>,                                \
                              DeviceSpan<CompiledTarget, Element>);                                          \
  template void requantise_sums(                                                                             \
      Stream<CompiledTarget>&, const LowBitShape&, const Requantise&, DeviceSpan<CompiledTarget, const Sum>, \
      DeviceSpan<CompiledTarget, const float>, DeviceSpan<CompiledTarget, const float>,                      \
      DeviceSpan<CompiledTarget, std::uint8_t>)
RM_INSTANTIATE(std::int8_t, std::int32_t);
RM_INSTANTIATE(half, half);
RM_INSTANTIATE(float, float);
#undef RM_INSTANTIATE
template void quantise_picture(Stream<CompiledTarget>&, float, float, int,
                               DeviceSpan<CompiledTarget, const float>,
                               DeviceSpan<CompiledTarget, std::uint8_t>);

}  // namespace remeasure::kernels
