// SPDX-License-Identifier: Apache-2.0
#include "reports/check_kernels.h"

#include <fmt/format.h>

#include <set>

#include "reports/format.h"

namespace remeasure::reports {
namespace {

/// The same kernel in another record. Sources may be missing from older ones.
const KernelFigures* find_kernel(const Record& record, const KernelFigures& kernel) {
  for (const KernelFigures& it : record.kernels) {
    const bool same_source = it.source.empty() || kernel.source.empty() || it.source == kernel.source;
    if (same_source && it.kernel == kernel.kernel && it.architecture == kernel.architecture) return &it;
  }
  return nullptr;
}

std::string shape_text(const KernelFigures& it) {
  return fmt::format("{} threads, {} dynamic", it.block_threads.value_or(0),
                     bytes_text(it.dynamic_shared_bytes.value_or(0)));
}

/// 24b. What else changed of the launch belongs to the answer.
Judgement compare_occupancy(const KernelFigures& before, const KernelFigures& after) {
  constexpr double kRounding = 1e-9;
  Judgement judgement;
  if (*after.occupancy < *before.occupancy - kRounding) judgement.outcome = Outcome::worse;
  if (*after.occupancy > *before.occupancy + kRounding) judgement.outcome = Outcome::better;
  if (judgement.outcome == Outcome::same) return judgement;
  judgement.note = "limited by " + after.limited_by;
  if (shape_text(before) != shape_text(after)) {
    judgement.note += fmt::format("; block of {} before, {} now", shape_text(before), shape_text(after));
  }
  return judgement;
}

/// 24c.
Judgement compare_need(int before, int after) {
  Judgement judgement = compare_bytes(before, after);
  if (judgement.outcome == Outcome::worse)
    judgement = {Outcome::unclear, judgement.threshold, "no harm by itself"};
  return judgement;
}

class KernelComparison {
 public:
  KernelComparison(const Record& before, const Record& after, CheckResult& result)
      : before_(before), after_(after), result_(result) {}

  void compare(const KernelFigures& kernel) {
    kernel_ = &kernel;
    const KernelFigures* now = find_kernel(after_, kernel);
    if (now == nullptr) {
      const bool complete = after_.state == RunState::complete;
      row("kernel", "present", "missing",
          {complete ? Outcome::worse : Outcome::unclear, 0, complete ? "" : "the run isn't complete"});
      return;
    }
    const auto bytes = [](int value) { return bytes_text(value); };
    const auto count = [](int value) { return std::to_string(value); };
    number("spilled bytes", kernel.spill_bytes, now->spill_bytes,
           compare_bytes(kernel.spill_bytes, now->spill_bytes, 0), bytes);
    number("stack", kernel.stack_bytes, now->stack_bytes,
           compare_bytes(kernel.stack_bytes, now->stack_bytes, 0), bytes);
    if (kernel.occupancy && now->occupancy) {
      row("occupancy", percent_text(*kernel.occupancy), percent_text(*now->occupancy),
          compare_occupancy(kernel, *now));
    }
    number("registers", kernel.registers, now->registers, compare_need(kernel.registers, now->registers),
           count);
    number("shared memory", kernel.shared_bytes, now->shared_bytes,
           compare_need(kernel.shared_bytes, now->shared_bytes), bytes);
  }

 private:
  void row(const char* quantity, const std::string& before, const std::string& after, Judgement judgement,
           std::optional<double> change = {}) {
    if (judgement.outcome == Outcome::worse && before_.build.cuda_toolkit != after_.build.cuda_toolkit) {
      judgement.outcome = Outcome::unclear;
      judgement.note =
          fmt::format("CUDA {} before, {} now", before_.build.cuda_toolkit, after_.build.cuda_toolkit);
    }
    result_.rows.push_back({before_.experiment, "",
                            fmt::format("{} on {}", kernel_->kernel, kernel_->architecture), quantity, before,
                            after, change, std::move(judgement)});
  }

  template <class Text>
  void number(const char* quantity, int before, int after, const Judgement& judgement, Text text) {
    std::optional<double> change;
    if (before != 0) change = static_cast<double>(after) / before - 1;
    row(quantity, text(before), text(after), judgement, change);
  }

  const Record& before_;
  const Record& after_;
  CheckResult& result_;
  const KernelFigures* kernel_ = nullptr;
};

}  // namespace

void compare_kernels(const Record& before, const Record& after, CheckResult& result) {
  if (before.kernels.empty()) return;
  const auto not_applied = [&](const std::string& what, const std::string& why) {
    result.not_applied.push_back(
        fmt::format("{}: static kernel figures{} not compared: {}", before.experiment, what, why));
  };
  if (after.kernels.empty()) {
    not_applied("", after.build.cuda_toolkit.empty()
                        ? "this program was built without the CUDA toolkit, so it has none"
                        : "this run launched no kernel on the SIMT engine, so it has none");
    return;
  }
  std::set<std::string> built;
  for (const KernelFigures& it : after.kernels) built.insert(it.architecture);
  std::set<std::string> absent;
  KernelComparison comparison(before, after, result);
  for (const KernelFigures& it : before.kernels) {
    if (built.contains(it.architecture)) {
      comparison.compare(it);
    } else {
      absent.insert(it.architecture);
    }
  }
  for (const std::string& architecture : absent) {
    not_applied(" of " + architecture, "this program was not built for it");
  }
}

}  // namespace remeasure::reports
