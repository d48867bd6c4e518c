// SPDX-License-Identifier: Apache-2.0
#include "bench/runner/settings.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <nlohmann/json.hpp>
#include <stdexcept>

namespace remeasure::bench::runner {
namespace {

constexpr std::string_view kFilterOption = " --filter ";

}  // namespace

std::string shell_word(const std::string& text) {
  const bool plain = !text.empty() && std::all_of(text.begin(), text.end(), [](unsigned char c) {
    return std::isalnum(c) ||
           std::string_view("-_./=:,@+%").find(static_cast<char>(c)) != std::string_view::npos;
  });
  if (plain) return text;
  std::string out = "'";
  for (const char c : text) {
    if (c == '\'')
      out += "'\\''";
    else
      out += c;
  }
  return out + "'";
}

std::string canonical_command(const std::string& experiment, const Settings& settings) {
  std::string command = fmt::format("remeasure run {} --size {} --seed {}", experiment,
                                    to_string(settings.size), settings.seed);
  auto variants = settings.variants;
  std::sort(variants.begin(), variants.end());
  variants.erase(std::unique(variants.begin(), variants.end()), variants.end());
  for (const auto& variant : variants) command += fmt::format(" --variant {}", shell_word(variant));
  if (settings.min_time) command += fmt::format(" --min-time {}", *settings.min_time);
  if (!settings.filter.empty()) command += fmt::format("{}{}", kFilterOption, shell_word(settings.filter));
  return command;
}

std::string_view without_filter(std::string_view canonical) {
  return canonical.substr(0, canonical.find(kFilterOption));
}

std::filesystem::path record_path(const Settings& settings, const std::string& experiment) {
  return settings.out / (experiment + ".json");
}

std::filesystem::path log_path(const Settings& settings, const std::string& experiment) {
  return settings.out / (experiment + ".log");
}

std::string encode(const Assignment& assignment) {
  const Settings& settings = assignment.settings;
  nlohmann::json json = {
      {"experiment", assignment.experiment},
      {"run_id", assignment.run_id},
      {"parent", assignment.parent},
      {"size", to_string(settings.size)},
      {"seed", settings.seed},
      {"variants", settings.variants},
      {"filter", settings.filter},
      {"timeout", settings.timeout},
      {"out", settings.out.string()},
      {"data", settings.data.string()},
      {"resume", settings.resume},
      {"crashed", assignment.crashed},
      {"only", assignment.only},
      {"caps", assignment.caps},
      {"clipped", assignment.clipped},
      {"turn_seconds", assignment.turn_seconds},
      {"broken", assignment.broken},
      {"given_up", assignment.given_up},
  };
  if (settings.min_time) json["min_time"] = *settings.min_time;
  // A path may hold bytes that aren't UTF-8; better a wrong character in one than no run at all.
  return json.dump(-1, ' ', true, nlohmann::json::error_handler_t::replace);
}

Assignment decode_assignment(const std::string& text) {
  try {
    const auto json = nlohmann::json::parse(text);
    Assignment assignment;
    Settings& settings = assignment.settings;
    json.at("experiment").get_to(assignment.experiment);
    json.at("run_id").get_to(assignment.run_id);
    json.at("parent").get_to(assignment.parent);
    json.at("crashed").get_to(assignment.crashed);
    json.at("only").get_to(assignment.only);
    json.at("caps").get_to(assignment.caps);
    json.at("clipped").get_to(assignment.clipped);
    json.at("turn_seconds").get_to(assignment.turn_seconds);
    json.at("broken").get_to(assignment.broken);
    json.at("given_up").get_to(assignment.given_up);
    if (assignment.caps.size() != assignment.only.size() ||
        assignment.clipped.size() != assignment.only.size())
      throw std::invalid_argument("a cap per case, or none");
    settings.size = json.at("size").get<std::string>() == to_string(Size::paper) ? Size::paper : Size::smoke;
    json.at("seed").get_to(settings.seed);
    json.at("variants").get_to(settings.variants);
    json.at("filter").get_to(settings.filter);
    json.at("timeout").get_to(settings.timeout);
    settings.out = json.at("out").get<std::string>();
    settings.data = json.at("data").get<std::string>();
    json.at("resume").get_to(settings.resume);
    if (json.contains("min_time")) settings.min_time = json.at("min_time").get<double>();
    return assignment;
  } catch (const nlohmann::json::exception& error) {
    throw std::invalid_argument(fmt::format("`worker` is started by `run` only ({})", error.what()));
  }
}

}  // namespace remeasure::bench::runner
