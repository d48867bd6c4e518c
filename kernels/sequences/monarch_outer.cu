// SPDX-License-Identifier: Apache-2.0
//
// The outermost axis of a Fourier transform that doesn't fit a block's shared memory (Fu, Kumbong et al.,
// "FlashFFTConv", ICLR 2024, section 3.1), around monarch_convolution of its rows as complex signals:
//
//   for (b) for (h) {
//     x[o, i] = u[b, h, o * inner + i] * pregate[...];                       // zeros beyond the length
//     x = F_outer x along o; x[o, i] *= W_N^(o i);                           // forward launch
//     each row o: convolution of x[o, :] with filter[h, o, :];               // monarch_convolution, `outer`
//     times the channels x[o, i] *= conj W_N^(o i); x = conj F_outer x along o;                 // inverse
//     launch y[b, h, o * inner + i] = real(x[o, i]) * postgate[...];
//   }
//
// Optimisation: 64 neighbouring columns of all `outer` rows are a block's tile, so that rows are read in
// 128-byte pieces and the DFT is the same product of tensor cores as inside a block. The twiddles' angles are
// exact (o i / N is a float for N <= 2^24), so no table is read. Launch: (inner / 64, batch * channels)
// blocks of 256. Per launch and value: 8 outer flops and 6 of the twiddle; bytes: signal and gate once,
// planes once. Limits: batch * channels <= 65535, transform <= 2^24.
#include <bit>
#include <stdexcept>
#include <string>

#include "kernels/sequences/monarch_chunk.h"
#include "kernels/sequences/monarch_outer.h"

namespace remeasure::kernels {

namespace {

constexpr int kColumnsLog2 = 6;

template <class Element>
struct OuterPass {
  int factor_log2, inner, length;
  float step;  // 2 / N: angles in units of pi
  const std::uint32_t* matrix;
  const Element *signal, *gate;  // forward: u; gates may be null
  Element *planes, *result;
};

template <class Element>
RM_DEVICE ComplexPair outer_twiddle(const OuterPass<Element>& c, int row, int column) {
  ComplexPair w;
#pragma unroll
  for (int i = 0; i < 2; ++i) {
    const float angle = c.step * static_cast<float>(row * (column + i));
    w.re[i] = cospif(angle);
    w.im[i] = -sinpif(angle);
  }
  return w;
}

/// Calls body(row, column, place in the tile) for each chunk of the tile.
template <class Element, class Body>
RM_DEVICE void for_each_tile_chunk(const OuterPass<Element>& c, Body body) {
  constexpr int kLog2 = MonarchPlane<Element>::kChunkLog2;
  for (int i = static_cast<int>(threadIdx.x); i < 1 << (c.factor_log2 + kColumnsLog2 - kLog2);
       i += kMonarchThreads) {
    const int place = i << kLog2;
    body(place >> kColumnsLog2,
         (static_cast<int>(blockIdx.x) << kColumnsLog2) + (place & ((1 << kColumnsLog2) - 1)), place);
  }
}

template <class Element, int kLargest, bool kInverse>
__global__ void __launch_bounds__(kMonarchThreads) outer_kernel(const OuterPass<Element> c) {
  RM_DYNAMIC_SHARED(Element, shared);
  const int tile_log2 = c.factor_log2 + kColumnsLog2;
  const MonarchPlanes<Element> x = {{shared}, {shared + (1 << tile_log2)}};
  const std::size_t sequence = blockIdx.y, length = static_cast<std::size_t>(c.length),
                    inner = static_cast<std::size_t>(c.inner);
  Element* const planes = c.planes + 2 * (sequence * inner << c.factor_log2);
  for_each_tile_chunk<Element>(c, [&](int row, int column, int place) {
    SignalChunk<Element> re = {{0, 0, 0, 0}}, im = {{0, 0, 0, 0}};
    if constexpr (kInverse) {
      const Element* from = planes + 2 * static_cast<std::size_t>(row) * inner + column;
      re = load_chunk(from);
      im = load_chunk(from + inner);
    } else {
      const std::size_t n = static_cast<std::size_t>(row) * inner + static_cast<std::size_t>(column);
      if (n < length) {
        re = load_chunk(c.signal + sequence * length + n);
        if (c.gate != nullptr) {
          const SignalChunk<Element> gate = load_chunk(c.gate + sequence * length + n);
          re = gated<Element>(re, gate);
        }
      }
    }
    store_chunk(x.re.at(place), re);
    store_chunk(x.im.at(place), im);
  });
  __syncthreads();
  const auto turned = [&](int position, const ComplexPair& pair) {
    const int row = position >> kColumnsLog2, column = (static_cast<int>(blockIdx.x) << kColumnsLog2) +
                                                       (position & ((1 << kColumnsLog2) - 1));
    const ComplexPair w = outer_twiddle(c, row, column);
    return product(pair, w, kInverse);
  };
  if constexpr (kInverse) {
    for (int i = static_cast<int>(threadIdx.x); i < 1 << (tile_log2 - 1); i += kMonarchThreads) {
      const ComplexPair pair = {
          {static_cast<float>(*x.re.at(2 * i)), static_cast<float>(*x.re.at(2 * i + 1))},
          {static_cast<float>(*x.im.at(2 * i)), static_cast<float>(*x.im.at(2 * i + 1))}};
      store_pair<Element>(x, 2 * i, turned(2 * i, pair));
    }
    __syncthreads();
  }
  const MonarchWalk walk = {1, tile_log2, 1, tile_log2, 1 << (kColumnsLog2 - 3)};
  with_factor<kLargest>(c.factor_log2, [&]<int kFactor>() {
    strided_stage<Element, kFactor>(x, walk, kColumnsLog2, c.matrix, kFactor, kFactor,
                                    [&](int position, const ComplexPair& pair) {
                                      if constexpr (kInverse)
                                        return pair;
                                      else
                                        return turned(position, pair);
                                    });
  });
  __syncthreads();
  for_each_tile_chunk<Element>(c, [&](int row, int column, int place) {
    SignalChunk<Element> re = load_chunk(x.re.at(place));
    if constexpr (kInverse) {
      const std::size_t n = static_cast<std::size_t>(row) * inner + static_cast<std::size_t>(column);
      if (n >= length) return;
      if (c.gate != nullptr) {
        const SignalChunk<Element> gate = load_chunk(c.gate + sequence * length + n);
        re = gated<Element>(re, gate);
      }
      store_chunk(c.result + sequence * length + n, re);
    } else {
      const SignalChunk<Element> im = load_chunk(x.im.at(place));
      Element* const to = planes + 2 * static_cast<std::size_t>(row) * inner + column;
      store_chunk(to, re);
      store_chunk(to + inner, im);
    }
  });
}

[[noreturn]] void refuse_outer(const std::string& what) {
  throw std::invalid_argument("monarch_outer_convolution: " + what);
}

template <class Target, class Element, bool kInverse>
void launch_outer(Stream<Target>& stream, const ConvolutionShape& shape, const OuterPass<Element>& pass) {
  constexpr int kLargest = sizeof(Element) == 2 ? 128 : 32;
  launch({.name = kInverse ? "monarch_outer_inverse" : "monarch_outer_forward",
          .grid = dim3(static_cast<unsigned>(pass.inner >> kColumnsLog2),
                       static_cast<unsigned>(shape.batch * shape.channels)),
          .block = kMonarchThreads,
          .shared_bytes = (2 * sizeof(Element)) << (pass.factor_log2 + kColumnsLog2)},
         stream, outer_kernel<Element, kLargest, kInverse>, pass);
}

}  // namespace

template <class Target, class Element>
void monarch_outer_convolution(Stream<Target>& stream, const ConvolutionShape& shape,
                               const MonarchOuterPlan<Target, Element>& plan,
                               DeviceSpan<Target, const Element> u, DeviceSpan<Target, const Element> pregate,
                               DeviceSpan<Target, const Element> filter,
                               DeviceSpan<Target, const Element> postgate, DeviceSpan<Target, Element> planes,
                               DeviceSpan<Target, Element> y) {
  const int outer = plan.factors().factor(0);
  if (shape.signal != Signal::real || shape.hop != 0) refuse_outer("real signals in whole sequences only");
  if (outer < 16 || outer > (sizeof(Element) == 2 ? 128 : 32))
    refuse_outer("outer factor " + std::to_string(outer) + "; 16 to 128, in float 16 or 32");
  if (plan.factors().size() != shape.points() || shape.transform > 1 << 24) {
    refuse_outer("transform " + std::to_string(shape.transform) + " with a plan of " +
                 std::to_string(plan.factors().size()) + " (at most 2^24)");
  }
  const long long sequences = static_cast<long long>(shape.batch) * shape.channels;
  if (shape.batch < 1 || shape.channels < 1 || sequences > 65'535 || shape.length % 16 != 0 ||
      shape.length > shape.transform) {
    refuse_outer("batch * channels " + std::to_string(sequences) + " (1 to 65535), length " +
                 std::to_string(shape.length) + " (a multiple of 16 up to the transform)");
  }
  const std::size_t values = shape.values();
  if (u.size() != values || y.size() != values || (!pregate.empty() && pregate.size() != values) ||
      (!postgate.empty() && postgate.size() != values) ||
      planes.size() != 2 * static_cast<std::size_t>(sequences) * shape.points()) {
    refuse_outer(std::to_string(u.size()) + " values in, " + std::to_string(y.size()) +
                 " out, workspace of " + std::to_string(planes.size()) + "; the shape has " +
                 std::to_string(values));
  }
  const int inner = static_cast<int>(plan.factors().inner(0));
  const MonarchStageTables& tables = plan.outer().stage(0);
  OuterPass<Element> pass{std::countr_zero(static_cast<unsigned>(outer)),
                          inner,
                          shape.length,
                          2.0f / static_cast<float>(shape.transform),
                          plan.outer().matrices() + tables.forward,
                          u.data(),
                          pregate.empty() ? nullptr : pregate.data(),
                          planes.data(),
                          nullptr};
  launch_outer<Target, Element, false>(stream, shape, pass);
  const ConvolutionShape rows{shape.batch, shape.channels * outer, inner, inner, 0, Signal::complex};
  monarch_convolution<Target, Element>(stream, rows, plan.inner(), {}, planes, {}, filter, {}, planes);
  pass.matrix = plan.outer().matrices() + tables.inverse;
  pass.signal = nullptr, pass.gate = postgate.empty() ? nullptr : postgate.data(), pass.result = y.data();
  launch_outer<Target, Element, true>(stream, shape, pass);
}

#define RM_INSTANTIATE(Element)                                                                           \
  template void monarch_outer_convolution(                                                                \
      Stream<CompiledTarget>&, const ConvolutionShape&, const MonarchOuterPlan<CompiledTarget, Element>&, \
      DeviceSpan<CompiledTarget, const Element>, DeviceSpan<CompiledTarget, const Element>,               \
      DeviceSpan<CompiledTarget, const Element>, DeviceSpan<CompiledTarget, const Element>,               \
      DeviceSpan<CompiledTarget, Element>, DeviceSpan<CompiledTarget, Element>);
RM_INSTANTIATE(half)
RM_INSTANTIATE(bfloat16)
RM_INSTANTIATE(float)
#undef RM_INSTANTIATE

}  // namespace remeasure::kernels
