// SPDX-License-Identifier: Apache-2.0
#include "kernels/sequences/rnn_alternating.h"
#include "kernels/sequences/rnn_vanilla.h"

#include <testing/catch.h>

#include "kernels/sequences/testing/rnn_problem.h"
#include "kernels/simt/engine.h"

using namespace remeasure;
using namespace remeasure::kernels;
using namespace remeasure::kernels::testing;
using remeasure::testing::TestBench;

namespace {

constexpr Cell kCells[] = {Cell::elman, Cell::lstm, Cell::gru, Cell::slstm};

template <class Element, class Bench>
std::vector<Element> alternating(Bench& bench, const RnnProblem& p) {
  return run_layer<Element>(
      bench, p, [&]<class Span>(auto& b, Span wx, Span weights, auto bias, auto first, auto states) {
        auto running = b.template output<float>(p.shape.first_size(), "running");
        auto products = b.template output<Element>(
            p.shape.products_size() / static_cast<std::size_t>(p.shape.steps), "products");
        OwnRnnProducts by(b.stream(), p.shape, weights,
                          products.size() / static_cast<std::size_t>(p.shape.heads));
        rnn_alternating(b.stream(), p.shape, by, wx, bias, first, {running.span(), products.span()}, states);
      });
}

struct Found {
  std::vector<float> wx, weights, bias, first;
};

std::vector<float> wide_float(const auto& values) {
  std::vector<float> result;
  for (const auto value : values) result.push_back(static_cast<float>(value));
  return result;
}

/// Forward and backward.
template <class Element, class Bench>
Found gradients(Bench& bench, const RnnProblem& p, const std::vector<float>& dh_values) {
  const RnnShape& s = p.shape;
  const auto wx = bench.upload(as<Element>(p.wx)), weights = bench.upload(as<Element>(p.weights));
  const auto bias = bench.upload(p.bias), first = bench.upload(p.first);
  const auto dh = bench.upload(as<Element>(dh_values));
  auto states = bench.template output<Element>(s.states_size()),
       products = bench.template output<Element>(s.products_size()),
       previous = bench.template output<Element>(s.slot());
  auto running = bench.template output<float>(s.first_size());
  auto dwx = bench.template output<Element>(s.wx_size()),
       dweights = bench.template output<Element>(s.weights_size());
  auto dbias = bench.template output<float>(s.bias_size()),
       dfirst = bench.template output<float>(s.first_size());
  OwnRnnProducts by(bench.stream(), s, weights.span(), products.size() / static_cast<std::size_t>(s.heads));
  rnn_alternating(bench.stream(), s, by, wx.span(), bias.span(), first.span(),
                  {running.span(), products.span()}, states.span());
  rnn_alternating_backward(bench.stream(), s, by, wx.span(), bias.span(), std::as_const(states).span(),
                           dh.span(), products.span(), previous.span(),
                           {dwx.span(), dweights.span(), dbias.span(), dfirst.span()});
  return {wide_float(bench.download(dwx)), wide_float(bench.download(dweights)), bench.download(dbias),
          bench.download(dfirst)};
}

std::vector<double> wide(const std::vector<float>& values) {
  return {values.begin(), values.end()};
}

/// dh = sin(1), sin(2), ...
template <class Element, class Bench>
void check_gradients(Bench& bench, const RnnShape& shape, double limit) {
  const RnnProblem p(shape, 5);
  std::vector<float> dh(shape.slot() * static_cast<std::size_t>(shape.steps));
  for (std::size_t i = 0; i < dh.size(); ++i)
    dh[i] = static_cast<float>(Element(static_cast<float>(std::sin(static_cast<double>(i + 1)))));
  const Found found = gradients<Element>(bench, p, dh);
  const std::vector<double> wx = wide(p.wx), weights = wide(p.weights), bias = wide(p.bias),
                            first = wide(p.first);
  std::vector<double> states(shape.states_size());
  rnn_forward_reference<double>(shape, wx, weights, bias, first, states);
  const auto exact = rnn_backward_reference<double>(shape, wx, weights, bias, states, wide(dh));
  INFO(name_of(shape.cell));
  CHECK(distance(found.wx, exact.wx, exact.wx.size()) < limit);
  CHECK(distance(found.weights, exact.weights, exact.weights.size()) < limit);
  CHECK(distance(found.bias, exact.bias, exact.bias.size()) < limit);
  CHECK(distance(found.first, exact.first, exact.first.size()) < limit);
}

}  // namespace

TEST_CASE("the alternating layer is the double oracle for all cells: 1e-5 in f32, 2e-2 in bf16", "[simt]") {
  for (const Cell cell : kCells) {
    const RnnProblem p({cell, 3, 64, 2, 16});
    const std::vector<double> exact = p.states();
    TestBench<Simt> bench;
    INFO(name_of(cell));
    CHECK(distance(alternating<float>(bench, p), exact, exact.size()) < 1e-5);
    CHECK(distance(alternating<bfloat16>(bench, p), exact, exact.size()) < 2e-2);
  }
  const RnnProblem odd({Cell::lstm, 11, 2, 3, 80});
  const std::vector<double> exact = odd.states();
  TestBench<Simt> bench;
  CHECK(distance(alternating<float>(bench, odd), exact, exact.size()) < 1e-5);
}

TEST_CASE("alternating gradients of wx, R, bias and first states are those of the double reference",
          "[simt]") {
  for (const Cell cell : kCells) {
    TestBench<Simt> bench;
    check_gradients<float>(bench, {cell, 3, 5, 2, 16}, 2e-5);
    check_gradients<float>(bench, {cell, 1, 2, 1, 48}, 2e-5);
    check_gradients<bfloat16>(bench, {cell, 3, 5, 2, 16}, 2e-2);
    check_gradients<bfloat16>(bench, {cell, 1, 2, 1, 48}, 2e-2);
  }
}

TEST_CASE("the alternating layer reads R at every step", "[simt]") {
  if (!simt::Engine::checked()) SKIP_TEST("the engine's fast build counts no bytes");
  for (const int steps : {3, 9}) {
    const RnnProblem p({Cell::lstm, 8, steps, 2, 32});
    TestBench<Simt> bench;
    alternating<bfloat16>(bench, p);
    const auto counts = bench.stream().device().engine().counts("rnn_product");
    const std::uint64_t weights = 4 * 2 * 32 * 32 * 2,
                        hidden = 8 * 2 * 32 * 2 * 2;  // h by each of two unit tiles
    CHECK(counts.launches == static_cast<std::uint64_t>(steps));
    CHECK(counts[simt::Counter::global_bytes_read] == static_cast<std::uint64_t>(steps) * (weights + hidden));
  }
}

TEST_CASE("the vanilla LSTM, a launch an operation, is the double oracle", "[simt]") {
  for (const RnnShape& shape : {RnnShape{Cell::lstm, 3, 64, 2, 16}, RnnShape{Cell::lstm, 9, 2, 3, 32}}) {
    const RnnProblem p(shape);
    const std::vector<double> exact = p.states();
    TestBench<Simt> bench;
    const auto run = [&]<class Element>(Element) {
      return run_layer<Element>(
          bench, p, [&](auto& b, auto wx, auto weights, auto bias, auto first, auto states) {
            auto workspace = b.template output<float>(rnn_vanilla_workspace(shape), "workspace");
            auto products = b.template output<Element>(
                shape.products_size() / static_cast<std::size_t>(shape.steps), "products");
            OwnRnnProducts<Simt, Element> by(b.stream(), shape, weights,
                                             products.size() / static_cast<std::size_t>(shape.heads));
            b.device().engine().reset_counts();
            rnn_vanilla_lstm<Simt, Element>(b.stream(), shape, by, wx, bias, first, workspace.span(),
                                            products.span(), states);
            std::uint64_t launches = 0;
            for (const auto& [name, counts] : b.device().engine().counts()) launches += counts.launches;
            CHECK(launches == static_cast<std::uint64_t>(kVanillaLaunches * shape.steps + 2));
          });
    };
    CHECK(distance(run(float()), exact, exact.size()) < 1e-5);
    CHECK(distance(run(bfloat16()), exact, exact.size()) < 2e-2);
  }
}

TEST_CASE("arrays of wrong sizes are refused by name", "[cpu]") {
  TestBench<Simt> bench;
  const RnnProblem p({Cell::lstm, 1, 2, 1, 16});
  RnnProblem wrong = p;
  wrong.bias.pop_back();
  CHECK_THROWS_WITH(alternating<float>(bench, wrong), "rnn: bias has 63 elements; the shape needs 64");
}

TEST_CASE("a GPU's alternating layer and gradients are the double reference's", "[gpu]") {
  if (Device<Cuda>::count() == 0) SKIP_TEST(Device<Cuda>::why_not());
  remeasure::testing::on_gpu([](auto& bench) {
    for (const Cell cell : kCells) {
      const RnnProblem p({cell, 9, 32, 2, 64});
      const std::vector<double> exact = p.states();
      CHECK(distance(alternating<bfloat16>(bench, p), exact, exact.size()) < 2e-2);
      check_gradients<float>(bench, {cell, 3, 5, 2, 16}, 2e-5);
      check_gradients<bfloat16>(bench, {cell, 3, 5, 2, 16}, 2e-2);
    }
  });
}
