// SPDX-License-Identifier: Apache-2.0
//
// The work law of apnn-tc: a product of p-bit and q-bit codes costs p * q one-bit products. On a CPU, one
// thread.
#pragma once

#include <time.h>

#include <chrono>

#include "bench/statistics.h"
#include "experiments/precision/apnn_tc_layer.h"

namespace remeasure::experiments::apnn {

inline std::vector<LowBitShape> law_shapes(int rows, int outputs, int inner) {
  std::vector<LowBitShape> shapes;
  for (const auto& [p, q] : {std::pair{1, 1}, {1, 2}, {1, 3}, {1, 4}, {2, 2}, {1, 8}, {2, 8}, {4, 4}}) {
    shapes.push_back(kernels::low_bit_product(rows, outputs, inner, p, q, Encoding::unsigned_codes));
  }
  return shapes;
}

/// Times over p q, divided by their geometric mean: 1 where the law holds.
inline std::vector<double> law_deviation(const std::vector<double>& pairs,
                                         const std::vector<double>& seconds) {
  double logs = 0;
  for (std::size_t i = 0; i < pairs.size(); ++i)
    logs += std::log(seconds[i] / pairs[i]) / static_cast<double>(pairs.size());
  std::vector<double> result;
  for (std::size_t i = 0; i < pairs.size(); ++i) result.push_back(seconds[i] / pairs[i] / std::exp(logs));
  return result;
}
inline constexpr double kLawTolerance = 0.3;
inline constexpr double kWidestInterval = 0.2;  ///< of the time; wider ones are shown, not judged
inline constexpr double kLeastShare = 0.9;      ///< of a core
inline constexpr std::size_t kFewestTimes = 4;  ///< fewer don't tell a law

/// A time of one pair of bits: median with its interval.
struct LawTime {
  std::string bits;
  double pairs = 0, median = 0, low = 0, high = 0;
  double share = 1;  ///< of a core that this program had
  /// Why it isn't judged; empty where it is. Turns of other programs lengthen what takes longer than a turn,
  /// and when they come steadily the interval doesn't show it.
  std::string left_out() const {
    if (share < kLeastShare)
      return fmt::format("no: other programs had {:.0f} % of its core", 100 - 100 * share);
    if (high - low <= kWidestInterval * median) return "";
    return fmt::format("no: its interval is {:.0f} % of it", 100 * (high - low) / median);
  }
};
/// CPU time over wall time of some runs of this thread.
template <class Run>
double share_of_core(const Run& run) {
  timespec cpu[2];
  const auto begin = std::chrono::steady_clock::now();
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &cpu[0]);
  for (int i = 0; i < 5; ++i) run();
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &cpu[1]);
  const double wall = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  const double used = static_cast<double>(cpu[1].tv_sec - cpu[0].tv_sec) +
                      1e-9 * static_cast<double>(cpu[1].tv_nsec - cpu[0].tv_nsec);
  return wall > 0 ? std::min(1.0, used / wall) : 1;
}

/// All times with what became of them, and in the last row the law itself, judged or not.
struct LawJudgement {
  bool judged = false, holds = false;
  std::string detail;  ///< how far the times are from the law, or why it isn't judged
  std::vector<double> pairs, seconds;
  reports::Table table;
};
inline LawJudgement judge_law(const std::vector<LawTime>& times) {
  LawJudgement result;
  result.table = {.name = "work law",
                  .title = "Time of a popcount product over p q",
                  .columns = {"bits", "p q", "us", "us / (p q)", "judged"},
                  .rows = {}};
  std::vector<std::string> names;
  for (const LawTime& time : times) {
    const std::string left_out = time.left_out();
    result.table.rows.push_back(
        {time.bits, fmt::format("{:.0f}", time.pairs), fmt::format("{:.4g}", 1e6 * time.median),
         fmt::format("{:.4g}", 1e6 * time.median / time.pairs), left_out.empty() ? "yes" : left_out});
    if (!left_out.empty()) continue;
    result.pairs.push_back(time.pairs);
    result.seconds.push_back(time.median);
    names.push_back(time.bits);
  }
  result.judged = names.size() >= kFewestTimes;
  if (result.judged) {
    const std::vector<double> deviation = law_deviation(result.pairs, result.seconds);
    const auto [least, most] = std::minmax_element(deviation.begin(), deviation.end());
    result.holds = *most <= 1 + kLawTolerance && *least >= 1 - kLawTolerance;
    result.detail = fmt::format("{:.2f} ({}) to {:.2f} ({}) of the mean of {}", *least,
                                names[static_cast<std::size_t>(least - deviation.begin())], *most,
                                names[static_cast<std::size_t>(most - deviation.begin())], names.size());
  } else {
    result.detail = fmt::format(
        "not measured: {} of {} times were undisturbed by other programs, and it takes {} to tell a law",
        names.size(), times.size(), kFewestTimes);
  }
  result.table.rows.push_back(
      {"law: constant within 30 %", "", "", "",
       result.judged ? (result.holds ? "holds: " : "fails: ") + result.detail : result.detail});
  return result;
}

inline void measure_law(Trial& t, int rows, int outputs, int inner) {
  const std::vector<LowBitShape> shapes = law_shapes(rows, outputs, inner);
  std::vector<std::unique_ptr<InputSets<LayerInputs>>> sets;
  for (const LowBitShape& shape : shapes) {
    sets.push_back(std::make_unique<InputSets<LayerInputs>>(
        t.inputs([&](std::uint64_t seed) { return load(t, shape, seed); })));
    const auto& in = *sets.back();
    const std::string name = bits_name(shape), output = "sums " + name;
    t.oracle(output, 1, [shape, &in] {
      return OracleOutput{
          .values = kernels::low_bit_sums<double>(shape, in[0].codes()), .scale = {}, .indices = {}};
    });
    t.host({.name = "method/" + name,
            .what = "popcounts, one thread",
            .dtype = "b1",
            .accept = exact(output),
            .threads = 1},
           [shape, &in, output](HostBench& b) -> Run {
             const auto activations = b.input(in[b.set()].activations),
                        weights = b.input(in[b.set()].weights);
             const auto sums = b.output<std::int32_t>(output, shape.sums());
             return [=] { kernels::low_bit_popcount(shape, activations, weights, sums, 1); };
           });
  }
  t.measure();
  // Where other programs take turns, long times grow more than short ones: a time whose interval is wide is
  // shown, not judged.
  reports::Curve curve{.label = "popcount product"};
  std::vector<LawTime> times;
  for (const LowBitShape& shape : shapes) {
    const bench::Measured time = t.time("method/" + bits_name(shape));
    if (!time.value) {  // a check of results alone takes none
      LawJudgement none = judge_law({});
      none.table.rows.back().back() = "not measured: " + time.missing;
      t.table(std::move(none.table));
      return;
    }
    const auto& [median, low, high] = *time.value;
    const double pairs = shape.weight_bits * shape.activation_bits;
    const LayerInputs& in = (*sets[times.size()])[0];
    std::vector<std::int32_t> sums(shape.sums());
    const double share =
        share_of_core([&] { kernels::low_bit_popcount(shape, in.activations, in.weights, sums, 1); });
    times.push_back({bits_name(shape), pairs, median, low, high, share});
    curve.x.push_back(pairs);
    curve.y.push_back(median);
    curve.error.push_back((high - low) / 4);
  }
  t.plot({.name = "work-law",
          .title = "Time of a popcount product against p q",
          .x_label = "p q",
          .y_label = "seconds",
          .log_x = true,
          .log_y = true,
          .curves = {curve}});
  LawJudgement law = judge_law(times);
  t.table(std::move(law.table));
  if (!law.judged) return;
  const bench::PowerLaw fit = bench::fit_power_law(law.pairs, law.seconds);
  t.metric({.name = "exponent of p q",
            .value = fit.exponent,
            .unit = "",
            .reported = Interval{1, 1},
            .error = fit.error});
  t.check("time over p q is constant within 30 %", law.holds, law.detail);
}

}  // namespace remeasure::experiments::apnn
