// SPDX-License-Identifier: Apache-2.0
#include "reports/format.h"

#include <testing/catch.h>
#include <cmath>

namespace remeasure::reports {
namespace {

TEST_CASE("seconds have three digits and the fitting unit", "[cpu]") {
  CHECK(seconds_text(42.14e-6) == "42.1 µs");
  CHECK(seconds_text(999.6e-6) == "1.00 ms");
  CHECK(seconds_text(0.9996) == "1.00 s");
  CHECK(seconds_text(3e-9) == "3.00 ns");
  CHECK(seconds_text(2e-12) == "0.00200 ns");
  CHECK(seconds_text(1234.5) == "1234 s");
  CHECK(seconds_text(0) == "0 s");
  CHECK(seconds_text(INFINITY) == "not finite");
}

TEST_CASE("bytes are binary and whole below a KiB", "[cpu]") {
  CHECK(bytes_text(0) == "0 B");
  CHECK(bytes_text(1023) == "1023 B");
  CHECK(bytes_text(1024) == "1.00 KiB");
  CHECK(bytes_text(18874368) == "18.0 MiB");
  CHECK(bytes_text(137438953472.0) == "128 GiB");
}

TEST_CASE("ratios, percents and errors", "[cpu]") {
  CHECK(ratio_text(1.589) == "1.59×");
  CHECK(ratio_text(9.999) == "10.0×");
  CHECK(ratio_text(6150) == "6150×");
  CHECK(percent_text(0.62) == "62 %");
  CHECK(percent_text(0.0031) == "0.31 %");
  CHECK(percent_text(1) == "100 %");
  CHECK(error_text(3.1e-3) == "3.1e-3");
  CHECK(error_text(2e-2) == "2e-2");
  CHECK(error_text(0) == "0");
  CHECK(error_text(NAN) == "not finite");
}

TEST_CASE("intervals join their ends so that no dash reads as a minus", "[cpu]") {
  CHECK(interval_text({1.27, 1.89}, "x") == "1.27–1.89×");
  CHECK(interval_text({45, 45}, "x") == "45×");
  CHECK(interval_text({93.19, 93.19}, "F1") == "93.19 F1");
  CHECK(interval_text({1e-16, 1e-14}) == "1e-16 to 1e-14");
  CHECK(interval_text({-2, 3}, "%") == "-2 to 3 %");
  CHECK(interval_text({1.5811, 1.5812}, "x") == "1.58×");
  CHECK(interval_text({1.581, 1.597}, "x") == "1.58–1.60×");
  CHECK(interval_text({2, 3}, "x") == "2–3×");
  CHECK(interval_text({10, 3403}, "x") == "10.0–3403×");
}

TEST_CASE("a time carries the distance to the ends of its interval", "[cpu]") {
  CHECK(time_text({1e-3, 0.99e-3, 1.003e-3}) == "1.00 ms ±1.0 %");
  CHECK(time_text({1, 1, 1}) == "1.00 s ±0.0 %");
}

TEST_CASE("other numbers", "[cpu]") {
  CHECK(number_text(0.798) == "0.798");
  CHECK(number_text(24, "parameters") == "24 parameters");
  CHECK(number_text(1234567890) == "1.23457e9");
  CHECK(number_text(0.0021, "s") == "2.10 ms");
  CHECK(rate_text(4.1e12, "B") == "4.10 TB/s");
  CHECK(ceiling_text("read-dram", 4.1e12) == "4.10 TB/s");
  CHECK(ceiling_text("gpu-copy-l2", 4.1e12) == "4.10 TB/s");
  CHECK(ceiling_text("fma-f64", 4.1e12) == "4.10 Tflop/s");
  CHECK(ceiling_text("gpu-mma-i8", 4.1e12) == "4.10 Tflop/s");
  CHECK(ceiling_text("gpu-launch-graph", 4.1e-6) == seconds_text(4.1e-6));
  CHECK(plain_decimal(1.5e-7) == "0.00000015");
  CHECK(plain_decimal(7.25) == "7.25");
  CHECK(plain_decimal(0) == "0");
  CHECK(exact_text(0.1) == "0.1");
}

}  // namespace
}  // namespace remeasure::reports
