#!/bin/sh
# What the site's administrator has set up in the accounting: who may charge what, and how much.
set -e
# the controller tells the accounting that there are GPUs
for _ in $(seq 120); do
  sacctmgr --noheader show tres format=type%10,name%10 2> /dev/null | grep -q 'gres *gpu' && break
  sleep 0.5
done
[ -z "$(sacctmgr --noheader show account research)" ] || exit 0
add() { sacctmgr --immediate --quiet add "$@"; }
# a quota of each user, and one of each job
add qos pair set MaxTRESPerUser=gres/gpu=2
add qos single set MaxTRESPerJob=gres/gpu=1
add account research set Description=users Organization=sandbox QOS=normal,pair,single
add account staff set Description=administrators Organization=sandbox
add user alice Account=research
add user bob Account=research
