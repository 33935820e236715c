#!/bin/bash
# build.sh: builds from Go modules (src/go.mod) what bin/ holds compressed: Kubernetes 1.36.3 with etcd and kubectl in one
# binary, CoreDNS, the conformance suite of Gateway API 1.6.3 and the echo servers that it needs.  About 6 minutes, 3.4 GB of build cache.
set -e
command -v go >/dev/null || { echo "the cluster's binaries are neither packed nor built: install Go 1.26 or newer, or point MESHWRIGHT_CLUSTER_BIN at them" >&2; exit 1; }
K=$(dirname "$(readlink -f "$0")"); H=${MESH_CLUSTER_HOME:-${XDG_CACHE_HOME:-$HOME/.cache}/mesh-cluster}; mkdir -p $H/bin; cd $K/src
export GOFLAGS="-buildvcs=false -modcacherw" CGO_ENABLED=0
V=1.36.3; X=""
for p in k8s.io/component-base/version k8s.io/client-go/pkg/version; do X="$X -X $p.gitVersion=v$V -X $p.gitMajor=1 -X $p.gitMinor=36 -X $p.gitCommit=local -X $p.gitTreeState=clean -X $p.buildDate=2026-01-01T00:00:00Z"; done
go build -trimpath -ldflags "-s -w $X" -o $H/bin/ ./cmd/hyperkube ./cmd/coredns istio.io/istio/pkg/test/echo/cmd/client istio.io/istio/pkg/test/echo/cmd/server
mv $H/bin/client $H/bin/echo-client; mv $H/bin/server $H/bin/echo-server
go test -c -trimpath -ldflags "-s -w" -o $H/bin/conformance.test .
