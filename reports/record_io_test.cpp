// SPDX-License-Identifier: Apache-2.0
#include "reports/record_io.h"

#include <sys/resource.h>
#include <unistd.h>

#include <testing/catch.h>
#include <cmath>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <functional>
#include <limits>

#include "reports/sample_records.h"
#include "reports/text_file.h"

namespace remeasure::reports {
namespace {

using Catch::Matchers::ContainsSubstring;

/// A folder of its own, removed at the end.
class Folder {
 public:
  Folder() {
    std::string name = (std::filesystem::temp_directory_path() / "records.XXXXXX").string();
    REQUIRE(::mkdtemp(name.data()) != nullptr);
    path_ = name;
  }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  ~Folder() { std::filesystem::remove_all(path_); }
  std::filesystem::path operator/(const char* name) const { return path_ / name; }
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

/// The message of writing a sample after `spoil` has been at it; empty if it was written.
std::string refusal(const std::function<void(Record&)>& spoil) {
  Record record = samples::attention();
  spoil(record);
  try {
    to_json(record);
  } catch (const RecordError& error) {
    return error.what();
  }
  return "";
}

std::string replaced(std::string text, const std::string& what, const std::string& with) {
  const auto at = text.find(what);
  REQUIRE(at != std::string::npos);
  return text.replace(at, what.size(), with);
}

TEST_CASE("a record comes back from JSON as it was", "[cpu]") {
  for (const Record& record : samples::all()) {
    const std::string text = to_json(record);
    const Record back = from_json(text, "text");
    CHECK(to_json(back) == text);
    CHECK(back.experiment == record.experiment);
    CHECK(back.cases.size() == record.cases.size());
  }
  const Record back = from_json(to_json(samples::attention()), "text");
  const VariantResult& kernel = back.cases[0].variants[0];
  CHECK(back.cases[0].seed == std::numeric_limits<std::uint64_t>::max());
  CHECK(kernel.time->samples == samples::attention().cases[0].variants[0].time->samples);
  CHECK(kernel.roofline->fraction_of_floor == 0.62);
  CHECK_FALSE(kernel.memory->host_peak.has_value());
  CHECK(back.cases[0].variants[3].memory->host_peak == 4194304.0);
  CHECK(back.cases[1].variants[4].status == Status::incorrect);
  CHECK(std::isinf(back.cases[1].variants[4].accuracy[0].value));
  CHECK(back.claims[3].verdict == Verdict::not_measured);
  CHECK_FALSE(back.claims[3].measured.has_value());
}

TEST_CASE("numbers are as short as round-trips, keys sorted, absent means absent", "[cpu]") {
  Record record = samples::bessel();
  record.elapsed_seconds = 0.1;
  const std::string text = to_json(record);
  CHECK_THAT(text, ContainsSubstring("\"elapsed_seconds\": 0.1,"));
  CHECK(text.find("\"cases\"") < text.find("\"claims\""));
  CHECK(text.find("null") == std::string::npos);
  CHECK(text.find("\"roofline\"") == std::string::npos);
  CHECK(text.back() == '\n');
}

TEST_CASE("a number that is not finite is refused by name", "[cpu]") {
  CHECK_THAT(
      refusal([](Record& it) { it.cases[0].variants[0].time->seconds.median = NAN; }),
      ContainsSubstring("/cases/0/variants/0/time/seconds/median: found nan, expected a finite number"));
  CHECK_THAT(refusal([](Record& it) { it.cases[1].metrics[0].value = INFINITY; }),
             ContainsSubstring("/cases/1/metrics/0/value: found inf"));
  CHECK_THAT(refusal([](Record& it) { it.ceilings["triad"] = -INFINITY; }),
             ContainsSubstring("/ceilings/triad: found -inf"));
}

TEST_CASE("a record that breaks a rule is neither written nor read", "[cpu]") {
  CHECK(refusal([](Record&) {}).empty());
  CHECK_THAT(refusal([](Record& it) { it.cases[0].variants[4].time = samples::time_of(1); }),
             ContainsSubstring("/cases/0/variants/4/time: found a time with status \"incorrect\""));
  CHECK_THAT(refusal([](Record& it) { it.cases[0].variants[1].time = samples::time_of(1); }),
             ContainsSubstring("a time of a simt variant"));
  CHECK_THAT(refusal([](Record& it) { it.cases[0].variants[5].memory = Memory{}; }),
             ContainsSubstring("memory with status \"timed out\""));
  CHECK_THAT(refusal([](Record& it) { it.cases[0].variants[4].reason.clear(); }),
             ContainsSubstring("no reason"));
  CHECK_THAT(refusal([](Record& it) { it.cases[0].variants[0].accuracy.clear(); }),
             ContainsSubstring("status \"passed\" without an accuracy"));
  CHECK_THAT(refusal([](Record& it) { it.cases[0].variants[0].accuracy[0].value = 0.5; }),
             ContainsSubstring("/cases/0/variants/0/accuracy/0"));
  CHECK_THAT(refusal([](Record& it) { it.cases[0].variants[0].accuracy[0].value = 1e-9; }),
             ContainsSubstring("at least 0.0001"));
  CHECK_THAT(refusal([](Record& it) { it.cases[0].variants[0].roofline->fraction_of_floor = 1.01; }),
             ContainsSubstring("a time below its floor is invalid"));
  CHECK_THAT(refusal([](Record& it) { it.cases[0].variants[0].time->throttled = {11}; }),
             ContainsSubstring("throttled/0: found 11"));
  CHECK_THAT(refusal([](Record& it) { it.cases[0].variants[0].time->other_modes[1].missing = ""; }),
             ContainsSubstring("other_modes/1: found neither seconds nor a reason"));
  CHECK_THAT(refusal([](Record& it) { it.cases[0].variants[0].time->other_modes[0].mode = "cold"; }),
             ContainsSubstring("other_modes/0: found mode \"cold\" twice"));
  CHECK_THAT(refusal([](Record& it) { it.cases[0].speedups[0].base = "fused"; }),
             ContainsSubstring("\"fused\", which has no time"));
  CHECK_THAT(refusal([](Record& it) { it.cases[1].name = it.cases[0].name; }),
             ContainsSubstring("/cases/1: found a second \"n=256\""));
  CHECK_THAT(refusal([](Record& it) { it.cases[0].variants[2].name = "kernel"; }),
             ContainsSubstring("a second \"kernel on gpu\""));
  CHECK_THAT(refusal([](Record& it) { it.claims[0].measured.reset(); }),
             ContainsSubstring("/claims/0/measured"));
  CHECK_THAT(refusal([](Record& it) { it.claims[3].why.clear(); }), ContainsSubstring("/claims/3/why"));
  CHECK_THAT(refusal([](Record& it) { it.state = RunState::crashed; }), ContainsSubstring("/error"));
  CHECK_THAT(refusal([](Record& it) { it.size = "huge"; }),
             ContainsSubstring("/size: found \"huge\", expected one of \"smoke\", \"paper\""));

  // The same rules hold for a file that another program wrote.
  const std::string text = to_json(samples::bessel());
  const std::string lie = replaced(text, "\"status\": \"not supported\"", "\"status\": \"passed\"");
  CHECK_THROWS_WITH(from_json(lie, "lie.json"), ContainsSubstring("lie.json: /cases/0/variants/5"));
}

TEST_CASE("a file that is not a record is one clear error", "[cpu]") {
  const std::string text = to_json(samples::bessel());
  const auto error_of = [&](const std::string& what, const std::string& with) {
    try {
      from_json(replaced(text, what, with), "a.json");
    } catch (const RecordError& error) {
      return std::string(error.what());
    }
    return std::string();
  };
  CHECK_THAT(error_of("\"version\": 1\n", "\"version\": 2\n"), ContainsSubstring("newer remeasure"));
  CHECK_THAT(error_of("\"version\": 1\n", "\"version\": 0\n"), ContainsSubstring("older remeasure"));
  CHECK_THAT(error_of("\"seed\": 7", "\"seed\": \"7\""),
             ContainsSubstring("/cases/0/seed: found \"7\", expected an integer"));
  CHECK_THAT(error_of("\"seed\": 7", "\"seed\": -7"),
             ContainsSubstring("/cases/0/seed: found -7, expected at least 0"));
  CHECK_THAT(error_of("\"seed\": 7", "\"sead\": 7"), ContainsSubstring("/cases/0/s"));
  CHECK_THAT(error_of("\"elapsed_seconds\": 1.5", "\"elapsed_seconds\": 1e999"), ContainsSubstring("a.json"));
  CHECK_THAT(error_of("{", "["), ContainsSubstring("isn't JSON"));
  CHECK_THROWS_WITH(from_json("", "b.json"), ContainsSubstring("b.json: found text that isn't JSON"));
  CHECK_THROWS_WITH(from_json("[]", "b.json"),
                    ContainsSubstring("b.json: /: found an empty array, expected an object"));
  for (std::size_t length = 0; length < text.size() - 2; length += 97) {
    CHECK_THROWS_AS(from_json(text.substr(0, length), "cut.json"), RecordError);
  }
}

TEST_CASE("a results folder is read in the order of the experiments", "[cpu]") {
  const Folder folder;
  write_record(samples::bessel(), folder / "b.json");
  write_record(samples::attention(), folder / "z.json");
  write_text_file(folder / "results.json", "[]");
  write_text_file(folder / "benchmark.json", "{}");
  write_text_file(folder / "notes.txt", "not a record");
  const std::vector<Record> records = read_records(folder.path());
  REQUIRE(records.size() == 2);
  CHECK(records[0].experiment == "dfss");
  CHECK(records[1].experiment == "log-bessel");

  write_text_file(folder / "broken.json", "{\"version\": 1}");
  CHECK_THROWS_WITH(read_records(folder.path()), ContainsSubstring("broken.json: /run_id: found nothing"));
  CHECK_THROWS_WITH(read_records(folder / "missing"), ContainsSubstring("missing"));
  CHECK_THROWS_AS(read_record(folder.path()), RecordError);
}

TEST_CASE("a full disk leaves the old file and no half one", "[cpu]") {
  const Folder folder;
  const auto path = folder / "a.json";
  write_text_file(path, "old");
  rlimit before{};
  REQUIRE(::getrlimit(RLIMIT_FSIZE, &before) == 0);
  const auto previous = std::signal(SIGXFSZ, SIG_IGN);
  const rlimit small{1000, before.rlim_max};
  REQUIRE(::setrlimit(RLIMIT_FSIZE, &small) == 0);
  std::string message;
  try {
    write_record(samples::attention(), path);
  } catch (const std::runtime_error& error) {
    message = error.what();
  }
  REQUIRE(::setrlimit(RLIMIT_FSIZE, &before) == 0);
  std::signal(SIGXFSZ, previous);
  CHECK_THAT(message, ContainsSubstring("a.json: File too large"));
  CHECK(read_text_file(path) == "old");
  CHECK(std::distance(std::filesystem::directory_iterator(folder.path()), {}) == 1);
  CHECK_THROWS_WITH(write_text_file(folder / "no/such/file", "text"),
                    ContainsSubstring("No such file or directory"));
}

}  // namespace
}  // namespace remeasure::reports
