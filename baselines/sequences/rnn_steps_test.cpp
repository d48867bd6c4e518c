// SPDX-License-Identifier: Apache-2.0
#include "baselines/sequences/rnn_steps.h"

#include <testing/catch.h>

#include "kernels/sequences/testing/rnn_problem.h"

using namespace remeasure;
using namespace remeasure::kernels;
using kernels::testing::RnnProblem;

TEST_CASE("Eigen's steps are the double oracle for all cells, whatever the threads", "[cpu]") {
  for (const Cell cell : {Cell::elman, Cell::lstm, Cell::gru, Cell::slstm}) {
    const RnnProblem p({cell, 3, 40, 5, 7});
    const std::vector<double> exact = p.states();
    for (const int threads : {1, 3, 8}) {  // 8: more than heads
      std::vector<float> states(p.shape.states_size());
      baselines::rnn_steps_eigen(p.shape, p.wx, p.weights, p.bias, p.first, states, threads);
      INFO(name_of(cell));
      CHECK(kernels::testing::distance(states, exact, exact.size()) < 1e-5);
    }
  }
  const RnnProblem p({Cell::lstm, 1, 2, 1, 4});
  std::vector<float> too_few(3);
  CHECK_THROWS_AS(baselines::rnn_steps_eigen(p.shape, p.wx, p.weights, p.bias, p.first, too_few),
                  std::invalid_argument);
}

TEST_CASE("cuBLAS's products make the alternating layer and its gradients", "[gpu]") {
  if (Device<Cuda>::count() == 0) SKIP_TEST(Device<Cuda>::why_not());
  if constexpr (kBuiltWithCuda) {
    remeasure::testing::TestBench<Cuda> bench;
    const RnnProblem p({Cell::lstm, 5, 8, 3, 32});
    const RnnShape& s = p.shape;
    const std::vector<double> exact = p.states();
    const auto wx = bench.upload(p.wx), weights = bench.upload(p.weights), bias = bench.upload(p.bias),
               first = bench.upload(p.first);
    auto states = bench.output<float>(s.states_size()), running = bench.output<float>(s.first_size()),
         products = bench.output<float>(s.products_size());
    auto previous = bench.output<float>(s.slot()), dwx = bench.output<float>(s.wx_size()),
         dweights = bench.output<float>(s.weights_size());
    auto dbias = bench.output<float>(s.bias_size()), dfirst = bench.output<float>(s.first_size());
    const auto dh = bench.upload(std::vector<float>(s.slot() * 8, 1.0f));
    baselines::CublasRnnProducts<float> by(bench.stream(), s, weights.span(), products.size() / 3);
    rnn_alternating<Cuda, float>(bench.stream(), s, by, wx, bias, first, {running.span(), products.span()},
                                 states);
    CHECK(kernels::testing::distance(bench.download(states), exact, exact.size()) <
          2e-3);  // TF32 may be chosen
    rnn_alternating_backward<Cuda, float>(bench.stream(), s, by, wx, bias, std::as_const(states), dh,
                                          products, previous,
                                          {dwx.span(), dweights.span(), dbias.span(), dfirst.span()});
    const auto wide = [](const std::vector<float>& v) { return std::vector<double>(v.begin(), v.end()); };
    const auto gradients = rnn_backward_reference<double>(s, wide(p.wx), wide(p.weights), wide(p.bias), exact,
                                                          std::vector<double>(s.slot() * 8, 1.0));
    CHECK(kernels::testing::distance(bench.download(dwx), gradients.wx, gradients.wx.size()) < 1e-2);
    CHECK(kernels::testing::distance(bench.download(dweights), gradients.weights, gradients.weights.size()) <
          1e-2);
  }
}
