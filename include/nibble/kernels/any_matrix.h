// AnyMatrix: a matrix whose type is known at run time only.
#pragma once

#include <memory>
#include <utility>

#include "nibble/kernels/compounds.h"

namespace nibble {

/// Any low-bit matrix behind one type, for programs that choose a scheme at run time. A value: copies share the matrix,
/// which never changes. It multiplies dense expressions and QuantizedActivations<Int<8>>.
class AnyMatrix {
 public:
  /// A Dense 0 x 0 matrix.
  template <unsigned Baseline = isa::baseline> AnyMatrix() : AnyMatrix(Dense()) {}

  /// Holds `m`.
  template <class M, unsigned Baseline = isa::baseline>
    requires(!std::same_as<M, AnyMatrix> && LowBitMatrix<M>)
  AnyMatrix(M m) : held_(std::make_shared<const Holder<M, Baseline>>(std::move(m))) {}

  Index rows() const { return held_->rows(); }
  Index cols() const { return held_->cols(); }
  Eigen::MatrixXf dequantize() const { return held_->dequantize(); }
  Index bytes() const { return held_->bytes(); }
  double bits_per_weight() const { return held_->bits_per_weight(); }

  /// What files call the type of the matrix held: "int4/g32/float", "Sum(e2m1/..., Sparse)".
  std::string type_name() const { return held_->name(); }

  /// The matrix held, or null where it is no M.
  template <LowBitMatrix M> const M* get() const {
    return held_->type() == &type_id<M> ? static_cast<const M*>(held_->matrix()) : nullptr;
  }

  /// Matrices of one type that are equal.
  template <std::same_as<AnyMatrix> M> friend bool operator==(const M& a, const M& b) {
    return a.held_ == b.held_ || (a.held_->type() == b.held_->type() && a.held_->equals(b.held_->matrix()));
  }

  static std::string name() { return "AnyMatrix"; }

  /// Writes the file of the matrix held, which its own type can load too.
  void save(std::ostream& out) const { held_->save(out); }

  /// Reads what `save`, or one of the Types, wrote and leaves the stream behind it. Types are matrices, or schemes for
  /// the QuantizedMatrix of each; AnyMatrix in them, as in Sum<AnyMatrix, AnyMatrix>, may be any of them again. Throws
  /// IoError where the file holds none of the types, and as their own load does.
  template <class... Types> static AnyMatrix load(std::istream& in) {
    return detail::MatrixReader(in).matrix<AnyMatrix, Types...>();
  }

  /// For Compound::load.
  template <class... Types> static AnyMatrix read(detail::MatrixReader& reader) {
    static_assert(sizeof...(Types) > 0, "load names the types that an AnyMatrix may hold: load<Int<4>, Sparse, ...>");
    const std::uint64_t start = reader.offset();
    const std::string name = reader.next_name();
    AnyMatrix found;
    if (!(read_if<MatrixOf<Types>, Types...>(reader, name, found) || ...))
      reader.fail(start + 40, text("none of the types asked for: ", name));
    return found;
  }

  /// For products of floats and of quantized activations.
  template <class X>
  void multiply(const X& x, kernels::Outputs y, const GemmOptions& options, const Epilogue& epilogue) const {
    held_->multiply(x, y, options, epilogue);
  }
  bool overlaps(const kernels::Memory& memory) const { return held_->overlaps(memory); }

 private:
  template <class T> struct MatrixFor { using type = QuantizedMatrix<T>; };
  template <LowBitMatrix T> struct MatrixFor<T> { using type = T; };
  template <class T> using MatrixOf = typename MatrixFor<T>::type;

  /// Its address stands for the type.
  template <class M> static constexpr char type_id = 0;

  struct Interface {
    virtual ~Interface() = default;
    virtual Index rows() const = 0;
    virtual Index cols() const = 0;
    virtual Eigen::MatrixXf dequantize() const = 0;
    virtual Index bytes() const = 0;
    virtual double bits_per_weight() const = 0;
    virtual std::string name() const = 0;
    virtual const void* type() const = 0;
    virtual const void* matrix() const = 0;
    virtual bool equals(const void* other) const = 0;
    virtual void save(std::ostream& out) const = 0;
    virtual bool overlaps(const kernels::Memory& memory) const = 0;
    virtual void multiply(const kernels::FloatInputs& x, kernels::Outputs y, const GemmOptions& options,
                          const Epilogue& epilogue) const = 0;
    virtual void multiply(const QuantizedActivations<Int<8>>& x, kernels::Outputs y, const GemmOptions& options,
                          const Epilogue& epilogue) const = 0;
  };

  template <class M, unsigned Baseline> struct Holder final : Interface {
    explicit Holder(M m) : held(std::move(m)) {}
    Index rows() const override { return held.rows(); }
    Index cols() const override { return held.cols(); }
    Eigen::MatrixXf dequantize() const override { return held.dequantize(); }
    Index bytes() const override { return held.bytes(); }
    double bits_per_weight() const override { return held.bits_per_weight(); }
    std::string name() const override { return matrix_name<M>(); }
    const void* type() const override { return &type_id<M>; }
    const void* matrix() const override { return &held; }
    bool equals(const void* other) const override { return held == *static_cast<const M*>(other); }
    void save(std::ostream& out) const override { held.save(out); }
    bool overlaps(const kernels::Memory& memory) const override { return memory.overlaps(held); }
    void multiply(const kernels::FloatInputs& x, kernels::Outputs y, const GemmOptions& options,
                  const Epilogue& epilogue) const override {
      kernels::MatrixProduct<M, Baseline>::run(held, x, y, options, epilogue);
    }
    void multiply(const QuantizedActivations<Int<8>>& x, kernels::Outputs y, const GemmOptions& options,
                  const Epilogue& epilogue) const override {
      kernels::MatrixProduct<M, Baseline>::run(held, x, y, options, epilogue);
    }
    M held;
  };

  template <class M, class... Types>
  static bool read_if(detail::MatrixReader& reader, const std::string& name, AnyMatrix& found) {
    if (matrix_name<M>() != name) return false;
    found = AnyMatrix(reader.matrix<M, Types...>());
    return true;
  }

  std::shared_ptr<const Interface> held_;
};

template <unsigned Baseline> struct kernels::MatrixProduct<AnyMatrix, Baseline> {
  template <class X>
  static void run(const AnyMatrix& w, const X& x, Outputs y, const GemmOptions& options, const Epilogue& e) {
    static_assert(std::same_as<X, FloatInputs> || std::same_as<X, QuantizedActivations<Int<8>>>,
                  "AnyMatrix multiplies floats and QuantizedActivations<Int<8>>");
    w.multiply(x, y, options, e);
  }
};

}  // namespace nibble
