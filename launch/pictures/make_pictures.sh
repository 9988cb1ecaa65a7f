#!/bin/bash
# Draws the pictures of the READMEs from figures that were measured once:
#   launch/pictures/make_pictures.sh [FOLDER]
# writes copy_loss.png and depth.png to where the READMEs show them, or both
# into FOLDER. The figures are in engine/cache/pictures/copy_loss.csv (the
# tables "What does a policy lose" of engine/cache/MEASURED.md, in the stream) and
# launch/pictures/depth.csv (the tables of launch/MEASURED.md). Needs gnuplot.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
die() { echo "make_pictures: $*" >&2; exit 1; }

case "${1:-}" in
  -h | --help)
    sed -n '2,/^set/{/^#/s/^# \{0,1\}//p}' "${BASH_SOURCE[0]}"
    exit 0
    ;;
  -*) die "$1: legal are --help and a folder" ;;
esac
[[ $# -le 1 ]] || die "legal is one folder at most"
command -v gnuplot > /dev/null ||
  die "gnuplot is not installed; its Debian package is gnuplot-nox"
loss_folder=${1:-$root/engine/cache/pictures}
depth_folder=${1:-$root/launch/pictures}
mkdir -p "$loss_folder" "$depth_folder" || die "$loss_folder: cannot be made"

# Colors that people of every color vision tell apart (Okabe and Ito 2008);
# SubGen's is used for nothing else.
style="set terminal pngcairo noenhanced size 840,500 font 'sans,11'
set datafile separator ','
set grid linetype 1 linewidth 0.7 linecolor '#DDDDDD'
set border linecolor '#444444'
set style line 1 linecolor '#D55E00' linewidth 4 pointtype 7 pointsize 1.6
set style line 2 linecolor '#0072B2' linewidth 1.5 pointtype 5
set style line 3 linecolor '#009E73' linewidth 1.5 pointtype 9
set style line 4 linecolor '#56B4E9' linewidth 1.5 pointtype 11
set style line 5 linecolor '#CC79A7' linewidth 1.5 pointtype 13
set style line 6 linecolor '#D55E00' linewidth 1.5 dashtype 2 pointtype 6"

gnuplot -e "cd '${root//\'/\'\'}'" - << GNUPLOT
$style
set output '${loss_folder//\'/\'\'}/copy_loss.png'
set title "Perplexity of a text that stood 1,024 tokens before, compressed as it is read\n" \
  . 'SmolLM2-135M-Instruct Q4_1, 8 pairs of Debian''s texts; bars: 95 %'
set xlabel 'rows kept (% of the context, logarithmic)'
set ylabel 'perplexity of the copied text (lower is better)'
set logscale xy
set xrange [11:57]
set yrange [1.2:24]
set xtics (12.5, 25, 50)
set ytics (1.5, 2, 3, 5, 7, 10, 15, 20)
set key outside right center Left reverse samplen 3
set arrow from graph 0, first 1.385 to graph 1, first 1.385 nohead \
  linewidth 2.5 linecolor 'black'
set label 'exact: 1.39' at graph 0.02, first 1.385 offset 0,0.6
data = 'engine/cache/pictures/copy_loss.csv'
plot data using 1:3 with linespoints linestyle 2 title 'window', \
     data using 1:4 with linespoints linestyle 3 title 'uniform', \
     data using 1:7 with linespoints linestyle 6 title 'subgen as in its paper', \
     data using 1:5 with linespoints linestyle 4 title 'key_diff', \
     data using 1:6 with linespoints linestyle 5 title 'heavy_hitter (H2O)', \
     data using 1:8:9:10 with yerrorbars linestyle 1 linewidth 2 notitle, \
     data using 1:8 with linespoints linestyle 1 title 'subgen'
GNUPLOT

# Between its two depths exact is drawn as it grows: a token takes a constant
# time and a time for each token before it.
gnuplot -e "cd '${root//\'/\'\'}'" - << GNUPLOT
$style
set output '${depth_folder//\'/\'\'}/depth.png'
set title "Decoding at depths of context\n" \
  . 'SmolLM2-135M-Instruct Q4_1, 2 threads on two Zen 4 cores; bars: standard deviation'
set xlabel 'tokens of context before (logarithmic)'
set ylabel 'tokens per second (higher is better)'
set logscale x
set xrange [10:2000000]
set yrange [0:400]
set xtics ('16' 16, '256' 256, '4,096' 4096, '65,536' 65536, '1,048,576' 1048576)
set key top right Left reverse samplen 3
set label 'the model was trained for 8,192' at 8192, 20 left offset 1,0
set arrow from 8192, graph 0 to 8192, graph 1 nohead dashtype 3 \
  linecolor '#8A8A8A'
data = 'launch/pictures/depth.csv'
of(policy, column) = strcol(1) eq policy ? column : NaN
exact(d) = d < 16 || d > 7900 ? NaN : \
  1 / (1 / 351. + (1 / 97. - 1 / 351.) * (d - 16) / (7900. - 16))
set samples 500
plot exact(x) with lines linecolor 'black' linewidth 2 dashtype 2 notitle, \
     data using 2:(of('exact', \$3)) with points linecolor 'black' \
       pointtype 5 pointsize 1.4 title 'exact (dashed: in between, computed)', \
     data using 2:(of('subgen', \$3)):4 with yerrorbars linestyle 1 \
       linewidth 2 notitle, \
     data using 2:(of('subgen', \$3)) with linespoints linestyle 1 \
       title 'subgen, 1,024 rows per KV head'
GNUPLOT
echo "$loss_folder/copy_loss.png $depth_folder/depth.png"
