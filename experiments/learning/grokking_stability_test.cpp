// SPDX-License-Identifier: Apache-2.0
//
// What must hold of grokking-stability without a GPU: its smoke cases with all their controls, and that what
// they are judged by can fail.
#include <testing/catch.h>

#include <set>

#include "experiments/learning/grokking_stability_training.h"
#include "experiments/testing/smoke_cases.h"

namespace remeasure::experiments {

extern const bench::Experiment grokking_stability;

namespace {

using namespace grokking;
using reports::CaseResult;

const std::vector<CaseResult>& smoke_results() {
  static const std::vector<CaseResult> results = testing::run_smoke_cases(grokking_stability, "learning");
  return results;
}

const CaseResult& case_of(const std::string& what) {
  for (const CaseResult& result : smoke_results()) {
    if (result.name.find(what) != std::string::npos) return result;
  }
  throw std::invalid_argument("no case " + what);
}

double metric(const std::string& what, const std::string& name) {
  for (const reports::Metric& each : case_of(what).metrics) {
    if (each.name == name) return each.value;
  }
  throw std::invalid_argument("no metric " + name);
}

datasets::GrokkingTask task_of(int modulus, int hidden) {
  const bench::testing::TemporaryFolder folder;
  return read_modular_arithmetic(*datasets::Store(folder.path())
                                      .open(datasets::modular_arithmetic_definition,
                                            datasets::modular_arithmetic(modulus, hidden, "add", 1))
                                      .reader);
}

SeedRuns runs_of(const std::vector<std::vector<double>>& test_by_seed) {
  SeedRuns runs{"made up", {}};
  for (const auto& accuracies : test_by_seed) {
    runs.of_seed.emplace_back();
    for (std::size_t i = 0; i < accuracies.size(); ++i) {
      GrokkingRecord record{.epoch = static_cast<int>(10 * i)};
      record.test = accuracies[i];
      runs.of_seed.back().push_back(record);
    }
  }
  return runs;
}

}  // namespace

TEST_CASE("grokking-stability: every check and control of the smoke cases holds, every variant passes",
          "[cpu]") {
  const auto passed = testing::check_all_passed(smoke_results());
  CHECK(passed.at("kernel") == 3);
  CHECK(passed.at("method") == 3);
  CHECK(passed.at("eigen") == 3);
  CHECK(passed.at("eigen/one-thread") == 3);
  std::set<std::string> claimed;
  std::size_t checks = 0;
  for (const CaseResult& result : smoke_results()) {
    for (const auto& sample : result.claim_samples) claimed.insert(sample.claim);
    checks += result.checks.size();
  }
  CHECK(checks == 9);
  for (const bench::Claim& claim : grokking_stability.claims) CHECK(claimed.count(claim.id) == 1);
}

TEST_CASE("grokking-stability: the pilot's numbers", "[cpu]") {
  // f32: some rows collapsed by 1,700 epochs, none in f64; half earlier than either.
  CHECK(metric("train=precision", "collapsed rows at epoch 1700, f32") > 0.02);
  CHECK(metric("train=precision", "collapsed rows at epoch 1700, f64") == 0);
  CHECK(metric("train=precision", "collapsed rows at epoch 200, f16") > 0.1);
  CHECK(metric("train=precision", "test accuracy at epoch 1700, f32") <= 0.02);
  CHECK(metric("train=projection", "test accuracy at epoch 300, orthogonal") > 0.9);
  CHECK(metric("train=projection", "test accuracy at epoch 900, decay 1") > 0.7);
  CHECK(metric("train=projection", "test accuracy at epoch 300, along (control)") < 0.1);
  CHECK(metric("train=stablemax", "collapsed rows at epoch 1800, StableMax") == 0);
  CHECK(metric("train=stablemax", "test accuracy at epoch 1800, StableMax") >
        3 * metric("train=stablemax", "test accuracy at epoch 1800, softmax f32"));
}

TEST_CASE("grokking-stability: plots carry the reported value and errors over three seeds", "[cpu]") {
  for (const char* what : {"train=precision", "train=projection", "train=stablemax"}) {
    for (const reports::Plot& plot : case_of(what).plots) {
      int references = 0;
      for (const reports::Curve& curve : plot.curves) {
        references += curve.reference ? 1 : 0;
        if (!curve.reference) CHECK(curve.error.size() == curve.y.size());
      }
      CHECK(references == 1);
    }
  }
}

TEST_CASE("grokking-stability: an epoch is reached where the level is first, or never", "[cpu]") {
  const SeedRuns runs = runs_of({{0, 0.95, 0.5, 1}, {0, 0.1, 0.2, 0.89}, {0.9, 0, 0, 0}});
  CHECK(reached(runs.of_seed[0], test_accuracy, 0.9) == 10);
  CHECK_FALSE(reached(runs.of_seed[1], test_accuracy, 0.9));
  CHECK(reached(runs.of_seed[2], test_accuracy, 0.9) == 0);
  CHECK(reached_text(runs, test_accuracy, 0.9) == "10, never, 0");
  CHECK(seeds_that_reached(runs, test_accuracy, 0.9) == 2);
  const Spread end = at_end(runs, test_accuracy);
  CHECK(std::abs(end.mean - 0.63) < 1e-12);
  CHECK(std::abs(end.error - std::sqrt((0.37 * 0.37 + 0.26 * 0.26 + 0.63 * 0.63) / 6)) < 1e-12);
  CHECK(spread_of({2}).error == 0);
}

TEST_CASE("grokking-stability: training rows are a prefix, test rows the others", "[cpu]") {
  const datasets::GrokkingTask task = task_of(7, 4);
  const auto train_rows = rows_of(task, 0, 20), test_rows = rows_of(task, 20, 49);
  CHECK(train_rows.rows() == 20);
  CHECK(test_rows.rows() == 29);
  std::vector<std::uint16_t> pairs = train_rows.pairs, labels = train_rows.labels;
  pairs.insert(pairs.end(), test_rows.pairs.begin(), test_rows.pairs.end());
  labels.insert(labels.end(), test_rows.labels.begin(), test_rows.labels.end());
  CHECK(pairs == task.pairs);
  CHECK(labels == task.labels);
}

TEST_CASE("grokking-stability: a step with another loss or without the projection is outside the limits",
          "[cpu]") {
  const datasets::GrokkingTask task = task_of(11, 16);
  StepInputs in{{60, 11, 16}, rows_of(task, 0, 60), {}, {}, {}, {}, {}};
  for (const std::vector<float>* tensor : {&task.first, &task.second, &task.third})
    in.weights.insert(in.weights.end(), tensor->begin(), tensor->end());
  in.mean.resize(in.weights.size());
  in.square.resize(in.weights.size(), 1e-6f);
  const StepOracle right = step_in_double(in, GrokkingLoss::ce32, {});
  const auto distance = [](const std::vector<double>& a, const std::vector<double>& b) {
    double difference = 0, size = 0;
    for (std::size_t i = 0; i < a.size(); ++i)
      difference += (a[i] - b[i]) * (a[i] - b[i]), size += b[i] * b[i];
    return std::sqrt(difference / size);
  };
  CHECK(distance(step_in_double(in, GrokkingLoss::stable_max, {}).gradient, right.gradient) > 1e-2);
  CHECK(distance(step_in_double(in, GrokkingLoss::ce32, {.project = false}).weights, right.weights) > 2e-5);
  const double half = distance(step_in_double(in, GrokkingLoss::ce16, {}).gradient, right.gradient);
  CHECK(half > 1e-5);  // half is seen by the limit of f32
  CHECK(half < 1e-2);
}

}  // namespace remeasure::experiments
