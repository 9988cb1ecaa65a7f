#!/bin/bash
# Decode time over ranks: strong scaling (the whole context stays the same) and
# weak scaling (the context grows with the ranks).
#
# Usage: launch/bench_scaling.sh MODEL.gguf [OPTION VALUE]...
#   --ranks 1,2,4     numbers of MPI ranks, the first is the base; default 1,2
#   --depth 4096      tokens of context, of all ranks (strong) or each (weak)
#   --gen 32          tokens to generate
#   --repetitions 5
#   --threads 1       of a rank
#   --output FOLDER   for scaling.csv and scaling.png (default: scaling)
#   --set KEY=VALUE   a setting (repeatable)
#
# T is the median time of a token in ms, S = T_base / T, E = S * base / ranks;
# for weak scaling E = T_base / T. The context is synthetic.
#
# Environment:
#   SUBGEN_BENCH   the program that is timed, default build/subgen_bench_decode
#
# Example: launch/bench_scaling.sh "$(launch/fetch_model.sh)" --ranks 1,2,4
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
# shellcheck source=launch/checkout.sh
source "$root/launch/checkout.sh"
help_if_asked "$@"
bench=${SUBGEN_BENCH:-$root/build/subgen_bench_decode}
options="--ranks, --depth, --gen, --repetitions, --threads, --output, --set, --help"

[[ $# -ge 1 ]] || die "the first argument is a GGUF file"
[[ $1 != -* ]] || refuse "$1" "a GGUF file first, and after it $options"
model=$1
shift
ranks=1,2
depth=4096
gen=32
repetitions=5
threads=1
output=scaling
settings=()
while [[ $# -gt 0 ]]; do
  case "$1" in
    --ranks | --depth | --gen | --repetitions | --threads | --output | --set)
      [[ $# -ge 2 ]] || die "$1 needs a value" ;;
    *) refuse "$1" "$options" ;;
  esac
  case "$1" in
    --ranks) ranks=$2 ;;
    --depth) depth=$2 ;;
    --gen) gen=$2 ;;
    --repetitions) repetitions=$2 ;;
    --threads) threads=$2 ;;
    --output) output=$2 ;;
    --set) settings+=(--set "$2") ;;
  esac
  shift 2
done
for number in ${ranks//,/ } "$depth" "$gen" "$repetitions" "$threads"; do
  [[ $number =~ ^[1-9][0-9]{0,8}$ ]] || die "$number: a whole number from 1 on"
done
[[ -f $model ]] || die "$model: no such file"
[[ -x $bench ]] || die "$bench: launch/build.sh builds it"
command -v mpirun > /dev/null || die "mpirun is not installed"
mkdir -p "$output" || die "$output: cannot be made"
# shellcheck source=launch/mpi_environment.sh
source "$root/launch/mpi_environment.sh"

# measure RANKS DEPTH: median milliseconds of a token. The environment of this
# program's settings is not for it.
measure() {
  env -u SUBGEN_BENCH mpirun -n "$1" --bind-to none "$bench" --model "$model" \
    -p 0 -n "$gen" -d "$2" -r "$repetitions" --fill synthetic -o csv \
    --set "threads=$threads" "${settings[@]}" |
    python3 -c 'import csv, sys
print("%.4f" % (1e3 / float(next(csv.DictReader(sys.stdin))["median_ts"])))'
}

echo "scaling,ranks,threads,depth,milliseconds,speedup,efficiency,tokens_per_second" \
  > "$output/scaling.csv"
base_ranks=${ranks%%,*}
for scaling in strong weak; do
  printf '\n%s scaling, %s thread(s) a rank\n\n' "$scaling" "$threads"
  echo "| ranks | depth | T (ms) | tokens/s | S | E |"
  echo "|---:|---:|---:|---:|---:|---:|"
  base=
  for n in ${ranks//,/ }; do
    at=$depth
    [[ $scaling == strong ]] || at=$((depth * n))
    ms=$(measure "$n" "$at")
    base=${base:-$ms}
    awk -v kind="$scaling" -v n="$n" -v n0="$base_ranks" -v t="$ms" \
      -v t0="$base" -v at="$at" -v threads="$threads" \
      -v csv="$output/scaling.csv" 'BEGIN {
        s = t0 / t
        e = kind == "strong" ? s * n0 / n : s
        printf "| %d | %d | %.2f | %.1f | %s | %.0f %% |\n", n, at, t,
          1000 / t, kind == "strong" ? sprintf("%.2f", s) : "-", 100 * e
        printf "%s,%d,%d,%d,%s,%s,%.4f,%.3f\n", kind, n, threads, at, t,
          kind == "strong" ? sprintf("%.4f", s) : "", e, 1000 / t >> csv
      }'
  done
done

if ! command -v gnuplot > /dev/null; then
  printf '\nno picture: gnuplot is not installed\n'
  exit 0
fi

# quoted TEXT: in gnuplot's single quotes, in which nothing is run.
quoted() { printf "'%s'" "${1//\'/\'\'}"; }
machine=$(sed -n '/^model name/{s/^[^:]*: //p;q}' /proc/cpuinfo)
name=${model##*/}
# rate KIND: tokens per second at the base; largest COLUMN: of all rows.
rate() {
  awk -F, -v kind="$1" '$1 == kind { print $8; exit }' "$output/scaling.csv"
}
largest() {
  awk -F, -v at="$1" 'NR > 1 && $at > most { most = $at } END { print most }' \
    "$output/scaling.csv"
}
gnuplot << GNUPLOT
set terminal pngcairo noenhanced size 1000,520 font 'sans,11'
set output $(quoted "$output/scaling.png")
set datafile separator ','
set style line 1 linecolor '#D55E00' linewidth 3 pointtype 7 pointsize 1.4
set style line 2 linecolor '#0072B2' linewidth 3 pointtype 5 pointsize 1.3
set style line 3 linecolor 'black' linewidth 2 dashtype 2
set style line 4 linecolor '#0072B2' linewidth 2 dashtype 2
set multiplot layout 1,2 title $(quoted "Decoding over ranks: ${name%.gguf}, \
depth $depth") . "\n" . $(quoted "${machine:-$(uname -m)}, $(nproc) cores, \
$threads thread(s) a rank, $(date +%Y-%m-%d)")
data = $(quoted "$output/scaling.csv")
of(scaling, column) = strcol(1) eq scaling ? column : NaN
set xlabel 'MPI ranks'
set xtics ($ranks)
first = $base_ranks.
last = $(largest 2).
strong = $(rate strong)
weak = $(rate weak)
greater(a, b) = a > b ? a : b
set xrange [first - 0.3:last + 0.3]
set samples 2
set grid linetype 1 linewidth 0.7 linecolor '#DDDDDD'
set border linecolor '#444444'
set key outside bottom center horizontal Left reverse samplen 3
set ylabel 'tokens per second (higher is better)'
set yrange [0:1.1 * greater($(largest 8), strong * last / first)]
plot strong * x / first with lines linestyle 3 title 'ideal, strong', \\
     weak with lines linestyle 4 title 'ideal, weak', \\
     data using 2:(of('strong', \$8)) with linespoints linestyle 1 \\
       title 'strong: same context', \\
     data using 2:(of('weak', \$8)) with linespoints linestyle 2 \\
       title 'weak: context grows'
set ylabel 'speed-up over $base_ranks rank(s)'
set yrange [0:1.1 * greater($(largest 6), last / first)]
plot x / first with lines linestyle 3 title 'ideal', \\
     data using 2:(of('strong', \$6)) with linespoints linestyle 1 \\
       title 'strong: same context'
unset multiplot
GNUPLOT
printf '\n%s and %s\n' "$output/scaling.csv" "$output/scaling.png"
