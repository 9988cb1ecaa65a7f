#include "launch/bench/kernel_bench.h"

#include <algorithm>
#include <chrono>
#include <memory>
#include <random>

#include "absl/strings/str_cat.h"
#include "launch/bench/samples.h"

namespace subgen {
namespace {

using Clock = std::chrono::steady_clock;

class KernelBench {
 public:
  KernelBench(const KernelBenchOptions& options, Backend& backend)
      : options_(options), backend_(backend) {}

  KernelRow Copy();
  KernelRow Linear(int64_t rows, int64_t cols, int64_t tokens);
  // Attends with all query heads of the tokens to `rows` rows of each KV head.
  KernelRow Attention(const char* kernel, int64_t tokens, int64_t rows);
  KernelRow Distances(int64_t rows);

 private:
  template <class T>
  Buffer<T> Make(int64_t size) {
    return Buffer<T>(size, backend_.mirror());
  }
  Buffer<float> Floats(int64_t size) {
    Buffer<float> numbers = Make<float>(size);
    for (int64_t i = 0; i < size; ++i) {
      numbers[i] = static_cast<float>((i * 2654435761u % 1000) / 500.0 - 1.0);
    }
    WrittenByHost(backend_, numbers.span());
    return numbers;
  }
  // Makes encoded rows of pseudo-random numbers.
  Buffer<std::byte> RandomRows(int64_t rows);
  // Calls until `seconds` are over; the last call wrote `out`.
  double Microseconds(const std::function<void()>& call, Vector<float> out);

  const KernelBenchOptions& options_;
  Backend& backend_;
};

double KernelBench::Microseconds(const std::function<void()>& call,
                                 Vector<float> out) {
  const auto time = [&](int64_t calls) {
    const Clock::time_point start = Clock::now();
    for (int64_t i = 0; i < calls; ++i) call();
    ReadByHost(backend_, out);
    return std::chrono::duration<double>(Clock::now() - start).count();
  };
  time(1);  // operands are sent, memory is touched
  const double once = std::max(time(1), 1e-7);
  const int64_t calls =
      std::clamp<int64_t>(options_.seconds / once, 1, 1000000);
  std::vector<double> samples;
  for (int i = 0; i < options_.repetitions; ++i) {
    samples.push_back(time(calls) / calls * 1e6);
  }
  return Median(samples);
}

Buffer<std::byte> KernelBench::RandomRows(int64_t rows) {
  const int64_t dim = options_.head_dim;
  const int64_t bytes = RowBytes(options_.row_format, dim);
  Buffer<std::byte> encoded = Make<std::byte>(rows * bytes);
  std::mt19937 random(1);
  std::normal_distribution<float> normal;
  // So many are different that it is costly to tell them apart; the rest are
  // copies.
  const int64_t distinct = std::min<int64_t>(rows, 1024);
  std::vector<float> row(dim);
  for (int64_t i = 0; i < distinct; ++i) {
    for (float& x : row) x = normal(random);
    EncodeRow(options_.row_format, row, encoded.data() + i * bytes);
  }
  for (int64_t i = distinct; i < rows; ++i) {
    std::copy_n(encoded.data() + i % distinct * bytes, bytes,
                encoded.data() + i * bytes);
  }
  WrittenByHost(backend_, encoded.span());
  return encoded;
}

KernelRow KernelBench::Copy() {
  constexpr int64_t kRows = 16384, kCols = 4096;
  Buffer<float> from = Make<float>(kRows * kCols);
  Buffer<float> to = Make<float>(kRows * kCols);
  std::vector<int> rows(kRows);
  for (int64_t i = 0; i < kRows; ++i) rows[i] = static_cast<int>(i);
  const double time = Microseconds(
      [&] {
        backend_.GatherRows(from.matrix(kRows, kCols), rows,
                            to.matrix(kRows, kCols));
      },
      to.span().first(1));
  return {"copy", "256 MB", 2 * from.bytes(), 0.0, time};
}

KernelRow KernelBench::Linear(int64_t rows, int64_t cols, int64_t tokens) {
  WeightMatrix weight = {options_.weight_format, nullptr, rows, cols, 0};
  weight.row_stride = weight.row_bytes();
  // There are more copies than caches hold, and calls take them in turn.
  const int64_t size = rows * weight.row_bytes();
  const int64_t copies =
      std::clamp<int64_t>((int64_t{512} << 20) / size, 1, 64);
  std::vector<std::byte> blocks(copies * size);
  std::mt19937_64 random(2);
  for (size_t i = 0; i + 8 <= blocks.size(); i += 8) {
    // No half-precision scale of a block reads these bits as huge.
    const uint64_t bits = random() & 0x3b3b3b3b3b3b3b3b;
    std::copy_n(reinterpret_cast<const std::byte*>(&bits), 8, &blocks[i]);
  }
  std::vector<WeightMatrix> weights(copies, weight);
  for (int64_t i = 0; i < copies; ++i) {
    weights[i].data = blocks.data() + i * size;
    const absl::Status kept = backend_.KeepWeight(weights[i]);
    SUBGEN_CHECK(kept.ok(), kept.ToString());
  }
  Buffer<float> input = Floats(tokens * cols),
                output = Make<float>(tokens * rows);
  int64_t turn = 0;
  const double time = Microseconds(
      [&] {
        backend_.Linear(input.matrix(tokens, cols), weights[turn++ % copies],
                        output.matrix(tokens, rows));
      },
      output.span());
  return {
      "linear",
      absl::StrCat(BlockFormatName(options_.weight_format), " ", rows, " x ",
                   cols, ", ", tokens, tokens == 1 ? " token" : " tokens"),
      size + tokens * (rows + cols) * 4, 2.0 * tokens * rows * cols, time};
}

KernelRow KernelBench::Attention(const char* kernel, int64_t tokens,
                                 int64_t rows) {
  const int64_t dim = options_.head_dim, queries = tokens * options_.group;
  const int64_t heads = options_.kv_heads;
  const Buffer<std::byte> keys = RandomRows(heads * rows);
  const Buffer<std::byte> values = RandomRows(heads * rows);
  const Buffer<float> numbers = Floats(heads * queries * dim);
  PartialsBuffer partials(heads * queries, dim, backend_.mirror());
  const SoftmaxPartials out = partials.Resize(heads * queries);
  backend_.SetEmpty(out);
  const int64_t bytes = rows * RowBytes(options_.row_format, dim);
  std::vector<AttentionTask> tasks;
  for (int64_t head = 0; head < heads; ++head) {
    AttentionTask task;
    task.queries = {numbers.data() + head * queries * dim, queries, dim};
    task.rows.keys = {options_.row_format, keys.data() + head * bytes, rows,
                      dim};
    task.rows.values = {options_.row_format, values.data() + head * bytes, rows,
                        dim};
    task.group = options_.group;
    task.out = out.Rows(head * queries, queries);
    tasks.push_back(task);
  }
  const double time =
      Microseconds([&] { backend_.Attend(tasks); }, partials.packed());
  return {kernel,
          absl::StrCat(tokens == 1 ? "" : absl::StrCat(tokens, " tokens, "),
                       heads, " KV heads x ", options_.group, ", ", rows, " ",
                       RowFormatName(options_.row_format), " rows of ", dim),
          2 * heads * bytes, 4.0 * heads * queries * rows * dim, time};
}

KernelRow KernelBench::Distances(int64_t rows) {
  const int64_t dim = options_.head_dim, heads = options_.kv_heads;
  const Buffer<std::byte> keys = RandomRows(heads * rows);
  const Buffer<float> points = Floats(heads * dim);
  Buffer<float> squared = Make<float>(heads * rows);
  const int64_t bytes = rows * RowBytes(options_.row_format, dim);
  std::vector<DistanceTask> tasks;
  for (int64_t head = 0; head < heads; ++head) {
    tasks.push_back(
        {points.span().subspan(head * dim, dim),
         {options_.row_format, keys.data() + head * bytes, rows, dim},
         squared.span().subspan(head * rows, rows)});
  }
  const double time =
      Microseconds([&] { backend_.Distances(tasks); }, squared.span().first(1));
  return {"distances",
          absl::StrCat(heads, " KV heads, ", rows, " ",
                       RowFormatName(options_.row_format), " rows of ", dim),
          heads * bytes + squared.bytes(), 3.0 * heads * rows * dim, time};
}

}  // namespace

void RunKernelBench(const KernelBenchOptions& options, Backend& backend,
                    const std::function<void(const KernelRow&)>& each) {
  KernelBench bench(options, backend);
  const auto wanted = [&](const char* kernel) {
    return std::find(options.kernels.begin(), options.kernels.end(), kernel) !=
           options.kernels.end();
  };
  each(bench.Copy());
  for (const int64_t tokens :
       {int64_t{1}, int64_t{16}, options.prompt_tokens}) {
    if (!wanted("linear")) break;
    each(bench.Linear(options.feed_forward, options.embedding, tokens));
  }
  if (wanted("prompt")) {
    each(bench.Attention("prompt", options.prompt_tokens, options.rows[0]));
  }
  for (const int64_t rows : options.rows) {
    if (wanted("attention")) each(bench.Attention("attention", 1, rows));
    if (wanted("distances")) each(bench.Distances(rows));
  }
}

}  // namespace subgen
