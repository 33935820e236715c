#!/bin/bash
# builds the image archives under $H/images from what lies on this machine; no daemon, no network
set -e
K=$(dirname "$(dirname "$(readlink -f "$0")")"); H=${MESH_CLUSTER_HOME:-${XDG_CACHE_HOME:-$HOME/.cache}/mesh-cluster}; cd $H
mkdir -p images; R=$PWD/images/roots; rm -rf $R; mkdir -p $R
# pause: waits for a signal (static C, ~700 KB)
mkdir -p $R/pause
cat > $R/pause.c <<'C'
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>
#include <stdlib.h>
static void down(int s){ exit(0); }
static void reap(int s){ while (waitpid(-1, 0, WNOHANG) > 0); }
int main(void){ struct sigaction a={0}; a.sa_handler=down; sigaction(SIGINT,&a,0); sigaction(SIGTERM,&a,0);
 a.sa_handler=reap; a.sa_flags=SA_NOCLDSTOP; sigaction(SIGCHLD,&a,0); for(;;) pause(); }
C
gcc -Os -static -s -o $R/pause/pause $R/pause.c
python3 $K/tools/mkimage.py images/pause.tar $R/pause localhost/pause:1 -- /pause
if [ -x bin/coredns ]; then mkdir -p $R/coredns; cp bin/coredns $R/coredns/; python3 $K/tools/mkimage.py images/coredns.tar $R/coredns registry.k8s.io/coredns/coredns:v1.12.2,localhost/coredns:1 -- /coredns; fi
if [ -x bin/echo-server ]; then A=$R/echo-advanced; mkdir -p $A/usr/local/bin $A/etc $A/tmp; cp bin/echo-client $A/usr/local/bin/client; cp bin/echo-server $A/usr/local/bin/server
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj /CN=echo -days 3650 -keyout $A/cert.key -out $A/cert.crt -addext "subjectAltName=DNS:echo,DNS:localhost" 2>/dev/null; chmod 644 $A/cert.key
  python3 $K/tools/mkimage.py images/echo-advanced.tar $A registry.k8s.io/gateway-api/echo-advanced:v1.5.1 -- /usr/local/bin/server; fi
