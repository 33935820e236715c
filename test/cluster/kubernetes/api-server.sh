#!/bin/bash
# api-server.sh stop|start: takes the API server of a cluster that is up away, and brings it back as up.sh started it
set -e
H=${MESH_CLUSTER_HOME:-${XDG_CACHE_HOME:-$HOME/.cache}/mesh-cluster}; RUN=${RUN:-$H/run}; NS=${NETNS-k8s}; SAVED=$RUN/kube-apiserver.cmdline
pid() { awk '$2 == "kube-apiserver" { print $1 }' $RUN/pids; }
alive() { local s; s=$(sed 's/.*) //; s/ .*//' /proc/$1/stat 2>/dev/null) && [ -n "$s" ] && [ $s != Z ]; }
case $1 in
stop)
  P=$(pid); cp /proc/$P/cmdline $SAVED; kill -9 $P
  for i in $(seq 100); do alive $P || exit 0; sleep 0.05; done; echo "it does not end" >&2; exit 1;;
start)
  alive $(pid) && exit 0
  [ -z "$NS" ] || IN="nsenter --net=/run/netns/$NS"
  mapfile -d '' COMMAND < $SAVED
  $IN nice -n 19 setsid "${COMMAND[@]}" >> $RUN/log/kube-apiserver.log 2>&1 < /dev/null &
  sed -i "s/^[0-9]* kube-apiserver$/$! kube-apiserver/" $RUN/pids
  KC="$H/bin/hyperkube kubectl --kubeconfig=$RUN/pki/admin.conf"
  for i in $(seq 300); do $KC get --raw=/readyz >/dev/null 2>&1 && exit 0; sleep 0.1; done; echo "it is not ready in time" >&2; exit 1;;
*) echo "usage: api-server.sh stop|start" >&2; exit 2;;
esac
