// Hessian: the moments of a layer's inputs, gathered batch by batch, and the factorisations of the second.
#pragma once

#include <algorithm>
#include <atomic>
#include <bit>
#include <cstring>
#include <istream>
#include <memory>
#include <mutex>
#include <optional>
#include <ostream>
#include <vector>

#include "nibble/metrics.h"
#include "nibble/rounding/feedback.h"
#include "nibble/rounding/second_moments.h"

namespace nibble {

struct HessianOptions {
  int threads = 1;                     ///< parts that sums are spread over; at least 1
  std::optional<Executor> executor{};  ///< runs the parts; by default OpenMP where compiled with it, else the caller
};

/// The Hessian of the squared error of a linear layer's outputs: H = sum of 2 w x x^T / sum of w over the samples x of
/// its K inputs, whose weights w are 1 unless given; beside it their mean. Products are floats, sums over more than 512
/// samples doubles; the mean is double throughout.
/// A value: copies share memory until one of them changes. Constant members may be called by many threads at once.
/// Sources: Frantar et al., "GPTQ", 2023; for the weights Sung et al., "RSQ", 2025.
class Hessian {
 public:
  /// That of a layer of `inputs` inputs, without samples.
  explicit Hessian(Index inputs, HessianOptions options = {}) : options_(std::move(options)) {
    if (inputs < 0) invalid("Hessian", "a number of inputs of at least 0", inputs);
    check_parallel("Hessian", {options_.threads, options_.executor});
    state_ = std::make_shared<State>();
    state_->sum = Eigen::MatrixXd::Zero(inputs, inputs);
    state_->first = Eigen::VectorXd::Zero(inputs);
  }

  /// That of the samples X (K x M, any dense expression), as `add` makes it.
  template <class Derived>
  explicit Hessian(const Eigen::MatrixBase<Derived>& x, HessianOptions options = {})
      : Hessian(x.rows(), std::move(options)) {
    add(x);
  }

  /// That whose matrix is known, as if from `samples` samples, whose mean is not. Throws std::invalid_argument unless
  /// it is square, finite, symmetric to 1e-5 of its largest element, without negative diagonal elements.
  template <class Derived>
  static Hessian from_matrix(const Eigen::MatrixBase<Derived>& matrix, Index samples = 1, HessianOptions options = {}) {
    const Eigen::MatrixXd h = matrix.template cast<double>();
    if (h.rows() != h.cols()) invalid("Hessian::from_matrix", "a square matrix", text(h.rows(), " x ", h.cols()));
    if (samples < 1 || samples >= most_samples)
      invalid("Hessian::from_matrix", text("from 1 to ", most_samples - 1, " samples"), samples);
    if (!h.allFinite()) invalid("Hessian::from_matrix", "finite elements", "a NaN or an infinity");
    const double largest = h.size() == 0 ? 0 : h.cwiseAbs().maxCoeff();
    for (Index j = 0; j < h.cols(); ++j) {
      if (h(j, j) < 0) invalid("Hessian::from_matrix", "a diagonal of at least 0", text(h(j, j), " for input ", j));
      for (Index i = 0; i < j; ++i)
        if (std::abs(h(i, j) - h(j, i)) > 1e-5 * largest)
          invalid("Hessian::from_matrix", "a symmetric matrix",
                  text(h(i, j), " at (", i, ", ", j, ") and ", h(j, i), " at (", j, ", ", i, ")"));
    }
    Hessian result(h.rows(), std::move(options));
    result.state_->sum = h * (static_cast<double>(samples) / 4) + h.transpose() * (static_cast<double>(samples) / 4);
    if (!result.state_->sum.allFinite())
      invalid("Hessian::from_matrix", text("elements whose ", samples, "-fold is finite"), largest);
    result.state_->definite = false;
    result.state_->samples = samples;
    result.state_->weight = static_cast<double>(samples);
    result.state_->has_mean = false;
    return result;
  }

  Index inputs() const { return state_->sum.rows(); }
  /// Samples added, those of weight 0 included.
  Index samples() const { return state_->samples; }
  /// The sum of their weights.
  double weight() const { return state_->weight; }

  /// Adds the samples X, K x batch: any dense expression, rounded to float. Batches of any sizes give the same Hessian
  /// to rounding, any number of threads the same bits. Throws std::invalid_argument, before anything is added, where X
  /// has another number of rows, a NaN or an infinity.
  template <class Derived> void add(const Eigen::MatrixBase<Derived>& x) {
    add_samples(x.template cast<float>(), nullptr);
  }
  /// Adds samples that count `weights` times, one for each column: each 0 or from 1e-150 to 1e150.
  template <class Derived, class Weights>
  void add(const Eigen::MatrixBase<Derived>& x, const Eigen::MatrixBase<Weights>& weights) {
    const Eigen::VectorXd w = weights.derived().reshaped().template cast<double>();
    if (w.size() != x.cols()) invalid("Hessian::add", text(x.cols(), " weights, one for each sample"), w.size());
    for (Index m = 0; m < w.size(); ++m)
      if (!(w[m] == 0 || (w[m] >= 1e-150 && w[m] <= 1e150)))
        invalid("Hessian::add", "weights of 0 or from 1e-150 to 1e150", text(w[m], " for sample ", m));
    add_samples(x.template cast<float>(), &w);
  }

  /// Adds the samples of `other`, a Hessian of as many inputs.
  template <unsigned Baseline = isa::baseline> void merge(const Hessian& other) {
    if (other.inputs() != inputs())
      invalid("Hessian::merge", text("a Hessian of ", inputs(), " inputs"), other.inputs());
    const std::shared_ptr<State> added = other.state_;
    State& state = own();
    state.sum += added->sum;
    state.first += added->first;
    state.has_mean = state.has_mean && added->has_mean;
    {
      const std::lock_guard<std::mutex> lock(added->guard);
      state.definite = state.definite && added->definite;
    }
    state.samples += added->samples;
    state.weight += added->weight;
  }

  /// H, K x K. Throws std::invalid_argument where there are no samples that count.
  template <unsigned Baseline = isa::baseline> Eigen::MatrixXd matrix() const {
    Eigen::MatrixXd h = state_->sum.selfadjointView<Eigen::Lower>();
    return h *= scale("Hessian::matrix");
  }
  /// Its diagonal.
  template <unsigned Baseline = isa::baseline> Eigen::VectorXd diagonal() const {
    return state_->sum.diagonal() * scale("Hessian::diagonal");
  }

  /// Whether the mean of the samples is known: unless this comes, even in part, of `from_matrix`.
  bool has_mean() const { return state_->has_mean; }
  /// The mean of the samples, by their weights: K numbers. Throws std::invalid_argument where it is not known or there
  /// are no samples that count.
  template <unsigned Baseline = isa::baseline> Eigen::VectorXd mean() const {
    const double factor = scale("Hessian::mean") / 2;
    if (!has_mean()) invalid("Hessian::mean", "a Hessian of samples", "one from a matrix, whose mean is not known");
    return state_->first * factor;
  }
  /// The Hessian of the samples less their mean mu, H - 2 mu mu^T: that of a layer whose bias makes good the mean error
  /// of its outputs (corrected_bias). Differences of float sums: of no use where an input varies by less than some 1e-3
  /// of its mean. Damping stays. Throws as `mean` does.
  template <unsigned Baseline = isa::baseline> Hessian centred() const {
    const Eigen::VectorXd mu = mean();
    Hessian result = *this;
    State& state = result.own();
    state.sum.template selfadjointView<Eigen::Lower>().rankUpdate(mu, -weight());
    state.sum.diagonal() = state.sum.diagonal().cwiseMax(0.0).eval();
    state.first.setZero();
    return result;
  }

  /// tr(E H E^T) of an N x K matrix, in double.
  template <unsigned Baseline = isa::baseline> double quadratic_form(const Eigen::MatrixXd& e) const {
    if (e.cols() != inputs()) invalid("Hessian::quadratic_form", text("a matrix of ", inputs(), " columns"), e.cols());
    const double factor = scale("Hessian::quadratic_form");
    if (e.size() == 0) return 0;
    double sum = 0;
    constexpr Index rows = 64;  // at a time: little memory beside e
    for (Index i = 0; i < e.rows(); i += rows) {
      const Eigen::MatrixXd part = e.middleRows(i, std::min(rows, e.rows() - i)).transpose();
      const Eigen::MatrixXd product = state_->sum.selfadjointView<Eigen::Lower>() * part;
      sum += product.cwiseProduct(part).sum();
    }
    return factor * sum;
  }

  /// What makes the diagonal of inputs that were always 0 the mean of the others (1 where there are none), and then
  /// adds `fraction` of the mean diagonal to all of it.
  template <unsigned Baseline = isa::baseline> Eigen::VectorXd damping(double fraction) const {
    if (!(fraction >= 0 && std::isfinite(fraction)))
      invalid("Hessian::damping", "a finite damping of at least 0", fraction);
    const Eigen::VectorXd d = diagonal();
    const Index live = (d.array() > 0).count();
    const double mean = live > 0 ? d.sum() / static_cast<double>(live) : 1;
    return (d.array() > 0).select(Eigen::VectorXd::Zero(d.size()), mean).array() + fraction * mean;
  }

  /// The Hessian with `damping(fraction)` on its diagonal.
  template <unsigned Baseline = isa::baseline> Hessian damped(double fraction) const {
    const Eigen::VectorXd more = damping(fraction);
    Hessian result = *this;
    result.own().sum.diagonal() += more / scale("Hessian::damped");
    return result;
  }

  /// How the damped H hands errors of runs of `dim` inputs on to later ones, when they are rounded in the order `runs`.
  /// Computed once, by `parallel`, and shared by all copies of this Hessian; the latest four are kept. Throws
  /// std::invalid_argument, in the name of `function`, where there are no samples or the damped H is not positive
  /// definite.
  template <unsigned Baseline = isa::baseline>
  std::shared_ptr<const rounding::Feedback> feedback(const char* function, double fraction, int dim,
                                                     const std::vector<Index>& runs, const Parallel& parallel) const {
    auto& kept = state_->factors;
    const auto find = [&]() -> std::shared_ptr<const rounding::Feedback> {
      for (const Factor& f : kept)
        if (f.damping == fraction && f.feedback->dim == dim && f.feedback->order == runs) return f.feedback;
      return nullptr;
    };
    {
      const std::lock_guard<std::mutex> lock(state_->guard);
      if (auto found = find()) return found;
    }
    const double factor = scale(function);
    const Eigen::VectorXd more = damping(fraction);
    std::vector<Index> positions;
    for (Index run : runs)
      for (Index j = run * dim; j < std::min(inputs(), (run + 1) * dim); ++j) positions.push_back(j);
    const Index k = inputs();
    Eigen::MatrixXd h(k, k);
    parallel_for(k, parallel, [&](Index begin, Index end) {
      for (Index c = begin; c < end; ++c) {
        const Index j = positions[static_cast<std::size_t>(k - 1 - c)];
        for (Index r = c; r < k; ++r) {
          const Index i = positions[static_cast<std::size_t>(k - 1 - r)];
          h(r, c) = factor * state_->sum(std::max(i, j), std::min(i, j));
        }
        h(c, c) += more[j];
      }
    });
    rounding::BadPivot bad;
    auto made = std::make_shared<const rounding::Feedback>(dim, runs, std::move(positions), h, parallel, bad);
    if (bad.column >= 0)
      reject(function, {made->inputs[static_cast<std::size_t>(bad.column)], bad.value}, fraction, parallel);
    const std::lock_guard<std::mutex> lock(state_->guard);
    if (auto found = find()) return found;  // another thread's, made meanwhile
    if (kept.size() == 4) kept.erase(kept.begin());
    kept.push_back({fraction, made});
    return made;
  }

  /// Throws std::invalid_argument, in the name of `function`, where H comes, even in part, from a matrix or a file and
  /// is not positive definite with a damping of 0.01. Computed once.
  template <unsigned Baseline = isa::baseline>
  void check_definite(const char* function, const Parallel& parallel) const {
    {
      const std::lock_guard<std::mutex> lock(state_->guard);
      if (state_->definite || !(weight() > 0)) return;
    }
    constexpr double fraction = 0.01;
    Eigen::MatrixXd h = damped(fraction).matrix();
    const rounding::BadPivot bad = rounding::cholesky_in_place(h, parallel);
    if (bad.column >= 0) reject(function, bad, fraction, parallel);
    const std::lock_guard<std::mutex> lock(state_->guard);
    state_->definite = true;
  }

  /// Throws the std::invalid_argument that says that H is not positive definite with a damping of `fraction`, and names
  /// one with which it is.
  template <unsigned Baseline = isa::baseline>
  [[noreturn]] void reject(const char* function, const rounding::BadPivot& bad, double fraction,
                           const Parallel& parallel) const {
    double enough = std::max(0.01, 10 * fraction);
    for (int tries = 0; tries < 16; ++tries, enough *= 10) {
      Eigen::MatrixXd h = damped(enough).matrix();
      if (rounding::cholesky_in_place(h, parallel).column < 0) break;
    }
    invalid(function, "a Hessian that is positive definite once damped",
            text("a pivot of ", bad.value, " at input ", bad.column, " with damping ", fraction, "; try a damping of ",
                 enough));
  }

  /// Writes "NIBBLEHS", u32 version, u32 1 where the mean is known, else 0, u64 inputs, u64 samples, f64 sum of
  /// weights, then in doubles the sum of w x x^T, its lower triangle column by column, and where the mean is known the
  /// sum of w x. Little-endian. Throws IoError where the stream does not take them.
  void save(std::ostream& out) const {
    static_assert(std::endian::native == std::endian::little, "files are little-endian");
    const Head head{.has_mean = has_mean(),
                    .inputs = static_cast<std::uint64_t>(inputs()),
                    .samples = static_cast<std::uint64_t>(samples()),
                    .weight = weight()};
    out.write(reinterpret_cast<const char*>(&head), sizeof head);
    for (Index j = 0; j < inputs(); ++j)
      out.write(reinterpret_cast<const char*>(&state_->sum(j, j)), (inputs() - j) * static_cast<Index>(sizeof(double)));
    if (has_mean())
      out.write(reinterpret_cast<const char*>(state_->first.data()), inputs() * static_cast<Index>(sizeof(double)));
    if (!out.flush()) raise(IoError("<stream>", 0, "cannot write a Hessian"));
  }

  /// Reads what `save` wrote and leaves the stream behind it. Memory grows with the bytes that arrive, never on the
  /// header's word. Throws IoError where the bytes end early or are not a Hessian.
  static Hessian load(std::istream& in, HessianOptions options = {}) {
    std::uint64_t at = 0;
    const auto expect = [&](bool ok, const std::string& what) {
      if (!ok) raise(IoError("<stream>", at, what));
    };
    Head head;
    const Head sample;
    in.read(reinterpret_cast<char*>(&head), sizeof head);
    expect(in.gcount() == sizeof head, text("expected a header of ", sizeof head, " bytes, got ", in.gcount()));
    expect(std::memcmp(head.magic, sample.magic, 8) == 0, "not a nibble Hessian");
    expect(head.version == sample.version && head.has_mean <= 1, "not version 1");
    expect(head.inputs < (std::uint64_t{1} << 24) && head.samples < static_cast<std::uint64_t>(most_samples),
           "sizes out of range");
    expect(head.weight >= 0 && std::isfinite(head.weight) && (head.weight == 0 || head.samples > 0),
           "a sum of weights that is none");
    at = sizeof head;
    const auto k = static_cast<Index>(head.inputs);
    const auto read = [&](Index count) {
      std::vector<double> values;
      while (static_cast<Index>(values.size()) < count) {
        const auto have = static_cast<Index>(values.size()), want = std::min<Index>(count - have, 1 << 16);
        values.resize(static_cast<std::size_t>(have + want));
        in.read(reinterpret_cast<char*>(values.data() + have), want * static_cast<Index>(sizeof(double)));
        at += static_cast<std::uint64_t>(in.gcount());
        expect(in.gcount() == want * static_cast<Index>(sizeof(double)), "the Hessian ends early");
      }
      expect(std::all_of(values.begin(), values.end(), [](double x) { return std::isfinite(x); }),
             "an element is not finite");
      return values;
    };
    std::vector<std::vector<double>> columns;  // no K x K matrix before all of it has arrived
    for (Index j = 0; j < k; ++j) {
      columns.push_back(read(k - j));
      expect(columns.back()[0] >= 0, "a diagonal element is negative");
    }
    const std::vector<double> first = read(head.has_mean != 0 ? k : 0);
    Hessian result(k, std::move(options));
    for (Index j = 0; j < k; ++j) {
      auto& column = columns[static_cast<std::size_t>(j)];
      std::copy(column.begin(), column.end(), &result.state_->sum(j, j));
      std::vector<double>().swap(column);
    }
    std::copy(first.begin(), first.end(), result.state_->first.data());
    result.state_->has_mean = head.has_mean != 0;
    result.state_->definite = false;
    result.state_->samples = static_cast<Index>(head.samples);
    result.state_->weight = head.weight;
    return result;
  }

 private:
  static constexpr Index most_samples = Index{1} << 53;

  struct Factor {
    double damping = 0;
    std::shared_ptr<const rounding::Feedback> feedback;
  };
  struct State {
    Eigen::MatrixXd sum;    ///< of w x x^T: its lower triangle; what is above means nothing
    Eigen::VectorXd first;  ///< the sum of w x
    bool has_mean = true;   ///< whether it is that
    Index samples = 0;
    double weight = 0;
    bool definite = true;  ///< whether H is known to be positive semidefinite, as that of samples is
    std::mutex guard;      ///< of `definite` and `factors`
    std::vector<Factor> factors;
  };
  struct Head {
    char magic[8] = {'N', 'I', 'B', 'B', 'L', 'E', 'H', 'S'};
    std::uint32_t version = 1, has_mean = 0;
    std::uint64_t inputs = 0, samples = 0;
    double weight = 0;
  };

  /// From the sum of w x x^T to H.
  double scale(const char* function) const {
    if (inputs() == 0) return 1;
    if (!(state_->weight > 0)) invalid(function, "a Hessian of samples that count", text(samples(), " samples"));
    return 2 / state_->weight;
  }

  /// The state, this object's alone and without factorisations, to be changed.
  State& own() {
    if (state_.use_count() > 1) {
      auto copy = std::make_shared<State>();
      copy->sum = state_->sum;
      copy->first = state_->first;
      copy->has_mean = state_->has_mean;
      copy->samples = state_->samples;
      copy->weight = state_->weight;
      {
        const std::lock_guard<std::mutex> lock(state_->guard);
        copy->definite = state_->definite;
      }
      state_ = std::move(copy);
    } else {
      std::atomic_thread_fence(std::memory_order_acquire);  // with what a copy's thread did before it let go
    }
    state_->factors.clear();
    return *state_;
  }

  template <unsigned Baseline = isa::baseline>
  void add_samples(const Eigen::Ref<const Eigen::MatrixXf, 0, Eigen::OuterStride<>>& x,
                   const Eigen::VectorXd* weights) {
    if (x.rows() != inputs()) invalid("Hessian::add", text("samples of ", inputs(), " inputs"), x.rows());
    if (!x.allFinite()) invalid("Hessian::add", "finite samples", "a NaN or an infinity");
    State& state = own();
    for (Index m = 0; m < x.cols(); ++m)
      state.first += (weights != nullptr ? (*weights)[m] : 1.0) * x.col(m).cast<double>();
    constexpr Index batch = 512;
    const Parallel parallel{options_.threads, options_.executor};
    Eigen::MatrixXf part;
    for (Index first = 0; first < x.cols() && x.rows() > 0; first += batch) {
      part = x.middleCols(first, std::min(batch, x.cols() - first));
      if (weights != nullptr)
        for (Index m = 0; m < part.cols(); ++m)
          if (!((*weights)[first + m] > 0)) part.col(m).setZero();
      const float largest = part.cwiseAbs().maxCoeff();
      if (largest == 0) continue;
      const int exponent = std::ilogb(largest);  // of the part's unit, so that no square leaves the range of floats
      if (exponent < -30 || exponent > 30)
        part = part.unaryExpr([exponent](float v) { return std::ldexp(v, -exponent); }).eval();
      const double unit = exponent < -30 || exponent > 30 ? std::ldexp(1.0, 2 * exponent) : 1;
      double most = 1;
      if (weights != nullptr) {
        const auto of_part = weights->segment(first, part.cols());
        most = of_part.maxCoeff();
        if (!(most > 0)) continue;
        part = part * (of_part / most).cwiseSqrt().cast<float>().asDiagonal();
      }
      rounding::add_second_moments(part, unit * most, state.sum, parallel);
    }
    state.samples += x.cols();
    state.weight += weights != nullptr ? weights->sum() : static_cast<double>(x.cols());
  }

  HessianOptions options_;
  std::shared_ptr<State> state_;
};

}  // namespace nibble
