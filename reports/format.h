// SPDX-License-Identifier: Apache-2.0
//
// How a number looks in every report that people read. (Files for programs carry full precision.)
#pragma once

#include <optional>
#include <string>

#include "reports/record.h"

namespace remeasure::reports {

/// Three significant digits without an exponent: "42.1", "1840", "0.0312".
std::string significant(double value, int digits = 3);

std::string seconds_text(double seconds);   ///< "42.1 µs"; "0 s"
std::string bytes_text(double bytes);       ///< "18.0 MiB"; whole bytes below 1 KiB
std::string ratio_text(double ratio);       ///< "1.59×"
std::string percent_text(double fraction);  ///< "62 %", "0.31 %"
std::string error_text(double error);       ///< "3.1e-3"; "0"; "not finite"
/// Any other number: up to six digits, an exponent only where it is shorter; unit after it ("x" becomes "×").
std::string number_text(double value, const std::string& unit = "");
/// "1.27–1.89×"; one number where both ends are written alike; "1e-16 to 1e-14".
std::string interval_text(const Interval& interval, const std::string& unit = "");
/// "42.1 µs ±0.3 %": the median and the larger distance to an end of its 95 % interval.
std::string time_text(const Estimate& seconds);
std::string rate_text(double per_second, const std::string& unit);  ///< "4.1 TB/s": decimal prefixes
/// A ceiling in the unit that its name implies: "1.20 Tflop/s" (gemm, fma, gpu-mma, gpu-fma), "3.1 µs"
/// (gpu-launch), "4.10 TB/s".
std::string ceiling_text(const std::string& name, double value);

/// A decimal number without an exponent, for formats that refuse one (JUnit's schema).
std::string plain_decimal(double value);

/// Shortest text that reads back as the same double.
std::string exact_text(double value);

}  // namespace remeasure::reports
