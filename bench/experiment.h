// SPDX-License-Identifier: Apache-2.0
//
// A paper as data: who, what it reports, which cases. `remeasure list`, `describe`, `check` and every report
// are made from it. An experiment file defines one `const Experiment <id>;` in namespace
// remeasure::experiments; the build finds it by its place, experiments/<theme>/<id>.cpp ('-' in an id is '_'
// in the file and variable name).
#pragma once

#include <functional>
#include <initializer_list>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "reports/units.h"

namespace remeasure::bench {

class Trial;

/// `smoke`: the whole experiment, SIMT check included, within 10 s on 2 cores. `paper`: the paper's sizes.
enum class Size { smoke, paper };

struct Paper {
  std::string id = {}, title = {}, authors = {}, venue = {}, arxiv = {};
  std::string summary = {};  ///< one sentence: the method, as `list` shows it
};

/// What a claim needs in order to be measured.
enum class Needs { cpu, gpu, elsewhere };

/// Which way is better, for "inside the reported range or better".
enum class Better { higher, lower, neither };

/// How the samples of all cases become the one value (or range) that is judged.
enum class Over { range, median, mean, smallest, largest };

/// One row of the paper's reported results.
struct Claim {
  std::string id = {};
  std::string text = {};
  Interval reported = {};          ///< low == high for a single value
  std::string reported_text = {};  ///< for a statement: what the paper says; then samples are true or false
  std::string unit = "x";
  Better better = Better::higher;
  double no_effect = 1;    ///< the value that would mean "no effect": direction is judged against it
  double tolerance = 0.1;  ///< relative; outside the range by less than this still reproduces
  std::string tolerance_reason = {};
  std::string on = {};      ///< reported hardware, model, sizes, dtype
  std::string source = {};  ///< "abstract", "table 2", "recalled"
  Needs needs = Needs::cpu;
  std::string instead = {};  ///< Needs::elsewhere: why it can't be measured here, and what would measure it
  Over over = Over::range;
  bool is_time = false;    ///< a time or ratio of times: never judged on Simt
  bool any_size = false;   ///< the stated setting holds at smoke size too; else smoke is not comparable
  bool real_data = false;  ///< about real data: generated data that stands in for it is not comparable
  bool modelled = false;   ///< the paper itself derived it from a model (simulator), not from hardware
};

/// "n=512 pattern=2:4": ordered name-value pairs that make a case's name.
using CaseName = std::vector<std::pair<std::string, std::string>>;

struct CaseDefinition {
  CaseName name = {};
  std::function<void(Trial&)> run = {};
  std::string left_out = {};  ///< if not empty: the case isn't run, and this is the reason in the tables
  /// Under a time budget cases of a higher one run first; of equal ones those that are listed first. A case
  /// on which the paper's first claim rests is worth one, a case that only fills a curve isn't.
  int priority = 0;
};

struct Experiment {
  Paper paper = {};
  std::vector<Claim> claims = {};
  std::function<std::vector<CaseDefinition>(Size)> cases = {};
  /// Findings, deviations from the paper or its card, limits: printed under the tables.
  std::vector<std::string> notes = {};
};

/// An Experiment and the theme (folder) that it lies in.
struct Registered {
  const Experiment* experiment;
  std::string_view theme;
};

/// All experiments compiled in, sorted by theme and id (generated from the files under experiments/).
std::span<const Registered> registry();

/// Every combination is one case: `sweep(values_of_a, values_of_b, f)` calls f(a, b) in row-major order.
template <class Make, class... Values>
std::vector<CaseDefinition> sweep(Make make, const std::vector<Values>&... axes);

std::string to_string(const CaseName& name);
const char* to_string(Size size);

}  // namespace remeasure::bench

#include "bench/sweep.inl.h"
