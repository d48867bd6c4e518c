// SPDX-License-Identifier: Apache-2.0
//
// All loops are written for channels last, where the innermost one runs over neighbouring channels and
// becomes vector instructions; channels first is converted there and back.
#include "kernels/convolution/convolution_reference.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "kernels/parallel_tasks.h"

namespace remeasure::kernels {
namespace {

std::size_t size(int n) {
  return static_cast<std::size_t>(n);
}

/// Inner of gelu_tanh: sqrt(2/pi) (x + 0.044715 x^3).
template <class Scalar>
Scalar gelu_inner(Scalar x) {
  const Scalar factor = std::sqrt(Scalar(2) / std::numbers::pi_v<Scalar>);
  return factor * (x + Scalar(0.044715) * x * x * x);
}

/// Values in nhwc: the caller's own, or a copy in that order.
template <class Scalar>
struct ChannelsLast {
  ChannelsLast(const Tensor4& of, std::span<const Scalar> values)
      : copy(of.layout == Layout::nhwc ? std::vector<Scalar>() : to_layout(of, Layout::nhwc, values)),
        data(of.layout == Layout::nhwc ? values.data() : copy.data()) {}
  std::vector<Scalar> copy;
  const Scalar* data;
};

/// Runs body(nhwc destination) and brings the result into the layout of `of`.
template <class Scalar, class Body>
void into_layout(const Tensor4& of, std::span<Scalar> result, Body body) {
  if (of.layout == Layout::nhwc) return body(result.data());
  Tensor4 last = of;
  last.layout = Layout::nhwc;
  std::vector<Scalar> copy(last.size());
  body(copy.data());
  const std::vector<Scalar> turned = to_layout<Scalar>(last, of.layout, copy);
  std::copy(turned.begin(), turned.end(), result.begin());
}

/// Weights [K, taps, C/groups] as [taps, C/groups, K]: neighbouring output channels side by side. Of a
/// depthwise convolution that is [taps, K].
template <class Scalar>
std::vector<Scalar> outputs_last(const ConvolutionShape& s, const Scalar* weights) {
  const std::size_t inner = size(s.inner()), outputs = size(s.out_channels);
  std::vector<Scalar> turned(inner * outputs);
  for (std::size_t k = 0; k < outputs; ++k)
    for (std::size_t i = 0; i < inner; ++i) turned[i * outputs + k] = weights[k * inner + i];
  return turned;
}

/// sums[k] += the products of one input pixel with one tap's weights (outputs last).
template <class Scalar>
void add_tap(const ConvolutionShape& s, const Scalar* pixel, const Scalar* weights, Scalar* sums) {
  const int in = s.group_in(), out = s.group_out();
  if (in == 1 && out == 1) {
    for (int c = 0; c < s.groups; ++c) sums[c] += pixel[c] * weights[c];
    return;
  }
  for (int c = 0; c < in; ++c) {
    const Scalar* row = weights + size(c) * size(s.out_channels);
    for (int group = 0; group < s.groups; ++group) {
      const Scalar value = pixel[group * in + c];
      for (int k = group * out; k < (group + 1) * out; ++k) sums[k] += value * row[k];
    }
  }
}

/// A bilinear map of the three arrays, so each pass is the same walk: over the taps on the picture of the
/// outputs of one row.
template <class Visit>
void for_taps_of_row(const ConvolutionShape& s, int image, int y, Visit visit) {
  for (int x = 0; x < s.out_width(); ++x) {
    const std::size_t out = (size(image) * size(s.out_height()) + size(y)) * size(s.out_width()) + size(x);
    for (int r = 0; r < s.kernel; ++r) {
      const int from_y = y * s.stride - s.pad + r;
      if (from_y < 0 || from_y >= s.height) continue;
      for (int c = 0; c < s.kernel; ++c) {
        const int from_x = x * s.stride - s.pad + c;
        if (from_x < 0 || from_x >= s.width) continue;
        const std::size_t in = (size(image) * size(s.height) + size(from_y)) * size(s.width) + size(from_x);
        visit(out, in, r * s.kernel + c);
      }
    }
  }
}

}  // namespace

const char* to_string(Activation activation) {
  switch (activation) {
    case Activation::none:
      return "none";
    case Activation::relu:
      return "relu";
    case Activation::gelu_tanh:
      return "gelu (tanh)";
  }
  throw std::invalid_argument("an Activation that doesn't exist");
}

template <class Scalar>
Scalar activated(Activation activation, Scalar value) {
  switch (activation) {
    case Activation::none:
      return value;
    case Activation::relu:
      return std::max(value, Scalar(0));
    case Activation::gelu_tanh:
      return Scalar(0.5) * value * (1 + std::tanh(gelu_inner(value)));
  }
  throw std::invalid_argument("an Activation that doesn't exist");
}

template <class Scalar>
Scalar activation_slope(Activation activation, Scalar value) {
  switch (activation) {
    case Activation::none:
      return 1;
    case Activation::relu:
      return value > 0 ? Scalar(1) : Scalar(0);
    case Activation::gelu_tanh: {
      const Scalar t = std::tanh(gelu_inner(value));
      const Scalar inner_slope =
          std::sqrt(Scalar(2) / std::numbers::pi_v<Scalar>) * (1 + 3 * Scalar(0.044715) * value * value);
      return Scalar(0.5) * (1 + t) + Scalar(0.5) * value * (1 - t * t) * inner_slope;
    }
  }
  throw std::invalid_argument("an Activation that doesn't exist");
}

template <class Scalar>
void convolution_forward_reference(const ConvolutionShape& shape, Layout layout,
                                   std::span<const Scalar> input, std::span<const Scalar> weights,
                                   std::span<Scalar> output, const ReferenceEpilogue<Scalar>& epilogue,
                                   int threads) {
  const char* what = "convolution_forward_reference";
  check_convolution(what, shape);
  const std::size_t outputs = size(shape.out_channels);
  check_sizes(what, {{"input", input.size(), shape.input(layout).size()},
                     {"weights", weights.size(), shape.weights(layout).size()},
                     {"output", output.size(), shape.output(layout).size()},
                     {"bias", epilogue.bias.size(), epilogue.bias.empty() ? 0 : outputs},
                     {"residual", epilogue.residual.size(), epilogue.residual.empty() ? 0 : output.size()}});
  const ChannelsLast<Scalar> x(shape.input(layout), input), w(shape.weights(layout), weights);
  const std::vector<Scalar> turned = outputs_last(shape, w.data);
  std::vector<Scalar> residual;
  if (!epilogue.residual.empty())
    residual = to_layout<Scalar>(shape.output(layout), Layout::nhwc, epilogue.residual);
  into_layout(shape.output(layout), output, [&](Scalar* y) {
    for_each_row_block(shape.batch, shape.out_height(), threads, [&](int image, int first, int rows) {
      for (int row = first; row < first + rows; ++row) {
        const std::size_t begin =
            (size(image) * size(shape.out_height()) + size(row)) * size(shape.out_width()) * outputs;
        const std::size_t end = begin + size(shape.out_width()) * outputs;
        std::fill(y + begin, y + end, Scalar(0));
        for_taps_of_row(shape, image, row, [&](std::size_t out, std::size_t in, int tap) {
          add_tap(shape, x.data + in * size(shape.in_channels),
                  turned.data() + size(tap) * size(shape.group_in()) * outputs, y + out * outputs);
        });
        for (std::size_t i = begin; i < end; ++i) {
          if (!epilogue.bias.empty()) y[i] += epilogue.bias[i % outputs];
          if (!residual.empty()) y[i] += residual[i];
          y[i] = activated(epilogue.activation, y[i]);
        }
      }
    });
  });
}

template <class Scalar>
void convolution_backward_data_reference(const ConvolutionShape& shape, Layout layout,
                                         std::span<const Scalar> output_gradient,
                                         std::span<const Scalar> weights, std::span<Scalar> input_gradient,
                                         int threads) {
  const char* what = "convolution_backward_data_reference";
  check_convolution(what, shape);
  check_sizes(what, {{"output_gradient", output_gradient.size(), shape.output(layout).size()},
                     {"weights", weights.size(), shape.weights(layout).size()},
                     {"input_gradient", input_gradient.size(), shape.input(layout).size()}});
  const ChannelsLast<Scalar> dy(shape.output(layout), output_gradient), w(shape.weights(layout), weights);
  const int in = shape.group_in(), out = shape.group_out();
  // Depthwise weights with channels side by side; the others are read where they lie, [K, taps, C/groups].
  const std::vector<Scalar> turned = outputs_last(shape, w.data);
  const auto add = [&](const Scalar* from, int tap, Scalar* to) {
    if (in == 1 && out == 1) {
      const Scalar* row = turned.data() + size(tap) * size(shape.out_channels);
      for (int c = 0; c < shape.in_channels; ++c) to[c] += from[c] * row[c];
      return;
    }
    for (int k = 0; k < shape.out_channels; ++k) {
      const Scalar* row = w.data + size(k) * size(shape.inner()) + size(tap) * size(in);
      Scalar* group = to + k / out * in;
      const Scalar value = from[k];
      for (int c = 0; c < in; ++c) group[c] += value * row[c];
    }
  };
  into_layout(shape.input(layout), input_gradient, [&](Scalar* dx) {
    for_each_row_block(shape.batch, shape.height, threads, [&](int image, int first, int rows) {
      for (int y = first; y < first + rows; ++y) {
        for (int x = 0; x < shape.width; ++x) {
          Scalar* to = dx + ((size(image) * size(shape.height) + size(y)) * size(shape.width) + size(x)) *
                                size(shape.in_channels);
          std::fill_n(to, shape.in_channels, Scalar(0));
          for (int tap = 0; tap < shape.taps(); ++tap) {
            const int up = y + shape.pad - tap / shape.kernel, left = x + shape.pad - tap % shape.kernel;
            if (up < 0 || left < 0 || up % shape.stride != 0 || left % shape.stride != 0) continue;
            const int out_y = up / shape.stride, out_x = left / shape.stride;
            if (out_y >= shape.out_height() || out_x >= shape.out_width()) continue;
            add(dy.data + ((size(image) * size(shape.out_height()) + size(out_y)) * size(shape.out_width()) +
                           size(out_x)) *
                              size(shape.out_channels),
                tap, to);
          }
        }
      }
    });
  });
}

template <class Scalar>
void convolution_backward_weights_reference(const ConvolutionShape& shape, Layout layout,
                                            std::span<const Scalar> input,
                                            std::span<const Scalar> output_gradient,
                                            std::span<Scalar> weights_gradient, int threads) {
  const char* what = "convolution_backward_weights_reference";
  check_convolution(what, shape);
  check_sizes(what, {{"input", input.size(), shape.input(layout).size()},
                     {"output_gradient", output_gradient.size(), shape.output(layout).size()},
                     {"weights_gradient", weights_gradient.size(), shape.weights(layout).size()}});
  const ChannelsLast<Scalar> x(shape.input(layout), input), dy(shape.output(layout), output_gradient);
  const int in = shape.group_in(), out = shape.group_out();
  into_layout(shape.weights(layout), weights_gradient, [&](Scalar* dw) {
    // A thread has some output channels. Each picture is summed by itself: the error of long sums of floats
    // then grows with a picture's pixels, not with the batch's.
    for_each_row_block(1, shape.out_channels, threads, [&](int, int first, int channels) {
      const std::size_t begin = size(first) * size(shape.inner()),
                        count = size(channels) * size(shape.inner());
      std::vector<Scalar> of_picture(count);
      std::fill_n(dw + begin, count, Scalar(0));
      for (int image = 0; image < shape.batch; ++image) {
        std::fill(of_picture.begin(), of_picture.end(), Scalar(0));
        for (int row = 0; row < shape.out_height(); ++row) {
          for_taps_of_row(shape, image, row, [&](std::size_t to, std::size_t from, int tap) {
            const Scalar* pixel = x.data + from * size(shape.in_channels);
            const Scalar* gradient = dy.data + to * size(shape.out_channels);
            for (int k = first; k < first + channels; ++k) {
              const Scalar value = gradient[k];
              const Scalar* group = pixel + k / out * in;
              Scalar* sums = of_picture.data() + size(k - first) * size(shape.inner()) + size(tap) * size(in);
              for (int c = 0; c < in; ++c) sums[c] += value * group[c];
            }
          });
        }
        for (std::size_t i = 0; i < count; ++i) dw[begin + i] += of_picture[i];
      }
    });
  });
}

template <class Scalar>
std::vector<Scalar> convolution_outputs_reference(const ConvolutionShape& shape, Layout layout,
                                                  std::span<const Scalar> input,
                                                  std::span<const Scalar> weights,
                                                  std::span<const std::size_t> indices) {
  const char* what = "convolution_outputs_reference";
  check_convolution(what, shape);
  const Tensor4 in = shape.input(layout), filter = shape.weights(layout), out = shape.output(layout);
  check_sizes(what, {{"input", input.size(), in.size()}, {"weights", weights.size(), filter.size()}});
  std::vector<Scalar> outputs;
  for (const std::size_t index : indices) {
    if (index >= out.size()) {
      throw std::invalid_argument(std::string(what) + ": output " + std::to_string(index) + " of " +
                                  std::to_string(out.size()));
    }
    // The inverse of Tensor4::index.
    std::size_t rest = index;
    const auto take = [&](int extent) {
      const auto at = static_cast<int>(rest % size(extent));
      rest /= size(extent);
      return at;
    };
    int k = 0;
    if (layout == Layout::nhwc) k = take(out.channels);
    const int x = take(out.width), y = take(out.height);
    if (layout == Layout::nchw) k = take(out.channels);
    const int n = take(out.batch);
    Scalar sum = 0;
    for (int c = 0; c < shape.group_in(); ++c) {
      for (int r = 0; r < shape.kernel; ++r) {
        for (int s = 0; s < shape.kernel; ++s) {
          const int from_y = y * shape.stride - shape.pad + r, from_x = x * shape.stride - shape.pad + s;
          if (from_y < 0 || from_y >= shape.height || from_x < 0 || from_x >= shape.width) continue;
          const int channel = k / shape.group_out() * shape.group_in() + c;
          sum += weights[filter.index(k, c, r, s)] * input[in.index(n, channel, from_y, from_x)];
        }
      }
    }
    outputs.push_back(sum);
  }
  return outputs;
}

template <class Scalar>
std::vector<Scalar> convolution_scale_reference(const ConvolutionShape& shape, Layout layout,
                                                std::span<const Scalar> input,
                                                std::span<const Scalar> weights, int threads) {
  const auto magnitudes = [](std::span<const Scalar> values) {
    std::vector<Scalar> result(values.size());
    std::transform(values.begin(), values.end(), result.begin(), [](Scalar v) { return std::abs(v); });
    return result;
  };
  const std::vector<Scalar> x = magnitudes(input), w = magnitudes(weights);
  check_convolution("convolution_scale_reference", shape);
  std::vector<Scalar> scale(shape.output(layout).size());
  convolution_forward_reference<Scalar>(shape, layout, x, w, scale, {}, threads);
  return scale;
}

#define RM_INSTANTIATE(Scalar)                                                                           \
  template Scalar activated(Activation, Scalar);                                                         \
  template Scalar activation_slope(Activation, Scalar);                                                  \
  template void convolution_forward_reference(const ConvolutionShape&, Layout, std::span<const Scalar>,  \
                                              std::span<const Scalar>, std::span<Scalar>,                \
                                              const ReferenceEpilogue<Scalar>&, int);                    \
  template void convolution_backward_data_reference(const ConvolutionShape&, Layout,                     \
                                                    std::span<const Scalar>, std::span<const Scalar>,    \
                                                    std::span<Scalar>, int);                             \
  template void convolution_backward_weights_reference(const ConvolutionShape&, Layout,                  \
                                                       std::span<const Scalar>, std::span<const Scalar>, \
                                                       std::span<Scalar>, int);                          \
  template std::vector<Scalar> convolution_outputs_reference(                                            \
      const ConvolutionShape&, Layout, std::span<const Scalar>, std::span<const Scalar>,                 \
      std::span<const std::size_t>);                                                                     \
  template std::vector<Scalar> convolution_scale_reference(                                              \
      const ConvolutionShape&, Layout, std::span<const Scalar>, std::span<const Scalar>, int)
RM_INSTANTIATE(float);
RM_INSTANTIATE(double);
#undef RM_INSTANTIATE

}  // namespace remeasure::kernels
