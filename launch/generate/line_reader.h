// A reader gives lines that a person types, or that another program sends.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

namespace subgen {

struct InputLine {
  enum class Kind {
    kLine,
    kEnd,        // of the input, or Ctrl-D
    kInterrupt,  // Ctrl-C, or a signal in a read
    kTooLong,    // over kMostBytes; it was left out
    kNotUtf8,    // told by the terminal; elsewhere bytes come as they are
  };
  static constexpr int64_t kMostBytes = int64_t{1} << 20;

  Kind kind = Kind::kLine;
  std::string text;  // without its end (LF or CR LF) and without a BOM
};

class LineReader {
 public:
  virtual ~LineReader() = default;
  virtual InputLine Read() = 0;

  // Makes the reader of standard input: with editing and a history (libedit) on
  // a terminal, else a plain one. The sign is written to standard error before
  // each line on a terminal, and also if `show_sign` says that a person sits
  // behind a pipe, as under mpirun.
  static std::unique_ptr<LineReader> Make(std::string sign, bool show_sign);
};

}  // namespace subgen
