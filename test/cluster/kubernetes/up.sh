#!/bin/bash
# up.sh: starts a one-node cluster in its own network namespace.  State under $RUN; stop with down.sh.  First: setup.sh.
# env: GATEWAY_API=standard|experimental|none  MESH_CLUSTER_HOME (binaries, images, state; default ~/.cache/mesh-cluster)  RUN  CROOT  PROXY_MODE=iptables|nftables  NETNS=k8s|"" (empty: the machine's own network)
set -e
T0=$(date +%s.%N); el() { printf '%6.2f s  %s\n' $(echo "$(date +%s.%N) - $T0" | bc) "$*"; }
K=$(dirname "$(readlink -f "$0")"); H=${MESH_CLUSTER_HOME:-${XDG_CACHE_HOME:-$HOME/.cache}/mesh-cluster}; RUN=${RUN:-$H/run}; MODE=${PROXY_MODE:-nftables}; NS=${NETNS-k8s}; CROOT=${CROOT:-$H/containerd-root}   # image store: kept between clusters
NODEIP=172.30.0.1 OUTIP=172.30.0.254 PODS=10.244.0.0/16 PODCIDR=10.244.0.0/24 SVCS=10.96.0.0/16 SVCIP=10.96.0.1 DNSIP=10.96.0.10
B=$H/bin/hyperkube; KC="$B kubectl --kubeconfig=$RUN/pki/admin.conf"
[ -x $B ] || { echo "run setup.sh first ($B is not there)"; exit 1; }
[ -e $RUN/pids ] && { echo "already up? ($RUN/pids exists) run down.sh first"; exit 1; }
mkdir -p $RUN/{log,cni/net.d,kubelet,manifests}; : > $RUN/pids
# --- network: netns "k8s" with the node address on a veth whose other end stays outside
if [ -n "$NS" ]; then
  ip netns add $NS
  ip link add $NS-out type veth peer name node0 netns $NS
  ip addr add $OUTIP/24 dev $NS-out; ip link set $NS-out up
  ip -n $NS link set lo up; ip -n $NS addr add $NODEIP/24 dev node0; ip -n $NS link set node0 up
  ip -n $NS route add default via $OUTIP
  ip route add $SVCS via $NODEIP; ip route add $PODS via $NODEIP
  IN="nsenter --net=/run/netns/$NS"
else
  ip link add node0 type bridge; ip addr add $NODEIP/24 dev node0; ip link set node0 up; IN=
fi
$IN sysctl -qw net.ipv4.ip_forward=1 net.bridge.bridge-nf-call-iptables=1
# kubelet will write these (restored by down.sh)
for s in vm.overcommit_memory kernel.panic kernel.panic_on_oops kernel.keys.root_maxkeys kernel.keys.root_maxbytes; do echo "$s=$(sysctl -n $s)"; done > $RUN/sysctl.old
start() { local n=$1; shift; $IN nice -n 19 setsid "$@" > $RUN/log/$n.log 2>&1 < /dev/null & echo "$! $n" >> $RUN/pids; }
waitfor() { local n=$1 t=$2; shift 2; local e=$(( $(date +%s) + t )); until "$@" >/dev/null 2>&1; do [ $(date +%s) -gt $e ] && { echo "timeout waiting for $n"; exit 1; }; sleep 0.1; done; el "$n"; }
# --- certificates
[ -e $RUN/pki/admin.conf ] || bash $K/tools/certs.sh $RUN/pki $NODEIP $SVCIP
P=$RUN/pki; el certificates
# --- container runtime
cat > $RUN/containerd.toml <<Y
version = 2
root = "$CROOT"
state = "$RUN/containerd-state"
oom_score = 0
disabled_plugins = ["io.containerd.snapshotter.v1.aufs","io.containerd.snapshotter.v1.btrfs","io.containerd.snapshotter.v1.zfs","io.containerd.snapshotter.v1.devmapper","io.containerd.internal.v1.opt","io.containerd.tracing.processor.v1.otlp","io.containerd.internal.v1.tracing"]
[grpc]
  address = "$RUN/containerd.sock"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "localhost/pause:1"
  restrict_oom_score_adj = true
  disable_apparmor = true
  stream_server_address = "127.0.0.1"
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "overlayfs"
    default_runtime_name = "runc"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
      [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
        SystemdCgroup = false
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "$RUN/cni/net.d"
Y
cat > $RUN/cni/net.d/10-bridge.conflist <<Y
{"cniVersion":"1.0.0","name":"pods","plugins":[
 {"type":"bridge","bridge":"cni0","isGateway":true,"ipMasq":true,"hairpinMode":true,
  "ipam":{"type":"host-local","dataDir":"$RUN/cni/ipam","ranges":[[{"subnet":"$PODCIDR"}]],"routes":[{"dst":"0.0.0.0/0"}]}},
 {"type":"portmap","capabilities":{"portMappings":true},"snat":true}]}
Y
start containerd containerd --config $RUN/containerd.toml
# --- control plane
start etcd $B etcd --data-dir $RUN/etcd --listen-client-url http://127.0.0.1:2379 --listen-peer-url http://127.0.0.1:2380 --unsafe-no-fsync
start kube-apiserver $B kube-apiserver --etcd-servers=http://127.0.0.1:2379 --secure-port=6443 --advertise-address=$NODEIP \
  --service-cluster-ip-range=$SVCS --client-ca-file=$P/ca.crt --tls-cert-file=$P/apiserver.crt --tls-private-key-file=$P/apiserver.key \
  --service-account-issuer=https://kubernetes.default.svc.cluster.local --service-account-key-file=$P/sa.pub --service-account-signing-key-file=$P/sa.key \
  --kubelet-client-certificate=$P/apiserver-kubelet.crt --kubelet-client-key=$P/apiserver-kubelet.key --kubelet-certificate-authority=$P/ca.crt \
  --kubelet-preferred-address-types=InternalIP \
  --requestheader-client-ca-file=$P/front.crt --requestheader-allowed-names=front-proxy-client --requestheader-extra-headers-prefix=X-Remote-Extra- --requestheader-group-headers=X-Remote-Group --requestheader-username-headers=X-Remote-User \
  --proxy-client-cert-file=$P/front-client.crt --proxy-client-key-file=$P/front-client.key \
  --authorization-mode=Node,RBAC --enable-admission-plugins=NodeRestriction --allow-privileged=true --enable-bootstrap-token-auth=false --profiling=false
waitfor "containerd answers" 30 ctr -a $RUN/containerd.sock version
for i in $H/images/*.tar; do
  mark=$CROOT/imported-$(basename $i)-$(stat -c %s-%Y $i); [ -e $mark ] && continue
  nice -n 19 ctr -a $RUN/containerd.sock -n k8s.io image import $i > $RUN/log/import-$(basename $i).log 2>&1 || { echo import $i failed; cat $RUN/log/import-$(basename $i).log; exit 1; }; touch $mark
done; el "images imported"
waitfor "apiserver ready" 120 $KC get --raw=/readyz
start kube-controller-manager $B kube-controller-manager --kubeconfig=$P/kcm.conf --authentication-kubeconfig=$P/kcm.conf --authorization-kubeconfig=$P/kcm.conf \
  --use-service-account-credentials=true --service-account-private-key-file=$P/sa.key --root-ca-file=$P/ca.crt --cluster-signing-cert-file=$P/ca.crt --cluster-signing-key-file=$P/ca.key \
  --allocate-node-cidrs=true --cluster-cidr=$PODS --service-cluster-ip-range=$SVCS --requestheader-client-ca-file=$P/front.crt --flex-volume-plugin-dir=$RUN/kubelet/volumeplugins --leader-elect=false --kube-api-qps=500 --kube-api-burst=1000 --bind-address=127.0.0.1 --profiling=false
start kube-scheduler $B kube-scheduler --kubeconfig=$P/sched.conf --authentication-kubeconfig=$P/sched.conf --authorization-kubeconfig=$P/sched.conf --leader-elect=false --kube-api-qps=500 --kube-api-burst=1000 --bind-address=127.0.0.1 --profiling=false
: > $RUN/resolv.conf
cat > $RUN/kubelet.yaml <<Y
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
authentication: {anonymous: {enabled: false}, webhook: {enabled: true}, x509: {clientCAFile: $P/ca.crt}}
authorization: {mode: Webhook}
tlsCertFile: $P/kubelet-server.crt
tlsPrivateKeyFile: $P/kubelet-server.key
address: $NODEIP
cgroupDriver: cgroupfs
failCgroupV1: false
failSwapOn: false
enforceNodeAllocatable: []
localStorageCapacityIsolation: false
containerRuntimeEndpoint: unix://$RUN/containerd.sock
clusterDNS: [$DNSIP]
clusterDomain: cluster.local
resolvConf: $RUN/resolv.conf
oomScoreAdj: 0
maxOpenFiles: 20000
serializeImagePulls: false
evictionHard: {imagefs.available: "0%", nodefs.available: "0%", nodefs.inodesFree: "0%", imagefs.inodesFree: "0%"}
imageGCHighThresholdPercent: 100
imageGCLowThresholdPercent: 99
kubeAPIQPS: 200
kubeAPIBurst: 400
syncFrequency: 10s
fileCheckFrequency: 10s
volumePluginDir: $RUN/kubelet/volumeplugins
shutdownGracePeriod: 0s
registerNode: true
Y
start kubelet $B kubelet --config=$RUN/kubelet.yaml --kubeconfig=$P/kubelet.conf --root-dir=$RUN/kubelet --cert-dir=$RUN/kubelet/pki --hostname-override=node1 --node-ip=$NODEIP
cat > $RUN/proxy.yaml <<Y
apiVersion: kubeproxy.config.k8s.io/v1alpha1
kind: KubeProxyConfiguration
mode: $MODE
clientConnection: {kubeconfig: $P/proxy.conf}
clusterCIDR: $PODS
hostnameOverride: node1
bindAddress: 0.0.0.0
healthzBindAddress: 127.0.0.1:10256
metricsBindAddress: 127.0.0.1:10249
oomScoreAdj: 0
conntrack: {maxPerCore: 0, min: 0, tcpEstablishedTimeout: 0s, tcpCloseWaitTimeout: 0s}
iptables: {syncPeriod: 30s, minSyncPeriod: 100ms}
nftables: {syncPeriod: 30s, minSyncPeriod: 100ms}
Y
start kube-proxy $B kube-proxy --config=$RUN/proxy.yaml
$KC apply -f $K/conf/rbac.yaml >/dev/null
[ ! -e $H/images/coredns.tar ] || $KC apply -f $K/conf/coredns.yaml >/dev/null
el "manifests applied"
waitfor "node Ready" 120 sh -c "$KC get node node1 -o 'jsonpath={.status.conditions[?(@.type==\"Ready\")].status}' | grep -q True"
if [ -e $H/images/coredns.tar ]; then waitfor "CoreDNS available" 120 $KC -n kube-system wait --for=condition=Available deploy/coredns --timeout=2s; fi
waitfor "default service account" 60 $KC get sa default
[ "${GATEWAY_API:-standard}" = none ] || { xz -dc $K/conf/gateway-api-v1.6.3-${GATEWAY_API:-standard}.yaml.xz | $KC apply --server-side -f - >/dev/null; el "Gateway API v1.6.3 CRDs (${GATEWAY_API:-standard})"; }
echo "export KUBECONFIG=$P/admin.conf"
