// SPDX-License-Identifier: Apache-2.0
//
// From samples to a verdict. Rules, first match decides:
//  1. The claim needs something that isn't here (Needs::elsewhere): not measured, with what would measure it.
//  2. A sample of a time claim from the SIMT engine is dropped: a SIMT run never gives a time.
//  3. A sample of a GPU claim that wasn't measured on a GPU is dropped.
//  4. A sample without a value is dropped, and its reason kept.
//  5. No sample left: not measured, with the reasons ("no CUDA device" where a GPU is needed and absent).
//  6. Measured with a model, reported from hardware: not comparable. Both from models: judged, and marked
//  `modelled`.
//  7. Smoke size, and the claim's setting doesn't hold there (`any_size` unset): not comparable.
//  8. About real data (`real_data`), and no case ran on any: not comparable. If some did, only those are
//  judged.
//  9. An absolute time or rate on other hardware than the reported: not comparable. Ratios are judged, with
//  both named.
// 10. A statement: holds in all samples, reproduced; in some, partly; in none, not reproduced.
// 11. A number, after `over` made one value or range [low, high] of the samples, against the reported [a, b]
// widened by
//     the tolerance to [a - t|a|, b + t|b|]:
//       higher is better:  reproduced if low  >= a - t|a|
//       lower is better:   reproduced if high <= b + t|b|
//       neither:           reproduced if both.
// 12. Otherwise partly, if in more than half of the cases the sample's whole interval lies on the same side
// of
//     `no_effect` as the whole reported range does.
// 13. Otherwise not reproduced.
#pragma once

#include <span>
#include <string>

#include "bench/experiment.h"
#include "reports/record.h"

namespace remeasure::bench {

/// ClaimSample::on of a value that comes from a model of hardware begins with this: "model: tensor-core cycle
/// count".
inline constexpr const char* kModelPrefix = "model:";
/// ClaimSample::on of a value measured on the SIMT engine begins with this.
inline constexpr const char* kSimtPrefix = "SIMT";

/// Names of what was there to measure on; empty = none, then `why_no_gpu` says why.
struct Devices {
  std::string cpu, gpu, why_no_gpu;
};

/// What the samples were taken with.
struct Setting {
  Size size = Size::paper;
  bool generated = false;  ///< the data stands in for the real one
};

/// Pure. `samples` are those of this claim, from all cases.
reports::ClaimResult judge(const Claim& claim, std::span<const reports::ClaimSample> samples,
                           const Setting& setting, const Devices& devices);

/// Only a number without a unit of time in it carries over to other hardware: "x", "%", "".
bool is_ratio(const Claim& claim);

}  // namespace remeasure::bench
