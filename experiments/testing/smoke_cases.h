// SPDX-License-Identifier: Apache-2.0
//
// For an experiment's tests: its smoke cases, run through the real frame, and what must hold of every one of
// them.
#pragma once

#include <testing/catch.h>

#include <map>
#include <string>
#include <vector>

#include "bench/test_case.h"

namespace remeasure::experiments::testing {

/// All smoke cases, with times as short as they can be. Run once by whoever keeps them in a static.
inline std::vector<reports::CaseResult> run_smoke_cases(const bench::Experiment& experiment,
                                                        const std::string& theme) {
  const bench::testing::TemporaryFolder folder;
  bench::RunOptions options;
  options.data_root = folder.path();
  options.min_time = 1e-3;
  std::vector<reports::CaseResult> all;
  for (const bench::CaseDefinition& definition : experiment.cases(bench::Size::smoke)) {
    all.push_back(bench::run_case({&experiment, theme}, definition, options));
  }
  return all;
}

/// No error, every check passed, and every variant that runs without a GPU passed. How many cases each
/// variant passed in.
inline std::map<std::string, int> check_all_passed(const std::vector<reports::CaseResult>& results) {
  std::map<std::string, int> passed;
  for (const reports::CaseResult& result : results) {
    INFO(result.name);
    CHECK(result.error == "");
    for (const reports::Check& check : result.checks) {
      INFO(check.name << ": " << check.detail);
      CHECK(check.passed);
    }
    for (const reports::VariantResult& variant : result.variants) {
      INFO(variant.name << ": " << variant.reason);
      const bool as_expected =
          variant.status == reports::Status::passed || variant.status == reports::Status::not_run ||
          (variant.where == reports::Where::gpu && variant.status == reports::Status::not_supported);
      CHECK(as_expected);
      if (variant.where != reports::Where::gpu)
        passed[variant.name] += variant.status == reports::Status::passed ? 1 : 0;
    }
  }
  return passed;
}

}  // namespace remeasure::experiments::testing
