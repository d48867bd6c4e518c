// SPDX-License-Identifier: Apache-2.0
#include "reports/plot.h"

#include <sys/stat.h>

#include <testing/catch.h>
#include <filesystem>

#include "reports/run_program.h"
#include "reports/sample_records.h"
#include "reports/text_file.h"

namespace remeasure::reports {
namespace {

using Catch::Matchers::ContainsSubstring;

Plot sample() {
  return samples::double_descent().cases[0].plots[0];
}

bool gnuplot_is_here() {
  return run_program({"gnuplot", "--version"}, std::filesystem::temp_directory_path(), 10).found;
}

/// A program of the test's own in place of gnuplot.
std::string program(const std::string& script) {
  const auto path = std::filesystem::temp_directory_path() / "not-gnuplot";
  write_text_file(path, "#!/bin/sh\n" + script + "\n");
  ::chmod(path.c_str(), 0755);
  return path.string();
}

TEST_CASE("a script draws reference curves as lines and measured ones with error bars", "[cpu]") {
  const std::string script = plot_script(sample());
  CHECK_THAT(script, ContainsSubstring("set logscale x 2"));
  CHECK_THAT(script, ContainsSubstring("'data' index 1 using 1:2 with lines"));
  CHECK_THAT(script, ContainsSubstring("'data' index 0 using 1:2:3 with yerrorbars"));
  CHECK(script.find("index 1") < script.find("index 0"));
  CHECK_THAT(plot_data(sample()), ContainsSubstring("4 1.201 0.02\n"));
}

TEST_CASE("text of a plot can't become a command", "[cpu]") {
  Plot plot = sample();
  plot.x_label = "x'\nsystem 'touch /tmp/owned'";
  const std::string script = plot_script(plot);
  CHECK_THAT(script, ContainsSubstring("set xlabel 'x'' system ''touch /tmp/owned'''\n"));
}

TEST_CASE("points that a logarithmic axis can't show are left out", "[cpu]") {
  Plot plot = sample();
  plot.curves[0].y[0] = 0;
  CHECK(plot_data(plot).find("4 0 ") == std::string::npos);
  plot.curves.clear();
  CHECK_THAT(draw(plot, "a").problem, ContainsSubstring("no points"));
}

TEST_CASE("gnuplot's plot is one SVG element with ids of its own", "[cpu]") {
  if (!gnuplot_is_here()) SKIP_TEST("gnuplot isn't installed");
  Plot plot = sample();
  plot.curves[0].label = "<measured> & 'quoted'";
  const Drawing one = draw(plot, "plot-a");
  const Drawing two = draw(plot, "plot-b");
  REQUIRE(one.problem.empty());
  CHECK(one.svg.rfind("<svg role=\"img\" aria-labelledby=\"plot-a-title plot-a-desc\"", 0) == 0);
  CHECK_THAT(one.svg, ContainsSubstring("viewBox="));
  CHECK_THAT(one.svg,
             ContainsSubstring("<title id=\"plot-a-title\">Test error of the minimum-norm solution</title>"));
  CHECK_THAT(one.svg, ContainsSubstring("&lt;measured&gt; &amp;"));
  CHECK(one.svg.find("id='gp") == std::string::npos);
  CHECK(one.svg.find("plot-b") == std::string::npos);
  CHECK(two.svg.find("plot-a") == std::string::npos);
  CHECK(one.svg.find("white'/>") == std::string::npos);
  CHECK(one.svg.find("black") == std::string::npos);
  CHECK(one.svg.find("<?xml") == std::string::npos);
}

TEST_CASE("without gnuplot, or with a broken one, the page says why there is no plot", "[cpu]") {
  CHECK_THAT(draw(sample(), "a", "no-such-gnuplot").problem, ContainsSubstring("apt install gnuplot"));
  CHECK(draw(sample(), "a", "no-such-gnuplot").svg.empty());
  CHECK_THAT(draw(sample(), "a", program("echo bad terminal >&2; exit 1")).problem,
             ContainsSubstring("bad terminal"));
  CHECK_THAT(draw(sample(), "a", program("exit 0")).problem, ContainsSubstring("plot.svg"));
  CHECK_THAT(draw(sample(), "a", program("exec sleep 30"), 0.2).problem, ContainsSubstring("had not ended"));
}

}  // namespace
}  // namespace remeasure::reports
