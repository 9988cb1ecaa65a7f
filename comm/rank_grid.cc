#include "comm/rank_grid.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "kernels/base/status_macros.h"

namespace subgen {
namespace {

absl::Status CheckNumbers(const GridOptions& options) {
  if (options.head_shards < 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("ranks.head_shards = ", options.head_shards,
                     ": must be 1 or more, or 0 to choose"));
  }
  if (options.token_shards < 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("ranks.token_shards = ", options.token_shards,
                     ": must be 1 or more, or 0 to choose"));
  }
  if (options.token_block < 1) {
    return absl::InvalidArgumentError(absl::StrCat(
        "ranks.token_block = ", options.token_block, ": must be 1 or more"));
  }
  return absl::OkStatus();
}

// Returns the largest divisor of `world` that is at most `limit`.
int LargestDivisor(int world, int limit) {
  int divisor = std::min(world, limit);
  while (world % divisor != 0) --divisor;
  return divisor;
}

absl::StatusOr<int> ChooseHeadShards(const GridOptions& options, int world,
                                     int kv_heads) {
  if (options.head_shards > 0) return options.head_shards;
  if (options.token_shards == 0) return LargestDivisor(world, kv_heads);
  if (world % options.token_shards != 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("ranks.token_shards = ", options.token_shards,
                     ": must divide the ", world, " ranks"));
  }
  return world / options.token_shards;
}

}  // namespace

Range EvenPart(int64_t total, int parts, int part, int64_t unit) {
  SUBGEN_CHECK(
      total >= 0 && parts >= 1 && part >= 0 && part < parts && unit >= 1,
      "part ", part, " of ", parts, " of ", total, " in ", unit);
  const int64_t units = total / unit + (total % unit != 0);
  const int64_t least = units / parts;
  const int64_t surplus = units % parts;
  const int64_t first = part * least + std::min<int64_t>(part, surplus);
  const int64_t end = first + least + (part < surplus);
  const int64_t first_thing = std::min(first * unit, total);
  return {first_thing, std::min(end * unit, total) - first_thing};
}

absl::StatusOr<GridShape> PlanGrid(const GridOptions& options, int world,
                                   int kv_heads) {
  SUBGEN_CHECK(world >= 1 && kv_heads >= 1, world, " ranks, ", kv_heads,
               " KV heads");
  RETURN_IF_ERROR(CheckNumbers(options));
  ASSIGN_OR_RETURN(const int heads, ChooseHeadShards(options, world, kv_heads));
  if (heads > kv_heads) {
    const std::string from =
        options.head_shards > 0
            ? ""
            : absl::StrCat(" (from ranks.token_shards = ", options.token_shards,
                           ")");
    return absl::InvalidArgumentError(
        absl::StrCat("ranks.head_shards = ", heads, from, ": must be at most ",
                     kv_heads, ", the KV heads of the model"));
  }
  if (world % heads != 0) {
    return absl::InvalidArgumentError(absl::StrCat(
        "ranks.head_shards = ", heads, ": must divide the ", world, " ranks"));
  }
  const int tokens = world / heads;
  if (options.token_shards > 0 && options.token_shards != tokens) {
    return absl::InvalidArgumentError(absl::StrCat(
        "ranks.head_shards = ", heads, ", ranks.token_shards = ",
        options.token_shards, ": their product must be the ", world, " ranks; ",
        heads, " head shards need ", tokens, " token shards"));
  }
  return GridShape{heads, tokens, options.token_block};
}

RankGrid MakeGrid(const GridShape& shape, std::unique_ptr<Communicator> world) {
  SUBGEN_CHECK(shape.world() == world->size(), shape.head_shards, " x ",
               shape.token_shards, " on ", world->size(), " ranks");
  std::unique_ptr<Communicator> tokens =
      world->Split(shape.HeadShard(world->rank()));
  return {shape, std::move(world), std::move(tokens)};
}

}  // namespace subgen
