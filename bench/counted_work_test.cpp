// SPDX-License-Identifier: Apache-2.0
#include "bench/counted_work.h"

#include <testing/catch.h>
#include <stdexcept>

#include "bench/test_case.h"
#include "kernels/device/testing/saxpy.h"

using namespace remeasure;
using namespace remeasure::bench;
using namespace remeasure::bench::testing;
using Catch::Matchers::ContainsSubstring;

namespace {

CountedVariant counted(const Work& work) {
  return {.case_name = "n=8",
          .variant = "kernel",
          .work = work,
          .counted = {.flops = 1000, .bytes = 200, .special = 50}};
}

/// A case with a kernel, a CPU variant that mustn't run, and a claim that needs its time.
void run_saxpy(Trial& t) {
  VariantInfo info = info_of("kernel");
  info.work = {.flops = 2.0 * kElements};
  t.oracle("out", 1, []() -> OracleOutput { throw std::runtime_error("the oracle isn't needed"); });
  t.host(info_of("eigen"),
         [](HostBench&) -> std::function<void()> { throw std::runtime_error("eigen isn't needed"); });
  t.kernel(info, [](auto& bench) -> std::function<void()> {
    const auto x = bench.input(inputs_of(1));
    const auto y = bench.template output<float>("out", kElements);
    return [=, &stream = bench.stream()] { kernels::saxpy(stream, 2.0F, x, y); };
  });
  t.measure();
  throw std::logic_error("this needs a measurement");
}

}  // namespace

TEST_CASE("A formula may be off by 5 % of the count, not by 6 %", "[cpu]") {
  CHECK(disagreements(counted({.flops = 1000, .bytes = 200, .special = 50})).empty());
  CHECK(disagreements(counted({.flops = 1049, .bytes = 191, .special = 48})).empty());
  const auto off = disagreements(counted({.flops = 1060, .bytes = 212, .special = 47}));
  REQUIRE(off.size() == 3);
  CHECK_THAT(off[0], ContainsSubstring("kernel of n=8") &&
                         ContainsSubstring("1060 flops, 1000 were counted (+6.0 %"));
  CHECK_THAT(off[1], ContainsSubstring("47 special functions, 50 were counted (-6.0 %"));
  CHECK_THAT(off[2], ContainsSubstring("212 bytes, 200 were counted (+6.0 %"));
}

TEST_CASE("A formula that is missing disagrees, and one of something that doesn't happen", "[cpu]") {
  CHECK(disagreements(counted({})).size() == 3);
  CountedVariant idle{.case_name = "n=8", .variant = "kernel", .work = {.flops = 1}};
  CHECK(disagreements(idle).size() == 1);
  idle.work.flops = 0;
  CHECK(disagreements(idle).empty());
}

TEST_CASE("A stated reason frees operations, never bytes, and is shown", "[cpu]") {
  const CountedVariant variant = counted({.bytes = 100, .uncounted = "depends on the data"});
  CHECK(disagreements(variant).size() == 1);
  CHECK_THAT(table_of({variant}), ContainsSubstring("flops not compared: depends on the data"));
  CountedVariant left_out = counted({});
  left_out.not_run = "too large";
  CHECK(disagreements(left_out).empty());
  CHECK_THAT(table_of({left_out}), ContainsSubstring("not run on SIMT: too large"));
}

TEST_CASE("Counting runs a case's kernels on Simt and nothing else", "[simt]") {
  Experiment experiment{.paper = {.id = "test"}};
  experiment.cases = [](Size) {
    return std::vector<CaseDefinition>{{.name = {{"n", "32"}}, .run = run_saxpy}};
  };
  TemporaryFolder folder;
  RunOptions options;
  options.data_root = folder.path();
  const auto counted = count_work({&experiment, "testing"}, options);
  REQUIRE(counted.size() == 1);
  CHECK(counted[0].case_name == "n=32");
  CHECK(counted[0].variant == "kernel");
  CHECK(counted[0].work.flops == 2.0 * kElements);
  CHECK(counted[0].not_run.empty());
}

TEST_CASE("A case that fails while it is counted is named", "[cpu]") {
  Experiment experiment{.paper = {.id = "test"}};
  experiment.cases = [](Size) {
    return std::vector<CaseDefinition>{
        {.name = {{"n", "32"}}, .run = [](Trial&) { throw std::runtime_error("no data"); }}};
  };
  CHECK_THROWS_WITH(count_work({&experiment, "testing"}), ContainsSubstring("test n=32: no data"));
}
