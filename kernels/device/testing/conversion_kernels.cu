// SPDX-License-Identifier: Apache-2.0
//
// Kernels that expose conversions, random numbers and intrinsics to their tests.
#include "kernels/device/testing/conversion_kernels.h"

#include "kernels/device/kernel.h"
#include "kernels/device/philox.h"

namespace remeasure::kernels {
namespace {

__global__ void convert_kernel(int n, const float* values, std::uint32_t* out) {
  const int i = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
  if (i >= n) return;
  const float value = values[i];
  const auto low = static_cast<std::uint16_t>(__float_as_uint(value));
  out[4 * i] = half(value).bits;
  out[4 * i + 1] = bfloat16(value).bits;
  out[4 * i + 2] = __float_as_uint(static_cast<float>(half::from_bits(low)));
  out[4 * i + 3] = __float_as_uint(static_cast<float>(bfloat16::from_bits(low)));
}

__global__ void philox_kernel(int n, std::uint64_t seed, std::uint64_t first, std::uint32_t* out) {
  const int i = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
  if (i >= n) return;
  const Philox4 random = philox(seed, first + static_cast<std::uint64_t>(i));
  for (int w = 0; w < 4; ++w) out[4 * i + w] = random.word[w];
}

__global__ void integer_kernel(int n, const std::uint32_t* xs, const std::uint32_t* ys, std::uint32_t* out) {
  const int i = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
  if (i >= n) return;
  const std::uint32_t x = xs[i], y = ys[i];
  const auto signed_x = static_cast<int>(x);
  const auto signed_y = static_cast<int>(y);
  const unsigned long long wide = static_cast<unsigned long long>(x) << 32 | y;
  std::uint32_t* const mine = out + kIntegerResults * i;
  mine[0] = static_cast<std::uint32_t>(__popc(x));
  mine[1] = static_cast<std::uint32_t>(__popcll(wide));
  mine[2] = static_cast<std::uint32_t>(__clz(signed_x));
  mine[3] = static_cast<std::uint32_t>(__clzll(static_cast<long long>(wide)));
  mine[4] = static_cast<std::uint32_t>(__ffs(signed_x));
  mine[5] = static_cast<std::uint32_t>(__ffsll(static_cast<long long>(wide)));
  mine[6] = __brev(x);
  mine[7] = static_cast<std::uint32_t>(__brevll(wide) >> 32);
  mine[8] = __byte_perm(x, y, y & 0x7777u);
  mine[9] = __funnelshift_l(x, y, y);
  mine[10] = __funnelshift_r(x, y, y);
  mine[11] = __funnelshift_lc(x, y, y & 63u);
  mine[12] = __funnelshift_rc(x, y, y & 63u);
  mine[13] = static_cast<std::uint32_t>(__mulhi(signed_x, signed_y));
  mine[14] = __umulhi(x, y);
  mine[15] = static_cast<std::uint32_t>(__umul64hi(wide, wide) >> 32);
  mine[16] = min(x, y) ^ static_cast<std::uint32_t>(min(signed_x, signed_y));
  mine[17] = max(x, y) ^ static_cast<std::uint32_t>(max(signed_x, signed_y));
}

__global__ void math_kernel(int n, const float* xs, double* out) {
  const int i = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
  if (i >= n) return;
  const float x = __ldg(xs + i);
  double* const mine = out + kMathResults * i;
  mine[0] = __expf(x);
  mine[1] = __logf(x);
  mine[2] = exp2f(x);
  mine[3] = rsqrtf(x);
  mine[4] = rsqrt(static_cast<double>(x));
  mine[5] = __fdividef(1.0f, x);
  mine[6] = fmaf(x, x, 1.0f);
  mine[7] = lgamma(static_cast<double>(x));
  mine[8] = __powf(x, 1.5f);
  mine[9] = __log2f(x);
  mine[10] = __sinf(x);
  mine[11] = __cosf(x);
  mine[12] = __frcp_rn(x);
  mine[13] = sinpi(static_cast<double>(x));
  mine[14] = cospif(x);
  mine[15] = static_cast<double>(clamp(x, 0.5f, 1.5f));
  mine[16] = static_cast<double>(__saturatef(x));
  mine[17] = static_cast<double>(max(x, 1.0f) - min(x, 1.0f));
  mine[18] = static_cast<double>(fmaxf(x, NAN));
  mine[19] = isinf(x + INFINITY) ? 1.0 : 0.0;
}

}  // namespace

template <class Target>
void convert(Stream<Target>& stream, DeviceSpan<Target, const float> values,
             DeviceSpan<Target, std::uint32_t> out) {
  const int n = static_cast<int>(values.size());
  launch({.name = "convert", .grid = blocks_for(n, 128), .block = 128}, stream, convert_kernel, n,
         values.data(), out.data());
}

template <class Target>
void philox_words(Stream<Target>& stream, std::uint64_t seed, std::uint64_t first,
                  DeviceSpan<Target, std::uint32_t> out) {
  const int n = static_cast<int>(out.size() / 4);
  launch({.name = "philox_words", .grid = blocks_for(n, 128), .block = 128}, stream, philox_kernel, n, seed,
         first, out.data());
}

template <class Target>
void integer_intrinsics(Stream<Target>& stream, DeviceSpan<Target, const std::uint32_t> x,
                        DeviceSpan<Target, const std::uint32_t> y, DeviceSpan<Target, std::uint32_t> out) {
  const int n = static_cast<int>(x.size());
  launch({.name = "integer_intrinsics", .grid = blocks_for(n, 128), .block = 128}, stream, integer_kernel, n,
         x.data(), y.data(), out.data());
}

template <class Target>
void math_functions(Stream<Target>& stream, DeviceSpan<Target, const float> x,
                    DeviceSpan<Target, double> out) {
  const int n = static_cast<int>(x.size());
  launch({.name = "math_functions", .grid = blocks_for(n, 128), .block = 128}, stream, math_kernel, n,
         x.data(), out.data());
}

template void convert(Stream<CompiledTarget>&, DeviceSpan<CompiledTarget, const float>,
                      DeviceSpan<CompiledTarget, std::uint32_t>);
template void philox_words(Stream<CompiledTarget>&, std::uint64_t, std::uint64_t,
                           DeviceSpan<CompiledTarget, std::uint32_t>);
template void integer_intrinsics(Stream<CompiledTarget>&, DeviceSpan<CompiledTarget, const std::uint32_t>,
                                 DeviceSpan<CompiledTarget, const std::uint32_t>,
                                 DeviceSpan<CompiledTarget, std::uint32_t>);
template void math_functions(Stream<CompiledTarget>&, DeviceSpan<CompiledTarget, const float>,
                             DeviceSpan<CompiledTarget, double>);

}  // namespace remeasure::kernels
