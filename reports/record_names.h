// SPDX-License-Identifier: Apache-2.0
//
// Names of the enumerators, in their order. Reports and files use the same words.
#pragma once

#include <array>

namespace remeasure::reports {

inline constexpr std::array kStatusNames = {"passed",  "incorrect", "not verified", "not supported",
                                            "not run", "failed",    "timed out"};
inline constexpr std::array kVerdictNames = {"reproduced", "partly", "not reproduced", "not comparable",
                                             "not measured"};
inline constexpr std::array kWhereNames = {"gpu", "cpu", "simt"};
inline constexpr std::array kRunStateNames = {"complete", "partial", "interrupted", "crashed", "timed out"};

}  // namespace remeasure::reports
