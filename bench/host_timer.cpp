// SPDX-License-Identifier: Apache-2.0
#include "bench/host_timer.h"

#include <benchmark/benchmark.h>

#include <algorithm>
#include <map>
#include <numeric>

#ifdef _OPENMP
#include <omp.h>
#endif

#include "bench/run_case.h"
#include "bench/statistics.h"
#include "bench/system.h"

namespace remeasure::bench {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

/// Keeps every repetition's time; prints nothing.
class SampleCollector : public benchmark::BenchmarkReporter {
 public:
  bool ReportContext(const Context&) override { return true; }
  void ReportRuns(const std::vector<Run>& runs) override {
    for (const Run& run : runs) {
      if (run.run_type != Run::RT_Iteration || run.iterations == 0) continue;
      samples[run.run_name.function_name].push_back(run.real_accumulated_time /
                                                    static_cast<double>(run.iterations));
    }
  }

  std::map<std::string, std::vector<double>> samples;
};

/// Google Benchmark takes random interleaving from its flags alone.
void initialise_google_benchmark() {
  static const bool once = [] {
    char program[] = "remeasure";
    char interleave[] = "--benchmark_enable_random_interleaving=true";
    char* arguments[] = {program, interleave, nullptr};
    int count = 2;
    benchmark::Initialize(&count, arguments);
    return true;
  }();
  static_cast<void>(once);
}

std::map<std::string, std::vector<double>> run_registered() {
  SampleCollector collector;
  benchmark::RunSpecifiedBenchmarks(&collector, "all");
  benchmark::ClearRegisteredBenchmarks();
  return std::move(collector.samples);
}

/// One subject while it is sampled.
struct Course {
  const HostSubject* subject;
  Sampling sampling;
  SamplingState state;
  std::size_t calls = 0;  // over all samples: which input set is next
  double wall_per_sample = 0;
  bool done = false;

  /// One repetition. The closing one counts its calls down, so that the last is on set 0.
  void repeat(benchmark::State& state_of_benchmark, bool closing) {
    try {
      const std::size_t sets = subject->runs.size();
      if (subject->before_sample) subject->before_sample();
      std::size_t left = sampling.iterations;
      for (auto _ : state_of_benchmark) {
        static_cast<void>(_);
        --left;
        subject->runs[(closing ? left : calls++) % sets]();
      }
    } catch (const std::exception& error) {
      sampling.failure = error.what();
      state_of_benchmark.SkipWithError("the variant threw an exception");
    } catch (...) {
      sampling.failure = "an exception that isn't a std::exception";
      state_of_benchmark.SkipWithError("the variant threw an exception");
    }
  }

  void enlist(std::size_t repetitions, bool closing) {
    benchmark::RegisterBenchmark(subject->name.c_str(),
                                 [this, closing](benchmark::State& s) { repeat(s, closing); })
        ->UseRealTime()
        ->Unit(benchmark::kSecond)
        ->Iterations(static_cast<benchmark::IterationCount>(sampling.iterations))
        ->Repetitions(static_cast<int>(repetitions));
  }

  void take(const std::map<std::string, std::vector<double>>& samples) {
    const auto found = samples.find(subject->name);
    if (found == samples.end()) return;
    sampling.samples.insert(sampling.samples.end(), found->second.begin(), found->second.end());
    state.samples = sampling.samples.size();
    state.measured_seconds += std::accumulate(found->second.begin(), found->second.end(), 0.0) *
                              static_cast<double>(sampling.iterations);
  }
};

bool passed(const std::optional<Clock::time_point>& deadline) {
  return deadline && Clock::now() >= *deadline;
}

/// All courses that aren't done, one round. Wall time is shared out by measured time: interleaved repetitions
/// can't be told apart by a clock outside.
void run_round(std::vector<Course>& courses, const SamplingControl& control) {
  std::vector<Course*> running;
  for (Course& course : courses) {
    if (!course.done) running.push_back(&course);
  }
  for (Course* course : running) {
    course->enlist(next_round(course->subject->rule, course->state, course->wall_per_sample), false);
  }
  const Clock::time_point start = Clock::now();
  const auto samples = run_registered();
  const double wall = seconds_since(start);

  std::vector<double> share(running.size());
  double measured = 0;
  for (std::size_t i = 0; i < running.size(); ++i) {
    const double had = running[i]->state.measured_seconds;
    running[i]->take(samples);
    share[i] = running[i]->state.measured_seconds - had;
    measured += share[i];
  }
  for (std::size_t i = 0; i < running.size(); ++i) {
    Course& course = *running[i];
    course.state.wall_seconds += measured > 0 ? wall * share[i] / measured : wall;
    if (course.state.samples > 0) {
      course.wall_per_sample = course.state.wall_seconds / static_cast<double>(course.state.samples);
      course.state.widths.push_back(relative_width(course.sampling.samples));
    }
    course.state.deadline_passed = passed(control.deadline);
    const StopDecision decision = decide(course.subject->rule, course.state);
    course.sampling.stop_reason = decision.reason;
    course.done = decision.stop || !course.sampling.failure.empty() || course.state.samples == 0;
  }
}

}  // namespace

std::vector<Sampling> sample_on_host(const std::vector<HostSubject>& subjects,
                                     const SamplingControl& control) {
  initialise_google_benchmark();
  std::vector<Course> courses;
  for (const HostSubject& subject : subjects) {
    Course course{.subject = &subject, .sampling = {}, .state = {}};
    course.sampling.iterations = iterations_per_sample(subject.seconds_per_call);
    const double sample = subject.seconds_per_call * static_cast<double>(course.sampling.iterations);
    course.wall_per_sample = sample;
    // No room for more than the closing sample: rounds are left out, and the reason says why there is one
    // sample.
    course.done = passed(control.deadline) || 2 * sample > subject.rule.max_wall_seconds;
    course.sampling.stop_reason = passed(control.deadline)
                                      ? "deadline: 1 sample, no interval"
                                      : "time cap: one call fills it; 1 sample, no interval";
    courses.push_back(std::move(course));
  }
  const auto report_rounds = [&] {
    for (std::size_t i = 0; control.on_round && i < courses.size(); ++i)
      control.on_round(i, courses[i].sampling);
  };
  while (std::any_of(courses.begin(), courses.end(), [](const Course& course) { return !course.done; })) {
    if (control.stop_requested && control.stop_requested()) throw Interrupted("interrupted while sampling");
    run_round(courses, control);
    report_rounds();
  }
  if (control.stop_requested && control.stop_requested()) throw Interrupted("interrupted while sampling");

  bool any = false;
  for (Course& course : courses) {
    if (!course.sampling.failure.empty()) continue;
    course.enlist(1, true);
    any = true;
  }
  const auto closing = any ? run_registered() : std::map<std::string, std::vector<double>>();
  std::vector<Sampling> results;
  for (Course& course : courses) {
    course.take(closing);
    results.push_back(std::move(course.sampling));
  }
  return results;
}

std::vector<double> hand_over(const std::string& name, const std::vector<double>& seconds) {
  if (seconds.empty()) return {};
  initialise_google_benchmark();
  std::size_t next = 0;
  benchmark::RegisterBenchmark(name.c_str(),
                               [&](benchmark::State& state) {
                                 for (auto _ : state) {
                                   static_cast<void>(_);
                                   state.SetIterationTime(seconds[next++]);
                                 }
                               })
      ->UseManualTime()
      ->Unit(benchmark::kSecond)
      ->Iterations(1)
      ->Repetitions(static_cast<int>(seconds.size()));
  return run_registered()[name];
}

void use_threads([[maybe_unused]] int threads) {
#ifdef _OPENMP
  omp_set_num_threads(threads > 0 ? threads : usable_cores());
#endif
}

}  // namespace remeasure::bench
