// SPDX-License-Identifier: Apache-2.0
//
// The program of bench/testing, run as a user runs it: experiments that crash, hang, throw and lie.
#include <testing/catch.h>

#include "bench/host_memory.h"
#include "bench/testing/fake_program.h"
#include "reports/record_io.h"

using namespace remeasure::testing;
using remeasure::reports::read_record;
using remeasure::reports::Record;
using remeasure::reports::RunState;
using remeasure::reports::Status;

namespace {

/// The record after an experiment whose second case of three is at fault: the others passed, and the fault is
/// a row.
Record check_fault(const Folder& folder, const std::string& id, RunState state, const std::string& reason) {
  Record record = read_record(folder / ("results/" + id + ".json"));
  INFO(id << ": " << record.error);
  CHECK(record.state == state);
  REQUIRE(record.cases.size() == 3);
  for (const auto& result : record.cases) {
    INFO(result.name << ": " << result.error);
    if (result.name == "case=fault") {
      CHECK(contains(result.error, reason));
      CHECK(result.parameters.at("case") == "fault");
    } else {
      CHECK(result.error.empty());
      REQUIRE(!result.variants.empty());
      CHECK(result.variants[0].status == Status::passed);
    }
  }
  REQUIRE(record.claims.size() == 1);
  return record;
}

}  // namespace

TEST_CASE("a good run exits 0, with a record, a log, and what was not run and why", "[cpu]") {
  const Folder folder;
  const auto finished = run(folder, {"run", "fine"});
  INFO(finished.err);
  CHECK(finished.code == 0);
  CHECK(contains(finished.out, "2 passed, 2 not run"));
  CHECK(contains(finished.out, "left out: too large for a fake"));
  CHECK(contains(finished.out, "not supported: this fake runs on no device (fine vendor)"));
  CHECK(contains(finished.out, "remeasure report results"));
  CHECK(contains(finished.err, "[1/1] fine case 2/3 case=b: 1 passed, 1 not run"));
  const auto record = read_record(folder / "results/fine.json");
  CHECK(record.state == RunState::complete);
  CHECK(record.command == "remeasure run fine --size smoke --seed 1");
  CHECK(record.cases.size() == 3);
  CHECK(fs::exists(folder / "results/fine.log"));
  for (const auto& entry : fs::directory_iterator(folder / "results")) {
    CHECK_FALSE(contains(entry.path().filename().string(), "partial"));
  }
}

TEST_CASE("a record has the figures of the kernels it launched; a spill more fails the check by name",
          "[simt]") {
  const Folder folder;
  REQUIRE(run(folder, {"run", "kernel", "--out", "before"}).code == 0);
  const Record record = read_record(folder / "before/kernel.json");
  if (record.kernels.empty()) SKIP_TEST("this program is stripped: kernels have no names");
  REQUIRE(record.kernels.size() == 2);
  CHECK(record.kernels[1].kernel == "saxpy_kernel");
  CHECK(record.kernels[1].architecture == "sm_90");
  CHECK(record.kernels[1].registers == 16);
  CHECK(record.kernels[1].block_threads == 256);

  REQUIRE(::setenv("REMEASURE_FAKE_SPILL_BYTES", "8", 1) == 0);
  const auto spilling = run(folder, {"run", "kernel", "--out", "after"});
  const auto table = run(folder, {"kernels", "kernel", "--results", "after"});
  REQUIRE(::unsetenv("REMEASURE_FAKE_SPILL_BYTES") == 0);
  CHECK(spilling.code == 0);
  CHECK(table.code == 0);
  CHECK(contains(table.out, "2 kernels in 1 file, 1 with spills."));
  const auto check = run(folder, {"check", "after", "--against", "before", "--no-times"});
  INFO(check.out);
  CHECK(check.code == 1);
  CHECK(contains(check.out, "saxpy_kernel"));
  CHECK(contains(check.out, "sm_90"));
  CHECK(contains(check.out, "spilled bytes"));
  CHECK(run(folder, {"check", "before", "--against", "after", "--no-times"}).code == 0);
  CHECK(contains(run(folder, {"report", "after"}).out, "SPILL saxpy_kernel on sm_90: 8 B"));

  // A resumed run launches nothing anew and still has them.
  REQUIRE(run(folder, {"run", "kernel", "--out", "before", "--resume"}).code == 0);
  CHECK(read_record(folder / "before/kernel.json").kernels.size() == 2);
}

TEST_CASE("kernels fails with the names of those that a log of launches lacks, if asked to", "[cpu]") {
  const Folder folder;
  const auto log = [&](const std::string& symbol) {
    std::ofstream(folder / "launches.txt") << symbol << "\tsaxpy.cu\t256\t0\n";
  };
  const std::vector<std::string> look = {"kernels", "--launches", "launches.txt"};
  std::vector<std::string> require = look;
  require.push_back("--all-launched");
  log("_ZN9remeasure7kernels12saxpy_kernelEifPKfPf");
  const auto whole = run(folder, require);
  INFO(whole.out << whole.err);
  CHECK(whole.code == 0);
  CHECK(contains(whole.out, "All were launched."));
  log("_ZN9remeasure7kernels12other_kernelEifPKfPf");
  CHECK(run(folder, look).code == 0);
  const auto lacking = run(folder, require);
  CHECK(lacking.code == 1);
  CHECK(contains(lacking.out,
                 "Launched by nothing in launches.txt:\n  kernels/device/testing/saxpy.cu: saxpy_kernel\n"));
}

TEST_CASE("a crash is one row, named by its signal, and the rest goes on", "[cpu]") {
  const Folder folder;
  const auto finished = run(folder, {"run", "abort", "crash", "exit", "oom", "fine"});
  INFO(finished.err);
  CHECK(finished.code == 5);
  check_fault(folder, "abort", RunState::crashed, "killed by SIGABRT");
  const auto crash = check_fault(folder, "crash", RunState::crashed, "killed by SIGSEGV");
  CHECK(contains(crash.error, "in case case=fault"));
  CHECK(contains(crash.error, "last output: about to crash"));
  CHECK(contains(text_of(folder / "results/crash.log"), "about to crash"));
  check_fault(folder, "exit", RunState::crashed, "exited with status 3");
  check_fault(folder, "oom", RunState::crashed, "killed by SIGKILL");
  CHECK(read_record(folder / "results/fine.json").state == RunState::complete);
}

TEST_CASE("a crash before the first case still gives a record", "[cpu]") {
  const Folder folder;
  const auto finished = run(folder, {"run", "no-cases"});
  CHECK(finished.code == 5);
  const auto record = read_record(folder / "results/no-cases.json");
  CHECK(record.state == RunState::crashed);
  CHECK(contains(record.error, "before the first case: killed by SIGSEGV"));
  CHECK(record.cases.empty());
}

TEST_CASE("an exhausted memory is a row, and the rest goes on", "[cpu]") {
  if (!remeasure::bench::HostMemoryMeter::available())
    SKIP_TEST("a sanitizer's operator new ends the process where others throw std::bad_alloc");
  const Folder folder;
  const auto finished = run(folder, {"run", "memory"});
  INFO(finished.err);
  CHECK(finished.code == 5);
  check_fault(folder, "memory", RunState::complete, "out of memory");
}

TEST_CASE("an exception and an invalid result are rows, and the rest goes on", "[cpu]") {
  const Folder folder;
  const auto finished = run(folder, {"run", "throw", "broken-record", "variant"});
  INFO(finished.err);
  CHECK(finished.code == 5);
  check_fault(folder, "throw", RunState::complete, "thrown on purpose");
  check_fault(folder, "broken-record", RunState::complete, "expected a finite number");
  const auto record = read_record(folder / "results/variant.json");
  CHECK(record.cases.at(1).variants.at(0).status == Status::failed);
  CHECK(contains(record.cases.at(1).variants.at(0).reason, "the variant threw on purpose"));
}

TEST_CASE("a hang ends at the timeout, also if it ignores SIGTERM", "[cpu]") {
  const Folder folder;
  const auto start = std::chrono::steady_clock::now();
  const auto finished = run(folder, {"run", "hang", "ignore", "--timeout", "3"});
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  CHECK(finished.code == 5);
  CHECK(seconds < 20);
  for (const std::string id : {"hang", "ignore"}) {
    const auto record = read_record(folder / ("results/" + id + ".json"));
    CHECK(record.state == RunState::timed_out);
    CHECK(contains(record.error, "in case case=fault"));
    CHECK(contains(record.error, "no end within the time limit of 3 s"));
    REQUIRE(record.cases.size() == 2);
    CHECK(record.cases[0].variants.at(0).status == Status::passed);
  }
}

TEST_CASE("an incorrect result and a failed check exit 4, whatever else happens", "[cpu]") {
  const Folder folder;
  CHECK(run(folder, {"run", "incorrect", "crash"}).code == 4);
  CHECK(run(folder, {"run", "check", "throw"}).code == 4);
  CHECK(read_record(folder / "results/incorrect.json").cases.at(1).variants.at(0).status ==
        Status::incorrect);
}

TEST_CASE("output without end fills no disk", "[cpu]") {
  const Folder folder;
  const auto finished = run(folder, {"run", "shout"});
  CHECK(finished.code == 0);
  CHECK(fs::file_size(folder / "results/shout.log") < (9u << 20));
  CHECK(contains(text_of(folder / "results/shout.log"), "more bytes of output were dropped"));
}

TEST_CASE("Ctrl-C keeps what is finished, exits 130, says how to go on; --resume does the rest only",
          "[cpu]") {
  const Folder folder;
  Program program(folder, {"run", "hang", "slow"});
  REQUIRE(eventually([&] { return contains(text_of(folder / "err"), "case 1/3"); }));
  std::this_thread::sleep_for(std::chrono::milliseconds(200));
  ::kill(program.pid(), SIGINT);
  const auto finished = program.wait();
  CHECK(finished.code == 130);
  CHECK(contains(finished.out, "Go on with: remeasure run hang slow --resume\n"));
  CHECK(finished.out.find("--resume\n") + 9 == finished.out.size());  // it is the last line
  const auto record = read_record(folder / "results/hang.json");
  CHECK(record.state == RunState::interrupted);
  CHECK(contains(record.error, "interrupted in case case=fault"));
  REQUIRE(record.cases.size() == 1);
  CHECK(record.cases[0].variants.at(0).status == Status::passed);
  CHECK_FALSE(fs::exists(folder / "results/slow.json"));

  const auto again = run(folder, {"run", "hang", "--resume", "--timeout", "2"});
  CHECK(again.code == 5);
  CHECK(contains(again.err, "hang 1 of 3 cases are finished already"));
  CHECK_FALSE(contains(again.err, "case=before: "));
}

TEST_CASE("a resumed run redoes what crashed and keeps what is finished; another seed starts anew", "[cpu]") {
  const Folder folder;
  run(folder, {"run", "exit"});
  const auto first = read_record(folder / "results/exit.json");
  const auto again = run(folder, {"run", "exit", "--resume"});
  CHECK(again.code == 5);
  CHECK(contains(again.err, "2 of 3 cases are finished already"));
  const auto second = check_fault(folder, "exit", RunState::crashed, "exited with status 3");
  CHECK(second.run_id != first.run_id);
  CHECK(second.cases[0].elapsed_seconds == first.cases[0].elapsed_seconds);
  const auto other = run(folder, {"run", "exit", "--resume", "--seed", "2"});
  CHECK(contains(other.err,
                 "the earlier result is of `remeasure run exit --size smoke --seed 1`: measuring again"));
  CHECK_FALSE(contains(other.err, "finished already"));
}

TEST_CASE("a worker dies with its parent", "[cpu]") {
  const Folder folder;
  pid_t worker = 0;
  {
    Program program(folder, {"run", "ignore"});
    REQUIRE(eventually([&] { return contains(text_of(folder / "err"), "case 1/3"); }));
    worker = program.worker();
    REQUIRE(worker > 0);
    CHECK(alive(worker));
  }  // killed with SIGKILL
  CHECK(eventually([&] { return !alive(worker); }));
  const auto record = read_record(folder / "results/ignore.json");
  CHECK(record.state == RunState::partial);
  CHECK(record.cases.size() == 1);
}

TEST_CASE("two runs can't write one experiment's record, and the second says who does", "[cpu]") {
  const Folder folder;
  Program program(folder, {"run", "hang"});
  REQUIRE(eventually([&] { return fs::exists(folder / "results/hang.log"); }));
  const Folder elsewhere;
  const std::string out = (folder / "results").string();
  const auto second = run(elsewhere, {"run", "hang", "--out", out});
  CHECK(second.code == 2);
  CHECK(contains(second.err, "hang.json is being written by another run (process " +
                                 std::to_string(program.pid()) + ")"));
  CHECK(run(elsewhere, {"run", "fine", "--out", out}).code == 0);
}

TEST_CASE("what a user gets wrong is one line and exit 2", "[cpu]") {
  const Folder folder;
  std::ofstream(folder / "file") << "not a folder\n";
  struct Wrong {
    std::vector<std::string> arguments;
    std::string text;
  };
  const std::vector<Wrong> all = {
      {{"run", "fin"}, "unknown experiment 'fin'; did you mean 'fine'?"},
      {{"describe", "crsah"}, "unknown experiment 'crsah'; did you mean 'crash'?"},
      {{"list", "--theme", "system"}, "unknown theme 'system'; did you mean 'systems'?"},
      {{"data", "make", "nothing"}, "unknown dataset 'nothing'"},
      {{"run", "fine", "--filter", "("}, "is not a regular expression"},
      {{"run", "fine", "--filter", "zzz"}, "no case matches --filter 'zzz'"},
      {{"run", "fine", "--variant", "eigne"}, "unknown variant 'eigne'; did you mean 'eigen'?"},
      {{"run", "fine", "--variant", "vendor"}, "variant 'vendor' was asked for by name"},
      {{"run", "fine", "--variant", "eigen@moon"}, "unknown place 'moon'"},
      {{"run", "fine", "--shard", "3/2"}, "--shard 3/2"},
      {{"run", "fine", "--out", "file"}, "file is a file, not a folder: choose another --out"},
      {{"run", "fine", "--out", "/proc/nowhere"}, "choose another --out"},
      {{"run", "fine", "--data", "file"}, "choose another --data"},
      {{"report", "nowhere"}, "nowhere: no such folder"},
      {{"check", "nowhere"}, "nowhere: no such folder"},
      {{"help", "exit-code"}, "did you mean 'exit-codes'?"},
      {{"worker", "{}"}, "is started by `run` only"},
  };
  for (const auto& wrong : all) {
    const auto finished = run(folder, wrong.arguments);
    std::string last = finished.err.substr(0, finished.err.empty() ? 0 : finished.err.size() - 1);
    last = last.substr(last.find_last_of('\n') == std::string::npos ? 0 : last.find_last_of('\n') + 1);
    INFO(finished.err);
    CHECK(finished.code == 2);
    CHECK(contains(last, "remeasure: "));
    CHECK(contains(last, wrong.text));
  }
}

TEST_CASE("a filter runs some cases, a named variant only itself", "[cpu]") {
  const Folder folder;
  REQUIRE(run(folder, {"run", "fine", "--filter", "case=b", "--variant", "eigen"}).code == 0);
  const auto record = read_record(folder / "results/fine.json");
  REQUIRE(record.cases.size() == 1);
  CHECK(record.cases[0].name == "case=b");
  for (const auto& variant : record.cases[0].variants) {
    CHECK((variant.name == "eigen") == (variant.status == Status::passed));
  }
}

TEST_CASE("the parts of a shard are disjoint and may share a folder", "[cpu]") {
  const Folder folder;
  std::size_t experiments = 0;
  for (const std::string part : {"1/8", "4/8", "6/8"}) {
    run(folder, {"run", "--all", "--shard", part, "--timeout", "3"});
    const auto records = remeasure::reports::read_records(folder / "results");
    CHECK(records.size() > experiments);
    experiments = records.size();
  }
  CHECK(experiments == 9);  // of twenty-two: three each
}

TEST_CASE("a full or closed standard output is an error, a reader that has seen enough isn't", "[cpu]") {
  const Folder folder;
  {
    Program full(folder, {"list"}, {.out = "/dev/full"});
    const auto finished = full.wait();
    CHECK(finished.code == 2);
    CHECK(contains(finished.err, "can't write to standard output: No space left on device"));
  }
  const auto shell = [&](const std::string& command) {
    const std::string whole =
        "cd '" + folder.path().string() + "' && P='" + fake_program() + "' bash -c '" + command + "'";
    const int status = std::system(whole.c_str());
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  };
  CHECK(shell("\"$P\" list >&- 2>err") == 2);
  CHECK(contains(text_of(folder / "err"), "Bad file descriptor"));
  CHECK(shell("set -o pipefail; \"$P\" list --json | head -1 >/dev/null") == 0);
}
