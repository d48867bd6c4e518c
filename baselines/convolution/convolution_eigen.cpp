// SPDX-License-Identifier: Apache-2.0
#define EIGEN_DONT_PARALLELIZE  // the threads are for_each_row_block's
#include <fmt/format.h>

#include <Eigen/Core>
#include <algorithm>
#include <chrono>
#include <map>
#include <mutex>
#include <optional>
#include <vector>

#include "baselines/convolution/convolution.h"
#include "baselines/convolution/convolution_eigen_methods.h"
#include "baselines/matmul/choose.h"
#include "kernels/parallel_tasks.h"

namespace remeasure::baselines {

ConvolutionSizes sizes_of(const ConvolutionShape& shape, ConvolutionPass pass) {
  const std::size_t input = shape.input(Layout::nhwc).size(), weights = shape.weights(Layout::nhwc).size(),
                    output = shape.output(Layout::nhwc).size();
  switch (pass) {
    case ConvolutionPass::forward:
      return {input, weights, output};
    case ConvolutionPass::backward_data:
      return {output, weights, input};
    case ConvolutionPass::backward_weights:
      return {input, output, weights};
  }
  throw std::invalid_argument("a ConvolutionPass that doesn't exist");
}

namespace {

using eigen::Operands;

constexpr int kPixelsAtOnce = 512;  // patches in memory at a time

std::size_t size(int n) {
  return static_cast<std::size_t>(n);
}

/// Runs body(image, first output row, rows) over all output rows, a few at a time, on all threads.
template <class Body>
void for_rows(const ConvolutionShape& s, int rows_at_once, Body body) {
  kernels::for_each_row_block(1, s.batch * s.out_height(), 0, [&](int, int first, int count) {
    for (int line = first; line < first + count;) {
      const int row = line % s.out_height();
      const int rows = std::min({rows_at_once, first + count - line, s.out_height() - row});
      body(line / s.out_height(), row, rows);
      line += rows;
    }
  });
}

/// The same with a sum of `size` floats for each block of rows, added in the order of the blocks.
template <class Body>
void sum_over_rows(const ConvolutionShape& s, int rows_at_once, std::span<float> sum, Body body) {
  std::map<int, std::vector<float>> parts;
  std::mutex mutex;
  kernels::for_each_row_block(1, s.batch * s.out_height(), 0, [&](int, int first, int count) {
    std::vector<float> part(sum.size());
    for (int line = first; line < first + count;) {
      const int row = line % s.out_height();
      const int rows = std::min({rows_at_once, first + count - line, s.out_height() - row});
      body(line / s.out_height(), row, rows, part.data());
      line += rows;
    }
    const std::lock_guard lock(mutex);
    parts.emplace(first, std::move(part));
  });
  std::fill(sum.begin(), sum.end(), 0.0f);
  for (const auto& [first, part] : parts) {
    for (std::size_t i = 0; i < sum.size(); ++i) sum[i] += part[i];
  }
}

/// Patches as a matrix [pixels, inner] and the products with it. Order: RowMajor where the channels of a
/// pixel lie side by side (nhwc), ColMajor where the pixels of a channel do (nchw); then every array of the
/// convolution is such a matrix where it lies.
template <Layout layout>
struct Patches {
  static constexpr int kOrder = layout == Layout::nhwc ? Eigen::RowMajor : Eigen::ColMajor;
  using Matrix = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, kOrder>;
  using Map = Eigen::Map<Matrix, 0, Eigen::OuterStride<>>;
  using ConstMap = Eigen::Map<const Matrix, 0, Eigen::OuterStride<>>;
  using Weights = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;  // [outputs, inner]

  const ConvolutionShape& s;

  int rows_at_once() const { return std::max(1, kPixelsAtOnce / s.out_width()); }
  /// First element of a group's channels at a pixel of a picture, and what lies between two pixels or
  /// channels.
  template <class T>
  static T* at(T* array, int channels, int pixels, int image, int first_channel, int pixel) {
    T* picture = array + size(image) * size(channels) * size(pixels);
    return layout == Layout::nhwc ? picture + size(pixel) * size(channels) + size(first_channel)
                                  : picture + size(first_channel) * size(pixels) + size(pixel);
  }
  template <class MapType, class T>
  MapType outputs(T* array, int image, int group, int first_row, int rows) const {
    const int pixels = s.out_height() * s.out_width();
    return MapType(at(array, s.out_channels, pixels, image, group * s.group_out(), first_row * s.out_width()),
                   rows * s.out_width(), s.group_out(),
                   Eigen::OuterStride<>(layout == Layout::nhwc ? s.out_channels : pixels));
  }
  template <class MapType, class T>
  MapType pointwise_inputs(T* array, int image, int group, int first_row, int rows) const {
    const int pixels = s.height * s.width;
    return MapType(at(array, s.in_channels, pixels, image, group * s.group_in(), first_row * s.width),
                   rows * s.width, s.group_in(),
                   Eigen::OuterStride<>(layout == Layout::nhwc ? s.in_channels : pixels));
  }
  Eigen::Map<const Weights> weights(const float* array, int group) const {
    return {array + size(group) * size(s.group_out()) * size(s.inner()), s.group_out(), s.inner()};
  }

  /// visit(pixel of the block, inner index, offset in the picture, run, step): a run of values that lie side
  /// by side in the patches and `step` apart in the picture. offset < 0: beside the picture.
  template <class Visit>
  void for_runs(int group, int first_row, int rows, Visit visit) const {
    const int in = s.group_in();
    for (int tap = 0; tap < s.taps(); ++tap) {
      for (int row = 0; row < rows; ++row) {
        const int y = (first_row + row) * s.stride - s.pad + tap / s.kernel;
        const int first_x = tap % s.kernel - s.pad;
        if constexpr (layout == Layout::nhwc) {
          for (int column = 0; column < s.out_width(); ++column) {
            const int x = column * s.stride + first_x;
            const bool there = y >= 0 && y < s.height && x >= 0 && x < s.width;
            const int pixel = row * s.out_width() + column;
            visit(pixel, tap * in, there ? (y * s.width + x) * s.in_channels + group * in : -1, in, 1);
          }
        } else {
          const auto clamp = [&](int column) { return std::clamp(column, 0, s.out_width()); };
          const int begin = clamp(first_x >= 0 ? 0 : (-first_x + s.stride - 1) / s.stride);
          const int end = std::max(begin, clamp((s.width - first_x + s.stride - 1) / s.stride));
          const bool there = y >= 0 && y < s.height;
          for (int c = 0; c < in; ++c) {
            const int inner = c * s.taps() + tap, pixel = row * s.out_width();
            const int from = ((group * in + c) * s.height + y) * s.width + first_x;
            if (!there) {
              visit(pixel, inner, -1, s.out_width(), 1);
              continue;
            }
            if (begin > 0) visit(pixel, inner, -1, begin, 1);
            if (end > begin) visit(pixel + begin, inner, from + begin * s.stride, end - begin, s.stride);
            if (end < s.out_width()) visit(pixel + end, inner, -1, s.out_width() - end, 1);
          }
        }
      }
    }
  }
  const float* picture(const float* input, int image) const {
    return input + size(image) * size(s.in_channels) * size(s.height) * size(s.width);
  }
  float* picture(float* input, int image) const {
    return const_cast<float*>(picture(static_cast<const float*>(input), image));
  }
  void gather(const float* input, int image, int group, int first_row, int rows, Matrix& patches) const {
    patches.resize(rows * s.out_width(), s.inner());
    const float* from = picture(input, image);
    for_runs(group, first_row, rows, [&](int pixel, int inner, int offset, int run, int step) {
      float* to = &patches(pixel, inner);
      if (offset < 0) {
        std::fill_n(to, run, 0.0f);
      } else if (step == 1) {
        std::copy_n(from + offset, run, to);
      } else {
        for (int i = 0; i < run; ++i) to[i] = from[offset + i * step];
      }
    });
  }
  void scatter(const Matrix& patches, int image, int group, int first_row, int rows, float* input) const {
    float* to = picture(input, image);
    for_runs(group, first_row, rows, [&](int pixel, int inner, int offset, int run, int step) {
      if (offset < 0) return;
      const float* from = &patches(pixel, inner);
      for (int i = 0; i < run; ++i) to[offset + i * step] += from[i];
    });
  }

  void forward(const Operands& o) const {
    for_rows(s, rows_at_once(), [&](int image, int row, int rows) {
      Matrix patches;
      for (int group = 0; group < s.groups; ++group) {
        Map out = outputs<Map>(o.result, image, group, row, rows);
        if (s.pointwise()) {
          out.noalias() = pointwise_inputs<ConstMap>(o.first, image, group, row, rows) *
                          weights(o.second, group).transpose();
        } else {
          gather(o.first, image, group, row, rows, patches);
          out.noalias() = patches * weights(o.second, group).transpose();
        }
      }
    });
  }
  void backward_data(const Operands& o) const {
    if (s.pointwise()) {
      return for_rows(s, rows_at_once(), [&](int image, int row, int rows) {
        for (int group = 0; group < s.groups; ++group)
          pointwise_inputs<Map>(o.result, image, group, row, rows).noalias() =
              outputs<ConstMap>(o.first, image, group, row, rows) * weights(o.second, group);
      });
    }
    // Patches of one picture overlap: a picture and group is one thread's.
    kernels::for_each_row_block(s.batch, s.groups, 0, [&](int image, int first_group, int groups) {
      Matrix patches;
      for (int group = first_group; group < first_group + groups; ++group) {
        clear(o.result, image, group);
        for (int row = 0; row < s.out_height(); row += rows_at_once()) {
          const int rows = std::min(rows_at_once(), s.out_height() - row);
          patches.noalias() = outputs<ConstMap>(o.first, image, group, row, rows) * weights(o.second, group);
          scatter(patches, image, group, row, rows, o.result);
        }
      }
    });
  }
  void clear(float* input, int image, int group) const {
    const int pixels = s.height * s.width;
    Map(at(input, s.in_channels, pixels, image, group * s.group_in(), 0), pixels, s.group_in(),
        Eigen::OuterStride<>(layout == Layout::nhwc ? s.in_channels : pixels))
        .setZero();
  }
  void backward_weights(const Operands& o) const {
    sum_over_rows(s, rows_at_once(), {o.result, sizes_of(s, ConvolutionPass::backward_weights).result},
                  [&](int image, int row, int rows, float* sum) {
                    Matrix patches;
                    for (int group = 0; group < s.groups; ++group) {
                      Eigen::Map<Weights> to(sum + size(group) * size(s.group_out()) * size(s.inner()),
                                             s.group_out(), s.inner());
                      const ConstMap out = outputs<ConstMap>(o.second, image, group, row, rows);
                      if (s.pointwise()) {
                        to.noalias() +=
                            out.transpose() * pointwise_inputs<ConstMap>(o.first, image, group, row, rows);
                      } else {
                        gather(o.first, image, group, row, rows, patches);
                        to.noalias() += out.transpose() * patches;
                      }
                    }
                  });
  }
  void run(ConvolutionPass pass, const Operands& o) const {
    if (pass == ConvolutionPass::forward) return forward(o);
    if (pass == ConvolutionPass::backward_data) return backward_data(o);
    backward_weights(o);
  }
};

struct Method {
  const char* name;
  std::function<void(const Operands&)> run;
};

std::vector<Method> methods_of(const ConvolutionShape& shape, Layout layout, ConvolutionPass pass) {
  std::vector<Method> methods;
  if (shape.depthwise()) {
    methods.push_back(
        {"Eigen arrays, tap by tap", [=](const Operands& o) { eigen::depthwise(shape, layout, pass, o); }});
  }
  methods.push_back({"im2col and matrix product", [=](const Operands& o) {
                       if (layout == Layout::nhwc)
                         Patches<Layout::nhwc>{shape}.run(pass, o);
                       else
                         Patches<Layout::nchw>{shape}.run(pass, o);
                     }});
  if (layout == Layout::nhwc && shape.groups == 1) {
    methods.push_back({"Eigen::Tensor contraction of image patches",
                       [=](const Operands& o) { eigen::tensor(shape, pass, o); }});
  }
  return methods;
}

}  // namespace

struct ConvolutionEigen::State {
  ConvolutionShape shape;
  ConvolutionPass pass;
  std::vector<Method> methods;
  std::optional<std::size_t> chosen;
};

ConvolutionEigen::ConvolutionEigen(const ConvolutionShape& shape, Layout layout, ConvolutionPass pass) {
  kernels::check_convolution("ConvolutionEigen", shape);
  state_ = std::make_unique<State>(State{shape, pass, methods_of(shape, layout, pass), {}});
}
ConvolutionEigen::~ConvolutionEigen() = default;

void ConvolutionEigen::operator()(std::span<const float> first, std::span<const float> second,
                                  std::span<float> result) {
  State& s = *state_;
  const ConvolutionSizes sizes = sizes_of(s.shape, s.pass);
  kernels::check_sizes("ConvolutionEigen", {{"the first operand", first.size(), sizes.first},
                                            {"the second operand", second.size(), sizes.second},
                                            {"the result", result.size(), sizes.result}});
  const Operands operands{first.data(), second.data(), result.data()};
  if (!s.chosen) {
    std::vector<Candidate> candidates;
    for (const Method& method : s.methods) candidates.push_back({method.name});
    // The second of two runs: the first one touches memory and loads code.
    s.chosen = choose_fastest(candidates, [&](std::size_t i) {
                 double seconds = 0;
                 for (int run = 0; run < 2; ++run) {
                   const auto begin = std::chrono::steady_clock::now();
                   s.methods[i].run(operands);
                   seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
                 }
                 return seconds;
               }).index;
  }
  s.methods[*s.chosen].run(operands);
}

std::string ConvolutionEigen::setting() const {
  const State& s = *state_;
  if (!s.chosen) return {};
  return fmt::format("{}; fastest of {}", s.methods[*s.chosen].name, s.methods.size());
}

std::vector<std::string> ConvolutionEigen::methods() const {
  std::vector<std::string> names;
  for (const Method& method : state_->methods) names.push_back(method.name);
  return names;
}

void ConvolutionEigen::choose(std::size_t method) {
  if (method >= state_->methods.size()) {
    throw std::invalid_argument(
        fmt::format("ConvolutionEigen: method {} of {}", method, state_->methods.size()));
  }
  state_->chosen = method;
}

}  // namespace remeasure::baselines
