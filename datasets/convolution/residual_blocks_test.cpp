// SPDX-License-Identifier: Apache-2.0
#include "datasets/convolution/residual_blocks.h"

#include <testing/catch.h>
#include <cmath>
#include <fstream>

#include "datasets/test_support.h"

using namespace remeasure::datasets;
using namespace remeasure::datasets::testing;

namespace {

double mean_square(const std::vector<float>& values) {
  double sum = 0;
  for (const float v : values) sum += static_cast<double>(v) * static_cast<double>(v);
  return sum / static_cast<double>(values.size());
}

void put_npy(const std::filesystem::path& path, const std::string& shape, std::size_t size) {
  std::string header = "{'descr': '<f4', 'fortran_order': False, 'shape': " + shape + ", }";
  header.resize(118 - 1, ' ');
  header += '\n';
  const std::vector<float> values(size, 0.5f);
  std::ofstream file(path, std::ios::binary);
  file << "\x93NUMPY" << '\x01' << '\0' << static_cast<char>(header.size()) << '\0' << header;
  file.write(reinterpret_cast<const char*>(values.data()),
             static_cast<std::streamsize>(size * sizeof(float)));
}

}  // namespace

TEST_CASE("residual blocks have N(0, 1) activations and Kaiming weights of each kind's shape", "[cpu]") {
  const TemporaryFolder folder;
  Store store(folder.path());
  const auto open = [&](const ResidualBlockShape& shape, std::uint64_t seed) {
    return read_residual_block(*store.open(residual_blocks_definition, residual_blocks(shape, seed)).reader);
  };
  const ResidualBlock first = open({"convfirst", 2, 20, 15, 32, 4, 3}, 1);
  REQUIRE(first.x.size() == 2 * 20 * 15 * 32);
  CHECK(first.filter.size() == 32 * 9 * 8);
  CHECK(first.norm.empty());
  CHECK(std::abs(mean_square(first.x) - 1) < 0.05);
  CHECK(std::abs(mean_square(first.filter) * 72 / 2 - 1) < 0.15);
  CHECK(std::abs(mean_square(first.w1) * 32 / 2 - 1) < 0.1);
  CHECK(std::abs(mean_square(first.w2) * 128 / 2 - 1) < 0.1);
  const ResidualBlock between = open({"mbconv", 1, 5, 5, 32, 4, 5}, 1);
  CHECK(between.filter.size() == 128 * 25);
  CHECK(between.filter_bias.size() == 128);
  const ResidualBlock next = open({"convnext", 1, 5, 5, 32, 4, 7}, 1);
  CHECK(next.filter.size() == 32 * 49);
  REQUIRE(next.norm.size() == 64);
  CHECK(std::abs(next.norm[0] - 1) < 0.5);
  CHECK(std::abs(next.norm[32]) < 0.5);
  CHECK(open({"convfirst", 2, 20, 15, 32, 4, 3}, 2).x != first.x);
}

TEST_CASE("residual blocks refuse kinds and channels that there aren't", "[cpu]") {
  const TemporaryFolder folder;
  Store store(folder.path());
  using Catch::Matchers::ContainsSubstring;
  CHECK_THROWS_WITH(store.make(residual_blocks_definition, residual_blocks({"resnet", 1, 4, 4, 8, 4, 3}, 1)),
                    ContainsSubstring("block is 'resnet'"));
  CHECK_THROWS_WITH(
      store.make(residual_blocks_definition, residual_blocks({"convfirst", 1, 4, 4, 12, 4, 3}, 1)),
      ContainsSubstring("12 channels aren't whole groups of 8"));
}

TEST_CASE("a dumped residual block is imported where its shapes are those of the parameters", "[cpu]") {
  const TemporaryFolder folder;
  Store store(folder.path() / "data");
  const std::pair<const char*, std::pair<const char*, std::size_t>> arrays[] = {
      {"x.npy", {"(1, 2, 3, 8)", 48}}, {"w0.npy", {"(8, 3, 3, 8)", 576}}, {"b0.npy", {"(8,)", 8}},
      {"w1.npy", {"(16, 8)", 128}},    {"b1.npy", {"(16,)", 16}},         {"w2.npy", {"(8, 16)", 128}},
      {"b2.npy", {"(8,)", 8}}};
  for (const auto& [name, array] : arrays) put_npy(folder.path() / name, array.first, array.second);
  const Parameters parameters = residual_blocks({"convfirst", 1, 2, 3, 8, 2, 3}, 1);
  store.import(residual_blocks_definition, folder.path(), parameters);
  const Opened opened = store.open(residual_blocks_definition, parameters);
  CHECK_FALSE(opened.provenance.synthetic);
  CHECK(read_residual_block(*opened.reader).w2 == std::vector<float>(128, 0.5f));
  CHECK_THROWS_WITH(store.import(residual_blocks_definition, folder.path(),
                                 residual_blocks({"convfirst", 1, 2, 3, 8, 4, 3}, 1)),
                    Catch::Matchers::ContainsSubstring("'w1' is [16, 8]"));
}
