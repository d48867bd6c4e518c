// SPDX-License-Identifier: Apache-2.0
#include "kernels/sequences/rnn_reference.h"

#include <Eigen/Core>

#include <cmath>

#include "kernels/parallel_tasks.h"

namespace remeasure::kernels {
namespace {

template <class Scalar>
struct HostMath {
  static Scalar exp(Scalar x) { return std::exp(x); }
  static Scalar log(Scalar x) { return std::log(x); }
  static Scalar tanh(Scalar x) { return std::tanh(x); }
  static Scalar divide(Scalar a, Scalar b) { return a / b; }
};

template <class Scalar>
using Rows = Eigen::Matrix<Scalar, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

struct Places {
  explicit Places(const RnnShape& s) : shape(s), sizes(s.sizes()) {}
  std::size_t wx(int b, int t, int gate, int n) const {
    return at(((b * z(shape.steps) + t) * z(sizes.inputs) + gate) * z(shape.heads) + n);
  }
  std::size_t state(int s, int t, int b, int n) const {
    return at(((s * z(shape.steps + 1) + t) * z(shape.batch) + b) * z(shape.heads) + n);
  }
  std::size_t first(int s, int b, int n) const { return at((s * z(shape.batch) + b) * z(shape.heads) + n); }
  std::size_t bias(int gate, int n) const { return at(gate * z(shape.heads) + n); }
  std::size_t dh(int t, int b, int n) const { return at((t * z(shape.batch) + b) * z(shape.heads) + n); }
  std::size_t weights(int n) const { return at(n * z(sizes.recurrent) * z(shape.dim)); }

  RnnShape shape;
  CellSizes sizes;

 private:
  static long long z(int value) { return value; }
  std::size_t at(long long rows) const {
    return static_cast<std::size_t>(rows) * static_cast<std::size_t>(shape.dim);
  }
};

/// One head of the given batch entries through all steps.
template <Cell kCell, class Scalar, class Input>
void run_head(const Places& at, int n, std::span<const int> entries, const Input* wx,
              const Rows<Scalar>& weights, const Input* bias, const Input* first, Scalar* states) {
  constexpr CellSizes sizes = sizes_of(kCell);
  const int dim = at.shape.dim, count = static_cast<int>(entries.size());
  Rows<Scalar> h(count, dim), products(count, sizes.recurrent * dim);
  std::vector<Scalar> now(static_cast<std::size_t>(count * dim * sizes.states));
  for (int e = 0; e < count; ++e) {
    for (int s = 0; s < sizes.states; ++s) {
      for (int d = 0; d < dim; ++d) {
        const auto value = static_cast<Scalar>(
            first[at.first(s, entries[static_cast<std::size_t>(e)], n) + static_cast<std::size_t>(d)]);
        now[static_cast<std::size_t>((e * dim + d) * sizes.states + s)] = value;
        states[at.state(s, 0, entries[static_cast<std::size_t>(e)], n) + static_cast<std::size_t>(d)] = value;
        if (s == 0) h(e, d) = value;
      }
    }
  }
  for (int t = 0; t < at.shape.steps; ++t) {
    products.noalias() = h * weights.transpose();
    for (int e = 0; e < count; ++e) {
      const int b = entries[static_cast<std::size_t>(e)];
      for (int d = 0; d < dim; ++d) {
        const auto place = static_cast<std::size_t>(d);
        Scalar x[kMostGates], r[kMostGates], c[kMostGates];
        for (int gate = 0; gate < sizes.inputs; ++gate)
          x[gate] = static_cast<Scalar>(wx[at.wx(b, t, gate, n) + place]);
        for (int gate = 0; gate < sizes.recurrent; ++gate) r[gate] = products(e, gate * dim + d);
        for (int gate = 0; gate < sizes.biases; ++gate)
          c[gate] = static_cast<Scalar>(bias[at.bias(gate, n) + place]);
        Scalar* const s = &now[static_cast<std::size_t>((e * dim + d) * sizes.states)];
        CellStep<kCell>::template forward<HostMath<Scalar>>(x, r, c, s);
        h(e, d) = s[0];
        for (int i = 0; i < sizes.states; ++i) states[at.state(i, t + 1, b, n) + place] = s[i];
      }
    }
  }
}

template <class Scalar, class Input>
Rows<Scalar> weights_of(const Places& at, const Input* weights, int n) {
  return Eigen::Map<const Rows<Input>>(weights + at.weights(n), at.sizes.recurrent * at.shape.dim,
                                       at.shape.dim)
      .template cast<Scalar>();
}

}  // namespace

template <class Scalar>
void rnn_reference(const RnnShape& shape, std::span<const float> wx, std::span<const float> weights,
                   std::span<const float> bias, std::span<const float> first, std::span<Scalar> states,
                   int threads, std::span<const int> only) {
  check_rnn_shape(shape);
  check_rnn_array("wx", wx.size(), shape.wx_size());
  check_rnn_array("weights", weights.size(), shape.weights_size());
  check_rnn_array("bias", bias.size(), shape.bias_size());
  check_rnn_array("first", first.size(), shape.first_size());
  check_rnn_array("states", states.size(), shape.states_size());
  const Places at(shape);
  std::vector<int> entries(only.begin(), only.end());
  for (int b = 0; only.empty() && b < shape.batch; ++b) entries.push_back(b);
  with_cell(shape.cell, [&]<Cell kCell>() {
    for_each_row_block(
        shape.heads, static_cast<int>(entries.size()), threads, [&](int n, int begin, int count) {
          run_head<kCell, Scalar, float>(
              at, n,
              std::span<const int>(entries).subspan(static_cast<std::size_t>(begin),
                                                    static_cast<std::size_t>(count)),
              wx.data(), weights_of<Scalar>(at, weights.data(), n), bias.data(), first.data(), states.data());
        });
  });
}

template <class Scalar>
void rnn_forward_reference(const RnnShape& shape, std::span<const Scalar> wx, std::span<const Scalar> weights,
                           std::span<const Scalar> bias, std::span<const Scalar> first,
                           std::span<Scalar> states) {
  const Places at(shape);
  std::vector<int> entries;
  for (int b = 0; b < shape.batch; ++b) entries.push_back(b);
  with_cell(shape.cell, [&]<Cell kCell>() {
    for (int n = 0; n < shape.heads; ++n) {
      run_head<kCell, Scalar, Scalar>(at, n, entries, wx.data(), weights_of<Scalar>(at, weights.data(), n),
                                      bias.data(), first.data(), states.data());
    }
  });
}

namespace {

template <Cell kCell, class Scalar>
void backward_head(const Places& at, int n, std::span<const Scalar> wx, const Rows<Scalar>& weights,
                   std::span<const Scalar> bias, std::span<const Scalar> states, std::span<const Scalar> dh,
                   RnnGradients<Scalar>& gradients) {
  constexpr CellSizes sizes = sizes_of(kCell);
  const int dim = at.shape.dim, batch = at.shape.batch;
  Rows<Scalar> h(batch, dim), products, dproducts(batch, sizes.recurrent * dim),
      dprevious = Rows<Scalar>::Zero(batch, dim);
  Rows<Scalar> dweights = Rows<Scalar>::Zero(sizes.recurrent * dim, dim);
  std::vector<Scalar> ds(static_cast<std::size_t>(batch * dim * sizes.states), Scalar(0));
  for (int t = at.shape.steps - 1; t >= 0; --t) {
    for (int b = 0; b < batch; ++b)
      h.row(b) = Eigen::Map<const Rows<Scalar>>(&states[at.state(0, t, b, n)], 1, dim);
    products = h * weights.transpose();
    for (int b = 0; b < batch; ++b) {
      for (int d = 0; d < dim; ++d) {
        const auto place = static_cast<std::size_t>(d);
        Scalar x[kMostGates], r[kMostGates], c[kMostGates], before[kMostStates], after[kMostStates],
            dx[kMostGates], dr[kMostGates];
        for (int gate = 0; gate < sizes.inputs; ++gate) x[gate] = wx[at.wx(b, t, gate, n) + place];
        for (int gate = 0; gate < sizes.recurrent; ++gate) r[gate] = products(b, gate * dim + d);
        for (int gate = 0; gate < sizes.biases; ++gate) c[gate] = bias[at.bias(gate, n) + place];
        for (int i = 0; i < sizes.states; ++i) {
          before[i] = states[at.state(i, t, b, n) + place];
          after[i] = states[at.state(i, t + 1, b, n) + place];
        }
        Scalar* const carried = &ds[static_cast<std::size_t>((b * dim + d) * sizes.states)];
        carried[0] += dh[at.dh(t, b, n) + place] + dprevious(b, d);
        CellStep<kCell>::template backward<HostMath<Scalar>>(x, r, c, before, after, carried, dx, dr);
        for (int gate = 0; gate < sizes.inputs; ++gate) gradients.wx[at.wx(b, t, gate, n) + place] = dx[gate];
        for (int gate = 0; gate < sizes.recurrent; ++gate) {
          dproducts(b, gate * dim + d) = dr[gate];
          gradients.bias[at.bias(gate, n) + place] += dr[gate];
        }
        if (kCell == Cell::gru) gradients.bias[at.bias(3, n) + place] += dx[2];
      }
    }
    dweights += dproducts.transpose() * h;
    dprevious = dproducts * weights;
  }
  for (int b = 0; b < batch; ++b) {
    for (int d = 0; d < dim; ++d) {
      for (int i = 0; i < sizes.states; ++i) {
        gradients.first[at.first(i, b, n) + static_cast<std::size_t>(d)] =
            ds[static_cast<std::size_t>((b * dim + d) * sizes.states + i)] +
            (i == 0 ? dprevious(b, d) : Scalar(0));
      }
    }
  }
  Eigen::Map<Rows<Scalar>>(gradients.weights.data() + at.weights(n), dweights.rows(), dim) = dweights;
}

}  // namespace

template <class Scalar>
RnnGradients<Scalar> rnn_backward_reference(const RnnShape& shape, std::span<const Scalar> wx,
                                            std::span<const Scalar> weights, std::span<const Scalar> bias,
                                            std::span<const Scalar> states, std::span<const Scalar> dh) {
  const Places at(shape);
  RnnGradients<Scalar> gradients{
      std::vector<Scalar>(shape.wx_size()), std::vector<Scalar>(shape.weights_size()),
      std::vector<Scalar>(shape.bias_size(), Scalar(0)), std::vector<Scalar>(shape.first_size())};
  with_cell(shape.cell, [&]<Cell kCell>() {
    for (int n = 0; n < shape.heads; ++n) {
      backward_head<kCell, Scalar>(at, n, wx, weights_of<Scalar>(at, weights.data(), n), bias, states, dh,
                                   gradients);
    }
  });
  return gradients;
}

template void rnn_reference(const RnnShape&, std::span<const float>, std::span<const float>,
                            std::span<const float>, std::span<const float>, std::span<float>, int,
                            std::span<const int>);
template void rnn_reference(const RnnShape&, std::span<const float>, std::span<const float>,
                            std::span<const float>, std::span<const float>, std::span<double>, int,
                            std::span<const int>);
template void rnn_forward_reference(const RnnShape&, std::span<const double>, std::span<const double>,
                                    std::span<const double>, std::span<const double>, std::span<double>);
template RnnGradients<double> rnn_backward_reference(const RnnShape&, std::span<const double>,
                                                     std::span<const double>, std::span<const double>,
                                                     std::span<const double>, std::span<const double>);

}  // namespace remeasure::kernels
