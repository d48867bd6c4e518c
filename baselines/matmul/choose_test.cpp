// SPDX-License-Identifier: Apache-2.0
#include "baselines/matmul/choose.h"

#include <testing/catch.h>

#include <cmath>
#include <vector>

#include "baselines/matmul/matmul.h"
#include "kernels/device/device.h"

using namespace remeasure;
using namespace remeasure::baselines;

namespace {

const std::vector<Candidate> kFour = {{"a", 4096}, {"b", 2048}, {"c", 1024}, {"d", 0}};

Choice choose(const std::vector<double>& seconds) {
  return choose_fastest(kFour, [&](std::size_t i) {
    if (seconds[i] < 0) throw DeviceError("refused");
    return seconds[i];
  });
}

}  // namespace

TEST_CASE("the fastest candidate is chosen, wherever it stands", "[cpu]") {
  CHECK(choose({1, 2, 3, 4}).index == 0);
  CHECK(choose({4, 3, 1, 2}).index == 2);
  CHECK(choose({4, 3, 2, 1}).index == 3);
  CHECK(choose({4, 3, 1, 2}).seconds == 1.0);
  CHECK(choose({4, 3, 1, 2}).setting == "c, workspace 1 KiB; fastest of 4");
}

TEST_CASE("of equal times the smaller workspace is chosen, then the earlier", "[cpu]") {
  CHECK(choose({2, 1, 1, 5}).index == 2);
  CHECK(choose({1, 1, 1, 1}).index == 3);
  CHECK(choose_fastest(std::vector<Candidate>{{"a", 8}, {"b", 8}}, [](std::size_t) { return 1.0; }).index ==
        0);
}

TEST_CASE("a candidate that fails or takes no time is left out", "[cpu]") {
  const Choice choice = choose({-1, 3, 0, 2});
  CHECK(choice.index == 3);
  CHECK(choice.failed == 2);
  CHECK(choice.setting == "d, workspace 0 KiB; fastest of 4 (2 failed)");
  CHECK(choose({NAN, 3, 4, 5}).index == 1);
}

TEST_CASE("no candidate is an error that says why the last was refused", "[cpu]") {
  CHECK_THROWS_WITH(choose({-1, -1, -1, -1}), "none of 4 algorithms can do this: refused");
  CHECK_THROWS_AS(choose_fastest({}, [](std::size_t) { return 1.0; }), DeviceError);
}

TEST_CASE("a product that can't be described is refused with its numbers", "[cpu]") {
  const MatmulProblem good{.type = MatmulType::f32, .rows = 4, .columns = 3, .inner = 2};
  CHECK_NOTHROW(check_problem(good));
  MatmulProblem bad = good;
  bad.inner = 0;
  CHECK_THROWS_WITH(check_problem(bad), Catch::Matchers::ContainsSubstring("4 x 3 x 0"));
  bad = good;
  bad.lda = 3;
  CHECK_THROWS_WITH(check_problem(bad),
                    Catch::Matchers::ContainsSubstring("leading dimension of a is 3, at least 4"));
  bad = good;
  bad.transpose_b = true;
  bad.ldb = 2;
  CHECK_THROWS_WITH(check_problem(bad),
                    Catch::Matchers::ContainsSubstring("leading dimension of b is 2, at least 3"));
  bad = good;
  bad.batch = 2;
  bad.stride_c = 11;
  CHECK_THROWS_WITH(check_problem(bad), Catch::Matchers::ContainsSubstring("products overlap"));
  bad.stride_c = 4;
  bad.ldc = 8;  // columns 0 to 3 and 4 to 7 of each line of 8
  CHECK_NOTHROW(check_problem(bad));
  bad.ldc = 7;
  CHECK_THROWS_WITH(check_problem(bad), Catch::Matchers::ContainsSubstring("products overlap"));
}

TEST_CASE("sizes of a product: c's extent over the batch, leading dimensions by default, alignment",
          "[cpu]") {
  MatmulProblem p{.type = MatmulType::bf16, .rows = 4, .columns = 3, .inner = 2};
  CHECK(c_elements(p) == 12);
  p.batch = 5;
  p.stride_c = 20;
  CHECK(c_elements(p) == 4 * 20 + 12);
  p.ldc = 6;
  CHECK(c_elements(p) == 4 * 20 + 2 * 6 + 4);
  CHECK(alignment_of(reinterpret_cast<const void*>(0x1000)) == 256);
  CHECK(alignment_of(reinterpret_cast<const void*>(0x1010)) == 16);
  CHECK(alignment_of(reinterpret_cast<const void*>(0x1004)) == 4);
  CHECK(matmul_workspace_bytes(80) == 32u << 20);
  CHECK(matmul_workspace_bytes(90) == 64u << 20);
}
