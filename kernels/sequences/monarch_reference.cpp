// SPDX-License-Identifier: Apache-2.0
#include "kernels/sequences/monarch_reference.h"

#include <Eigen/Core>
#include <algorithm>
#include <stdexcept>
#include <string>
#include <unsupported/Eigen/FFT>

#include "kernels/parallel_tasks.h"

namespace remeasure::kernels {
namespace {

template <class Scalar>
using Plane = Eigen::Matrix<Scalar, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
template <class Scalar>
using Complex = std::complex<Scalar>;

/// DFT matrices and twiddles of a factorisation, real and imaginary parts apart: a complex product is four
/// real ones, as on tensor cores.
template <class Scalar>
struct Tables {
  struct Stage {
    Plane<Scalar> cosine, sine;            // [N_i, N_i]; F = cosine + i sine
    Plane<Scalar> twiddle_re, twiddle_im;  // [N_i, inner]; empty for the last stage
  };
  std::vector<Stage> stages;

  explicit Tables(const MonarchFactors& factors) {
    for (int i = 0; i < factors.order(); ++i) {
      const auto n = static_cast<std::size_t>(factors.factor(i)), inner = factors.inner(i);
      Stage stage;
      fill(stage.cosine, stage.sine, n, n, n);
      if (inner > 1) fill(stage.twiddle_re, stage.twiddle_im, n, inner, n * inner);
      stages.push_back(std::move(stage));
    }
  }

 private:
  static void fill(Plane<Scalar>& re, Plane<Scalar>& im, std::size_t rows, std::size_t columns,
                   std::size_t period) {
    re.resize(static_cast<Eigen::Index>(rows), static_cast<Eigen::Index>(columns));
    im.resizeLike(re);
    for (std::size_t r = 0; r < rows; ++r) {
      for (std::size_t c = 0; c < columns; ++c) {
        const std::complex<double> w = root_of_unity(r * c, period);
        re(static_cast<Eigen::Index>(r), static_cast<Eigen::Index>(c)) = static_cast<Scalar>(w.real());
        im(static_cast<Eigen::Index>(r), static_cast<Eigen::Index>(c)) = static_cast<Scalar>(w.imag());
      }
    }
  }
};

/// Real and imaginary plane of one sequence, and room for a stage's result.
template <class Scalar>
struct Workspace {
  std::vector<Scalar> re, im;
  Plane<Scalar> next_re, next_im;
  explicit Workspace(std::size_t size) : re(size), im(size) {}
};

/// One stage: the DFT along axis i of [outer, N_i, inner], then (forward) or before (inverse) its twiddles.
/// `sign` is -1 for the conjugates.
template <class Scalar>
void run_stage(const MonarchFactors& factors, const Tables<Scalar>& tables, int i, bool inverse,
               Workspace<Scalar>& x) {
  const auto& stage = tables.stages[static_cast<std::size_t>(i)];
  const Eigen::Index n = factors.factor(i), inner = static_cast<Eigen::Index>(factors.inner(i));
  const Eigen::Index outers = static_cast<Eigen::Index>(factors.size()) / (n * inner);
  const Scalar sign = inverse ? Scalar(-1) : Scalar(1);
  const auto rotate = [&](auto& re, auto& im) {
    if (stage.twiddle_re.size() == 0) return;
    x.next_re = re.cwiseProduct(stage.twiddle_re) - sign * im.cwiseProduct(stage.twiddle_im);
    im = (im.cwiseProduct(stage.twiddle_re) + sign * re.cwiseProduct(stage.twiddle_im)).eval();
    re = x.next_re;
  };
  // Along the last axis the rows of all outer positions are one matrix; F is symmetric.
  if (inner == 1) {
    Eigen::Map<Plane<Scalar>> re(x.re.data(), outers, n), im(x.im.data(), outers, n);
    x.next_re.noalias() = re * stage.cosine - sign * im * stage.sine;
    x.next_im.noalias() = im * stage.cosine + sign * re * stage.sine;
    re = x.next_re;
    im = x.next_im;
    return;
  }
  for (Eigen::Index outer = 0; outer < outers; ++outer) {
    Eigen::Map<Plane<Scalar>> re(x.re.data() + outer * n * inner, n, inner),
        im(x.im.data() + outer * n * inner, n, inner);
    if (inverse) rotate(re, im);
    Plane<Scalar> next_re(n, inner), next_im(n, inner);
    next_re.noalias() = stage.cosine * re;
    next_re.noalias() -= sign * stage.sine * im;
    next_im.noalias() = stage.cosine * im;
    next_im.noalias() += sign * stage.sine * re;
    re = next_re;
    im = next_im;
    if (!inverse) rotate(re, im);
  }
}

template <class Scalar>
void forward(const MonarchFactors& factors, const Tables<Scalar>& tables, Workspace<Scalar>& x) {
  for (int i = 0; i < factors.order(); ++i) run_stage(factors, tables, i, false, x);
}
template <class Scalar>
void backward(const MonarchFactors& factors, const Tables<Scalar>& tables, Workspace<Scalar>& x) {
  for (int i = factors.order() - 1; i >= 0; --i) run_stage(factors, tables, i, true, x);
}

template <class Scalar, bool kInverse>
void transform(const MonarchFactors& factors, std::span<Complex<Scalar>> x) {
  if (x.size() != factors.size()) {
    throw std::invalid_argument("monarch_transform: " + std::to_string(x.size()) +
                                " values; the factors' product is " + std::to_string(factors.size()));
  }
  const Tables<Scalar> tables(factors);
  Workspace<Scalar> work(x.size());
  for (std::size_t i = 0; i < x.size(); ++i) work.re[i] = x[i].real(), work.im[i] = x[i].imag();
  if constexpr (kInverse)
    backward(factors, tables, work);
  else
    forward(factors, tables, work);
  const Scalar scale = kInverse ? Scalar(1) / static_cast<Scalar>(x.size()) : Scalar(1);
  for (std::size_t i = 0; i < x.size(); ++i) x[i] = Complex<Scalar>(work.re[i], work.im[i]) * scale;
}

void require(const char* what, std::size_t size, std::size_t expected) {
  if (size == expected) return;
  throw std::invalid_argument("monarch_convolution_reference: " + std::string(what) + " has " +
                              std::to_string(size) + " values; " + std::to_string(expected) +
                              " follow from the shape");
}

/// Multiplies the spectrum in `x`. Packed: (A, B) of each position follow one another.
template <class Scalar>
void multiply(const MonarchFactors& factors, Signal signal, const std::vector<std::size_t>& mirror,
              const Complex<Scalar>* filter, Workspace<Scalar>& x) {
  const std::size_t n = factors.size();
  if (signal != Signal::packed) {
    for (std::size_t p = 0; p < n; ++p) {
      const Scalar re = x.re[p], a = filter[p].real(), b = filter[p].imag();
      x.re[p] = re * a - x.im[p] * b;
      x.im[p] = re * b + x.im[p] * a;
    }
    return;
  }
  const std::vector<Scalar> re = x.re, im = x.im;
  for (std::size_t p = 0; p < n; ++p) {
    const Complex<Scalar> a = filter[2 * p], b = filter[2 * p + 1];
    const Scalar mr = re[mirror[p]], mi = -im[mirror[p]];
    x.re[p] = a.real() * re[p] - a.imag() * im[p] + b.real() * mr - b.imag() * mi;
    x.im[p] = a.real() * im[p] + a.imag() * re[p] + b.real() * mi + b.imag() * mr;
  }
}

std::vector<std::size_t> mirrors(const MonarchFactors& factors) {
  std::vector<std::size_t> result(factors.size());
  for (std::size_t p = 0; p < result.size(); ++p) {
    result[p] = factors.position((factors.size() - factors.frequency(p)) % factors.size());
  }
  return result;
}

}  // namespace

template <class Scalar>
void monarch_transform(const MonarchFactors& factors, std::span<Complex<Scalar>> x) {
  transform<Scalar, false>(factors, x);
}
template <class Scalar>
void monarch_inverse(const MonarchFactors& factors, std::span<Complex<Scalar>> x) {
  transform<Scalar, true>(factors, x);
}

namespace {

void write_filter(const MonarchFactors& factors, const Tables<double>& tables, Signal signal,
                  std::span<const float> filter, Workspace<double>& work, std::span<Complex<double>> result) {
  const std::size_t n = factors.size(), samples = signal == Signal::packed ? 2 * n : n;
  if (filter.size() > samples) {
    throw std::invalid_argument("monarch_filter: " + std::to_string(filter.size()) +
                                " taps; the transform has room for " + std::to_string(samples));
  }
  const auto tap = [&](std::size_t i) { return i < filter.size() ? static_cast<double>(filter[i]) : 0.0; };
  const auto spectrum = [&](std::size_t first, std::size_t stride) {
    for (std::size_t i = 0; i < n; ++i) work.re[i] = tap(first + stride * i), work.im[i] = 0;
    forward(factors, tables, work);
  };
  if (signal != Signal::packed) {
    spectrum(0, 1);
    for (std::size_t p = 0; p < n; ++p) result[p] = {work.re[p], work.im[p]};
    return;
  }
  spectrum(0, 2);
  for (std::size_t p = 0; p < n; ++p) result[2 * p] = {work.re[p], work.im[p]};
  spectrum(1, 2);
  for (std::size_t p = 0; p < n; ++p) {
    const Complex<double> odd = Complex<double>(0, 0.5) * Complex<double>(work.re[p], work.im[p]),
                          w = root_of_unity(factors.frequency(p), n);
    result[2 * p] += odd * (1.0 - w);
    result[2 * p + 1] = odd * (1.0 + w);
  }
}

}  // namespace

std::vector<Complex<double>> monarch_filter(const MonarchFactors& factors, Signal signal,
                                            std::span<const float> filter) {
  std::vector<Complex<double>> result(factors.size() * (signal == Signal::packed ? 2 : 1));
  Workspace<double> work(factors.size());
  write_filter(factors, Tables<double>(factors), signal, filter, work, result);
  return result;
}

template <class Scalar>
std::vector<Complex<Scalar>> monarch_filters(const ConvolutionShape& shape, const MonarchFactors& factors,
                                             std::span<const float> filters) {
  const auto channels = static_cast<std::size_t>(shape.channels);
  if (channels == 0 || filters.size() % channels != 0) {
    throw std::invalid_argument("monarch_filters: " + std::to_string(filters.size()) + " taps of " +
                                std::to_string(channels) + " channels");
  }
  const std::size_t taps = filters.size() / channels,
                    each = factors.size() * (shape.signal == Signal::packed ? 2 : 1);
  std::vector<Complex<Scalar>> spectra(channels * each);
  const Tables<double> tables(factors);
  Workspace<double> work(factors.size());
  std::vector<Complex<double>> exact(each);
  for (std::size_t channel = 0; channel < channels; ++channel) {
    write_filter(factors, tables, shape.signal, filters.subspan(channel * taps, taps), work, exact);
    for (std::size_t i = 0; i < each; ++i) spectra[channel * each + i] = Complex<Scalar>(exact[i]);
  }
  return spectra;
}

template <class Scalar>
void monarch_convolution_reference(const ConvolutionShape& shape, const MonarchFactors& factors,
                                   std::span<const float> u, std::span<const float> pregate,
                                   std::span<const Complex<Scalar>> spectra, std::span<const float> postgate,
                                   std::span<Scalar> y, int threads) {
  const auto channels = static_cast<std::size_t>(shape.channels),
             length = static_cast<std::size_t>(shape.length);
  const std::size_t points = shape.points(), each = points * (shape.signal == Signal::packed ? 2 : 1);
  require("u", u.size(), shape.values());
  require("y", y.size(), shape.values());
  require("pregate", pregate.size(), pregate.empty() ? 0 : shape.values());
  require("postgate", postgate.size(), postgate.empty() ? 0 : shape.values());
  require("the factors' product", factors.size(), points);
  require("the filters' spectra", spectra.size(), channels * each);
  const Tables<Scalar> tables(factors);
  const std::vector<std::size_t> mirror =
      shape.signal == Signal::packed ? mirrors(factors) : std::vector<std::size_t>{};
  for_each_row_block(1, shape.batch * shape.channels, threads, [&](int, int first, int count) {
    Workspace<Scalar> work(points);
    for (std::size_t row = static_cast<std::size_t>(first); row < static_cast<std::size_t>(first + count);
         ++row) {
      const std::size_t base = row * shape.planes() * length;
      const auto sample = [&](std::ptrdiff_t i, std::size_t plane) {
        if (i < 0 || i >= shape.length) return Scalar(0);
        const std::size_t at = base + plane * length + static_cast<std::size_t>(i);
        return static_cast<Scalar>(u[at]) * (pregate.empty() ? Scalar(1) : static_cast<Scalar>(pregate[at]));
      };
      const auto put = [&](std::ptrdiff_t i, std::size_t plane, Scalar value) {
        const std::size_t at = base + plane * length + static_cast<std::size_t>(i);
        y[at] = (value / static_cast<Scalar>(points)) *
                (postgate.empty() ? Scalar(1) : static_cast<Scalar>(postgate[at]));
      };
      for (int window = 0; window < shape.windows(); ++window) {
        const std::ptrdiff_t start = static_cast<std::ptrdiff_t>(window) * shape.hop - shape.lead();
        const std::ptrdiff_t begin = start + shape.lead();
        const std::ptrdiff_t end =
            std::min<std::ptrdiff_t>(shape.length, shape.hop == 0 ? shape.length : begin + shape.hop);
        const bool packed = shape.signal == Signal::packed;
        for (std::size_t i = 0; i < points; ++i) {
          const std::ptrdiff_t at = start + static_cast<std::ptrdiff_t>(packed ? 2 * i : i);
          work.re[i] = sample(at, 0);
          work.im[i] = packed                            ? sample(at + 1, 0)
                       : shape.signal == Signal::complex ? sample(at, 1)
                                                         : Scalar(0);
        }
        forward(factors, tables, work);
        multiply(factors, shape.signal, mirror, spectra.data() + row % channels * each, work);
        backward(factors, tables, work);
        for (std::ptrdiff_t i = begin; i < end; ++i) {
          const auto n = static_cast<std::size_t>(i - start);
          if (packed) {
            put(i, 0, n % 2 == 0 ? work.re[n / 2] : work.im[n / 2]);
          } else {
            put(i, 0, work.re[n]);
            if (shape.signal == Signal::complex) put(i, 1, work.im[n]);
          }
        }
      }
    }
  });
}

template <class Scalar>
void monarch_convolution_reference(const ConvolutionShape& shape, const MonarchFactors& factors,
                                   std::span<const float> u, std::span<const float> pregate,
                                   std::span<const float> filters, std::span<const float> postgate,
                                   std::span<Scalar> y, int threads) {
  const std::vector<Complex<Scalar>> spectra = monarch_filters<Scalar>(shape, factors, filters);
  monarch_convolution_reference<Scalar>(shape, factors, u, pregate, std::span<const Complex<Scalar>>(spectra),
                                        postgate, y, threads);
}

std::vector<double> convolution_oracle(std::size_t transform, std::span<const float> u,
                                       std::span<const float> pregate, std::span<const float> filter,
                                       std::span<const float> postgate, std::span<const double> spectrum_mask,
                                       bool complex_signal) {
  const std::size_t length = u.size() / (complex_signal ? 2 : 1);
  if (length > transform || filter.size() > transform) {
    throw std::invalid_argument("convolution_oracle: " + std::to_string(length) + " samples and " +
                                std::to_string(filter.size()) + " taps in a transform of " +
                                std::to_string(transform));
  }
  std::vector<Complex<double>> x(transform), k(transform), x_f, k_f;
  for (std::size_t i = 0; i < length; ++i) {
    x[i] = {static_cast<double>(u[i]), complex_signal ? static_cast<double>(u[length + i]) : 0.0};
    if (!pregate.empty()) x[i] *= static_cast<double>(pregate[i]);
  }
  for (std::size_t i = 0; i < filter.size(); ++i) k[i] = static_cast<double>(filter[i]);
  Eigen::FFT<double> fft;
  fft.fwd(x_f, x);
  fft.fwd(k_f, k);
  for (std::size_t i = 0; i < transform; ++i)
    x_f[i] *= k_f[i] * (spectrum_mask.empty() ? 1.0 : spectrum_mask[i]);
  fft.inv(x, x_f);
  std::vector<double> y(u.size());
  for (std::size_t i = 0; i < length; ++i) {
    const double gate = postgate.empty() ? 1.0 : static_cast<double>(postgate[i]);
    y[i] = x[i].real() * gate;
    if (complex_signal) y[length + i] = x[i].imag() * gate;
  }
  return y;
}

template void monarch_transform(const MonarchFactors&, std::span<Complex<float>>);
template void monarch_transform(const MonarchFactors&, std::span<Complex<double>>);
template void monarch_inverse(const MonarchFactors&, std::span<Complex<float>>);
template void monarch_inverse(const MonarchFactors&, std::span<Complex<double>>);
template std::vector<Complex<float>> monarch_filters(const ConvolutionShape&, const MonarchFactors&,
                                                     std::span<const float>);
template std::vector<Complex<double>> monarch_filters(const ConvolutionShape&, const MonarchFactors&,
                                                      std::span<const float>);
#define RM_INSTANTIATE(Scalar)                                                                        \
  template void monarch_convolution_reference(                                                        \
      const ConvolutionShape&, const MonarchFactors&, std::span<const float>, std::span<const float>, \
      std::span<const float>, std::span<const float>, std::span<Scalar>, int);                        \
  template void monarch_convolution_reference(                                                        \
      const ConvolutionShape&, const MonarchFactors&, std::span<const float>, std::span<const float>, \
      std::span<const Complex<Scalar>>, std::span<const float>, std::span<Scalar>, int);
RM_INSTANTIATE(float)
RM_INSTANTIATE(double)
#undef RM_INSTANTIATE

}  // namespace remeasure::kernels
