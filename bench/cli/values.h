// SPDX-License-Identifier: Apache-2.0
//
// What the value of an option may be. Each check gives an empty text, or what is wrong. CLI11's own checks
// describe themselves in the help and in messages with digits by the hundred; these don't.
#pragma once

#include <functional>
#include <string>
#include <vector>

namespace remeasure::bench::cli {

std::string positive_number(const std::string& text);
std::string duration(const std::string& text);
std::string whole_number(const std::string& text);
/// `what` names the option's kind in the message, which has the nearest choices.
std::function<std::string(const std::string&)> one_of(const char* what, std::vector<std::string> choices);

}  // namespace remeasure::bench::cli
