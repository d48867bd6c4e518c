// SPDX-License-Identifier: Apache-2.0
//
// Google Benchmark's JSON. Each sample is a repetition with one iteration, so that compare.py can run its U
// test on them; then the aggregates it knows. Times are in nanoseconds. cpu_time repeats real_time: a wall
// (or GPU event) time is the only one that a record has.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "reports/record_json.h"
#include "reports/writers.h"

namespace remeasure::reports {
namespace {

using Json = nlohmann::json;

/// compare.py needs nine or more repetitions; a thousand objects per variant would only make the file long.
/// Where there are more samples, these many are picked at even distances.
constexpr std::size_t kMostRepetitions = 100;

std::vector<double> picked(const std::vector<double>& samples) {
  if (samples.size() <= kMostRepetitions) return samples;
  std::vector<double> some;
  for (std::size_t i = 0; i < kMostRepetitions; ++i) {
    some.push_back(samples[i * samples.size() / kMostRepetitions]);
  }
  return some;
}

class Writer {
 public:
  Json report(const std::vector<Record>& records) {
    Json document = {{"context", context(records)}, {"benchmarks", Json::array()}};
    for (const Record& record : records) {
      for (const CaseResult& test : record.cases) {
        for (const VariantResult& variant : test.variants) {
          if (variant.time) add(record, test, variant, document["benchmarks"]);
        }
      }
    }
    return document;
  }

 private:
  static Json context(const std::vector<Record>& records) {
    Json context = {{"executable", "remeasure"}, {"library_build_type", "release"},
                    {"caches", Json::array()},   {"load_avg", Json::array()},
                    {"mhz_per_cpu", 0},          {"cpu_scaling_enabled", false}};
    if (!records.empty()) {
      const Record& first = records.front();
      context["date"] = first.started;
      context["host_name"] = first.system.host;
      context["num_cpus"] = first.system.cores;
      context["cpu_scaling_enabled"] =
          !first.system.governor.empty() && first.system.governor != "performance";
      context["gpu"] = first.system.gpu;
      context["remeasure_version"] = first.build.version;
      context["git_commit"] = first.build.git_commit;
    }
    return context;
  }

  void add(const Record& record, const CaseResult& test, const VariantResult& variant, Json& benchmarks) {
    const TimeResult& time = *variant.time;
    const std::vector<double> samples = picked(time.samples);
    const std::string name =
        fmt::format("{}/{}/{}/{}", record.experiment, test.name, variant.name, to_string(variant.where));
    const Json common = {{"run_name", name},
                         {"family_index", family_},
                         {"per_family_instance_index", 0},
                         {"repetitions", samples.size()},
                         {"threads", time.threads},
                         {"time_unit", "ns"},
                         {"label", variant.dtype + (test.synthetic ? ", generated data" : ", real data")}};
    ++family_;
    const auto entry = [&](const std::string& suffix, const char* type, double value) {
      Json it = common;
      it["name"] = name + suffix;
      it["run_type"] = type;
      it["real_time"] = value;
      it["cpu_time"] = value;
      return it;
    };
    for (std::size_t i = 0; i < samples.size(); ++i) {
      Json it = entry("", "iteration", samples[i] * 1e9);
      it["repetition_index"] = i;
      it["iterations"] = 1;
      benchmarks.push_back(std::move(it));
    }
    const auto aggregate = [&](const char* which, double value, const char* unit) {
      Json it = entry(std::string("_") + which, "aggregate", value);
      it["aggregate_name"] = which;
      it["aggregate_unit"] = unit;
      it["iterations"] = samples.size();
      benchmarks.push_back(std::move(it));
    };
    const auto count = static_cast<double>(samples.size());
    const double mean = std::accumulate(samples.begin(), samples.end(), 0.0) / std::max(1.0, count);
    double squares = 0;
    for (const double sample : samples) {
      squares += (sample - mean) * (sample - mean);
    }
    const double deviation = count > 1 ? std::sqrt(squares / (count - 1)) : 0;
    if (!samples.empty()) aggregate("mean", mean * 1e9, "time");
    aggregate("median", time.seconds.median * 1e9, "time");
    if (count > 1) {
      aggregate("stddev", deviation * 1e9, "time");
      aggregate("cv", deviation / mean, "percentage");
    }
  }

  int family_ = 0;
};

}  // namespace

std::string benchmark_report(const std::vector<Record>& records) {
  return to_text(Writer().report(records));
}

}  // namespace remeasure::reports
