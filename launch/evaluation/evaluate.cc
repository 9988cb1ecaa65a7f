// subgen_evaluate measures what cache policies lose, and what they save.
#include <cstdio>
#include <filesystem>

#include "absl/strings/str_cat.h"
#include "comm/agreement.h"
#include "engine/config/config_file.h"
#include "kernels/base/status_macros.h"
#include "launch/evaluation/evaluation.h"
#include "launch/evaluation/plots.h"
#include "launch/flags/flags.h"
#include "launch/ranks/program.h"
#include "launch/ranks/progress.h"
#include "launch/ranks/report_file.h"

namespace subgen {
namespace {

struct CommandLine {
  EngineConfig config;  // without the settings of policies
  EvaluationOptions options;
  std::string output, plot_folder;
  TableFormat format = TableFormat::kMarkdown;  // of `output`
  std::string help;                             // to be printed, if any
};

// The settings of each policy come on top of all others.
absl::Status LoadPolicies(const ConfigSources& sources, CommandLine* line) {
  EvaluationPlan& plan = line->options.plan;
  for (const PolicyChoice& policy : plan.policies) {
    ConfigSources its = sources;
    its.settings.push_back(absl::StrCat("prefill_chunk=", plan.chunk));
    its.settings.insert(its.settings.end(), policy.settings.begin(),
                        policy.settings.end());
    auto config = LoadConfig(its);
    if (!config.ok()) {
      return absl::InvalidArgumentError(absl::StrCat(
          "policy ", policy.name, ": ", config.status().message()));
    }
    line->options.policies.push_back(*std::move(config));
  }
  return absl::OkStatus();
}

absl::StatusOr<CommandLine> Parse(int argc, char** argv) {
  CommandLine line;
  ConfigSources sources;
  std::string model, plan;
  std::vector<std::string> texts;
  ProgramFlags program = {
      "subgen_evaluate",
      "Measures cache policies against exact attention, at equal memory.",
      SettingFlags(&sources, &model),
      {"subgen_evaluate --plan copy_rows.yaml --model model.gguf"}};
  const std::vector<Flag> own = {
      {.names = "--plan",
       .target = &plan,
       .help = "YAML file: tasks, policies, budgets (configs/evaluation)",
       .value = "FILE",
       .required = true},
      {"--texts", &texts, "Text files instead of the plan's", "FILE"},
      {"--output", &line.output, "Write the rows here too: .md, .csv or .json",
       "FILE"},
      {"--plot", &line.plot_folder, "Folder for PNG pictures, made by gnuplot",
       "FOLDER"}};
  program.flags.insert(program.flags.end(), own.begin(), own.end());
  ASSIGN_OR_RETURN(line.help, ParseFlags(program, argc, argv));
  if (!line.help.empty()) return line;
  AddModelAndEnvironment(model, &sources);
  ASSIGN_OR_RETURN(line.config, LoadConfig(sources));
  ASSIGN_OR_RETURN(line.options.plan, LoadPlan(plan));
  if (!texts.empty()) line.options.plan.texts = texts;
  if (!line.output.empty()) {
    ASSIGN_OR_RETURN(line.format, TableFormatOf(line.output));
  }
  RETURN_IF_ERROR(LoadPolicies(sources, &line));
  return line;
}

// Returns what the titles of pictures say.
PlotSubject SubjectOf(const CommandLine& line) {
  PlotSubject subject;
  subject.model = std::filesystem::path(line.config.model).stem().string();
  const EvaluationPlan& plan = line.options.plan;
  subject.texts = "texts of Debian";
  if (!plan.texts.empty()) {
    subject.texts = std::filesystem::path(plan.texts[0]).filename().string();
    if (plan.texts.size() > 1) {
      absl::StrAppend(&subject.texts, " and ", plan.texts.size() - 1, " more");
    }
  }
  for (size_t i = 0; i < plan.policies.size(); ++i) {
    if (line.options.policies[i].cache.policy == "subgen") {
      subject.subgen.push_back(plan.policies[i].name);
    }
  }
  return subject;
}

absl::Status Show(const CommandLine& line, const ReportFile& output,
                  const std::vector<ResultRow>& rows) {
  RETURN_IF_ERROR(Print(FormatRows(rows, TableFormat::kTerminal)));
  RETURN_IF_ERROR(output.Write(FormatRows(rows, line.format)));
  if (line.plot_folder.empty()) return absl::OkStatus();
  return WritePlots(MakePlots(rows, SubjectOf(line)), line.plot_folder);
}

absl::Status Measure(const CommandLine& line, const RankContext& rank,
                     const ReportFile& output) {
  Communicator& world = *rank.world;
  auto model = LoadModel(line.config);
  RETURN_IF_ERROR(AgreeOnStatus(world, model.status()));
  EvaluationOptions options = line.options;
  options.threads = ThreadsOfRank(line.config.threads, rank.ranks_on_host);
  options.device = rank.device;
  ProgressBar bar("reading the texts", "sequences");
  options.on_progress = [&](int64_t done, int64_t total,
                            const std::string& what) {
    bar.Rename(what);
    bar.Show(done, total);
  };
  ASSIGN_OR_RETURN(const std::vector<ResultRow> rows,
                   Evaluate(options, *model, world));
  return AgreeOnStatus(
      world, world.rank() == 0 ? Show(line, output, rows) : absl::OkStatus());
}

absl::Status RunRank(const CommandLine& line, RankContext rank) {
  const bool leads = rank.world->rank() == 0;
  auto output = ReportFile::Open(leads ? line.output : "");
  RETURN_IF_ERROR(AgreeOnStatus(*rank.world, output.status()));
  return Measure(line, rank, *output);
}

}  // namespace
}  // namespace subgen

int main(int argc, char** argv) {
  return subgen::RunProgram<subgen::CommandLine>(subgen::Parse(argc, argv),
                                                 subgen::RunRank);
}
