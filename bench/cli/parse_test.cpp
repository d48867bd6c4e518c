// SPDX-License-Identifier: Apache-2.0
#include <testing/catch.h>

#include "bench/cli/exit_codes.h"
#include "bench/cli/options.h"

using namespace remeasure::bench::cli;

namespace {

std::string error_of(const std::vector<std::string>& arguments) {
  const auto parsed = parse(arguments);
  const auto* error = std::get_if<UsageError>(&parsed);
  return error != nullptr ? error->text : "(understood)";
}

template <class Options>
Options parsed_as(const std::vector<std::string>& arguments) {
  const auto parsed = parse(arguments);
  if (const auto* error = std::get_if<UsageError>(&parsed)) FAIL(error->text);
  REQUIRE(std::holds_alternative<Command>(parsed));
  REQUIRE(std::holds_alternative<Options>(std::get<Command>(parsed)));
  return std::get<Options>(std::get<Command>(parsed));
}

bool starts_with(const std::string& text, const std::string& start) {
  return text.compare(0, start.size(), start) == 0;
}

}  // namespace

TEST_CASE("run understands all of its options", "[cpu]") {
  const auto run =
      parsed_as<RunCommand>({"run",       "dfss",       "topml",     "--size", "paper",
                             "--filter",  "n=5",        "--variant", "kernel", "--variant",
                             "eigen",     "--min-time", "0.5",       "--seed", "18446744073709551615",
                             "--timeout", "60",         "--out",     "o",      "--data",
                             "d",         "--resume",   "--shard",   "1/2"});
  CHECK(run.ids == std::vector<std::string>{"dfss", "topml"});
  CHECK_FALSE(run.all);
  CHECK(run.size == "paper");
  CHECK(run.filter == "n=5");
  CHECK(run.variants == std::vector<std::string>{"kernel", "eigen"});
  CHECK(run.min_time == 0.5);
  CHECK(run.seed == 18446744073709551615u);
  CHECK(run.timeout == 60.0);
  CHECK(run.out == "o");
  CHECK(run.data == "d");
  CHECK(run.resume);
  CHECK(run.shard == "1/2");
}

TEST_CASE("ceilings may be measured again and given to programs", "[cpu]") {
  const auto options = parsed_as<CeilingsOptions>({"ceilings", "--again", "--json", "--data", "d"});
  CHECK(options.again);
  CHECK(options.json);
  CHECK(options.data == "d");
  CHECK_FALSE(parsed_as<CeilingsOptions>({"ceilings"}).again);
}

TEST_CASE("kernels takes one experiment or none", "[cpu]") {
  CHECK(parsed_as<KernelsOptions>({"kernels"}).id.empty());
  CHECK(parsed_as<KernelsOptions>({"kernels"}).launches.empty());
  const auto kernels = parsed_as<KernelsOptions>({"kernels", "dfss", "--results", "r", "--json"});
  CHECK(kernels.id == "dfss");
  CHECK(kernels.results == "r");
  CHECK(kernels.json);
  CHECK_FALSE(kernels.all_launched);
}

TEST_CASE("whether all kernels were launched is asked of a log, and of all kernels", "[cpu]") {
  const std::string log = "/proc/self/cmdline";  // a file that exists
  CHECK(parsed_as<KernelsOptions>({"kernels", "--launches", log, "--all-launched"}).all_launched);
  CHECK(starts_with(error_of({"kernels", "--all-launched"}), "--all-launched is about a log"));
  CHECK(starts_with(error_of({"kernels", "dfss", "--launches", log, "--all-launched"}),
                    "--all-launched is about all kernels"));
}

TEST_CASE("a budget is a duration, and divides the time itself", "[cpu]") {
  CHECK(parsed_as<RunCommand>({"run", "--all", "--budget", "8m"}).budget == "8m");
  CHECK(starts_with(error_of({"run", "--all", "--budget", "soon"}),
                    "--budget: 'soon' is not a duration above 0: write 480s, 8m"));
  CHECK(starts_with(error_of({"run", "--all", "--budget", "0"}), "--budget: '0' is not a duration"));
  CHECK(starts_with(error_of({"run", "--all", "--budget", "8m", "--timeout", "60"}),
                    "--budget divides the time"));
}

TEST_CASE("a variant takes one name, so experiments may follow it", "[cpu]") {
  const auto run = parsed_as<RunCommand>({"run", "--variant", "kernel", "dfss"});
  CHECK(run.ids == std::vector<std::string>{"dfss"});
  CHECK(run.variants == std::vector<std::string>{"kernel"});
}

TEST_CASE("conflicting and incomplete command lines are refused with one line", "[cpu]") {
  CHECK(starts_with(error_of({"run"}), "which experiment?"));
  CHECK(starts_with(error_of({"run", "dfss", "--all"}), "either IDs or --all, not both"));
  CHECK(starts_with(error_of({"run", "dfss", "--size", "smok"}),
                    "--size: unknown size 'smok'; did you mean 'smoke'?"));
  CHECK(starts_with(error_of({"run", "dfss", "--seed", "-1"}), "--seed: '-1' is not a whole number"));
  CHECK(starts_with(error_of({"run", "dfss", "--seed", "1", "--seed", "2"}), "--seed:"));
  CHECK(starts_with(error_of({"run", "dfss", "--min-time", "0"}), "--min-time: '0' is not a number above 0"));
  CHECK(
      starts_with(error_of({"run", "dfss", "--timeout", "nan"}), "--timeout: 'nan' is not a number above 0"));
  CHECK(starts_with(error_of({"data"}), "which of list, make, verify, import, path?"));
  CHECK(starts_with(error_of({"data", "verify"}), "which files?"));
  CHECK(starts_with(error_of({"data", "verify", "a.h5", "--all"}), "either files or --all, not both"));
  CHECK(starts_with(error_of({"report", "--format", "html"}), "an HTML page is for a browser"));
  CHECK(starts_with(error_of({"list", "describe"}), "unexpected argument 'describe'"));
  CHECK(starts_with(error_of({"--version", "list"}), "--version stands alone"));
  for (const auto& arguments : std::vector<std::vector<std::string>>{
           {"run", "dfss", "--all"}, {"data"}, {"report", "--format", "x"}}) {
    CHECK(error_of(arguments).find('\n') == std::string::npos);
  }
}

TEST_CASE("an unknown subcommand or option is answered with the nearest", "[cpu]") {
  CHECK(error_of({"lst"}) == "unknown subcommand 'lst'; did you mean 'list'?");
  CHECK(error_of({"data", "mak"}) == "unknown subcommand 'mak'; did you mean 'make'?");
  CHECK(error_of({"run", "dfss", "--resum"}) == "unknown option '--resum'; did you mean '--resume'?");
  CHECK(error_of({"run", "dfss", "--time-out=3"}) ==
        "unknown option '--time-out'; did you mean '--timeout'?");
}

TEST_CASE("help is found for the program, a subcommand and a subcommand's subcommand", "[cpu]") {
  const auto text = [](const std::vector<std::string>& arguments) {
    const auto parsed = parse(arguments);
    REQUIRE(std::holds_alternative<HelpText>(parsed));
    return std::get<HelpText>(parsed).text;
  };
  CHECK(text({}).find("Usage: remeasure [OPTIONS] [SUBCOMMAND]") != std::string::npos);
  CHECK(text({"run", "--help"}).find("Usage: remeasure run [OPTIONS] [ID...]") != std::string::npos);
  CHECK(text({"data", "make", "--help"}).find("Usage: remeasure data make [OPTIONS] NAME") !=
        std::string::npos);
  CHECK(parsed_as<HelpOptions>({"help", "run"}).topic == "run");
  CHECK(parsed_as<HelpOptions>({"help", "exit-codes"}).topic == "exit-codes");
  for (const auto& name : subcommand_names()) {
    INFO(name);
    REQUIRE(help_text(name).has_value());
    CHECK(help_text(name)->find("Examples:") != std::string::npos);
  }
  CHECK_FALSE(help_text("nothing").has_value());
  CHECK(exit_codes_text().find("4  an incorrect result") != std::string::npos);
}
