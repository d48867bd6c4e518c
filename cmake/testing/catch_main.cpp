// SPDX-License-Identifier: Apache-2.0
//
// Catch2's own exit code is the number of failed assertions. Here a failure is always 1: four of them were
// the code by which ctest knows a skipped test, which it now knows by the text alone (catch.h).
#if __has_include(<catch2/catch_all.hpp>)
#include <catch2/catch_session.hpp>
#else
#define CATCH_CONFIG_RUNNER
#include <catch2/catch.hpp>
#endif

int main(int argc, char* argv[]) {
  return Catch::Session().run(argc, argv) == 0 ? 0 : 1;
}
