// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <optional>
#include <stdexcept>

#include "baselines/convolution/sliding_channel.h"
#include "baselines/matmul/matmul.h"

namespace remeasure::baselines {
namespace {

template <class Element>
MatmulType type_of(bool tf32) {
  return sizeof(Element) == 2 ? MatmulType::bf16 : tf32 ? MatmulType::tf32 : MatmulType::f32;
}

std::int64_t stride(int rows, int columns) {
  return static_cast<std::int64_t>(rows) * columns;
}

void add_setting(std::string& text, const char* name, const std::string& setting) {
  if (!setting.empty()) text += (text.empty() ? "" : "; ") + std::string(name) + ": " + setting;
}

}  // namespace

// Row-major arrays are the transposed column-major ones: y^T[pixels, outputs] = x^T[pixels, inputs] dense^T,
// where dense row-major is dense^T column-major.
template <class Element>
struct SlidingDenseCublas<Element>::State {
  State(Stream<Cuda>& stream, const SlidingChannelShape& s, bool tf32)
      : shape(s),
        library(stream),
        forward(library, {.type = type_of<Element>(tf32),
                          .rows = s.pixels(),
                          .columns = s.outputs,
                          .inner = s.inputs,
                          .stride_a = stride(s.inputs, s.pixels()),
                          .stride_b = 0,
                          .stride_c = stride(s.outputs, s.pixels()),
                          .batch = s.batch}),
        data(library, {.type = type_of<Element>(tf32),
                       .transpose_b = true,
                       .rows = s.pixels(),
                       .columns = s.inputs,
                       .inner = s.outputs,
                       .stride_a = stride(s.outputs, s.pixels()),
                       .stride_b = 0,
                       .stride_c = stride(s.inputs, s.pixels()),
                       .batch = s.batch}),
        // dw^T[inputs, outputs] = x[inputs, pixels] dy^T: x is x^T transposed.
        weight(library, {.type = type_of<Element>(tf32),
                         .transpose_a = true,
                         .rows = s.inputs,
                         .columns = s.outputs,
                         .inner = s.pixels(),
                         .stride_a = stride(s.inputs, s.pixels()),
                         .stride_b = stride(s.outputs, s.pixels()),
                         .stride_c = stride(s.inputs, s.outputs),
                         .batch = s.batch}),
        // [inputs * outputs, batch] times ones.
        sum(library,
            {.type = type_of<Element>(tf32), .rows = s.inputs * s.outputs, .columns = 1, .inner = s.batch}) {}

  SlidingChannelShape shape;
  MatmulLibrary library;
  Matmul forward, data, weight, sum;
};

template <class Element>
SlidingDenseCublas<Element>::SlidingDenseCublas(Stream<Cuda>& stream, const SlidingChannelShape& shape,
                                                bool tf32)
    : state_(std::make_unique<State>(stream, shape, tf32)) {}
template <class Element>
SlidingDenseCublas<Element>::~SlidingDenseCublas() = default;

template <class Element>
void SlidingDenseCublas<Element>::forward(DeviceSpan<Cuda, const Element> x,
                                          DeviceSpan<Cuda, const Element> dense,
                                          DeviceSpan<Cuda, Element> y) {
  state_->forward(x.data(), dense.data(), y.data());
}

template <class Element>
void SlidingDenseCublas<Element>::backward_data(DeviceSpan<Cuda, const Element> dy,
                                                DeviceSpan<Cuda, const Element> dense,
                                                DeviceSpan<Cuda, Element> dx) {
  state_->data(dy.data(), dense.data(), dx.data());
}

template <class Element>
void SlidingDenseCublas<Element>::backward_weight(DeviceSpan<Cuda, const Element> x,
                                                  DeviceSpan<Cuda, const Element> dy,
                                                  DeviceSpan<Cuda, const Element> ones,
                                                  DeviceSpan<Cuda, Element> images,
                                                  DeviceSpan<Cuda, Element> dense_gradient) {
  const auto dense = static_cast<std::size_t>(stride(state_->shape.outputs, state_->shape.inputs)),
             batch = static_cast<std::size_t>(state_->shape.batch);
  if (images.size() != batch * dense || ones.size() != batch || dense_gradient.size() != dense)
    throw std::invalid_argument("SlidingDenseCublas: gradients of the images, ones or a sum that don't fit");
  state_->weight(x.data(), dy.data(), images.data());
  state_->sum(images.data(), ones.data(), dense_gradient.data());
}

template <class Element>
std::string SlidingDenseCublas<Element>::setting() const {
  std::string text;
  add_setting(text, "y", state_->forward.setting());
  add_setting(text, "dx", state_->data.setting());
  add_setting(text, "dw", state_->weight.setting());
  add_setting(text, "sum", state_->sum.setting());
  return text;
}

template <class Element>
struct SlidingStackCublas<Element>::State {
  State(Stream<Cuda>& on, const SlidingChannelShape& s, bool tf32)
      : stream(on), shape(s), cycle(s.cycle()), by_image(s.batch <= cycle), library(on) {
    if (const std::string reason = why_not(s); !reason.empty())
      throw std::invalid_argument("SlidingStackCublas: " + reason);
    // Output q + i cycle is row i of window q's product: rows of y and of w lie a cycle apart. The products
    // of one image interleave in y, those of one window lie an image apart.
    MatmulProblem problem{.type = type_of<Element>(tf32),
                          .rows = s.pixels(),
                          .columns = s.outputs / cycle,
                          .inner = s.window,
                          .lda = s.pixels(),
                          .ldb = cycle * s.window,
                          .ldc = cycle * s.pixels()};
    if (by_image) {
      problem.batch = cycle;
      problem.stride_a = stride(s.window, s.pixels());
      problem.stride_b = s.window;
      problem.stride_c = s.pixels();
    } else {
      problem.batch = s.batch;
      problem.stride_a = stride(cycle * s.window, s.pixels());
      problem.stride_b = 0;
      problem.stride_c = stride(s.outputs, s.pixels());
    }
    product.emplace(library, problem);
  }

  Stream<Cuda>& stream;
  SlidingChannelShape shape;
  int cycle;
  bool by_image;
  MatmulLibrary library;
  std::optional<Matmul> product;
};

template <class Element>
SlidingStackCublas<Element>::SlidingStackCublas(Stream<Cuda>& stream, const SlidingChannelShape& shape,
                                                bool tf32)
    : state_(std::make_unique<State>(stream, shape, tf32)) {}
template <class Element>
SlidingStackCublas<Element>::~SlidingStackCublas() = default;

template <class Element>
void SlidingStackCublas<Element>::forward(DeviceSpan<Cuda, const Element> x,
                                          DeviceSpan<Cuda, const Element> w, DeviceSpan<Cuda, Element> stack,
                                          DeviceSpan<Cuda, Element> y) {
  State& state = *state_;
  const SlidingChannelShape& s = state.shape;
  kernels::check_sliding_sizes("SlidingStackCublas", s, x.size(), w.size(), y.size());
  kernels::stack_channels<Cuda, Element>(state.stream, s, x, stack);
  const int calls = state.by_image ? s.batch : state.cycle;
  for (int call = 0; call < calls; ++call) {
    const std::int64_t from = state.by_image ? call * stride(state.cycle * s.window, s.pixels())
                                             : call * stride(s.window, s.pixels());
    const std::int64_t weights = state.by_image ? 0 : stride(call, s.window);
    const std::int64_t to = state.by_image ? call * stride(s.outputs, s.pixels()) : stride(call, s.pixels());
    (*state.product)(stack.data() + from, w.data() + weights, y.data() + to);
  }
}

template <class Element>
std::string SlidingStackCublas<Element>::setting() const {
  if (state_->product->setting().empty()) return {};
  return std::to_string(state_->by_image ? state_->shape.batch : state_->cycle) + " calls, a batch of " +
         std::to_string(state_->by_image ? state_->cycle : state_->shape.batch) + " each; " +
         state_->product->setting();
}

template class SlidingDenseCublas<float>;
template class SlidingDenseCublas<bfloat16>;
template class SlidingStackCublas<float>;
template class SlidingStackCublas<bfloat16>;

}  // namespace remeasure::baselines
