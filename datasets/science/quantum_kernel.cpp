// SPDX-License-Identifier: Apache-2.0
#include "datasets/science/quantum_kernel.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <numbers>
#include <string>

#include "datasets/import/npy.h"
#include "datasets/random.h"
#include "datasets/schema.h"

namespace remeasure::datasets {
namespace {

constexpr double kPi = std::numbers::pi;
constexpr std::uint64_t kMostDraws = 200'000;
constexpr std::size_t kGrid = 100;  // points of qiskit's grid along each axis

/// |Phi(x)> for x = 2 pi u, real and imaginary parts apart. Phases in units of pi, for portable_cospi.
struct FeatureState {
  explicit FeatureState(int qubits)
      : n(qubits), size(std::size_t{1} << qubits), re(size), im(size), c(size), s(size) {}

  void operator()(const double* u) {
    for (std::size_t z = 0; z < size; ++z) {
      const auto sign = [z](int bit) { return (z >> bit & 1) != 0 ? -1.0 : 1.0; };
      double phase = 0;
      for (int i = 0; i < n; ++i) {
        phase += 2 * u[i] * sign(i);
        for (int j = i + 1; j < n; ++j) phase += kPi * (1 - 2 * u[i]) * (1 - 2 * u[j]) * sign(i) * sign(j);
      }
      c[z] = portable_cospi(phase);
      s[z] = portable_cospi(phase - 0.5);  // sin(pi t) = cos(pi (t - 1/2))
      re[z] = c[z];
      im[z] = s[z];
    }
    for (std::size_t half = 1; half < size; half *= 2) {
      for (std::size_t z = 0; z < size; ++z) {
        if ((z & half) != 0) continue;
        for (std::vector<double>* part : {&re, &im}) {
          const double a = (*part)[z], b = (*part)[z + half];
          (*part)[z] = a + b;
          (*part)[z + half] = a - b;
        }
      }
    }
    const double scale = 1 / static_cast<double>(size);  // of the two Hadamard transforms
    for (std::size_t z = 0; z < size; ++z) {
      const double a = re[z] * scale, b = im[z] * scale;
      re[z] = a * c[z] - b * s[z];
      im[z] = a * s[z] + b * c[z];
    }
  }

  int n;
  std::size_t size;
  std::vector<double> re, im;

 private:
  std::vector<double> c, s;
};

/// sum_z parity(z) |(V Phi)_z|^2
double parity_after(const std::vector<double>& unitary, const FeatureState& state) {
  double expectation = 0;
  for (std::size_t row = 0; row < state.size; ++row) {
    const double* v = unitary.data() + 2 * row * state.size;
    double re = 0, im = 0;
    for (std::size_t z = 0; z < state.size; ++z) {
      re += v[2 * z] * state.re[z] - v[2 * z + 1] * state.im[z];
      im += v[2 * z] * state.im[z] + v[2 * z + 1] * state.re[z];
    }
    const double probability = re * re + im * im;
    expectation += std::popcount(row) % 2 == 0 ? probability : -probability;
  }
  return expectation;
}

/// Places for a label: training first. Which of them is next, or none.
class Quota {
 public:
  Quota(std::size_t train, std::size_t test, bool second)
      : train_(train), test_(test), second_(second ? 1 : 0) {}
  bool full() const { return used_ == train_ + test_; }
  std::size_t next() {
    const std::size_t i = used_++;
    return i < train_ ? 2 * i + second_ : 2 * train_ + 2 * (i - train_) + second_;
  }

 private:
  std::size_t train_, test_, second_, used_ = 0;
};

void check_parameters(int qubits, double gap) {
  if (qubits < 1 || qubits > 10 || !(gap >= 0) || gap >= 1) {
    throw DatasetError(
        fmt::format("quantum_kernel: {} qubits and a gap of {}; expected 1 to 10 qubits and a gap in [0, 1)",
                    qubits, gap));
  }
}

std::string path_of(int set, const char* array) {
  return fmt::format("/set{}/{}", set, array);
}

void write_set(Writer& writer, int set, const QuantumSet& data, std::size_t points, int qubits) {
  const std::uint64_t size = std::uint64_t{1} << qubits;
  writer.array(path_of(set, "x"), data.x, {points, static_cast<std::uint64_t>(qubits)});
  writer.array(path_of(set, "y"), data.y, {points});
  writer.array(path_of(set, "e"), data.e, {points});
  if (!data.unitary.empty()) writer.array(path_of(set, "V"), data.unitary, {size, size, 2});
  writer.attribute(fmt::format("draws{}", set), data.draws);
}

void generate(const Parameters& p, Writer& writer) {
  const auto qubits = static_cast<int>(p.integer("qubits"));
  const std::size_t train = p.extent("train"), test = p.extent("test");
  for (int set = 0; set < kQuantumSets; ++set) {
    write_set(writer, set, make_quantum_set(qubits, p.real("gap"), train, test, p.seed, set),
              2 * (train + test), qubits);
  }
}

/// `sample_total` of qiskit's ad_hoc_data for 2 qubits: labels of x = 2 pi (row, column) / 100, 0 inside the
/// gap.
void import_grid(const std::filesystem::path& source, const Parameters& p, Writer& writer) {
  const std::size_t train = p.extent("train"), test = p.extent("test");
  const NpyArray array = read_npy(source);
  if (array.shape != Shape{kGrid, kGrid} || p.integer("qubits") != 2) {
    throw DatasetError(
        fmt::format("{}: the array is [{}], for {} qubits; expected labels of [100, 100] points of 2 qubits",
                    source.string(), fmt::join(array.shape, ", "), p.integer("qubits")));
  }
  const std::vector<double> labels = array.as_f64();
  const std::size_t points = 2 * (train + test);
  QuantumSet set{.x = std::vector<double>(2 * points),
                 .y = std::vector<std::int8_t>(points),
                 .e = std::vector<double>(points, std::numeric_limits<double>::quiet_NaN()),
                 .unitary = {}};
  Quota plus(train, test, false), minus(train, test, true);
  // A random order of the grid that takes each point once.
  std::vector<std::size_t> order(labels.size());
  for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
  const Philox random(p.seed, 7);
  for (std::size_t i = order.size() - 1; i > 0; --i) std::swap(order[i], order[random.integer(i, i + 1)]);
  for (const std::size_t place : order) {
    const double label = labels[place];
    if (label != 0 && label != 1 && label != -1) {
      throw DatasetError(fmt::format("{}: label {} at [{}, {}]; expected -1, 0 or 1", source.string(), label,
                                     place / kGrid, place % kGrid));
    }
    set.draws += 1;
    Quota& quota = label > 0 ? plus : minus;
    if (label == 0 || quota.full()) continue;
    const std::size_t to = quota.next();
    const auto row = place / kGrid, column = place % kGrid;
    set.x[2 * to] = 2 * kPi * static_cast<double>(row) / kGrid;
    set.x[2 * to + 1] = 2 * kPi * static_cast<double>(column) / kGrid;
    set.y[to] = static_cast<std::int8_t>(label);
  }
  if (!plus.full() || !minus.full()) {
    throw DatasetError(
        fmt::format("{}: fewer than {} points of a label on the grid", source.string(), train + test));
  }
  write_set(writer, 0, set, points, 2);
}

std::vector<ArraySchema> schema() {
  std::vector<ArraySchema> arrays;
  for (int set = 0; set < kQuantumSets; ++set) {
    const bool optional = set > 0;  // an imported file has one set
    arrays.push_back({.path = path_of(set, "x"),
                      .type = ElementType::f64,
                      .axes = {"point", "qubit"},
                      .units = "rad",
                      .description = "uniform outside the gap",
                      .minimum = 0,
                      .maximum = 2 * kPi,
                      .optional = optional});
    arrays.push_back({.path = path_of(set, "y"),
                      .type = ElementType::i8,
                      .axes = {"point"},
                      .description = "label, +1 or -1",
                      .minimum = -1,
                      .maximum = 1,
                      .optional = optional});
    arrays.push_back({.path = path_of(set, "e"),
                      .type = ElementType::f64,
                      .axes = {"point"},
                      .description = "<Phi| V^+ f V |Phi>; NaN where it isn't known",
                      .minimum = -1.000001,
                      .maximum = 1.000001,
                      .nan_allowed = true,
                      .optional = optional});
    arrays.push_back({.path = path_of(set, "V"),
                      .type = ElementType::f64,
                      .axes = {"state", "state", "part"},
                      .description = "Haar random unitary, real and imaginary parts",
                      .minimum = -1.000001,
                      .maximum = 1.000001,
                      .optional = true});
  }
  return arrays;
}

Extents extents(const Parameters& p) {
  const std::int64_t qubits = p.integer("qubits");
  check_parameters(static_cast<int>(std::clamp<std::int64_t>(qubits, 0, 99)), p.real("gap"));
  return {{"point", 2 * (p.extent("train") + p.extent("test"))},
          {"qubit", p.extent("qubits")},
          {"state", std::uint64_t{1} << qubits},
          {"part", 2}};
}

}  // namespace

std::vector<double> haar_unitary(int qubits, std::uint64_t seed, std::uint64_t stream) {
  const std::size_t size = std::size_t{1} << qubits;
  const Philox random(seed, stream);
  std::vector<double> rows(2 * size * size);
  for (std::size_t i = 0; i < rows.size(); ++i) rows[i] = random.normal(i);
  for (std::size_t i = 0; i < size; ++i) {
    double* row = rows.data() + 2 * size * i;
    for (int pass = 0; pass < 2; ++pass) {  // the second removes what rounding left of the first
      for (std::size_t k = 0; k < i; ++k) {
        const double* done = rows.data() + 2 * size * k;
        double re = 0, im = 0;  // <done, row>
        for (std::size_t z = 0; z < 2 * size; z += 2) {
          re += done[z] * row[z] + done[z + 1] * row[z + 1];
          im += done[z] * row[z + 1] - done[z + 1] * row[z];
        }
        for (std::size_t z = 0; z < 2 * size; z += 2) {
          row[z] -= re * done[z] - im * done[z + 1];
          row[z + 1] -= re * done[z + 1] + im * done[z];
        }
      }
    }
    double squares = 0;
    for (std::size_t z = 0; z < 2 * size; ++z) squares += row[z] * row[z];
    const double scale = 1 / std::sqrt(squares);
    for (std::size_t z = 0; z < 2 * size; ++z) row[z] *= scale;
  }
  return rows;
}

QuantumSet make_quantum_set(int qubits, double gap, std::size_t train, std::size_t test, std::uint64_t seed,
                            int set) {
  check_parameters(qubits, gap);
  const std::size_t points = 2 * (train + test), n = static_cast<std::size_t>(qubits);
  const auto stream = static_cast<std::uint64_t>(2 * set);
  QuantumSet result{.x = std::vector<double>(points * n),
                    .y = std::vector<std::int8_t>(points),
                    .e = std::vector<double>(points),
                    .unitary = haar_unitary(qubits, seed, stream)};
  const Philox random(seed, stream + 1);
  FeatureState state(qubits);
  std::vector<double> u(n);
  Quota plus(train, test, false), minus(train, test, true);
  for (std::uint64_t draw = 0; !plus.full() || !minus.full(); ++draw) {
    if (draw == kMostDraws) {
      throw DatasetError(fmt::format(
          "quantum_kernel: {} draws for {} qubits left labels without {} points outside a gap of {}; "
          "|e| is about 2^(-qubits / 2): take a smaller gap",
          draw, qubits, train + test, gap));
    }
    for (std::size_t i = 0; i < n; ++i) u[i] = random.uniform(draw * n + i);
    state(u.data());
    const double e = parity_after(result.unitary, state);
    result.draws = static_cast<double>(draw + 1);
    Quota& quota = e > 0 ? plus : minus;
    if (std::abs(e) <= gap || quota.full()) continue;
    const std::size_t to = quota.next();
    for (std::size_t i = 0; i < n; ++i) result.x[to * n + i] = 2 * kPi * u[i];
    result.y[to] = e > 0 ? 1 : -1;
    result.e[to] = e;
  }
  return result;
}

const Definition quantum_kernel_definition = {
    .name = "quantum_kernel",
    .title = "Points that a quantum feature map and a random unitary separate",
    .theme = "science",
    .stands_for =
        "the paper's own three artificial sets, which are made in this way from other random unitaries: 20 "
        "training and 20 test points per label, a gap of 0.3",
    .source = "synthetic in the literature",
    .arrays = schema(),
    .extents = extents,
    .generate = generate,
    .import = import_grid,
    .import_help =
        "one .npy file of [100, 100] labels -1, 0, 1: sample_total of qiskit-machine-learning's ad_hoc_data "
        "for n=2",
    .examples = {quantum_kernel(2, 0.3, 20, 20, 1), quantum_kernel(3, 0.3, 20, 20, 1),
                 quantum_kernel(5, 0.1, 20, 20, 1)},
};

Parameters quantum_kernel(int qubits, double gap, std::size_t train, std::size_t test, std::uint64_t seed) {
  return parameters({{"qubits", qubits}, {"gap", gap}, {"train", train}, {"test", test}}, seed);
}

QuantumSets read_quantum_kernel(Reader& reader) {
  QuantumSets result{.qubits = static_cast<int>(reader.shape("/set0/x")[1]),
                     .gap = std::stod(reader.text("param_gap")),
                     .train = std::stoul(reader.text("param_train")),
                     .test = std::stoul(reader.text("param_test")),
                     .sets = {}};
  for (int set = 0; set < kQuantumSets && reader.has(path_of(set, "x")); ++set) {
    QuantumSet data{.x = reader.f64(path_of(set, "x")),
                    .y = reader.i8(path_of(set, "y")),
                    .e = reader.f64(path_of(set, "e")),
                    .unitary = {},
                    .draws = reader.number(fmt::format("draws{}", set))};
    if (reader.has(path_of(set, "V"))) data.unitary = reader.f64(path_of(set, "V"));
    result.sets.push_back(std::move(data));
  }
  return result;
}

}  // namespace remeasure::datasets
