// SPDX-License-Identifier: Apache-2.0
#include "kernels/sequences/rnn_fused.h"

#include <testing/catch.h>

#include <cstring>

#include "kernels/sequences/testing/rnn_problem.h"
#include "kernels/simt/engine.h"
#include "kernels/simt/schedules.h"

using namespace remeasure;
using namespace remeasure::kernels;
using namespace remeasure::kernels::testing;
using remeasure::testing::TestBench;

namespace {

constexpr Cell kCells[] = {Cell::elman, Cell::lstm, Cell::gru, Cell::slstm};

template <class Element, class Bench>
std::vector<Element> fused(Bench& bench, const RnnProblem& p, const RnnFusedPlan& plan) {
  return run_layer<Element>(bench, p,
                            [&](auto& b, auto wx, auto weights, auto bias, auto first, auto states) {
                              rnn_fused(b.stream(), p.shape, plan, wx, weights, bias, first, states);
                            });
}

template <class Element>
void check_fused(const RnnProblem& p, const RnnFusedPlan& plan, double limit) {
  TestBench<Simt> bench;
  const std::vector<double> exact = p.states();
  const std::vector<Element> found = fused<Element>(bench, p, plan);
  INFO(name_of(p.shape.cell) << " B=" << p.shape.batch << " T=" << p.shape.steps << " N=" << p.shape.heads
                             << " D=" << p.shape.dim);
  CHECK(distance(found, exact, exact.size()) < limit);
}

}  // namespace

TEST_CASE("the fused layer is the double oracle for all cells: 1e-5 in f32, 2e-2 in bf16", "[simt]") {
  for (const Cell cell : kCells) {
    const RnnProblem p({cell, 3, 64, 2, 16});
    check_fused<float>(p, rnn_fused_plan(p.shape, 4), 1e-5);
    check_fused<bfloat16>(p, rnn_fused_plan(p.shape, 2), 2e-2);
  }
}

TEST_CASE("the fused layer takes odd batches, column pairs, and R beyond the registers", "[simt]") {
  for (const RnnShape& shape : {RnnShape{Cell::elman, 11, 3, 2, 32}, RnnShape{Cell::lstm, 1, 3, 1, 48},
                                RnnShape{Cell::gru, 9, 3, 2, 32}, RnnShape{Cell::slstm, 19, 2, 1, 16}}) {
    const RnnProblem p(shape);
    for (const int columns : {1, 2}) {
      check_fused<bfloat16>(p, rnn_fused_plan(shape, 2, shape.dim / 16, 1, columns), 2e-2);
      check_fused<float>(p, rnn_fused_plan(shape, 4, shape.dim / 16, 1, columns), 1e-5);
    }
  }
  const RnnProblem deep({Cell::lstm, 2, 3, 1, 80});  // 10 chunks in bf16, 20 in f32: registers hold 8 and 2
  check_fused<bfloat16>(deep, rnn_fused_plan(deep.shape, 2), 2e-2);
  check_fused<float>(deep, rnn_fused_plan(deep.shape, 4), 1e-5);
}

TEST_CASE("warps that split the previous units add up to the same layer", "[simt]") {
  for (const Cell cell : kCells) {
    const RnnProblem p({cell, 5, 4, 2, 48}), small({cell, 5, 4, 2, 32});
    check_fused<bfloat16>(p, rnn_fused_plan(p.shape, 2, 3, 2, 1), 2e-2);
    check_fused<bfloat16>(p, rnn_fused_plan(p.shape, 2, 1, 5, 1),
                          2e-2);     // 3 chunks: of five warps two have none
    for (const int splits : {3, 4})  // 2 chunks
      check_fused<bfloat16>(small, rnn_fused_plan(small.shape, 2, 2, splits, 1), 2e-2);
    check_fused<float>(p, rnn_fused_plan(p.shape, 4, 3, 2, 2), 1e-5);
  }
}

TEST_CASE(
    "blocks that share a head exchange h through grid barriers: all cells, uneven blocks, several launches",
    "[simt]") {
  for (const Cell cell : kCells) {
    const RnnProblem p({cell, 11, 5, 3, 48});
    check_fused<bfloat16>(p, rnn_fused_plan(p.shape, 2, 2, 1, 1), 2e-2);  // two blocks: 2 unit tiles, and 1
    check_fused<float>(p, rnn_fused_plan(p.shape, 4, 1, 2, 1, {.multiprocessors = 4}),
                       1e-5);  // three blocks; a head and batch tile a launch
  }
}

TEST_CASE("one block, two blocks and split warps agree under every schedule", "[simt]") {
  const RnnProblem p({Cell::lstm, 3, 4, 1, 32});
  TestBench<Simt> bench;
  const std::vector<std::uint64_t> seeds{0, 1, 2, 3, 4, 11};
  for (const int unit_tiles : {2, 1}) {
    simt::expect_schedule_independent(bench.stream().device().engine(), seeds, [&] {
      const auto states = fused<bfloat16>(bench, p, rnn_fused_plan(p.shape, 2, unit_tiles, 1, 1));
      std::vector<std::byte> bytes(states.size() * 2);
      std::memcpy(bytes.data(), states.data(), bytes.size());
      return bytes;
    });
  }
  const auto one = fused<bfloat16>(bench, p, rnn_fused_plan(p.shape, 2, 2, 1, 1)),
             two = fused<bfloat16>(bench, p, rnn_fused_plan(p.shape, 2, 1, 1, 1));
  CHECK(std::memcmp(one.data(), two.data(), one.size() * 2) == 0);
}

TEST_CASE("blocks that don't wait for each other's h are a race", "[simt]") {
  if (!simt::Engine::checked()) SKIP_TEST("the engine's fast build sees no accesses");
  const RnnProblem p({Cell::lstm, 3, 4, 1, 32});
  RnnFusedPlan plan = rnn_fused_plan(p.shape, 2, 1, 1, 1);
  plan.synchronised = false;
  TestBench<Simt> bench;
  try {
    fused<bfloat16>(bench, p, plan);
    FAIL("no error");
  } catch (const simt::EngineError& error) {
    INFO(error.what());
    CHECK((error.kind() == simt::ErrorKind::race || error.kind() == simt::ErrorKind::uninitialised));
  }
}

TEST_CASE("a head's input changes no bit of another head", "[simt]") {
  RnnProblem p({Cell::slstm, 2, 6, 2, 32});
  TestBench<Simt> bench;
  const auto before = fused<bfloat16>(bench, p, rnn_fused_plan(p.shape, 2));
  for (std::size_t i = 0; i < p.wx.size(); ++i) {
    if (i / 32 % 2 == 0) p.wx[i] += 1;
  }
  const auto after = fused<bfloat16>(bench, p, rnn_fused_plan(p.shape, 2));
  bool first_changed = false, second_changed = false;
  for (std::size_t i = p.shape.slot(); i < before.size(); ++i) {
    const bool differs = before[i].bits != after[i].bits;
    (i / 32 % 2 == 0 ? first_changed : second_changed) |= differs;
  }
  CHECK(first_changed);
  CHECK_FALSE(second_changed);
}

TEST_CASE("the fused layer reads R once, whatever the number of steps", "[simt]") {
  if (!simt::Engine::checked()) SKIP_TEST("the engine's fast build counts no bytes");
  const auto bytes = [](int steps) {
    const RnnProblem p({Cell::lstm, 8, steps, 2, 32});
    TestBench<Simt> bench;
    fused<bfloat16>(bench, p, rnn_fused_plan(p.shape, 2));
    return bench.stream().device().engine().last_launch()[simt::Counter::global_bytes_read];
  };
  const std::uint64_t weights = 4 * 2 * 32 * 32 * 2, input = 8 * 4 * 2 * 32 * 2;
  const std::uint64_t fixed =
      4 * 2 * 32 * 4 * 4 +
      8 * 2 * 32 * 4 * 3;  // bias by four lanes each; states, and h once more to shared memory
  CHECK(bytes(3) == weights + fixed + 3 * input);
  CHECK(bytes(9) == weights + fixed + 9 * input);
}

TEST_CASE("plans hold a head of 128 in a block and split larger ones; what can't be held says so", "[cpu]") {
  CHECK_FALSE(rnn_fused_plan({Cell::lstm, 16, 1, 6, 128}, 2).cooperative());
  const RnnFusedPlan large = rnn_fused_plan({Cell::lstm, 16, 1, 1, 768}, 2);
  CHECK(large.cooperative());
  CHECK(large.unit_blocks * large.batch_tiles_at_once * large.heads_at_once <= 132);
  CHECK(large.threads() <= 256);
  CHECK(rnn_fused_plan({Cell::lstm, 256, 1, 12, 64}, 2).columns == 2);
  CHECK(rnn_fused_why_not({Cell::lstm, 8, 1, 1, 24}, 2).find("multiple of 16") != std::string::npos);
  CHECK(rnn_fused_why_not({Cell::lstm, 8, 1, 1, 4096}, 2).find("shared memory") != std::string::npos);
  CHECK(rnn_fused_largest_dim(Cell::lstm, 2, true) == 128);
  CHECK(rnn_fused_plan({Cell::lstm, 8, 1, 1, 128}, 4).cooperative());  // f32 is twice as large
  CHECK(rnn_fused_plan({Cell::lstm, 8, 1, 1, 128}, 4).shared_bytes < 227 * 1024);
  const int most = rnn_fused_largest_dim(Cell::lstm, 2, false);
  CHECK(most > 1500);
  CHECK_THROWS_AS(rnn_fused_plan({Cell::lstm, 8, 1, 1, most + 16}, 2), std::invalid_argument);
  // R of the largest layer is larger than the shared memory of all blocks, and smaller than that and their
  // registers.
  CHECK(8.0 * most * most < 132 * (227e3 + 256e3));
}

TEST_CASE("the fused layer refuses a plan of more threads than its registers leave", "[simt]") {
  const RnnProblem p({Cell::lstm, 5, 4, 2, 48});
  TestBench<Simt> bench;
  CHECK_THROWS_WITH(fused<bfloat16>(bench, p, rnn_fused_plan(p.shape, 2, 3, 3, 1)),
                    Catch::Matchers::ContainsSubstring("3 unit tiles and 3 splits has 288 threads"));
}

TEST_CASE("a GPU's fused layer is the double oracle", "[gpu]") {
  if (Device<Cuda>::count() == 0) SKIP_TEST(Device<Cuda>::why_not());
  remeasure::testing::on_gpu([](auto& bench) {
    for (const Cell cell : kCells) {
      for (const RnnShape& shape :
           {RnnShape{cell, 3, 64, 2, 64}, RnnShape{cell, 9, 16, 1, 256}, RnnShape{cell, 16, 16, 1, 768}}) {
        const RnnProblem p(shape);
        const std::vector<double> exact = p.states();
        const RnnFusedLimits limits{bench.stream().device().properties().multiprocessors,
                                    bench.stream().device().properties().shared_bytes_per_block};
        CHECK(distance(fused<bfloat16>(bench, p, rnn_fused_plan(shape, 2, limits)), exact, exact.size()) <
              2e-2);
        CHECK(distance(fused<float>(bench, p, rnn_fused_plan(shape, 4, limits)), exact, exact.size()) < 1e-5);
      }
    }
  });
}
