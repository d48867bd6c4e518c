// SPDX-License-Identifier: Apache-2.0
//
// Which rank or link a slow or hanging collective is to be blamed on: Dong et al., "Boosting Large-scale
// Parallel Training Efficiency with C4: A Communication-Driven Approach", arXiv 2406.04594, section 3 (C4D).
//
//   for (w = 0; w < windows; ++w) {
//     D = mean over k of delay[w][k];  med = median(D);  mad = median(|D - med|);  hot = (D - med) / (1.4826
//     mad) > 6 if      (ranks never entered the operation that others wait in)  verdict = hang at these else
//     if (some never finish it)  verdict = communication hang at the hot row, column or cell else if (a row
//     is 80 % hot)     verdict = its rank's sending else if (a column is)           verdict = its rank's
//     receiving else if (a cell is hot)         verdict = the hottest link else if (one rank waits for nobody
//     while all others wait)  verdict = that rank computes slowly
//   }
//
// Optimisation: a window is read once, K N^2 floats; its mean stays in shared memory. Medians are exact:
// delays are positive, so the order of their bits is their order, and four passes of a 256-bin histogram (a
// bin a thread) find the k-th without sorting. Rows and columns are counted by ballots, a warp each, on a
// pitch that keeps columns free of bank conflicts.
//
// Launch: a block of 256 threads per window; dynamic shared memory 4 (N (N | 1) + 3 N) bytes. Flops:
// delay_localise_flops. Bytes: 4 K (N^2 + 3 N) read, 4 (N^2 + 4) written per window. Limits: 3 to 192 ranks.
// Nothing depends on the schedule.
#include "kernels/systems/delay_localise.h"

#include <stdexcept>
#include <string>

#include "kernels/device/kernel.h"
#include "kernels/graphs/block_scan.h"

namespace remeasure::kernels {
namespace {

constexpr int kThreads = 256;  // as many as bins of the histogram

struct Arguments {
  DelayShape shape;
  const float *delay, *wait;
  const std::int32_t *entered, *finished;
  float* mean;
  std::int32_t* verdict;
};

struct Spread {
  float median, limit;
};

/// The k-th smallest (from 0) of the non-negative values `value(i)` with `counts(i)`, i < n, in every thread.
template <class Value, class Counts>
__device__ float kth_smallest(int n, int k, Value value, Counts counts) {
  RM_SHARED(unsigned, histogram, [kThreads]);
  RM_SHARED(unsigned, chosen, [2]);  // bin; values before it
  const int thread = static_cast<int>(threadIdx.x);
  unsigned prefix = 0, left = static_cast<unsigned>(k);
  for (int shift = 24; shift >= 0; shift -= 8) {
    histogram[thread] = 0;
    __syncthreads();
    for (int i = thread; i < n; i += kThreads) {
      if (!counts(i)) continue;
      const unsigned bits = __float_as_uint(value(i));
      if (shift == 24 || bits >> (shift + 8) == prefix) atomicAdd(&histogram[bits >> shift & 255u], 1u);
    }
    __syncthreads();
    const unsigned own = histogram[thread];
    unsigned total = 0;
    const unsigned before = block_exclusive_sum(own, total);
    if (before <= left && left < before + own) chosen[0] = static_cast<unsigned>(thread), chosen[1] = before;
    __syncthreads();
    prefix = prefix << 8 | chosen[0];
    left -= chosen[1];
    __syncthreads();
  }
  return __uint_as_float(prefix);
}

/// Lower median, and `hot` scaled median absolute deviations, of `size` values among `n`.
template <class Value, class Counts>
__device__ Spread spread_of(int n, int size, float hot, Value value, Counts counts) {
  const int middle = (size - 1) / 2;
  const float median = kth_smallest(n, middle, value, counts);
  const float deviation = kth_smallest(
      n, middle, [&](int i) { return fabsf(value(i) - median); }, counts);
  return {median, hot * 1.4826f * deviation};
}

/// The lowest index with condition(i), i < n, n if there is none; `count`: how many. In every thread.
template <class Condition>
__device__ int first_of(int n, int& count, Condition condition) {
  int first = n, own = 0;
  for (int i = static_cast<int>(threadIdx.x); i < n; i += kThreads) {
    if (!condition(i)) continue;
    first = min(first, i);
    ++own;
  }
  count = block_sum(own);
  return -block_max(-first);
}

/// Whether a rank's number is the same, below `goal`, in the last `timeout` snapshots and the one before.
__device__ bool stands_still(const DelayShape& s, const std::int32_t* numbers, int rank, std::int32_t goal) {
  if (s.collectives <= s.timeout) return false;
  const std::int32_t last = numbers[(s.collectives - 1) * s.ranks + rank];
  bool still = last < goal;
  for (int k = s.collectives - 1 - s.timeout; k < s.collectives - 1; ++k)
    still = still && numbers[k * s.ranks + rank] == last;
  return still;
}

__global__ void __launch_bounds__(kThreads) delay_localise_kernel(Arguments a) {
  RM_DYNAMIC_SHARED(float, shared);
  const DelayShape& s = a.shape;
  const int n = s.ranks, pitch = n | 1, thread = static_cast<int>(threadIdx.x);
  float *mean = shared, *wait = mean + n * pitch;
  auto *row_hot = reinterpret_cast<std::int32_t*>(wait + n), *column_hot = row_hot + n;
  const auto window = static_cast<std::size_t>(blockIdx.x);
  const std::size_t numbers = static_cast<std::size_t>(s.collectives) * static_cast<std::size_t>(n),
                    cells = static_cast<std::size_t>(s.cells());
  const float* delay = a.delay + window * numbers * static_cast<std::size_t>(n);
  const float* waits = a.wait + window * numbers;
  const std::int32_t *entered = a.entered + window * numbers, *finished = a.finished + window * numbers;
  const float part = 1.0f / static_cast<float>(s.collectives);

  for (int c = thread; c < s.cells(); c += kThreads) {
    float sum = 0;
#pragma unroll 8  // loads in flight
    for (int k = 0; k < s.collectives; ++k)
      sum += delay[static_cast<std::size_t>(k) * cells + static_cast<std::size_t>(c)];
    const int source = c / n, destination = c - source * n;
    const float value = s.sends(source, destination) ? sum * part : 0.0f;
    mean[source * pitch + destination] = value;
    a.mean[window * cells + static_cast<std::size_t>(c)] = value;
  }
  for (int r = thread; r < n; r += kThreads) {
    float sum = 0;
    for (int k = 0; k < s.collectives; ++k) sum += waits[k * n + r];
    wait[r] = sum * part;
  }
  __syncthreads();

  const auto cell = [&](int c) { return mean[c / n * pitch + c % n]; };
  const Spread delays =
      spread_of(s.cells(), s.transfers(), s.hot, cell, [&](int c) { return s.sends(c / n, c % n); });
  const Spread times = spread_of(
      n, n, s.hot, [&](int r) { return wait[r]; }, [](int) { return true; });

  const auto is_hot = [&](int source, int destination) {
    return s.sends(source, destination) && mean[source * pitch + destination] - delays.median > delays.limit;
  };
  for (int line = warp_id(); line < 2 * n; line += kThreads / 32) {  // rows, then columns
    int hot = 0;
    for (int first = 0; first < n; first += 32) {
      const int other = first + lane_id();
      const bool cell_hot = other < n && (line < n ? is_hot(line, other) : is_hot(other, line - n));
      hot += __popc(__ballot_sync(kFullWarp, cell_hot));
    }
    if (lane_id() == 0) row_hot[line] = hot;  // column_hot lies behind row_hot
  }
  __syncthreads();

  // The hottest cell, the lowest of equals: bits of a positive delay above the place counted down.
  unsigned long long hottest = 0;
  for (int c = thread; c < s.cells(); c += kThreads) {
    if (!is_hot(c / n, c % n)) continue;
    const unsigned long long key = static_cast<unsigned long long>(__float_as_uint(cell(c))) << 32 |
                                   static_cast<unsigned>(s.cells() - c);
    hottest = max(hottest, key);
  }
  hottest = block_max(hottest);

  const int each = s.ring ? 1 : n - 1;
  const auto whole = [&](int hot) {
    return each > 1 && static_cast<float>(hot) >= kDelayHotPart * static_cast<float>(each);
  };
  int count = 0, absent = 0, unfinished = 0, stragglers = 0, hot_cells = 0;
  std::int32_t own_goal = 0;
  for (int r = thread; r < n; r += kThreads) own_goal = max(own_goal, entered[(s.collectives - 1) * n + r]);
  const std::int32_t goal = block_max(own_goal);
  const int first_absent = first_of(n, absent, [&](int r) { return stands_still(s, entered, r, goal); });
  first_of(n, unfinished, [&](int r) { return stands_still(s, finished, r, goal); });
  const int first_row = first_of(n, count, [&](int r) { return whole(row_hot[r]); });
  const int first_column = first_of(n, count, [&](int r) { return whole(column_hot[r]); });
  const int first_straggler = first_of(n, stragglers, [&](int r) {
    return wait[r] < kDelayNearZero * times.median && times.median - wait[r] > times.limit;
  });
  int own_hot = 0;
  for (int r = thread; r < n; r += kThreads) own_hot += row_hot[r];
  hot_cells = block_sum(own_hot);

  if (thread != 0) return;
  DelayFault fault = DelayFault::none;
  int source = -1, destination = -1, blamed = 0;
  if (absent > 0) {
    fault = DelayFault::hang, source = first_absent, blamed = absent;
  } else {
    if (first_row < n) {
      fault = DelayFault::sender, source = first_row, blamed = 1;
    } else if (first_column < n) {
      fault = DelayFault::receiver, destination = first_column, blamed = 1;
    } else if (hot_cells > 0) {
      const int c = s.cells() - static_cast<int>(hottest & 0xffffffffu);
      fault = DelayFault::link, source = c / n, destination = c % n, blamed = hot_cells;
    } else if (stragglers == 1 && unfinished == 0) {
      fault = DelayFault::straggler, source = first_straggler, blamed = 1;
    }
    if (unfinished > 0) fault = DelayFault::communication_hang;
  }
  std::int32_t* verdict = a.verdict + window * kDelayVerdict;
  verdict[0] = static_cast<std::int32_t>(fault);
  verdict[1] = source;
  verdict[2] = destination;
  verdict[3] = blamed;
}

std::size_t shared_bytes(const DelayShape& s) {
  const auto n = static_cast<std::size_t>(s.ranks);
  return 4 * (n * (n | 1) + 3 * n);
}

}  // namespace

template <class Target>
void delay_localise(Stream<Target>& stream, const DelayShape& s, const DelayLog<Target>& log,
                    DeviceSpan<Target, float> mean, DeviceSpan<Target, std::int32_t> verdict) {
  if (s.windows <= 0 || s.collectives <= 0 || s.timeout < 0 || s.ranks < 3 || s.ranks > kDelayRanks) {
    throw std::invalid_argument("delay_localise: " + std::to_string(s.windows) + " windows, " +
                                std::to_string(s.collectives) + " collectives, timeout " +
                                std::to_string(s.timeout) + ", " + std::to_string(s.ranks) +
                                " ranks; positive, 0 or more, 3 to " + std::to_string(kDelayRanks));
  }
  const auto size = [](int n) { return static_cast<std::size_t>(n); };
  const std::size_t numbers = size(s.windows) * size(s.collectives) * size(s.ranks);
  if (log.delay.size() != numbers * size(s.ranks) || log.wait.size() != numbers ||
      log.entered.size() != numbers || log.finished.size() != numbers ||
      mean.size() != size(s.windows) * size(s.cells()) || verdict.size() != size(s.windows) * kDelayVerdict) {
    throw std::invalid_argument("delay_localise: " + std::to_string(log.delay.size()) + " delays, " +
                                std::to_string(log.wait.size()) + " waits, " + std::to_string(mean.size()) +
                                " means, " + std::to_string(verdict.size()) + " of verdicts; expected " +
                                std::to_string(numbers * size(s.ranks)) + ", " + std::to_string(numbers) +
                                ", " + std::to_string(size(s.windows) * size(s.cells())) + ", " +
                                std::to_string(size(s.windows) * kDelayVerdict));
  }
  launch({.name = "delay_localise",
          .grid = static_cast<unsigned>(s.windows),
          .block = kThreads,
          .shared_bytes = shared_bytes(s)},
         stream, delay_localise_kernel,
         Arguments{s, log.delay.data(), log.wait.data(), log.entered.data(), log.finished.data(), mean.data(),
                   verdict.data()});
}

template void delay_localise(Stream<CompiledTarget>&, const DelayShape&, const DelayLog<CompiledTarget>&,
                             DeviceSpan<CompiledTarget, float>, DeviceSpan<CompiledTarget, std::int32_t>);

}  // namespace remeasure::kernels
