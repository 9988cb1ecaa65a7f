#include "engine/config/yaml_events.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "kernels/base/quoted.h"

namespace subgen {

YamlEvents::YamlEvents(std::string source, std::string key)
    : source_(std::move(source)), one_value_(!key.empty()), key_(key) {}

std::string YamlEvents::Place(const YAML::Mark& mark) const {
  if (one_value_ || mark.is_null()) return source_;
  return absl::StrCat(source_, ":", mark.line + 1, ":", mark.column + 1);
}

void YamlEvents::Fail(const YAML::Mark& mark, const std::string& message) {
  if (!status_.ok()) return;
  status_ =
      absl::InvalidArgumentError(absl::StrCat(Place(mark), ": ", message));
}

bool YamlEvents::Accept(const YAML::Mark& mark, const std::string& tag,
                        YAML::anchor_t anchor) {
  // An alias can stand for a billion nodes in a few lines, so none is read.
  if (anchor != YAML::NullAnchor) {
    Fail(mark, "anchors and aliases are not supported; write the value out");
  } else if (!tag.empty() && tag != "?" && tag != "!") {
    Fail(mark, absl::StrCat("the tag ", Quoted(tag), " is not supported"));
  }
  return status_.ok();
}

void YamlEvents::TakeKey(const YAML::Mark& mark, const std::string& name) {
  const std::string& section = sections_.back();
  std::string key = section.empty() ? name : absl::StrCat(section, ".", name);
  if (FindField(key) == nullptr && !IsSection(key)) {
    return Fail(mark, absl::StrCat("unknown key ", Quoted(key),
                                   "; did you mean ", NearestKey(key), "?"));
  }
  // The parser takes a key that stands there twice, of which one would silently
  // be lost.
  if (!seen_.insert(key).second) {
    return Fail(mark, absl::StrCat("the key ", key, " stands here twice"));
  }
  key_ = std::move(key);
  key_mark_ = mark;
}

void YamlEvents::TakeValue(const YAML::Mark& mark, Setting::Kind kind,
                           const std::string& value) {
  if (in_list_) {
    settings_.back().values.push_back(value);
    return;
  }
  if (sections_.empty() && key_.empty()) {
    if (kind == Setting::Kind::kNull) return;  // an empty file
    return Fail(mark, absl::StrCat("needs settings, one \"key: value\" a line,"
                                   " not ",
                                   Quoted(value)));
  }
  if (key_.empty()) return TakeKey(mark, value);
  if (FindField(key_) != nullptr) {
    settings_.push_back({key_, Place(mark), kind, {value}});
  } else if (kind != Setting::Kind::kNull) {  // an empty section is fine
    Fail(mark, absl::StrCat(key_, " is a section, whose keys stand below it, ",
                            "and cannot be ", Quoted(value)));
  }
  key_.clear();
}

void YamlEvents::OnDocumentStart(const YAML::Mark& mark) {
  if (++documents_ > 1) Fail(mark, "a second YAML document is not supported");
}

void YamlEvents::OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) {
  if (!Accept(mark, "", anchor)) return;
  if (in_list_) {
    Fail(mark, absl::StrCat(key_, " is a list of strings; quote this one"));
  } else {
    // The mark is where the parser noticed, past the key's line.
    TakeValue(key_.empty() ? mark : key_mark_, Setting::Kind::kNull, "");
  }
}

void YamlEvents::OnAlias(const YAML::Mark& mark, YAML::anchor_t anchor) {
  Accept(mark, "", anchor);
}

void YamlEvents::OnScalar(const YAML::Mark& mark, const std::string& tag,
                          YAML::anchor_t anchor, const std::string& value) {
  if (!Accept(mark, tag, anchor)) return;
  TakeValue(mark, tag == "!" ? Setting::Kind::kQuoted : Setting::Kind::kPlain,
            value);
}

void YamlEvents::OnSequenceStart(const YAML::Mark& mark, const std::string& tag,
                                 YAML::anchor_t anchor,
                                 YAML::EmitterStyle::value) {
  if (!Accept(mark, tag, anchor)) return;
  if (key_.empty()) {
    return Fail(mark, "a list cannot stand here; needs \"key: value\"");
  }
  const Field* field = FindField(key_);
  if (field == nullptr) {
    return Fail(mark, absl::StrCat(key_, " is a section and cannot be a list"));
  }
  if (in_list_ || !HoldsList(*field)) {
    return Fail(mark, absl::StrCat(key_, " ", DescribeLegal(*field),
                                   in_list_ ? ", not a list in a list"
                                            : ", not a list"));
  }
  settings_.push_back({key_, Place(mark), Setting::Kind::kList, {}});
  in_list_ = true;
}

void YamlEvents::OnSequenceEnd() {
  // A list that was refused was not opened.
  if (!status_.ok()) return;
  in_list_ = false;
  key_.clear();
}

void YamlEvents::OnMapStart(const YAML::Mark& mark, const std::string& tag,
                            YAML::anchor_t anchor, YAML::EmitterStyle::value) {
  if (!Accept(mark, tag, anchor)) return;
  const Field* field = FindField(key_);
  if (field != nullptr) {
    return Fail(mark, absl::StrCat(key_, " ", DescribeLegal(*field),
                                   ", not keys and values"));
  }
  if (key_.empty() && !sections_.empty()) {
    return Fail(mark, "a key must be a name");
  }
  sections_.push_back(std::exchange(key_, ""));
}

void YamlEvents::OnMapEnd() {
  // A map that was refused has put no section here.
  if (status_.ok()) sections_.pop_back();
}

}  // namespace subgen
