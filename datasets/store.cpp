// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cstdio>

#include "datasets/array_check.h"
#include "datasets/file_reader.h"
#include "datasets/file_writer.h"
#include "datasets/seal.h"

namespace remeasure::datasets {
namespace {

namespace fs = std::filesystem;

void check_name_part(const std::string& text, const std::string& what) {
  const bool good = !text.empty() && std::all_of(text.begin(), text.end(), [](unsigned char c) {
    return c < 128 && (std::isalnum(c) != 0 || c == '.' || c == '_' || c == '+' || c == '-' || c == ':');
  });
  if (!good) {
    throw DatasetError(
        fmt::format("{} \"{}\": it becomes part of a file's name, where letters, digits and . _ + - : are "
                    "allowed",
                    what, text));
  }
}

/// "d=64,n=512"; above 120 bytes a readable start and the hash of it all.
std::string parameter_text(const Definition& definition, const Parameters& parameters) {
  check_name_part(definition.name, "dataset name");
  std::string text;
  for (const auto& [name, value] : parameters.values) {
    check_name_part(name, "parameter name");
    check_name_part(value, "parameter " + name);
    text += fmt::format("{}{}={}", text.empty() ? "" : ",", name, value);
  }
  if (text.size() > 120) text = text.substr(0, 80) + "~" + Sha256().update(text).finish().substr(0, 32);
  return text.empty() ? "default" : text;
}

void make_folder(const fs::path& folder) {
  std::error_code error;
  fs::create_directories(folder, error);
  if (error) {
    throw DatasetError(fmt::format("{}: can't make the folder ({}); choose another data folder",
                                   folder.string(), error.message()));
  }
}

/// Runs `fill` on a Writer and puts the result in place. The caller holds the file's lock, if there is one.
template <class Fill>
void write_file(const fs::path& file, const Definition& definition, const Parameters& parameters,
                bool synthetic, bool locked, Fill fill) {
  std::vector<std::byte> image;
  {
    FileWriter writer(definition, parameters, synthetic, file.string());
    fill(writer);
    image = writer.finish();
  }
  write_sealed(file, image, locked);
}

void generate(const fs::path& file, const Definition& definition, const Parameters& parameters, bool locked) {
  if (!definition.generate) {
    throw DatasetError(
        fmt::format("{}: dataset {} has no generator; bring the real data in with `remeasure data import`{}",
                    file.string(), definition.name,
                    definition.import_help.empty() ? "" : " (" + definition.import_help + ")"));
  }
  write_file(file, definition, parameters, true, locked,
             [&](Writer& writer) { definition.generate(parameters, writer); });
}

fs::path set_aside(const fs::path& file) {
  for (int n = 1;; ++n) {
    fs::path aside = file.string() + fmt::format(".corrupt-{}", n);
    if (fs::exists(fs::symlink_status(aside))) continue;
    std::error_code error;
    fs::rename(file, aside, error);
    if (error)
      throw DatasetError(
          fmt::format("{}: can't be set aside as {} ({})", file.string(), aside.string(), error.message()));
    return aside;
  }
}

Opened opened(const fs::path& file, const Definition& definition, const Parameters& parameters) {
  auto reader = std::make_unique<FileReader>(file, definition, &parameters);
  Provenance provenance = reader->provenance();
  return {std::move(reader), std::move(provenance)};
}

}  // namespace

Store::Store(fs::path root)
    : warn([](const std::string& text) { fmt::print(stderr, "warning: {}\n", text); }),
      root_(std::move(root)) {}

fs::path Store::path_of(const Definition& definition, const Parameters& parameters) const {
  return root_ / definition.name /
         fmt::format("{}-s{}-g{}.h5", parameter_text(definition, parameters), parameters.seed,
                     definition.generator_version);
}

fs::path Store::real_path_of(const Definition& definition, const Parameters& parameters) const {
  return root_ / definition.name / (parameter_text(definition, parameters) + "-real.h5");
}

Opened Store::open(const Definition& definition, const Parameters& parameters) {
  if (const fs::path real = real_path_of(definition, parameters); prefer_real && fs::exists(real)) {
    return opened(real, definition, parameters);
  }
  const fs::path file = path_of(definition, parameters);
  std::error_code ignored;
  if (fs::is_regular_file(file, ignored)) {
    try {
      return opened(file, definition, parameters);
    } catch (const DatasetError&) {
      // Looked at again below, when no other process can be at work on it.
    }
  }
  make_folder(file.parent_path());
  const FileLock lock(file);
  if (fs::is_regular_file(file, ignored)) {
    try {
      return opened(file, definition, parameters);
    } catch (const DatasetError& error) {
      if (::access(file.c_str(), R_OK) != 0) throw;  // what can't be read isn't known to be corrupt
      fs::path aside = set_aside(file);
      if (warn) warn(fmt::format("{}; it is set aside as {} and made again", error.what(), aside.string()));
    }
  } else if (fs::exists(fs::symlink_status(file))) {
    check_seal(file);  // says what it is instead of a file
  }
  generate(file, definition, parameters, lock.held());
  return opened(file, definition, parameters);
}

fs::path Store::make(const Definition& definition, const Parameters& parameters) {
  fs::path file = path_of(definition, parameters);
  make_folder(file.parent_path());
  const FileLock lock(file);
  generate(file, definition, parameters, lock.held());
  return file;
}

fs::path Store::import(const Definition& definition, const fs::path& source, const Parameters& parameters) {
  if (!definition.import) {
    throw DatasetError(fmt::format("{}: dataset {} has no importer; it stands for: {}", source.string(),
                                   definition.name, definition.stands_for));
  }
  fs::path file = real_path_of(definition, parameters);
  make_folder(file.parent_path());
  const FileLock lock(file);
  write_file(file, definition, parameters, false, lock.held(), [&](Writer& writer) {
    definition.import(source, parameters, writer);
    writer.attribute("imported_from", source.filename().string());
  });
  return file;
}

Provenance Store::verify(const fs::path& file, std::span<const Definition* const> catalogue) {
  const std::string name = dataset_name(file);
  const Definition* definition = find_definition(catalogue, name);
  if (definition == nullptr) {
    throw DatasetError(fmt::format("{}: dataset \"{}\" isn't in this program's catalogue of {}",
                                   file.string(), name, catalogue.size()));
  }
  return FileReader(file, *definition, nullptr).provenance();
}

}  // namespace remeasure::datasets
