// SPDX-License-Identifier: Apache-2.0
#include "bench/ptxas.h"

#include <cxxabi.h>
#include <fmt/format.h>

#include <charconv>
#include <cstdlib>
#include <memory>
#include <stdexcept>

namespace remeasure::bench {
namespace {

/// The text between the first two quotes from `from` on; empty if there are none.
std::string quoted(std::string_view line, std::size_t from) {
  const std::size_t open = line.find('\'', from);
  const std::size_t close = open == line.npos ? line.npos : line.find('\'', open + 1);
  return close == line.npos ? std::string() : std::string(line.substr(open + 1, close - open - 1));
}

/// The number right before `unit`, 0 where the unit isn't named: ptxas leaves out what a kernel doesn't use.
int number_before(std::string_view line, std::string_view unit) {
  const std::size_t end = line.find(unit);
  if (end == line.npos) return 0;
  std::size_t begin = end;
  while (begin > 0 && line[begin - 1] >= '0' && line[begin - 1] <= '9') --begin;
  int value = 0;
  const auto [stop, error] = std::from_chars(line.data() + begin, line.data() + end, value);
  if (error != std::errc{} || stop != line.data() + end) {
    throw std::runtime_error(fmt::format("output of ptxas: no number before '{}' in '{}'", unit, line));
  }
  return value;
}

class Parser {
 public:
  std::vector<PtxasFigures> parse(std::string_view text) {
    while (!text.empty()) {
      const std::size_t end = text.find('\n');
      read(text.substr(0, end));
      text.remove_prefix(end == text.npos ? text.size() : end + 1);
    }
    close();
    return std::move(kernels_);
  }

 private:
  void read(std::string_view line) {
    constexpr std::string_view kSource = "source ", kEntry = "Compiling entry function ";
    if (line.starts_with(kSource)) {
      close();
      source_ = line.substr(kSource.size());
    } else if (const std::size_t entry = line.find(kEntry); entry != line.npos) {
      close();
      open_ = true;
      PtxasFigures& kernel = kernels_.emplace_back();
      kernel.source = source_;
      kernel.symbol = quoted(line, entry);
      const std::size_t target = line.find("' for ");
      if (target != line.npos) kernel.architecture = quoted(line, target + 1);
      if (kernel.symbol.empty() || kernel.architecture.empty()) {
        throw std::runtime_error(fmt::format("output of ptxas: no kernel and architecture in '{}'", line));
      }
    } else if (line.find(" bytes stack frame") != line.npos) {
      PtxasFigures& kernel = current(line);
      kernel.stack_bytes += number_before(line, " bytes stack frame");
      kernel.spill_bytes +=
          number_before(line, " bytes spill stores") + number_before(line, " bytes spill loads");
    } else if (line.find(" registers") != line.npos && line.find(": Used ") != line.npos) {
      PtxasFigures& kernel = current(line);
      kernel.registers = number_before(line, " registers");
      kernel.barriers = number_before(line, " barriers");
      kernel.shared_bytes = number_before(line, " bytes smem");
      whole_stack_ = number_before(line, " bytes cumulative stack size");
    }
  }

  PtxasFigures& current(std::string_view line) {
    if (!open_) throw std::runtime_error(fmt::format("output of ptxas: '{}' belongs to no kernel", line));
    return kernels_.back();
  }

  void close() {
    if (open_ && kernels_.back().registers == 0) {
      throw std::runtime_error(fmt::format("output of ptxas: no registers of kernel {} for {}",
                                           kernels_.back().symbol, kernels_.back().architecture));
    }
    if (open_ && whole_stack_ > 0) kernels_.back().stack_bytes = whole_stack_;
    whole_stack_ = 0;
    open_ = false;
  }

  std::vector<PtxasFigures> kernels_;
  std::string source_;
  bool open_ = false;
  int whole_stack_ = 0;  ///< of a kernel and all that it calls, where ptxas says it
};

void replace_all(std::string& text, std::string_view from, std::string_view to) {
  for (std::size_t at = 0; (at = text.find(from, at)) != text.npos; at += to.size())
    text.replace(at, from.size(), to);
}

/// Demangled, in the words of both compilers; empty for a text that is no mangled name.
std::string readable(const std::string& symbol) {
  int status = 0;
  const std::unique_ptr<char, decltype(&std::free)> demangled(
      abi::__cxa_demangle(symbol.c_str(), nullptr, nullptr, &status), &std::free);
  if (status != 0) return {};
  std::string text = demangled.get();
  // The 16-bit floats are the toolkit's under nvcc and Eigen's on the host.
  replace_all(text, "__nv_bfloat16", "bfloat16");
  replace_all(text, "__half", "half");
  for (const char* space : {"(anonymous namespace)::", "remeasure::kernels::", "remeasure::", "Eigen::"}) {
    replace_all(text, space, "");
  }
  replace_all(text, "> >", ">>");
  return text;
}

/// Where name and parameters begin in "void name<arguments>(parameters)". Arguments may hold spaces and
/// brackets too.
struct Signature {
  std::size_t name = 0, parameters = 0;
};
Signature signature_of(const std::string& text) {
  Signature found{0, text.size()};
  int depth = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '<') ++depth;
    if (text[i] == '>') --depth;
    if (depth > 0) continue;
    if (text[i] == ' ') found.name = i + 1;
    if (text[i] == '(') {
      found.parameters = i;
      break;
    }
  }
  return found;
}

}  // namespace

std::vector<PtxasFigures> parse_ptxas(std::string_view text) {
  return Parser().parse(text);
}

std::string kernel_name(const std::string& symbol) {
  const std::string text = readable(symbol);
  if (text.empty()) return symbol;
  const Signature at = signature_of(text);
  return text.substr(at.name, at.parameters - at.name);
}

std::string kernel_parameters(const std::string& symbol) {
  const std::string text = readable(symbol);
  return text.substr(signature_of(text).parameters);
}

}  // namespace remeasure::bench
