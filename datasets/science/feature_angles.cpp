// SPDX-License-Identifier: Apache-2.0
#include "datasets/science/feature_angles.h"

#include <numbers>

#include "datasets/random.h"
#include "datasets/schema.h"

namespace remeasure::datasets {

const Definition feature_angles_definition = {
    .name = "feature_angles",
    .title = "Uniform angles for a quantum feature map",
    .theme = "science",
    .stands_for = "nothing: independent and uniform in (0, 2 pi)",
    .source = "synthetic in the literature",
    .arrays = {{.path = "/x",
                .type = ElementType::f64,
                .axes = {"points", "qubits"},
                .units = "rad",
                .description = "independent and uniform",
                .minimum = 0,
                .maximum = 2 * std::numbers::pi}},
    .extents =
        [](const Parameters& p) {
          static constexpr const char* kAxes[] = {"points", "qubits"};
          return extents_of(p, kAxes);
        },
    .generate =
        [](const Parameters& p, Writer& out) {
          std::vector<double> x(p.extent("points") * p.extent("qubits"));
          for (std::size_t i = 0; i < x.size(); ++i) x[i] = 2 * std::numbers::pi * Philox(p.seed).uniform(i);
          out.array("/x", std::span<const double>(x), {p.extent("points"), p.extent("qubits")});
        },
    .examples = {feature_angles(80, 5, 1), feature_angles(4096, 16, 1)},
};

Parameters feature_angles(std::size_t points, int qubits, std::uint64_t seed) {
  return parameters({{"points", points}, {"qubits", qubits}}, seed);
}

std::vector<double> read_feature_angles(Reader& reader) {
  return reader.f64("/x");
}

}  // namespace remeasure::datasets
