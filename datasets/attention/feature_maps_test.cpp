// SPDX-License-Identifier: Apache-2.0
#include "datasets/attention/feature_maps.h"

#include <testing/catch.h>
#include <cmath>
#include <fstream>

#include "datasets/test_support.h"

using namespace remeasure::datasets;
using namespace remeasure::datasets::testing;

namespace {

void put_npy(const std::filesystem::path& path, const std::string& shape, const std::vector<float>& values) {
  std::string header = "{'descr': '<f4', 'fortran_order': False, 'shape': " + shape + ", }";
  header.resize(118 - 1, ' ');
  header += '\n';
  std::ofstream file(path, std::ios::binary);
  file << "\x93NUMPY" << '\x01' << '\0' << static_cast<char>(header.size()) << '\0' << header;
  file.write(reinterpret_cast<const char*>(values.data()),
             static_cast<std::streamsize>(values.size() * sizeof(float)));
}

}  // namespace

TEST_CASE("feature maps are independent N(0, 1), and differ between seeds", "[cpu]") {
  const TemporaryFolder folder;
  Store store(folder.path());
  const auto open = [&](std::uint64_t seed) {
    return read_feature_maps(
        *store.open(feature_maps_definition, feature_maps(2, {20, 15, 1}, 4, 16, seed)).reader);
  };
  const FeatureMaps maps = open(1);
  REQUIRE(maps.query.size() == 2 * 20 * 15 * 4 * 16);
  double mean = 0, squares = 0, product = 0;
  for (std::size_t i = 0; i < maps.query.size(); ++i) {
    mean += static_cast<double>(maps.query[i]);
    squares += static_cast<double>(maps.query[i]) * static_cast<double>(maps.query[i]);
    product += static_cast<double>(maps.query[i]) * static_cast<double>(maps.key[i]);
  }
  const auto n = static_cast<double>(maps.query.size());
  CHECK(std::abs(mean / n) < 4 / std::sqrt(n));
  CHECK(std::abs(squares / n - 1) < 6 / std::sqrt(n));
  CHECK(std::abs(product / n) < 4 / std::sqrt(n));
  CHECK(maps.value != maps.key);
  CHECK(open(2).query != maps.query);
}

TEST_CASE("dumped feature maps are imported where their shape is that of the parameters", "[cpu]") {
  const TemporaryFolder folder;
  Store store(folder.path() / "data");
  for (const char* name : {"q.npy", "k.npy", "v.npy"})
    put_npy(folder.path() / name, "(1, 2, 1, 1, 1, 2)", {1, 2, 3, static_cast<float>(name[0])});
  const Parameters parameters = feature_maps(1, {2, 1, 1}, 1, 2, 1);
  store.import(feature_maps_definition, folder.path(), parameters);
  const Opened opened = store.open(feature_maps_definition, parameters);
  CHECK_FALSE(opened.provenance.synthetic);
  CHECK(read_feature_maps(*opened.reader).key == std::vector<float>{1, 2, 3, 'k'});
  CHECK_THROWS_WITH(
      store.import(feature_maps_definition, folder.path(), feature_maps(1, {3, 1, 1}, 1, 2, 1)),
      Catch::Matchers::ContainsSubstring(
          "'q' is [1, 2, 1, 1, 1, 2]; batch, x, y, z, heads, dim of the parameters are [1, 3, 1, 1, 1, 2]"));
}
