// SPDX-License-Identifier: Apache-2.0
//
// The standard method's choice between Eigen's own threads and blocks of rows as tasks.
#pragma once

#include <array>
#include <chrono>
#include <memory>
#include <optional>
#include <vector>

#include "baselines/learning/unfused_bounds_eigen.h"
#include "bench/statistics.h"
#include "bench/workbench.h"
#include "experiments/vocabulary.h"

namespace remeasure::experiments::faith_bounds {

using baselines::EigenThreads;

/// Which of Eigen's arrangements a user would keep for this problem on this machine: the one with the
/// smaller median of up to five runs each, in turns. Found once for all input sets.
class EigenTuning {
 public:
  template <class Run>
  EigenThreads operator()(HostBench& b, const Run& run) const {
    if (!*choice_) {
      std::array<std::vector<double>, 2> seconds;
      double spent = 0;
      for (const EigenThreads threads : kAll) run(threads);
      while (seconds[0].size() < 5 && spent < 0.4) {
        for (const EigenThreads threads : kAll) {
          const auto begin = std::chrono::steady_clock::now();
          run(threads);
          seconds[static_cast<std::size_t>(threads)].push_back(
              std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count());
          spent += seconds[static_cast<std::size_t>(threads)].back();
        }
      }
      const auto own = bench::median(seconds[0]), tasks = bench::median(seconds[1]);
      *choice_ = own < tasks ? EigenThreads::own : EigenThreads::tasks;
    }
    b.setting(**choice_ == EigenThreads::own ? "Eigen's own threads" : "blocks of rows as tasks");
    return **choice_;
  }

 private:
  static constexpr EigenThreads kAll[] = {EigenThreads::own, EigenThreads::tasks};
  std::shared_ptr<std::optional<EigenThreads>> choice_ = std::make_shared<std::optional<EigenThreads>>();
};

}  // namespace remeasure::experiments::faith_bounds
