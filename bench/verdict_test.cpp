// SPDX-License-Identifier: Apache-2.0
#include "bench/verdict.h"

#include <testing/catch.h>
#include <cmath>

using namespace remeasure;
using namespace remeasure::bench;
using Catch::Matchers::ContainsSubstring;
using reports::ClaimSample;
using reports::Verdict;

namespace {

const Devices kCpuOnly{"AMD EPYC", "", "no CUDA device (no NVIDIA driver)"};
const Devices kWithGpu{"AMD EPYC", "NVIDIA H200", ""};

Claim speedup_claim() {
  Claim claim;
  claim.id = "speedup";
  claim.reported = {1.27, 1.89};
  claim.on = "A100, batch 48";
  claim.source = "abstract";
  claim.is_time = true;
  return claim;
}

ClaimSample value(double median, const std::string& on = "AMD EPYC", double spread = 0.01) {
  ClaimSample sample;
  sample.claim = "speedup";
  sample.value = reports::Estimate{median, median * (1 - spread), median * (1 + spread)};
  sample.on = on;
  return sample;
}

ClaimSample missing(const std::string& why) {
  ClaimSample sample;
  sample.claim = "speedup";
  sample.missing = why;
  return sample;
}

ClaimSample statement(bool holds) {
  ClaimSample sample;
  sample.claim = "speedup";
  sample.holds = holds;
  sample.on = "AMD EPYC";
  return sample;
}

reports::ClaimResult paper(const Claim& claim, const std::vector<ClaimSample>& samples,
                           const Devices& devices = kCpuOnly) {
  return judge(claim, samples, {.size = Size::paper}, devices);
}

}  // namespace

TEST_CASE("rule 1: what can't be measured here says what would measure it", "[cpu]") {
  Claim claim = speedup_claim();
  claim.needs = Needs::elsewhere;
  claim.instead = "needs ImageNet and eight GPUs for a week";
  const auto result = paper(claim, {value(5)});
  CHECK(result.verdict == Verdict::not_measured);
  CHECK(result.why == claim.instead);
  CHECK_FALSE(result.measured.has_value());
}

TEST_CASE("rule 2: a SIMT run never gives a timing verdict", "[cpu]") {
  const auto result = paper(speedup_claim(), {value(1.5, "SIMT on AMD EPYC")});
  CHECK(result.verdict == Verdict::not_measured);
  CHECK_THAT(result.why, ContainsSubstring("SIMT"));
  Claim accuracy = speedup_claim();
  accuracy.is_time = false;
  CHECK(paper(accuracy, {value(1.5, "SIMT on AMD EPYC")}).verdict == Verdict::reproduced);
}

TEST_CASE("rules 3 and 5: a GPU claim without a GPU isn't measured, whatever the CPU says", "[cpu]") {
  Claim claim = speedup_claim();
  claim.needs = Needs::gpu;
  for (const auto& samples :
       {std::vector<ClaimSample>{}, {value(1.5)}, {missing("vendor: no CUDA device")}}) {
    const auto result = paper(claim, samples);
    CHECK(result.verdict == Verdict::not_measured);
    CHECK_THAT(result.why, ContainsSubstring("no CUDA device"));
  }
  CHECK(paper(claim, {value(1.5, "NVIDIA H200")}, kWithGpu).verdict == Verdict::reproduced);
  CHECK(paper(claim, {value(1.5)}, kWithGpu).verdict == Verdict::not_measured);
}

TEST_CASE("rules 4 and 5: missing values keep their reasons, withheld speedups among them", "[cpu]") {
  CHECK_THAT(paper(speedup_claim(), {}).why, ContainsSubstring("no case"));
  const auto withheld =
      paper(speedup_claim(), {missing("withheld: 12x over a vendor library without an explanation")});
  CHECK(withheld.verdict == Verdict::not_measured);
  CHECK_THAT(withheld.why, ContainsSubstring("withheld"));
  const auto some = paper(speedup_claim(), {value(1.5), missing("kernel: incorrect")});
  CHECK(some.verdict == Verdict::reproduced);
  CHECK_THAT(some.why, ContainsSubstring("not measured in 1 cases: kernel: incorrect"));
}

TEST_CASE("rule 6: a model confirms only what came from a model, and says so", "[cpu]") {
  Claim claim = speedup_claim();
  const auto refused = paper(claim, {value(1.5, "model: cycle count")});
  CHECK(refused.verdict == Verdict::not_comparable);
  CHECK(refused.modelled);
  claim.modelled = true;
  const auto judged = paper(claim, {value(1.5, "model: cycle count")});
  CHECK(judged.verdict == Verdict::reproduced);
  CHECK(judged.modelled);
}

TEST_CASE("rule 7: smoke size is not comparable unless the setting holds there", "[cpu]") {
  Claim claim = speedup_claim();
  const std::vector<ClaimSample> samples{value(1.5)};
  const auto smoke = judge(claim, samples, {.size = Size::smoke}, kCpuOnly);
  CHECK(smoke.verdict == Verdict::not_comparable);
  CHECK_THAT(smoke.why, ContainsSubstring("smoke size"));
  CHECK(smoke.measured.has_value());  // shown, not judged
  claim.any_size = true;
  CHECK(judge(claim, samples, {.size = Size::smoke}, kCpuOnly).verdict == Verdict::reproduced);
}

TEST_CASE("rule 8: generated data can't confirm what was reported of real data", "[cpu]") {
  Claim claim = speedup_claim();
  const std::vector<ClaimSample> samples{value(1.5)};
  const Setting generated{.size = Size::paper, .generated = true};
  CHECK(judge(claim, samples, generated, kCpuOnly).verdict == Verdict::reproduced);
  claim.real_data = true;
  const auto judged = judge(claim, samples, generated, kCpuOnly);
  CHECK(judged.verdict == Verdict::not_comparable);
  CHECK_THAT(judged.why, ContainsSubstring("generated data"));
  CHECK(judged.measured.has_value());  // shown, not judged
  CHECK(judge(claim, samples, {.size = Size::paper}, kCpuOnly).verdict == Verdict::reproduced);
}

TEST_CASE("rule 9: absolute times don't carry over to other hardware, ratios do", "[cpu]") {
  Claim claim = speedup_claim();
  claim.unit = "ms";
  claim.better = Better::lower;
  claim.needs = Needs::gpu;
  const auto other = paper(claim, {value(1.5, "NVIDIA H200")}, kWithGpu);
  CHECK(other.verdict == Verdict::not_comparable);
  CHECK_THAT(other.why, ContainsSubstring("A100"));
  const Devices a100{"AMD EPYC", "NVIDIA A100-SXM4-40GB", ""};
  CHECK(paper(claim, {value(1.5, "NVIDIA A100-SXM4-40GB")}, a100).verdict == Verdict::reproduced);
  claim.unit = "x";
  const auto ratio = paper(claim, {value(1.5, "NVIDIA H200")}, kWithGpu);
  CHECK(ratio.verdict == Verdict::reproduced);
  CHECK(ratio.measured_on == "NVIDIA H200");
  CHECK(ratio.reported_on == "A100, batch 48");
}

TEST_CASE("rule 10: a statement holds everywhere, somewhere or nowhere", "[cpu]") {
  Claim claim = speedup_claim();
  claim.is_time = false;
  claim.reported_text = "peak at p = n";
  CHECK(paper(claim, {statement(true), statement(true)}).verdict == Verdict::reproduced);
  CHECK(paper(claim, {statement(true), statement(false)}).verdict == Verdict::partly);
  CHECK(paper(claim, {statement(false)}).verdict == Verdict::not_reproduced);
  CHECK(paper(claim, {value(1)}).verdict == Verdict::not_comparable);
}

TEST_CASE("of many cases' words a few stand in the table, those of failing cases first", "[cpu]") {
  Claim claim = speedup_claim();
  claim.is_time = false;
  claim.reported_text = "exactly";
  const auto says = [](bool holds, const char* text) {
    ClaimSample sample = statement(holds);
    sample.text = text;
    return sample;
  };
  CHECK(paper(claim, {says(true, "a"), says(true, "b"), says(true, "a")}).measured_text == "a; b");
  CHECK(paper(claim, {says(true, "a"), says(true, "b"), says(true, "c"), says(true, "d"), says(false, "e")})
            .measured_text == "e; a; b; and 2 more");
  CHECK(paper(claim, {statement(true), statement(false)}).measured_text == "holds in 1 of 2 cases");
}

TEST_CASE("rule 11: inside the reported range, better than it, or outside by less than the tolerance",
          "[cpu]") {
  Claim claim = speedup_claim();
  CHECK(paper(claim, {value(1.3), value(1.8)}).verdict == Verdict::reproduced);
  CHECK(paper(claim, {value(1.3), value(9.0)}).verdict == Verdict::reproduced);
  CHECK(paper(claim, {value(1.144)}).verdict == Verdict::reproduced);  // 1.27 less 10 % is 1.143
  CHECK(paper(claim, {value(1.142)}).verdict == Verdict::partly);
  claim.better = Better::neither;
  CHECK(paper(claim, {value(1.3), value(9.0)}).verdict == Verdict::partly);
  claim.better = Better::lower;
  claim.reported = {0.5, 0.6};
  CHECK(paper(claim, {value(0.1), value(0.65)}).verdict == Verdict::reproduced);
  CHECK(paper(claim, {value(0.1), value(0.67)}).verdict == Verdict::partly);
}

TEST_CASE("rule 11: negative reported values widen away from the range", "[cpu]") {
  Claim claim = speedup_claim();
  claim.better = Better::neither;
  claim.reported = {-2, -1};
  claim.no_effect = 0;
  CHECK(paper(claim, {value(-2.1), value(-0.95)}).verdict == Verdict::reproduced);
  CHECK(paper(claim, {value(-2.3)}).verdict == Verdict::partly);
}

TEST_CASE("rule 11: the way samples become one value is the claim's", "[cpu]") {
  Claim claim = speedup_claim();
  const std::vector<ClaimSample> samples{value(0.9), value(1.4), value(1.6)};
  CHECK(paper(claim, samples).verdict == Verdict::partly);
  claim.over = Over::median;
  CHECK(paper(claim, samples).verdict == Verdict::reproduced);
  CHECK(paper(claim, samples).measured->low == 1.4);
  claim.over = Over::mean;
  CHECK(std::abs(paper(claim, samples).measured->low - 1.3) < 1e-12);
  claim.over = Over::smallest;
  CHECK(paper(claim, samples).verdict == Verdict::partly);
  claim.over = Over::largest;
  CHECK(paper(claim, samples).measured->high == 1.6);
}

TEST_CASE("rules 12 and 13: direction needs whole intervals in more than half of the cases", "[cpu]") {
  const Claim claim = speedup_claim();
  CHECK(paper(claim, {value(1.1)}).verdict == Verdict::partly);
  CHECK(paper(claim, {value(1.1, "AMD EPYC", 0.2)}).verdict == Verdict::not_reproduced);  // 0.88 to 1.32
  CHECK(paper(claim, {value(0.8)}).verdict == Verdict::not_reproduced);
  CHECK(paper(claim, {value(1.1), value(0.8)}).verdict == Verdict::not_reproduced);
  CHECK(paper(claim, {value(1.1), value(1.1), value(0.8)}).verdict == Verdict::partly);
  Claim flat = claim;
  flat.reported = {1, 1};  // "no slower": no direction to hold
  CHECK(paper(flat, {value(0.85)}).verdict == Verdict::not_reproduced);
}
