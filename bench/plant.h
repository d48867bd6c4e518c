// SPDX-License-Identifier: Apache-2.0
//
// A hook for testing `remeasure check` with the real program:
// REMEASURE_PLANT="<experiment>/<case>/<variant>=1.10" makes each timed call of that CPU variant take 1.10
// times as long, by spinning after it in proportion to what it took. Real wall time that the sampler
// measures; nothing is multiplied afterwards. A record made with it says so in its notes and in the variant's
// description, so that none is taken for a measurement by accident.
#pragma once

#include <functional>
#include <string>

namespace remeasure::bench {

/// The text of $REMEASURE_PLANT; empty if it isn't set.
std::string plant();

/// The factor that `text` asks for the benchmark `name`; 1 if it names another. Throws std::invalid_argument
/// for a text that isn't NAME=FACTOR with a factor from 1 to 10.
double planted_factor(const std::string& text, const std::string& name);

/// `work`, followed by (factor - 1) times its own duration of doing nothing.
std::function<void()> slowed_down(std::function<void()> work, double factor);

}  // namespace remeasure::bench
