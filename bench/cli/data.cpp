// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <set>
#include <system_error>

#include "bench/cli/commands.h"
#include "bench/cli/exit_codes.h"
#include "bench/cli/nearest.h"
#include "reports/text_table.h"

namespace remeasure::bench::cli {
namespace {

using datasets::Definition;
using datasets::Parameters;

/// "d=64 n=512", or with commas.
std::string parameters_text(const Parameters& parameters) {
  std::string text;
  for (const auto& [name, value] : parameters.values)
    text += fmt::format("{}{}={}", text.empty() ? "" : " ", name, value);
  return text.empty() ? "(no parameters)" : text;
}

int list_catalogue(const DataOptions& options, const Program& program, Console& console) {
  if (options.json) {
    auto array = nlohmann::json::array();
    for (const Definition* entry : program.catalogue) {
      auto examples = nlohmann::json::array();
      for (const auto& example : entry->examples)
        examples.push_back({{"parameters", example.values}, {"seed", example.seed}});
      array.push_back({{"name", entry->name},
                       {"title", entry->title},
                       {"theme", entry->theme},
                       {"schema_version", entry->schema_version},
                       {"generator_version", entry->generator_version},
                       {"stands_for", entry->stands_for},
                       {"source", entry->source},
                       {"licence", entry->licence},
                       {"importable", static_cast<bool>(entry->import)},
                       {"import_help", entry->import_help},
                       {"examples", examples}});
    }
    console.print(array.dump(2) + "\n");
    return kFine;
  }
  reports::TextTable table({{.title = "dataset", .whole = true},
                            {.title = "theme", .whole = true},
                            {.title = "schema", .right = true, .whole = true},
                            {.title = "stands for", .least = 20},
                            {.title = "examples", .least = 12},
                            {.title = "real data", .least = 9}});
  for (const Definition* entry : program.catalogue) {
    std::string examples;
    for (const auto& example : entry->examples)
      examples += (examples.empty() ? "" : "\n") + parameters_text(example);
    table.add({{entry->name},
               {entry->theme},
               {std::to_string(entry->schema_version)},
               {entry->stands_for.empty() ? entry->title : entry->stands_for},
               {examples},
               {entry->import ? "import: " + entry->import_help : "no importer"}});
  }
  console.print(table.text(console.width(), 0, console.colour()));
  console.print(fmt::format("\n{} datasets, in {}/. Made on first use, or: remeasure data make NAME\n",
                            program.catalogue.size(), data_folder(options.data).string()));
  return kFine;
}

/// What --set and --seed say. Without --set every example of the dataset; with it the first example, changed.
std::vector<Parameters> chosen_parameters(const DataOptions& options, const Definition& definition) {
  std::vector<Parameters> chosen = definition.examples;
  if (chosen.empty()) chosen.emplace_back();
  if (!options.settings.empty()) chosen.resize(1);
  std::set<std::string> known;
  for (const auto& example : definition.examples) {
    for (const auto& [name, value] : example.values) known.insert(name);
  }
  std::set<std::string> seen;
  for (const auto& setting : options.settings) {
    const auto equals = setting.find('=');
    if (equals == std::string::npos || equals == 0 || equals + 1 == setting.size()) {
      throw CommandError(fmt::format("--set {}: expected KEY=VALUE, for example --set {}", setting,
                                     known.empty() ? "n=512" : *known.begin() + "=..."));
    }
    const std::string key = setting.substr(0, equals);
    if (!known.empty() && !known.contains(key)) {
      const std::vector<std::string> names(known.begin(), known.end());
      throw CommandError(unknown_name(fmt::format("parameter of {}", definition.name), key, names,
                                      fmt::format("there are: {}", fmt::join(names, ", "))));
    }
    if (!seen.insert(key).second) throw CommandError(fmt::format("--set {} is given twice", key));
    chosen.front().values[key] = setting.substr(equals + 1);
  }
  for (auto& parameters : chosen) {
    if (options.seed) parameters.seed = *options.seed;
  }
  return chosen;
}

int make(const DataOptions& options, const Program& program, Console& console) {
  const Definition& definition = find_dataset(options.name, program);
  datasets::Store store(data_folder(options.data));
  for (const auto& parameters : chosen_parameters(options, definition)) {
    console.print(store.make(definition, parameters).string() + "\n");
  }
  return kFine;
}

int import_real(const DataOptions& options, const Program& program, Console& console) {
  const Definition& definition = find_dataset(options.name, program);
  if (options.files.size() != 1) {
    // Each would replace the one before: a dataset has one real file per set of parameters.
    throw CommandError("data import: one file or folder at a time, each with its own --set");
  }
  const std::string& source = options.files.front();
  if (!std::filesystem::exists(source)) throw CommandError(fmt::format("{}: no such file or folder", source));
  datasets::Store store(data_folder(options.data));
  console.print(store.import(definition, source, chosen_parameters(options, definition).front()).string() +
                "\n");
  return kFine;
}

int path(const DataOptions& options, const Program& program, Console& console) {
  const Definition& definition = find_dataset(options.name, program);
  const datasets::Store store(data_folder(options.data));
  for (const auto& parameters : chosen_parameters(options, definition)) {
    const auto real = store.real_path_of(definition, parameters);
    const bool imported = std::filesystem::exists(real);
    console.print((imported ? real : store.path_of(definition, parameters)).string() + "\n");
  }
  return kFine;
}

/// Every dataset file below the folder; what begins with a dot is a cache of ours.
std::vector<std::filesystem::path> all_files(const std::filesystem::path& folder) {
  std::vector<std::filesystem::path> files;
  std::error_code failed;
  std::filesystem::recursive_directory_iterator entries(folder, failed), end;
  if (failed)
    throw CommandError(fmt::format("can't read the data folder {}: {}", folder.string(), failed.message()));
  for (; entries != end; entries.increment(failed)) {
    if (failed)
      throw CommandError(fmt::format("can't read the data folder {}: {}", folder.string(), failed.message()));
    if (entries->path().filename().string().front() == '.') {
      if (entries->is_directory()) entries.disable_recursion_pending();
      continue;
    }
    if (entries->path().extension() == ".h5") files.push_back(entries->path());
  }
  std::sort(files.begin(), files.end());
  return files;
}

int verify(const DataOptions& options, const Program& program, Console& console) {
  std::vector<std::filesystem::path> files(options.files.begin(), options.files.end());
  if (options.all) files = all_files(data_folder(options.data));
  if (files.empty()) {
    console.print(fmt::format("no dataset files in {}\n", data_folder(options.data).string()));
    return kFine;
  }
  int broken = 0;
  for (const auto& file : files) {
    try {
      const auto provenance = datasets::Store::verify(file, program.catalogue);
      console.print(fmt::format("ok      {} ({}, {}, seed {}, sha256 {})\n", file.string(),
                                provenance.dataset, provenance.synthetic ? "generated" : "real",
                                provenance.seed, provenance.sha256.substr(0, 16)));
    } catch (const datasets::DatasetError& error) {
      ++broken;
      console.print(fmt::format("BROKEN  {}\n", error.what()));
    }
  }
  console.print(fmt::format("{} of {} files are good\n", files.size() - static_cast<std::size_t>(broken),
                            files.size()));
  return broken == 0 ? kFine : kUsageOrToolError;
}

}  // namespace

int data(const DataOptions& options, const Program& program, Console& console) {
  switch (options.action) {
    case DataOptions::Action::list:
      return list_catalogue(options, program, console);
    case DataOptions::Action::make:
      return make(options, program, console);
    case DataOptions::Action::verify:
      return verify(options, program, console);
    case DataOptions::Action::import:
      return import_real(options, program, console);
    case DataOptions::Action::path:
      return path(options, program, console);
  }
  return kUsageOrToolError;
}

}  // namespace remeasure::bench::cli
