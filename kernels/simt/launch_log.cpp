// SPDX-License-Identifier: Apache-2.0
#include "kernels/simt/launch_log.h"

#include <fmt/format.h>

#include <charconv>
#include <fstream>
#include <stdexcept>
#include <string_view>

#include "kernels/simt/program_symbols.h"

namespace remeasure::simt {
namespace {

template <class Number>
bool parse(std::string_view text, Number& number) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return error == std::errc() && end == text.data() + text.size();
}

/// Empty where the line isn't a launch.
LoggedLaunch launch_of(const std::string& line) {
  std::vector<std::string> fields(1);
  for (const char letter : line) {
    if (letter == '\t')
      fields.emplace_back();
    else
      fields.back() += letter;
  }
  LoggedLaunch launch;
  if (fields.size() != 4 || !parse(fields[2], launch.block_threads) || !parse(fields[3], launch.shared_bytes))
    return {};
  launch.symbol = fields[0];
  launch.file = fields[1];
  return launch;
}

}  // namespace

std::vector<LoggedLaunch> read_launch_log(const std::filesystem::path& path) {
  std::ifstream file(path);
  if (!file) throw std::runtime_error(fmt::format("can't read the launches in {}", path.string()));
  std::vector<LoggedLaunch> launches;
  for (std::string line; std::getline(file, line);) {
    launches.push_back(launch_of(line));
    if (launches.back().symbol.empty()) {
      throw std::runtime_error(
          fmt::format("{}, line {}: \"{}\" is no launch (symbol, file, threads, bytes between tabs)",
                      path.string(), launches.size(), line));
    }
  }
  return launches;
}

void log_launches(const std::filesystem::path& path, const std::set<LaunchShape>& shapes) {
  std::set<LoggedLaunch> known;
  if (std::filesystem::exists(path)) {
    const auto before = read_launch_log(path);
    known.insert(before.begin(), before.end());
  }
  std::set<const void*> functions;
  for (const LaunchShape& shape : shapes) functions.insert(shape.function);
  const auto symbols = program_symbols(functions);
  std::string lines;
  for (const LaunchShape& shape : shapes) {
    const auto symbol = symbols.find(shape.function);
    if (symbol == symbols.end()) continue;
    const LoggedLaunch launch{symbol->second.name, symbol->second.file, shape.block_threads,
                              shape.shared_bytes};
    if (!known.insert(launch).second) continue;
    lines += fmt::format("{}\t{}\t{}\t{}\n", launch.symbol, launch.file, launch.block_threads,
                         launch.shared_bytes);
  }
  if (lines.empty()) return;
  std::ofstream file(path, std::ios::app);
  if (!(file << lines) || !file.flush())
    throw std::runtime_error(fmt::format("can't write the launches to {}", path.string()));
}

}  // namespace remeasure::simt
