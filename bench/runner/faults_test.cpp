// SPDX-License-Identifier: Apache-2.0
//
// A run on a device that fails, on a disk that is full, within a budget, and with its processes killed.
#include <testing/catch.h>

#include "bench/testing/fake_program.h"
#include "reports/record_io.h"

using namespace remeasure::testing;
using remeasure::reports::CaseResult;
using remeasure::reports::read_record;
using remeasure::reports::Record;
using remeasure::reports::RunState;
using remeasure::reports::Status;
using remeasure::reports::VariantResult;
using remeasure::reports::Where;

namespace {

const CaseResult& case_of(const Record& record, const std::string& name) {
  for (const auto& result : record.cases) {
    if (result.name == name) return result;
  }
  throw std::runtime_error("no case " + name);
}

/// On the SIMT engine, which stands for a device here; eigen on the CPU.
const VariantResult& row(const Record& record, const std::string& case_name, const std::string& variant) {
  for (const auto& result : case_of(record, case_name).variants) {
    if (result.name == variant && result.where != Where::gpu) return result;
  }
  throw std::runtime_error("no variant " + variant + " in " + case_name);
}

struct Failure {
  std::string case_name, variant, reason;
};

/// The three cases of `device` or `library`: these rows failed for these reasons, all others passed.
void check_rows(const Record& record, const std::vector<Failure>& failures) {
  REQUIRE(record.cases.size() == 3);
  for (const std::string name : {"case=a", "case=b", "case=c"}) {
    CHECK(case_of(record, name).error.empty());
    for (const std::string variant : {"eigen", "kernel", "other"}) {
      const auto& found = row(record, name, variant);
      INFO(name << " " << variant << ": " << to_string(found.status) << " " << found.reason);
      const Failure* expected = nullptr;
      for (const auto& failure : failures) {
        if (failure.case_name == name && failure.variant == variant) expected = &failure;
      }
      CHECK(found.status == (expected == nullptr ? Status::passed : Status::failed));
      if (expected != nullptr) CHECK(contains(found.reason, expected->reason));
    }
  }
}

Record device_record(const Folder& folder, const std::string& id = "device") {
  return read_record(folder / ("results/" + id + ".json"));
}

}  // namespace

TEST_CASE("no device memory is one failed row with the numbers, and the rest of the case goes on", "[cpu]") {
  const Folder folder;
  const auto finished = run(folder, {"run", "device"}, {.faults = "allocate:3=out-of-memory"});
  INFO(finished.err);
  CHECK(finished.code == 5);
  const auto record = device_record(folder);
  check_rows(record, {{"case=a", "other",
                       "no room on the host for 4000 bytes of input: this program holds 0 bytes on Simt"}});
  CHECK(record.state == RunState::complete);
  CHECK(record.system.more.at("injected faults") == "allocate:3=out-of-memory");
}

TEST_CASE("a failed launch is one failed row, and the next launch of the process may succeed", "[cpu]") {
  const Folder folder;
  const auto finished = run(folder, {"run", "device"}, {.faults = "launch:2=launch-failure"});
  INFO(finished.err);
  CHECK(finished.code == 5);
  check_rows(device_record(folder), {{"case=a", "kernel", "launch of saxpy, number 2: launch failure"}});
  CHECK_FALSE(contains(finished.err, "broke the device"));
}

TEST_CASE("after a sticky error a fresh process does the rest; the row is the one that broke the device",
          "[cpu]") {
  const Folder folder;
  const auto finished = run(folder, {"run", "device"}, {.faults = "file=faults;launch:5=sticky"});
  INFO(finished.err);
  CHECK(finished.code == 5);
  CHECK(contains(finished.err,
                 "case=b: kernel@simt broke the device for its process: launch of saxpy, number 5: sticky"));
  const auto record = device_record(folder);
  check_rows(record, {{"case=b", "kernel", "launch of saxpy, number 5: sticky error"}});
  CHECK(record.state == RunState::complete);

  const auto again = run(folder, {"run", "device", "--resume"});
  CHECK(again.code == 0);
  CHECK(contains(again.err, "device 2 of 3 cases are finished already"));
  check_rows(device_record(folder), {});
  CHECK(case_of(device_record(folder), "case=a").elapsed_seconds ==
        case_of(record, "case=a").elapsed_seconds);
}

TEST_CASE("a library that hides a sticky error is asked again, and a fresh process does the rest", "[cpu]") {
  const Folder folder;
  const auto finished = run(folder, {"run", "library"}, {.faults = "file=faults;launch:5=sticky"});
  INFO(finished.err);
  CHECK(finished.code == 5);
  CHECK(contains(finished.err,
                 "case=b: kernel@simt broke the device for its process: execution failed; then "));
  check_rows(device_record(folder, "library"), {{"case=b", "kernel", "execution failed; then synchronize"}});
  CHECK_FALSE(contains(finished.err, "case=b: other@simt broke"));
}

TEST_CASE("a device that breaks every process is given up, and what needs no device goes on", "[cpu]") {
  const Folder folder;
  const auto finished = run(folder, {"run", "device"}, {.faults = "open:1=sticky"});
  INFO(finished.err);
  CHECK(finished.code == 5);
  const std::string first = "open of SIMT device, number 1: sticky error";
  const std::string rest =
      "not tried: the device failed in 3 processes in a row, the last time in case case=b, kernel@simt";
  check_rows(device_record(folder), {{"case=a", "kernel", first},
                                     {"case=a", "other", first},
                                     {"case=b", "kernel", first},
                                     {"case=b", "other", rest},
                                     {"case=c", "kernel", rest},
                                     {"case=c", "other", rest}});
}

TEST_CASE("a lost device fails one row, the others that need it say so, and nothing is endless", "[cpu]") {
  const Folder folder;
  const Surroundings lost = {.faults = "file=faults;launch:5=lost"};
  const auto finished = run(folder, {"run", "device", "fine"}, lost);
  INFO(finished.err);
  CHECK(finished.code == 5);
  const std::string rest = "not tried: the device was lost in case case=b, kernel@simt";
  const auto record = device_record(folder);
  check_rows(record, {{"case=b", "kernel", "launch of saxpy, number 5: the device was lost"},
                      {"case=b", "other", rest},
                      {"case=c", "kernel", rest},
                      {"case=c", "other", rest}});
  CHECK(read_record(folder / "results/fine.json").state == RunState::complete);

  // Resumed while it is still gone: the same again, and what was finished stays.
  CHECK(run(folder, {"run", "device", "--resume"}, lost).code == 5);
  CHECK(case_of(device_record(folder), "case=a").elapsed_seconds ==
        case_of(record, "case=a").elapsed_seconds);
  CHECK(contains(row(device_record(folder), "case=b", "kernel").reason, "the device was lost"));
  // And when it is back, only what is missing is measured.
  CHECK(run(folder, {"run", "device", "--resume"}).code == 0);
  check_rows(device_record(folder), {});
}

TEST_CASE("a variable for faults that can't be read is refused with one line that says how it is written",
          "[cpu]") {
  const Folder folder;
  const Finished refused = run(folder, {"run", "device"}, {.faults = "launch=sticky"});
  CHECK(refused.code == 2);
  CHECK(contains(refused.err, "REMEASURE_FAULTS: 'launch=sticky': write call:number=fault"));
}

TEST_CASE("a full disk ends the run with one line and exit 2, and what was finished stays", "[cpu]") {
  const Folder folder;
  REQUIRE(run(folder, {"run", "many-a", "--filter", "case=[1-3]"}).code == 0);
  const auto path = folder / "results/many-a.json";
  const auto before = read_record(path);
  REQUIRE(before.cases.size() == 3);
  const auto room = static_cast<rlim_t>(fs::file_size(path) + 200);  // the fourth case doesn't fit
  const auto finished = run(folder, {"run", "many-a", "--resume"}, {.largest_file = room});
  INFO(finished.err);
  CHECK(finished.code == 2);
  CHECK(contains(finished.err, "can't write results/many-a.json: File too large"));
  const auto after = read_record(path);
  REQUIRE(after.cases.size() == 3);
  for (std::size_t i = 0; i < 3; ++i)
    CHECK(after.cases[i].elapsed_seconds == before.cases[i].elapsed_seconds);
  for (const auto& entry : fs::directory_iterator(folder / "results")) {
    CHECK_FALSE(contains(entry.path().filename().string(), "partial"));
  }
  CHECK(run(folder, {"run", "many-a", "--resume"}).code == 0);
  CHECK(read_record(path).cases.size() == 8);
}

TEST_CASE("a half-written result file is never taken for a result", "[cpu]") {
  const Folder folder;
  REQUIRE(run(folder, {"run", "fine"}).code == 0);
  const auto path = folder / "results/fine.json";
  const std::string whole = text_of(path);
  for (const std::size_t bytes : {std::size_t{0}, std::size_t{1}, whole.size() / 2, whole.size() - 3}) {
    std::ofstream(path, std::ios::trunc) << whole.substr(0, bytes);
    CHECK(run(folder, {"report", "results"}).code == 2);
    const auto finished = run(folder, {"run", "fine", "--resume"});
    INFO(bytes << " bytes: " << finished.err);
    CHECK(finished.code == 0);
    CHECK(contains(finished.err, "measuring again"));
    CHECK_FALSE(contains(finished.err, "finished already"));
    CHECK(read_record(path).cases.size() == 3);
  }
}

TEST_CASE("a worker that ends before it has taken earlier results over doesn't cost them", "[cpu]") {
  const Folder folder;
  REQUIRE(run(folder, {"run", "stumble"}).code == 0);
  const auto before = read_record(folder / "results/stumble.json");
  std::ofstream(folder / "stumble") << "now\n";
  for (const std::vector<std::string>& more :
       {std::vector<std::string>{}, std::vector<std::string>{"--budget", "60"}}) {
    std::vector<std::string> words = {"run", "stumble", "--resume", "--filter", "case=b"};
    words.insert(words.end(), more.begin(), more.end());
    const auto finished = run(folder, words);
    INFO(finished.err);
    if (more.empty()) CHECK(finished.code == 5);
    const auto after = read_record(folder / "results/stumble.json");
    REQUIRE(after.cases.size() == 2);
    for (std::size_t i = 0; i < 2; ++i)
      CHECK(after.cases[i].elapsed_seconds == before.cases[i].elapsed_seconds);
  }
}

TEST_CASE("a killed worker is one row, and a fresh one goes on", "[cpu]") {
  for (const int signal : {SIGKILL, SIGTERM, SIGINT}) {
    const Folder folder;  // of its own: an earlier run's text would be read before this one's
    Program program(folder, {"run", "slow"});
    REQUIRE(eventually([&] { return contains(text_of(folder / "err"), "case 1/3 case=before:"); }));
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
    REQUIRE(program.worker() > 0);
    ::kill(program.worker(), signal);
    const auto finished = program.wait();
    INFO(finished.err);
    CHECK(finished.code == 5);
    const auto record = read_record(folder / "results/slow.json");
    REQUIRE(record.cases.size() == 3);
    CHECK(contains(case_of(record, "case=fault").error, "killed by SIG"));
    CHECK(case_of(record, "case=before").error.empty());
    CHECK(case_of(record, "case=after").error.empty());
  }
}

TEST_CASE("Ctrl-C twice ends the run at once, also with a worker that ignores SIGTERM", "[cpu]") {
  const Folder folder;
  Program program(folder, {"run", "ignore"});
  REQUIRE(eventually([&] { return contains(text_of(folder / "err"), "case 1/3"); }));
  std::this_thread::sleep_for(std::chrono::milliseconds(300));
  const pid_t worker = program.worker();
  ::kill(program.pid(), SIGINT);
  std::this_thread::sleep_for(std::chrono::milliseconds(200));
  const auto start = std::chrono::steady_clock::now();
  ::kill(program.pid(), SIGINT);
  const auto finished = program.wait();
  CHECK(std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count() <
        1.5);  // less than the grace
  CHECK(finished.code == 130);
  CHECK_FALSE(alive(worker));
  CHECK(read_record(folder / "results/ignore.json").cases.size() == 1);
}

TEST_CASE("nohup keeps a run going when its terminal is closed", "[cpu]") {
  const Folder folder;
  Program program(folder, {"run", "slow"}, {.ignored_signal = SIGHUP});
  REQUIRE(eventually([&] { return contains(text_of(folder / "err"), "case 1/3"); }));
  ::kill(program.pid(), SIGHUP);
  CHECK(program.wait().code == 0);
}

TEST_CASE("ten kills lose no finished result", "[cpu]") {
  const Folder folder;
  const std::string script =
      beside_program("kills.sh", REMEASURE_SOURCE_DIR "/cmake/scripts/kills.sh").string();
  const std::string command =
      "PROGRAM='" + fake_program() + "' '" + script + "' 10 >'" + (folder / "out").string() + "' 2>&1";
  const int status = std::system(command.c_str());
  INFO(text_of(folder / "out"));
  CHECK((WIFEXITED(status) && WEXITSTATUS(status) == 0));
  CHECK(contains(text_of(folder / "out"), "10 kills, "));
  CHECK(contains(text_of(folder / "out"), " results finished before a kill, 0 lost"));
}
