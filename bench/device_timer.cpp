// SPDX-License-Identifier: Apache-2.0
#include "bench/device_timer.h"

#include <algorithm>
#include <chrono>
#include <exception>

#include "bench/run_case.h"
#include "bench/statistics.h"

namespace remeasure::bench {
namespace {

struct Course {
  const DeviceSubject* subject;
  Sampling sampling;
  SamplingState state;
  std::size_t calls = 0;
  std::size_t next_review = 0;         // number of samples after which the stop rule is asked again
  bool done = false;
};

double cold_sample(TimedDevice& device, const DeviceSubject& subject, std::size_t set) {
  if (subject.before_sample) subject.before_sample();
  device.flush_cache();
  device.start();
  subject.launch(set);
  return device.stop();
}

/// Runs `step`; an exception ends this subject and no other.
template <class Step>
void guarded(Course& course, Step step) {
  try {
    step();
  } catch (const Interrupted&) {
    throw;
  } catch (const std::exception& error) {
    course.sampling.failure = error.what();
    course.done = true;
  }
}

void take_sample(TimedDevice& device, Course& course, std::size_t set) {
  const double start = device.now();
  const double seconds = cold_sample(device, *course.subject, set);
  course.sampling.samples.push_back(seconds);
  course.state.samples = course.sampling.samples.size();
  course.state.measured_seconds += seconds;
  course.state.wall_seconds += device.now() - start;
}

bool deadline_passed(const SamplingControl& control) {
  return control.deadline && std::chrono::steady_clock::now() >= *control.deadline;
}

/// Asks the stop rule where a round ends; rounds are as long as those on a CPU. True if one ended.
bool review(Course& course, const SamplingControl& control) {
  const StopRule& rule = course.subject->rule;
  course.state.deadline_passed = deadline_passed(control);
  const bool round_ends = course.state.samples >= course.next_review;
  if (round_ends) course.state.widths.push_back(relative_width(course.sampling.samples));
  if (!round_ends && !course.state.deadline_passed && course.state.wall_seconds < rule.max_wall_seconds) return false;
  const StopDecision decision = decide(rule, course.state);
  course.done = decision.stop;
  course.sampling.stop_reason = decision.reason;
  const double each = course.state.wall_seconds / static_cast<double>(course.state.samples);
  course.next_review = course.state.samples + next_round(rule, course.state, each);
  return true;
}

}  // namespace

std::vector<Sampling> sample_on_device(TimedDevice& device, const std::vector<DeviceSubject>& subjects,
                                       const SamplingControl& control) {
  std::vector<Course> courses;
  for (const DeviceSubject& subject : subjects) {
    courses.push_back({.subject = &subject, .sampling = {}, .state = {}, .next_review = subject.rule.min_samples});
  }
  for (Course& course : courses) {
    guarded(course, [&] {   // untimed: loads modules, makes handles; the same warm-up for every variant and set
      for (std::size_t set = 0; set < course.subject->sets; ++set) {
        device.start();
        course.subject->launch(set);
        static_cast<void>(device.stop());
      }
    });
  }
  const auto going = [](const Course& course) { return !course.done; };
  while (std::any_of(courses.begin(), courses.end(), going)) {
    if (control.stop_requested && control.stop_requested()) throw Interrupted("interrupted while sampling");
    for (std::size_t i = 0; i < courses.size(); ++i) {
      Course& course = courses[i];
      if (course.done) continue;
      guarded(course, [&] {
        take_sample(device, course, course.calls++ % course.subject->sets);
        if (review(course, control) && control.on_round) control.on_round(i, course.sampling);
      });
    }
  }
  std::vector<Sampling> results;
  for (Course& course : courses) {
    if (course.sampling.failure.empty()) guarded(course, [&] { take_sample(device, course, 0); });
    results.push_back(std::move(course.sampling));
  }
  return results;
}

}  // namespace remeasure::bench
