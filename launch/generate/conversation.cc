#include "launch/generate/conversation.h"

#include <cstdio>
#include <optional>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "comm/mpi_session.h"
#include "kernels/base/status_macros.h"
#include "kernels/base/utf8.h"
#include "launch/generate/answer.h"
#include "launch/generate/interrupt.h"
#include "launch/generate/line_reader.h"
#include "launch/generate/report.h"

namespace subgen {
namespace {

constexpr char kHelp[] =
    "/more   go on with an answer that was cut\n"
    "/stats  speed and memory of the last answer\n"
    "/reset  forget the conversation\n"
    "/help   this list\n"
    "/exit   end (Ctrl-D too); Ctrl-C stops an answer\n";

void Tell(absl::string_view text) {
  std::fprintf(stderr, "%.*s\n", static_cast<int>(text.size()), text.data());
}

class Conversation {
 public:
  Conversation(const GenerationOptions& options, const Model& model,
               const ChatTemplate& chat, const ReportFile& report_file,
               Engine& engine)
      : options_(options),
        model_(model),
        chat_(chat),
        report_file_(report_file),
        engine_(engine) {}

  absl::Status Run() {
    ASSIGN_OR_RETURN(slot_, engine_.scheduler().Open());
    // Under mpirun Ctrl-C ends the job, as it does in every program there.
    if (!LaunchedByMpi()) CatchInterrupts();
    Tell(
        "A conversation with the model: type a line; /help lists commands, "
        "/exit or Ctrl-D ends.");
    const auto reader = LineReader::Make("> ", LaunchedByMpi());
    for (;;) {
      const InputLine line = reader->Read();
      if (line.kind == InputLine::Kind::kEnd) return absl::OkStatus();
      ASSIGN_OR_RETURN(const bool ends, Take(line));
      if (ends) return absl::OkStatus();
    }
  }

 private:
  // Runs a command, and returns whether the conversation ends.
  absl::StatusOr<bool> Take(const InputLine& line) {
    switch (line.kind) {
      case InputLine::Kind::kInterrupt:
        TakeInterrupt();
        Tell("/exit or Ctrl-D ends the conversation");
        return false;
      case InputLine::Kind::kTooLong:
        Tell(absl::StrCat("the line has over ", InputLine::kMostBytes,
                          " bytes: it is left out"));
        return false;
      case InputLine::Kind::kNotUtf8:
        Tell("the line is not UTF-8: it is left out");
        return false;
      default:
        break;
    }
    const std::string word(absl::StripAsciiWhitespace(line.text));
    if (word.empty()) return false;
    if (word == "/exit") return true;
    if (IsCommand(word)) {
      RETURN_IF_ERROR(Obey(word));
    } else {
      RETURN_IF_ERROR(Say(line.text));
    }
    return false;
  }

  // A command is a slash and letters; a path or a sentence is none.
  static bool IsCommand(absl::string_view word) {
    if (word.size() < 2 || word[0] != '/') return false;
    for (const char letter : word.substr(1)) {
      if (!absl::ascii_islower(letter)) return false;
    }
    return true;
  }

  absl::Status Obey(absl::string_view command) {
    if (command == "/more") return More();
    if (command == "/reset") {
      messages_.clear();
      last_.reset();
      Tell("the conversation is forgotten");
    } else if (command == "/stats") {
      Tell(last_ ? absl::StripTrailingAsciiWhitespace(Summary(*last_))
                 : "nothing has been answered yet");
    } else {
      if (command != "/help") {
        Tell(absl::StrCat(command, " is no command:"));
      }
      std::fputs(kHelp, stderr);
    }
    return absl::OkStatus();
  }

  absl::Status Say(const std::string& text) {
    const size_t valid = ValidUtf8Prefix(text);
    if (valid < text.size()) {
      Tell(absl::StrCat("the line is not UTF-8 at byte ", valid, " of ",
                        text.size(), ": it is left out"));
      return absl::OkStatus();
    }
    messages_.push_back({ChatMessage::Role::kUser, text});
    ASSIGN_OR_RETURN(std::vector<int> prompt,
                     EncodeChat(*model_.tokenizer, chat_, messages_));
    if (Fits(prompt.size())) return Answered(std::move(prompt), "");
    messages_.pop_back();
    return absl::OkStatus();
  }

  bool Fits(int64_t tokens) const {
    const int64_t limit = ContextLimit(options_.config, model_.file.config);
    if (LeavesRoom(tokens, limit)) return true;
    Tell(absl::StrCat("with this line the conversation has ", tokens,
                      " tokens and the context ", limit,
                      ": it is left out; say less, or /reset"));
    return false;
  }

  // The last answer's tokens become part of what is read; they are held.
  absl::Status More() {
    if (!last_ || !WasCut(last_->result)) {
      Tell("the last answer was not cut");
      return absl::OkStatus();
    }
    std::vector<int> prompt = last_->prompt_tokens;
    const std::vector<int>& said = last_->result.tokens;
    prompt.insert(prompt.end(), said.begin(), said.end());
    if (!Fits(prompt.size())) return absl::OkStatus();
    const std::string begun = messages_.back().text;
    messages_.pop_back();
    return Answered(std::move(prompt), begun);
  }

  static bool WasCut(const GenerationResult& result) {
    return result.finish_reason == "length" ||
           result.finish_reason == "cancelled";
  }

  // `begun` is what was said of this answer before.
  absl::Status Answered(std::vector<int> prompt, const std::string& begun) {
    ASSIGN_OR_RETURN(last_,
                     Answer(options_, engine_, slot_, std::move(prompt)));
    const GenerationResult& result = last_->result;
    messages_.push_back(
        {ChatMessage::Role::kAssistant, absl::StrCat(begun, result.text)});
    if (result.finish_reason == "length") {
      Tell(absl::StrCat("[cut at ", options_.config.max_tokens,
                        " tokens (max_tokens); /more goes on]"));
    } else if (result.finish_reason == "cancelled") {
      Tell("[stopped; /more goes on]");
    } else if (result.finish_reason == "context") {
      Tell("[the context is full; /reset begins anew]");
    }
    return report_file_.Write(ToJson(*last_));
  }

  const GenerationOptions& options_;
  const Model& model_;
  const ChatTemplate& chat_;
  const ReportFile& report_file_;
  Engine& engine_;
  int slot_ = 0;
  std::vector<ChatMessage> messages_;
  std::optional<GenerationReport> last_;
};

}  // namespace

absl::Status Converse(const GenerationOptions& options, const Model& model,
                      const ChatTemplate& chat, const ReportFile& report_file,
                      Engine& engine) {
  return Conversation(options, model, chat, report_file, engine).Run();
}

}  // namespace subgen
