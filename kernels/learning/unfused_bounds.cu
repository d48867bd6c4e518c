// SPDX-License-Identifier: Apache-2.0
//
// Element-wise operations of unfused bound propagation (the graph that Feng et al., "Faith", USENIX ATC 2022,
// section 2, start from). Not optimised on purpose beyond what a framework's compiler does: one thread per
// output, coalesced, a launch per line of
//
//   W+ = max(W, 0);  W- = min(W, 0);  n = |w|_q;  l = b - radius n;  lines(l, u);  w' = max(k, 0) w + min(k,
//   0) v;  ...
//
// Launch: 256 threads a block, one output each. Bytes: every array read and written once; a norm or a sum
// reads its inputs once.
#include "kernels/learning/unfused_bounds.h"

#include <stdexcept>
#include <string>

#include "kernels/device/kernel.h"
#include "kernels/learning/relaxation.h"

namespace remeasure::kernels {
namespace {

template <class Operation>
__global__ void __launch_bounds__(256) elementwise_kernel(long long count, const Operation operation) {
  const long long i = static_cast<long long>(blockIdx.x) * 256 + static_cast<long long>(threadIdx.x);
  if (i < count) operation(i);
}

template <class Target, class Operation>
void for_each(const char* name, Stream<Target>& stream, std::size_t count, const Operation& operation) {
  launch({.name = name, .grid = blocks_for(count, 256), .block = 256}, stream, elementwise_kernel<Operation>,
         static_cast<long long>(count), operation);
}

struct SplitSigns {
  const float* x;
  float *positive, *negative;
  RM_DEVICE void operator()(long long i) const {
    positive[i] = fmaxf(x[i], 0.0f);
    negative[i] = fminf(x[i], 0.0f);
  }
};

struct AddScaled {
  const float* a;
  float factor;
  const float* b;
  float* out;
  RM_DEVICE void operator()(long long i) const { out[i] = a[i] + factor * b[i]; }
};

struct AddOffset {
  const float* offset;
  long long columns;
  float* x;
  RM_DEVICE void operator()(long long i) const { x[i] += offset[i % columns]; }
};

struct InputNorms {
  const float* weights;
  int inputs, channels, words;
  BallNorm norm;
  float* out;
  RM_DEVICE void operator()(long long i) const {
    const float* const column = weights + i / channels * inputs * channels + i % channels;
    const int per_word = inputs / words;
    float total = 0;
    for (int word = 0; word < words; ++word) {
      float sum = 0;
      for (int d = word * per_word; d < (word + 1) * per_word; ++d) {
        const float w = fabsf(column[static_cast<long long>(d) * channels]);
        sum = norm == BallNorm::two ? sum + w * w : norm == BallNorm::infinity ? sum + w : fmaxf(sum, w);
      }
      total += norm == BallNorm::two ? sqrtf(sum) : sum;
    }
    out[i] = total;
  }
};

template <class Lines>
struct FindLines {
  const float *lower, *upper;
  float *lower_slope, *lower_intercept, *upper_slope, *upper_intercept;
  RM_DEVICE void operator()(long long i) const {
    const Line<float> below = Lines::lower(lower[i], upper[i]), above = Lines::upper(lower[i], upper[i]);
    lower_slope[i] = below.slope;
    lower_intercept[i] = below.intercept;
    upper_slope[i] = above.slope;
    upper_intercept[i] = above.intercept;
  }
};

struct ScaleSides {
  int inputs, channels, group;
  const float *slope, *same, *opposite, *intercept;
  bool accumulate;
  float* out;
  RM_DEVICE void operator()(long long i) const {
    const long long row = i / channels / inputs, at = row * (channels / group) + i % channels / group;
    float value = fmaxf(slope[at], 0.0f) * same[i] + fminf(slope[at], 0.0f) * opposite[i];
    if (intercept != nullptr) value += intercept[at];
    out[i] = accumulate ? out[i] + value : value;
  }
};

struct AddCoarseSides {
  int inputs, channels, group;
  const float *slope, *same, *opposite;
  float* out;
  RM_DEVICE void operator()(long long i) const {
    const long long line = i / channels, row = line / inputs, c = i % channels;
    const float k = slope[row * channels + c];
    const long long at = line * (channels / group) + c / group;
    out[i] += fmaxf(k, 0.0f) * same[at] + fminf(k, 0.0f) * opposite[at];
  }
};

struct PlaneConstants {
  int channels, group;
  const float *x, *y;
  float* out;
  RM_DEVICE void operator()(long long i) const {
    out[i] = -x[i] * y[i / channels * (channels / group) + i % channels / group];
  }
};

struct SumGroups {
  int group;
  float factor;
  const float* x;
  float* out;
  RM_DEVICE void operator()(long long i) const {
    float sum = 0;
    for (int j = 0; j < group; ++j) sum += x[i * group + j];
    out[i] = factor * sum;
  }
};

struct CentreAndScale {
  long long channels;
  const float *scale, *shift, *lower, *upper, *lower_mean, *upper_mean;
  float *lower_out, *upper_out;
  RM_DEVICE void operator()(long long i) const {
    const long long line = i / channels, c = i % channels;
    const float share = 1.0f / static_cast<float>(channels), l = lower[i], u = upper[i];
    const float below = l * (1.0f - share) + u * share - upper_mean[line],
                above = u * (1.0f - share) + l * share - lower_mean[line];
    const float positive = fmaxf(scale[c], 0.0f), negative = fminf(scale[c], 0.0f),
                add = shift != nullptr ? shift[c] : 0.0f;
    lower_out[i] = positive * below + negative * above + add;
    upper_out[i] = positive * above + negative * below + add;
  }
};

void require(bool holds, const char* what) {
  if (!holds) throw std::invalid_argument(std::string(what) + ": spans whose sizes don't fit each other");
}

template <class Span>
auto data_or_null(const Span& span) {
  return span.empty() ? nullptr : span.data();
}

}  // namespace

template <class Target>
void split_signs(Stream<Target>& stream, DeviceSpan<Target, const float> x,
                 DeviceSpan<Target, float> positive, DeviceSpan<Target, float> negative) {
  require(x.size() == positive.size() && x.size() == negative.size(), "split_signs");
  for_each("split_signs", stream, x.size(), SplitSigns{x.data(), positive.data(), negative.data()});
}

template <class Target>
void add_scaled(Stream<Target>& stream, DeviceSpan<Target, const float> a, float factor,
                DeviceSpan<Target, const float> b, DeviceSpan<Target, float> out) {
  require(a.size() == b.size() && a.size() == out.size(), "add_scaled");
  for_each("add_scaled", stream, a.size(), AddScaled{a.data(), factor, b.data(), out.data()});
}

template <class Target>
void add_offset(Stream<Target>& stream, DeviceSpan<Target, const float> offset, DeviceSpan<Target, float> x) {
  require(!offset.empty() && x.size() % offset.size() == 0, "add_offset");
  for_each("add_offset", stream, x.size(),
           AddOffset{offset.data(), static_cast<long long>(offset.size()), x.data()});
}

template <class Target>
void input_norms(Stream<Target>& stream, const BoundShape& shape, const Ball& ball,
                 DeviceSpan<Target, const float> weights, DeviceSpan<Target, float> norms) {
  require(weights.size() == shape.weights() && norms.size() == shape.biases() && ball.words >= 1 &&
              shape.inputs % ball.words == 0,
          "input_norms");
  for_each("input_norms", stream, norms.size(),
           InputNorms{weights.data(), shape.inputs, shape.channels, ball.words, ball.norm, norms.data()});
}

template <class Target>
void relaxation_lines(Stream<Target>& stream, Relaxation relaxation, DeviceSpan<Target, const float> lower,
                      DeviceSpan<Target, const float> upper, const LineSpans<Target>& lines) {
  for (const std::size_t size : {upper.size(), lines.lower_slope.size(), lines.lower_intercept.size(),
                                 lines.upper_slope.size(), lines.upper_intercept.size()}) {
    require(size == lower.size(), "relaxation_lines");
  }
  with_lines(relaxation, [&]<class Lines>() {
    for_each(
        "relaxation_lines", stream, lower.size(),
        FindLines<Lines>{lower.data(), upper.data(), lines.lower_slope.data(), lines.lower_intercept.data(),
                         lines.upper_slope.data(), lines.upper_intercept.data()});
  });
}

template <class Target>
void scale_sides(Stream<Target>& stream, int inputs, int channels, int group,
                 DeviceSpan<Target, const float> slope, DeviceSpan<Target, const float> same,
                 DeviceSpan<Target, const float> opposite, DeviceSpan<Target, const float> intercept,
                 bool accumulate, DeviceSpan<Target, float> out) {
  require(
      same.size() == out.size() && opposite.size() == out.size() &&
          slope.size() * static_cast<std::size_t>(inputs) * static_cast<std::size_t>(group) == out.size() &&
          channels % group == 0 && (intercept.empty() || intercept.size() == slope.size()),
      "scale_sides");
  for_each("scale_sides", stream, out.size(),
           ScaleSides{inputs, channels, group, slope.data(), same.data(), opposite.data(),
                      data_or_null(intercept), accumulate, out.data()});
}

template <class Target>
void add_coarse_sides(Stream<Target>& stream, int inputs, int channels, int group,
                      DeviceSpan<Target, const float> slope, DeviceSpan<Target, const float> same,
                      DeviceSpan<Target, const float> opposite, DeviceSpan<Target, float> out) {
  require(same.size() == opposite.size() && same.size() * static_cast<std::size_t>(group) == out.size() &&
              slope.size() * static_cast<std::size_t>(inputs) == out.size() && channels % group == 0,
          "add_coarse_sides");
  for_each("add_coarse_sides", stream, out.size(),
           AddCoarseSides{inputs, channels, group, slope.data(), same.data(), opposite.data(), out.data()});
}

template <class Target>
void plane_constants(Stream<Target>& stream, int channels, int group, DeviceSpan<Target, const float> x,
                     DeviceSpan<Target, const float> y, DeviceSpan<Target, float> out) {
  require(x.size() == out.size() && y.size() * static_cast<std::size_t>(group) == x.size() &&
              channels % group == 0,
          "plane_constants");
  for_each("plane_constants", stream, out.size(),
           PlaneConstants{channels, group, x.data(), y.data(), out.data()});
}

template <class Target>
void sum_groups(Stream<Target>& stream, int group, float factor, DeviceSpan<Target, const float> x,
                DeviceSpan<Target, float> out) {
  require(out.size() * static_cast<std::size_t>(group) == x.size(), "sum_groups");
  for_each("sum_groups", stream, out.size(), SumGroups{group, factor, x.data(), out.data()});
}

template <class Target>
void centre_and_scale(Stream<Target>& stream, DeviceSpan<Target, const float> scale,
                      DeviceSpan<Target, const float> shift, DeviceSpan<Target, const float> lower,
                      DeviceSpan<Target, const float> upper, DeviceSpan<Target, const float> lower_mean,
                      DeviceSpan<Target, const float> upper_mean, DeviceSpan<Target, float> lower_out,
                      DeviceSpan<Target, float> upper_out) {
  require(lower.size() == upper.size() && lower.size() == lower_out.size() &&
              lower.size() == upper_out.size() && lower_mean.size() == upper_mean.size() &&
              lower_mean.size() * scale.size() == lower.size() &&
              (shift.empty() || shift.size() == scale.size()),
          "centre_and_scale");
  for_each(
      "centre_and_scale", stream, lower.size(),
      CentreAndScale{static_cast<long long>(scale.size()), scale.data(), data_or_null(shift), lower.data(),
                     upper.data(), lower_mean.data(), upper_mean.data(), lower_out.data(), upper_out.data()});
}

using T = CompiledTarget;
using In = DeviceSpan<T, const float>;
using Out = DeviceSpan<T, float>;
template void split_signs(Stream<T>&, In, Out, Out);
template void add_scaled(Stream<T>&, In, float, In, Out);
template void add_offset(Stream<T>&, In, Out);
template void input_norms(Stream<T>&, const BoundShape&, const Ball&, In, Out);
template void relaxation_lines(Stream<T>&, Relaxation, In, In, const LineSpans<T>&);
template void scale_sides(Stream<T>&, int, int, int, In, In, In, In, bool, Out);
template void add_coarse_sides(Stream<T>&, int, int, int, In, In, In, Out);
template void plane_constants(Stream<T>&, int, int, In, In, Out);
template void sum_groups(Stream<T>&, int, float, In, Out);
template void centre_and_scale(Stream<T>&, In, In, In, In, In, In, Out, Out);

}  // namespace remeasure::kernels
