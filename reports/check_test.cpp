// SPDX-License-Identifier: Apache-2.0
#include "reports/check.h"

#include <stdlib.h>

#include <testing/catch.h>
#include <algorithm>
#include <cmath>
#include <filesystem>
#include <functional>

#include "reports/record_io.h"
#include "reports/sample_records.h"
#include "reports/text_table.h"

namespace remeasure::reports {
namespace {

using Catch::Matchers::ContainsSubstring;

/// A run in which everything is right: the GPU sample without its wrong and its hanging variant.
Record sound() {
  Record record = samples::attention();
  for (CaseResult& test : record.cases) {
    test.variants.resize(4);
  }
  return record;
}

CheckResult after(const std::function<void(Record&)>& change) {
  Record record = sound();
  change(record);
  return check({sound()}, {record});
}

/// "time: worse" for every row that isn't `same`.
std::vector<std::string> changes(const CheckResult& result) {
  std::vector<std::string> lines;
  for (const CheckRow& row : result.rows) {
    if (row.judgement.outcome != Outcome::same)
      lines.push_back(row.quantity + ": " + to_string(row.judgement.outcome));
  }
  return lines;
}

using Lines = std::vector<std::string>;

TEST_CASE("a record compared with itself is the same in everything", "[cpu]") {
  const CheckResult result = check({sound()}, {sound()});
  CHECK(changes(result).empty());
  CHECK(result.rows.size() >= 30);
  CHECK(result.count(Outcome::same) == result.rows.size());
  CHECK(result.not_applied.empty());
  CHECK(result.exit_code == ExitCode::fine);
}

TEST_CASE("a variant that got slower is a regression", "[cpu]") {
  const CheckResult result = after([](Record& it) {
    it.cases[1].variants[0].time = samples::time_of(42.1e-6 * 1.1);
    it.cases[1].speedups[0].ratio = {1.445, 1.437, 1.453};
  });
  CHECK(changes(result) == Lines{"time: worse", "speedup over vendor: worse"});
  CHECK(result.exit_code == ExitCode::regression);
  const CheckRow& row = *std::find_if(result.rows.begin(), result.rows.end(), [](const CheckRow& it) {
    return it.judgement.outcome == Outcome::worse;
  });
  CHECK(row.test == "n=512");
  CHECK(row.variant == "kernel on gpu");
  CHECK(std::abs(*row.change - 0.1) < 1e-9);
}

TEST_CASE("a busy machine's times are left out where there are others, and unclear where not", "[cpu]") {
  const auto slower = [](Record& it, const char* disturbed) {
    for (VariantResult& variant : it.cases[1].variants) {
      if (variant.time) variant.time->disturbed = disturbed;
    }
    it.cases[1].variants[0].time->seconds = samples::time_of(42.1e-6 * 1.5).seconds;
    it.cases[1].speedups[0].ratio = {1.06, 1.05, 1.07};
  };
  const auto outcome_of = [](const CheckResult& result, const std::string& quantity) {
    for (const CheckRow& row : result.rows) {
      if (row.test == "n=512" && row.variant.starts_with("kernel") && row.quantity == quantity)
        return row.judgement.outcome;
    }
    throw std::logic_error("no row of " + quantity);
  };
  Record busy = sound(), calm = sound();
  slower(calm, "");
  slower(busy, "others kept 1.3 of 2 cores busy");
  for (const char* quantity : {"time", "speedup over vendor"}) {
    INFO(quantity);
    CHECK(outcome_of(check({sound()}, {calm}), quantity) == Outcome::worse);
    CHECK(outcome_of(check({sound()}, {busy}), quantity) == Outcome::unclear);
    CHECK(outcome_of(check({busy}, {sound()}), quantity) == Outcome::unclear);
    CHECK(outcome_of(check({sound()}, {busy, calm}), quantity) == Outcome::worse);
    CHECK(outcome_of(check({sound()}, {sound(), busy}), quantity) == Outcome::same);
    CHECK(outcome_of(check({sound(), sound(), sound()}, {calm, busy, busy}), quantity) == Outcome::worse);
    CHECK(outcome_of(check({sound(), sound()}, {busy, busy, calm}), quantity) == Outcome::unclear);
  }
  const auto lost = [](Record& it) {
    it.claims[0].verdict = Verdict::not_measured;
    it.claims[0].measured.reset();
    it.claims[0].why = "others kept 1.3 of 2 cores busy";
  };
  lost(calm);
  lost(busy);
  const auto has = [](const CheckResult& result, const std::string& line) {
    const Lines lines = changes(result);
    return std::find(lines.begin(), lines.end(), line) != lines.end();
  };
  CHECK(has(check({sound()}, {calm}), "verdict of attn-speedup: worse"));
  CHECK(has(check({sound()}, {busy}), "verdict of attn-speedup: worse"));  // for another reason
  ClaimSample withheld;
  withheld.claim = sound().claims[0].id;
  withheld.missing = "others kept 1.3 of 2 cores busy meanwhile";
  busy.cases[1].claim_samples = {withheld};
  CHECK(has(check({sound()}, {busy}), "verdict of attn-speedup: unclear"));
}

TEST_CASE("without times a slower variant is no regression, and it is said", "[cpu]") {
  Record record = sound();
  record.cases[1].variants[0].time = samples::time_of(42.1e-6 * 1.1);
  const CheckResult result = check({sound()}, {record}, false);
  CHECK(changes(result).empty());
  CHECK(result.exit_code == ExitCode::fine);
  REQUIRE(result.not_applied.size() == 1);
  CHECK_THAT(result.not_applied[0], ContainsSubstring("--no-times"));

  record.cases[1].variants[0].accuracy[0].value = 1.9e-2;
  CHECK(check({sound()}, {record}, false).exit_code == ExitCode::regression);
}

TEST_CASE("on another machine times are not compared, and it is said; the rest is", "[cpu]") {
  const CheckResult result = after([](Record& it) {
    it.system.id = "other";
    it.system.gpu = "NVIDIA L4";
    it.cases[1].variants[0].time = samples::time_of(1);
    it.cases[1].variants[0].accuracy[0].value = 1.9e-2;
    it.claims[0].verdict = Verdict::not_reproduced;
  });
  CHECK(changes(result) == Lines{"relative l2 of out: worse"});
  REQUIRE(result.not_applied.size() == 1);
  CHECK_THAT(result.not_applied[0], ContainsSubstring("reference not applied to 6 times"));
  CHECK_THAT(result.not_applied[0], ContainsSubstring("NVIDIA L4"));
  CHECK(result.exit_code == ExitCode::regression);
}

TEST_CASE("a missing GPU is no regression, a variant that vanished is", "[cpu]") {
  const auto without_gpu = [](Record& it) {
    it.system.id = "other";
    it.system.gpu.clear();
    for (CaseResult& test : it.cases) {
      test.speedups.clear();
      for (VariantResult& variant : test.variants) {
        if (variant.where != Where::gpu) continue;
        variant = VariantResult{.name = variant.name,
                                .what = variant.what,
                                .where = Where::gpu,
                                .status = Status::not_run,
                                .reason = "no CUDA device"};
      }
    }
  };
  const CheckResult result = after(without_gpu);
  CHECK(result.count(Outcome::worse) == 0);
  CHECK(result.count(Outcome::unclear) == 4);
  CHECK(result.exit_code == ExitCode::fine);

  CHECK(after([](Record& it) { it.cases[0].variants.erase(it.cases[0].variants.begin() + 3); }).exit_code ==
        ExitCode::regression);
  CHECK(changes(after([](Record& it) { it.cases.pop_back(); })) == Lines{"case: worse"});
  CHECK(changes(after([](Record& it) {
          it.cases.pop_back();
          it.state = RunState::interrupted;
        })) == Lines{"case: unclear"});
}

TEST_CASE("memory, metrics, checks and verdicts are compared", "[cpu]") {
  CHECK(changes(after([](Record& it) { *it.cases[0].variants[0].memory->device_peak *= 1.05; })) ==
        Lines{"device memory: worse"});
  CHECK(changes(after([](Record& it) { *it.cases[0].variants[3].memory->host_peak *= 0.01; })) ==
        Lines{"host memory: better"});
  CHECK(changes(after([](Record& it) { it.cases[0].metrics[0].value = 0.75; })) ==
        Lines{"retained mass: worse"});
  CHECK(changes(after([](Record& it) { it.cases[0].metrics[1].value = 0.5626; })) ==
        Lines{"matrix bytes / dense: worse"});
  CHECK(changes(after([](Record& it) {
          it.claims[0].verdict = Verdict::partly;
          it.claims[0].measured = {1.1, 1.2};
        })) == Lines{"verdict of attn-speedup: worse"});
  CHECK(changes(after([](Record& it) { it.claims[0].verdict = Verdict::partly; })) ==
        Lines{"verdict of attn-speedup: unclear"});
  CHECK(changes(after([](Record& it) { it.claims[1].verdict = Verdict::reproduced; })) ==
        Lines{"verdict of overhead-zero: better"});
  CHECK(changes(after([](Record& it) { it.cases[0].dataset_sha256[0] = 'X'; }))[0] ==
        "content of the data: worse");
  CHECK(after([](Record& it) { it.cases[0].seed = 8; }).not_applied.size() == 1);
}

TEST_CASE("an incorrect result wins over everything, then a crash, then a regression", "[cpu]") {
  const auto slower = [](Record& it) { it.cases[1].variants[0].time = samples::time_of(1); };
  const auto wrong = [](Record& it) {
    VariantResult& eigen = it.cases[0].variants[3];
    eigen.status = Status::incorrect;
    eigen.reason = "zeros";
    eigen.time.reset();
    eigen.memory.reset();
  };
  CHECK(after(slower).exit_code == ExitCode::regression);
  CHECK(after([&](Record& it) {
          slower(it);
          it.cases[0].error = "killed";
        }).exit_code == ExitCode::broken);
  const CheckResult result = after([&](Record& it) {
    slower(it);
    it.cases[0].error = "killed";
    wrong(it);
  });
  CHECK(result.exit_code == ExitCode::incorrect);
  CHECK(result.incorrect == Lines{"dfss, n=256: eigen on cpu: incorrect: zeros"});
  CHECK(after([](Record& it) { it.cases[0].checks[0].passed = false; }).exit_code == ExitCode::incorrect);

  // The reference was as wrong: the run is still incorrect.
  CHECK(check({samples::attention()}, {samples::attention()}).exit_code == ExitCode::incorrect);
  CHECK(check({samples::crashed()}, {samples::crashed()}).exit_code == ExitCode::broken);
}

TEST_CASE("without anything to compare the status says so", "[cpu]") {
  CHECK(check({}, {sound()}).exit_code == ExitCode::nothing_comparable);
  CHECK(check({samples::double_descent()}, {sound()}).exit_code == ExitCode::nothing_comparable);
  const CheckResult result = after([](Record& it) { it.size = "paper"; });
  CHECK(result.exit_code == ExitCode::nothing_comparable);
  CHECK_THAT(result.not_applied.at(0), ContainsSubstring("the reference has size smoke, this run paper"));
}

TEST_CASE("the text of a check names what changed and fits its columns", "[cpu]") {
  const CheckResult result = after([](Record& it) {
    it.cases[1].variants[0].time = samples::time_of(42.1e-6 * 1.1);
    it.kernels[0].spill_bytes = 8;
    it.cases[0].seed = 8;
  });
  const std::string text = check_text(result);
  CHECK_THAT(text, ContainsSubstring("dfss · n=512"));
  CHECK_THAT(text, ContainsSubstring("+10.0 %"));
  CHECK_THAT(text, ContainsSubstring("NOT COMPARED dfss, n=256"));
  CHECK_THAT(text, ContainsSubstring("2 worse"));
  CHECK_THAT(text, ContainsSubstring("exit status 1"));
  std::size_t widest = 0;
  for (std::size_t at = 0; at < text.size(); at = text.find('\n', at) + 1) {
    widest = std::max(widest, text_width(text.substr(at, text.find('\n', at) - at)));
  }
  CHECK(widest <= 100);
}

TEST_CASE("of several recorded devices the same machine's reference is taken", "[cpu]") {
  std::string name = (std::filesystem::temp_directory_path() / "recorded.XXXXXX").string();
  REQUIRE(::mkdtemp(name.data()) != nullptr);
  const std::filesystem::path folder = name;
  Record other = sound();
  other.system.id = "other";
  for (const char* device : {"a", "b"}) std::filesystem::create_directory(folder / device);
  write_record(other, folder / "a" / "dfss.json");
  write_record(sound(), folder / "b" / "dfss.json");
  const std::vector<Record> same = read_recorded(folder, {sound(), samples::bessel()});
  REQUIRE(same.size() == 1);
  CHECK(same[0].system.id == sound().system.id);
  other.system.id = "third";
  CHECK(read_recorded(folder, {other}).size() == 1);
  std::filesystem::remove_all(folder);
  CHECK_THROWS_AS(read_recorded(folder, {other}), RecordError);
}

}  // namespace
}  // namespace remeasure::reports
