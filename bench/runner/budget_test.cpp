// SPDX-License-Identifier: Apache-2.0
#include "bench/runner/budget.h"

#include <testing/catch.h>

#include <algorithm>
#include <functional>

using namespace remeasure::bench::runner;

namespace {

std::vector<Candidate> cases(const std::string& experiment, int count) {
  std::vector<Candidate> all;
  for (int i = 1; i <= count; ++i) all.push_back({.experiment = experiment, .name = std::to_string(i)});
  return all;
}

std::vector<Candidate> operator+(std::vector<Candidate> a, const std::vector<Candidate>& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

struct Log {
  std::vector<std::string> ran;  // "a1", in order
  std::vector<std::string> cut;  // those that needed longer than their cap
  int turns = 0;
  double end = 0;
};

/// Runs the plan on a fake clock: `needs` says how long a case takes if nobody ends it.
Log play(BudgetPlan& plan, const std::function<double(const std::string&)>& needs,
         double start_of_worker = 0) {
  Log log;
  for (auto turn = plan.next(0); turn; turn = plan.next(log.end)) {
    REQUIRE(++log.turns < 1000);
    const double begin = log.end;
    log.end += start_of_worker;
    std::vector<std::string> done;
    for (std::size_t i = 0; i < turn->cases.size(); ++i) {
      if (i > 0 && log.end - begin >= turn->seconds) break;
      const std::string name = turn->experiment + turn->cases[i];
      log.end += std::min(needs(name), turn->caps[i]);
      if (needs(name) > turn->caps[i]) log.cut.push_back(name);
      log.ran.push_back(name);
      done.push_back(turn->cases[i]);
    }
    plan.done(*turn, done);
  }
  return log;
}

using Names = std::vector<std::string>;

}  // namespace

TEST_CASE("under a budget experiments take turns, the first listed first, in few worker processes", "[cpu]") {
  BudgetPlan plan(cases("a", 5) + cases("b", 2) + cases("c", 7), 1000);
  const auto log = play(plan, [](const std::string&) { return 1.0; });
  CHECK(Names(log.ran.begin(), log.ran.begin() + 3) == Names{"a1", "b1", "c1"});
  CHECK(log.ran.size() == 14);
  CHECK(log.turns == 3 + 2 + 3);  // 1+2+2, 1+1, 1+2+4
  CHECK(plan.waiting() == 0);
  CHECK(plan.unreached(log.end).empty());
}

TEST_CASE("a higher priority runs first, over all experiments", "[cpu]") {
  auto all = cases("a", 3) + cases("b", 3);
  all[2].priority = 1;  // a3
  all[4].priority = 2;  // b2
  BudgetPlan plan(all, 1000);
  CHECK(play(plan, [](const std::string&) { return 1.0; }).ran == Names{"b2", "a3", "a1", "a2", "b1", "b3"});
}

TEST_CASE("the order of a plan is the same every time, whatever the cases take", "[cpu]") {
  const auto order = [](double seconds) {
    BudgetPlan plan(cases("a", 9) + cases("b", 9), 1e6);
    return play(plan, [&](const std::string&) { return seconds; }).ran;
  };
  CHECK(order(1) == order(1));
  CHECK(order(1) == order(50));
}

TEST_CASE("a case that never ends can't eat the rest: every experiment has its turn, and the budget holds",
          "[cpu]") {
  BudgetPlan plan(cases("a", 4) + cases("b", 4) + cases("c", 4) + cases("d", 4), 480);
  const auto log = play(plan, [](const std::string& name) { return name[0] == 'a' ? 1e9 : 3.0; });
  for (const std::string name : {"b4", "c4", "d4"}) {
    INFO(name);
    CHECK(std::find(log.ran.begin(), log.ran.end(), name) != log.ran.end());
  }
  CHECK(log.cut == Names{"a1", "a2", "a3", "a4"});
  CHECK(log.end <= 480);
}

TEST_CASE("where every case overruns the budget still holds and the first of each has its turn", "[cpu]") {
  BudgetPlan plan(cases("a", 6) + cases("b", 6) + cases("c", 6), 60);
  const auto log = play(plan, [](const std::string&) { return 1e9; });
  CHECK(log.end <= 60 + 1e-9);
  for (const std::string name : {"a1", "b1", "c1"})
    CHECK(std::find(log.ran.begin(), log.ran.end(), name) != log.ran.end());
  CHECK(plan.waiting() > 0);
  for (const auto& one : plan.unreached(log.end)) CHECK(one.why == "budget spent: run again with --resume");
}

TEST_CASE(
    "a case that gets less than its due because the budget ends is marked, so that it isn't called a failure",
    "[cpu]") {
  BudgetPlan plan(cases("a", 1), 10);
  const auto all = plan.next(0);
  REQUIRE(all);
  CHECK(all->caps == std::vector<double>{10});
  CHECK(all->clipped == std::vector<bool>{true});  // four shares of one case are more than there is
  BudgetPlan many(cases("a", 8), 80);
  const auto first = many.next(0);
  REQUIRE(first);
  CHECK(first->caps == std::vector<double>{40});
  CHECK(first->clipped == std::vector<bool>{false});
}

TEST_CASE("starting a worker counts too", "[cpu]") {
  BudgetPlan plan(cases("a", 100), 10);
  CHECK(play(
            plan, [](const std::string&) { return 0.5; }, 1.0)
            .end <= 10 + 1.5);
}

TEST_CASE("a case that is known not to fit doesn't begin, and a shorter one does", "[cpu]") {
  auto all = cases("a", 3);
  all[0].expected = 100;
  all[1].expected = 20;
  all[2].expected = 1000;
  BudgetPlan plan(all, 110);
  const auto log = play(plan, [](const std::string& name) { return name == "a1" ? 100.0 : 20.0; });
  CHECK(log.ran == Names{"a1"});
  const auto left = plan.unreached(log.end);
  REQUIRE(left.size() == 2);
  CHECK(left[0].name == "2");
  CHECK(left[0].why == "it takes about 20.0 s, and less was left of the budget: run again with --resume");
  CHECK(left[1].why ==
        "it takes about 16 min 40 s, more than the whole budget of 1 min 50 s: run again with a larger "
        "--budget and --resume");
}

TEST_CASE("what took long earlier gets twice that; what was cut short comes last", "[cpu]") {
  auto all = cases("a", 40);
  all[0].expected = 90;
  all[1].cut_short = true;
  BudgetPlan plan(all, 400);
  const auto turn = plan.next(0);
  REQUIRE(turn);
  CHECK(turn->caps == std::vector<double>{180});
  const auto log = play(plan, [](const std::string&) { return 1.0; });
  CHECK(log.ran.back() == "a2");
}

TEST_CASE("a call goes on exactly where the last one stopped", "[cpu]") {
  auto waiting = cases("a", 8) + cases("b", 8);
  Names ran;
  int calls = 0;
  while (!waiting.empty()) {
    REQUIRE(++calls < 20);
    BudgetPlan plan(waiting, 20);
    const auto log = play(plan, [](const std::string&) { return 4.0; });
    ran.insert(ran.end(), log.ran.begin(), log.ran.end());
    CHECK(log.end <= 24);
    std::erase_if(waiting, [&](const Candidate& one) {
      return std::find(log.ran.begin(), log.ran.end(), one.experiment + one.name) != log.ran.end();
    });
  }
  CHECK(ran.size() == 16);
  std::sort(ran.begin(), ran.end());
  CHECK(std::adjacent_find(ran.begin(), ran.end()) == ran.end());
}

TEST_CASE("what its author left out goes with the first turn and takes no share", "[cpu]") {
  auto all = cases("a", 4);
  all[3].free = true;
  BudgetPlan plan(all, 100);
  const auto turn = plan.next(0);
  REQUIRE(turn);
  CHECK(turn->cases == Names{"1", "4"});
}

TEST_CASE("a budget is written as a shell user writes durations", "[cpu]") {
  CHECK(parse_duration("480s") == 480.0);
  CHECK(parse_duration("8m") == 480.0);
  CHECK(parse_duration("90") == 90.0);
  CHECK(parse_duration("1h30m") == 5400.0);
  CHECK(parse_duration("2.5m") == 150.0);
  for (const char* wrong : {"", "0", "-5", "8 m", "m", "8d", "30s5m", "5m5m", "1e3", "inf", "nan", "8m-1"}) {
    INFO(wrong);
    CHECK_FALSE(parse_duration(wrong));
  }
  CHECK(duration_text(480) == "8m");
  CHECK(duration_text(90) == "90s");
}
