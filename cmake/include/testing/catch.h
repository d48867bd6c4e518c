// SPDX-License-Identifier: Apache-2.0
//
// Catch2 v2 (Debian 12) and v3 (Debian 13, Ubuntu 24.04) under one include.
#pragma once

#if __has_include(<catch2/catch_all.hpp>)
#include <catch2/catch_all.hpp>
#else
#include <catch2/catch.hpp>
namespace Catch::Matchers {
/// v3's name for v2's string matcher.
inline auto ContainsSubstring(const std::string& text) {
  return Contains(text);
}
}  // namespace Catch::Matchers
#pragma GCC poison Contains  // v3's is about ranges
#endif

/// Ends a test that this machine can't run, and says why. v2 has no SKIP: there the reason is a warning, and
/// ctest marks the test as skipped by its text.
#ifdef SKIP
using Catch::Approx;  // v2 has it in the global namespace
#define SKIP_TEST(reason) SKIP("skipped: " << (reason))
#else
#define SKIP_TEST(reason)          \
  do {                             \
    WARN("skipped: " << (reason)); \
    return;                        \
  } while (false)
#endif
