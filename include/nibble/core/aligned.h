// Aligned storage: bytes that start on a cache line, owned or borrowed, shared and never changed once built.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <new>

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

/// Linux backs arrays of at least this size with large pages where it may: a weight matrix that streams from memory is
/// read a third faster.
inline constexpr std::size_t large_page = std::size_t{1} << 21;

/// `size` elements of a trivial type, zeroed, aligned to a cache line; movable only.
template <class T> class AlignedArray {
 public:
  AlignedArray() = default;
  explicit AlignedArray(std::size_t size) : size_(size) {
    const std::size_t bytes = size * sizeof(T);
    const std::size_t unit = unit_of(bytes);
    void* memory = ::operator new(bytes + 1, std::align_val_t(unit));
#ifdef __linux__
    if (unit == large_page) madvise(memory, bytes, MADV_HUGEPAGE);  // a wish: it does no harm where it fails
#endif
    std::memset(memory, 0, bytes);
    data_ = {static_cast<T*>(memory), Free{unit}};
  }

  T* data() { return data_.get(); }
  const T* data() const { return data_.get(); }
  std::size_t size() const { return size_; }
  T& operator[](std::size_t i) { return data_.get()[i]; }
  const T& operator[](std::size_t i) const { return data_.get()[i]; }

 private:
  struct Free {
    std::size_t unit = alignment;
    void operator()(T* p) const { ::operator delete(p, std::align_val_t(unit)); }
  };
  static std::size_t unit_of(std::size_t bytes) { return bytes < large_page ? alignment : large_page; }

  std::size_t size_ = 0;
  std::unique_ptr<T, Free> data_;
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
