// SPDX-License-Identifier: Apache-2.0
//
// Convolution by a fused Fourier transform on tensor cores (Fu, Kumbong et al., "FlashFFTConv: Efficient
// Convolutions for Long Sequences with Tensor Cores", ICLR 2024, algorithm 1; packed real signals:
// section 3.2; dropped frequencies: section 3.3).
//
//   for (b) for (h) {
//     x[n] = u[b, h, n] * pregate[b, h, n];                          // zeros beyond the length
//     for each axis i, slowest first: x = F_Ni x along i; x *= W^(k_i n_rest);
//     x *= filter[h];                                                // in the order in which the transform
//     leaves it for each axis i, fastest first: x *= conj W^(k_i n_rest); x = conj F_Ni x along i; y[b, h, n]
//     = postgate[b, h, n] * x[n];
//   }
//
// Optimisation: the transform is two or three products with matrices of 16, 32 or 64, for tensor cores,
// instead of log2 N butterflies; a sequence stays in shared memory from load to store, in place, and around
// the filter in registers: accumulators of the last forward product are the operands of the first inverse
// one. Gates, padding, packing and overlap-save happen on load and store. Dropped frequencies are rows of F:
// their tiles are not computed. Fragments of F come from L1 in lane order. Launch: (tiles of sequences,
// channels) blocks of 256; a tile has as many sequences of one channel as make 4096 points. Per launch:
// monarch_cost (16 M sum(N_i) and 6 M per twiddle and filter, M = N or N / 2 packed; bytes: signals, gates
// and result once, filters and tables once). Limits: lengths and hops multiples of 16; 2 M sizeof(Element)
// bytes of shared memory; channels <= 65535. Loads are plain: their latency is hidden by other blocks, not by
// a second buffer.
#include <bit>
#include <stdexcept>
#include <string>

#include "kernels/sequences/monarch_chunk.h"
#include "kernels/sequences/monarch_conv.h"
#include "kernels/sequences/monarch_stage.h"

namespace remeasure::kernels {
namespace {

constexpr int kTilePoints = 4096;

template <class Element>
struct Stage {
  int factor_log2, inner_log2, kept;
  const std::uint32_t *forward, *inverse;
  const Element* twiddle;
};

template <class Element>
struct Convolution {
  int channels, planes, length, windows, step, lead,
      given;                // samples: between windows, before a window's first result, of its results
  int sequences, per_tile;  // of one channel
  int order, size_log2;
  Stage<Element> stage[3];
  const Element *u, *pregate, *filter, *postgate;
  Element* y;
};

/// Calls body(window's first sample, row of the signals, sample in the window, place of a chunk in the
/// planes) for each chunk of the block's tile.
template <class Element, bool kPacked, class Body>
RM_DEVICE void for_each_chunk(const Convolution<Element>& c, int first_sequence, int count, Body body) {
  constexpr int kLog2 = MonarchPlane<Element>::kChunkLog2;
  const int chunks_log2 = c.size_log2 - kLog2;
  for (int i = static_cast<int>(threadIdx.x); i < count << chunks_log2; i += kMonarchThreads) {
    const int sequence = first_sequence + (i >> chunks_log2);
    const int point = (i & ((1 << chunks_log2) - 1)) << kLog2;
    const std::size_t row =
        static_cast<std::size_t>(sequence / c.windows) * static_cast<std::size_t>(c.channels) + blockIdx.y;
    body(sequence % c.windows * c.step - c.lead, row, kPacked ? 2 * point : point, i << kLog2);
  }
}

template <class Element, bool kPacked>
RM_DEVICE void load_signals(const Convolution<Element>& c, const MonarchPlanes<Element>& x,
                            int first_sequence, int count) {
  for_each_chunk<Element, kPacked>(
      c, first_sequence, count, [&](int window, std::size_t row, int sample, int place) {
        const std::size_t plane = static_cast<std::size_t>(c.length);
        const auto read = [&](std::size_t base, int index) -> SignalChunk<Element> {
          if (index < 0 || index >= c.length) return {{0, 0, 0, 0}};
          const SignalChunk<Element> value = load_chunk(c.u + base + index);
          if (c.pregate == nullptr) return value;
          const SignalChunk<Element> gate = load_chunk(c.pregate + base + index);
          return gated<Element>(value, gate);
        };
        const int index = window + sample;
        SignalChunk<Element> re, im = {{0, 0, 0, 0}};
        if constexpr (kPacked) {
          const SignalChunk<Element> first = read(row * plane, index),
                                     second = read(row * plane, index + SignalChunk<Element>::kSize);
          separate<Element>(first, second, re, im);
        } else if (c.planes == 2) {
          re = read(2 * row * plane, index);
          im = read((2 * row + 1) * plane, index);
        } else {
          re = read(row * plane, index);
        }
        store_chunk(x.re.at(place), re);
        store_chunk(x.im.at(place), im);
      });
}

template <class Element, bool kPacked>
RM_DEVICE void store_results(const Convolution<Element>& c, const MonarchPlanes<Element>& x,
                             int first_sequence, int count) {
  for_each_chunk<Element, kPacked>(
      c, first_sequence, count, [&](int window, std::size_t row, int sample, int place) {
        const std::size_t plane = static_cast<std::size_t>(c.length);
        const auto write = [&](std::size_t base, int in_window, const SignalChunk<Element>& value) {
          const int index = window + in_window;
          if (in_window < c.lead || in_window >= c.lead + c.given || index >= c.length) return;
          if (c.postgate == nullptr) {
            store_chunk(c.y + base + index, value);
          } else {
            const SignalChunk<Element> gate = load_chunk(c.postgate + base + index);
            store_chunk(c.y + base + index, gated<Element>(value, gate));
          }
        };
        const SignalChunk<Element> re = load_chunk(x.re.at(place)), im = load_chunk(x.im.at(place));
        if constexpr (kPacked) {
          SignalChunk<Element> first, second;
          interleave<Element>(re, im, first, second);
          write(row * plane, sample, first);
          write(row * plane, sample + SignalChunk<Element>::kSize, second);
        } else if (c.planes == 2) {
          write(2 * row * plane, sample, re);
          write((2 * row + 1) * plane, sample, im);
        } else {
          write(row * plane, sample, re);
        }
      });
}

/// Digits of a position to those of a frequency, and back (MonarchFactors::frequency).
template <class Element>
RM_DEVICE int frequency_at(const Convolution<Element>& c, int position) {
  int frequency = 0, weight = 0;
  for (int i = 0; i < c.order; ++i) {
    frequency |= (position >> c.stage[i].inner_log2 & ((1 << c.stage[i].factor_log2) - 1)) << weight;
    weight += c.stage[i].factor_log2;
  }
  return frequency;
}
template <class Element>
RM_DEVICE int position_of(const Convolution<Element>& c, int frequency) {
  int position = 0;
  for (int i = 0; i < c.order; ++i) {
    position |= (frequency & ((1 << c.stage[i].factor_log2) - 1)) << c.stage[i].inner_log2;
    frequency >>= c.stage[i].factor_log2;
  }
  return position;
}

/// Packed signals: Y = A Z + B conj(Z of the mirrored frequency). A thread has a frequency below M / 2 and
/// its mirror; frequencies 0 and M / 2 are their own mirrors.
template <class Element>
RM_DEVICE void multiply_packed(const Convolution<Element>& c, const MonarchPlanes<Element>& x,
                               const Element* filter, int count) {
  const Stage<Element> last = c.stage[c.order - 1];
  const int half_log2 = last.factor_log2 - 1, size = 1 << c.size_log2;
  for (int i = static_cast<int>(threadIdx.x); i < count << (c.size_log2 - 1); i += kMonarchThreads) {
    const int row = i >> half_log2, place = row << last.factor_log2 | (i & ((1 << half_log2) - 1));
    const int base = place & ~(size - 1), position = place & (size - 1);
    const int frequency = frequency_at(c, position);
    const int other = position_of(c, frequency == 0 ? size / 2 : size - frequency);
    ComplexPair z = {{static_cast<float>(*x.re.at(place)), static_cast<float>(*x.re.at(base + other))},
                     {static_cast<float>(*x.im.at(place)), static_cast<float>(*x.im.at(base + other))}};
    const bool own = frequency == 0;
    const ComplexPair mirrored = {{own ? z.re[0] : z.re[1], own ? z.re[1] : z.re[0]},
                                  {-(own ? z.im[0] : z.im[1]), -(own ? z.im[1] : z.im[0])}};
    const ComplexPair here = load_pair(filter, 2 * static_cast<std::size_t>(position)),
                      there = load_pair(filter, 2 * static_cast<std::size_t>(other));
    const ComplexPair a = {{here.re[0], there.re[0]}, {here.im[0], there.im[0]}},
                      b = {{here.re[1], there.re[1]}, {here.im[1], there.im[1]}};
    const ComplexPair direct = product(z, a), reflected = product(mirrored, b);
    *x.re.at(place) = Element(direct.re[0] + reflected.re[0]);
    *x.im.at(place) = Element(direct.im[0] + reflected.im[0]);
    *x.re.at(base + other) = Element(direct.re[1] + reflected.re[1]);
    *x.im.at(base + other) = Element(direct.im[1] + reflected.im[1]);
  }
}

/// The stages but the last, all forward or all back.
template <class Element, int kLargest>
RM_DEVICE void outer_stage(const Convolution<Element>& c, const MonarchPlanes<Element>& x, int count, int i,
                           bool inverse) {
  const Stage<Element> stage = c.stage[i];
  const int before = i == 0 ? 1 : c.stage[0].kept;
  const MonarchWalk walk = {count, c.size_log2, before, stage.factor_log2 + stage.inner_log2,
                            1 << (stage.inner_log2 - 3)};
  // Back, the twiddles that follow belong to the stage before.
  const Stage<Element> turning = c.stage[inverse && i > 0 ? i - 1 : i];
  const bool turns = !inverse || i > 0;
  const int mask = (1 << (turning.factor_log2 + turning.inner_log2)) - 1;
  with_factor<kLargest>(stage.factor_log2, [&]<int kFactor>() {
    strided_stage<Element, kFactor>(
        x, walk, stage.inner_log2, inverse ? stage.inverse : stage.forward, inverse ? stage.kept : kFactor,
        inverse ? kFactor : stage.kept, [&](int position, const ComplexPair& pair) {
          if (!turns) return pair;
          const ComplexPair w = load_pair(turning.twiddle, static_cast<std::size_t>(position & mask));
          return product(pair, w, inverse);
        });
  });
  __syncthreads();  // the next stage runs along another axis
}

template <class Element, int kLargest, bool kForward, bool kInverse>
RM_DEVICE void middle_stage(const Convolution<Element>& c, const MonarchPlanes<Element>& x,
                            const Element* filter, int count) {
  const Stage<Element> last = c.stage[c.order - 1], previous = c.stage[c.order - 2];
  const int before = c.order == 2 ? 1 : c.stage[0].kept;
  const MonarchWalk walk = {count, c.size_log2, before, previous.factor_log2 + previous.inner_log2,
                            previous.kept / 16};
  const int mask = (1 << (previous.factor_log2 + previous.inner_log2)) - 1, size = 1 << c.size_log2;
  with_factor<kLargest>(last.factor_log2, [&]<int kFactor>() {
    last_stage<Element, kFactor, kForward, kInverse>(
        x, walk, last.forward, last.inverse, last.kept,
        [&](int position, const ComplexPair& pair) {
          if constexpr (!kInverse) return pair;
          const ComplexPair k = load_pair(filter, static_cast<std::size_t>(position & (size - 1)));
          return product(pair, k);
        },
        [&](int position, const ComplexPair& pair) {
          const ComplexPair w = load_pair(previous.twiddle, static_cast<std::size_t>(position & mask));
          return product(pair, w, true);
        });
  });
  __syncthreads();
}

template <class Element, bool kPacked, int kLargest>
__global__ void __launch_bounds__(kMonarchThreads, kLargest == 32 && sizeof(Element) == 2 ? 2 : 1)
    monarch_kernel(const Convolution<Element> c) {
  RM_DYNAMIC_SHARED(Element, shared);
  const MonarchPlanes<Element> x = {{shared},
                                    {shared + (static_cast<std::size_t>(c.per_tile) << c.size_log2)}};
  const int first_sequence = static_cast<int>(blockIdx.x) * c.per_tile;
  const int count = min(c.per_tile, c.sequences - first_sequence);
  const Element* filter =
      c.filter + (static_cast<std::size_t>(blockIdx.y) << (c.size_log2 + (kPacked ? 2 : 1)));

  load_signals<Element, kPacked>(c, x, first_sequence, count);
  __syncthreads();
  for (int i = 0; i + 1 < c.order; ++i) outer_stage<Element, kLargest>(c, x, count, i, false);
  if constexpr (kPacked) {
    middle_stage<Element, kLargest, true, false>(c, x, filter, count);
    multiply_packed<Element>(c, x, filter, count);
    __syncthreads();
    middle_stage<Element, kLargest, false, true>(c, x, filter, count);
  } else {
    middle_stage<Element, kLargest, true, true>(c, x, filter, count);
  }
  for (int i = c.order - 2; i >= 0; --i) outer_stage<Element, kLargest>(c, x, count, i, true);
  store_results<Element, kPacked>(c, x, first_sequence, count);
}

[[noreturn]] void refuse(const std::string& what) {
  throw std::invalid_argument("monarch_convolution: " + what);
}

void check_size(const char* name, std::size_t size, std::size_t expected) {
  if (size == expected) return;
  refuse(std::string(name) + " has " + std::to_string(size) + " elements; " + std::to_string(expected) +
         " follow from the shape");
}

template <class Element>
void check_factors(const MonarchFactors& factors, const MonarchKept& kept, Signal signal) {
  if (factors.order() != 2 && factors.order() != 3)
    refuse(std::to_string(factors.order()) + " factors; it takes two or three");
  for (int i = 0; i < factors.order(); ++i) {
    const bool large = factors == MonarchFactors{64, 64} && sizeof(Element) == 2 && signal != Signal::packed;
    if (factors.factor(i) != 16 && factors.factor(i) != 32 && !large) {
      refuse("factor " + std::to_string(factors.factor(i)) +
             "; factors are 16 or 32, or in 16-bit types, unpacked, {64, 64}");
    }
  }
  if (!kept.empty() &&
      (kept.size() != static_cast<std::size_t>(factors.order()) || signal == Signal::packed)) {
    refuse("kept has " + std::to_string(kept.size()) +
           " numbers; it needs one per factor, and a signal that isn't packed");
  }
  for (std::size_t i = 0; i < kept.size(); ++i) {
    if (kept[i] < 16 || kept[i] % 16 != 0 || kept[i] > factors.factor(static_cast<int>(i))) {
      refuse("kept[" + std::to_string(i) + "] is " + std::to_string(kept[i]) +
             "; a multiple of 16 up to the factor " + std::to_string(factors.factor(static_cast<int>(i))));
    }
  }
}

void check_shape(const ConvolutionShape& s) {
  const auto number = [](int value) { return std::to_string(value); };
  if (s.batch < 1 || s.channels < 1 || s.channels > 65'535) {
    refuse("batch " + number(s.batch) + " (at least 1), channels " + number(s.channels) + " (1 to 65535)");
  }
  if (s.length < 16 || s.length % 16 != 0)
    refuse("length " + number(s.length) + "; a multiple of 16 (pad with zeros)");
  if (s.hop == 0 && s.length > s.transform) {
    refuse("length " + number(s.length) + " in a transform of " + number(s.transform) +
           "; give a hop to cut it into windows");
  }
  if (s.hop < 0 || s.hop % 16 != 0 || s.hop > s.transform || s.lead() % 16 != 0) {
    refuse("hop " + number(s.hop) + "; 0, or a multiple of 16 up to the transform's " + number(s.transform));
  }
}

template <class Target, class Element, bool kPacked, int kLargest>
void run(Stream<Target>& stream, const Convolution<Element>& c) {
  const std::size_t points = static_cast<std::size_t>(c.per_tile) << c.size_log2;
  launch({.name = "monarch_convolution",
          .grid = dim3(blocks_for(c.sequences, c.per_tile), static_cast<unsigned>(c.channels)),
          .block = kMonarchThreads,
          .shared_bytes = 2 * points * sizeof(Element)},
         stream, monarch_kernel<Element, kPacked, kLargest>, c);
}

}  // namespace

template <class Target, class Element>
void monarch_convolution(Stream<Target>& stream, const ConvolutionShape& shape,
                         const MonarchPlan<Target, Element>& plan, const MonarchKept& kept,
                         DeviceSpan<Target, const Element> u, DeviceSpan<Target, const Element> pregate,
                         DeviceSpan<Target, const Element> filter, DeviceSpan<Target, const Element> postgate,
                         DeviceSpan<Target, Element> y) {
  const MonarchFactors& factors = plan.factors();
  const std::size_t values = shape.values();
  check_shape(shape);
  check_factors<Element>(factors, kept, shape.signal);
  check_size("plan", factors.size(), shape.points());
  check_size("u", u.size(), values);
  check_size("y", y.size(), values);
  if (shape.signal == Signal::complex && !(pregate.empty() && postgate.empty()))
    refuse("complex signals have no gates");
  check_size("pregate", pregate.size(), pregate.empty() ? 0 : values);
  check_size("postgate", postgate.size(), postgate.empty() ? 0 : values);
  check_size(
      "filter", filter.size(),
      static_cast<std::size_t>(shape.channels) * shape.points() * (shape.signal == Signal::packed ? 4 : 2));

  const int size = static_cast<int>(factors.size()), sequences = shape.batch * shape.windows();
  Convolution<Element> c{};
  c.channels = shape.channels, c.planes = static_cast<int>(shape.planes()), c.length = shape.length,
  c.windows = shape.windows(), c.step = shape.hop, c.lead = shape.lead();
  c.given = shape.hop == 0 ? shape.length : shape.hop;
  c.sequences = sequences, c.per_tile = clamp(kTilePoints / size, 1, sequences);
  c.order = factors.order(), c.size_log2 = std::countr_zero(static_cast<unsigned>(size));
  for (int i = 0; i < factors.order(); ++i) {
    c.stage[i] = {std::countr_zero(static_cast<unsigned>(factors.factor(i))),
                  std::countr_zero(factors.inner(i)),
                  kept.empty() ? factors.factor(i) : kept[static_cast<std::size_t>(i)],
                  plan.matrices() + plan.stage(i).forward,
                  plan.matrices() + plan.stage(i).inverse,
                  plan.twiddles() + 2 * plan.stage(i).twiddle};
  }
  c.u = u.data(), c.filter = filter.data(), c.y = y.data();
  c.pregate = pregate.empty() ? nullptr : pregate.data(),
  c.postgate = postgate.empty() ? nullptr : postgate.data();
  if (shape.signal == Signal::packed) return run<Target, Element, true, 32>(stream, c);
  if constexpr (sizeof(Element) == 2) {
    if (factors.factor(0) == 64) return run<Target, Element, false, 64>(stream, c);
  }
  run<Target, Element, false, 32>(stream, c);
}

#define RM_INSTANTIATE(Element)                                                                      \
  template void monarch_convolution(                                                                 \
      Stream<CompiledTarget>&, const ConvolutionShape&, const MonarchPlan<CompiledTarget, Element>&, \
      const MonarchKept&, DeviceSpan<CompiledTarget, const Element>,                                 \
      DeviceSpan<CompiledTarget, const Element>, DeviceSpan<CompiledTarget, const Element>,          \
      DeviceSpan<CompiledTarget, const Element>, DeviceSpan<CompiledTarget, Element>);
RM_INSTANTIATE(half)
RM_INSTANTIATE(bfloat16)
RM_INSTANTIATE(float)
#undef RM_INSTANTIATE

}  // namespace remeasure::kernels
