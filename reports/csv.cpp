// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <optional>

#include "reports/escape.h"
#include "reports/format.h"
#include "reports/writers.h"

namespace remeasure::reports {
namespace {

/// One line. What doesn't exist is an empty field.
struct Line {
  std::string test = {}, variant = {}, where = {}, quantity = {};
  std::optional<double> value = {}, low = {}, high = {};
  std::string unit = {}, status = {};
};

class Writer {
 public:
  std::string report(const std::vector<Record>& records) {
    out_ = "experiment,case,variant,where,quantity,value,low,high,unit,status,data\n";
    for (const Record& record : records) {
      experiment_ = record.experiment;
      data_.clear();
      line({.quantity = "run",
            .value = record.elapsed_seconds,
            .unit = "s",
            .status = to_string(record.state)});
      for (const CaseResult& test : record.cases) {
        data_ = test.synthetic ? "generated" : "real";
        one_case(test);
      }
      data_.clear();
      for (const KernelFigures& it : record.kernels) kernel(it);
      claims(record);
    }
    return std::move(out_);
  }

 private:
  void line(const Line& it) {
    const auto number = [](const std::optional<double>& value) {
      return value ? exact_text(*value) : std::string();
    };
    bool first = true;
    for (const std::string& field :
         {experiment_, it.test, it.variant, it.where, it.quantity, number(it.value), number(it.low),
          number(it.high), it.unit, it.status, data_}) {
      out_ += (first ? "" : ",") + csv_text(field);
      first = false;
    }
    out_ += "\n";
  }

  void variant(const CaseResult& test, const VariantResult& it) {
    Line base{
        .test = test.name, .variant = it.name, .where = to_string(it.where), .status = to_string(it.status)};
    const auto add = [&](const std::string& quantity, const std::optional<double>& value, const char* unit) {
      if (!value) return;
      Line copy = base;
      copy.quantity = quantity;
      copy.value = value;
      copy.unit = unit;
      line(copy);
    };
    Line status = base;
    status.quantity = "status";
    line(status);
    if (it.time) {
      Line time = base;
      time.quantity = "time";
      time.value = it.time->seconds.median;
      time.low = it.time->seconds.low;
      time.high = it.time->seconds.high;
      time.unit = "s";
      line(time);
      for (const OtherMode& other : it.time->other_modes) {
        if (!other.seconds) continue;
        time.quantity = "time " + other.mode;
        time.value = other.seconds->median;
        time.low = other.seconds->low;
        time.high = other.seconds->high;
        line(time);
      }
      if (!it.time->throttled.empty()) {
        add("share of samples with a limited clock",
            static_cast<double>(it.time->throttled.size()) / static_cast<double>(it.time->samples.size()),
            "");
      }
    }
    for (const Accuracy& accuracy : it.accuracy) {
      const std::string name = fmt::format("{} of {}", accuracy.metric, accuracy.output);
      add(name, accuracy.value, "");
      add("limit of " + name, accuracy.limit, "");
      add("least of " + name, accuracy.at_least, "");
    }
    if (it.roofline) {
      add("flops", it.roofline->flops, "flop");
      add("bytes", it.roofline->bytes, "B");
      add("floor", it.roofline->floor_seconds, "s");
      add("share of floor", it.roofline->fraction_of_floor, "");
    }
    if (it.memory) {
      add("device peak", it.memory->device_peak, "B");
      add("inputs", it.memory->inputs, "B");
      add("outputs", it.memory->outputs, "B");
      add("workspace", it.memory->workspace, "B");
      add("host peak", it.memory->host_peak, "B");
      add("driver counts", it.memory->device_used, "B");
      add("formula", it.memory->formula, "B");
    }
  }

  void one_case(const CaseResult& test) {
    line({.test = test.name,
          .quantity = "case",
          .value = test.elapsed_seconds,
          .unit = "s",
          .status = !test.error.empty()         ? "ended early"
                    : !test.not_reached.empty() ? "not run"
                    : test.left_out.empty()     ? "complete"
                                                : "left out"});
    for (const VariantResult& it : test.variants) {
      variant(test, it);
    }
    for (const Speedup& it : test.speedups) {
      line({.test = test.name,
            .variant = it.variant,
            .quantity = "speedup over " + it.base,
            .value = it.ratio.median,
            .low = it.ratio.low,
            .high = it.ratio.high,
            .unit = "x",
            .status = it.withheld.empty() ? "" : "withheld"});
    }
    for (const Metric& it : test.metrics) {
      Line metric{.test = test.name, .quantity = it.name, .value = it.value, .unit = it.unit};
      if (it.error) {
        metric.low = it.value - *it.error;
        metric.high = it.value + *it.error;
      }
      line(metric);
      if (it.reported) {
        line({.test = test.name,
              .quantity = "reported " + it.name,
              .low = it.reported->low,
              .high = it.reported->high,
              .unit = it.unit});
      }
    }
    for (const Check& it : test.checks) {
      line({.test = test.name, .quantity = "check: " + it.name, .status = it.passed ? "passed" : "failed"});
    }
  }

  void kernel(const KernelFigures& it) {
    const auto add = [&](const char* quantity, std::optional<double> value, const char* unit,
                         const std::string& status = {}) {
      if (!value) return;
      line({.variant = it.kernel,
            .where = it.architecture,
            .quantity = quantity,
            .value = value,
            .unit = unit,
            .status = status});
    };
    add("registers", it.registers, "");
    add("spilled", it.spill_bytes, "B");
    add("stack", it.stack_bytes, "B");
    add("shared memory", it.shared_bytes, "B");
    add("block", it.block_threads, "threads");
    add("dynamic shared memory", it.dynamic_shared_bytes, "B");
    add("occupancy", it.occupancy, "", it.limited_by);
  }

  void claims(const Record& record) {
    for (const ClaimResult& it : record.claims) {
      Line reported{.quantity = "reported claim " + it.id, .unit = it.unit};
      if (it.reported_text.empty()) {
        reported.low = it.reported.low;
        reported.high = it.reported.high;
      }
      line(reported);
      Line measured{.quantity = "claim " + it.id, .unit = it.unit, .status = to_string(it.verdict)};
      if (it.measured) {
        measured.low = it.measured->low;
        measured.high = it.measured->high;
      }
      line(measured);
    }
  }

  std::string out_, experiment_, data_;
};

}  // namespace

std::string csv_report(const std::vector<Record>& records) {
  return Writer().report(records);
}

}  // namespace remeasure::reports
