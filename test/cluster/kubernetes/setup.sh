#!/bin/bash
# setup.sh: packages, binaries and images of a one-node Kubernetes; idempotent. Then up.sh.
# Binaries come packed from MESHWRIGHT_CLUSTER_BIN (default: shared/cluster/bin beside the checkout) or, where that is
# not there, are built from Go modules once and kept under MESH_CLUSTER_HOME.
set -e
K=$(dirname "$(readlink -f "$0")"); H=${MESH_CLUSTER_HOME:-${XDG_CACHE_HOME:-$HOME/.cache}/mesh-cluster}; mkdir -p $H/bin
PACKED=${MESHWRIGHT_CLUSTER_BIN:-$K/../../../../shared/cluster/bin}
missing() { for p in "$@"; do dpkg -s $p >/dev/null 2>&1 || echo $p; done; }
P=$(missing containerd runc containernetworking-plugins iptables nftables conntrack busybox-static bc openssl xz-utils iproute2 gcc libc6-dev python3)
[ -z "$P" ] || { apt-get update -qq; DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $P >/dev/null; }
for f in hyperkube coredns echo-server echo-client conformance.test; do
  [ -x $H/bin/$f ] && [ ! $PACKED/$f.xz -nt $H/bin/$f ] && continue
  if [ -e $PACKED/$f.xz ]; then xz -dc $PACKED/$f.xz > $H/bin/$f.new && chmod +x $H/bin/$f.new && mv $H/bin/$f.new $H/bin/$f; else $K/build.sh; break; fi
done
[ -e $H/images/echo-advanced.tar ] && [ $H/images/echo-advanced.tar -nt $H/bin/echo-server ] || $K/tools/images.sh
