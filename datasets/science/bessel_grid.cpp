// SPDX-License-Identifier: Apache-2.0
#include "datasets/science/bessel_grid.h"

#include <fmt/format.h>

#include <cmath>
#include <numbers>

#include "datasets/random.h"
#include "datasets/schema.h"

namespace remeasure::datasets {
namespace {

/// 2^x for |x| < 1000 from + and * alone, as in datasets/portable_math.h; not portable_exp(x ln 2), whose
/// argument is rounded before its whole part is taken off.
double portable_exp2(double x) {
  const double whole = std::floor(x + 0.5);
  const double y = (x - whole) * std::numbers::ln2;  // |y| < 0.35: 16 terms of the exponential reach 1e-20
  double sum = 1;
  for (int k = 16; k >= 1; --k) sum = 1 + y / k * sum;
  return std::ldexp(sum, static_cast<int>(whole));
}

/// One coordinate of one region; each of the six has a stream of its own.
std::vector<double> coordinate(const BesselRegion& region, std::uint64_t seed, std::uint64_t stream,
                               std::size_t points) {
  const Philox random(seed, stream);
  std::vector<double> values(points);
  const double bits_low = region.logarithmic ? portable_log(region.low) / std::numbers::ln2 : 0;
  const double bits_high = region.logarithmic ? portable_log(region.high) / std::numbers::ln2 : 0;
  for (std::size_t i = 0; i < points; ++i) {
    const double u = random.uniform(i);
    values[i] = region.logarithmic ? portable_exp2(bits_low + u * (bits_high - bits_low))
                                   : region.low + u * (region.high - region.low);
  }
  return values;
}

void generate(const Parameters& parameters, Writer& writer) {
  const std::size_t points = parameters.extent("points");
  std::uint64_t stream = 0;
  for (const BesselRegion& region : bessel_regions()) {
    for (const char* name : {"v", "x"}) {
      const std::vector<double> values = coordinate(region, parameters.seed, stream++, points);
      writer.array("/grid/" + region.name + "/" + name, values, {points});
    }
    writer.attribute(region.name + "_low", region.low);
    writer.attribute(region.name + "_high", region.high);
    writer.attribute(region.name + "_distribution", region.logarithmic ? "log-uniform" : "uniform");
  }
}

std::vector<ArraySchema> arrays() {
  std::vector<ArraySchema> result;
  for (const BesselRegion& region : bessel_regions()) {
    for (const auto& [name, meaning] : {std::pair{"v", "order"}, std::pair{"x", "argument"}}) {
      // Rounding may carry a log-uniform end point over its bound by an ulp or two.
      result.push_back({.path = "/grid/" + region.name + "/" + name,
                        .type = ElementType::f64,
                        .axes = {"point"},
                        .description = fmt::format("{}, region {}", meaning, region.name),
                        .minimum = region.low * (1 - 1e-15),
                        .maximum = region.high * (1 + 1e-15)});
    }
  }
  return result;
}

}  // namespace

const std::vector<BesselRegion>& bessel_regions() {
  static const std::vector<BesselRegion> kRegions = {
      {"small", 0, 150, false}, {"large", 150, 1e4, false}, {"mixed", 1e-2, 1e5, true}};
  return kRegions;
}

const BesselRegion& bessel_region(const std::string& name) {
  for (const BesselRegion& region : bessel_regions()) {
    if (region.name == name) return region;
  }
  throw DatasetError(fmt::format("bessel_grid: no region '{}'; there are small, large and mixed", name));
}

const Definition bessel_grid_definition = {
    .name = "bessel_grid",
    .title = "Orders and arguments of modified Bessel functions",
    .theme = "science",
    .stands_for =
        "the test points of the log-Bessel paper: its regions 'small' and 'large', and a log-uniform one "
        "over seven decades, in which most libraries overflow or underflow",
    .source = "synthetic in the literature (arXiv 2409.08729, evaluation)",
    .arrays = arrays(),
    .extents =
        [](const Parameters& p) {
          return Extents{{"point", p.extent("points")}};
        },
    .generate = generate,
    .examples = {bessel_grid(1024, 1)},
};

Parameters bessel_grid(std::size_t points, std::uint64_t seed) {
  return parameters({{"points", points}}, seed);
}

BesselPoints read_bessel_grid(Reader& reader, const std::string& region) {
  const std::string folder = "/grid/" + bessel_region(region).name + "/";
  return {.v = reader.f64(folder + "v"), .x = reader.f64(folder + "x")};
}

}  // namespace remeasure::datasets
