// SPDX-License-Identifier: Apache-2.0
#include <Eigen/Core>
#include <algorithm>
#include <thread>
#include <vector>

#include "baselines/sequences/rnn_steps.h"
#include "kernels/parallel_tasks.h"

namespace remeasure::baselines {
namespace {

using Rows = Eigen::Array<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
using Matrix = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
using Stride = Eigen::OuterStride<>;
using kernels::Cell;

Rows sigmoid(const Rows& x) {
  return 1 / (1 + (-x).exp());
}
Rows log_sigmoid(const Rows& x) {
  return x.min(0.0f) - (-x.abs()).exp().log1p();
}

/// States of one head for all entries, and one step of them.
struct Head {
  std::vector<Rows> state;
  Matrix products;

  void step(Cell cell, const std::vector<Rows>& x, const std::vector<Rows>& r, const std::vector<Rows>& b) {
    switch (cell) {
      case Cell::elman:
        state[0] = (x[0] + r[0] + b[0]).tanh();
        break;
      case Cell::lstm:
        state[1] = sigmoid(x[1] + r[1] + b[1]) * state[1] +
                   sigmoid(x[0] + r[0] + b[0]) * (x[2] + r[2] + b[2]).tanh();
        state[0] = sigmoid(x[3] + r[3] + b[3]) * state[1].tanh();
        break;
      case Cell::gru: {
        const Rows reset = sigmoid(x[0] + r[1] + b[1]), update = sigmoid(x[1] + r[2] + b[2]);
        state[0] = update * state[0] + (1 - update) * (x[2] + b[3] + reset * (r[0] + b[0])).tanh();
        break;
      }
      case Cell::slstm: {
        const Rows i = x[0] + r[0] + b[0], l = log_sigmoid(x[1] + r[1] + b[1]) + state[3];
        state[3] = (state[2] == 0.0f).select(i, i.max(l));
        const Rows gain = (i - state[3]).exp(), keep = (l - state[3]).exp();
        state[1] = keep * state[1] + gain * (x[2] + r[2] + b[2]).tanh();
        state[2] = (keep * state[2] + gain).max(1.0f);
        state[0] = sigmoid(x[3] + r[3] + b[3]) * state[1] / state[2];
        break;
      }
    }
  }
};

}  // namespace

void rnn_steps_eigen(const RnnShape& shape, std::span<const float> wx, std::span<const float> weights,
                     std::span<const float> bias, std::span<const float> first, std::span<float> states,
                     int threads) {
  kernels::check_rnn_shape(shape);
  kernels::check_rnn_array("wx", wx.size(), shape.wx_size());
  kernels::check_rnn_array("weights", weights.size(), shape.weights_size());
  kernels::check_rnn_array("bias", bias.size(), shape.bias_size());
  kernels::check_rnn_array("first", first.size(), shape.first_size());
  kernels::check_rnn_array("states", states.size(), shape.states_size());
  const kernels::CellSizes sizes = shape.sizes();
  const Eigen::Index batch = shape.batch, dim = shape.dim, hidden = static_cast<Eigen::Index>(shape.hidden());
  // Where heads are too few for the threads, the batch is split as well.
  if (threads <= 0) threads = static_cast<int>(std::max(1u, std::thread::hardware_concurrency()));
  const int groups = std::min(threads, shape.heads);
  const int each = (shape.heads + groups - 1) / groups;
  kernels::for_each_row_block(groups, shape.batch, threads, [&](int group, int first_entry, int entries) {
    const int begin = group * each, count = std::min(each, shape.heads - begin);
    if (count <= 0) return;
    // [entries, dim] of one head in a slot; in wx entries are further apart.
    const auto slot_of = [&](auto* data, Eigen::Index slot, int n) {
      using Plain =
          std::conditional_t<std::is_const_v<std::remove_pointer_t<decltype(data)>>, const Rows, Rows>;
      return Eigen::Map<Plain, 0, Stride>(data + (slot * batch + first_entry) * hidden + n * dim, entries,
                                          dim, Stride(hidden));
    };
    std::vector<Head> heads(static_cast<std::size_t>(count));
    for (int n = begin; n < begin + count; ++n) {
      for (int s = 0; s < sizes.states; ++s) {
        heads[static_cast<std::size_t>(n - begin)].state.emplace_back(slot_of(first.data(), s, n));
        slot_of(states.data(), static_cast<Eigen::Index>(s) * (shape.steps + 1), n) =
            heads[static_cast<std::size_t>(n - begin)].state.back();
      }
    }
    std::vector<Rows> x(static_cast<std::size_t>(sizes.inputs)), r(static_cast<std::size_t>(sizes.recurrent)),
        b(static_cast<std::size_t>(sizes.biases));
    for (int t = 0; t < shape.steps; ++t) {
      for (int n = begin; n < begin + count; ++n) {
        Head& head = heads[static_cast<std::size_t>(n - begin)];
        const Eigen::Map<const Matrix> of_head(weights.data() + n * sizes.recurrent * dim * dim,
                                               sizes.recurrent * dim, dim);
        head.products.noalias() = head.state[0].matrix() * of_head.transpose();
        for (int gate = 0; gate < sizes.inputs; ++gate) {
          x[static_cast<std::size_t>(gate)] = Eigen::Map<const Rows, 0, Stride>(
              wx.data() +
                  ((static_cast<Eigen::Index>(first_entry) * shape.steps + t) * sizes.inputs + gate) *
                      hidden +
                  n * dim,
              entries, dim, Stride(static_cast<Eigen::Index>(shape.steps) * sizes.inputs * hidden));
        }
        for (int gate = 0; gate < sizes.recurrent; ++gate)
          r[static_cast<std::size_t>(gate)] = head.products.middleCols(gate * dim, dim).array();
        for (int k = 0; k < sizes.biases; ++k) {
          b[static_cast<std::size_t>(k)] =
              Eigen::Map<const Rows>(bias.data() + k * hidden + n * dim, 1, dim).replicate(entries, 1);
        }
        head.step(shape.cell, x, r, b);
        for (int s = 0; s < sizes.states; ++s) {
          slot_of(states.data(), static_cast<Eigen::Index>(s) * (shape.steps + 1) + t + 1, n) =
              head.state[static_cast<std::size_t>(s)];
        }
      }
    }
  });
}

}  // namespace remeasure::baselines
