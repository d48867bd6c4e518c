// SPDX-License-Identifier: Apache-2.0
#include "bench/verify.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace remeasure::bench {
namespace {

using reports::Status;

/// The elements of one requirement, side by side.
struct Compared {
  std::vector<double> out, reference, scale;
  std::vector<std::size_t> elements;  ///< index in the output
};

Compared select(const Accept& accept, const std::vector<double>& out, const OracleOutput& oracle) {
  Compared compared;
  for (std::size_t i = 0; i < oracle.values.size(); ++i) {
    const std::size_t element = oracle.indices.empty() ? i : oracle.indices[i];
    if (accept.only && !accept.only(element)) continue;
    compared.elements.push_back(element);
    compared.out.push_back(out.at(element));
    compared.reference.push_back(oracle.values[i]);
    if (!oracle.scale.empty()) compared.scale.push_back(oracle.scale[i]);
  }
  // Without scales of its own, an element is measured against the largest of the whole output, whatever
  // `only` keeps.
  if (oracle.scale.empty() && accept.only && accept.metric != ErrorMetric::relative_l2) {
    double largest = 0;
    for (const double value : oracle.values) {
      if (std::isfinite(value)) largest = std::max(largest, std::abs(value));
    }
    if (largest > 0) compared.scale.assign(compared.out.size(), largest);
  }
  return compared;
}

bool within(const Accept& accept, double error) {
  return error <= accept.limit && (!accept.at_least || error >= *accept.at_least);
}

std::string why_wrong(const Accept& accept, const Compared& compared, const ErrorValue& error) {
  const std::string what = fmt::format("output '{}': {}", accept.output, to_string(accept.metric));
  if (std::isinf(error.value)) {
    const auto count =
        std::count_if(compared.out.begin(), compared.out.end(), [](double v) { return !std::isfinite(v); });
    return fmt::format("output '{}': {} of {} elements are NaN or Inf or were never written, the worst at {}",
                       accept.output, count, compared.out.size(),
                       compared.elements[static_cast<std::size_t>(error.worst_index)]);
  }
  if (error.value > accept.limit) {
    return fmt::format("{} {:.3g} is above the limit {:.3g}{}", what, error.value, accept.limit,
                       error.worst_index < 0
                           ? ""
                           : fmt::format(" (worst element {})",
                                         compared.elements[static_cast<std::size_t>(error.worst_index)]));
  }
  return fmt::format("{} {:.3g} is below {:.3g}: too good for the type that it is said to have", what,
                     error.value, *accept.at_least);
}

}  // namespace

Verification verify(const std::vector<Accept>& accept, const std::vector<OutputCopy>& outputs,
                    const Oracles& oracles) {
  if (accept.empty()) return {Status::not_verified, "the variant states no requirement on its outputs", {}};
  Verification result;
  for (const Accept& wanted : accept) {
    const auto found = std::find_if(outputs.begin(), outputs.end(),
                                    [&](const OutputCopy& output) { return output.name == wanted.output; });
    if (found == outputs.end()) {
      return {Status::failed, fmt::format("the variant has no output '{}'", wanted.output), {}};
    }
    const auto oracle = oracles.find(wanted.output);
    if (oracle == oracles.end()) {
      return {Status::not_verified, fmt::format("output '{}' has no oracle", wanted.output), {}};
    }
    const std::vector<double> values = found->values();
    const OracleOutput& reference = oracle->second;
    const bool sampled = !reference.indices.empty();
    if (!sampled && reference.values.size() != values.size()) {
      return {Status::failed,
              fmt::format("output '{}' has {} elements, its oracle {}", wanted.output, values.size(),
                          reference.values.size()),
              {}};
    }
    if (sampled && *std::max_element(reference.indices.begin(), reference.indices.end()) >= values.size()) {
      return {Status::failed,
              fmt::format("the oracle samples an element beyond the {} of output '{}'", values.size(),
                          wanted.output),
              {}};
    }
    if (sampled && reference.values.size() < std::min(kFewestSamples, values.size())) {
      return {Status::not_verified,
              fmt::format("the oracle of '{}' samples {} elements; at least {} are needed", wanted.output,
                          reference.values.size(), std::min(kFewestSamples, values.size())),
              {}};
    }
    const Compared compared = select(wanted, values, reference);
    if (compared.out.empty()) {
      return {Status::not_verified, fmt::format("no element of '{}' is left to compare", wanted.output), {}};
    }
    const std::vector<double> zeros(compared.out.size(), 0.0);
    if (within(wanted, error_of(wanted.metric, zeros, compared.reference, compared.scale).value)) {
      return {
          Status::not_verified,
          fmt::format(
              "an output of zeros would pass the requirement on '{}' ({} <= {:.3g}): the check can't fail",
              wanted.output, to_string(wanted.metric), wanted.limit),
          {}};
    }

    const ErrorValue error = error_of(wanted.metric, compared.out, compared.reference, compared.scale);
    reports::Accuracy accuracy;
    accuracy.output = wanted.output;
    accuracy.metric = to_string(wanted.metric);
    accuracy.value = error.value;
    accuracy.limit = wanted.limit;
    accuracy.at_least = wanted.at_least;
    accuracy.reason = wanted.reason;
    if (error.worst_index >= 0) {
      accuracy.worst_index =
          static_cast<std::int64_t>(compared.elements[static_cast<std::size_t>(error.worst_index)]);
    }
    accuracy.compared = static_cast<std::int64_t>(compared.out.size());
    accuracy.sampled = sampled;
    accuracy.passed = within(wanted, error.value);
    if (!accuracy.passed && result.status == Status::passed) {
      result.status = Status::incorrect;
      result.reason = why_wrong(wanted, compared, error);
    }
    result.accuracy.push_back(std::move(accuracy));
  }
  return result;
}

}  // namespace remeasure::bench
