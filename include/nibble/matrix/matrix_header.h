// What the files of all matrices begin with.
#pragma once

#include <bit>
#include <string>

#include "nibble/matrix/layout.h"

namespace nibble::detail {

/// The header of a matrix's file: 64 bytes, or a multiple for long names. "NIBBLEQM", u32 version, u32 length of the
/// name, u64 rows, u64 columns, u64 bytes (those that bytes() tells), the name, zeros. Little-endian.
inline std::string matrix_header(const std::string& name, Index rows, Index cols, Index bytes) {
  static_assert(std::endian::native == std::endian::little, "files are little-endian");
  const std::uint32_t counts[2] = {1, static_cast<std::uint32_t>(name.size())};
  const Index sizes[3] = {rows, cols, bytes};
  std::string head = "NIBBLEQM";
  head.append(reinterpret_cast<const char*>(counts), sizeof counts);
  head.append(reinterpret_cast<const char*>(sizes), sizeof sizes);
  head += name;
  head.resize(static_cast<std::size_t>(round_up(static_cast<Index>(head.size()), static_cast<Index>(alignment))));
  return head;
}

}  // namespace nibble::detail
