// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "bench/experiment.h"

namespace remeasure::bench::runner {

/// How experiments are run: what the user chose, the same for every experiment of a run.
struct Settings {
  Size size = Size::smoke;
  std::uint64_t seed = 1;
  std::vector<std::string> variants = {};  ///< empty = all
  std::optional<double> min_time = {};     ///< seconds per variant; empty = the size's own rule
  std::string filter = {};                 ///< regular expression on "experiment/case"; empty = all
  double timeout = 0;                      ///< seconds per experiment
  std::filesystem::path out = "results";
  std::filesystem::path data = "data";
  bool resume = false;
  std::optional<double> budget = {};  ///< seconds for all experiments together; empty = no limit but timeout
  std::filesystem::path recorded = {};  ///< reference records: what a case may take; empty = none
};

/// Seconds that an experiment gets if nothing else is said: a smoke run is meant to take 10 s on 2 cores, a
/// paper run 10 minutes; slow machines and cold caches get several times that.
constexpr double default_timeout(Size size) {
  return size == Size::smoke ? 300 : 7200;
}

/// The command that makes this experiment's record again, in a fixed form: "remeasure run dfss --size smoke
/// --seed 1". Folders, timeout and resuming have no influence on a result and aren't in it. The filter stands
/// last.
std::string canonical_command(const std::string& experiment, const Settings& settings);
/// The part that two runs must have in common for their cases to stand in one record: all but the filter.
std::string_view without_filter(std::string_view canonical);

std::filesystem::path record_path(const Settings& settings, const std::string& experiment);
std::filesystem::path log_path(const Settings& settings, const std::string& experiment);

/// What a worker is told: one argument of its command line.
struct Assignment {
  std::string experiment;
  std::string run_id;
  int parent = 0;                         ///< process id
  std::vector<std::string> crashed = {};  ///< cases that ended an earlier worker of this run: their rows stay
  /// Under a budget: the cases of this turn in the order in which they run, seconds that each may take, and
  /// after how many seconds no further one begins. Empty: every case.
  std::vector<std::string> only = {};
  std::vector<double> caps = {};
  std::vector<bool> clipped = {};  ///< see Turn
  double turn_seconds = 0;
  /// Case -> variant "kernel@gpu" -> error: broke the device in an earlier worker of this run.
  std::map<std::string, std::map<std::string, std::string>> broken = {};
  std::map<std::string, std::string> given_up = {};  ///< place "gpu" or "simt" -> why it isn't tried any more
  Settings settings;
};
std::string encode(const Assignment& assignment);
/// Throws std::invalid_argument for a text that `encode` didn't write.
Assignment decode_assignment(const std::string& text);

/// A text as one word of a shell command.
std::string shell_word(const std::string& text);

}  // namespace remeasure::bench::runner
