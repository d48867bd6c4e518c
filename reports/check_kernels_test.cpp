// SPDX-License-Identifier: Apache-2.0
//
// Rule 24, inequality by inequality.
#include "reports/check_kernels.h"

#include <testing/catch.h>
#include <algorithm>
#include <functional>
#include <string>
#include <vector>

#include "reports/record_io.h"
#include "reports/sample_records.h"

namespace remeasure::reports {
namespace {

using Catch::Matchers::ContainsSubstring;
using Lines = std::vector<std::string>;

/// The sample's kernels: [0] launched with an occupancy of 25 %, [1] and [2] not launched; [2] spills.
CheckResult after(const std::function<void(Record&)>& change) {
  Record record = samples::attention();
  change(record);
  CheckResult result;
  compare_kernels(samples::attention(), record, result);
  return result;
}

/// "sddmm_nm<bf16> on sm_90: spilled bytes: worse" for every row that isn't `same`.
Lines changes(const CheckResult& result) {
  Lines lines;
  for (const CheckRow& row : result.rows) {
    if (row.judgement.outcome == Outcome::same) continue;
    lines.push_back(row.variant + ": " + row.quantity + ": " + to_string(row.judgement.outcome));
  }
  return lines;
}

TEST_CASE("kernel figures compared with themselves are the same", "[cpu]") {
  const CheckResult result = after([](Record&) {});
  CHECK(changes(result).empty());
  CHECK(result.rows.size() == 3 * 4 + 1);  // an occupancy only where there is one
  CHECK(result.not_applied.empty());
}

TEST_CASE("(24a) more spilled bytes or stack are worse, fewer are better", "[cpu]") {
  CHECK(changes(after([](Record& it) { it.kernels[0].spill_bytes = 8; })) ==
        Lines{"sddmm_nm<bf16> on sm_90: spilled bytes: worse"});
  CHECK(changes(after([](Record& it) { it.kernels[1].stack_bytes = 8; })) ==
        Lines{"spmm_nm<bf16, 64> on sm_90: stack: worse"});
  CHECK(changes(after([](Record& it) { it.kernels[2].spill_bytes = 25; })) ==
        Lines{"spmm_nm<bf16, 128> on sm_90: spilled bytes: worse"});
  CHECK(changes(after([](Record& it) { it.kernels[2].spill_bytes = 0; })) ==
        Lines{"spmm_nm<bf16, 128> on sm_90: spilled bytes: better"});
}

TEST_CASE("(24b) a lower occupancy alone is worse and says what limits it", "[cpu]") {
  const CheckResult result = after([](Record& it) { it.kernels[0].occupancy = 0.125; });
  CHECK(changes(result) == Lines{"sddmm_nm<bf16> on sm_90: occupancy: worse"});
  const auto row = std::find_if(result.rows.begin(), result.rows.end(),
                                [](const CheckRow& it) { return it.judgement.outcome == Outcome::worse; });
  CHECK(row->before == "25 %");
  CHECK(row->judgement.note == "limited by registers");
  CHECK(changes(after([](Record& it) { it.kernels[0].occupancy = 0.5; })) ==
        Lines{"sddmm_nm<bf16> on sm_90: occupancy: better"});
  CHECK(changes(after([](Record& it) { it.kernels[0].occupancy.reset(); })).empty());

  const CheckResult other_block = after([](Record& it) {
    it.kernels[0].occupancy = 0.125;
    it.kernels[0].block_threads = 64;
  });
  CHECK(changes(other_block).size() == 1);
  CHECK_THAT(other_block.rows[2].judgement.note,
             ContainsSubstring("block of 256 threads") && ContainsSubstring("64 threads"));
}

TEST_CASE("(24c) more registers or shared memory that cost no occupancy are unclear", "[cpu]") {
  CHECK(changes(after([](Record& it) { it.kernels[0].registers = 132; })) ==
        Lines{"sddmm_nm<bf16> on sm_90: registers: unclear"});
  CHECK(changes(after([](Record& it) { it.kernels[0].registers = 131; })).empty());  // 2.3 %
  CHECK(changes(after([](Record& it) { it.kernels[0].shared_bytes = 2048; })) ==
        Lines{"sddmm_nm<bf16> on sm_90: shared memory: unclear"});
}

TEST_CASE("(24d) a kernel that is gone is worse in a complete run, unclear in another", "[cpu]") {
  CHECK(changes(after([](Record& it) { it.kernels.erase(it.kernels.begin()); })) ==
        Lines{"sddmm_nm<bf16> on sm_90: kernel: worse"});
  CHECK(changes(after([](Record& it) {
          it.kernels.erase(it.kernels.begin());
          it.state = RunState::interrupted;
        })) == Lines{"sddmm_nm<bf16> on sm_90: kernel: unclear"});
  // One of the same name in another file is another kernel.
  CHECK(changes(after([](Record& it) { it.kernels[0].source = "kernels/graphs/sddmm.cu"; })) ==
        Lines{"sddmm_nm<bf16> on sm_90: kernel: worse"});
}

TEST_CASE("(14) after a change of the toolkit nothing is worse", "[cpu]") {
  const CheckResult result = after([](Record& it) {
    it.build.cuda_toolkit = "13.1";
    it.kernels[0].spill_bytes = 8;
    it.kernels[0].occupancy = 0.125;
    it.kernels.pop_back();
  });
  CHECK(changes(result) == Lines{"sddmm_nm<bf16> on sm_90: spilled bytes: unclear",
                                 "sddmm_nm<bf16> on sm_90: occupancy: unclear",
                                 "spmm_nm<bf16, 128> on sm_90: kernel: unclear"});
  CHECK_THAT(result.rows[0].judgement.note, ContainsSubstring("now 13.1") || ContainsSubstring("13.1 now"));
}

TEST_CASE("(14) figures that a program can't have are not compared, and it is said", "[cpu]") {
  const CheckResult without_nvcc = after([](Record& it) {
    it.kernels.clear();
    it.build.cuda_toolkit.clear();
  });
  CHECK(without_nvcc.rows.empty());
  REQUIRE(without_nvcc.not_applied.size() == 1);
  CHECK_THAT(without_nvcc.not_applied[0], ContainsSubstring("built without the CUDA toolkit"));

  const CheckResult without_launch = after([](Record& it) { it.kernels.clear(); });
  REQUIRE(without_launch.not_applied.size() == 1);
  CHECK_THAT(without_launch.not_applied[0], ContainsSubstring("launched no kernel"));

  const CheckResult other_architecture = after([](Record& it) {
    for (KernelFigures& kernel : it.kernels) kernel.architecture = "sm_80";
  });
  CHECK(other_architecture.rows.empty());
  REQUIRE(other_architecture.not_applied.size() == 1);
  CHECK_THAT(other_architecture.not_applied[0], ContainsSubstring("of sm_90 not compared"));
}

TEST_CASE("(14) a reference from before there were figures compares fine", "[cpu]") {
  Record before = samples::attention();
  before.kernels.clear();
  CheckResult result;
  compare_kernels(before, samples::attention(), result);
  CHECK(result.rows.empty());
  CHECK(result.not_applied.empty());

  // Figures without source and launch, as the first records could have had.
  Record bare = samples::attention();
  for (KernelFigures& kernel : bare.kernels) {
    kernel.source.clear();
    kernel.block_threads.reset();
    kernel.occupancy.reset();
  }
  CheckResult with_bare;
  compare_kernels(bare, samples::attention(), with_bare);
  CHECK(changes(with_bare).empty());
}

TEST_CASE("a spill makes the check exit 1 and stands in its text with kernel and architecture", "[cpu]") {
  Record sound = samples::attention();
  for (CaseResult& test : sound.cases) test.variants.resize(4);
  Record spilling = sound;
  spilling.kernels[0].spill_bytes = 8;
  const CheckResult result = check({sound}, {spilling});
  CHECK(result.exit_code == ExitCode::regression);
  CHECK_THAT(check_text(result, {.columns = 140}),
             ContainsSubstring("sddmm_nm<bf16> on sm_90") && ContainsSubstring("spilled bytes"));
  Record slack = sound;
  slack.kernels[0].registers = 168;
  CHECK(check({sound}, {slack}).exit_code == ExitCode::fine);
}

}  // namespace
}  // namespace remeasure::reports
