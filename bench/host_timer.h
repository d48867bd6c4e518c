// SPDX-License-Identifier: Apache-2.0
//
// CPU time by Google Benchmark: real time, fixed iterations, repetitions in random order over all variants of
// a case, so that drift of the machine hits all alike. Rounds of repetitions follow each other until
// stopping.h says enough. A repetition is one sample: the mean over its iterations, which rotate through the
// input sets.
#pragma once

#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "bench/stopping.h"

namespace remeasure::bench {

struct HostSubject {
  std::string name;                         ///< "<experiment>/<case>/<variant>": the benchmark's stable name
  std::vector<std::function<void()>> runs;  ///< one per input set; [0] is the one with an oracle
  std::function<void()> before_sample;      ///< untimed: poisons outputs, sets the number of threads
  double seconds_per_call = 0;              ///< first guess, from the checked run
  StopRule rule;
};

struct Sampling {
  std::vector<double> samples;  ///< seconds per call, in the order taken
  std::size_t iterations = 1;   ///< calls per sample
  std::string stop_reason;
  std::string failure;  ///< text of an exception; then the samples mean nothing
};

struct SamplingControl {
  std::optional<std::chrono::steady_clock::time_point> deadline = {};
  std::function<bool()> stop_requested = {};  ///< polled between rounds; true throws Interrupted
  std::function<void(std::size_t subject, const Sampling&)> on_round = {};
};

/// Every subject ends with a closing sample whose last call is on input set 0, after `before_sample`: what
/// lies in the outputs of set 0 afterwards was written inside the timed region.
std::vector<Sampling> sample_on_host(const std::vector<HostSubject>& subjects,
                                     const SamplingControl& control);

/// Hands over samples that another sampler took (a GPU's events) as manual time with one iteration a
/// repetition, under `name`: Google Benchmark then knows them, but decides nothing about them. Returns what
/// it reports back.
std::vector<double> hand_over(const std::string& name, const std::vector<double>& seconds);

/// OpenMP (and so Eigen's) threads of the calling thread; 0 = all usable cores.
void use_threads(int threads);

}  // namespace remeasure::bench
