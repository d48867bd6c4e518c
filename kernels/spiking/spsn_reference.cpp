// SPDX-License-Identifier: Apache-2.0
#include "kernels/spiking/spsn_reference.h"

#include <Eigen/Core>
#include <bit>
#include <cmath>
#include <complex>
#include <stdexcept>
#include <string>
#include <unsupported/Eigen/FFT>

#include "kernels/parallel_tasks.h"
#include "kernels/spiking/spike_draw.h"

namespace remeasure::kernels {
namespace {

template <class Scalar>
using Row = Eigen::Array<Scalar, 1, Eigen::Dynamic>;
template <class Scalar>
using Rows = Eigen::Array<Scalar, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

void require_sizes(const char* what, const SpikingShape& shape, std::initializer_list<std::size_t> sizes) {
  for (const std::size_t size : sizes) {
    if (size == shape.values()) continue;
    throw std::invalid_argument(std::string(what) + ": an array of " + std::to_string(size) +
                                " values; batch * steps * neurons is " + std::to_string(shape.values()));
  }
}

/// body(entry) for every batch entry, on `threads` threads.
template <class Body>
void for_each_entry(const SpikingShape& shape, int threads, const Body& body) {
  for_each_row_block(shape.batch, 1, threads, [&](int entry, int, int) { body(entry); });
}

/// [steps, neurons] of a batch entry.
template <class Scalar>
auto rows_of(const SpikingShape& shape, Scalar* data, int entry) {
  using Plain = std::remove_const_t<Scalar>;
  using Mapped = std::conditional_t<std::is_const_v<Scalar>, const Rows<Plain>, Rows<Plain>>;
  const std::size_t each = static_cast<std::size_t>(shape.steps) * static_cast<std::size_t>(shape.neurons);
  return Eigen::Map<Mapped>(data + static_cast<std::size_t>(entry) * each, shape.steps, shape.neurons);
}

/// s = alpha s + input(t); m = beta m + (1 - beta) s; use(t, m), for t in the given order.
template <class Scalar, class Input, class Use>
void recur(const SpikingShape& shape, const Decay& decay, bool backwards, const Input& input,
           const Use& use) {
  const auto alpha = static_cast<Scalar>(decay.alpha), beta = static_cast<Scalar>(decay.beta);
  const auto gain = static_cast<Scalar>(1 - decay.beta);
  Row<Scalar> s = Row<Scalar>::Zero(shape.neurons), m = s;
  for (int i = 0; i < shape.steps; ++i) {
    const int t = backwards ? shape.steps - 1 - i : i;
    s = alpha * s + input(t);
    m = beta * m + gain * s;
    use(t, m);
  }
}

}  // namespace

std::vector<double> membrane_response(const Decay& decay, std::size_t steps) {
  std::vector<double> h(steps);
  const double alpha = decay.alpha, beta = decay.beta;
  // Near alpha = beta the quotient loses digits: (alpha^n - beta^n) / (alpha - beta) = sum_k alpha^k
  // beta^{n-1-k}.
  const bool separate = std::abs(alpha - beta) > 1e-3;
  double alpha_power = 1, beta_power = 1, sum = 0;  // alpha^t, beta^t, the sum up to t
  for (std::size_t t = 0; t < steps; ++t) {
    sum = alpha * sum + beta_power;
    h[t] = (1 - beta) * (separate ? (alpha_power * alpha - beta_power * beta) / (alpha - beta) : sum);
    alpha_power *= alpha;
    beta_power *= beta;
  }
  return h;
}

template <class Scalar>
void spsn_membrane_reference(const SpikingShape& shape, const Decay& decay, std::span<const float> current,
                             std::span<Scalar> membrane, int threads) {
  require_sizes("spsn_membrane_reference", shape, {current.size(), membrane.size()});
  for_each_entry(shape, threads, [&](int entry) {
    const auto x = rows_of(shape, current.data(), entry);
    auto out = rows_of(shape, membrane.data(), entry);
    recur<Scalar>(
        shape, decay, false, [&](int t) { return x.row(t).template cast<Scalar>(); },
        [&](int t, const Row<Scalar>& m) { out.row(t) = m; });
  });
}

template <class Scalar>
void spsn_membrane_fourier(const SpikingShape& shape, const Decay& decay, std::span<const float> current,
                           std::span<Scalar> membrane, int threads) {
  require_sizes("spsn_membrane_fourier", shape, {current.size(), membrane.size()});
  using Complex = std::complex<Scalar>;
  const auto steps = static_cast<std::size_t>(shape.steps);
  const std::size_t length = std::bit_ceil(2 * steps);
  std::vector<Scalar> padded(length, Scalar(0));
  const std::vector<double> h = membrane_response(decay, steps);
  for (std::size_t t = 0; t < steps; ++t) padded[t] = static_cast<Scalar>(h[t]);
  std::vector<Complex> response;
  Eigen::FFT<Scalar> plan;
  plan.fwd(response, padded);
  for_each_entry(shape, threads, [&](int entry) {
    const auto x = rows_of(shape, current.data(), entry);
    auto out = rows_of(shape, membrane.data(), entry);
    Eigen::FFT<Scalar> transform;
    std::vector<Scalar> sequence(length, Scalar(0)), result;
    std::vector<Complex> spectrum;
    for (int neuron = 0; neuron < shape.neurons; ++neuron) {
      for (int t = 0; t < shape.steps; ++t)
        sequence[static_cast<std::size_t>(t)] = static_cast<Scalar>(x(t, neuron));
      transform.fwd(spectrum, sequence);
      for (std::size_t k = 0; k < length; ++k) spectrum[k] *= response[k];
      transform.inv(result, spectrum);
      for (int t = 0; t < shape.steps; ++t) out(t, neuron) = result[static_cast<std::size_t>(t)];
    }
  });
}

template <class Scalar>
void spsn_membrane_adjoint(const SpikingShape& shape, const Decay& decay,
                           std::span<const Scalar> membrane_gradient, std::span<Scalar> current_gradient,
                           int threads) {
  require_sizes("spsn_membrane_adjoint", shape, {membrane_gradient.size(), current_gradient.size()});
  for_each_entry(shape, threads, [&](int entry) {
    const auto gradient = rows_of(shape, membrane_gradient.data(), entry);
    auto out = rows_of(shape, current_gradient.data(), entry);
    recur<Scalar>(
        shape, decay, true, [&](int t) { return gradient.row(t); },
        [&](int t, const Row<Scalar>& m) { out.row(t) = m; });
  });
}

template <class Scalar>
void lif_reference(const SpikingShape& shape, const Decay& decay, double threshold,
                   std::span<const float> current, std::span<Scalar> membrane, int threads) {
  require_sizes("lif_reference", shape, {current.size(), membrane.size()});
  const auto alpha = static_cast<Scalar>(decay.alpha), beta = static_cast<Scalar>(decay.beta);
  const auto gain = static_cast<Scalar>(1 - decay.beta), limit = static_cast<Scalar>(threshold);
  for_each_entry(shape, threads, [&](int entry) {
    const auto x = rows_of(shape, current.data(), entry);
    auto out = rows_of(shape, membrane.data(), entry);
    Row<Scalar> s = Row<Scalar>::Zero(shape.neurons), m = s;
    for (int t = 0; t < shape.steps; ++t) {
      s = alpha * s + x.row(t).template cast<Scalar>();
      m = beta * m + gain * s;
      out.row(t) = m;
      m = (m > limit).select(Scalar(0), m);
    }
  });
}

template <class Scalar>
void lif_gradient_reference(const SpikingShape& shape, const Decay& decay, double threshold,
                            std::span<const Scalar> membrane, std::span<const float> spike_gradient,
                            std::span<Scalar> current_gradient, int threads) {
  require_sizes("lif_gradient_reference", shape,
                {membrane.size(), spike_gradient.size(), current_gradient.size()});
  const auto alpha = static_cast<Scalar>(decay.alpha), beta = static_cast<Scalar>(decay.beta);
  const auto gain = static_cast<Scalar>(1 - decay.beta), limit = static_cast<Scalar>(threshold);
  for_each_entry(shape, threads, [&](int entry) {
    const auto m = rows_of(shape, membrane.data(), entry);
    const auto dz = rows_of(shape, spike_gradient.data(), entry);
    auto out = rows_of(shape, current_gradient.data(), entry);
    Row<Scalar> dm = Row<Scalar>::Zero(shape.neurons), ds = dm;
    for (int t = shape.steps - 1; t >= 0; --t) {
      const Row<Scalar> distance = Scalar(100) * (m.row(t) - limit).abs() + Scalar(1);
      const Row<Scalar> through_reset = (m.row(t) > limit).select(Scalar(0), beta * dm);
      dm = dz.row(t).template cast<Scalar>() / distance.square() + through_reset;
      ds = alpha * ds + gain * dm;
      out.row(t) = ds;
    }
  });
}

double spike_probability(Spiking spiking, double membrane) {
  if (spiking == Spiking::none) return 0;
  return 1 / (1 + std::exp(-(spiking == Spiking::gumbel_softmax ? 2 : 1) * membrane));
}

std::vector<double> spike_gradient_reference(const SpikingShape& shape, Spiking spiking,
                                             const SpikeNoise& noise, std::span<const double> membrane,
                                             std::span<const float> spike_gradient) {
  require_sizes("spike_gradient_reference", shape, {membrane.size(), spike_gradient.size()});
  std::vector<double> result(membrane.size());
  std::size_t i = 0;
  for (int entry = 0; entry < shape.batch; ++entry) {
    for (int t = 0; t < shape.steps; ++t) {
      for (int neuron = 0; neuron < shape.neurons; ++neuron, ++i) {
        double slope = 1;
        if (spiking == Spiking::sigmoid_bernoulli) {
          const double p = spike_probability(spiking, membrane[i]);
          slope = p * p * (1 - p);
        } else if (spiking == Spiking::gumbel_softmax) {
          const Philox4 random =
              spike_random<Spiking::gumbel_softmax>(noise.seed, static_cast<std::size_t>(entry), t, neuron);
          const auto draw = [&](int which) {
            const double u = static_cast<double>(uniform_float(random.word[2 * (t % 2) + which]));
            return -std::log(-std::log(u));
          };
          const double soft = 1 / (1 + std::exp(-(2 * membrane[i] + draw(0) - draw(1))));
          slope = 2 * soft * (1 - soft);
        }
        result[i] = static_cast<double>(spike_gradient[i]) * slope;
      }
    }
  }
  return result;
}

template void spsn_membrane_reference(const SpikingShape&, const Decay&, std::span<const float>,
                                      std::span<float>, int);
template void spsn_membrane_reference(const SpikingShape&, const Decay&, std::span<const float>,
                                      std::span<double>, int);
template void spsn_membrane_fourier(const SpikingShape&, const Decay&, std::span<const float>,
                                    std::span<float>, int);
template void spsn_membrane_fourier(const SpikingShape&, const Decay&, std::span<const float>,
                                    std::span<double>, int);
template void spsn_membrane_adjoint(const SpikingShape&, const Decay&, std::span<const float>,
                                    std::span<float>, int);
template void spsn_membrane_adjoint(const SpikingShape&, const Decay&, std::span<const double>,
                                    std::span<double>, int);
template void lif_reference(const SpikingShape&, const Decay&, double, std::span<const float>,
                            std::span<float>, int);
template void lif_reference(const SpikingShape&, const Decay&, double, std::span<const float>,
                            std::span<double>, int);
template void lif_gradient_reference(const SpikingShape&, const Decay&, double, std::span<const float>,
                                     std::span<const float>, std::span<float>, int);
template void lif_gradient_reference(const SpikingShape&, const Decay&, double, std::span<const double>,
                                     std::span<const float>, std::span<double>, int);

}  // namespace remeasure::kernels
