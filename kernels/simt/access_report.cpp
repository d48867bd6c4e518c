// SPDX-License-Identifier: Apache-2.0
//
// What the checks say when they find something.
#include <fmt/format.h>

#include <string>
#include <utility>
#include <vector>

#include "kernels/simt/access_checks.h"
#include "kernels/simt/block_runner.h"
#include "kernels/simt/engine.h"
#include "kernels/simt/source_location.h"

namespace remeasure::simt {
namespace {

const char* verb(Access kind) {
  switch (kind) {
    case Access::read:
      return "read";
    case Access::write:
      return "write";
    case Access::atomic_read:
      return "atomic read";
    case Access::atomic_write:
      return "atomic write";
    case Access::atomic_update:
      return "atomic update";
  }
  return "access";
}

std::string place_of(const Site& site) {
  return site.line != 0 ? describe(site) : fmt::format("{} in {}", site.function, site.file);
}

}  // namespace

void AccessChecks::report(ErrorKind kind, const Array& array, const Request& request, std::string&& what,
                          std::uint32_t earlier_code) {
  std::vector<Site> sites{request.site != nullptr ? *request.site : locate(request.place)};
  const auto offset = static_cast<std::int64_t>(request.address - array.begin);
  const auto size = static_cast<std::int64_t>(request.bytes);
  // Rounded down: an element before the array is -1, not 0. What a memcpy copies is no element.
  const std::int64_t element = offset >= 0 ? offset / size : -((-offset + size - 1) / size);
  const std::string index = size <= 16 ? fmt::format("[{}]", element) : "";
  std::string text =
      fmt::format("{} of {} bytes at '{}'{} (byte {} of {}), {}: {}", verb(request.kind), request.bytes,
                  array.name, index, offset, array.bytes, place_of(sites.front()), what);
  if (earlier_code != 0) {
    sites.push_back(locate(expand_address(earlier_code)));
    text += fmt::format(" at {}", place_of(sites.back()));
  }
  { const std::string freed = std::move(what); }
  busy_ = false;
  runner_->fail_here(kind, std::move(text), std::move(sites));
}

void AccessChecks::report_race(const Array& array, const Request& request, const char* earlier,
                               std::uint32_t block, unsigned thread, std::uint32_t code) {
  const LaunchInfo& info = *runner_->launch().info;
  const bool other_block = block != order_.block();
  std::string what = fmt::format(
      "nothing orders it after {} by thread {}{}", earlier, describe(index_of(thread, info.block)),
      other_block ? fmt::format(" of block {}", describe(index_of(block, info.grid))) : "");
  const char* remedy = !other_block                    ? "no barrier is between them"
                       : runner_->launch().cooperative ? "no grid barrier is between them"
                                                       : "blocks have no order in a launch";
  what += fmt::format(" ({})", remedy);
  report(ErrorKind::race, array, request, std::move(what), code);
}

void AccessChecks::report_out_of_bounds(const Array& array, const Request& request) {
  const auto offset = static_cast<std::int64_t>(request.address - array.begin);
  const auto end = offset + static_cast<std::int64_t>(request.bytes);
  std::string where =
      offset < 0 ? fmt::format("starts {} bytes before the array", -offset)
                 : fmt::format("ends {} bytes past its end", end - static_cast<std::int64_t>(array.bytes));
  report(ErrorKind::out_of_bounds, array, request, std::move(where));
}

}  // namespace remeasure::simt
