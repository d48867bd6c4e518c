// SPDX-License-Identifier: Apache-2.0
#include "kernels/systems/delay_localise_reference.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "kernels/parallel_tasks.h"

namespace remeasure::kernels {
namespace {

std::size_t at(int i) {
  return static_cast<std::size_t>(i);
}

/// The lower median.
template <class Scalar>
Scalar median(std::vector<Scalar> values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>((values.size() - 1) / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

template <class Scalar>
struct Spread {
  Scalar median, limit;  ///< limit: hot times 1.4826 times the median absolute deviation
};
template <class Scalar>
Spread<Scalar> spread_of(std::vector<Scalar> values, float hot) {
  const Scalar middle = median(values);
  for (Scalar& v : values) v = std::abs(v - middle);
  return {middle, static_cast<Scalar>(hot) * static_cast<Scalar>(1.4826f) * median(std::move(values))};
}

struct Verdict {
  DelayFault fault = DelayFault::none;
  std::int32_t source = -1, destination = -1, blamed = 0;
};

/// Where the hot cells are: `sender`, `receiver`, `link` or `none`.
template <class Scalar>
Verdict hot_cells(const DelayShape& s, std::span<const Scalar> mean) {
  std::vector<Scalar> sent;
  for (int c = 0; c < s.cells(); ++c) {
    if (s.sends(c / s.ranks, c % s.ranks)) sent.push_back(mean[at(c)]);
  }
  const Spread<Scalar> spread = spread_of(sent, s.hot);
  std::vector<int> row(at(s.ranks)), column(at(s.ranks));
  Verdict cells;
  Scalar hottest = 0;
  for (int source = 0; source < s.ranks; ++source) {
    for (int destination = 0; destination < s.ranks; ++destination) {
      const Scalar delay = mean[at(source * s.ranks + destination)];
      if (!s.sends(source, destination) || !(delay - spread.median > spread.limit)) continue;
      ++row[at(source)], ++column[at(destination)], ++cells.blamed;
      if (delay > hottest) hottest = delay, cells.source = source, cells.destination = destination;
    }
  }
  // One cell is a link, not a rank: a row of a ring is never judged as a row.
  const int each = s.ring ? 1 : s.ranks - 1;
  const auto first_hot = [&](const std::vector<int>& count) {
    const auto found = std::find_if(count.begin(), count.end(), [&](int n) {
      return each > 1 && static_cast<float>(n) >= kDelayHotPart * static_cast<float>(each);
    });
    return found == count.end() ? -1 : static_cast<std::int32_t>(found - count.begin());
  };
  if (const std::int32_t r = first_hot(row); r >= 0) return {DelayFault::sender, r, -1, 1};
  if (const std::int32_t r = first_hot(column); r >= 0) return {DelayFault::receiver, -1, r, 1};
  if (cells.blamed > 0) cells.fault = DelayFault::link;
  return cells;
}

/// A rank that waits for nobody while all others wait for it.
template <class Scalar>
Verdict straggler(const DelayShape& s, std::span<const float> wait) {
  std::vector<Scalar> mean(at(s.ranks));
  for (int r = 0; r < s.ranks; ++r) {
    for (int k = 0; k < s.collectives; ++k) mean[at(r)] += static_cast<Scalar>(wait[at(k * s.ranks + r)]);
    mean[at(r)] *= Scalar{1} / static_cast<Scalar>(s.collectives);
  }
  const Spread<Scalar> spread = spread_of(mean, s.hot);
  Verdict verdict;
  for (int r = 0; r < s.ranks; ++r) {
    const Scalar w = mean[at(r)];
    if (!(w < static_cast<Scalar>(kDelayNearZero) * spread.median && spread.median - w > spread.limit))
      continue;
    if (verdict.blamed++ == 0) verdict.source = r;
  }
  if (verdict.blamed == 1) verdict.fault = DelayFault::straggler;
  return verdict.blamed == 1 ? verdict : Verdict{};
}

/// Whether a rank's number is the same, below `goal`, in the last `timeout` snapshots and the one before.
bool stands_still(const DelayShape& s, std::span<const std::int32_t> numbers, int rank, std::int32_t goal) {
  if (s.collectives <= s.timeout) return false;
  const std::int32_t last = numbers[at((s.collectives - 1) * s.ranks + rank)];
  for (int k = s.collectives - 1 - s.timeout; k < s.collectives; ++k) {
    if (numbers[at(k * s.ranks + rank)] != last) return false;
  }
  return last < goal;
}

template <class Scalar>
Verdict judge(const DelayShape& s, std::span<const Scalar> mean, std::span<const float> wait,
              std::span<const std::int32_t> entered, std::span<const std::int32_t> finished) {
  const auto last = entered.subspan(at((s.collectives - 1) * s.ranks), at(s.ranks));
  const std::int32_t goal = *std::max_element(last.begin(), last.end());
  Verdict absent{.fault = DelayFault::hang};
  bool unfinished = false;
  for (int r = 0; r < s.ranks; ++r) {
    if (stands_still(s, entered, r, goal) && absent.blamed++ == 0) absent.source = r;
    unfinished = unfinished || stands_still(s, finished, r, goal);
  }
  if (absent.blamed > 0) return absent;
  Verdict slow = hot_cells(s, mean);
  if (unfinished) {
    slow.fault = DelayFault::communication_hang;
    return slow;
  }
  return slow.fault != DelayFault::none ? slow : straggler<Scalar>(s, wait);
}

}  // namespace

template <class Scalar>
void delay_localise_reference(const DelayShape& s, std::span<const float> delay, std::span<const float> wait,
                              std::span<const std::int32_t> entered, std::span<const std::int32_t> finished,
                              std::span<Scalar> mean, std::span<std::int32_t> verdict, int threads) {
  for_each_row_block(s.windows, 1, threads, [&](int window, int, int) {
    const std::size_t cells = at(s.cells()), numbers = at(s.collectives * s.ranks), w = at(window);
    const auto of_window = mean.subspan(w * cells, cells);
    std::fill(of_window.begin(), of_window.end(), Scalar{0});
    for (std::size_t k = 0; k < at(s.collectives); ++k) {
      const float* matrix = delay.data() + (w * at(s.collectives) + k) * cells;
      for (std::size_t c = 0; c < cells; ++c) of_window[c] += static_cast<Scalar>(matrix[c]);
    }
    for (std::size_t c = 0; c < cells; ++c) {
      const bool sent = s.sends(static_cast<int>(c) / s.ranks, static_cast<int>(c) % s.ranks);
      of_window[c] = sent ? of_window[c] * (Scalar{1} / static_cast<Scalar>(s.collectives)) : Scalar{0};
    }
    const auto part = [&](auto span) { return span.subspan(w * numbers, numbers); };
    const Verdict v = judge<Scalar>(s, of_window, part(wait), part(entered), part(finished));
    const std::int32_t values[] = {static_cast<std::int32_t>(v.fault), v.source, v.destination, v.blamed};
    std::copy_n(values, kDelayVerdict, verdict.begin() + window * kDelayVerdict);
  });
}
template void delay_localise_reference(const DelayShape&, std::span<const float>, std::span<const float>,
                                       std::span<const std::int32_t>, std::span<const std::int32_t>,
                                       std::span<float>, std::span<std::int32_t>, int);
template void delay_localise_reference(const DelayShape&, std::span<const float>, std::span<const float>,
                                       std::span<const std::int32_t>, std::span<const std::int32_t>,
                                       std::span<double>, std::span<std::int32_t>, int);

}  // namespace remeasure::kernels
