#!/bin/bash
# api-server.sh stop|start: takes the API server of a cluster that is up away, and brings it back as up.sh started it.
# Controller manager and scheduler go and come with it: elsewhere they lose their leases meanwhile, and start anew.
set -e
H=${MESH_CLUSTER_HOME:-${XDG_CACHE_HOME:-$HOME/.cache}/mesh-cluster}; RUN=${RUN:-$H/run}; NS=${NETNS-k8s}
ALL="kube-apiserver kube-controller-manager kube-scheduler"
pid() { awk -v name=$1 '$2 == name { print $1 }' $RUN/pids; }
alive() { local s; s=$(sed 's/.*) //; s/ .*//' /proc/$1/stat 2>/dev/null) && [ -n "$s" ] && [ $s != Z ]; }
stop() {
  local p; p=$(pid $1); cp /proc/$p/cmdline $RUN/$1.cmdline; kill -9 $p
  for i in $(seq 100); do alive $p || return 0; sleep 0.05; done; echo "$1 does not end" >&2; exit 1
}
start() {
  local command; alive $(pid $1) && return
  mapfile -d '' command < $RUN/$1.cmdline
  $IN nice -n 19 setsid "${command[@]}" >> $RUN/log/$1.log 2>&1 < /dev/null &
  sed -i "s/^[0-9]* $1$/$! $1/" $RUN/pids
}
case $1 in
stop)
  for name in $ALL; do stop $name; done;;
start)
  [ -z "$NS" ] || IN="nsenter --net=/run/netns/$NS"
  start kube-apiserver
  KC="$H/bin/hyperkube kubectl --kubeconfig=$RUN/pki/admin.conf"
  for i in $(seq 300); do $KC get --raw=/readyz >/dev/null 2>&1 && break; sleep 0.1; done
  $KC get --raw=/readyz >/dev/null || { echo "it is not ready in time" >&2; exit 1; }
  start kube-controller-manager; start kube-scheduler;;
*) echo "usage: api-server.sh stop|start" >&2; exit 2;;
esac
