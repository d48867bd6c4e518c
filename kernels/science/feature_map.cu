// SPDX-License-Identifier: Apache-2.0
//
// Quantum feature map as state vectors. Havlicek et al., "Supervised learning with quantum-enhanced feature
// spaces", Nature 567 (2019), arXiv 1804.11326, section "Quantum feature map" (all pairs of qubits).
//
//   phase(z) = sum_i x_i Z_i + sum_{i<j} (pi - x_i)(pi - x_j) Z_i Z_j;   // Z_i = bit i of z ? -1 : +1
//   for (z) state[z] = 2^(-n/2) exp(i phase(z));
//   state = hadamard(state);
//   for (z) state[z] *= exp(i phase(z));
//
// Optimisation. Pairs cost nothing: with A = sum x_i Z_i and B = sum (pi - x_i) Z_i = pi sum Z_i - A the
// double sum is (B^2 - sum (pi - x_i)^2) / 2, and A changes by one term from z to z in Gray code. Phases
// reach 2 pi n + (pi n)^2 / 2: they are computed and reduced in double, then sincosf sees at most pi. Up to
// 12 qubits a sample stays in a block: 16 amplitudes a thread in registers (walsh_hadamard.h), and the phase
// factors are kept there for their second use. Above, blocks transform the lowest 12 bits, and up to 4
// further bits cost a pass over memory each, the last with the second phase: what memory must move for 16
// qubits is three times the states. Launch: 256 threads, samples 2^n / 4096 blocks; n > 12: another launch
// for each 4 bits more. Flops and bytes: feature_map_work, 2 n + 18 flops an amplitude and one sincosf.
// Limits: n <= 24, samples 2^n < 2^40.
#include "kernels/science/feature_map.h"

#include <algorithm>
#include <stdexcept>
#include <string>

#include "kernels/device/kernel.h"
#include "kernels/device/unit_number.h"
#include "kernels/science/feature_map_plan.h"
#include "kernels/science/walsh_hadamard.h"

namespace remeasure::kernels {
namespace {

constexpr double kPi = 3.14159265358979323846;

/// The bit in which the Gray code of k differs from that of k - 1, for k < 16: a constant where the loop is
/// unrolled.
RM_DEVICE constexpr int flipped_bit(int k) {
  return (k & 1) != 0 ? 0 : (k & 2) != 0 ? 1 : (k & 4) != 0 ? 2 : 3;
}

/// use(j, exp(i phase)) for the basis states z0 + (j << low), j < 2^kBits, in Gray code. Those bits of z0 are
/// 0.
template <int kBits, class Use>
RM_DEVICE inline void for_each_phase(const double* __restrict__ x, int qubits, unsigned z0, int low,
                                     Use use) {
  double field = 0, squares = 0;  // A of the state at hand, and sum (pi - x_i)^2
  for (int i = 0; i < qubits; ++i) {
    const double angle = x[i], distance = kPi - angle;
    squares += distance * distance;
    field += (z0 >> i & 1u) != 0 ? -angle : angle;
  }
  double twice[kBits];
#pragma unroll
  for (int bit = 0; bit < kBits; ++bit) twice[bit] = 2 * x[low + bit];
  const int zeros = qubits - 2 * __popc(z0);
#pragma unroll
  for (int k = 0; k < 1 << kBits; ++k) {
    const int j = k ^ (k >> 1);
    if (k > 0) {
      const int bit = flipped_bit(k);
      field += (j >> bit & 1) != 0 ? -twice[bit] : twice[bit];
    }
    const double pull = kPi * (zeros - 2 * __popc(static_cast<unsigned>(j))) - field;
    const double phase = field + 0.5 * (pull * pull - squares);
    const double turns = rint(phase * (0.5 / kPi));
    use(j, unit_number(fma(-turns, 2 * kPi, phase)));
  }
}

RM_DEVICE inline float2 product(float2 a, float2 b) {
  return make_float2(a.x * b.x - a.y * b.y, a.x * b.y + a.y * b.x);
}

/// A thread's part of an item: 2^block_qubits neighbouring amplitudes of a sample.
struct Item {
  long long first;  // amplitude of register 0 in `states`
  long long sample;
  unsigned z0;  // its basis state
  int thread;   // in the item
  int slot;     // the item's place in the block
  bool exists;
};
RM_DEVICE inline Item item_of(int samples, int qubits, int block_qubits, int bits) {
  const int threads_log = block_qubits - bits, parts_log = qubits - block_qubits;
  Item item;
  item.slot = static_cast<int>(threadIdx.x) >> threads_log;
  item.thread = static_cast<int>(threadIdx.x) & ((1 << threads_log) - 1);
  const long long items = static_cast<long long>(samples) << parts_log;
  const long long wanted =
      static_cast<long long>(blockIdx.x) * (static_cast<int>(blockDim.x) >> threads_log) + item.slot;
  item.exists = wanted < items;  // the others compute the last one again: barriers are for all
  const long long which = item.exists ? wanted : items - 1;
  item.sample = which >> parts_log;
  const long long part = which & ((1ll << parts_log) - 1);
  item.z0 = static_cast<unsigned>(part << block_qubits) + static_cast<unsigned>(item.thread);
  item.first = (item.sample << qubits) + item.z0;
  return item;
}

template <int kBits>
__global__ void __launch_bounds__(kFeatureMapThreads)
    block_kernel(int samples, int qubits, int block_qubits, float scale, const double* __restrict__ x,
                 float2* __restrict__ states) {
  RM_DYNAMIC_SHARED(float2, shared);
  const Item item = item_of(samples, qubits, block_qubits, kBits);
  const int low = block_qubits - kBits;
  float2 factor[1 << kBits], state[1 << kBits];
  for_each_phase<kBits>(x + item.sample * qubits, qubits, item.z0, low,
                        [&](int j, float2 value) { factor[j] = value; });
#pragma unroll
  for (int j = 0; j < 1 << kBits; ++j) state[j] = make_float2(scale * factor[j].x, scale * factor[j].y);
  hadamard_block<kBits>(state, shared + item.slot * padded_place(1 << block_qubits), item.thread,
                        block_qubits);
  if (qubits == block_qubits) {
#pragma unroll
    for (int j = 0; j < 1 << kBits; ++j) state[j] = product(state[j], factor[j]);
  }
  if (!item.exists) return;
#pragma unroll
  for (int j = 0; j < 1 << kBits; ++j) states[item.first + (static_cast<long long>(j) << low)] = state[j];
}

/// kBits more levels, of the bits from `low` on; with the second phase after the last ones.
template <int kBits>
__global__ void __launch_bounds__(kFeatureMapThreads)
    pass_kernel(long long threads, int qubits, int low, bool last, const double* __restrict__ x,
                float2* __restrict__ states) {
  const long long thread = static_cast<long long>(blockIdx.x) * kFeatureMapThreads + threadIdx.x;
  if (thread >= threads) return;
  const long long sample = thread >> (qubits - kBits);
  const int z0 = owned_index(static_cast<int>(thread & ((1ll << (qubits - kBits)) - 1)), low, kBits);
  float2* const from = states + (sample << qubits) + z0;
  float2 state[1 << kBits];
#pragma unroll
  for (int j = 0; j < 1 << kBits; ++j) state[j] = from[static_cast<long long>(j) << low];
  hadamard_registers<kBits>(state, kBits);
  if (last) {
    for_each_phase<kBits>(x + sample * qubits, qubits, static_cast<unsigned>(z0), low,
                          [&](int j, float2 value) { state[j] = product(state[j], value); });
  }
#pragma unroll
  for (int j = 0; j < 1 << kBits; ++j) from[static_cast<long long>(j) << low] = state[j];
}

template <int kBits>
__global__ void __launch_bounds__(kFeatureMapThreads)
    phases_kernel(int samples, int qubits, bool first, float scale, const double* __restrict__ x,
                  float2* __restrict__ states) {
  const Item item = item_of(samples, qubits, qubits, kBits);
  if (!item.exists) return;
  const int low = qubits - kBits;
  float2* const to = states + item.first;
  for_each_phase<kBits>(x + item.sample * qubits, qubits, item.z0, low, [&](int j, float2 value) {
    float2& place = to[static_cast<long long>(j) << low];
    if (first) {
      place = make_float2(scale * value.x, scale * value.y);
    } else {
      const float2 before = place;
      place = product(before, value);
    }
  });
}

void check_sizes(const char* what, const FeatureMapShape& shape, std::size_t x, std::size_t states) {
  if (shape.samples < 1 || shape.qubits < 1 || shape.qubits > kMostQubits || x != shape.points() ||
      states != shape.values() || shape.values() >= std::size_t{1} << 41) {
    throw std::invalid_argument(std::string(what) + ": " + std::to_string(shape.samples) + " samples of " +
                                std::to_string(shape.qubits) + " qubits (1 to " +
                                std::to_string(kMostQubits) + "), x of " + std::to_string(x) +
                                ", states of " + std::to_string(states) + " floats");
  }
}

/// run.operator()<bits>() for 1 to 4.
template <class Run>
void for_bits(int bits, const Run& run) {
  switch (bits) {
    case 1:
      return run.template operator()<1>();
    case 2:
      return run.template operator()<2>();
    case 3:
      return run.template operator()<3>();
    default:
      return run.template operator()<4>();
  }
}

float scale_of(const FeatureMapShape& shape) {
  return 1.0f / static_cast<float>(shape.amplitudes());
}  // 2^(-n/2) twice

}  // namespace

template <class Target>
void feature_map(Stream<Target>& stream, const FeatureMapShape& shape, DeviceSpan<Target, const double> x,
                 DeviceSpan<Target, float> states) {
  check_sizes("feature_map", shape, x.size(), states.size());
  const FeatureMapPlan plan = feature_map_plan(shape);
  float2* const to = reinterpret_cast<float2*>(states.data());
  for_bits(plan.thread_bits, [&]<int kBits>() {
    launch({.name = "feature_map",
            .grid = static_cast<unsigned>(plan.blocks),
            .block = kFeatureMapThreads,
            .shared_bytes = plan.shared_bytes},
           stream, block_kernel<kBits>, shape.samples, shape.qubits, plan.block_qubits, scale_of(shape),
           x.data(), to);
  });
  for (int low = plan.block_qubits; low < shape.qubits; low += kThreadBits) {
    const int bits = std::min(kThreadBits, shape.qubits - low);
    const long long threads = static_cast<long long>(shape.samples) << (shape.qubits - bits);
    const bool last = low + bits == shape.qubits;
    for_bits(bits, [&]<int kBits>() {
      launch({.name = "feature_map_pass",
              .grid = blocks_for(threads, kFeatureMapThreads),
              .block = kFeatureMapThreads},
             stream, pass_kernel<kBits>, threads, shape.qubits, low, last, x.data(), to);
    });
  }
}

template <class Target>
void feature_phases(Stream<Target>& stream, const FeatureMapShape& shape, bool first,
                    DeviceSpan<Target, const double> x, DeviceSpan<Target, float> states) {
  check_sizes("feature_phases", shape, x.size(), states.size());
  if (shape.qubits > kBlockQubits) {
    throw std::invalid_argument("feature_phases: " + std::to_string(shape.qubits) +
                                " qubits; it is for up to " + std::to_string(kBlockQubits));
  }
  const int bits = std::min(kThreadBits, shape.qubits);
  const int per_block = kFeatureMapThreads >> (shape.qubits - bits);
  for_bits(bits, [&]<int kBits>() {
    launch(
        {.name = "feature_phases", .grid = blocks_for(shape.samples, per_block), .block = kFeatureMapThreads},
        stream, phases_kernel<kBits>, shape.samples, shape.qubits, first, scale_of(shape), x.data(),
        reinterpret_cast<float2*>(states.data()));
  });
}

template void feature_map(Stream<CompiledTarget>&, const FeatureMapShape&,
                          DeviceSpan<CompiledTarget, const double>, DeviceSpan<CompiledTarget, float>);
template void feature_phases(Stream<CompiledTarget>&, const FeatureMapShape&, bool,
                             DeviceSpan<CompiledTarget, const double>, DeviceSpan<CompiledTarget, float>);

}  // namespace remeasure::kernels
