// SPDX-License-Identifier: Apache-2.0
//
// Wrong variants that a careless harness believes. Each must end with the status that its fault deserves, and
// without a time; one that passes fails the build.
#include <testing/catch.h>

#include <cstring>
#include <map>
#include <stdexcept>
#include <thread>

#include "bench/output_values.h"
#include "bench/statistics.h"
#include "bench/test_case.h"
#include "kernels/device/float16.h"
#include "reports/record_io.h"

using namespace remeasure;
using namespace remeasure::bench;
using namespace remeasure::bench::testing;
using reports::Status;

namespace {

/// The row of one variant with this body beside a right one, which must stay unharmed.
reports::VariantResult row_of(const Body& body, VariantInfo info = info_of("mutant")) {
  Fixture fixture;
  const reports::CaseResult result = fixture.run({{info_of("right"), right}, {std::move(info), body}});
  REQUIRE(result.error == "");
  REQUIRE(result.variants.size() == 2);
  CHECK(result.variants[0].status == Status::passed);
  CHECK(result.variants[0].time.has_value());
  const reports::VariantResult& row = result.variants[1];
  if (row.status != Status::passed) {
    CHECK_FALSE(row.time.has_value());
    CHECK_FALSE(row.memory.has_value());
    CHECK_FALSE(row.roofline.has_value());
    CHECK_FALSE(row.reason.empty());
  }
  return row;
}

void require_incorrect(const reports::VariantResult& row, const std::string& reason) {
  INFO("reason: " << row.reason);
  CHECK(row.status == Status::incorrect);
  CHECK_THAT(row.reason, Catch::Matchers::ContainsSubstring(reason));
}

}  // namespace

TEST_CASE("the right variant passes, with a time, memory and accuracy", "[cpu]") {
  const auto row = row_of(right);
  INFO(row.reason);
  REQUIRE(row.status == Status::passed);
  REQUIRE(row.time.has_value());
  CHECK(row.time->samples.size() >= 10);
  CHECK(row.time->seconds.low <= row.time->seconds.median);
  REQUIRE(row.memory.has_value());
  CHECK(row.memory->inputs == kElements * 4.0);
  CHECK(row.memory->outputs == kElements * 4.0);
  REQUIRE(row.accuracy.size() == 1);
  CHECK(row.accuracy[0].compared == static_cast<std::int64_t>(kElements));
}

TEST_CASE("mutant: writes nothing", "[cpu]") {
  require_incorrect(row_of([](auto, auto) {}), "never written");
}

TEST_CASE("mutant: writes zeros, and a constant", "[cpu]") {
  require_incorrect(row_of([](auto, auto out) { std::fill(out.begin(), out.end(), 0.0F); }),
                    "above the limit");
  require_incorrect(row_of([](auto, auto out) { std::fill(out.begin(), out.end(), 1.0F); }),
                    "above the limit");
}

TEST_CASE("mutant: leaves the last element out", "[cpu]") {
  require_incorrect(row_of([](auto in, auto out) { right(in.first(kElements - 1), out); }), "never written");
}

TEST_CASE("mutant: stale output, computed in the first call only", "[cpu]") {
  auto calls = std::make_shared<int>(0);
  require_incorrect(row_of([calls](auto in, auto out) {
                      if ((*calls)++ == 0) right(in, out);
                    }),
                    "never written");
}

TEST_CASE("mutant: stops working once it is timed", "[cpu]") {
  auto calls = std::make_shared<int>(0);
  require_incorrect(row_of([calls](auto in, auto out) {
                      if ((*calls)++ < 2) right(in, out);  // the checked run and its repeat
                    }),
                    "the last timed run");
}

TEST_CASE("mutant: transposed", "[cpu]") {
  require_incorrect(row_of([](auto in, auto out) {
                      for (std::size_t i = 0; i < kSide; ++i) {
                        for (std::size_t j = 0; j < kSide; ++j)
                          out[j * kSide + i] = 3 * in[i * kSide + j] + 1;
                      }
                    }),
                    "above the limit");
}

TEST_CASE("mutant: off by one at the edge of a tile", "[cpu]") {
  require_incorrect(row_of([](auto in, auto out) {
                      right(in, out);
                      for (std::size_t i = 15; i < kElements; i += 16) out[i] = 3 * in[i - 1] + 1;
                    }),
                    "above the limit");
}

TEST_CASE("mutant: destroys its input, which is put back for the others", "[cpu]") {
  require_incorrect(row_of([](auto in, auto out) {
                      right(in, out);
                      const_cast<float&>(in[5]) = 0;
                    }),
                    "inputs changed");
}

TEST_CASE("mutant: destroys its input while it is timed, and no variant beside it is believed", "[cpu]") {
  Fixture fixture;
  auto calls = std::make_shared<int>(0);
  const auto result = fixture.run({{info_of("right"), right}, {info_of("mutant"), [calls](auto in, auto out) {
                                                                 right(in, out);
                                                                 if (++*calls > 4)
                                                                   const_cast<float&>(in[5]) += 1e-3F;
                                                               }}});
  for (const auto& row : result.variants) {
    require_incorrect(row, "changed during the timed runs");
    CHECK_FALSE(row.time.has_value());
  }
}

TEST_CASE("mutant: one rounding too low, f16 inside an f32 result", "[cpu]") {
  require_incorrect(row_of([](auto in, auto out) {
                      right(in, out);
                      for (float& value : out) value = static_cast<float>(half(value));
                    }),
                    "above the limit");
}

TEST_CASE("mutant: f32 inside a result that is said to be f64", "[cpu]") {
  VariantInfo info = info_of("mutant");
  info.dtype = "f64";
  info.accept[0].limit = 1e-13;
  require_incorrect(row_of(right, info), "above the limit");
}

TEST_CASE("mutant: too exact for the f16 that it claims", "[cpu]") {
  VariantInfo info = info_of("mutant");
  info.dtype = "f16";
  info.accept[0].limit = 2e-3;
  info.accept[0].at_least = 1e-5;
  require_incorrect(row_of(right, info), "too good");
}

TEST_CASE("mutant: NaN or Inf in one element", "[cpu]") {
  for (const float wrong : {std::nanf(""), INFINITY}) {
    const auto row = row_of([wrong](auto in, auto out) {
      right(in, out);
      out[77] = wrong;
    });
    require_incorrect(row, "1 of 1024 elements");
    REQUIRE(row.accuracy.size() == 1);
    CHECK(std::isinf(row.accuracy[0].value));
    CHECK(row.accuracy[0].worst_index == 77);
  }
}

TEST_CASE("mutant: throws at once, or while it is timed", "[cpu]") {
  const auto first = row_of([](auto, auto) { throw std::runtime_error("no workspace"); });
  CHECK(first.status == Status::failed);
  CHECK(first.reason == "no workspace");
  auto calls = std::make_shared<int>(0);
  const auto later = row_of([calls](auto in, auto out) {
    if (++*calls > 5) throw 42;
    right(in, out);
  });
  CHECK(later.status == Status::failed);
  CHECK_THAT(later.reason, Catch::Matchers::ContainsSubstring("while timed"));
}

TEST_CASE("mutant: other bits in every run", "[cpu]") {
  auto calls = std::make_shared<int>(0);
  const Body noisy = [calls](std::span<const float> in, std::span<float> out) {
    right(in, out);
    out[9] = std::nextafter(out[9], ++*calls % 2 == 0 ? 10.0F : -10.0F);
  };
  require_incorrect(row_of(noisy), "declared bitwise");
  VariantInfo honest = info_of("mutant");
  honest.determinism = Determinism::order_dependent;
  CHECK(row_of(noisy, honest).status == Status::passed);
}

TEST_CASE("mutant: faster than the machine can be", "[cpu]") {
  // The work isn't skipped here but overstated, which looks the same from outside: a time below the floor.
  Fixture fixture;
  Ceilings ceilings;
  ceilings.levels = {{"dram", std::size_t{1} << 40}};
  ceilings.values = {{"read-dram", 1e9}, {"fma-f32", 1e9}};
  fixture.options.ceilings = &ceilings;
  VariantInfo impossible = info_of("impossible"), possible = info_of("possible");
  impossible.work = {.flops = 1e12, .bytes = 0};
  possible.work = {.flops = 1, .bytes = 1};
  const auto result = fixture.run({{impossible, right}, {possible, right}});
  require_incorrect(result.variants[0], "below the floor");
  CHECK_FALSE(result.variants[0].time.has_value());
  CHECK(result.variants[1].status == Status::passed);
  REQUIRE(result.variants[1].roofline.has_value());
  CHECK(*result.variants[1].roofline->fraction_of_floor < 1);
}

TEST_CASE("a ceiling that was measured too low is measured again before it condemns a variant", "[cpu]") {
  Fixture fixture;
  Ceilings ceilings;
  ceilings.levels = {{"dram", std::size_t{1} << 40}};
  ceilings.values = {{"read-dram", 1.0}};
  int again = 0;
  ceilings.measure_again = [&](const std::string& name) {
    CHECK(name == "read-dram");
    ++again;
    return 1e15;
  };
  fixture.options.ceilings = &ceilings;
  VariantInfo info = info_of("variant");
  info.work = {.flops = 0, .bytes = 8192};
  const auto result = fixture.run({{info, right}});
  CHECK(again == 1);
  CHECK(ceilings.values["read-dram"] == 1e15);
  CHECK(result.variants[0].status == Status::passed);
}

TEST_CASE("a requirement that zeros would meet verifies nothing", "[cpu]") {
  VariantInfo info = info_of("mutant");
  info.accept[0].limit = 2;
  const auto row = row_of(right, info);
  CHECK(row.status == Status::not_verified);
  CHECK_THAT(row.reason, Catch::Matchers::ContainsSubstring("can't fail"));
}

TEST_CASE("a variant without a requirement, without an oracle or without the output isn't verified",
          "[cpu]") {
  VariantInfo info = info_of("mutant");
  info.accept.clear();
  CHECK(row_of(right, info).status == Status::not_verified);
  info.accept = {{.output = "other", .limit = 1e-6, .reason = ""}};
  const auto row = row_of(right, info);
  CHECK(row.status == Status::failed);
  CHECK_THAT(row.reason, Catch::Matchers::ContainsSubstring("no output 'other'"));
}

TEST_CASE("every mutant's row is a valid record", "[cpu]") {
  Fixture fixture;
  reports::Record record;
  record.run_id = "00000000-0000-4000-8000-000000000000";
  record.started = "2026-01-01T00:00:00Z";
  record.experiment = "test";
  record.theme = "testing";
  record.size = "smoke";
  record.cases = {fixture.run({{info_of("right"), right}, {info_of("null"), [](auto, auto) {}}})};
  CHECK_NOTHROW(reports::from_json(reports::to_json(record), "test"));
}
