// Aligned storage: bytes that start on a cache line, owned or borrowed, shared and never changed once built.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <new>

#include "nibble/core/error.h"

#ifdef __linux__
#include <sys/mman.h>
#endif

namespace nibble {

/// Cache line and widest vector register, in bytes. All storage starts on a multiple of it.
inline constexpr std::size_t alignment = 64;

/// `value` rounded up to a multiple of `unit`.
constexpr std::ptrdiff_t round_up(std::ptrdiff_t value, std::ptrdiff_t unit) {
  return (value + unit - 1) / unit * unit;
}

namespace detail {

/// From this size on, Linux is asked to back an array with large pages, and for fresh memory, since it does not change
/// the pages of memory that was used before: a weight matrix streams from memory a third faster so.
inline constexpr std::size_t large_page = std::size_t{1} << 21;

/// Zeroed memory that starts on a cache line.
inline void* take_memory(std::size_t bytes) {
#ifdef __linux__
  if (bytes >= large_page) {
    // Mapped with room to begin on a large page; what lies before and behind goes back.
    const std::size_t size = (bytes + 65535) / 65536 * 65536;
    void* mapped = mmap(nullptr, size + large_page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (mapped == MAP_FAILED) raise(std::bad_alloc());
    auto* begin = static_cast<unsigned char*>(mapped);
    const std::size_t head = (large_page - reinterpret_cast<std::uintptr_t>(mapped) % large_page) % large_page;
    if (head > 0) munmap(begin, head);
    munmap(begin + head + size, large_page - head);
    madvise(begin + head, size, MADV_HUGEPAGE);  // a wish: no harm where it fails
    return begin + head;
  }
#endif
  void* memory = ::operator new(bytes + 1, std::align_val_t(alignment));
  std::memset(memory, 0, bytes);
  return memory;
}

inline void give_memory(void* memory, std::size_t bytes) {
#ifdef __linux__
  if (bytes >= large_page) {
    munmap(memory, (bytes + 65535) / 65536 * 65536);
    return;
  }
#endif
  ::operator delete(memory, std::align_val_t(alignment));
}

}  // namespace detail

/// `size` elements of a trivial type, zeroed, aligned to a cache line; movable only.
template <class T> class AlignedArray {
 public:
  AlignedArray() = default;
  explicit AlignedArray(std::size_t size)
      : size_(size), data_(static_cast<T*>(detail::take_memory(size * sizeof(T))), Free{size * sizeof(T)}) {}

  T* data() { return data_.get(); }
  const T* data() const { return data_.get(); }
  std::size_t size() const { return size_; }
  T& operator[](std::size_t i) { return data_.get()[i]; }
  const T& operator[](std::size_t i) const { return data_.get()[i]; }

 private:
  struct Free {
    std::size_t bytes = 0;
    void operator()(T* p) const { detail::give_memory(p, bytes); }
  };

  std::size_t size_ = 0;
  std::unique_ptr<T, Free> data_{nullptr, Free{}};
};

/// Read-only bytes, shared between copies: either an AlignedArray that this object owns, or memory of somebody else (a
/// mapped file) that `keep_alive` holds open.
class Bytes {
 public:
  Bytes() = default;
  explicit Bytes(AlignedArray<std::uint8_t> owned) : size_(owned.size()) {
    auto shared = std::make_shared<AlignedArray<std::uint8_t>>(std::move(owned));
    data_ = std::shared_ptr<const std::uint8_t>(shared, shared->data());
  }
  /// `data` must be aligned to a cache line.
  Bytes(const std::uint8_t* data, std::size_t size, std::shared_ptr<const void> keep_alive)
      : size_(size), data_(std::move(keep_alive), data) {}

  const std::uint8_t* data() const { return data_.get(); }
  std::size_t size() const { return size_; }
  friend bool operator==(const Bytes& a, const Bytes& b) {
    return a.size_ == b.size_ && (a.size_ == 0 || std::memcmp(a.data(), b.data(), a.size_) == 0);
  }

 private:
  std::size_t size_ = 0;
  std::shared_ptr<const std::uint8_t> data_;
};

}  // namespace nibble
