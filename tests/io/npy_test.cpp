// .npy files made by NumPy, by hand and by ourselves; and files that are not to be trusted.
#include "nibble/io/npy.h"

#include <gtest/gtest.h>

#include <sstream>

#include "nibble/core/random.h"

namespace nibble {
namespace {

namespace fs = std::filesystem;
using testing::Test;

fs::path golden(const std::string& name) {
  return fs::path(NIBBLE_TEST_DATA_DIR) / "npy" / (name + ".npy");
}

std::string contents(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  std::ostringstream out;
  out << in.rdbuf();
  return out.str();
}

/// A file of this test's own, gone with this object.
class TemporaryFile {
 public:
  TemporaryFile()
      : path_(fs::temp_directory_path() / text("nibble_",
                                               ::testing::UnitTest::GetInstance()->current_test_info()->name(), "_",
                                               reinterpret_cast<std::uintptr_t>(this), ".npy")) {}
  ~TemporaryFile() { fs::remove(path_); }
  TemporaryFile(const TemporaryFile&) = delete;
  TemporaryFile& operator=(const TemporaryFile&) = delete;
  const fs::path& path() const { return path_; }
  void write(const std::string& bytes) const { std::ofstream(path_, std::ios::binary) << bytes; }

 private:
  fs::path path_;
};

/// The bytes of a version 1 file.
std::string file(const std::string& dict, const std::string& data = "") {
  std::string head("\x93NUMPY\x01\0", 8);
  head += static_cast<char>(dict.size() & 255);
  head += static_cast<char>(dict.size() >> 8);
  return head + dict + data;
}

template <class Scalar = float> void expect_rejected(const std::string& bytes, std::uint64_t offset, const char* what) {
  SCOPED_TRACE(what);
  std::istringstream in(bytes);
  try {
    read_npy<Scalar>(in);
    ADD_FAILURE() << "accepted";
  } catch (const IoError& error) {
    EXPECT_EQ(error.what(), text("<stream>: byte ", offset, ": ", what));
    EXPECT_EQ(error.offset(), offset);
    EXPECT_EQ(error.path(), "<stream>");
  }
}

// Golden files

/// The element that make_npy.py puts at (i, j).
double golden_value(const std::string& kind, Eigen::Index i, Eigen::Index j) {
  if (kind == "b1") return static_cast<double>((5 * i + j) % 2);
  if (kind[0] == 'u') return static_cast<double>(5 * i + j);
  return static_cast<double>(3 * i - 2 * j + 1) + (kind[0] == 'f' ? 0.5 : 0);
}

template <class Scalar> void expect_golden(const std::string& name, const std::string& kind, int rows, int cols) {
  SCOPED_TRACE(name);
  const auto m = read_npy<Scalar>(golden(name));
  ASSERT_EQ(m.rows(), rows);
  ASSERT_EQ(m.cols(), cols);
  for (int i = 0; i < rows; ++i)
    for (int j = 0; j < cols; ++j) ASSERT_EQ(static_cast<double>(m(i, j)), golden_value(kind, i, j)) << i << ", " << j;
}

TEST(ReadNpy, EveryTypeOrderAndByteOrder) {
  for (const std::string kind : {"f2", "f4", "f8", "i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", "b1"}) {
    for (const std::string endian : {"", "b"}) {
      if (endian == "b" && kind[1] == '1') continue;
      for (const std::string order : {"c", "f"}) {
        const std::string name = endian + kind + "_" + order + "_3x5";
        expect_golden<float>(name, kind, 3, 5);
        expect_golden<double>(name, kind, 3, 5);
        expect_golden<Eigen::half>(name, kind, 3, 5);
        if (kind[0] != 'f' && kind != "u8") expect_golden<std::int64_t>(name, kind, 3, 5);
        if (kind[0] == 'u') expect_golden<std::uint64_t>(name, kind, 3, 5);
        if (kind == "b1") expect_golden<bool>(name, kind, 3, 5);
      }
    }
  }
}

TEST(ReadNpy, EveryShape) {
  for (const std::string order : {"c", "f"}) {
    expect_golden<float>("f4_" + order + "_0x3", "f4", 0, 3);
    expect_golden<float>("f4_" + order + "_4x0", "f4", 4, 0);
    expect_golden<float>("f4_" + order + "_1x1", "f4", 1, 1);
    expect_golden<float>("f4_" + order + "_17x2", "f4", 17, 2);
  }
  EXPECT_EQ(read_npy(golden("f4_1d")), (Eigen::Matrix<float, 5, 1>{1, 2, 3, 4, 5}));
  EXPECT_EQ(read_npy(golden("f4_1d_empty")).rows(), 0);
  EXPECT_EQ(read_npy(golden("f4_1d_empty")).cols(), 1);
  EXPECT_EQ(read_npy(golden("f4_0d")), Eigen::MatrixXf::Constant(1, 1, 7.5f));
}

TEST(ReadNpy, EveryVersion) {
  expect_golden<float>("f4_v2", "f4", 3, 5);
  expect_golden<float>("f4_v3", "f4", 3, 5);
}

template <class T> void expect_extremes(const std::string& kind) {
  SCOPED_TRACE(kind);
  const auto m = read_npy<T>(golden("extremes_" + kind));
  EXPECT_EQ(m(0, 0), std::numeric_limits<T>::lowest());
  EXPECT_EQ(m(1, 0), std::numeric_limits<T>::max());
  if constexpr (!std::is_integral_v<T>) {
    ASSERT_EQ(m.rows(), 6);
    EXPECT_TRUE(m(2, 0) == T(0) && std::signbit(static_cast<float>(m(2, 0))));
    EXPECT_EQ(m(3, 0), std::numeric_limits<T>::infinity());
    EXPECT_EQ(m(4, 0), -std::numeric_limits<T>::infinity());
    EXPECT_TRUE(std::isnan(static_cast<float>(m(5, 0))));
  }
}

TEST(ReadNpy, Extremes) {
  expect_extremes<Eigen::half>("f2");
  expect_extremes<float>("f4");
  expect_extremes<double>("f8");
  expect_extremes<std::int8_t>("i1");
  expect_extremes<std::uint8_t>("u1");
  expect_extremes<std::int16_t>("i2");
  expect_extremes<std::uint16_t>("u2");
  expect_extremes<std::int32_t>("i4");
  expect_extremes<std::uint32_t>("u4");
  expect_extremes<std::int64_t>("i8");
  expect_extremes<std::uint64_t>("u8");
  EXPECT_EQ(read_npy<float>(golden("extremes_u8"))(1, 0), 0x1p64f);
  EXPECT_EQ(read_npy<double>(golden("extremes_i8"))(0, 0), -0x1p63);
}

TEST(ReadNpy, LeavesTheStreamBehindTheArray) {
  std::stringstream both;
  both << contents(golden("f4_c_3x5")) << contents(golden("i2_f_3x5")) << "end";
  EXPECT_EQ(read_npy(both), read_npy(golden("f4_c_3x5")));
  EXPECT_EQ(read_npy(both), read_npy(golden("i2_f_3x5")));
  std::string rest;
  both >> rest;
  EXPECT_EQ(rest, "end");
}

TEST(ReadNpy, IntegersOnlyFromTypesThatFit) {
  const auto fits = [](const std::string& kind, auto scalar) {
    try {
      read_npy<decltype(scalar)>(golden((kind == "f4" ? "f4" : kind) + "_c_3x5"));
      return true;
    } catch (const IoError&) {
      return false;
    }
  };
  EXPECT_TRUE(fits("b1", std::int8_t{}) && fits("b1", std::uint8_t{}) && fits("b1", false));
  EXPECT_TRUE(fits("i1", std::int8_t{}) && fits("i1", std::int64_t{}));
  EXPECT_TRUE(fits("u1", std::uint8_t{}) && fits("u1", std::int16_t{}) && fits("u4", std::int64_t{}));
  EXPECT_FALSE(fits("i1", std::uint8_t{}) || fits("i1", std::uint64_t{}) || fits("u1", std::int8_t{}));
  EXPECT_FALSE(fits("i2", std::int8_t{}) || fits("u8", std::int64_t{}) || fits("u1", false));
  EXPECT_FALSE(fits("f2", std::int64_t{}) || fits("f4", std::int32_t{}) || fits("f8", std::int64_t{}));
  expect_rejected<std::uint8_t>(file("{'descr': '<i4', 'fortran_order': False, 'shape': (1,)}", "abcd"), 65,
                                "expected a type whose values all fit u1, got '<i4'");
}

// By hand

TEST(ReadNpy, KeysInAnyOrderWithAnyBlanks) {
  const std::string data("\0\0\x80?\0\0\0@", 8);
  for (const char* dict : {"{'descr': '<f4', 'fortran_order': False, 'shape': (1, 2)}",
                           "{\"shape\":(1,2),'descr':\"<f4\",'fortran_order':False}",
                           "{ 'fortran_order' : True , 'shape' : ( 1 , 2 , ) , 'descr' : '<f4' , }  \n"}) {
    std::istringstream in(file(dict, data));
    EXPECT_EQ(read_npy(in), (Eigen::MatrixXf(1, 2) << 1, 2).finished()) << dict;
  }
}

TEST(ReadNpy, RejectsBadHeaders) {
  expect_rejected("", 0, "expected 8 bytes of header, got 0");
  expect_rejected("\x93NUM", 4, "expected 8 bytes of header, got 4");
  expect_rejected("PK\x03\x04 an archive", 0, "expected a .npy file");
  expect_rejected(std::string("\x93NUMPY\x04\0", 8), 6, "expected version 1.0, 2.0 or 3.0, got 4.0");
  expect_rejected(std::string("\x93NUMPY\0\0", 8), 6, "expected version 1.0, 2.0 or 3.0, got 0.0");
  expect_rejected("\x93NUMPY\x01\x01", 6, "expected version 1.0, 2.0 or 3.0, got 1.1");
  expect_rejected("\x93NUMPY\x01" + std::string("\0\x10", 2), 9, "expected 2 bytes of header, got 1");
  expect_rejected("\x93NUMPY\x02" + std::string("\0\0\0\1\0 ", 6), 8,
                  "expected a header of at most 65535 bytes, got 65536");
  expect_rejected("\x93NUMPY\x03" + std::string("\0\xff\xff\xff\xff ", 6), 8,
                  "expected a header of at most 65535 bytes, got 4294967295");
  expect_rejected("\x93NUMPY\x01" + std::string("\0\x10\0{", 4), 11, "expected 16 bytes of header, got 1");
}

TEST(ReadNpy, RejectsBadDictionaries) {
  const std::string type = "'descr': '<f4'", order = "'fortran_order': False", shape = "'shape': (1,)";
  const auto reject = [](const std::string& dict, std::size_t at, const char* what) {
    SCOPED_TRACE(dict);
    expect_rejected(file(dict, "abcd"), 10 + at, what);
  };
  reject("", 0, "expected '{' in the header");
  reject("{", 1, "expected a string in the header");
  reject("{}", 2, "expected the keys descr, fortran_order and shape");
  reject("{" + type + "}", 16, "expected the keys descr, fortran_order and shape");
  reject("{" + type + ", " + type + "}", 17, "expected the keys descr, fortran_order, shape once each, got 'descr'");
  reject("{" + type + ", 'size': 3}", 17, "expected the keys descr, fortran_order, shape once each, got 'size'");
  reject("{" + type + " " + order + "}", 16, "expected '}' in the header");
  reject("{'descr' '<f4'}", 9, "expected ':' in the header");
  reject("{'descr': <f4}", 10, "expected a string in the header");
  reject("{'descr': '<f4}", 15, "expected the end of a string in the header");
  reject("{'fortran_order': 0}", 18, "expected True or False");
  reject("{'shape': 3}", 10, "expected '(' in the header");
  reject("{'shape': (3)}", 12, "expected ',' after the first size");
  reject("{'shape': (-3,)}", 11, "expected a size");
  reject("{'shape': (3.0,)}", 12, "expected ',' after the first size");
  reject("{'shape': (,)}", 11, "expected a size");
  reject("{'shape': (3, 4", 15, "expected ')' in the header");
  reject("{'shape': (1, 2, 3)}", 10, "expected at most 2 dimensions");
  reject("{'shape': (9223372036854775808,)}", 11, "a size is too large");
  reject("{'shape': (99999999999999999999999999,)}", 11, "a size is too large");
  reject("{" + type + ", " + order + ", " + shape + "} x", 56, "expected nothing after the dictionary");
  reject("{" + type + ", " + order + ", " + shape + std::string("}\0", 2), 55, "expected nothing after the dictionary");
}

TEST(ReadNpy, RejectsBadTypes) {
  for (const char* type :
       {"", "f4", "<", "|f4", "=f4", "<f3", "<f16", "<c8", "<U3", "|V2", "<f4 ", "|O", "<m8[ns]", "<i16", "<b2"}) {
    SCOPED_TRACE(type);
    std::istringstream in(file(text("{'descr': '", type, "', 'fortran_order': False, 'shape': (1,)}"), "abcdefgh"));
    try {
      read_npy(in);
      ADD_FAILURE() << "accepted";
    } catch (const IoError& error) {
      EXPECT_NE(std::string(error.what()).find(text("got '", type, "'")), std::string::npos) << error.what();
    }
  }
  for (const char* name : {"structured", "complex", "text", "f4_3d"}) EXPECT_THROW(read_npy(golden(name)), IoError);
}

// A header may promise what it likes: the bytes decide, and no memory is taken for those that do not come.
TEST(ReadNpy, RejectsSizesThatLie) {
  const auto lie = [](const char* shape) {
    return file(text("{'descr': '<f4', 'fortran_order': True, 'shape': ", shape, "}"), "abcdefgh");
  };
  expect_rejected(lie("(3,)"), 72, "expected 12 bytes of data, got 8");
  expect_rejected(lie("(1152921504606846975, 1)"), 92, "expected 4611686018427387900 bytes of data, got 8");
  expect_rejected(lie("(2305843009213693952, 1)"), 84,
                  "expected a size that fits in memory, got 2305843009213693952 x 1");
  expect_rejected(lie("(4294967296, 4294967296)"), 84,
                  "expected a size that fits in memory, got 4294967296 x 4294967296");
  expect_rejected<double>(lie("(1152921504606846976, 1)"), 84,
                          "expected a size that fits in memory, got 1152921504606846976 x 1");
  std::istringstream empty(lie("(9223372036854775807, 0)"));
  EXPECT_EQ(read_npy(empty).rows(), std::numeric_limits<Eigen::Index>::max());
}

TEST(ReadNpy, RejectsEveryTruncation) {
  const std::string whole = contents(golden("f4_c_3x5"));
  for (std::size_t size = 0; size < whole.size(); ++size) {
    std::istringstream in(whole.substr(0, size));
    EXPECT_THROW(read_npy(in), IoError) << size;
  }
}

TEST(ReadNpy, RejectsFilesWithMoreBytes) {
  const TemporaryFile longer;
  longer.write(contents(golden("f4_c_3x5")) + "x");
  try {
    read_npy(longer.path());
    ADD_FAILURE() << "accepted";
  } catch (const IoError& error) {
    EXPECT_EQ(error.what(), text(longer.path().string(), ": byte 188: expected the end of the file"));
  }
}

TEST(ReadNpy, NamesFilesThatDoNotOpen) {
  try {
    read_npy(golden("absent"));
    ADD_FAILURE() << "accepted";
  } catch (const IoError& error) {
    EXPECT_EQ(error.what(), text(golden("absent").string(), ": byte 0: cannot open the file"));
    EXPECT_EQ(error.path(), golden("absent").string());
  }
  EXPECT_THROW(read_npy(fs::path(NIBBLE_TEST_DATA_DIR)), IoError);  // a folder
}

// Bytes changed, cut and inserted at random: an IoError or a matrix, nothing else.
TEST(ReadNpy, SurvivesMutations) {
  const Random random(11);
  std::uint64_t next = 0;
  const auto draw = [&](std::size_t below) { return random.bits(next++) % below; };
  int accepted = 0;
  int rejected = 0;
  for (const char* name : {"f4_c_3x5", "bi2_f_3x5", "f4_v2", "f4_0d", "u8_c_3x5"}) {
    const std::string whole = contents(golden(name));
    for (int round = 0; round < 2000; ++round) {
      std::string bytes = whole;
      const std::size_t changes = 1 + draw(3);
      for (std::size_t c = 0; c < changes; ++c) {
        const std::size_t at = draw(bytes.size());
        switch (draw(4)) {
          case 0:
            bytes[at] = static_cast<char>(draw(256));
            break;
          case 1:
            bytes[at] = "0123456789(),'<>|{}: \n"[draw(22)];
            break;
          case 2:
            bytes.erase(at, 1 + draw(3));
            break;
          default:
            bytes.insert(at, 1, "0123456789(),'<>|{}: \n"[draw(22)]);
        }
      }
      std::istringstream in(bytes);
      try {
        if (round % 2 == 0)
          read_npy<float>(in);
        else
          read_npy<std::int16_t>(in);
        ++accepted;
      } catch (const IoError&) {
        ++rejected;
      }
    }
  }
  EXPECT_GT(accepted, 100);
  EXPECT_GT(rejected, 1000);
}

// Writing

template <class T> class WriteNpy : public Test {};
using Scalars = testing::Types<float, double, Eigen::half, std::int8_t, std::uint8_t, std::int16_t, std::uint16_t,
                               std::int32_t, std::uint32_t, std::int64_t, std::uint64_t, bool>;
TYPED_TEST_SUITE(WriteNpy, Scalars);

TYPED_TEST(WriteNpy, RoundTrip) {
  using Matrix = Eigen::Matrix<TypeParam, Eigen::Dynamic, Eigen::Dynamic>;
  for (const auto& [rows, cols] : {std::pair(0, 0), {0, 3}, {5, 0}, {1, 1}, {1, 7}, {7, 1}, {13, 17}}) {
    Matrix m(rows, cols);
    for (Eigen::Index i = 0; i < m.size(); ++i)
      m.data()[i] = static_cast<TypeParam>(static_cast<float>((7 * i + 1) % 100));
    const Eigen::Matrix<TypeParam, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor> row_major = m;
    std::stringstream stream;
    write_npy(stream, m);
    write_npy(stream, row_major);
    write_npy(stream, m.transpose());
    write_npy(stream, m.bottomRightCorner(m.rows() / 2, m.cols() / 2));
    EXPECT_EQ(read_npy<TypeParam>(stream), m);
    EXPECT_EQ(read_npy<TypeParam>(stream), m);
    EXPECT_EQ(read_npy<TypeParam>(stream), m.transpose());
    EXPECT_EQ(read_npy<TypeParam>(stream), m.bottomRightCorner(m.rows() / 2, m.cols() / 2));
  }
}

// Byte for byte as NumPy writes the same matrix.
TEST(WriteNpy, WritesWhatNumPyWrites) {
  const auto same = [](const std::string& name, const auto& matrix) {
    std::ostringstream out;
    write_npy(out, matrix);
    EXPECT_EQ(out.str(), contents(golden(name))) << name;
  };
  using Half = Eigen::Matrix<Eigen::half, Eigen::Dynamic, Eigen::Dynamic>;
  const Eigen::MatrixXf m = read_npy(golden("f4_c_3x5"));
  same("f4_f_3x5", m);
  same("f4_c_3x5", Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>(m));
  same("f8_f_3x5", m.cast<double>());
  same("f2_f_3x5", Half(m.cast<Eigen::half>()));
  same("i1_f_3x5", read_npy<std::int8_t>(golden("i1_c_3x5")));
  same("u8_f_3x5", read_npy<std::uint64_t>(golden("u8_c_3x5")));
  same("b1_f_3x5", read_npy<bool>(golden("b1_c_3x5")));
}

TEST(WriteNpy, DataStartOnCacheLines) {
  for (int digits = 0; digits < 12; ++digits) {
    const auto cols = static_cast<Eigen::Index>(std::pow(10, digits));
    std::stringstream stream;
    write_npy(stream, Eigen::MatrixXf(0, cols));
    EXPECT_EQ(stream.str().size() % 64, 0U);
    EXPECT_EQ(stream.str().back(), '\n');
    EXPECT_EQ(read_npy(stream).cols(), cols);
  }
}

TEST(WriteNpy, Files) {
  const TemporaryFile f;
  f.write(std::string(10000, 'x'));
  const Eigen::MatrixXf m = Eigen::MatrixXf::Random(11, 3);
  write_npy(f.path(), m);
  EXPECT_EQ(read_npy(f.path()), m);
  EXPECT_EQ(fs::file_size(f.path()), 128 + 4 * 33);
}

/// Takes `room` bytes.
class FullDisk : public std::streambuf {
 public:
  explicit FullDisk(std::streamsize room) : room_(room) {}

 private:
  int_type overflow(int_type c) override { return room_-- > 0 ? c : traits_type::eof(); }
  std::streamsize xsputn(const char*, std::streamsize n) override {
    const std::streamsize taken = std::min(n, room_);
    room_ -= taken;
    return taken;
  }
  std::streamsize room_;
};

TEST(WriteNpy, ReportsWhatDoesNotGoOut) {
  const Eigen::MatrixXf m = Eigen::MatrixXf::Ones(10, 10);
  for (const auto& [room, message] : {std::pair(127, "<stream>: byte 0: cannot write the header"),
                                      {128, "<stream>: byte 128: cannot write the data"},
                                      {527, "<stream>: byte 128: cannot write the data"}}) {
    FullDisk disk(room);
    std::ostream out(&disk);
    try {
      write_npy(out, m);
      ADD_FAILURE() << "written";
    } catch (const IoError& error) {
      EXPECT_STREQ(error.what(), message);
    }
  }
  FullDisk disk(528);
  std::ostream out(&disk);
  write_npy(out, m);
  const fs::path nowhere = golden("no/such/folder");
  try {
    write_npy(nowhere, m);
    ADD_FAILURE() << "written";
  } catch (const IoError& error) {
    EXPECT_EQ(error.what(), text(nowhere.string(), ": byte 0: cannot open the file for writing"));
  }
}

}  // namespace
}  // namespace nibble
