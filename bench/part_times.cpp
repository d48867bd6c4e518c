// SPDX-License-Identifier: Apache-2.0
#include "bench/part_times.h"

#include <chrono>
#include <stdexcept>

#include "bench/host_timer.h"
#include "bench/statistics.h"

namespace remeasure::bench {

std::vector<std::vector<double>> time_parts(
    std::size_t parts, const std::vector<std::string>& subjects,
    const std::function<std::function<void()>(std::size_t, std::size_t)>& run, const StopRule& rule) {
  std::vector<std::vector<double>> result(parts);
  for (std::size_t part = 0; part < parts; ++part) {
    std::vector<HostSubject> hosts;
    for (std::size_t subject = 0; subject < subjects.size(); ++subject) {
      HostSubject host{.name = subjects[subject] + "/part " + std::to_string(part),
                       .runs = {run(part, subject)},
                       .before_sample = {},
                       .seconds_per_call = 0,
                       .rule = rule};
      const auto start = std::chrono::steady_clock::now();
      host.runs[0]();  // warms up, and tells how long a call is
      host.seconds_per_call = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
      hosts.push_back(std::move(host));
    }
    const std::vector<Sampling> samplings = sample_on_host(hosts, {});
    for (std::size_t subject = 0; subject < subjects.size(); ++subject) {
      const Sampling& sampling = samplings[subject];
      if (!sampling.failure.empty()) throw std::runtime_error(hosts[subject].name + ": " + sampling.failure);
      result[part].push_back(median(sampling.samples));
    }
  }
  return result;
}

}  // namespace remeasure::bench
