// SPDX-License-Identifier: Apache-2.0
#include <testing/catch.h>
#include <cmath>
#include <filesystem>
#include <string>

#include "datasets/science/bessel_grid.h"
#include "datasets/science/vmf_features.h"
#include "datasets/test_support.h"

using namespace remeasure::datasets;
using namespace remeasure::datasets::testing;

TEST_CASE("A Bessel grid lies in its regions, spread as it says", "[cpu]") {
  const TemporaryFolder folder;
  Store store(folder.path());
  const Opened opened = store.open(bessel_grid_definition, bessel_grid(2000, 3));
  for (const BesselRegion& region : bessel_regions()) {
    const BesselPoints points = read_bessel_grid(*opened.reader, region.name);
    REQUIRE(points.v.size() == 2000);
    REQUIRE(points.x.size() == 2000);
    CHECK(points.v != points.x);
    double mean = 0;
    const double middle =
        region.logarithmic ? std::log(region.low * region.high) / 2 : (region.low + region.high) / 2;
    const double width = region.logarithmic ? std::log(region.high / region.low) : region.high - region.low;
    for (const double v : points.v) {
      REQUIRE(v >= region.low);
      REQUIRE(v <= region.high * (1 + 1e-15));
      mean += (region.logarithmic ? std::log(v) : v) / 2000;
    }
    CHECK(std::abs(mean - middle) < 5 * width / std::sqrt(12.0 * 2000));
  }
  REQUIRE_THROWS_WITH(bessel_region("huge"), Catch::Matchers::ContainsSubstring("no region 'huge'"));
}

TEST_CASE("von Mises-Fisher features have the lengths, directions and means that they claim", "[cpu]") {
  const TemporaryFolder folder;
  Store store(folder.path());
  const Opened opened = store.open(vmf_features_definition, vmf_features(200, 400, 5));
  const VmfFeatures features = read_vmf_features(*opened.reader);
  REQUIRE(features.concentrations == 3);
  REQUIRE(features.classes == 10);
  const double resultants[] = {0.2, 0.5, 0.9};
  for (std::size_t i = 0; i < features.mean_resultant.size(); ++i) {
    CHECK(std::abs(features.mean_resultant[i] - resultants[i / 10]) < 0.005);
    CHECK(features.n[i] == 5000);
  }
  std::vector<double> mean(features.d, 0.0);
  for (std::size_t row = 0; row < features.rows; ++row) {
    double squares = 0;
    for (std::size_t j = 0; j < features.d; ++j) {
      const double value = static_cast<double>(features.samples[row * features.d + j]);
      squares += value * value;
      mean[j] += value / static_cast<double>(features.rows);
    }
    REQUIRE(std::abs(squares - 1) < 1e-6);
  }
  double squares = 0;
  for (const double value : mean) squares += value * value;
  // Drawn at R = 0.5; the mean of 400 unit vectors is longer by (1 - R^2) / 400 in its square.
  CHECK(std::abs(std::sqrt(squares - 0.75 / 400) - 0.5) < 0.02);
}

TEST_CASE("Real features are scaled to unit length, and wrong files are refused", "[cpu]") {
  const TemporaryFolder folder;
  Store store(folder.path());
  const std::filesystem::path file = folder.path() / "features.npy";
  write_npy(file, {2, 3}, {3, 0, 4, 0, 0, 2});
  const std::filesystem::path imported = store.import(vmf_features_definition, file, vmf_features(3, 2, 1));
  CHECK(imported.string().find("real") != std::string::npos);
  const Opened opened = store.open(vmf_features_definition, vmf_features(3, 2, 1));
  const VmfFeatures features = read_vmf_features(*opened.reader);
  if (!opened.provenance.synthetic) {
    CHECK(features.samples[0] == 0.6f);
    CHECK(features.samples[5] == 1.0f);
    CHECK(std::abs(features.mean_resultant[0] - std::sqrt(0.3 * 0.3 + 0.9 * 0.9)) < 1e-7);
    CHECK(std::isnan(features.kappa_true[0]));
  }
  using Catch::Matchers::ContainsSubstring;
  REQUIRE_THROWS_WITH(store.import(vmf_features_definition, file, vmf_features(4, 2, 1)),
                      ContainsSubstring("[2, 3]"));
  write_npy(file, {2, 3}, {3, 0, 4, 0, 0, 0});
  REQUIRE_THROWS_WITH(store.import(vmf_features_definition, file, vmf_features(3, 2, 1)),
                      ContainsSubstring("row 1"));
}
