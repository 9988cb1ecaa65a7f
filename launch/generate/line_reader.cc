#include "launch/generate/line_reader.h"

#include <histedit.h>
#include <langinfo.h>
#include <unistd.h>

#include <cerrno>
#include <clocale>
#include <cstdio>
#include <cwchar>
#include <utility>

#include "absl/strings/strip.h"
#include "launch/generate/interrupt.h"

namespace subgen {
namespace {

using Kind = InputLine::Kind;

InputLine Finished(std::string text, bool first) {
  absl::string_view rest = text;
  if (first) absl::ConsumePrefix(&rest, "\xef\xbb\xbf");
  absl::ConsumeSuffix(&rest, "\n");
  absl::ConsumeSuffix(&rest, "\r");
  return {Kind::kLine, std::string(rest)};
}

class PipeReader : public LineReader {
 public:
  explicit PipeReader(std::string sign) : sign_(std::move(sign)) {}

  InputLine Read() override {
    std::fputs(sign_.c_str(), stderr);
    std::string line;
    bool too_long = false;
    for (;;) {
      if (next_ == buffer_.size() && !Fill()) {
        if (Interrupted()) return {Kind::kInterrupt, ""};
        if (too_long) return {Kind::kTooLong, ""};
        if (line.empty()) return {Kind::kEnd, ""};
        return Take(std::move(line));
      }
      const size_t end = buffer_.find('\n', next_);
      const size_t stop = end == std::string::npos ? buffer_.size() : end;
      too_long |= line.size() + (stop - next_) > InputLine::kMostBytes;
      if (!too_long) line.append(buffer_, next_, stop - next_);
      next_ = end == std::string::npos ? stop : stop + 1;
      if (end == std::string::npos) continue;
      if (too_long) return {Kind::kTooLong, ""};
      return Take(std::move(line));
    }
  }

 private:
  // Returns false at the end of the input, and if a signal came.
  bool Fill() {
    constexpr size_t kPiece = 1 << 16;
    buffer_.resize(kPiece);
    next_ = 0;
    const ssize_t count = ReadOrInterrupt(STDIN_FILENO, buffer_.data(), kPiece);
    buffer_.resize(count > 0 ? count : 0);
    return count > 0;
  }
  InputLine Take(std::string text) {
    return Finished(std::move(text), std::exchange(first_, false));
  }

  const std::string sign_;
  std::string buffer_;
  size_t next_ = 0;
  bool first_ = true;
};

// This reads lines of a terminal. libedit keeps its screen on standard error,
// so that standard output has the answers alone.
class TerminalReader : public LineReader {
 public:
  explicit TerminalReader(std::string sign) : sign_(std::move(sign)) {
    // libedit counts columns by the locale. If that is not one of UTF-8, set
    // one.
    std::setlocale(LC_CTYPE, "");
    if (std::string(nl_langinfo(CODESET)) != "UTF-8") {
      std::setlocale(LC_CTYPE, "C.UTF-8");
    }
    editor_ = el_init("subgen", stdin, stderr, stderr);
    history_ = history_init();
    HistEvent event;
    constexpr int kMostLines = 1000;
    history(history_, &event, H_SETSIZE, kMostLines);
    el_set(editor_, EL_CLIENTDATA, this);
    el_set(editor_, EL_PROMPT, Sign);
    el_set(editor_, EL_EDITOR, "emacs");
    el_set(editor_, EL_HIST, history, history_);
    el_set(editor_, EL_GETCFN, ReadCharacter);
  }
  ~TerminalReader() override {
    el_end(editor_);
    history_end(history_);
  }

  InputLine Read() override {
    invalid_ = false;
    state_ = {};
    int count = 0;
    const char* text = el_gets(editor_, &count);
    if (Interrupted()) {
      std::fputs("\n", stderr);
      return {Kind::kInterrupt, ""};
    }
    if (text == nullptr || count <= 0) {
      std::fputs("\n", stderr);
      return {Kind::kEnd, ""};
    }
    if (invalid_) return {Kind::kNotUtf8, ""};
    if (count > InputLine::kMostBytes) return {Kind::kTooLong, ""};
    InputLine line = Finished(std::string(text, count), false);
    HistEvent event;
    if (!line.text.empty()) {
      history(history_, &event, H_ENTER, line.text.c_str());
    }
    return line;
  }

 private:
  static TerminalReader& Of(EditLine* editor) {
    void* self = nullptr;
    el_get(editor, EL_CLIENTDATA, &self);
    return *static_cast<TerminalReader*>(self);
  }
  static char* Sign(EditLine* editor) { return Of(editor).sign_.data(); }

  // libedit's own function would read again after a signal, and Ctrl-C would be
  // lost.
  static int ReadCharacter(EditLine* editor, wchar_t* out) {
    TerminalReader& self = Of(editor);
    for (;;) {
      char byte = 0;
      const ssize_t count = ReadOrInterrupt(STDIN_FILENO, &byte, 1);
      if (count < 0 && errno == EINTR && !Interrupted()) {
        el_resize(editor);  // SIGWINCH is what else comes
        continue;
      }
      if (count <= 0) return static_cast<int>(count);
      const size_t length = std::mbrtowc(out, &byte, 1, &self.state_);
      if (length == static_cast<size_t>(-2)) continue;  // more bytes follow
      if (length == static_cast<size_t>(-1)) {
        // A character ended early. Its follower counts, Return too.
        self.state_ = {};
        self.invalid_ = true;
        *out = (byte & 0x80) != 0 ? L'\ufffd' : static_cast<wchar_t>(byte);
      }
      return 1;
    }
  }

  std::string sign_;
  EditLine* editor_ = nullptr;
  History* history_ = nullptr;
  std::mbstate_t state_ = {};
  bool invalid_ = false;
};

}  // namespace

std::unique_ptr<LineReader> LineReader::Make(std::string sign, bool show_sign) {
  if (isatty(STDIN_FILENO) && isatty(STDERR_FILENO)) {
    return std::make_unique<TerminalReader>(std::move(sign));
  }
  const bool shown = show_sign || isatty(STDIN_FILENO);
  return std::make_unique<PipeReader>(shown ? std::move(sign) : "");
}

}  // namespace subgen
