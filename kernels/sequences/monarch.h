// SPDX-License-Identifier: Apache-2.0
//
// Discrete Fourier transforms as products with small DFT matrices (Fu, Kumbong et al., "FlashFFTConv:
// Efficient Convolutions for Long Sequences with Tensor Cores", ICLR 2024, arXiv 2311.05908, section 3.1; the
// Monarch matrices of Dao et al., 2022), and what such a transform needs: factors, roots of unity, the order
// of its output. Host only, no CUDA, no Eigen.
//
// N = N1 N2 ... Np. Position n = (n1 N2 + n2) N3 + n3 of the input, digits of the slowest axis first; stage i
// replaces digit n_i by k_i with the DFT of length N_i and multiplies by W^(k_i n_rest), W the root of N_i
// ... Np. The output stays where it is: position (k1 N2 + k2) N3 + k3 holds frequency k1 + N1 (k2 + N2 k3).
// Convolutions multiply there and go back, so nothing is permuted.
#pragma once

#include <complex>
#include <cstddef>
#include <initializer_list>
#include <vector>

namespace remeasure::kernels {

/// exp(-2 pi i k / n), from an argument reduced to the first octant: exact at multiples of n/8's axes, error
/// below 2^-52 elsewhere.
std::complex<double> root_of_unity(std::size_t k, std::size_t n);

/// A factorisation of a transform length, slowest axis first. Factors are powers of two, at least 2.
class MonarchFactors {
 public:
  /// Throws std::invalid_argument for no factors or one that is no power of two.
  MonarchFactors(std::initializer_list<int> factors) : MonarchFactors(std::vector<int>(factors)) {}
  explicit MonarchFactors(std::vector<int> factors);

  int order() const { return static_cast<int>(factors_.size()); }
  int factor(int i) const { return factors_[static_cast<std::size_t>(i)]; }
  std::size_t size() const { return size_; }
  /// N_{i+1} ... Np: distance between two neighbours along axis i.
  std::size_t inner(int i) const { return inner_[static_cast<std::size_t>(i)]; }
  int sum() const;
  /// The frequency that lies at `position` after the transform, and its inverse.
  std::size_t frequency(std::size_t position) const;
  std::size_t position(std::size_t frequency) const;
  bool operator==(const MonarchFactors& other) const { return factors_ == other.factors_; }

 private:
  std::vector<int> factors_;
  std::vector<std::size_t> inner_;
  std::size_t size_ = 1;
};

/// The authors' factors of a complex transform in one kernel: 256 = 16x16 to 32768 = 32x32x32, and 512 =
/// 16x32. Throws std::invalid_argument for other lengths.
MonarchFactors monarch_factors(std::size_t size);

/// Factors of a longer one, 64K to 4M points: 16, 32, 64 or 128 before those of 4096 to 32768 points. Same
/// error.
MonarchFactors monarch_outer_factors(std::size_t size);

/// How a signal becomes complex numbers of a transform.
enum class Signal {
  real,     ///< imaginary parts are zero: half of the work is wasted
  packed,   ///< real, samples 2j and 2j + 1 are one complex number: a transform of half the length
            ///< (section 3.2)
  complex,  ///< two planes
};

/// Convolutions of every channel of a batch with that channel's filter.
/// Signals are [batch, channels, length] row-major (complex ones [batch, channels, 2, length]), filters
/// [channels, taps]. With hop = 0 a sequence is transformed whole, zeros beyond `length`: circular for length
/// == transform, causal where transform >= length + taps - 1. With hop > 0 it is cut into windows of
/// `transform` samples which overlap by transform - hop >= taps - 1 (overlap-save): causal for any length,
/// with memory of a window only.
struct ConvolutionShape {
  int batch = 0;
  int channels = 0;
  int length = 0;
  int transform = 0;
  int hop = 0;
  Signal signal = Signal::real;

  std::size_t planes() const { return signal == Signal::complex ? 2 : 1; }
  std::size_t values() const {
    return static_cast<std::size_t>(batch) * static_cast<std::size_t>(channels) * planes() *
           static_cast<std::size_t>(length);
  }
  /// Length of the complex transform.
  std::size_t points() const {
    return static_cast<std::size_t>(transform) / (signal == Signal::packed ? 2 : 1);
  }
  int windows() const { return hop == 0 ? 1 : (length + hop - 1) / hop; }
  int lead() const {
    return hop == 0 ? 0 : transform - hop;
  }  ///< samples of a window before the first that it gives
};

/// What of a spectrum is kept by a frequency-sparse convolution (section 3.3): digits k_i < kept[i]. Empty:
/// all.
using MonarchKept = std::vector<int>;

/// Share of the spectrum that is dropped.
double sparsity(const MonarchFactors& factors, const MonarchKept& kept);

/// Multiplications and additions of the DFT matrices of one sequence, forward and inverse. Dense: 16 N
/// sum(N_i). Sparse (order 3): twice 8 (a N + a b N2 N3 + a b c N3), for blocks that are dropped are neither
/// computed nor read.
double monarch_matmul_flops(const MonarchFactors& factors, const MonarchKept& kept = {});

}  // namespace remeasure::kernels
