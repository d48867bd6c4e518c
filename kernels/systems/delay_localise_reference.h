// SPDX-License-Identifier: Apache-2.0
//
// C4D's rules (Dong et al., section 3) in plain loops, a template on the scalar of means, medians and z.
#pragma once

#include <cstdint>
#include <span>

#include "kernels/systems/delay_localise.h"

namespace remeasure::kernels {

/// All windows; `threads` 0 = all cores. Arrays as in delay_localise.
template <class Scalar>
void delay_localise_reference(const DelayShape& shape, std::span<const float> delay,
                              std::span<const float> wait, std::span<const std::int32_t> entered,
                              std::span<const std::int32_t> finished, std::span<Scalar> mean,
                              std::span<std::int32_t> verdict, int threads = 0);

}  // namespace remeasure::kernels
