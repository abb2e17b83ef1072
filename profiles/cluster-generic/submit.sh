# submit.sh NAME CORES MEGABYTES MINUTES GPUS JOBSCRIPT: queue a job, print its id. Here for PBS; README: others.
set -eu
name=$1 cores=$2 mem=$3 minutes=$4 gpus=$5 script=$6
logs=.snakemake/cluster_logs
mkdir -p "$logs"

select="select=1:ncpus=$cores:mem=${mem}mb"
if [ "$gpus" -gt 0 ]; then select="$select:ngpus=$gpus"; fi
walltime=$(printf '%02d:%02d:00' $((minutes / 60)) $((minutes % 60)))
qsub -V -N "$name" -j oe -o "$logs/" -l "$select" -l "walltime=$walltime" "$script"
