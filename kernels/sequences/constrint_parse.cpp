// SPDX-License-Identifier: Apache-2.0
//
// From text to constraints.
#include <algorithm>
#include <cctype>
#include <stdexcept>

#include "kernels/sequences/constrint.h"

namespace remeasure::kernels::constrint {
namespace {

std::string trimmed(std::string_view text) {
  const auto first = text.find_first_not_of(" \t\r\n"), last = text.find_last_not_of(" \t\r\n");
  return first == std::string_view::npos ? std::string() : std::string(text.substr(first, last - first + 1));
}

std::vector<std::string> split(std::string_view text, char at) {
  std::vector<std::string> parts;
  while (true) {
    const auto place = text.find(at);
    parts.push_back(trimmed(text.substr(0, place)));
    if (place == std::string_view::npos) return parts;
    text.remove_prefix(place + 1);
  }
}

class Reader {
 public:
  explicit Reader(Problem& problem) : problem_(problem) {}

  void statement(const std::string& text) {
    text_ = text;
    if (list(text)) return;
    AnyOf alternatives;
    for (const std::string& part : split(text, '|')) alternatives.push_back(constraint(part));
    problem_.constraints.push_back(std::move(alternatives));
  }

 private:
  [[noreturn]] void refuse(const std::string& why) const {
    throw std::invalid_argument("constrint: " + why + " in '" + text_ +
                                "'; expected SUM == SUM, SUM <= SUM, SUM % SUM == 0 or NAME == [1, 2]");
  }

  /// NAME == [1, 2, 4]: alternatives of one variable.
  bool list(const std::string& text) {
    const auto open = text.find('['), close = text.find(']');
    if (open == std::string::npos) return false;
    const auto equals = text.find("==");
    if (equals == std::string::npos || equals > open || close == std::string::npos ||
        text.find('|') != std::string::npos)
      refuse("a list");
    AnyOf alternatives;
    for (const std::string& value : split(std::string_view(text).substr(open + 1, close - open - 1), ',')) {
      alternatives.push_back({sum(text.substr(0, equals)), sum(value), Relation::equal});
    }
    problem_.constraints.push_back(std::move(alternatives));
    return true;
  }

  Constraint constraint(const std::string& text) {
    const auto percent = text.find('%'), equals = text.find("=="), at_most = text.find("<=");
    if (percent != std::string::npos) {
      if (equals == std::string::npos || trimmed(text.substr(equals + 2)) != "0") refuse("% without == 0");
      return {sum(text.substr(0, percent)), sum(text.substr(percent + 1, equals - percent - 1)),
              Relation::divisible};
    }
    if (equals != std::string::npos)
      return {sum(text.substr(0, equals)), sum(text.substr(equals + 2)), Relation::equal};
    if (at_most != std::string::npos)
      return {sum(text.substr(0, at_most)), sum(text.substr(at_most + 2)), Relation::at_most};
    refuse("no relation");
  }

  Sum sum(std::string text) {
    std::erase_if(text, [](char c) { return c == '(' || c == ')'; });
    Sum result;
    for (const std::string& part : split(text, '+')) result.push_back(product(part));
    return result;
  }

  Product product(const std::string& text) {
    Product result;
    for (const std::string& part : split(text, '*')) {
      const auto raised = split(part, '^');
      if (raised.size() > 2 || raised[0].empty()) refuse("a term");
      const int exponent = raised.size() == 2 ? static_cast<int>(number(raised[1])) : 1;
      if (std::isdigit(static_cast<unsigned char>(raised[0][0])) != 0) {
        for (int i = 0; i < exponent; ++i) result.coefficient *= number(raised[0]);
        continue;
      }
      const int variable = of(raised[0]);
      const auto same = std::find_if(result.powers.begin(), result.powers.end(),
                                     [&](const Power& p) { return p.variable == variable; });
      if (same != result.powers.end()) {
        same->exponent += exponent;
      } else {
        result.powers.push_back({variable, exponent});
      }
    }
    return result;
  }

  std::int64_t number(const std::string& text) const {
    if (text.empty() || text.size() > 12 ||
        !std::all_of(text.begin(), text.end(), [](unsigned char c) { return std::isdigit(c) != 0; })) {
      refuse("the number '" + text + "'");
    }
    return std::stoll(text);
  }

  int of(const std::string& name) {
    if (!std::all_of(name.begin(), name.end(),
                     [](unsigned char c) { return std::isalnum(c) != 0 || c == '_'; }))
      refuse("the name '" + name + "'");
    if (const int known = problem_.find(name); known >= 0) return known;
    problem_.names.push_back(name);
    return static_cast<int>(problem_.names.size()) - 1;
  }

  Problem& problem_;
  std::string text_;
};

}  // namespace

Problem Problem::parse(std::string_view text) {
  std::string code;
  for (bool comment = false; const char c : text) {
    if (c == '#') comment = true;
    if (c == '\n') comment = false;
    if (!comment) code += c;
  }
  Problem problem;
  Reader reader(problem);
  for (const std::string& statement : split(code, ';')) {
    if (!statement.empty()) reader.statement(statement);
  }
  return problem;
}

int Problem::find(std::string_view name) const {
  const auto place = std::find(names.begin(), names.end(), name);
  return place == names.end() ? -1 : static_cast<int>(place - names.begin());
}

}  // namespace remeasure::kernels::constrint
