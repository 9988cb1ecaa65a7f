#include "engine/config/yaml_quotes.h"

#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/mark.h>
#include <yaml-cpp/parser.h>

#include <algorithm>
#include <sstream>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "kernels/base/quoted.h"

namespace subgen {
namespace {

using absl::string_view;

size_t SkipBlanks(string_view text, size_t at) {
  return std::min(text.find_first_not_of(" \t", at), text.size());
}

// Tells whether a line looks like "key:", "- entry", a comment or the border of
// a document.
bool LooksLikeYaml(string_view line) {
  if (absl::StartsWith(line, "#") || absl::StartsWith(line, "- ") ||
      absl::StartsWith(line, "---") || absl::StartsWith(line, "...")) {
    return true;
  }
  const auto end = std::find_if(line.begin(), line.end(), [](char c) {
    return !absl::ascii_isalnum(c) && c != '_' && c != '.';
  });
  const string_view rest = line.substr(end - line.begin());
  return !rest.empty() && rest.size() < line.size() && rest[0] == ':' &&
         (rest.size() == 1 || absl::ascii_isspace(rest[1]));
}

// This looks at the places that the parser names: where a quote stands there,
// it opens a scalar, since nothing else begins with one.
class QuoteFinder final : public YAML::EventHandler {
 public:
  // The parser reads `text` and more behind it, which is not the user's.
  explicit QuoteFinder(string_view text) : text_(text) {}

  std::optional<QuoteMistake> mistake() const { return mistake_; }

  void LookAt(const YAML::Mark& mark) {
    if (mistake_.has_value() || mark.is_null()) return;
    const size_t open = SkipProperties(static_cast<size_t>(mark.pos));
    if (open >= text_.size()) return;
    if (text_[open] != '"' && text_[open] != '\'') return;
    CheckQuote(open);
  }

  void OnDocumentStart(const YAML::Mark&) override {}
  void OnDocumentEnd() override {}
  void OnNull(const YAML::Mark& mark, YAML::anchor_t) override { LookAt(mark); }
  void OnAlias(const YAML::Mark&, YAML::anchor_t) override {}
  void OnScalar(const YAML::Mark& mark, const std::string&, YAML::anchor_t,
                const std::string&) override {
    LookAt(mark);
  }
  void OnSequenceStart(const YAML::Mark& mark, const std::string&,
                       YAML::anchor_t,
                       YAML::EmitterStyle::value style) override {
    Enter(mark, style);
  }
  void OnSequenceEnd() override { --depth_; }
  void OnMapStart(const YAML::Mark& mark, const std::string&, YAML::anchor_t,
                  YAML::EmitterStyle::value style) override {
    Enter(mark, style);
  }
  void OnMapEnd() override { --depth_; }

 private:
  void Enter(const YAML::Mark& mark, YAML::EmitterStyle::value style) {
    ++depth_;
    if (flow_depth_ >= depth_) flow_depth_ = 0;  // that one has ended
    if (flow_depth_ == 0 && style == YAML::EmitterStyle::Flow) {
      flow_depth_ = depth_;
      flow_outer_ = OuterColumn(static_cast<size_t>(mark.pos));
    }
  }

  // A mark is of the tag and the anchor before a scalar, if there are any.
  size_t SkipProperties(size_t at) const {
    while (at < text_.size() && (text_[at] == '!' || text_[at] == '&')) {
      at = text_.find_first_of(" \t\r\n", at);
      at = text_.find_first_not_of(" \t\r\n", at);
    }
    return at;
  }

  // Returns the place behind the quote that closes, npos if there is none.
  size_t EndOf(size_t open) const {
    const char quote = text_[open];
    for (size_t at = open + 1; at < text_.size(); ++at) {
      if (quote == '"' && text_[at] == '\\') {
        ++at;
      } else if (text_[at] == quote) {
        if (quote == '"' || text_.substr(at + 1, 1) != "'") return at + 1;
        ++at;
      }
    }
    return string_view::npos;
  }

  // Returns the column, from 0 on, beyond which the lines of what begins at
  // `start` in a key's value or a list's entry must stand.
  int OuterColumn(size_t start) const {
    const size_t border = text_.rfind('\n', start);
    const size_t line = border == string_view::npos ? 0 : border + 1;
    size_t first = SkipBlanks(text_, line);
    int entry = -1;
    while (first < start && text_[first] == '-') {
      entry = static_cast<int>(first - line);
      first = SkipBlanks(text_, first + 1);
    }
    if (first < start) return static_cast<int>(first - line);
    return entry >= 0 ? entry : static_cast<int>(start - line) - 1;
  }

  void CheckQuote(size_t open) {
    const size_t end = EndOf(open);
    if (SwallowsLine(open, std::min(end, text_.size()))) return;
    if (end == string_view::npos) {
      return Fail(open, "the quote that begins here is never closed");
    }
    const size_t next = SkipBlanks(text_, end);
    if (next < text_.size() && !absl::StrContains("\r\n#:,]}", text_[next])) {
      Fail(open,
           absl::StrCat(
               "the quote that begins here ends before ", Excerpt(next),
               ", where a line end or a comma should ", "stand; inside, ",
               text_[open] == '"' ? "\" is written \\\"" : "' is written ''"));
    }
  }

  // Tells whether a line between the quotes was not meant to be text, which is
  // an error then.
  bool SwallowsLine(size_t open, size_t end) {
    size_t border = text_.substr(0, end).find('\n', open);
    if (border == string_view::npos) return false;
    const bool in_flow = flow_depth_ > 0 && flow_depth_ <= depth_;
    const int outer = in_flow ? flow_outer_ : OuterColumn(open);
    for (; border != string_view::npos;
         border = text_.substr(0, end).find('\n', border + 1)) {
      const size_t first = SkipBlanks(text_, border + 1);
      const int column = static_cast<int>(first - border) - 1;
      if (column > outer || !LooksLikeYaml(LineFrom(first))) continue;
      Fail(open,
           absl::StrCat("the quote that begins here is not closed before ",
                        Excerpt(first)));
      return true;
    }
    return false;
  }

  string_view LineFrom(size_t at) const {
    return text_.substr(at, text_.find_first_of("\r\n", at) - at);
  }
  // Shows the text with its line, as an error does.
  std::string Excerpt(size_t at) const {
    return absl::StrCat("line ", LineOf(at), ", ", Quoted(LineFrom(at)));
  }
  int LineOf(size_t at) const {
    return 1 + static_cast<int>(
                   std::count(text_.begin(), text_.begin() + at, '\n'));
  }
  void Fail(size_t open, std::string message) {
    const size_t border = text_.rfind('\n', open);
    const size_t line = border == string_view::npos ? 0 : border + 1;
    mistake_ = {LineOf(open), static_cast<int>(open - line) + 1,
                std::move(message)};
  }

  const string_view text_;
  std::optional<QuoteMistake> mistake_;
  int depth_ = 0;       // of open maps and lists
  int flow_depth_ = 0;  // of the outermost [ or {, if it is open yet
  int flow_outer_ = 0;  // OuterColumn of that one
};

// Looks at what the parser finds in the first document of `text` and `more`,
// the only one that anybody reads. Returns the length of the text before what
// ends it inside a scalar, if something does.
std::optional<size_t> Look(const std::string& text, const char* more,
                           QuoteFinder& finder) {
  try {
    std::istringstream stream(text + more);
    YAML::Parser parser(stream);
    parser.HandleNextDocument(finder);
  } catch (const YAML::Exception& error) {
    finder.LookAt(error.mark);
    if (error.msg == YAML::ErrorMsg::EOF_IN_SCALAR) return text.size();
    if (error.msg == YAML::ErrorMsg::DOC_IN_SCALAR) return error.mark.pos;
  } catch (const std::exception&) {  // too deep: the reader's parser says so
  }
  return std::nullopt;
}

}  // namespace

std::optional<QuoteMistake> FindQuoteMistake(string_view text) {
  absl::ConsumePrefix(&text, "\xef\xbb\xbf");  // the parser counts without it
  const std::string whole(text);
  QuoteFinder finder(whole);
  const std::optional<size_t> end = Look(whole, "", finder);
  if (finder.mistake().has_value() || !end.has_value()) return finder.mistake();
  // The parser does not say where the scalar began: it does once it ends, so
  // the text is read again with a quote of each kind behind it.
  const std::string cut = whole.substr(0, *end);
  for (const char* quote : {"\n\"", "\n'"}) {
    QuoteFinder again(cut);
    Look(cut, quote, again);
    if (again.mistake().has_value()) return again.mistake();
  }
  return std::nullopt;
}

}  // namespace subgen
