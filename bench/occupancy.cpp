// SPDX-License-Identifier: Apache-2.0
#include "bench/occupancy.h"

#ifdef REMEASURE_HAS_CUDA

#include <cuda_occupancy.h>

#include <array>

namespace remeasure::bench {
namespace {

constexpr std::size_t operator""_KiB(unsigned long long n) {
  return n * 1024;
}

/// CUDA C++ Programming Guide, "Technical Specifications per Compute Capability". The toolkit's own rules
/// know how registers and shared memory are allotted, and the most blocks; these are what it asks a device
/// for.
struct Multiprocessor {
  const char* architecture;
  int major, minor;
  int threads;
  std::size_t shared_bytes;  ///< per multiprocessor
};
constexpr std::array<Multiprocessor, 2> kMultiprocessors = {{
    {"sm_80", 8, 0, 2048, 164_KiB},
    {"sm_90", 9, 0, 2048, 228_KiB},
}};
constexpr int kRegisters = 65536;               // per block and per multiprocessor
constexpr std::size_t kReservedShared = 1_KiB;  // of every block, by the system

cudaOccDeviceProp properties_of(const Multiprocessor& multiprocessor) {
  cudaOccDeviceProp properties;
  properties.computeMajor = multiprocessor.major;
  properties.computeMinor = multiprocessor.minor;
  properties.maxThreadsPerBlock = 1024;
  properties.maxThreadsPerMultiprocessor = multiprocessor.threads;
  properties.regsPerBlock = kRegisters;
  properties.regsPerMultiprocessor = kRegisters;
  properties.warpSize = 32;
  properties.sharedMemPerBlock = 48_KiB;
  properties.sharedMemPerMultiprocessor = multiprocessor.shared_bytes;
  properties.sharedMemPerBlockOptin = multiprocessor.shared_bytes - kReservedShared;
  properties.reservedSharedMemPerBlock = kReservedShared;
  properties.numSms = 1;
  return properties;
}

std::string limits_text(unsigned factors) {
  struct Factor {
    unsigned bit;
    const char* name;
  };
  std::string text;
  for (const Factor& factor :
       {Factor{OCC_LIMIT_REGISTERS, "registers"}, Factor{OCC_LIMIT_SHARED_MEMORY, "shared memory"},
        Factor{OCC_LIMIT_WARPS, "threads"}, Factor{OCC_LIMIT_BLOCKS, "blocks"},
        Factor{OCC_LIMIT_BARRIERS, "barriers"}}) {
    if ((factors & factor.bit) != 0) text += (text.empty() ? "" : " + ") + std::string(factor.name);
  }
  return text;
}

}  // namespace

std::optional<Occupancy> occupancy(const std::string& architecture, const BlockUse& use) {
  for (const Multiprocessor& multiprocessor : kMultiprocessors) {
    if (architecture != multiprocessor.architecture) continue;
    const cudaOccDeviceProp properties = properties_of(multiprocessor);
    cudaOccFuncAttributes attributes;
    attributes.maxThreadsPerBlock = properties.maxThreadsPerBlock;
    attributes.numRegs = use.registers_per_thread;
    attributes.sharedSizeBytes = use.static_shared_bytes;
    attributes.shmemLimitConfig = FUNC_SHMEM_LIMIT_OPTIN;
    attributes.maxDynamicSharedSizeBytes = use.dynamic_shared_bytes;
    attributes.numBlockBarriers = use.barriers;
    cudaOccDeviceState state;
    state.carveoutConfig = SHAREDMEM_CARVEOUT_MAX_SHARED;
    cudaOccResult result;
    const cudaOccError failed = cudaOccMaxActiveBlocksPerMultiprocessor(
        &result, &properties, &attributes, &state, use.threads, use.dynamic_shared_bytes);
    if (failed != CUDA_OCC_SUCCESS) return {};
    const int warps = (use.threads + properties.warpSize - 1) / properties.warpSize;
    const int most_warps = properties.maxThreadsPerMultiprocessor / properties.warpSize;
    return Occupancy{
        .blocks_per_multiprocessor = result.activeBlocksPerMultiprocessor,
        .fraction = static_cast<double>(result.activeBlocksPerMultiprocessor * warps) / most_warps,
        .limited_by = limits_text(result.limitingFactors)};
  }
  return {};
}

}  // namespace remeasure::bench

#else

namespace remeasure::bench {

std::optional<Occupancy> occupancy(const std::string&, const BlockUse&) {
  return {};
}

}  // namespace remeasure::bench

#endif
