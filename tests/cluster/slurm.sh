#!/usr/bin/env bash
# A real SLURM on one node with two pretend GPUs, for tests: slurm.sh install | start | stop
# Needs root, and neither systemd nor cgroups. Everything lies in one folder, with a key, a socket and ports of its own,
# but for a link in /etc/slurm; a machine that belongs to a cluster is refused. Start and stop may be repeated.
set -euo pipefail

STATE=${MIMEO_SLURM:-/var/lib/mimeo-slurm}
USUAL=/etc/slurm/slurm.conf # jobs lose the variable SLURM_CONF on their way, so ours is linked to from here
NODE=$(hostname -s)
CPUS=12 # pretended where there are fewer, so that GPUs run out before CPUs do
GPUS=2
MEMORY=65536 # MB, pretended likewise; what jobs really hold is watched
export SLURM_CONF=$STATE/slurm.conf
export PATH=$PATH:/usr/sbin:/sbin

fail() {
	echo "error: $*" >&2
	exit 1
}

is_there() { command -v slurmctld slurmd munged sbatch >/dev/null; }

is_running() { # by our note of its process number, unless that number is somebody else's by now
	[ -s "$STATE/$1.pid" ] && [ "$(cat "/proc/$(cat "$STATE/$1.pid")/comm" 2>/dev/null)" = "$1" ]
}

wait_for() { # seconds, what, command...
	local until=$((SECONDS + $1)) what=$2
	shift 2
	until "$@" >/dev/null 2>&1; do
		((SECONDS < until)) || fail "$what does not answer: see $STATE/log"
		sleep 0.2
	done
}

install() {
	is_there && return
	[ "$(id -u)" = 0 ] && command -v apt-get >/dev/null ||
		fail "SLURM and MUNGE are missing: as root on Debian or Ubuntu run 'apt-get install slurm-wlm munge'"
	apt-get update -q >/dev/null
	DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends slurm-wlm munge >/dev/null
}

configure() {
	mkdir -p "$STATE"/{state,spool,log,munge}
	chmod 700 "$STATE/munge"
	[ -s "$STATE/munge/key" ] || (umask 077 && head -c 1024 /dev/urandom >"$STATE/munge/key")
	for number in $(seq 0 $((GPUS - 1))); do # a gres named gpu is only schedulable with a device file
		[ -c "$STATE/gpu$number" ] || mknod "$STATE/gpu$number" c 1 3
	done
	getent hosts "$NODE" >/dev/null || echo "127.0.0.1 $NODE" >>/etc/hosts # its own name has to have an address
	echo "NodeName=$NODE Name=gpu File=$STATE/gpu[0-$((GPUS - 1))]" >"$STATE/gres.conf"
	echo "CgroupPlugin=cgroup/v1" >"$STATE/cgroup.conf" # named, so that none is looked for; no plug-in below uses it
	cat >"$STATE/prolog" <<-PROLOG
		#!/bin/sh
		echo "\$SLURM_JOB_ID \${CUDA_VISIBLE_DEVICES-none}" >>"$STATE/log/devices"
	PROLOG
	chmod +x "$STATE/prolog"
	touch "$STATE/log/devices" "$STATE/log/jobs" "$STATE/plugstack.conf"
	cat >"$SLURM_CONF" <<-CONF
		ClusterName=mimeo
		SlurmctldHost=$NODE(127.0.0.1)
		SlurmctldPort=26817
		SlurmdPort=26818
		SlurmUser=root
		AuthType=auth/munge
		AuthInfo=socket=$STATE/munge/socket
		CredType=cred/munge
		StateSaveLocation=$STATE/state
		SlurmdSpoolDir=$STATE/spool
		SlurmctldPidFile=$STATE/slurmctld.pid
		SlurmdPidFile=$STATE/slurmd.pid
		SlurmctldLogFile=$STATE/log/slurmctld.log
		SlurmdLogFile=$STATE/log/slurmd.log
		PlugStackConfig=$STATE/plugstack.conf
		TaskProlog=$STATE/prolog
		# No systemd and no cgroups: processes are tracked by their parents, memory is watched once a second.
		ProctrackType=proctrack/linuxproc
		TaskPlugin=task/none
		JobAcctGatherType=jobacct_gather/linux
		JobAcctGatherFrequency=task=1
		JobAcctGatherParams=OverMemoryKill
		SlurmdParameters=config_overrides
		SchedulerType=sched/backfill
		SchedulerParameters=batch_sched_delay=1,sched_interval=2,bf_interval=2
		SelectType=select/cons_tres
		SelectTypeParameters=CR_Core_Memory
		GresTypes=gpu
		MpiDefault=none
		ReturnToService=2
		MinJobAge=600
		KillWait=5
		# No accounting daemon: squeue remembers jobs for MinJobAge, and a line a job that ended goes into a file.
		AccountingStorageType=accounting_storage/none
		JobCompType=jobcomp/filetxt
		JobCompLoc=$STATE/log/jobs
		NodeName=$NODE NodeAddr=127.0.0.1 CPUs=$CPUS RealMemory=$MEMORY Gres=gpu:$GPUS State=UNKNOWN
		PartitionName=cpu Nodes=$NODE Default=YES MaxTime=60 State=UP
		PartitionName=gpu Nodes=$NODE MaxTime=60 State=UP
	CONF
}

start() {
	[ "$(id -u)" = 0 ] || fail "the test cluster has to be started as root"
	is_there || fail "SLURM and MUNGE are missing: run 'tests/cluster/slurm.sh install'"
	if is_running slurmctld && is_running slurmd; then return; fi
	[ ! -e "$USUAL" ] || [ "$(readlink -f "$USUAL")" = "$SLURM_CONF" ] ||
		fail "this machine belongs to a cluster already: $USUAL is there"
	stop
	configure
	mkdir -p "$(dirname "$USUAL")"
	ln -sf "$SLURM_CONF" "$USUAL"
	munged --force --socket="$STATE/munge/socket" --key-file="$STATE/munge/key" --pid-file="$STATE/munged.pid" \
		--log-file="$STATE/log/munged.log" --seed-file="$STATE/munge/seed"
	wait_for 20 MUNGE munge --no-input --socket "$STATE/munge/socket"
	slurmctld -c
	wait_for 20 slurmctld sh -c 'scontrol ping | grep -q "is UP"'
	slurmd
	wait_for 30 slurmd sh -c 'sinfo --noheader --format %T | grep -qx idle'
}

stop() { # what this script has started, by its process number, the youngest first
	for name in slurmd slurmctld munged; do
		if is_running "$name"; then
			pid=$(cat "$STATE/$name.pid")
			kill "$pid"
			for _ in $(seq 50); do is_running "$name" && sleep 0.2 || break; done
		fi
		rm -f "$STATE/$name.pid"
	done
	[ "$(readlink -f "$USUAL")" != "$SLURM_CONF" ] || rm -f "$USUAL"
}

case ${1:-} in
install | start | stop) "$1" ;;
*) fail "usage: slurm.sh install | start | stop" ;;
esac
