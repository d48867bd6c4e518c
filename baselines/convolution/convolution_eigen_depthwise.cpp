// SPDX-License-Identifier: Apache-2.0
#define EIGEN_DONT_PARALLELIZE  // the threads are for_each_row_block's
#include <Eigen/Core>
#include <algorithm>
#include <map>
#include <mutex>
#include <vector>

#include "baselines/convolution/convolution_eigen_methods.h"
#include "kernels/parallel_tasks.h"

namespace remeasure::baselines::eigen {
namespace {

using Array = Eigen::ArrayXf;
using Map = Eigen::Map<Array>;
using ConstMap = Eigen::Map<const Array>;
using Strided = Eigen::Map<Array, 0, Eigen::InnerStride<>>;
using ConstStrided = Eigen::Map<const Array, 0, Eigen::InnerStride<>>;

std::size_t size(int n) {
  return static_cast<std::size_t>(n);
}

/// Output columns whose source column under a tap is in the picture.
struct Columns {
  int begin, end, first_source;
  Columns(const ConvolutionShape& s, int tap_x) {
    const int first = tap_x - s.pad;
    const auto up = [&](int n) { return n <= 0 ? 0 : (n + s.stride - 1) / s.stride; };
    begin = std::min(up(-first), s.out_width());
    end = std::clamp(up(s.width - first), begin, s.out_width());
    first_source = begin * s.stride + first;
  }
  int count() const { return end - begin; }
};

/// visit(output row, source row, tap_y) where the source is in the picture.
template <class Visit>
void for_row_pairs(const ConvolutionShape& s, int first, int rows, Visit visit) {
  for (int y = first; y < first + rows; ++y) {
    for (int tap_y = 0; tap_y < s.kernel; ++tap_y) {
      const int source = y * s.stride - s.pad + tap_y;
      if (source >= 0 && source < s.height) visit(y, source, tap_y);
    }
  }
}

/// Weights [channels, taps] as [taps, channels].
std::vector<float> channels_last(const ConvolutionShape& s, const float* weights) {
  std::vector<float> turned(size(s.in_channels) * size(s.taps()));
  for (std::size_t c = 0; c < size(s.in_channels); ++c)
    for (std::size_t tap = 0; tap < size(s.taps()); ++tap)
      turned[tap * size(s.in_channels) + c] = weights[c * size(s.taps()) + tap];
  return turned;
}

void nhwc(const ConvolutionShape& s, ConvolutionPass pass, const Operands& o) {
  const int channels = s.in_channels;
  const auto input_row = [&](auto* array, int image, int row) {
    return array + (size(image) * size(s.height) + size(row)) * size(s.width) * size(channels);
  };
  const auto output_row = [&](auto* array, int image, int row) {
    return array + (size(image) * size(s.out_height()) + size(row)) * size(s.out_width()) * size(channels);
  };
  if (pass == ConvolutionPass::backward_weights) {
    // Sums of each picture, [taps, channels], then in their order.
    std::vector<Array> parts(size(s.batch));
    kernels::for_each_row_block(1, s.batch, 0, [&](int, int first, int images) {
      for (int image = first; image < first + images; ++image) {
        Array& sum = parts[size(image)] = Array::Zero(s.taps() * channels);
        for_row_pairs(s, 0, s.out_height(), [&](int y, int source, int tap_y) {
          for (int tap_x = 0; tap_x < s.kernel; ++tap_x) {
            const Columns columns(s, tap_x);
            auto of_tap = sum.segment((tap_y * s.kernel + tap_x) * channels, channels);
            for (int i = 0; i < columns.count(); ++i) {
              of_tap += ConstMap(output_row(o.second, image, y) + size(columns.begin + i) * size(channels),
                                 channels) *
                        ConstMap(input_row(o.first, image, source) +
                                     size(columns.first_source + i * s.stride) * size(channels),
                                 channels);
            }
          }
        });
      }
    });
    Array total = Array::Zero(s.taps() * channels);
    for (const Array& part : parts) total += part;
    for (int c = 0; c < channels; ++c)
      for (int tap = 0; tap < s.taps(); ++tap)
        o.result[size(c) * size(s.taps()) + size(tap)] = total[tap * channels + c];
    return;
  }
  const std::vector<float> weights = channels_last(s, o.second);
  const auto of_tap = [&](int tap_y, int tap_x) {
    return ConstMap(weights.data() + size(tap_y * s.kernel + tap_x) * size(channels), channels);
  };
  if (pass == ConvolutionPass::forward) {
    kernels::for_each_row_block(s.batch, s.out_height(), 0, [&](int image, int first, int rows) {
      Map(output_row(o.result, image, first), rows * s.out_width() * channels).setZero();
      for_row_pairs(s, first, rows, [&](int y, int source, int tap_y) {
        for (int tap_x = 0; tap_x < s.kernel; ++tap_x) {
          const Columns columns(s, tap_x);
          for (int i = 0; i < columns.count(); ++i) {
            Map(output_row(o.result, image, y) + size(columns.begin + i) * size(channels), channels) +=
                of_tap(tap_y, tap_x) *
                ConstMap(input_row(o.first, image, source) +
                             size(columns.first_source + i * s.stride) * size(channels),
                         channels);
          }
        }
      });
    });
    return;
  }
  kernels::for_each_row_block(1, s.batch, 0, [&](int, int first, int images) {
    for (int image = first; image < first + images; ++image) {
      Map(input_row(o.result, image, 0), s.height * s.width * channels).setZero();
      for_row_pairs(s, 0, s.out_height(), [&](int y, int source, int tap_y) {
        for (int tap_x = 0; tap_x < s.kernel; ++tap_x) {
          const Columns columns(s, tap_x);
          for (int i = 0; i < columns.count(); ++i) {
            Map(input_row(o.result, image, source) +
                    size(columns.first_source + i * s.stride) * size(channels),
                channels) +=
                of_tap(tap_y, tap_x) *
                ConstMap(output_row(o.first, image, y) + size(columns.begin + i) * size(channels), channels);
          }
        }
      });
    }
  });
}

void nchw(const ConvolutionShape& s, ConvolutionPass pass, const Operands& o) {
  const auto input_row = [&](auto* array, int plane, int row) {
    return array + (size(plane) * size(s.height) + size(row)) * size(s.width);
  };
  const auto output_row = [&](auto* array, int plane, int row) {
    return array + (size(plane) * size(s.out_height()) + size(row)) * size(s.out_width());
  };
  const Eigen::InnerStride<> step(s.stride);
  if (pass == ConvolutionPass::backward_weights) {
    kernels::for_each_row_block(1, s.in_channels, 0, [&](int, int first, int channels) {
      for (int c = first; c < first + channels; ++c) {
        Map sum(o.result + size(c) * size(s.taps()), s.taps());
        sum.setZero();
        for (int image = 0; image < s.batch; ++image) {
          const int plane = image * s.in_channels + c;
          for_row_pairs(s, 0, s.out_height(), [&](int y, int source, int tap_y) {
            for (int tap_x = 0; tap_x < s.kernel; ++tap_x) {
              const Columns columns(s, tap_x);
              sum[tap_y * s.kernel + tap_x] +=
                  (ConstMap(output_row(o.second, plane, y) + columns.begin, columns.count()) *
                   ConstStrided(input_row(o.first, plane, source) + columns.first_source, columns.count(),
                                step))
                      .sum();
            }
          });
        }
      }
    });
    return;
  }
  const bool forward = pass == ConvolutionPass::forward;
  kernels::for_each_row_block(1, s.batch * s.in_channels, 0, [&](int, int first, int planes) {
    for (int plane = first; plane < first + planes; ++plane) {
      const float* weights = o.second + size(plane % s.in_channels) * size(s.taps());
      if (forward)
        Map(output_row(o.result, plane, 0), s.out_height() * s.out_width()).setZero();
      else
        Map(input_row(o.result, plane, 0), s.height * s.width).setZero();
      for_row_pairs(s, 0, s.out_height(), [&](int y, int source, int tap_y) {
        for (int tap_x = 0; tap_x < s.kernel; ++tap_x) {
          const Columns columns(s, tap_x);
          const float weight = weights[tap_y * s.kernel + tap_x];
          if (forward) {
            Map(output_row(o.result, plane, y) + columns.begin, columns.count()) +=
                weight *
                ConstStrided(input_row(o.first, plane, source) + columns.first_source, columns.count(), step);
          } else {
            Strided(input_row(o.result, plane, source) + columns.first_source, columns.count(), step) +=
                weight * ConstMap(output_row(o.first, plane, y) + columns.begin, columns.count());
          }
        }
      });
    }
  });
}

}  // namespace

void depthwise(const ConvolutionShape& shape, Layout layout, ConvolutionPass pass, const Operands& operands) {
  if (layout == Layout::nhwc)
    nhwc(shape, pass, operands);
  else
    nchw(shape, pass, operands);
}

}  // namespace remeasure::baselines::eigen
