// SPDX-License-Identifier: Apache-2.0
#include "bench/oracle_cache.h"

#include <fmt/format.h>
#include <unistd.h>

#include <chrono>
#include <cmath>
#include <cstring>
#include <fstream>
#include <iterator>
#include <stdexcept>
#include <system_error>

#include "bench/hash.h"

namespace remeasure::bench {
namespace {

/// File: magic, then key, values, scale and indices, each as a length and its bytes, then XXH64 of all that.
constexpr char kMagic[8] = {'R', 'M', 'O', 'R', 'C', 'L', '0', '1'};

void append(std::string& file, const void* data, std::uint64_t count, std::size_t element) {
  file.append(reinterpret_cast<const char*>(&count), sizeof count);
  file.append(static_cast<const char*>(data), count * element);
}

/// Reads what `append` wrote; every length is checked against what is left of the file before it is believed.
class Parser {
 public:
  explicit Parser(std::string_view file) : left_(file) {}
  template <class Container>
  bool read(Container& out) {
    std::uint64_t count = 0;
    if (left_.size() < sizeof count) return false;
    std::memcpy(&count, left_.data(), sizeof count);
    left_.remove_prefix(sizeof count);
    constexpr std::size_t element = sizeof(typename Container::value_type);
    if (count > left_.size() / element) return false;
    out.resize(count);
    if (count > 0) std::memcpy(out.data(), left_.data(), count * element);
    left_.remove_prefix(count * element);
    return true;
  }
  bool at_end() const { return left_.empty(); }

 private:
  std::string_view left_;
};

}  // namespace

std::string OracleKey::text() const {
  return fmt::format("experiment {}\ncase {}\noutput {}\nversion {}\nseed {}\ndata {}\n", experiment,
                     case_name, output, version, seed, data);
}

std::filesystem::path OracleCache::path_of(const OracleKey& key) const {
  return folder_ / key.experiment / (key.output + "-" + hex(hash_text(key.text())) + ".bin");
}

std::optional<OracleOutput> OracleCache::load(const OracleKey& key) const {
  std::ifstream stream(path_of(key), std::ios::binary);
  if (!stream) return std::nullopt;
  const std::string file(std::istreambuf_iterator<char>(stream), {});
  if (file.size() < sizeof kMagic + sizeof(std::uint64_t)) return std::nullopt;
  const std::string_view content(file.data(), file.size() - sizeof(std::uint64_t));
  std::uint64_t checksum = 0;
  std::memcpy(&checksum, file.data() + content.size(), sizeof checksum);
  if (checksum != hash_text(content) || std::memcmp(file.data(), kMagic, sizeof kMagic) != 0)
    return std::nullopt;

  Parser parser(content.substr(sizeof kMagic));
  std::string stored_key;
  OracleOutput oracle;
  std::vector<std::uint64_t> indices;
  if (!parser.read(stored_key) || !parser.read(oracle.values) || !parser.read(oracle.scale) ||
      !parser.read(indices) || !parser.at_end() || stored_key != key.text()) {
    return std::nullopt;
  }
  oracle.indices.assign(indices.begin(), indices.end());
  return oracle;
}

bool OracleCache::store(const OracleKey& key, const OracleOutput& oracle) const {
  const std::string text = key.text();
  const std::vector<std::uint64_t> indices(oracle.indices.begin(), oracle.indices.end());
  std::string file(kMagic, sizeof kMagic);
  append(file, text.data(), text.size(), 1);
  append(file, oracle.values.data(), oracle.values.size(), sizeof(double));
  append(file, oracle.scale.data(), oracle.scale.size(), sizeof(double));
  append(file, indices.data(), indices.size(), sizeof(std::uint64_t));
  const std::uint64_t checksum = hash_text(file);
  file.append(reinterpret_cast<const char*>(&checksum), sizeof checksum);

  const std::filesystem::path path = path_of(key);
  const std::filesystem::path temporary = path.string() + fmt::format(".tmp-{}", ::getpid());
  std::error_code ignored;
  std::filesystem::create_directories(path.parent_path(), ignored);
  {
    std::ofstream stream(temporary, std::ios::binary);
    stream.write(file.data(), static_cast<std::streamsize>(file.size()));
    stream.close();
    if (!stream) {
      std::filesystem::remove(temporary, ignored);
      return false;
    }
  }
  std::error_code failed;
  std::filesystem::rename(temporary, path, failed);
  if (failed) std::filesystem::remove(temporary, ignored);
  return !failed;
}

OracleOutput OracleCache::get(const OracleKey& key, const std::function<OracleOutput()>& compute) const {
  if (auto stored = load(key)) return *std::move(stored);
  const auto start = std::chrono::steady_clock::now();
  OracleOutput oracle = compute();
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  validate(oracle, key.output);
  if (seconds >= worth_storing_seconds) store(key, oracle);
  return oracle;
}

void validate(const OracleOutput& oracle, const std::string& name) {
  if (oracle.values.empty()) throw std::invalid_argument("oracle of '" + name + "' is empty");
  for (std::size_t i = 0; i < oracle.values.size(); ++i) {
    if (std::isnan(oracle.values[i])) {
      throw std::invalid_argument(fmt::format("oracle of '{}' is NaN at element {}", name, i));
    }
  }
  if (!oracle.indices.empty() && oracle.indices.size() != oracle.values.size()) {
    throw std::invalid_argument(fmt::format("oracle of '{}' has {} values and {} indices", name,
                                            oracle.values.size(), oracle.indices.size()));
  }
  if (!oracle.scale.empty() && oracle.scale.size() != oracle.values.size()) {
    throw std::invalid_argument(fmt::format("oracle of '{}' has {} values and {} scales", name,
                                            oracle.values.size(), oracle.scale.size()));
  }
}

}  // namespace remeasure::bench
