#ifdef NIBBLE_BENCH_ONEDNN
#include <nibble/core/aligned.h>
#include <omp.h>

#include <dnnl.hpp>
#include <random>

#include "peers.h"

namespace nibble::bench {
namespace {

using Memory = dnnl::memory;
using Tag = Memory::format_tag;

/// Y' (M x N) = X' (M x K) W' (K x N), row-major, which is Y = W X column-major; W' as the library likes it best.
class Matmul {
 public:
  Matmul(std::ptrdiff_t n, std::ptrdiff_t k, std::ptrdiff_t m, Memory::data_type x, Memory::data_type w,
         Memory::data_type y)
      : plain_({k, n}, w, Tag::ab),
        x_({m, k}, x, Tag::ab),
        y_({m, n}, y, Tag::ab),
        about_(describe({{k, n}, w, Tag::any})) {
    omp_set_num_threads(1);
  }

  Memory::desc x() const { return x_; }
  Memory::desc y() const { return y_; }
  Memory memory(const Memory::desc& what) const { return Memory(what, engine_); }
  Memory memory(const Memory::desc& what, void* data) const { return Memory(what, engine_, data); }

  /// Adds a copy of W, given column-major, in memory like that of all other weights.
  void add(const void* w) {
    auto bytes = std::make_shared<AlignedArray<std::uint8_t>>(about_.weights_desc().get_size());
    Memory from(plain_, engine_, const_cast<void*>(w));
    Memory to(about_.weights_desc(), engine_, bytes->data());
    dnnl::reorder(from, to).execute(stream_, from, to);
    stream_.wait();
    w_.push_back(to);
    storage_.push_back(std::move(bytes));
  }

  std::function<void()> product(Memory x, Memory y) const {
    return [self = *this, run = dnnl::matmul(about_), x, y, next = std::size_t{0}]() mutable {
      run.execute(self.stream_,
                  {{DNNL_ARG_SRC, x}, {DNNL_ARG_WEIGHTS, self.w_[next++ % self.w_.size()]}, {DNNL_ARG_DST, y}});
      self.stream_.wait();
    };
  }

 private:
  dnnl::matmul::primitive_desc describe(const Memory::desc& w) const {
#if DNNL_VERSION_MAJOR >= 3
    return {engine_, x_, w, y_};
#else
    return {{x_, w, y_}, engine_};
#endif
  }

  dnnl::engine engine_{dnnl::engine::kind::cpu, 0};
  dnnl::stream stream_{engine_};
  Memory::desc plain_, x_, y_;
  dnnl::matmul::primitive_desc about_;
  std::vector<Memory> w_;
  std::vector<std::shared_ptr<AlignedArray<std::uint8_t>>> storage_;
};

}  // namespace

std::function<void()> onednn_product(const FloatOperands& operands) {
  using Type = Memory::data_type;
  Matmul matmul(operands.n, operands.k, operands.m, Type::f32, Type::f32, Type::f32);
  for (const float* w : operands.w) matmul.add(w);
  return matmul.product(matmul.memory(matmul.x(), const_cast<float*>(operands.x)),
                        matmul.memory(matmul.y(), operands.y));
}

std::function<void()> onednn_int8_product(std::ptrdiff_t n, std::ptrdiff_t k, std::ptrdiff_t m,
                                          std::ptrdiff_t working_set) {
  using Type = Memory::data_type;
  Matmul matmul(n, k, m, Type::u8, Type::s8, Type::s32);
  const auto random = [generator = std::minstd_rand(2)](std::ptrdiff_t count) mutable {
    std::vector<unsigned char> bytes(static_cast<std::size_t>(count));
    for (unsigned char& byte : bytes) byte = static_cast<unsigned char>(generator() >> 8);
    return bytes;
  };
  {
    auto draw = random;
    const auto w = draw(n * k);
    for (std::ptrdiff_t size = 0; size == 0 || size < working_set; size += n * k) matmul.add(w.data());
  }
  Memory x = matmul.memory(matmul.x());
  auto draw = random;
  const auto bytes = draw(k * m);
  std::copy(bytes.begin(), bytes.end(), static_cast<unsigned char*>(x.get_data_handle()));
  return matmul.product(x, matmul.memory(matmul.y()));
}

}  // namespace nibble::bench

#endif
