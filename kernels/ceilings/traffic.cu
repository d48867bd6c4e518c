// SPDX-License-Identifier: Apache-2.0
//
// Bandwidth of a memory level: a working set is read, written or copied as fast as loads and stores can be
// issued.
//
//   for (pass) for (i) sum += words[i];        // read_words; write_words and copy_words alike
//
// Blocks take chunks of 16 KiB; each thread has four loads of 16 bytes under way before it uses one. Loads
// are ld.cg: a small working set would else be served by L1, whose SMs together hold more than half of L2.
// Pass p begins p chunks further on, so no pass can be merged with the one before. Launch: 8 blocks of 256
// threads per SM, or one per chunk. Bytes: 16 per group and pass read, written, or both; the reduction adds
// an atomic per warp.
#include "kernels/ceilings/traffic.h"

#include <algorithm>

#include "kernels/device/kernel.h"

namespace remeasure::kernels {
namespace {

constexpr unsigned int kThreads = 256;
constexpr unsigned int kUnroll = 4;
constexpr std::size_t kChunk = std::size_t{kThreads} * kUnroll;  // groups

/// First group of the chunk that is visited as `chunk` in this pass.
__device__ std::size_t first_group(std::size_t chunk, std::size_t chunks, int pass) {
  return (chunk + static_cast<std::size_t>(pass)) % chunks * kChunk + threadIdx.x;
}

__global__ void __launch_bounds__(kThreads) read_kernel(const uint4* __restrict__ groups, std::size_t count,
                                                        std::size_t chunks, int passes, unsigned int* sum) {
  unsigned int mine = 0;
  for (int pass = 0; pass < passes; ++pass) {  // each begins a chunk further on
    for (std::size_t chunk = blockIdx.x; chunk < chunks; chunk += gridDim.x) {
      const std::size_t first = first_group(chunk, chunks, pass);
      uint4 loaded[kUnroll];
#pragma unroll
      for (unsigned int k = 0; k < kUnroll; ++k) {
        const std::size_t i = first + k * kThreads;
        loaded[k] = i < count ? __ldcg(groups + i) : make_uint4(0, 0, 0, 0);
      }
#pragma unroll
      for (unsigned int k = 0; k < kUnroll; ++k)
        mine += loaded[k].x + loaded[k].y + loaded[k].z + loaded[k].w;
    }
  }
  mine = warp_sum(mine);
  if (lane_id() == 0) atomicAdd(sum, mine);
}

__global__ void __launch_bounds__(kThreads)
    write_kernel(unsigned int value, std::size_t count, std::size_t chunks, int passes,
                 uint4* __restrict__ groups) {
  for (int pass = 0; pass < passes; ++pass) {
    const unsigned int now = value + static_cast<unsigned int>(pass);
    for (std::size_t chunk = blockIdx.x; chunk < chunks; chunk += gridDim.x) {
      const std::size_t first =
          first_group(chunk, chunks, 0);  // a block's own chunks: no other block writes them
#pragma unroll
      for (unsigned int k = 0; k < kUnroll; ++k) {
        const std::size_t i = first + k * kThreads;
        if (i < count) __stcg(groups + i, make_uint4(now, now, now, now));
      }
    }
  }
}

__global__ void __launch_bounds__(kThreads)
    copy_kernel(const uint4* __restrict__ from, std::size_t count, std::size_t chunks, int passes,
                uint4* __restrict__ to) {
  for (int pass = 0; pass < passes; ++pass) {
    const unsigned int add = static_cast<unsigned int>(pass);
    for (std::size_t chunk = blockIdx.x; chunk < chunks; chunk += gridDim.x) {
      const std::size_t first = first_group(chunk, chunks, 0);
      uint4 loaded[kUnroll];
#pragma unroll
      for (unsigned int k = 0; k < kUnroll; ++k) {
        const std::size_t i = first + k * kThreads;
        loaded[k] = i < count ? __ldcg(from + i) : make_uint4(0, 0, 0, 0);
      }
#pragma unroll
      for (unsigned int k = 0; k < kUnroll; ++k) {
        const std::size_t i = first + k * kThreads;
        const uint4 x = loaded[k];
        if (i < count) __stcg(to + i, make_uint4(x.x + add, x.y + add, x.z + add, x.w + add));
      }
    }
  }
}

__global__ void no_work_kernel() {}

struct Shape {
  std::size_t count, chunks;
  unsigned int blocks;
};

template <class Target>
Shape shape_of(Stream<Target>& stream, std::size_t words, int passes) {
  if (words == 0 || words % kTrafficGroup != 0 || passes < 1) {
    throw std::invalid_argument("traffic: " + std::to_string(words) + " words in " + std::to_string(passes) +
                                " passes; words must be a positive multiple of 4, passes at least 1");
  }
  const std::size_t count = words / kTrafficGroup, chunks = (count + kChunk - 1) / kChunk;
  const auto most = static_cast<std::size_t>(std::max(1, stream.device().properties().multiprocessors)) * 8;
  return {count, chunks, static_cast<unsigned int>(std::min(chunks, most))};
}

}  // namespace

template <class Target>
void read_words(Stream<Target>& stream, DeviceSpan<Target, const std::uint32_t> words, int passes,
                DeviceSpan<Target, std::uint32_t> sum) {
  const Shape shape = shape_of(stream, words.size(), passes);
  if (sum.size() != 1)
    throw std::invalid_argument("read_words: sum has " + std::to_string(sum.size()) + " words, not 1");
  launch({.name = "read_words", .grid = shape.blocks, .block = kThreads}, stream, read_kernel,
         reinterpret_cast<const uint4*>(words.data()), shape.count, shape.chunks, passes, sum.data());
}

template <class Target>
void write_words(Stream<Target>& stream, std::uint32_t value, int passes,
                 DeviceSpan<Target, std::uint32_t> words) {
  const Shape shape = shape_of(stream, words.size(), passes);
  launch({.name = "write_words", .grid = shape.blocks, .block = kThreads}, stream, write_kernel, value,
         shape.count, shape.chunks, passes, reinterpret_cast<uint4*>(words.data()));
}

template <class Target>
void copy_words(Stream<Target>& stream, DeviceSpan<Target, const std::uint32_t> from, int passes,
                DeviceSpan<Target, std::uint32_t> to) {
  const Shape shape = shape_of(stream, from.size(), passes);
  if (to.size() != from.size()) {
    throw std::invalid_argument("copy_words: from has " + std::to_string(from.size()) + " words, to " +
                                std::to_string(to.size()));
  }
  launch({.name = "copy_words", .grid = shape.blocks, .block = kThreads}, stream, copy_kernel,
         reinterpret_cast<const uint4*>(from.data()), shape.count, shape.chunks, passes,
         reinterpret_cast<uint4*>(to.data()));
}

template <class Target>
void no_work(Stream<Target>& stream) {
  launch({.name = "no_work"}, stream, no_work_kernel);
}

template void read_words(Stream<CompiledTarget>&, DeviceSpan<CompiledTarget, const std::uint32_t>, int,
                         DeviceSpan<CompiledTarget, std::uint32_t>);
template void write_words(Stream<CompiledTarget>&, std::uint32_t, int,
                          DeviceSpan<CompiledTarget, std::uint32_t>);
template void copy_words(Stream<CompiledTarget>&, DeviceSpan<CompiledTarget, const std::uint32_t>, int,
                         DeviceSpan<CompiledTarget, std::uint32_t>);
template void no_work(Stream<CompiledTarget>&);

}  // namespace remeasure::kernels
