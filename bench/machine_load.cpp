// SPDX-License-Identifier: Apache-2.0
#include "bench/machine_load.h"

#include <fmt/format.h>
#include <sched.h>
#include <sys/resource.h>
#include <unistd.h>

#include <fstream>
#include <sstream>

namespace remeasure::bench {
namespace {

constexpr double kMostOfOthers = 0.10;
constexpr double kAccountError = 0.02;  // seconds a core: two ticks

std::vector<int> cores_of_this_process() {
  cpu_set_t set;
  CPU_ZERO(&set);
  std::vector<int> cores;
  if (::sched_getaffinity(0, sizeof set, &set) != 0) return cores;
  for (int core = 0; core < CPU_SETSIZE; ++core) {
    if (CPU_ISSET(core, &set)) cores.push_back(core);
  }
  return cores;
}

double seconds(const timeval& time) {
  return static_cast<double>(time.tv_sec) + 1e-6 * static_cast<double>(time.tv_usec);
}

}  // namespace

std::optional<double> busy_seconds(std::string_view proc_stat, const std::vector<int>& cores,
                                   double ticks_per_second) {
  std::istringstream lines{std::string(proc_stat)};
  std::size_t found = 0;
  double ticks = 0;
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words(line);
    std::string name;
    double user = 0, nice = 0, system = 0, idle = 0, waiting = 0, interrupts = 0, soft = 0, stolen = 0;
    if (!(words >> name >> user >> nice >> system >> idle >> waiting >> interrupts >> soft >> stolen))
      continue;
    for (const int core : cores) {
      if (name != fmt::format("cpu{}", core)) continue;
      ++found;
      ticks += user + nice + system + interrupts + soft + stolen;
    }
  }
  if (cores.empty() || found != cores.size()) return {};
  return ticks / ticks_per_second;
}

std::optional<CpuUse> cpu_use() {
  static const std::vector<int> cores = cores_of_this_process();
  static const auto ticks = static_cast<double>(::sysconf(_SC_CLK_TCK));
  std::ostringstream text;
  text << std::ifstream("/proc/stat").rdbuf();
  const std::optional<double> all = busy_seconds(text.str(), cores, ticks);
  rusage own{};
  if (!all || ::getrusage(RUSAGE_SELF, &own) != 0) return {};
  return CpuUse{*all, seconds(own.ru_utime) + seconds(own.ru_stime), static_cast<int>(cores.size()),
                std::chrono::steady_clock::now()};
}

std::string disturbance(const CpuUse& before, const CpuUse& after) {
  const double span = std::chrono::duration<double>(after.at - before.at).count();
  const double others = (after.all - before.all) - (after.own - before.own);
  const double cores = after.cores;
  if (!(others > cores * (kMostOfOthers * span + kAccountError))) return {};
  return fmt::format("others kept {:.1f} of {} cores busy", others / span, after.cores);
}

}  // namespace remeasure::bench
