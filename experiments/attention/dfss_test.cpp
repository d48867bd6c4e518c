// SPDX-License-Identifier: Apache-2.0
//
// What must hold of dfss without a GPU: the experiment is run through the real frame, and its controls are
// seen to fail.
#include <testing/catch.h>
#include <algorithm>
#include <memory>
#include <set>

#include "bench/run_case.h"
#include "datasets/attention/attention_inputs.h"
#include "experiments/testing/smoke_cases.h"
#include "kernels/attention/nm_sparse_reference.h"

namespace remeasure::experiments {

extern const bench::Experiment dfss;

namespace {

using bench::Size;
using reports::CaseResult;
using reports::Status;
using reports::Where;

/// All smoke cases, run once for all tests of this file.
const std::vector<CaseResult>& smoke_results() {
  static const std::vector<CaseResult> results = testing::run_smoke_cases(dfss, "attention");
  return results;
}

double metric(const CaseResult& result, const std::string& name) {
  const auto found = std::find_if(result.metrics.begin(), result.metrics.end(),
                                  [&](const auto& m) { return m.name == name; });
  if (found == result.metrics.end()) throw std::invalid_argument("no metric " + name + " in " + result.name);
  return found->value;
}

/// Head 0 and 1 of the generated inputs.
struct Generated {
  datasets::AttentionInputs in;
  kernels::AttentionProblem problem(double scale = 0.125) const {
    return {.shape = {1, in.heads, in.tokens, in.dim},
            .scale = scale,
            .query = in.query,
            .key = in.key,
            .value = in.value};
  }
};
Generated generated(const std::string& generator, int tokens) {
  const bench::testing::TemporaryFolder folder;
  datasets::Store store(folder.path());
  return {
      datasets::read_attention_inputs(*store
                                           .open(datasets::attention_inputs_definition,
                                                 datasets::attention_inputs(1, 2, tokens, 64, generator, 3))
                                           .reader)};
}

TEST_CASE("dfss: at smoke size all that needs no GPU passes, the kernels on Simt and their masks among it",
          "[simt][slow]") {
  CHECK(testing::check_all_passed(smoke_results())["kernel"] == 4);
}

TEST_CASE("dfss: fewer than 0.5 % of the metadata words of the kernels differ from fp64's", "[simt][slow]") {
  int compared = 0;
  for (const CaseResult& result : smoke_results()) {
    for (const reports::VariantResult& variant : result.variants) {
      for (const reports::Accuracy& accuracy : variant.accuracy) {
        if (accuracy.output != "metadata") continue;
        ++compared;
        CHECK(accuracy.value <= 0.005);
        CHECK(accuracy.compared >= 256);
      }
    }
  }
  CHECK(compared >= 4);
}

TEST_CASE("dfss: neither a time nor a speedup comes from Simt", "[simt][slow]") {
  for (const CaseResult& result : smoke_results()) {
    bool gpu = false;
    for (const reports::VariantResult& variant : result.variants) {
      if (variant.where == Where::simt) CHECK_FALSE(variant.time.has_value());
      gpu = gpu || (variant.where == Where::gpu && variant.status == Status::passed);
    }
    if (gpu) continue;
    for (const reports::Speedup& speedup : result.speedups) CHECK(speedup.variant == "method");
    for (const reports::ClaimSample& sample : result.claim_samples) {
      CHECK_FALSE(sample.value.has_value());
      CHECK_FALSE(sample.missing.empty());
    }
  }
}

TEST_CASE("dfss: the byte model gives 1.88, and the pruned matrix 0.5625 of the bytes", "[simt][slow]") {
  int cases = 0;
  for (const CaseResult& result : smoke_results()) {
    if (result.variants.empty()) continue;
    ++cases;
    CHECK(metric(result, "attention matrix, of the dense bytes") == 0.5625);
    CHECK(std::abs(metric(result, "n x n bytes, dense over pruned") - 8 / 4.25) < 1e-12);
  }
  CHECK(cases == 4);
}

TEST_CASE("dfss: what is kept of gauss inputs is what the card says, at every n from 256 on", "[cpu]") {
  for (const int tokens : {256, 512}) {
    const Generated gauss = generated("gauss", tokens);
    const auto of4 = approximation_quality(gauss.problem(), kernels::NmPattern::two_of_four);
    const auto of2 = approximation_quality(gauss.problem(), kernels::NmPattern::one_of_two);
    INFO("n " << tokens << ": 2:4 m " << of4.retained_mass << " e " << of4.output_error << ", 1:2 m "
              << of2.retained_mass << " e " << of2.output_error);
    CHECK((of4.retained_mass > 0.77 && of4.retained_mass < 0.83));
    CHECK((of2.retained_mass > 0.73 && of2.retained_mass < 0.79));
    CHECK(of4.retained_mass > of2.retained_mass);
    CHECK(of4.output_error < of2.output_error);
  }
}

TEST_CASE("dfss: the controls are told apart from the method", "[cpu]") {
  const Generated gauss = generated("gauss", 256);
  const auto with = [&](kernels::Keep keep) {
    return approximation_quality(gauss.problem(), kernels::NmPattern::two_of_four, keep);
  };
  const auto random = with(kernels::Keep::random);
  CHECK((random.retained_mass > 0.47 && random.retained_mass < 0.53));
  CHECK(random.output_error > 0.7);
  const auto smallest = with(kernels::Keep::smallest);
  CHECK(smallest.retained_mass < 0.25);
  CHECK(smallest.differing_groups > 0.9);
  const auto magnitude = with(kernels::Keep::largest_magnitude);
  CHECK(magnitude.differing_groups > 0.1);
  CHECK(magnitude.retained_mass < 0.77);  // so the check of the method would see this bug
}

TEST_CASE("dfss: clustered inputs lose little", "[cpu]") {
  const Generated clustered = generated("clustered", 512);
  const auto quality = approximation_quality(clustered.problem(), kernels::NmPattern::two_of_four);
  INFO("m " << quality.retained_mass << " e " << quality.output_error);
  CHECK(quality.retained_mass > 0.9);
  CHECK(quality.output_error < 0.15);
}

TEST_CASE("dfss: cases have names of their own, and the paper's sizes are all there", "[cpu]") {
  for (const Size size : {Size::smoke, Size::paper}) {
    std::set<std::string> names;
    const auto cases = dfss.cases(size);
    for (const bench::CaseDefinition& definition : cases) names.insert(bench::to_string(definition.name));
    CHECK(names.size() == cases.size());
    if (size == Size::smoke) continue;
    for (const char* name :
         {"n=256 pattern=2:4 heads=192", "n=2048 pattern=1:2 heads=192", "n=4096 pattern=2:4 heads=96"}) {
      CHECK(names.count(name) == 1);
    }
  }
}

}  // namespace
}  // namespace remeasure::experiments
