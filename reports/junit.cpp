// SPDX-License-Identifier: Apache-2.0
//
// JUnit XML as CI servers read it. A suite is an experiment; a testcase is a claim, a check, or a variant,
// case or experiment that wasn't right. What fails is what is wrong here: a check that doesn't hold, an
// incorrect result, a crash. A claim that wasn't reproduced is a finding about the paper, not a defect of the
// build: its testcase passes, with the verdict as a property and in system-out. `time` is a plain decimal and
// `timestamp` has no zone, as the schema asks.
#include <fmt/format.h>

#include <map>

#include "reports/escape.h"
#include "reports/format.h"
#include "reports/view.h"
#include "reports/writers.h"

namespace remeasure::reports {
namespace {

struct TestCase {
  std::string name;
  double seconds = 0;
  std::vector<std::pair<std::string, std::string>> properties = {};
  std::string outcome = {};  ///< "", "failure", "error" or "skipped"
  std::string type = {}, message = {};
  std::string system_out = {};  ///< written where the test passes
};

std::vector<std::pair<std::string, std::string>> properties_of(const ClaimResult& claim) {
  const ClaimRow row = view_claim(claim);
  std::vector<std::pair<std::string, std::string>> properties = {{"verdict", row.verdict},
                                                                 {"claim", claim.text},
                                                                 {"reported", row.reported},
                                                                 {"reported on", row.reported_on},
                                                                 {"measured", row.measured},
                                                                 {"measured on", row.measured_on},
                                                                 {"why", row.why}};
  if (claim.reported_text.empty()) {
    properties.emplace_back("reported low", exact_text(claim.reported.low));
    properties.emplace_back("reported high", exact_text(claim.reported.high));
  }
  if (claim.measured) {
    properties.emplace_back("measured low", exact_text(claim.measured->low));
    properties.emplace_back("measured high", exact_text(claim.measured->high));
  }
  if (!claim.unit.empty()) properties.emplace_back("unit", claim.unit);
  return properties;
}

TestCase of(const ClaimResult& claim) {
  TestCase test{.name = "claim " + claim.id, .seconds = 0, .properties = properties_of(claim)};
  test.type = to_string(claim.verdict);
  test.message = claim.why;
  test.system_out = fmt::format("{}: {}", test.type, claim.why);
  if (claim.verdict == Verdict::not_comparable || claim.verdict == Verdict::not_measured) {
    test.outcome = "skipped";
    test.message = test.type + ": " + claim.why;
  }
  return test;
}

std::vector<TestCase> tests_of(const Record& record) {
  std::vector<TestCase> tests;
  if (record.state == RunState::crashed || record.state == RunState::timed_out) {
    tests.push_back({"run", record.elapsed_seconds, {}, "error", to_string(record.state), record.error});
  }
  for (const ClaimResult& claim : record.claims) {
    tests.push_back(of(claim));
  }
  for (const CaseResult& test : record.cases) {
    const std::pair<std::string, std::string> data{"data", test.synthetic ? "generated" : "real"};
    if (!test.error.empty()) {
      tests.push_back(
          {"case " + test.name, test.elapsed_seconds, {data}, "error", "ended early", test.error});
    }
    if (!test.left_out.empty()) {
      tests.push_back(
          {"case " + test.name, test.elapsed_seconds, {data}, "skipped", "left out", test.left_out});
    }
    if (!test.not_reached.empty()) {
      tests.push_back(
          {"case " + test.name, test.elapsed_seconds, {data}, "skipped", "not run", test.not_reached});
    }
    for (const Check& check : test.checks) {
      TestCase it{fmt::format("check {} ({})", check.name, test.name), 0, {data, {"detail", check.detail}}};
      if (!check.passed) {
        it.outcome = "failure";
        it.type = "check";
        it.message = check.detail;
      }
      tests.push_back(std::move(it));
    }
    for (const VariantResult& variant : test.variants) {
      const bool wrong = variant.status == Status::incorrect;
      const bool broken = variant.status == Status::failed || variant.status == Status::timed_out;
      if (!wrong && !broken) continue;
      tests.push_back(
          {fmt::format("variant {} on {} ({})", variant.name, to_string(variant.where), test.name),
           0,
           {data, {"device", variant.device}, {"dtype", variant.dtype}},
           wrong ? "failure" : "error",
           to_string(variant.status),
           variant.reason});
    }
  }
  // The same name twice would be one test to a CI server.
  std::map<std::string, int> seen;
  for (TestCase& test : tests) {
    if (const int count = ++seen[test.name]; count > 1) test.name += fmt::format(" #{}", count);
  }
  return tests;
}

std::string attribute(const char* name, const std::string& value) {
  return fmt::format(" {}=\"{}\"", name, xml_text(value));
}

std::string counts(const std::vector<TestCase>& tests) {
  std::map<std::string, int> count;
  for (const TestCase& test : tests) {
    ++count[test.outcome];
  }
  return fmt::format(" tests=\"{}\" failures=\"{}\" errors=\"{}\" skipped=\"{}\"", tests.size(),
                     count["failure"], count["error"], count["skipped"]);
}

std::string properties_text(const std::vector<std::pair<std::string, std::string>>& properties,
                            const char* margin) {
  std::string out;
  for (const auto& [name, value] : properties) {
    if (value.empty()) continue;
    out += fmt::format("{}  <property{}{}/>\n", margin, attribute("name", name), attribute("value", value));
  }
  return out.empty() ? out : fmt::format("{0}<properties>\n{1}{0}</properties>\n", margin, out);
}

std::string text_of(const TestCase& test, const std::string& experiment) {
  std::string body = properties_text(test.properties, "      ");
  if (test.outcome == "skipped") {
    body += fmt::format("      <skipped{}/>\n", attribute("message", test.message));
  } else if (!test.outcome.empty()) {
    body += fmt::format("      <{0}{1}{2}>{3}</{0}>\n", test.outcome, attribute("message", test.message),
                        attribute("type", test.type), xml_text(test.message));
  } else if (!test.system_out.empty()) {
    body += fmt::format("      <system-out>{}</system-out>\n", xml_text(test.system_out));
  }
  const std::string head =
      fmt::format("    <testcase{}{}{}", attribute("classname", experiment), attribute("name", test.name),
                  attribute("time", plain_decimal(test.seconds)));
  return body.empty() ? head + "/>\n" : head + ">\n" + body + "    </testcase>\n";
}

}  // namespace

std::string junit_report(const std::vector<Record>& records) {
  std::string suites;
  std::vector<TestCase> all;
  double seconds = 0;
  for (std::size_t i = 0; i < records.size(); ++i) {
    const Record& record = records[i];
    const std::vector<TestCase> tests = tests_of(record);
    all.insert(all.end(), tests.begin(), tests.end());
    seconds += record.elapsed_seconds;
    suites += fmt::format("  <testsuite{}{} id=\"{}\"{}{}{}>\n", attribute("name", record.experiment),
                          counts(tests), i, attribute("hostname", record.system.host),
                          attribute("timestamp", record.started.substr(0, 19)),
                          attribute("time", plain_decimal(record.elapsed_seconds)));
    suites += properties_text({{"size", record.size},
                               {"state", to_string(record.state)},
                               {"machine", machine_line(record.system)},
                               {"system id", record.system.id},
                               {"build", build_line(record.build)},
                               {"git commit", record.build.git_commit}},
                              "    ");
    for (const TestCase& test : tests) {
      suites += text_of(test, record.experiment);
    }
    suites += "  </testsuite>\n";
  }
  return fmt::format(
      "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites name=\"remeasure\"{} time=\"{}\">\n{}"
      "</testsuites>\n",
      counts(all), plain_decimal(seconds), suites);
}

}  // namespace remeasure::reports
