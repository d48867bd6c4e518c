// SPDX-License-Identifier: Apache-2.0
#include "kernels/simt/program_symbols.h"

#include <elf.h>
#include <link.h>

#include <cstdint>
#include <cstring>
#include <fstream>
#include <vector>

namespace remeasure::simt {
namespace {

/// Where the program was loaded: its own entry is the first.
std::uintptr_t load_address() {
  std::uintptr_t address = 0;
  dl_iterate_phdr(
      [](dl_phdr_info* info, std::size_t, void* data) {
        *static_cast<std::uintptr_t*>(data) = info->dlpi_addr;
        return 1;
      },
      &address);
  return address;
}

/// Sections of an ELF file, read when needed: the debug information beside them is large.
class ElfFile {
 public:
  explicit ElfFile(const char* path) : file_(path, std::ios::binary) {
    ElfW(Ehdr) header{};
    if (!read(0, &header, sizeof header) || std::memcmp(header.e_ident, ELFMAG, SELFMAG) != 0) return;
    if (header.e_shentsize != sizeof(ElfW(Shdr))) return;
    sections_.resize(header.e_shnum);
    if (!read(header.e_shoff, sections_.data(), sections_.size() * sizeof(ElfW(Shdr)))) sections_.clear();
  }

  const ElfW(Shdr) * symbol_table() const {
    for (const ElfW(Shdr) & section : sections_) {
      if (section.sh_type == SHT_SYMTAB && section.sh_link < sections_.size()) return &section;
    }
    return nullptr;
  }
  const ElfW(Shdr) & section(std::size_t index) const { return sections_[index]; }

  template <class T>
  std::vector<T> contents(const ElfW(Shdr) & section) {
    std::vector<T> items(section.sh_size / sizeof(T));
    if (!read(section.sh_offset, items.data(), items.size() * sizeof(T))) items.clear();
    return items;
  }

 private:
  bool read(std::uint64_t at, void* to, std::size_t bytes) {
    file_.seekg(static_cast<std::streamoff>(at));
    return static_cast<bool>(file_.read(static_cast<char*>(to), static_cast<std::streamsize>(bytes)));
  }

  std::ifstream file_;
  std::vector<ElfW(Shdr)> sections_;
};

/// Both empty for a stripped program.
struct SymbolTable {
  std::vector<ElfW(Sym)> symbols;
  std::vector<char> names;

  SymbolTable() {
    ElfFile file("/proc/self/exe");
    const auto* table = file.symbol_table();
    if (table == nullptr) return;
    symbols = file.contents<ElfW(Sym)>(*table);
    names = file.contents<char>(file.section(table->sh_link));
    names.push_back('\0');  // a name that a damaged table leaves open ends here
  }
};

}  // namespace

std::map<const void*, ProgramSymbol> program_symbols(const std::set<const void*>& functions) {
  std::map<const void*, ProgramSymbol> found;
  if (functions.empty()) return found;
  static const SymbolTable table;  // of this program, which doesn't change while it runs
  const std::uintptr_t base = load_address();
  std::string source;
  for (const ElfW(Sym) & symbol : table.symbols) {
    if (symbol.st_name >= table.names.size()) continue;
    const char* name = &table.names[symbol.st_name];
    const unsigned type = ELF64_ST_TYPE(symbol.st_info);
    if (type == STT_FILE) source = name;  // the local symbols that follow are this file's
    if (type != STT_FUNC || symbol.st_shndx == SHN_UNDEF) continue;
    const auto* address = reinterpret_cast<const void*>(base + symbol.st_value);
    if (!functions.contains(address)) continue;
    const bool local = ELF64_ST_BIND(symbol.st_info) == STB_LOCAL;
    found[address] = {name, local ? source : std::string()};
  }
  return found;
}

}  // namespace remeasure::simt
