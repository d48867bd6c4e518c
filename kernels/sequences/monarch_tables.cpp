// SPDX-License-Identifier: Apache-2.0
#include "kernels/sequences/monarch_tables.h"

#include <bit>
#include <type_traits>

#include "kernels/sequences/monarch_reference.h"

namespace remeasure::kernels {
namespace {

/// Nearest TF32, ties away from zero, as cvt.rna.tf32.f32.
float nearest_tf32(float value) {
  return std::bit_cast<float>((std::bit_cast<std::uint32_t>(value) + 0x1000u) & 0xffffe000u);
}

/// Part `part` of a value as an operand's bits.
template <class Element>
std::uint32_t operand_bits(double value, int part) {
  if constexpr (std::is_same_v<Element, float>) {
    const float high = nearest_tf32(static_cast<float>(value));
    return std::bit_cast<std::uint32_t>(
        part == 0 ? high : nearest_tf32(static_cast<float>(value - static_cast<double>(high))));
  } else {
    return Element(static_cast<float>(value)).bits;
  }
}

/// Appends the fragments of F (scaled by 1/n) or of its conjugate, n x n, as operand A or B.
template <class Element>
void append_matrix(std::vector<std::uint32_t>& words, int n, bool inverse, bool as_a) {
  using Mma = MonarchMma<Element>;
  constexpr int kPack = Mma::Layout::kElementsPerRegister, kBits = 32 / kPack;
  const int registers = as_a ? 4 : 2, steps = n / Mma::kDepth, tiles = n / (as_a ? 16 : 8);
  const double scale = inverse ? 1 : 1.0 / n;
  const auto entry = [&](bool imaginary, int row, int column) {
    const std::complex<double> w = root_of_unity(
        static_cast<std::size_t>(row) * static_cast<std::size_t>(column), static_cast<std::size_t>(n));
    return scale * (imaginary ? (inverse ? -w.imag() : w.imag()) : w.real());
  };
  const auto word = [&](bool imaginary, int tile, int step, int part, int lane, int index) {
    std::uint32_t bits = 0;
    for (int i = 0; i < kPack; ++i) {
      const int element = index * kPack + i;
      const MatrixPosition at = as_a ? Mma::Layout::a(lane, element) : Mma::Layout::b(lane, element);
      const int row = as_a ? 16 * tile + at.row : step * Mma::kDepth + Mma::k(at.row);
      const int column = as_a ? step * Mma::kDepth + Mma::k(at.column) : 8 * tile + at.column;
      bits |= operand_bits<Element>(entry(imaginary, row, column), part) << (kBits % 32 * i);
    }
    return bits;
  };
  const int outer = as_a ? tiles : steps, middle = as_a ? steps : tiles;
  for (int imaginary = 0; imaginary < 2; ++imaginary) {
    for (int i = 0; i < outer; ++i) {
      for (int j = 0; j < middle; ++j) {
        for (int part = 0; part < Mma::kParts; ++part) {
          for (int lane = 0; lane < 32; ++lane) {
            for (int r = 0; r < registers; ++r)
              words.push_back(word(imaginary == 1, as_a ? i : j, as_a ? j : i, part, lane, r));
          }
        }
      }
    }
  }
}

}  // namespace

template <class Element>
MonarchTables<Element> monarch_tables(const MonarchFactors& factors) {
  MonarchTables<Element> tables;
  for (int i = 0; i < factors.order(); ++i) {
    const bool last = i + 1 == factors.order();
    MonarchStageTables stage{.forward = tables.matrices.size()};
    append_matrix<Element>(tables.matrices, factors.factor(i), false, !last);
    stage.inverse = tables.matrices.size();
    append_matrix<Element>(tables.matrices, factors.factor(i), true, !last);
    stage.twiddle = tables.twiddles.size() / 2;
    const auto n = static_cast<std::size_t>(factors.factor(i)), inner = factors.inner(i);
    for (std::size_t row = 0; !last && row < n; ++row) {
      for (std::size_t column = 0; column < inner; ++column) {
        const std::complex<double> w = root_of_unity(row * column, n * inner);
        tables.twiddles.push_back(Element(static_cast<float>(w.real())));
        tables.twiddles.push_back(Element(static_cast<float>(w.imag())));
      }
    }
    tables.stages.push_back(stage);
  }
  return tables;
}

template <class Element>
std::vector<Element> monarch_device_filters(const ConvolutionShape& shape, const MonarchFactors& factors,
                                            std::span<const float> filters) {
  const std::vector<std::complex<double>> exact = monarch_filters<double>(shape, factors, filters);
  std::vector<Element> rounded;
  rounded.reserve(2 * exact.size());
  for (const std::complex<double>& value : exact) {
    rounded.push_back(Element(static_cast<float>(value.real())));
    rounded.push_back(Element(static_cast<float>(value.imag())));
  }
  return rounded;
}

#define RM_INSTANTIATE(Element)                                                                        \
  template MonarchTables<Element> monarch_tables(const MonarchFactors&);                               \
  template std::vector<Element> monarch_device_filters(const ConvolutionShape&, const MonarchFactors&, \
                                                       std::span<const float>);
RM_INSTANTIATE(half)
RM_INSTANTIATE(bfloat16)
RM_INSTANTIATE(float)
#undef RM_INSTANTIATE

}  // namespace remeasure::kernels
