// SPDX-License-Identifier: Apache-2.0
//
// `run --budget` with the program of bench/testing.
#include <testing/catch.h>

#include <map>
#include <string>

#include "bench/host_memory.h"
#include "bench/testing/fake_program.h"
#include "reports/record_io.h"

using namespace remeasure::testing;
using remeasure::reports::read_record;
using remeasure::reports::Record;
using remeasure::reports::RunState;

namespace {

std::map<std::string, double> finished_cases(const Record& record) {
  std::map<std::string, double> all;
  for (const auto& result : record.cases) {
    if (result.not_reached.empty() && result.error.empty()) all[result.name] = result.elapsed_seconds;
  }
  return all;
}

}  // namespace

TEST_CASE("a budget that suffices leaves the same records as none", "[cpu]") {
  const Folder folder;
  const auto finished = run(folder, {"run", "fine", "many-a", "--budget", "2m"});
  INFO(finished.err << finished.out);
  CHECK(finished.code == 0);
  CHECK_FALSE(contains(finished.out, "budget spent"));
  const auto record = read_record(folder / "results/many-a.json");
  CHECK(record.state == RunState::complete);
  CHECK(record.error.empty());
  CHECK(record.command == "remeasure run many-a --size smoke --seed 1");
  CHECK(finished_cases(record).size() == 8);
  CHECK(read_record(folder / "results/fine.json").state == RunState::complete);
}

TEST_CASE(
    "what a budget doesn't reach is recorded as not run; the same command with --resume does exactly that",
    "[cpu]") {
  const Folder folder;
  const auto first = run(folder, {"run", "slow", "many-a", "--budget", "1s"});
  INFO(first.err << first.out);
  REQUIRE(contains(first.out, "budget spent; "));
  CHECK(contains(first.out, "Go on with: remeasure run slow many-a --budget 1s --resume\n"));
  CHECK(contains(first.out, "not run: budget spent: run again with --resume ("));
  std::map<std::string, std::map<std::string, double>> before;
  for (const std::string id : {"slow", "many-a"}) {
    const auto record = read_record(folder / ("results/" + id + ".json"));
    CHECK(record.cases.size() == (id == "slow" ? 3u : 8u));
    before[id] = finished_cases(record);
    // A machine so busy that no process began within the second has no turn to tell of.
    if (!before[id].empty()) CHECK(contains(first.err, "[budget] "));
    if (before[id].size() < record.cases.size()) {
      CHECK(record.state != RunState::complete);
      CHECK(contains(record.error, "not reached within the budget"));
    }
  }
  const auto second = run(folder, {"run", "slow", "many-a", "--budget", "2m", "--resume"});
  INFO(second.err << second.out);
  CHECK(second.code == 0);
  for (const std::string id : {"slow", "many-a"}) {
    const auto record = read_record(folder / ("results/" + id + ".json"));
    CHECK(record.state == RunState::complete);
    const auto after = finished_cases(record);
    CHECK(after.size() == (id == "slow" ? 3u : 8u));
    for (const auto& [name, seconds] : before[id]) CHECK(after.at(name) == seconds);  // not measured again
  }
}

TEST_CASE("cases that never end, SIGTERM or not, leave the others their turn and the budget its end",
          "[cpu]") {
  const Folder folder;
  const auto start = std::chrono::steady_clock::now();
  // A sanitizer's processes take a second to begin.
  const int budget = remeasure::bench::HostMemoryMeter::available() ? 20 : 60;
  const auto finished = run(folder, {"run", "hang", "ignore", "many-a", "--budget", std::to_string(budget)});
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  INFO(finished.err << finished.out);
  CHECK(finished.code == 5);
  CHECK(seconds < budget + 6 + 3);  // kOverrun, and this machine's own
  for (const std::string id : {"hang", "ignore", "many-a"}) {
    CHECK(finished_cases(read_record(folder / ("results/" + id + ".json"))).size() >= 1);
  }
  CHECK(contains(finished.err, "no end within its share of the budget"));
  CHECK(finished_cases(read_record(folder / "results/many-a.json")).size() == 8);
}

TEST_CASE("an experiment that crashes before its first case doesn't hold a budget up", "[cpu]") {
  const Folder folder;
  const auto finished = run(folder, {"run", "no-cases", "crash", "--budget", "60"});
  INFO(finished.err << finished.out);
  CHECK(finished.code == 5);
  CHECK(read_record(folder / "results/no-cases.json").state == RunState::crashed);
  CHECK(finished_cases(read_record(folder / "results/crash.json")).size() == 2);
}

TEST_CASE("under a budget a sticky device error costs its row, no more", "[cpu]") {
  const Folder folder;
  const auto finished =
      run(folder, {"run", "device", "--budget", "60"}, {.faults = "file=faults;launch:5=sticky"});
  INFO(finished.err << finished.out);
  CHECK(finished.code == 5);
  const auto record = read_record(folder / "results/device.json");
  REQUIRE(record.cases.size() == 3);
  int failed = 0;
  for (const auto& result : record.cases) {
    for (const auto& variant : result.variants)
      failed += variant.status == remeasure::reports::Status::failed ? 1 : 0;
  }
  CHECK(failed == 1);
}

TEST_CASE("a budget and a timeout together, or a budget that is no duration, are refused", "[cpu]") {
  const Folder folder;
  const auto both = run(folder, {"run", "fine", "--budget", "8m", "--timeout", "60"});
  CHECK(both.code == 2);
  CHECK(contains(both.err, "leave out --timeout"));
  const auto wrong = run(folder, {"run", "fine", "--budget", "8 minutes"});
  CHECK(wrong.code == 2);
  CHECK(contains(wrong.err, "'8 minutes' is not a duration above 0: write 480s, 8m, 1h30m or 90 (seconds)"));
}
