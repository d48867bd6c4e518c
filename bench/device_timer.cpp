// SPDX-License-Identifier: Apache-2.0
#include "bench/device_timer.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <exception>

#include "bench/run_case.h"
#include "bench/statistics.h"
#include "bench/timed_launch.h"

namespace remeasure::bench {
namespace {

constexpr double kIdleSeconds = 0.1;
constexpr double kFirstPause = 0.05, kLongestPause = 0.5;
constexpr std::size_t kMostLaunches = 4096;  // of a batch; a graph of more nodes takes long to instantiate
constexpr std::size_t kRotatingSets = 3;

/// One subject in one mode.
struct Phase {
  StopRule rule;
  SamplingState state = {};
  std::vector<double> samples = {};
  std::size_t next_review = 0;  // number of samples after which the stop rule is asked again
  std::string stop_reason = {};
  bool done = false;
};

struct Course {
  const DeviceSubject* subject;
  DeviceSampling result;
  CachePlan cache;
  Phase phase;
  std::size_t calls = 0;
  int pauses = 0;
  std::function<void()> replay = {};  // enqueues the captured graph
  bool over = false;                  // failed or not verified: no further mode

  bool blocked() const { return subject->synchronises.empty(); }
};

using Courses = std::vector<Course>;
using Step = std::function<void(Course&)>;

bool deadline_passed(const SamplingControl& control) {
  return control.deadline && std::chrono::steady_clock::now() >= *control.deadline;
}

/// Runs `step`; an exception ends this subject and no other.
void guarded(Course& course, const Step& step) {
  try {
    step(course);
  } catch (const Interrupted&) {
    throw;
  } catch (const DeviceError& error) {
    if (error.sticky()) throw DeviceBroken(error.what(), course.subject->who, error.reach);
    course.result.failure = error.what();
    course.over = course.phase.done = true;
  } catch (const std::exception& error) {
    course.result.failure = *error.what() == 0 ? "an exception without text" : error.what();
    course.over = course.phase.done = true;
  }
}

/// Asks the stop rule where a round ends; rounds are as long as those on a CPU. True if one ended.
bool review(Phase& phase, const SamplingControl& control) {
  SamplingState& state = phase.state;
  state.deadline_passed = deadline_passed(control);
  const bool round_ends = state.samples >= phase.next_review;
  if (round_ends) state.widths.push_back(relative_width(phase.samples));
  if (!round_ends && !state.deadline_passed && state.wall_seconds < phase.rule.max_wall_seconds) return false;
  const StopDecision decision = decide(phase.rule, state);
  phase.done = decision.stop;
  phase.stop_reason = decision.reason;
  const double each = state.wall_seconds / static_cast<double>(std::max<std::size_t>(1, state.samples));
  phase.next_review = state.samples + next_round(phase.rule, state, each);
  return true;
}

/// A B A B until every course's phase is done.
void interleave(Courses& courses, const SamplingControl& control,
                const std::function<void(std::size_t, Course&)>& take) {
  const auto going = [](const Course& course) { return !course.phase.done; };
  while (std::any_of(courses.begin(), courses.end(), going)) {
    if (control.stop_requested && control.stop_requested()) throw Interrupted("interrupted while sampling");
    for (std::size_t i = 0; i < courses.size(); ++i) {
      if (!courses[i].phase.done) take(i, courses[i]);
    }
  }
}

// --- cold ---

void warm_up(TimedDevice& device, Course& course) {
  for (std::size_t set = 0; set < course.subject->sets; ++set) {
    course.subject->launch(set);
    static_cast<void>(device.wait());
  }
}

/// A sample taken with a limited clock is followed by a pause, and isn't counted as long as there are pauses
/// left.
bool counts(TimedDevice& device, Course& course, const ClockReading& clock) {
  if (clock.limited_by.empty()) return true;
  course.result.throttled.push_back(course.phase.samples.size() - 1);
  if (course.pauses == kPauses) return true;
  device.sleep(std::min(kFirstPause * std::pow(2, course.pauses++), kLongestPause));
  return false;
}

void cold_sample(TimedDevice& device, Course& course, std::size_t set, bool closing) {
  const DeviceSubject& subject = *course.subject;
  const double begin = device.now();
  const bool flush = course.cache.flush || closing;
  if (flush && subject.before_sample) subject.before_sample();
  device.reset_persisting_l2();
  if (flush) device.flush_cache();
  static_cast<void>(device.wait());
  const TimedSample sample = timed_launch(device, course.blocked(), [&] { subject.launch(set); });
  Phase& phase = course.phase;
  phase.samples.push_back(sample.seconds);
  if (sample.clock.sm_mhz) course.result.sm_mhz.push_back(*sample.clock.sm_mhz);
  if (counts(device, course, sample.clock)) {
    ++phase.state.samples;
    phase.state.measured_seconds += sample.seconds;
  }
  phase.state.wall_seconds += device.now() - begin;
}

std::string with_clock(std::string reason, const Course& course) {
  const std::size_t limited = course.result.throttled.size(), all = course.result.samples.size();
  if (limited == 0) return reason;
  reason += limited == all ? fmt::format("; the clock was limited in all {} samples", all)
                           : fmt::format("; the clock was limited in {} of {} samples", limited, all);
  return reason + fmt::format(", {} pause{}", course.pauses, course.pauses == 1 ? "" : "s");
}

void verify(Course& course) {
  if (course.subject->verify && !course.subject->verify()) course.over = true;
}

void sample_cold(TimedDevice& device, Courses& courses, const SamplingControl& control) {
  for (Course& course : courses) {
    course.phase = {.rule = course.subject->rule, .next_review = course.subject->rule.min_samples};
    course.cache = plan_cache(course.subject->sets, course.subject->set_bytes, device.l2_bytes());
    course.result.cache = course.cache.words;
    guarded(course, [&](Course& one) { warm_up(device, one); });
    course.result.before = device.condition();
  }
  interleave(courses, control, [&](std::size_t i, Course& course) {
    guarded(course, [&](Course& one) {
      cold_sample(device, one, one.calls++ % one.subject->sets, false);
      if (!review(one.phase, control)) return;
      one.result.samples = one.phase.samples;
      if (control.on_round) control.on_round(i, one.result);
    });
  });
  for (Course& course : courses) {
    if (course.over) continue;
    guarded(course, [&](Course& one) {
      cold_sample(device, one, 0, true);
      one.result.samples = one.phase.samples;
      if (one.result.sm_mhz.size() != one.result.samples.size()) one.result.sm_mhz.clear();
      one.result.stop_reason = with_clock(one.phase.stop_reason, one);
      one.result.after = device.condition();
      verify(one);
    });
  }
}

// --- hot and graph ---

/// A few batches are enough beside the quoted number.
StopRule brief(const StopRule& rule) {
  StopRule short_rule = rule;
  short_rule.min_samples = 5;
  short_rule.min_seconds = 0;
  short_rule.max_samples = 50;
  short_rule.max_wall_seconds = rule.max_wall_seconds / 4;
  return short_rule;
}

/// One mode of every course that is still on: `prepare` finds or builds the batch, `sample` times it once.
struct BatchMode {
  const char* name;
  std::function<bool(const Course&)> wanted;
  std::function<void(Course&, ModeSampling&)> prepare;  // or says in ModeSampling::missing why it can't
  std::function<TimedSample(Course&, ModeSampling&)> sample;
};

void prepare_batches(TimedDevice& device, Courses& courses, const SamplingControl& control,
                     const BatchMode& mode) {
  bool idled = false;
  for (Course& course : courses) {
    course.phase = {.rule = brief(course.subject->rule), .next_review = 5, .done = true};
    if (course.over || !mode.wanted(course)) continue;
    course.result.others.push_back({.mode = mode.name});
    ModeSampling& sampling = course.result.others.back();
    if (deadline_passed(control)) {
      sampling.missing = "the run's deadline passed before";
      continue;
    }
    if (!idled) device.sleep(std::min(kIdleSeconds, course.phase.rule.max_wall_seconds));
    idled = true;
    course.phase.done = false;
    guarded(course, [&](Course& one) { mode.prepare(one, sampling); });
    course.phase.done = course.phase.done || !sampling.missing.empty();
  }
}

void sample_batches(TimedDevice& device, Courses& courses, const SamplingControl& control,
                    const BatchMode& mode) {
  prepare_batches(device, courses, control, mode);
  interleave(courses, control, [&](std::size_t, Course& course) {
    guarded(course, [&](Course& one) {
      ModeSampling& sampling = one.result.others.back();
      const double begin = device.now();
      if (one.subject->before_sample) one.subject->before_sample();
      static_cast<void>(device.wait());
      const TimedSample sample = mode.sample(one, sampling);
      if (!sample.clock.limited_by.empty()) sampling.throttled.push_back(one.phase.samples.size());
      if (sample.clock.sm_mhz) sampling.sm_mhz.push_back(*sample.clock.sm_mhz);
      one.phase.samples.push_back(sample.seconds / static_cast<double>(sampling.launches));
      ++one.phase.state.samples;
      one.phase.state.wall_seconds += device.now() - begin;
      static_cast<void>(review(one.phase, control));
    });
  });
  for (Course& course : courses) {
    if (course.over || course.phase.samples.empty()) continue;
    ModeSampling& sampling = course.result.others.back();
    sampling.samples = course.phase.samples;
    if (sampling.sm_mhz.size() != sampling.samples.size()) sampling.sm_mhz.clear();
    guarded(course, verify);
  }
}

void sample_hot(TimedDevice& device, Courses& courses, const SamplingControl& control) {
  const auto batch = [&](Course& course, ModeSampling& sampling) {
    return timed_batch(device, course.blocked(), sampling.launches, [&] { course.subject->launch(0); });
  };
  const auto until_long_enough = [&](Course& course, ModeSampling& sampling) {
    const double begin = device.now();
    while (batch(course, sampling).seconds < kBatchSeconds && sampling.launches < kMostLaunches &&
           device.now() - begin < course.phase.rule.max_wall_seconds) {
      sampling.launches *= 2;
    }
  };
  sample_batches(device, courses, control,
                 {"hot", [](const Course&) { return true; }, until_long_enough, batch});
}

/// Captures as many launches, over all input sets, as fill kBatchSeconds; one replay untimed uploads the
/// graph.
void capture_batch(TimedDevice& device, Course& course, ModeSampling& sampling) {
  const DeviceSubject& subject = *course.subject;
  if (!course.blocked()) {
    sampling.missing = "can't be captured, since the launch waits for the GPU: " + subject.synchronises;
    return;
  }
  const double launches = std::ceil(kBatchSeconds / std::max(median(course.result.samples), 1e-7));
  sampling.launches = std::min(static_cast<std::size_t>(launches), kMostLaunches);
  try {
    course.replay = device.capture([&] {
      for (std::size_t i = 0; i < sampling.launches; ++i) subject.launch(i % subject.sets);
    });
  } catch (const std::exception& error) {
    sampling.missing = fmt::format("can't be captured: {}", error.what());
    return;
  }
  course.replay();
  static_cast<void>(device.wait());
}

void sample_graph(TimedDevice& device, Courses& courses, const SamplingControl& control) {
  const auto short_enough = [](const Course& course) {
    return median(course.result.samples) < kGraphBelowSeconds;
  };
  sample_batches(device, courses, control,
                 {"graph", short_enough,
                  [&](Course& course, ModeSampling& sampling) { capture_batch(device, course, sampling); },
                  [&](Course& course, ModeSampling&) { return timed_launch(device, true, course.replay); }});
}

}  // namespace

CachePlan plan_cache(std::size_t sets, std::size_t set_bytes, std::size_t l2_bytes) {
  if (sets >= kRotatingSets && l2_bytes > 0 && sets * set_bytes > 3 * l2_bytes) {
    return {false, fmt::format("rotated: {} sets of {} bytes, L2 has {}", sets, set_bytes, l2_bytes)};
  }
  return {true, fmt::format("flushed: L2 has {} bytes", l2_bytes)};
}

std::vector<DeviceSampling> sample_on_device(TimedDevice& device, const std::vector<DeviceSubject>& subjects,
                                             const SamplingControl& control) {
  Courses courses;
  for (const DeviceSubject& subject : subjects) {
    courses.push_back({.subject = &subject, .result = {}, .cache = {}, .phase = {}});
  }
  sample_cold(device, courses, control);
  sample_hot(device, courses, control);
  sample_graph(device, courses, control);
  std::vector<DeviceSampling> results;
  for (Course& course : courses) results.push_back(std::move(course.result));
  return results;
}

}  // namespace remeasure::bench
