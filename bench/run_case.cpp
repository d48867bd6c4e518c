// SPDX-License-Identifier: Apache-2.0
#include "bench/run_case.h"

#include <chrono>
#include <exception>

#include "bench/system.h"
#include "bench/trial_impl.h"
#include "bench/verdict.h"

namespace remeasure::bench {

reports::CaseResult run_case(const Registered& experiment, const CaseDefinition& definition,
                             const RunOptions& options) {
  const auto start = std::chrono::steady_clock::now();
  reports::CaseResult result;
  result.name = to_string(definition.name);
  for (const auto& [key, value] : definition.name) result.parameters[key] = value;
  result.seed = options.seed;
  if (!definition.left_out.empty()) {
    result.left_out = definition.left_out;
    return result;
  }
  try {
    TrialImpl trial(*experiment.experiment, definition, options, result);
    definition.run(trial);
    trial.conclude();
  } catch (const CaseCounted&) {  // what the case says after measure() needs measurements
  } catch (const VariantUnavailable&) {
    throw;
  } catch (const Interrupted&) {
    throw;
  } catch (const DeviceBroken&) {
    throw;
  } catch (const DeviceError& error) {
    result.error = error.what();
    if (error.sticky()) throw DeviceBroken(error.what(), {}, error.reach);
  } catch (const std::exception& error) {
    result.error = *error.what() == 0 ? "an exception without text" : error.what();
  } catch (...) {
    result.error = "an exception that isn't a std::exception";
  }
  result.elapsed_seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return result;
}

std::vector<reports::ClaimResult> judge_all(const Experiment& experiment,
                                            const std::vector<reports::CaseResult>& cases, Size size) {
  const Devices devices{cpu_name(), gpu_name(), why_no_gpu()};
  std::vector<reports::ClaimResult> results;
  for (const Claim& claim : experiment.claims) {
    std::vector<reports::ClaimSample> samples, of_real_data;
    for (const reports::CaseResult& one : cases) {
      for (const reports::ClaimSample& sample : one.claim_samples) {
        if (sample.claim != claim.id) continue;
        samples.push_back(sample);
        if (!one.synthetic) of_real_data.push_back(sample);
      }
    }
    const bool generated = of_real_data.empty();
    const bool only_real = claim.real_data && !generated;
    results.push_back(
        judge(claim, only_real ? of_real_data : samples, {.size = size, .generated = generated}, devices));
  }
  return results;
}

}  // namespace remeasure::bench
