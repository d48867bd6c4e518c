// SPDX-License-Identifier: Apache-2.0
#include "experiments/gpu_probes.h"

#include <map>

#include "baselines/matmul/matmul.h"

namespace remeasure::experiments {
namespace {

using baselines::MatmulType;

const std::map<std::string, MatmulType> kTypes = {{"f64", MatmulType::f64},   {"f32", MatmulType::f32},
                                                  {"tf32", MatmulType::tf32}, {"bf16", MatmulType::bf16},
                                                  {"f16", MatmulType::f16},   {"i8", MatmulType::i8}};

struct Gpu {
  Device<Cuda> device;
  Stream<Cuda> stream{device};
};

/// n x n x n with both operands contiguous along the sum, which every type's fastest kernels take. Constant
/// operands cost the least power and so leave the clock where it is: nothing that a program multiplies runs
/// faster.
double product_seconds(Gpu& gpu, MatmulType type, int n) {
  constexpr std::uint8_t kByte = 0x3c;  // 1.06 in f16, 0.011 in bf16 and f32, 60 in i8
  const std::size_t bytes =
      8 * static_cast<std::size_t>(n) * static_cast<std::size_t>(n);  // of the widest type
  DeviceBuffer<Cuda, std::uint8_t> a(gpu.device, bytes), b(gpu.device, bytes), c(gpu.device, bytes);
  gpu.stream.fill_bytes(a.span(), kByte);
  gpu.stream.fill_bytes(b.span(), kByte);
  baselines::MatmulLibrary library(gpu.stream);
  baselines::Matmul product(library,
                            {.type = type, .transpose_a = true, .rows = n, .columns = n, .inner = n});
  try {
    product(a.data(), b.data(), c.data());
    gpu.stream.synchronize();
  } catch (const DeviceError&) {
    return 0;  // this GPU or this library hasn't the type
  }
  return product.seconds();
}

}  // namespace

std::optional<bench::GpuProbes> open_gpu_probes() {
  if (Device<Cuda>::count() == 0) return std::nullopt;
  const auto gpu = std::make_shared<Gpu>();
  return bench::GpuProbes{
      .device = gpu->device.properties(),
      .traffic_seconds = [gpu](bench::Traffic traffic, std::size_t bytes,
                               int passes) { return traffic_seconds(gpu->stream, traffic, bytes, passes); },
      .product_seconds = [gpu](const std::string& dtype,
                               int n) { return product_seconds(*gpu, kTypes.at(dtype), n); },
      .fma_rate =
          [gpu](const std::string& dtype) {
            return dtype == "f64" ? fma_rate<double>(gpu->stream, 8192) : fma_rate<float>(gpu->stream, 8192);
          },
      .launch_seconds = [gpu](bool in_graph) { return empty_launch_seconds(gpu->stream, in_graph, 200); }};
}

}  // namespace remeasure::experiments
